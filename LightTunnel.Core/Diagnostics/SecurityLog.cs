using System.Globalization;
using LightTunnel.Timing;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace LightTunnel.Diagnostics;

/// <summary>What the security log tells of.</summary>
public enum SecurityEvent
{
    /// <summary>A handshake or a registration was refused.</summary>
    Refused,

    /// <summary>A member's name or address has another key than before.</summary>
    KeyChanged,

    /// <summary>A person has confirmed that a member's key is another now.</summary>
    KeyConfirmed,

    /// <summary>One identity is used by two machines.</summary>
    IdentityReplaced,

    /// <summary>A server gave addresses of a network that nobody agreed to.</summary>
    PrefixRefused,

    /// <summary>Somebody sent more than is worked off.</summary>
    Flood,

    /// <summary>A folder was refused, as other users could put something into it.</summary>
    FolderRefused,

    /// <summary>A member was refused that no admin has signed as it is.</summary>
    NotSigned,

    /// <summary>A server names other signing keys than this node has been given, and is not believed.</summary>
    SigningKeyRefused,

    /// <summary>Signatures of members were refused that are none.</summary>
    SignatureRefused,
}

/// <summary>
/// What matters for security, apart from everything else and so little of each kind in an hour that no flood can erase the rest: in memory,
/// and in a file of its own. Any thread.
/// </summary>
internal sealed class SecurityLog : IDisposable
{
    /// <summary>Lines about one thing in an hour, and of one kind.</summary>
    public const int PerSubject = 5;
    public const int PerKind = 60;

    private const int Capacity = 1000;

    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly LogRing _ring;
    private readonly Logger _logger;
    private readonly Dictionary<(SecurityEvent Kind, string Subject), int> _subjects = [];
    private readonly Dictionary<SecurityEvent, int> _kinds = [];
    private readonly Dictionary<SecurityEvent, int> _leftOut = [];
    private Timestamp _began;

    /// <param name="tunnel">Name of the tunnel.</param>
    /// <param name="time">The clock.</param>
    /// <param name="path">The file, or null for none.</param>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public SecurityLog(string tunnel, TimeProvider time, string? path)
    {
        _time = time;
        _began = time.Now();
        _ring = new LogRing(tunnel, Capacity);
        LoggerConfiguration configuration = new LoggerConfiguration().WriteTo.Sink(_ring);
        if (path is not null)
            LogFile.ConfigureSecurity(configuration, path);
        _logger = configuration.CreateLogger();
    }

    /// <summary>The latest entries.</summary>
    public Journal<LogEntry> Entries => _ring.Entries;

    /// <summary>Writes an entry, unless there were too many like it.</summary>
    /// <param name="kind">What it tells of.</param>
    /// <param name="subject">What it is about: a name, a key, an address.</param>
    /// <param name="message">The line.</param>
    public void Write(SecurityEvent kind, string subject, string message)
    {
        lock (_gate)
        {
            if (_time.Now() - _began >= Interval)
                BeginInterval();
            int ofKind = _kinds.GetValueOrDefault(kind);
            int ofSubject = _subjects.GetValueOrDefault((kind, subject));
            if (ofKind >= PerKind || ofSubject >= PerSubject)
            {
                _leftOut[kind] = _leftOut.GetValueOrDefault(kind) + 1;
                return;
            }

            _kinds[kind] = ofKind + 1;
            _subjects[(kind, subject)] = ofSubject + 1;
            Emit(kind, message);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
            BeginInterval();
        _logger.Dispose();
        _ring.Entries.Complete();
    }

    private void BeginInterval()
    {
        foreach ((SecurityEvent kind, int count) in _leftOut)
        {
            Emit(
                kind, string.Create(
                    CultureInfo.InvariantCulture,
                    $"{count:N0} more of this kind since {_time.GetLocalNow() - (_time.Now() - _began):HH:mm:ss} were left out"));
        }
        _leftOut.Clear();
        _kinds.Clear();
        _subjects.Clear();
        _began = _time.Now();
    }

    private void Emit(SecurityEvent kind, string message)
    {
        if (_logger.BindMessageTemplate(
            "{Kind}: {Message}", [kind.ToString(), message], out MessageTemplate? template, out IEnumerable<LogEventProperty>? properties))
        {
            _logger.Write(new LogEvent(_time.GetLocalNow(), LogEventLevel.Warning, null, template, properties));
        }
    }
}
