using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Shows what tunnels of this machine have logged.</summary>
/// <remarks>
/// <para>Each tunnel keeps its latest entries in memory, whether or not it also logs to a file (-LogPath of Start-LtServer and
/// Connect-LtNetwork). Entries of several tunnels are shown in the order of their time.</para>
/// <para>What matters for security - refusals, changed keys, floods, refused prefixes and folders - is kept in a log of its own as well, so
/// little of each kind that no flood erases the rest: -Security shows it. It is also written to a file, security.log beside the log file
/// (name.security.log), or in the state folder when there is none.</para>
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
/// <code>PS> Get-LtLog -Security -Tail 1
///
/// Time         Level       Message
/// ----         -----       -------
/// 10:00:00.120 Warning     KeyChanged: The key of nas (10.0.0.20) is mKOqHxc0ggLc
///                          S6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg= now, and was s+xEZ2ns
///                          fyaNB1Bb0hLhUC/Kxd6Cm4CZsTDR9lPUV3o=: another machine,
///                          or somebody in between</code>
/// <para>Shows the last thing that mattered for security.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtLog", DefaultParameterSetName = "Name")]
[OutputType(typeof(LtLogEntry))]
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

    /// <summary>Least important level to show: Debug, Information, Warning or Error. All that was logged when left out.</summary>
    [Parameter]
    [NotSecret]
    public LtLogLevel Level { get; set; }

    /// <summary>Goes on showing new entries until Ctrl+C, or until the tunnels have stopped.</summary>
    [Parameter]
    [Alias("Wait")]
    [NotSecret]
    public SwitchParameter Follow { get; set; }

    /// <summary>Shows only what matters for security, which is kept for longer.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Security { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        bool security = Security.IsPresent;
        (string[]? names, LtTunnel? tunnel, int tail, var level, bool follow) =
            (Name, InputObject, Tail, (LogLevel)Level, Follow.IsPresent);
        Run(async (output, cancellationToken) =>
        {
            IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.FindAsync(
                output, null, names, tunnel, cancellationToken).ConfigureAwait(false);
            IReadOnlyList<Shown> all = await TunnelFinder.AskAllAsync<Shown>(output, tunnels, async handle =>
                [await ReadAsync(handle, level, tail, security, cancellationToken).ConfigureAwait(false)]).ConfigureAwait(false);
            IEnumerable<LogEntry> entries = all.SelectMany(shown => shown.Entries)
                .OrderBy(entry => entry.Time)
                .ThenBy(entry => entry.Sequence);
            foreach (LogEntry entry in entries.TakeLast(tail))
                output.WriteObject(new LtLogEntry(entry));
            if (follow)
            {
                await Task.WhenAll(all.Select(shown => security
                    ? FollowSecurityAsync(output, shown, cancellationToken)
                    : FollowAsync(output, shown, level, cancellationToken))).ConfigureAwait(false);
            }
        });
    }

    private static async Task<Shown> ReadAsync(
        ITunnelHandle tunnel, LogLevel level, int tail, bool security, CancellationToken cancellationToken)
    {
        // Where to follow from is asked first, so that no entry falls between.
        IReadOnlyList<LogEntry> newest = await tunnel.ReadLogAsync(0, LogLevel.Debug, 1, cancellationToken).ConfigureAwait(false);
        if (security)
        {
            IReadOnlyList<LogEntry> kept = await tunnel.ReadSecurityLogAsync(Math.Max(tail, 1), cancellationToken).ConfigureAwait(false);
            return new Shown(
                tunnel, tail == 0 ? [] : kept, newest.Count == 0 ? 0 : newest[^1].Sequence, kept.Count == 0 ? 0 : kept[^1].Sequence);
        }

        IReadOnlyList<LogEntry> entries = tail == 0
            ? []
            : await tunnel.ReadLogAsync(0, level, tail, cancellationToken).ConfigureAwait(false);
        long last = Math.Max(newest.Count == 0 ? 0 : newest[^1].Sequence, entries.Count == 0 ? 0 : entries[^1].Sequence);
        return new Shown(tunnel, entries, last);
    }

    private static async Task FollowAsync(CommandOutput output, Shown shown, LogLevel level, CancellationToken cancellationToken)
    {
        long last = shown.Last;
        while (true)
        {
            IReadOnlyList<LogEntry> entries = await shown.Tunnel.WaitForLogAsync(last, level, cancellationToken).ConfigureAwait(false);
            if (entries.Count == 0)
                return;
            foreach (LogEntry entry in entries)
                output.WriteObject(new LtLogEntry(entry));
            last = entries[^1].Sequence;
        }
    }

    /// <summary>Each entry is a warning in the tunnel's log as well, and there a moment later: that is what is waited for.</summary>
    private static async Task FollowSecurityAsync(CommandOutput output, Shown shown, CancellationToken cancellationToken)
    {
        (long last, long seen) = (shown.Last, shown.LastOfSecurity);
        while (true)
        {
            IReadOnlyList<LogEntry> entries = await shown.Tunnel.WaitForLogAsync(
                last, LogLevel.Warning, cancellationToken).ConfigureAwait(false);
            if (entries.Count == 0)
                return;
            last = entries[^1].Sequence;
            foreach (LogEntry entry in await shown.Tunnel.ReadSecurityLogAsync(int.MaxValue, cancellationToken).ConfigureAwait(false))
            {
                if (entry.Sequence <= seen)
                    continue;
                output.WriteObject(new LtLogEntry(entry));
                seen = entry.Sequence;
            }
        }
    }

    /// <summary>What was read of one tunnel, and the sequence numbers to follow from.</summary>
    private sealed record Shown(ITunnelHandle Tunnel, IReadOnlyList<LogEntry> Entries, long Last, long LastOfSecurity = 0);
}
