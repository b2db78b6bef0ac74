using LightTunnel.Addressing;
using LightTunnel.Engine.Control;

namespace LightTunnel.Engine.Data;

/// <summary>
/// What data threads need to know to place an inner packet. Immutable: the control loop publishes a new one by a volatile write.
/// </summary>
/// <param name="Routes">Which peer has a destination.</param>
/// <param name="OwnAddresses">This node's own tunnel addresses with the network's prefix lengths.</param>
internal sealed record ForwardingTable(PrefixTable<Peer> Routes, InterfaceAddress[] OwnAddresses)
{
    /// <summary>Nothing is known yet.</summary>
    public static ForwardingTable Empty { get; } = new(PrefixTable<Peer>.Empty, []);

    /// <summary>With a route to each address of the peer.</summary>
    public ForwardingTable With(Peer peer)
    {
        PrefixTable<Peer> routes = Routes;
        foreach (TunnelAddress address in peer.Addresses)
            routes = routes.With(IpPrefix.Host(address), peer);
        return this with { Routes = routes };
    }

    /// <summary>Without the routes to the peer's addresses; what has become another's stays.</summary>
    public ForwardingTable Without(Peer peer)
    {
        PrefixTable<Peer> routes = Routes;
        foreach (TunnelAddress address in peer.Addresses)
        {
            if (routes.TryLookup(address, out Peer? owner) && owner == peer)
                routes = routes.Without(IpPrefix.Host(address));
        }

        return this with { Routes = routes };
    }

    /// <summary>With a route to a prefix.</summary>
    public ForwardingTable With(IpPrefix prefix, Peer peer) => this with { Routes = Routes.With(prefix, peer) };

    /// <summary>Without a route to a prefix, if it leads to that peer.</summary>
    public ForwardingTable Without(IpPrefix prefix, Peer peer) =>
        Routes.TryGet(prefix, out Peer? owner) && owner == peer ? this with { Routes = Routes.Without(prefix) } : this;

    /// <summary>True when the address is one of this node's own.</summary>
    public bool IsOwn(TunnelAddress address)
    {
        foreach (InterfaceAddress own in OwnAddresses)
        {
            if (own.Address == address)
                return true;
        }

        return false;
    }

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
            if (own.Address.IsIPv4 && own.PrefixLength < 31 && own.Prefix.Contains(address) && (value | (uint.MaxValue << (32 - own.PrefixLength))) == uint.MaxValue)
                return true;
        }

        return false;
    }
}
