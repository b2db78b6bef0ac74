using System.Net;
using LightTunnel.Routing;

namespace LightTunnel.Engine.Control;

/// <summary>
/// Something that changed in a tunnel: how a peer is reached, or where the tunnel stands. Either <see cref="Route"/> or
/// <see cref="State"/> is there.
/// </summary>
public sealed record TunnelChange
{
    /// <summary>Number of the change in its tunnel, rising by one.</summary>
    public required long Sequence { get; init; }

    /// <summary>When it happened.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>Name of the tunnel.</summary>
    public required string Tunnel { get; init; }

    /// <summary>How a peer is reached now, or null.</summary>
    public RouteChange? Route { get; init; }

    /// <summary>Where the tunnel stands now, or null.</summary>
    public StateChange? State { get; init; }
}

/// <summary>The tunnel stands elsewhere.</summary>
/// <param name="Old">Where it stood.</param>
/// <param name="New">Where it stands.</param>
/// <param name="Reason">What went wrong, or null.</param>
public sealed record StateChange(TunnelState Old, TunnelState New, string? Reason);

/// <summary>A peer came, went, or is reached another way.</summary>
public sealed record RouteChange
{
    /// <summary>The peer's name in the directory.</summary>
    public required string Peer { get; init; }

    /// <summary>True for the network's server.</summary>
    public bool IsServer { get; init; }

    /// <summary>The prefixes that are routed to the peer, "10.0.0.20/32".</summary>
    public required IReadOnlyList<string> Destinations { get; init; }

    /// <summary>How the peer was reached; null when it was not known before.</summary>
    public RoutePath? Old { get; init; }

    /// <summary>How the peer is reached now; null when it is no member any more.</summary>
    public RoutePath? New { get; init; }

    /// <summary>Smoothed round trip at that moment, null until measured.</summary>
    public TimeSpan? RoundTrip { get; init; }

    /// <summary>Share of recent probes that were not answered at that moment, 0..1, null until measured.</summary>
    public double? Loss { get; init; }

    /// <summary>Quality of the path at that moment, 0..150.</summary>
    public int Quality { get; init; }
}

/// <summary>The path that is in use to a peer.</summary>
/// <param name="Type">What kind it is.</param>
/// <param name="Endpoint">Outer endpoint that datagrams for the peer are sent to; the relay's when relayed; null when none.</param>
/// <param name="Reason">Why it is that path.</param>
public sealed record RoutePath(PathType Type, IPEndPoint? Endpoint, PathReason Reason)
{
    /// <summary>Name of the member that passes datagrams on, or null.</summary>
    public string? Via { get; init; }
}
