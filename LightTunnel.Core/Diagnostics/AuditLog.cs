using System.Text.Json;
using System.Text.Json.Serialization;
using LightTunnel.Timing;

namespace LightTunnel.Diagnostics;

/// <summary>What became different in who may be in a network, and what may pass.</summary>
public enum AuditAction
{
    /// <summary>A machine became a member.</summary>
    Joined,

    /// <summary>An admin made a machine a member that has plain WireGuard.</summary>
    Added,

    /// <summary>A member is none any more, as nobody had seen it for long or others needed its address.</summary>
    Forgotten,

    /// <summary>An admin took a member's place away.</summary>
    Removed,

    /// <summary>An admin keeps a member out.</summary>
    Blocked,

    /// <summary>A member that was kept out may come in again.</summary>
    Unblocked,

    /// <summary>A machine asks to become a member, which an admin has to approve.</summary>
    ApprovalAsked,

    /// <summary>An admin made a member of a machine that asked.</summary>
    Approved,

    /// <summary>An admin denied a machine that asked.</summary>
    Denied,

    /// <summary>An admin has said when a membership ends.</summary>
    ExpiryChanged,

    /// <summary>A membership has ended.</summary>
    Expired,

    /// <summary>An admin gave a member another name.</summary>
    Renamed,

    /// <summary>An admin gave a member other addresses.</summary>
    AddressChanged,

    /// <summary>An admin put a member into groups, or out of them.</summary>
    GroupsChanged,

    /// <summary>A network behind a member was approved.</summary>
    RouteApproved,

    /// <summary>A network behind a member was denied.</summary>
    RouteDenied,

    /// <summary>An invitation was made.</summary>
    InvitationCreated,

    /// <summary>An invitation was taken back.</summary>
    InvitationRemoved,

    /// <summary>Access rules were made, changed or removed.</summary>
    RulesChanged,

    /// <summary>An admin has signed a member.</summary>
    MemberSigned,

    /// <summary>The network was given another key.</summary>
    NetworkKeyChanged,

    /// <summary>An admin was given the configuration of a member that has plain WireGuard anew.</summary>
    ConfigurationRenewed,
}

/// <summary>One change of a network's members, or of what they may do.</summary>
/// <param name="Sequence">Number of the entry in its tunnel, rising by one.</param>
/// <param name="Time">When it was done.</param>
/// <param name="Tunnel">Name of the tunnel whose network it is.</param>
/// <param name="Action">What was done.</param>
/// <param name="By">The local user who did it; null when nobody did: the network itself, as it was told to.</param>
/// <param name="Subject">What it was done to: a member's name, an invitation's id.</param>
/// <param name="PublicKey">The member's public key, base64; null when it was done to no member.</param>
/// <param name="Message">All of it as a sentence.</param>
public sealed record AuditEntry(
    long Sequence, DateTimeOffset Time, string Tunnel, AuditAction Action, string? By, string Subject, string? PublicKey, string Message);

/// <summary>
/// What was done to a network's members, by whom: the latest in memory, and all in a file of its own, one JSON object a line, from which
/// the latest are read when the tunnel starts again. Of what happens without an admin (members that come and go)
/// <see cref="UnaskedPerHour"/> of each kind are told in an hour and the others counted, so that nobody can push out what admins did. Any
/// thread.
/// </summary>
internal sealed class AuditLog : IDisposable
{
    /// <summary>Entries of one kind in an hour that no admin asked for.</summary>
    public const int UnaskedPerHour = 200;

    private const int Capacity = 1000;

    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    private readonly Lock _gate = new();
    private readonly string _tunnel;
    private readonly TimeProvider _time;
    private readonly Serilog.Core.Logger? _file;
    private readonly Dictionary<AuditAction, int> _unasked = [];
    private Timestamp _began;

    /// <param name="tunnel">Name of the tunnel.</param>
    /// <param name="time">The clock.</param>
    /// <param name="path">The file, or null for none.</param>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public AuditLog(string tunnel, TimeProvider time, string? path)
    {
        _tunnel = tunnel;
        _time = time;
        _began = time.Now();
        if (path is null)
            return;
        (_file, IReadOnlyList<string> files) = LogFile.OpenAudit(path);
        foreach (AuditEntry before in AuditFile.Read(files, Capacity))
            Entries.Add(sequence => before with { Sequence = sequence, Tunnel = tunnel });
    }

    /// <summary>The latest entries.</summary>
    public Journal<AuditEntry> Entries { get; } = new(Capacity);

    /// <summary>Writes an entry; false when there were too many of its kind.</summary>
    /// <param name="action">What was done.</param>
    /// <param name="by">The local user who did it, or null when nobody did.</param>
    /// <param name="subject">What it was done to.</param>
    /// <param name="publicKey">The member's public key, base64, or null.</param>
    /// <param name="message">All of it as a sentence; never a secret.</param>
    public bool Write(AuditAction action, string? by, string subject, string? publicKey, string message)
    {
        lock (_gate)
        {
            if (_time.Now() - _began >= Interval)
                BeginInterval();
            if (by is null)
            {
                int count = _unasked.GetValueOrDefault(action) + 1;
                _unasked[action] = count;
                if (count > UnaskedPerHour)
                    return false;
            }

            Emit(action, by, subject, publicKey, message);
            return true;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
            BeginInterval();
        _file?.Dispose();
        Entries.Complete();
    }

    private void BeginInterval()
    {
        foreach ((AuditAction action, int count) in _unasked)
        {
            if (count <= UnaskedPerHour)
                continue;
            string message = FormattableString.Invariant($"{count - UnaskedPerHour:N0} more of this kind within an hour were left out");
            Emit(action, null, string.Empty, null, message);
        }

        _unasked.Clear();
        _began = _time.Now();
    }

    private void Emit(AuditAction action, string? by, string subject, string? publicKey, string message)
    {
        DateTimeOffset now = _time.GetLocalNow();
        Entries.Add(sequence =>
        {
            var entry = new AuditEntry(
                sequence, now, _tunnel, action, Shown(by), LogText.OneLine(subject), publicKey, LogText.OneLine(message));
            _file?.Information("{Line}", AuditFile.Line(entry));
            return entry;
        });
    }

    private static string? Shown(string? by) => by is null ? null : LogText.OneLine(by);
}

/// <summary>An audit log's lines.</summary>
internal static class AuditFile
{
    private const long LongestRead = 4_000_000;

    /// <summary>The entry as one line.</summary>
    public static string Line(AuditEntry entry) => JsonSerializer.Serialize(entry, AuditJson.Default.AuditEntry);

    /// <summary>
    /// The latest entries of a log's files, oldest first. A line that is none, as a machine lost power or somebody
    /// wrote into it, is left out.
    /// </summary>
    /// <param name="files">The files, the oldest first.</param>
    /// <param name="most">Entries at most.</param>
    public static List<AuditEntry> Read(IReadOnlyList<string> files, int most)
    {
        var found = new List<AuditEntry>();
        foreach (string file in files.Reverse())
        {
            List<AuditEntry> entries = ReadOne(file);
            found.InsertRange(0, entries.TakeLast(most - found.Count));
            if (found.Count >= most)
                break;
        }

        return found;
    }

    private static List<AuditEntry> ReadOne(string file)
    {
        var entries = new List<AuditEntry>();
        try
        {
            using FileStream stream = LogFile.OpenToRead(file);
            if (stream.Length > LongestRead)
                stream.Seek(-LongestRead, SeekOrigin.End);
            using var reader = new StreamReader(stream);
            while (reader.ReadLine() is { } line)
            {
                if (Parse(line) is { } entry)
                    entries.Add(entry);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or LightTunnelException)
        {
            // What was told before is not to be had; what is told from now on is.
        }

        return entries;
    }

    private static AuditEntry? Parse(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, AuditJson.Default.AuditEntry) is { Subject: not null, Message: not null } entry
                && Enum.IsDefined(entry.Action)
                ? entry
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>How entries are written as JSON.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UseStringEnumConverter = true)]
[JsonSerializable(typeof(AuditEntry))]
internal sealed partial class AuditJson : JsonSerializerContext;
