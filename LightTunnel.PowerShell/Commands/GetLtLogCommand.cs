using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Shows what tunnels of this machine have logged.</summary>
/// <remarks>
/// <para>Each tunnel keeps its latest entries in memory, whether or not it also logs to a file (-LogPath of Start-LtServer and
/// Connect-LtNetwork). Entries of several tunnels are shown in the order of their time.</para>
/// <para>What matters for security - refusals, changed keys, floods, refused prefixes and folders - is kept in a log of its own as well, so
/// little of each kind that no flood erases the rest: -Category Security shows it. It is also written to a file, security.log beside the
/// log file (name.security.log), or in the state folder when there is none.</para>
/// <para>What was done to a server's network - who became a member and by which invitation, who was blocked or removed, and by whom - is
/// its audit log: -Category Audit shows it as objects, also from before the server was started again. It is in the same place as the
/// security log, audit.log or name.audit.log, one JSON object a line. A client has none.</para>
/// <para>With -Follow the command goes on showing new entries until Ctrl+C, or until the tunnels have stopped.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtLog -Tail 2
///
/// Time         Level       Message
/// ----         -----       -------
/// 10:00:00.120 Information Received peer info from server: 10.0.0.20 at
///                          1.2.3.4:19001
/// 10:00:00.164 Information P2P connection established with 10.0.0.20 via
///                          1.2.3.4:19001</code>
/// <para>Shows the last two entries.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtLog laptop -Level Warning -Tail 0 -Follow</code>
/// <para>Waits for new warnings and errors of one tunnel.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtLog -Category Security -Tail 1
///
/// Time         Level       Message
/// ----         -----       -------
/// 10:00:00.120 Warning     KeyChanged: The key of nas (10.0.0.20) is mKOqHxc0ggLc
///                          S6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg= now, and was s+xEZ2ns
///                          fyaNB1Bb0hLhUC/Kxd6Cm4CZsTDR9lPUV3o=: another machine,
///                          or somebody in between</code>
/// <para>Shows the last thing that mattered for security.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtLog -Category Audit
///
/// Time                Action            Subject              By
/// ----                ------            -------              --
/// 2026-01-31 10:00:00 InvitationCreated 1f2e3d4c             root (sudo of anna)
/// 2026-01-31 10:02:14 Joined            laptop
/// 2026-01-31 17:45:03 Blocked           laptop               root (sudo of anna)</code>
/// <para>Shows what was done to the network's members.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtLog office -Category Audit | Where-Object Action -eq Blocked |
///         Format-List Time, By, Subject, PublicKey</code>
/// <para>Shows whom admins have blocked, and with which keys.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtLog", DefaultParameterSetName = "Name")]
[OutputType(typeof(LtLogEntry), typeof(LtAuditEntry))]
public sealed class GetLtLogCommand : LtCommand
{
    /// <summary>Name of the tunnel, a server or a joined network; wildcards are allowed. All when left out.</summary>
    [Parameter(Position = 0, ParameterSetName = "Name")]
    [Alias("Network")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(TunnelNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>A server or a joined network, as Get-LtServer or Get-LtNetwork returned it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    [NotSecret]
    public LtTunnel? InputObject { get; set; }

    /// <summary>Shows only the last entries, as many as this says. All that are kept when left out.</summary>
    [Parameter]
    [Alias("Last")]
    [ValidateRange(0, int.MaxValue)]
    [NotSecret]
    public int Tail { get; set; } = int.MaxValue;

    /// <summary>
    /// Least important level to show: Debug, Information, Warning or Error. All that was logged when left out. Entries for security and
    /// audit have no levels.
    /// </summary>
    [Parameter]
    [NotSecret]
    public LtLogLevel Level { get; set; }

    /// <summary>Goes on showing new entries until Ctrl+C, or until the tunnels have stopped.</summary>
    [Parameter]
    [Alias("Wait")]
    [NotSecret]
    public SwitchParameter Follow { get; set; }

    /// <summary>
    /// Which log: Tunnel, all that the tunnel tells; Security, what matters for security, kept for longer; Audit, what was done to the
    /// network's members, and by whom, on its server. Tunnel when left out.
    /// </summary>
    [Parameter]
    [NotSecret]
    public LtLogCategory Category { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[]? names, LtTunnel? tunnel, int tail, bool follow) = (Name, InputObject, Tail, Follow.IsPresent);
        var level = (LogLevel)Level;
        LtLogCategory category = Category;
        Run(async (output, cancellationToken) =>
        {
            IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.FindAsync(
                output, null, names, tunnel, cancellationToken).ConfigureAwait(false);
            await (category switch
            {
                LtLogCategory.Audit => ShowAsync(output, tunnels, handle => new AuditView(handle), tail, follow, cancellationToken),
                LtLogCategory.Security => ShowAsync(output, tunnels, handle => new SecurityView(handle), tail, follow, cancellationToken),
                _ => ShowAsync(output, tunnels, handle => new LogView(handle, level), tail, follow, cancellationToken),
            }).ConfigureAwait(false);
        });
    }

    private static async Task ShowAsync(
        CommandOutput output, IReadOnlyList<ITunnelHandle> tunnels, Func<ITunnelHandle, View> open, int tail, bool follow,
        CancellationToken cancellationToken)
    {
        IReadOnlyList<View> views = await TunnelFinder.AskAllAsync<View>(output, tunnels, async handle =>
        {
            View view = open(handle);
            await view.BeginAsync(tail, cancellationToken).ConfigureAwait(false);
            return [view];
        }).ConfigureAwait(false);
        IEnumerable<Shown> entries = views.SelectMany(view => view.First).OrderBy(entry => entry.Time).ThenBy(entry => entry.Sequence);
        foreach (Shown entry in entries.TakeLast(tail))
            output.WriteObject(entry.Object);
        if (follow)
            await Task.WhenAll(views.Select(view => FollowAsync(output, view, cancellationToken))).ConfigureAwait(false);
    }

    private static async Task FollowAsync(CommandOutput output, View view, CancellationToken cancellationToken)
    {
        while (await view.WaitAsync(cancellationToken).ConfigureAwait(false) is { } entries)
        {
            foreach (Shown entry in entries)
                output.WriteObject(entry.Object);
        }
    }

    /// <summary>An entry as it is put out, and what orders it among others.</summary>
    private sealed record Shown(object Object, DateTimeOffset Time, long Sequence);

    /// <summary>One tunnel's log of one category, from which is read what is there and then what comes.</summary>
    private abstract class View
    {
        /// <summary>What was there.</summary>
        public IReadOnlyList<Shown> First { get; protected set; } = [];

        /// <summary>Reads the last entries, and notes where to follow from, so that no entry falls between.</summary>
        public abstract Task BeginAsync(int tail, CancellationToken cancellationToken);

        /// <summary>Waits for what comes; null when no more will.</summary>
        public abstract Task<IReadOnlyList<Shown>?> WaitAsync(CancellationToken cancellationToken);

        protected static Shown Of(LogEntry entry) => new(new LtLogEntry(entry), entry.Time, entry.Sequence);
    }

    private sealed class LogView(ITunnelHandle tunnel, LogLevel level) : View
    {
        private long _last;

        public override async Task BeginAsync(int tail, CancellationToken cancellationToken)
        {
            IReadOnlyList<LogEntry> newest = await tunnel.ReadLogAsync(0, LogLevel.Debug, 1, cancellationToken).ConfigureAwait(false);
            _last = newest.Count == 0 ? 0 : newest[^1].Sequence;
            if (tail == 0)
                return;
            IReadOnlyList<LogEntry> entries = await tunnel.ReadLogAsync(0, level, tail, cancellationToken).ConfigureAwait(false);
            First = [.. entries.Select(Of)];
            _last = entries.Count == 0 ? _last : Math.Max(_last, entries[^1].Sequence);
        }

        public override async Task<IReadOnlyList<Shown>?> WaitAsync(CancellationToken cancellationToken)
        {
            IReadOnlyList<LogEntry> entries = await tunnel.WaitForLogAsync(_last, level, cancellationToken).ConfigureAwait(false);
            if (entries.Count == 0)
                return null;
            _last = entries[^1].Sequence;
            return [.. entries.Select(Of)];
        }
    }

    /// <summary>Each entry is a warning in the tunnel's log as well, and there a moment later: that is what is waited for.</summary>
    private sealed class SecurityView(ITunnelHandle tunnel) : View
    {
        private long _last;
        private long _seen;

        public override async Task BeginAsync(int tail, CancellationToken cancellationToken)
        {
            IReadOnlyList<LogEntry> newest = await tunnel.ReadLogAsync(0, LogLevel.Debug, 1, cancellationToken).ConfigureAwait(false);
            _last = newest.Count == 0 ? 0 : newest[^1].Sequence;
            IReadOnlyList<LogEntry> kept = await tunnel.ReadSecurityLogAsync(Math.Max(tail, 1), cancellationToken).ConfigureAwait(false);
            _seen = kept.Count == 0 ? 0 : kept[^1].Sequence;
            First = tail == 0 ? [] : [.. kept.Select(Of)];
        }

        public override async Task<IReadOnlyList<Shown>?> WaitAsync(CancellationToken cancellationToken)
        {
            IReadOnlyList<LogEntry> warnings = await tunnel.WaitForLogAsync(
                _last, LogLevel.Warning, cancellationToken).ConfigureAwait(false);
            if (warnings.Count == 0)
                return null;
            _last = warnings[^1].Sequence;
            IReadOnlyList<LogEntry> kept = await tunnel.ReadSecurityLogAsync(int.MaxValue, cancellationToken).ConfigureAwait(false);
            Shown[] entries = [.. kept.Where(entry => entry.Sequence > _seen).Select(Of)];
            _seen = kept.Count == 0 ? _seen : kept[^1].Sequence;
            return entries;
        }
    }

    private sealed class AuditView(ITunnelHandle tunnel) : View
    {
        private long _last;

        public override async Task BeginAsync(int tail, CancellationToken cancellationToken)
        {
            IReadOnlyList<AuditEntry> kept = await tunnel.ReadAuditAsync(0, Math.Max(tail, 1), cancellationToken).ConfigureAwait(false);
            _last = kept.Count == 0 ? 0 : kept[^1].Sequence;
            First = tail == 0 ? [] : [.. kept.Select(Of)];
        }

        public override async Task<IReadOnlyList<Shown>?> WaitAsync(CancellationToken cancellationToken)
        {
            IReadOnlyList<AuditEntry> entries = await tunnel.WaitForAuditAsync(_last, cancellationToken).ConfigureAwait(false);
            if (entries.Count == 0)
                return null;
            _last = entries[^1].Sequence;
            return [.. entries.Select(Of)];
        }

        private static Shown Of(AuditEntry entry) => new(new LtAuditEntry(entry), entry.Time, entry.Sequence);
    }
}
