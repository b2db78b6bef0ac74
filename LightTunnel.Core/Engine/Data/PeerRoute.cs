using System.Collections.Immutable;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Packets;
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

    /// <summary>What may pass between it and this node, by the network's rules; null for everything.</summary>
    public PeerAccess? Access { get; init; }

    /// <summary>
    /// What may pass through this node between it and others, by the network's rules, which it does not know itself; null for everything.
    /// </summary>
    public PeerAccess? Guard { get; init; }

    /// <summary>
    /// How far away it is: the shortest round trip that was measured on the path in use, as those behind a queue tell of the queue. Ticks
    /// of a <see cref="TimeSpan"/>, 0 when unknown.
    /// </summary>
    public long RoundTrip { get; init; }

    /// <summary>Who passes on what is sent to it, and is thus used too; null when nobody is known to.</summary>
    public RouteTarget? Carrier { get; init; }

    /// <summary>True for a plain WireGuard client, as its server sees it: it has no control channel.</summary>
    public bool IsPlain { get; init; }

    /// <summary>
    /// True when packets between it and other peers pass through this node, which opens them and seals them again (<see cref="Resealer"/>).
    /// </summary>
    public bool IsResealed { get; init; }

    /// <summary>
    /// True for a packet that is longer than what passes and whose sender can be told to make it shorter. All else passes, in pieces
    /// outside where the path is too narrow: IPv4 without the don't-fragment flag, and what IPv6 must be able to count on (RFC 8200
    /// section 5).
    /// </summary>
    /// <param name="length">Length of the packet, or of the longest of those that it is cut into.</param>
    /// <param name="info">What its headers say.</param>
    /// <param name="mtu">What passes.</param>
    public bool IsTooBig(int length, in IpPacketInfo info, out int mtu)
    {
        mtu = info.IsIPv4 ? Mtu : Math.Max(Mtu, TunnelOptions.MinimumMtu);
        return length > NetworkMtu || (length > mtu && info.DontFragment);
    }

    /// <summary>
    /// Its own address, of the same family if it has one, when the source lies behind it; null when the source is its own.
    /// </summary>
    public TunnelAddress? WhoHasBehind(TunnelAddress source)
    {
        if (Allows(source) || Owned.IsEmpty)
            return null;
        TunnelAddress found = Owned[0].Network;
        foreach (IpPrefix own in Owned)
            found = own.Network.IsIPv4 == source.IsIPv4 ? own.Network : found;
        return found;
    }

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
