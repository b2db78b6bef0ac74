using System.Collections.Immutable;
using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Data;

/// <summary>
/// What data threads need to know to carry packets to and from somebody: a peer, this node itself, or whoever has an address that nobody is
/// known to have. Never changed after it was made: the control loop publishes another one (<see cref="RouteTarget.Route"/>).
/// </summary>
internal sealed record PeerRoute
{
    /// <summary>This node itself.</summary>
    public static PeerRoute Own { get; } = new() { NextHop = NextHop.Tun };

    /// <summary>Nobody.</summary>
    public static PeerRoute Nobody { get; } = new() { NextHop = NextHop.Link, Verdict = RouteVerdict.Refuse };

    /// <summary>Where packets go next.</summary>
    public required NextHop NextHop { get; init; }

    /// <summary>What becomes of packets for it.</summary>
    public RouteVerdict Verdict { get; init; }

    /// <summary>Seals and opens, and knows the path in use; null until somebody needs it.</summary>
    public Link? Link { get; init; }

    /// <summary>Longest inner packet that passes whole by the path in use, bytes.</summary>
    public int Mtu { get; init; }

    /// <summary>Longest inner packet that the network carries, bytes.</summary>
    public int NetworkMtu { get; init; }

    /// <summary>What is routed to it.</summary>
    public ImmutableArray<IpPrefix> Owned { get; init; } = [];

    /// <summary>Which inner sources its packets may have (crypto-key routing, WireGuard paper section 2).</summary>
    public ImmutableArray<IpPrefix> Allowed { get; init; } = [];

    /// <summary>
    /// How far away it is: the shortest round trip that was measured on the path in use, as those behind a queue tell of the queue. Ticks
    /// of a <see cref="TimeSpan"/>, 0 when unknown.
    /// </summary>
    public long RoundTrip { get; init; }

    /// <summary>Who passes on what is sent to it, and is thus used too; null when nobody is known to.</summary>
    public RouteTarget? Carrier { get; init; }

    /// <summary>True when its packets may have this inner source.</summary>
    public bool Allows(TunnelAddress source)
    {
        foreach (IpPrefix prefix in Allowed)
        {
            if (prefix.Contains(source))
                return true;
        }

        return false;
    }
}
