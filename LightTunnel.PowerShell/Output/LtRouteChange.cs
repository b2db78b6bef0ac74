using LightTunnel.Engine.Control;
using LightTunnel.Management;
using LightTunnel.Routing;

namespace LightTunnel;

/// <summary>
/// A route that came, went, or takes another path, as Watch-LtRoute and the event RouteChanged tell it. Its text is "10.0.0.20/32:
/// Server -> Direct".
/// </summary>
public sealed class LtRouteChange
{
    private LtRouteChange(string network, string destination, string peer, LtRouteChangeKind kind, RoutePath? old, RoutePath? now)
    {
        Network = network;
        Destination = destination;
        Peer = peer;
        Kind = kind;
        OldPath = (LtPathType?)old?.Type;
        OldType = TypeOf(old);
        OldEndpoint = old?.Endpoint?.ToString();
        Path = (LtPathType)(now?.Type ?? PathType.Offline);
        Type = TypeOf(now);
        Endpoint = now?.Endpoint?.ToString();
        Via = now?.Via;
        PathReason reason = now?.Reason ?? PathReason.PeerOffline;
        Reason = (LtPathReason)reason;
        ReasonText = reason.Sentence();
    }

    /// <summary>When it happened.</summary>
    public DateTimeOffset Time { get; private init; }

    /// <summary>Name of the tunnel that the route belongs to.</summary>
    public string Network { get; }

    /// <summary>The prefix, "10.0.0.20/32".</summary>
    public string Destination { get; }

    /// <summary>Name of the peer that owns the destination.</summary>
    public string Peer { get; }

    /// <summary>True for the network's server.</summary>
    public bool IsServer { get; private init; }

    /// <summary>What happened to the route.</summary>
    public LtRouteChangeKind Kind { get; }

    /// <summary>The kind of path that was in use, null for a new route.</summary>
    public LtPathType? OldPath { get; }

    /// <summary>The kind of path that is in use.</summary>
    public LtPathType Path { get; }

    /// <summary>How the destination was reached, Offline when it was not; null for a new route.</summary>
    public LtRouteType? OldType { get; }

    /// <summary>How the destination is reached, Offline when it is not; null when the route is gone.</summary>
    public LtRouteType? Type { get; }

    /// <summary>Outer endpoint that was in use, null when none.</summary>
    public string? OldEndpoint { get; }

    /// <summary>Outer endpoint in use; the relay's when relayed; null when none.</summary>
    public string? Endpoint { get; }

    /// <summary>Name of the member that passes datagrams on, or null.</summary>
    public string? Via { get; }

    /// <summary>Why it is that path.</summary>
    public LtPathReason Reason { get; }

    /// <summary>The same as a sentence.</summary>
    public string ReasonText { get; }

    /// <summary>Smoothed round trip at that moment, null until measured.</summary>
    public TimeSpan? RTT { get; private init; }

    /// <summary>Share of recent probes that were not answered at that moment, 0..1, null until measured.</summary>
    public double? Loss { get; private init; }

    /// <summary>Quality of the path at that moment, 0..150; null when the destination is not reached.</summary>
    public int? Quality { get; private init; }

    /// <summary>Destination, and the kinds of path before and now.</summary>
    public override string ToString() => OldPath is null ? $"{Destination}: {Path}" : $"{Destination}: {OldPath} -> {Path}";

    /// <summary>A change of the engine, one for each destination of the peer; none for a change of state.</summary>
    internal static IEnumerable<LtRouteChange> Of(TunnelChange change) =>
        change.Route is not { } route ? [] : route.Destinations.Select(destination =>
            new LtRouteChange(change.Tunnel, destination, route.Peer, KindOf(route), route.Old, route.New)
            {
                Time = change.Time,
                IsServer = route.IsServer,
                RTT = route.RoundTrip,
                Loss = route.Loss,
                Quality = route.New is null or { Type: PathType.Offline } ? null : route.Quality,
            });

    /// <summary>The routes to a peer as they are.</summary>
    internal static IEnumerable<LtRouteChange> Current(PeerStatus peer, DateTimeOffset now) => peer.Routes.Select(destination =>
        new LtRouteChange(
            peer.Tunnel, destination, peer.Name, LtRouteChangeKind.Current, null,
            new RoutePath(peer.Path, peer.Endpoint, peer.PathReason) { Via = peer.Via })
        {
            Time = now,
            IsServer = peer.IsServer,
            RTT = peer.RoundTrip,
            Loss = peer.Loss,
            Quality = peer.Path == PathType.Offline ? null : peer.Quality,
        });

    private static LtRouteChangeKind KindOf(RouteChange route) =>
        route.Old is null ? LtRouteChangeKind.Added : route.New is null ? LtRouteChangeKind.Removed : LtRouteChangeKind.Changed;

    private static LtRouteType? TypeOf(RoutePath? path) => path?.Type switch
    {
        PathType.Lan or PathType.Direct => LtRouteType.Direct,
        PathType.Relay => LtRouteType.Relay,
        PathType.Server => LtRouteType.Server,
        PathType.Offline => LtRouteType.Offline,
        _ => null,
    };
}
