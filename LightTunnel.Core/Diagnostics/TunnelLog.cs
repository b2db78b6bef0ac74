using System.Globalization;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace LightTunnel.Diagnostics;

/// <summary>
/// The log of one tunnel: the latest entries in memory, and a file when one is asked for. Structured by Serilog templates: "{Peer} came
/// online". All members may be called from any thread; none but the constructor throws for reasons outside this process.
/// </summary>
internal sealed class TunnelLog : IDisposable
{
    /// <summary>Entries kept in memory when nobody says otherwise.</summary>
    public const int DefaultCapacity = 2000;

    private readonly TimeProvider _time;
    private readonly LoggingLevelSwitch _level;
    private readonly LogRing _ring;
    private readonly Logger _logger;
    private readonly LogCollapser _collapser;
    private readonly SecurityLog _security;
    private readonly AuditLog _audit;

    /// <param name="tunnel">Name of the tunnel.</param>
    /// <param name="time">Gives each entry its time.</param>
    /// <param name="minimumLevel">Least important level that is logged.</param>
    /// <param name="path">File to log to, rolled daily and at 10 MB, of which 7 are kept; null for none.</param>
    /// <param name="capacity">Entries kept in memory.</param>
    /// <param name="securityPath">File for what matters for security; null for none.</param>
    /// <param name="auditPath">File for what was done to the network's members; null for none.</param>
    /// <exception cref="LightTunnelException">FileAccess: the file cannot be written.</exception>
    public TunnelLog(
        string tunnel, TimeProvider time, LogLevel minimumLevel = LogLevel.Information, string? path = null, int capacity = DefaultCapacity,
        string? securityPath = null, string? auditPath = null)
    {
        ArgumentNullException.ThrowIfNull(time);
        Tunnel = tunnel;
        _time = time;
        _level = new LoggingLevelSwitch(ToSerilog(minimumLevel));
        _ring = new LogRing(tunnel, capacity);
        LoggerConfiguration configuration = new LoggerConfiguration().MinimumLevel.ControlledBy(_level).WriteTo.Sink(_ring);
        if (path is not null)
            LogFile.Configure(configuration, path);
        _security = new SecurityLog(tunnel, time, securityPath);
        _audit = new AuditLog(tunnel, time, auditPath);
        _collapser = new LogCollapser(time);
        _logger = configuration.CreateLogger();
    }

    /// <summary>Name of the tunnel.</summary>
    public string Tunnel { get; }

    /// <summary>Least important level that is logged; may be changed at any time.</summary>
    public LogLevel MinimumLevel
    {
        get => FromSerilog(_level.MinimumLevel);
        set => _level.MinimumLevel = ToSerilog(value);
    }

    /// <summary>True when an entry of the level would be logged; ask before making costly arguments.</summary>
    public bool IsEnabled(LogLevel level) => level >= MinimumLevel;

    /// <summary>For developers.</summary>
    public void Debug(string template, params ReadOnlySpan<object?> values) => Write(LogLevel.Debug, null, template, values);

    /// <summary>What an admin wants to read.</summary>
    public void Information(string template, params ReadOnlySpan<object?> values) => Write(LogLevel.Information, null, template, values);

    /// <summary>Something is wrong, and LightTunnel copes.</summary>
    public void Warning(string template, params ReadOnlySpan<object?> values) => Write(LogLevel.Warning, null, template, values);

    /// <summary>Something is wrong, and somebody must act.</summary>
    public void Error(Exception? exception, string template, params ReadOnlySpan<object?> values) =>
        Write(LogLevel.Error, exception, template, values);

    /// <summary>Writes an entry.</summary>
    /// <param name="level">How important it is.</param>
    /// <param name="exception">What caused it, or null.</param>
    /// <param name="template">A constant Serilog message template.</param>
    /// <param name="values">The template's values in order; never a secret.</param>
    public void Write(LogLevel level, Exception? exception, string template, params ReadOnlySpan<object?> values)
    {
        if (!IsEnabled(level))
            return;
        WriteCollapsed();
        object?[] all = values.ToArray();
        if (_collapser.TryTake(level, template, all))
            WriteNow(level, exception, template, all);
    }

    /// <summary>Writes a warning that matters for security, also to the log that keeps these apart.</summary>
    /// <param name="kind">What it tells of.</param>
    /// <param name="subject">What it is about: a name, a key, an address.</param>
    /// <param name="message">The line; never a secret.</param>
    public void Security(SecurityEvent kind, string subject, string message)
    {
        _security.Write(kind, subject, message);
        Warning("{Message}", message);
    }

    /// <summary>Tells what was done to the network's members, or what they may do, also to the log that keeps it for long.</summary>
    /// <param name="action">What was done.</param>
    /// <param name="by">The local user who did it, or null when nobody did: the network itself, as it was told to.</param>
    /// <param name="subject">What it was done to: a member's name, an invitation's id.</param>
    /// <param name="publicKey">The member's public key, base64, or null.</param>
    /// <param name="message">All of it as a sentence; never a secret.</param>
    public void Audit(AuditAction action, string? by, string subject, string? publicKey, string message)
    {
        if (_audit.Write(action, by, subject, publicKey, message))
            Information("{Message}", message);
    }

    /// <summary>What was done to the network's members.</summary>
    public Journal<AuditEntry> Audited => _audit.Entries;

    /// <summary>
    /// What matters for security, oldest first: entries after <paramref name="afterSequence"/> (0 for all), of those the last
    /// <paramref name="tail"/>.
    /// </summary>
    public IReadOnlyList<LogEntry> ReadSecurity(long afterSequence = 0, int tail = int.MaxValue) =>
        _security.Entries.Read(afterSequence, tail: tail);

    /// <summary>
    /// Entries in memory, oldest first: those after <paramref name="afterSequence"/> (0 for all), of <paramref name="minimumLevel"/> or
    /// above, and of those the last <paramref name="tail"/>.
    /// </summary>
    public IReadOnlyList<LogEntry> Read(long afterSequence = 0, LogLevel minimumLevel = LogLevel.Debug, int tail = int.MaxValue)
    {
        WriteCollapsed();
        return _ring.Entries.Read(afterSequence, entry => entry.Level >= minimumLevel, tail);
    }

    /// <summary>Like <see cref="Read"/>, but waits until there is at least one such entry; empty once the log is completed.</summary>
    public Task<IReadOnlyList<LogEntry>> WaitAsync(long afterSequence, LogLevel minimumLevel, CancellationToken cancellationToken) =>
        _ring.Entries.WaitAsync(afterSequence, entry => entry.Level >= minimumLevel, cancellationToken);

    /// <summary>Says that no more entries come, and closes the file; what is in memory stays readable. Idempotent.</summary>
    public void Dispose()
    {
        _logger.Dispose();
        _security.Dispose();
        _audit.Dispose();
        _ring.Entries.Complete();
    }

    private void WriteNow(LogLevel level, Exception? exception, string template, object?[] values)
    {
        if (_logger.BindMessageTemplate(template, values, out MessageTemplate? parsed, out IEnumerable<LogEventProperty>? properties))
            _logger.Write(new LogEvent(_time.GetLocalNow(), ToSerilog(level), exception, parsed, properties));
    }

    private void WriteCollapsed()
    {
        foreach ((LogLevel level, string template, string subject, int count) in _collapser.TakeEnded())
        {
            WriteNow(
                level, null, "… {Count} more like this in {Seconds} s: {Kind} ({Subject})",
                [count.ToString("N0", CultureInfo.InvariantCulture), (int)LogCollapser.Interval.TotalSeconds, template, subject]);
        }
    }

    internal static LogEventLevel ToSerilog(LogLevel level) => level switch
    {
        LogLevel.Debug => LogEventLevel.Debug,
        LogLevel.Information => LogEventLevel.Information,
        LogLevel.Warning => LogEventLevel.Warning,
        LogLevel.Error => LogEventLevel.Error,
        _ => throw new ArgumentOutOfRangeException(nameof(level), level, null),
    };

    internal static LogLevel FromSerilog(LogEventLevel level) => level switch
    {
        LogEventLevel.Verbose or LogEventLevel.Debug => LogLevel.Debug,
        LogEventLevel.Information => LogLevel.Information,
        LogEventLevel.Warning => LogLevel.Warning,
        _ => LogLevel.Error,
    };
}

/// <summary>Keeps the latest entries of a log.</summary>
internal sealed class LogRing(string tunnel, int capacity) : ILogEventSink
{
    /// <summary>The entries.</summary>
    public Journal<LogEntry> Entries { get; } = new(capacity);

    /// <inheritdoc/>
    public void Emit(LogEvent logEvent)
    {
        string message = LogText.Render(logEvent);
        string? exception = logEvent.Exception is { } cause ? LogText.OneLine($"{cause.GetType().Name}: {cause.Message}") : null;
        Entries.Add(sequence =>
            new LogEntry(sequence, logEvent.Timestamp, TunnelLog.FromSerilog(logEvent.Level), tunnel, message, exception));
    }
}

/// <summary>How an entry becomes one line of text.</summary>
internal static class LogText
{
    /// <summary>The message with its values, strings without quotes, without a character that could make it look like two lines.</summary>
    public static string Render(LogEvent logEvent)
    {
        using var writer = new StringWriter(CultureInfo.InvariantCulture);
        foreach (Serilog.Parsing.MessageTemplateToken token in logEvent.MessageTemplate.Tokens)
        {
            if (token is Serilog.Parsing.PropertyToken property
                && logEvent.Properties.TryGetValue(property.PropertyName, out LogEventPropertyValue? value)
                && value is ScalarValue { Value: string text })
            {
                writer.Write(text);
            }
            else
            {
                token.Render(logEvent.Properties, writer, CultureInfo.InvariantCulture);
            }
        }

        return OneLine(writer.ToString());
    }

    /// <summary>The text with control characters replaced by spaces.</summary>
    public static string OneLine(string text) =>
        text.Any(IsBreaking) ? string.Concat(text.Select(character => IsBreaking(character) ? ' ' : character)) : text;

    private static bool IsBreaking(char character) => char.IsControl(character) || character is '\u2028' or '\u2029';
}
