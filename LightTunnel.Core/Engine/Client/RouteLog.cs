using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Routing;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Client;

/// <summary>Logs how every other client is reached, in the words that users were promised, when that has changed.</summary>
internal sealed class RouteLog(TunnelLog log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private bool _changed;
    private Timestamp _next;
    private (TunnelAddress Address, PathType Path)[] _logged = [];

    /// <summary>Something has changed.</summary>
    public void NoteChange() => _changed = true;

    /// <summary>
    /// Logs what has changed, at most once in 10 s; returns when to call again. Who is offline has no route and is not counted.
    /// </summary>
    public Timestamp Run(Timestamp now, IReadOnlyCollection<Member> peers)
    {
        if (!_changed)
            return Timestamp.Never;
        if (now < _next)
            return _next;
        _changed = false;
        Member[] online = [.. peers.Where(member => member.PathType != PathType.Offline).OrderBy(member => member.Addresses[0])];
        (TunnelAddress, PathType)[] routes = [.. online.Select(member => (member.Addresses[0], member.PathType))];
        if (routes.SequenceEqual(_logged))
            return Timestamp.Never;
        _logged = routes;
        _next = now + Interval;

        log.RoutingStats(
            online.Length, online.Count(member => member.PathType is PathType.Direct or PathType.Lan),
            online.Count(member => member.PathType == PathType.Relay),
            online.Count(member => member.PathType == PathType.Server));
        foreach (Member member in online)
        {
            (string route, string status) = member.PathType switch
            {
                PathType.Lan => (ContractLog.RouteDirect, ContractLog.StatusLocal),
                PathType.Direct => (ContractLog.RouteDirect, ContractLog.StatusConnected),
                PathType.Relay => (ContractLog.RouteRelay, ContractLog.StatusConnected),
                _ => (ContractLog.RouteServer, ContractLog.StatusDisconnected),
            };
            log.RoutingStatsOfPeer(
                member.Addresses[0].ToIPAddress(), route, member.Quality, status, throughServer: route == ContractLog.RouteServer);
        }

        return Timestamp.Never;
    }
}
