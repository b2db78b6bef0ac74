using System.Globalization;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Services;
using Microsoft.Extensions.Hosting.Systemd;
using SystemdState = Microsoft.Extensions.Hosting.Systemd.ServiceState;

namespace LightTunnel.Host;

/// <summary>
/// Looks after a tunnel while it runs: tells systemd how it is, and that its control loop still turns (the watchdog of sd_notify(3)), and
/// stops it once when a newer version of the program is there.
/// </summary>
/// <param name="notifier">Tells systemd; nobody where there is none.</param>
/// <param name="updates">Knows of newer versions.</param>
/// <param name="log">Is told of them.</param>
/// <param name="time">The clock.</param>
internal sealed class TunnelWatch(ISystemdNotifier notifier, HostUpdateWatch updates, ServiceLog log, TimeProvider time)
{
    /// <summary>How often newer versions are looked for.</summary>
    private static readonly TimeSpan UpdateInterval = TimeSpan.FromMinutes(1);

    /// <summary>The version that the process is to be started anew for; null for none.</summary>
    public Version? NewerVersion { get; private set; }

    /// <summary>Watches until the tunnel stops, or is to be left alone.</summary>
    public async Task RunAsync(ITunnelHandle tunnel, CancellationToken cancellationToken)
    {
        TimeSpan? watchdog = WatchdogInterval(Environment.GetEnvironmentVariable("WATCHDOG_USEC"));
        TimeSpan turn = watchdog ?? UpdateInterval;
        using var timer = new PeriodicTimer(turn, time);
        TimeSpan sinceLook = TimeSpan.Zero;
        try
        {
            do
            {
                TunnelStatus status = await tunnel.GetStatusAsync(cancellationToken).ConfigureAwait(false);
                notifier.Notify(new SystemdState($"STATUS={Describe(status)}"));
                if (watchdog is not null)
                    notifier.Notify(new SystemdState("WATCHDOG=1"));
                sinceLook += turn;
                if (sinceLook < UpdateInterval)
                    continue;
                sinceLook = TimeSpan.Zero;
                if (updates.Look() is { } newer)
                {
                    NewerVersion = newer;
                    log.Write(
                        LogLevel.Information,
                        $"LightTunnel {newer} is there, this is {HostUpdate.Running}: the service is started anew once, with the new one.");
                    await tunnel.StopAsync(cancellationToken).ConfigureAwait(false);
                    return;
                }
            }
            while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false));
        }
        catch (Exception exception) when (exception is OperationCanceledException or LightTunnelException)
        {
            // The tunnel is stopped, and the process about to end.
        }
    }

    /// <summary>Half of what systemd allows, as it recommends; null when it watches nothing.</summary>
    internal static TimeSpan? WatchdogInterval(string? microseconds) =>
        long.TryParse(microseconds, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number > 0
            ? TimeSpan.FromMicroseconds(number / 2)
            : null;

    /// <summary>One line for "systemctl status".</summary>
    internal static string Describe(TunnelStatus status)
    {
        string state = status.Addresses.Count == 0 ? $"{status.State}" : $"{status.State}, {string.Join(", ", status.Addresses)}";
        return (status.LastError is { } error ? $"{state}: {error}" : state).ReplaceLineEndings(" ");
    }
}
