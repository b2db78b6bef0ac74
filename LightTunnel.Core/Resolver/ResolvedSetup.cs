using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Timing;
using LightTunnel.Transport;

namespace LightTunnel.Resolver;

/// <summary>
/// Split DNS by systemd-resolved, which asks each link's nameservers for the link's own domains. What it is told belongs to the tunnel's
/// interface and goes with it, however the tunnel ends: there is nothing to be written down.
/// </summary>
/// <param name="interfaceName">The tunnel's interface.</param>
/// <param name="bus">systemd-resolved.</param>
/// <param name="log">The tunnel's log.</param>
/// <param name="time">The clock.</param>
[SupportedOSPlatform("linux")]
internal sealed class ResolvedSetup(string interfaceName, IResolvedBus bus, TunnelLog log, TimeProvider time) : IResolverSetup
{
    private const string Busy = "org.freedesktop.resolve1.LinkBusy";

    private readonly RepairLimit _limit = new();
    private ResolvedLink? _set;

    /// <inheritdoc/>
    public IReadOnlyList<string> Set(ResolverScope scope)
    {
        var problems = new List<string>();
        List<string> domains = [.. RoutingDomains.Allowed(scope, problems)];
        if (scope.AllNames)
            domains.Add(".");
        var wanted = new ResolvedLink(scope.ServersAt(loopback: false), domains, scope.AllNames);
        if (domains.Count == 0)
        {
            Restore();
            return problems;
        }

        if (wanted.Servers.Count == 0)
        {
            Restore();
            problems.Add("The network's names are not found by this machine's programs: this tunnel has no address to answer at yet.");
            return problems;
        }

        try
        {
            Tell(wanted, problems);
        }
        catch (ResolvedException exception)
        {
            problems.Add($"The network's names are not found by this machine's programs: {Explain(exception)}");
        }

        return problems;
    }

    /// <inheritdoc/>
    public void Restore()
    {
        if (_set is null)
            return;
        try
        {
            if (Index() is { } index)
                bus.Revert(index);
            _set = null;
        }
        catch (ResolvedException exception)
        {
            log.Warning("systemd-resolved keeps the network's names until {Interface} is gone: {Reason}", interfaceName, exception.Message);
        }
    }

    private void Tell(ResolvedLink wanted, List<string> problems)
    {
        int index = Index() ?? throw new ResolvedException(string.Empty, $"there is no interface {interfaceName} here");
        ResolvedLink present = bus.Read(index);
        if (present == wanted)
        {
            _set = wanted;
            return;
        }

        Timestamp now = time.Now();
        bool isRepair = _set == wanted;
        if (isRepair && !_limit.MayRepair(now))
        {
            _limit.LeaveAlone(now);
            problems.Add(
                $"Somebody takes the network's names away from {interfaceName} again and again (resolvectl status {interfaceName}): they "
                    + $"were set {RepairLimit.Most} times within a minute, and are left alone for {RepairLimit.Truce.TotalMinutes:0} "
                    + $"minutes. Keep what manages networks here, NetworkManager or systemd-networkd, away from {interfaceName}.");
            return;
        }

        bus.Set(index, wanted);
        if (isRepair)
        {
            _limit.Note(now);
            log.Warning("Somebody told systemd-resolved otherwise of {Interface}: the network's names are set again", interfaceName);
        }
        else
        {
            log.Information("systemd-resolved looks up {Domains} in the tunnel", string.Join(", ", wanted.Domains));
        }

        _set = wanted;
    }

    private int? Index() => LibC.InterfaceNameToIndex(interfaceName) is > 0 and uint index ? (int)index : null;

    private string Explain(ResolvedException exception) => exception.Name == Busy
        ? $"systemd-networkd manages {interfaceName}. Give it a file in /etc/systemd/network with [Match] Name={interfaceName} and [Link] "
            + "Unmanaged=yes, that comes before the others."
        : $"systemd-resolved says '{LogText.OneLine(exception.Message)}'. See journalctl -u systemd-resolved, and ask with Resolve-LtName "
            + "meanwhile.";
}
