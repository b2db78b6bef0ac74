using LightTunnel.Addressing;

namespace LightTunnel.Tun;

/// <summary>Somebody to ask the system for the way to, when the question is whether a network is routed into an interface.</summary>
internal static class NetworkNeighbour
{
    /// <summary>Another address of the same network; null where there is hardly one.</summary>
    /// <param name="address">An address of this interface.</param>
    /// <param name="own">All of its addresses.</param>
    public static TunnelAddress? Of(InterfaceAddress address, IReadOnlyList<InterfaceAddress> own)
    {
        if (address.Address.BitLength - address.PrefixLength < 2)
            return null;
        UInt128 unit = address.Address.IsIPv4 ? UInt128.One << 96 : UInt128.One;
        TunnelAddress network = address.Prefix.Network;
        var first = TunnelAddress.FromBits(network.Bits + unit, network.IsIPv4);
        return own.All(other => other.Address != first) ? first : TunnelAddress.FromBits(network.Bits + unit + unit, network.IsIPv4);
    }
}
