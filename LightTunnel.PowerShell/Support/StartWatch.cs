using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Tells the person at the prompt, and with -Verbose the script, what a tunnel does while it comes up.</summary>
/// <param name="output">Where to.</param>
/// <param name="name">The tunnel's name.</param>
/// <param name="activity">What is shown above the bar.</param>
/// <param name="limit">Time that it may take.</param>
internal sealed class StartWatch(CommandOutput output, string name, string activity, TimeSpan limit)
{
    private const int Id = 1;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>What comes up sooner needs no bar.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly ITunnelHandle[] _before = [.. TunnelCatalog.Local];
    private ITunnelHandle? _tunnel;
    private long _told;
    private string _latest = "The server has not answered yet.";

    /// <summary>Returns when the task has ended, however.</summary>
    public async Task UntilAsync(Task starting)
    {
        long begun = TimeProvider.System.GetTimestamp();
        bool isShown = false;
        while (await Task.WhenAny(starting, Task.Delay(Interval, CancellationToken.None)).ConfigureAwait(false) != starting)
        {
            await TellAsync().ConfigureAwait(false);
            TimeSpan took = TimeProvider.System.GetElapsedTime(begun);
            if (took < Patience)
                continue;
            isShown = true;
            output.WriteProgress(new ProgressRecord(Id, activity, _latest)
            {
                PercentComplete = Math.Clamp((int)(100 * took / limit), 0, 100),
                SecondsRemaining = Math.Max(0, (int)(limit - took).TotalSeconds),
            });
        }

        await TellAsync().ConfigureAwait(false);
        if (isShown)
            output.WriteProgress(new ProgressRecord(Id, activity, "Done") { RecordType = ProgressRecordType.Completed });
    }

    private async Task TellAsync()
    {
        _tunnel ??= TunnelCatalog.Local.FirstOrDefault(tunnel => NameFilter.Same(tunnel.Name, name) && !_before.Contains(tunnel));
        if (_tunnel is null)
            return;
        foreach (LogEntry entry in await _tunnel.ReadLogAsync(
            _told, LogLevel.Information, int.MaxValue, CancellationToken.None).ConfigureAwait(false))
        {
            _told = entry.Sequence;
            _latest = entry.Message;
            output.WriteVerbose(entry.Message);
        }
    }
}

/// <summary>Writes a tunnel's log to the host, which a service has in its journal.</summary>
internal static class HostLog
{
    /// <summary>The entries from now on; returns when the tunnel has stopped.</summary>
    public static async Task FollowAsync(CommandOutput output, ITunnelHandle tunnel, CancellationToken cancellationToken)
    {
        try
        {
            IReadOnlyList<LogEntry> newest = await tunnel.ReadLogAsync(0, LogLevel.Information, 1, cancellationToken).ConfigureAwait(false);
            long told = newest.Count == 0 ? 0 : newest[^1].Sequence;
            while (await tunnel.WaitForLogAsync(
                told, LogLevel.Information, cancellationToken).ConfigureAwait(false) is { Count: > 0 } entries)
            {
                foreach (LogEntry entry in entries)
                {
                    output.WriteHost(
                        entry.Level == LogLevel.Information
                            ? $"{entry.Tunnel}: {entry.Message}"
                            : $"{entry.Tunnel}: {entry.Level}: {entry.Message}");
                }
                told = entries[^1].Sequence;
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or LightTunnelException)
        {
            // The command ends.
        }
    }
}
