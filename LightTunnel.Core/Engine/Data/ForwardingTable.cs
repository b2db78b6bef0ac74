using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;

namespace LightTunnel.Engine.Data;

/// <summary>What is to be done with an inner packet.</summary>
internal enum ForwardingDecision : byte
{
    /// <summary>It goes to the target; one that a peer sent goes into this machine.</summary>
    Carry,

    /// <summary>A peer sent it for another peer, to whom it is sealed again.</summary>
    Reseal,

    /// <summary>It is dropped: nobody has the destination.</summary>
    NoRoute,

    /// <summary>It is dropped: nobody is at the destination now.</summary>
    Unreachable,

    /// <summary>It is dropped: this machine sent it to itself.</summary>
    OwnDestination,

    /// <summary>It is dropped: multicast and broadcast are not carried.</summary>
    Multicast,

    /// <summary>It is dropped: its source is not its sender's.</summary>
    WrongSource,

    /// <summary>It is dropped: who passes it on does so for somebody whom this node has not asked for yet.</summary>
    UnknownSource,

    /// <summary>It is dropped: a peer sent it here, but it is for somebody else.</summary>
    WrongDestination,
}

/// <summary>
/// Where inner packets go, this node's own addresses and peers' alike: one question for each direction. Immutable: the control loop
/// publishes a new one by a volatile write.
/// <para>
/// Networks behind nodes (<see cref="SubnetTable"/>) are asked for addresses outside of the tunnel's own network alone: whatever somebody
/// says to have behind him, no address of a member's and none of this node's is among it.
/// </para>
/// </summary>
internal sealed class ForwardingTable
{
    private static readonly RouteTarget Own = new(PeerRoute.Own);

    private readonly PrefixTable<RouteTarget> _routes;

    private readonly SubnetTable _subnets;

    private ForwardingTable(PrefixTable<RouteTarget> routes, ImmutableArray<InterfaceAddress> ownAddresses, SubnetTable subnets)
    {
        _routes = routes;
        OwnAddresses = ownAddresses;
        _subnets = subnets;
    }

    /// <summary>Nothing is known yet.</summary>
    public static ForwardingTable Empty { get; } = new(PrefixTable<RouteTarget>.Empty, [], SubnetTable.Empty);

    /// <summary>This node's own tunnel addresses with the network's prefix lengths.</summary>
    public ImmutableArray<InterfaceAddress> OwnAddresses { get; }

    /// <summary>Prefixes of others and whom they lead to, in the order of <see cref="PrefixTable{T}"/>.</summary>
    public IEnumerable<KeyValuePair<IpPrefix, RouteTarget>> Routes => _routes.Where(route => route.Value != Own);

    /// <summary>What becomes of a packet that this machine sends.</summary>
    /// <param name="source">Its source.</param>
    /// <param name="destination">Its destination.</param>
    /// <param name="target">Whom it goes to when it is carried; whom it would go to when it is refused.</param>
    public ForwardingDecision DecideOutbound(TunnelAddress source, TunnelAddress destination, out RouteTarget? target)
    {
        if (!_routes.TryLookup(destination, out target))
        {
            // What is for a network behind this node itself came here by a mistake of the system's.
            if (!TryFindSubnet(destination, out Subnet? subnet) || subnet.Target is null)
                return IsMulticastOrBroadcast(destination) ? ForwardingDecision.Multicast : ForwardingDecision.NoRoute;
            target = subnet.Target;
        }

        PeerRoute route = target.Route;
        return route.NextHop == NextHop.Tun ? ForwardingDecision.OwnDestination
            : !IsOwn(source) && !IsBehindThis(source) ? ForwardingDecision.WrongSource
            : route.Verdict == RouteVerdict.Refuse || (route.NextHop == NextHop.Carrier && IsAway(route.Carrier!))
                ? ForwardingDecision.Unreachable
            : ForwardingDecision.Carry;
    }

    /// <summary>
    /// What becomes of a packet that came by a peer's link. What plain WireGuard clients send and are sent passes through their server:
    /// that takes it from one link to another, and all others take it by the server's link, for these clients' addresses alone.
    /// </summary>
    /// <param name="sender">The peer.</param>
    /// <param name="source">Its inner source.</param>
    /// <param name="destination">Its inner destination.</param>
    /// <param name="origin">Whose packet it is: the peer's own, or that of a plain client which it passes on for.</param>
    /// <param name="target">Whom it is for, or was to be for, when that is another peer.</param>
    public ForwardingDecision DecideInbound(
        RouteTarget sender, TunnelAddress source, TunnelAddress destination, out RouteTarget origin, out RouteTarget? target)
    {
        PeerRoute route = sender.Route;
        (origin, target) = (sender, null);
        if (!route.Allows(source) && !IsBehind(source, sender))
        {
            if (!_routes.TryLookup(source, out RouteTarget? behind) || behind.Route is not { Carrier: { } carrier } carried
                || carrier != sender)
            {
                return ForwardingDecision.WrongSource;
            }

            origin = behind;
            if (carried.NextHop != NextHop.Carrier)
                return carried.Verdict == RouteVerdict.Ask ? ForwardingDecision.UnknownSource : ForwardingDecision.WrongSource;
        }

        if (!_routes.TryLookup(destination, out target))
        {
            if (!TryFindSubnet(destination, out Subnet? subnet))
            {
                return !route.IsResealed ? ForwardingDecision.WrongDestination
                    : IsMulticastOrBroadcast(destination) ? ForwardingDecision.Multicast
                    : ForwardingDecision.NoRoute;
            }

            target = subnet.Target ?? Own;
        }

        if (target == Own)
        {
            target = null;
            return ForwardingDecision.Carry;
        }

        PeerRoute to = target.Route;
        return to.NextHop != NextHop.Link || target == sender || !(route.IsResealed || to.IsResealed) ? ForwardingDecision.WrongDestination
            : IsAway(target) ? ForwardingDecision.Unreachable
            : ForwardingDecision.Reseal;
    }

    /// <summary>True when the address is one of this node's own.</summary>
    public bool IsOwn(TunnelAddress address) => _routes.TryLookup(address, out RouteTarget? target) && target.Route.NextHop == NextHop.Tun;

    /// <summary>True for multicast and for the broadcast addresses of the network.</summary>
    public bool IsMulticastOrBroadcast(TunnelAddress address)
    {
        if (!address.IsIPv4)
            return (byte)(address.Bits >> 120) == 0xFF;

        uint value = (uint)(address.Bits >> 96);
        if (value >= 0xE000_0000)
            return true;
        foreach (InterfaceAddress own in OwnAddresses)
        {
            if (own.Address.IsIPv4 && own.PrefixLength < 31 && own.Prefix.Contains(address)
                && (value | (uint.MaxValue << (32 - own.PrefixLength))) == uint.MaxValue)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>True when an address lies in a network behind this node that others may reach.</summary>
    public bool IsBehindThis(TunnelAddress address) => TryFindSubnet(address, out Subnet? subnet) && subnet.Target is null;

    /// <summary>Whom an address of somebody else's leads to, by the longest prefix.</summary>
    public bool TryFind(TunnelAddress address, [NotNullWhen(true)] out RouteTarget? target) =>
        _routes.TryLookup(address, out target) && target != Own;

    /// <summary>With these addresses as this node's own, in place of those before.</summary>
    public ForwardingTable WithOwn(IReadOnlyList<InterfaceAddress> addresses)
    {
        PrefixTable<RouteTarget> routes = _routes;
        foreach (InterfaceAddress before in OwnAddresses)
            routes = routes.Without(IpPrefix.Host(before.Address));
        foreach (InterfaceAddress own in addresses)
            routes = routes.With(IpPrefix.Host(own.Address), Own);
        return new ForwardingTable(routes, [.. addresses], _subnets);
    }

    /// <summary>With these networks behind nodes, in place of those before.</summary>
    public ForwardingTable WithSubnets(SubnetTable subnets) => new(_routes, OwnAddresses, subnets);

    /// <summary>With routes to prefixes; this node's own addresses are nobody else's, whatever others say.</summary>
    public ForwardingTable With(IEnumerable<IpPrefix> prefixes, RouteTarget target)
    {
        PrefixTable<RouteTarget> routes = _routes;
        foreach (IpPrefix prefix in prefixes)
        {
            if (!routes.TryGet(prefix, out RouteTarget? owner) || owner != Own)
                routes = routes.With(prefix, target);
        }

        return new ForwardingTable(routes, OwnAddresses, _subnets);
    }

    /// <summary>Without the routes to prefixes that lead to the target; what has become another's stays.</summary>
    public ForwardingTable Without(IEnumerable<IpPrefix> prefixes, RouteTarget target)
    {
        PrefixTable<RouteTarget> routes = _routes;
        foreach (IpPrefix prefix in prefixes)
        {
            if (routes.TryGet(prefix, out RouteTarget? owner) && owner == target)
                routes = routes.Without(prefix);
        }

        return new ForwardingTable(routes, OwnAddresses, _subnets);
    }

    /// <summary>True when the sender may send what comes from the address, as that lies behind it.</summary>
    private bool IsBehind(TunnelAddress source, RouteTarget sender)
    {
        if (!TryFindSubnet(source, out Subnet? subnet))
            return false;
        foreach (RouteTarget allowed in subnet.Sources)
        {
            if (allowed == sender)
                return true;
        }

        return false;
    }

    private bool TryFindSubnet(TunnelAddress address, [NotNullWhen(true)] out Subnet? subnet)
    {
        subnet = null;
        return _subnets.Count > 0 && !IsInNetwork(address) && _subnets.TryFind(address, out subnet);
    }

    private bool IsInNetwork(TunnelAddress address)
    {
        foreach (InterfaceAddress own in OwnAddresses)
        {
            if (own.Prefix.Contains(address))
                return true;
        }

        return false;
    }

    private static bool IsAway(RouteTarget target) => target.Route.Verdict == RouteVerdict.Refuse;
}
