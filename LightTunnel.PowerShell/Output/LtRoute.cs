using LightTunnel.Management;
using LightTunnel.Routing;

namespace LightTunnel;

/// <summary>One destination and how it is reached, at one moment. Its text is its destination.</summary>
public sealed class LtRoute
{
    internal LtRoute(RouteStatus status)
    {
        Network = status.Tunnel;
        Destination = status.Destination;
        Type = (LtRouteType)status.Type;
        Reason = (LtPathReason)status.Reason;
        ReasonText = status.Reason.Sentence();
        NextHop = status.NextHop?.ToString();
        Peer = status.Peer;
        Endpoint = status.Endpoint?.ToString();
        Hops = status.Hops;
        RTT = status.RoundTrip;
        Loss = status.Loss;
        Quality = status.Type is RouteType.Offline or RouteType.Own ? null : status.Quality;
        State = (LtRouteState)status.State;
        IsSubnet = status.IsSubnet;
        Standing = (LtRouteStanding)status.Standing;
        StandingReason = status.StandingReason;
        RecommendedAction = status.RecommendedAction;
        PublicKey = status.PublicKey;
        Interface = status.InterfaceName;
        InterfaceIndex = status.InterfaceIndex;
        Updated = status.Updated;
    }

    /// <summary>Name of the tunnel that the route belongs to.</summary>
    public string Network { get; }

    /// <summary>The prefix, "10.0.0.20/32".</summary>
    public string Destination { get; }

    /// <summary>How it is reached; Offline when it is not.</summary>
    public LtRouteType Type { get; }

    /// <summary>Why it is reached that way.</summary>
    public LtPathReason Reason { get; }

    /// <summary>The same as a sentence.</summary>
    public string ReasonText { get; }

    /// <summary>Tunnel address of the node that packets go to next: the peer itself, or the relay; null when it is not reached.</summary>
    public string? NextHop { get; }

    /// <summary>Name of the peer that owns the destination.</summary>
    public string Peer { get; }

    /// <summary>Outer endpoint in use, null when none.</summary>
    public string? Endpoint { get; }

    /// <summary>Nodes between: 0 direct, 1 relayed; null when it is not reached.</summary>
    public int? Hops { get; }

    /// <summary>Smoothed round trip, null until measured.</summary>
    public TimeSpan? RTT { get; }

    /// <summary>Share of recent probes that were not answered, 0..1, null until measured.</summary>
    public double? Loss { get; }

    /// <summary>Quality of the path, 0..150; null when it is not reached.</summary>
    public int? Quality { get; }

    /// <summary>What the path is known to do.</summary>
    public LtRouteState State { get; }

    /// <summary>True for a network that lies behind a node, false for a node's own address.</summary>
    public bool IsSubnet { get; }

    /// <summary>What becomes of it here: Active is routed, all else is not.</summary>
    public LtRouteStanding Standing { get; }

    /// <summary>Why, as a sentence; null where there is nothing to say.</summary>
    public string? StandingReason { get; }

    /// <summary>What to do about it, or null.</summary>
    public string? RecommendedAction { get; }

    /// <summary>The public key of the peer that owns the destination, base64.</summary>
    public string? PublicKey { get; }

    /// <summary>Name of the tunnel interface.</summary>
    public string? Interface { get; }

    /// <summary>System index of the tunnel interface.</summary>
    public int InterfaceIndex { get; }

    /// <summary>When the route last changed.</summary>
    public DateTimeOffset Updated { get; }

    /// <summary>The destination.</summary>
    public override string ToString() => Destination;
}
