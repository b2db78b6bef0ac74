using LightTunnel.Addressing;
using LightTunnel.Tun;

namespace LightTunnel.Traversal;

/// <summary>What matters of an interface or of an address on it.</summary>
[Flags]
internal enum LocalAddressFlags
{
    /// <summary>An ordinary address.</summary>
    None = 0,

    /// <summary>The interface is down.</summary>
    Down = 1,

    /// <summary>The interface is the loopback.</summary>
    Loopback = 2,

    /// <summary>IPv6: the address is not yet checked for duplicates, or was found to be one (RFC 4862).</summary>
    Tentative = 4,

    /// <summary>IPv6: the address is not to be used for anything new (RFC 4862).</summary>
    Deprecated = 8,
}

/// <summary>An address of this machine.</summary>
/// <param name="InterfaceName">The interface's name.</param>
/// <param name="Address">The address.</param>
/// <param name="Flags">What is special about it.</param>
/// <param name="PrefixLength">How long its network's prefix is; 0 when that is unknown.</param>
/// <param name="Kind">What the interface is.</param>
/// <param name="Interface">The interface's index, 0 when it is not known.</param>
internal readonly record struct LocalAddressInfo(
    string InterfaceName, TunnelAddress Address, LocalAddressFlags Flags = LocalAddressFlags.None, int PrefixLength = 0,
    InterfaceKind Kind = InterfaceKind.Ordinary, int Interface = 0);

/// <summary>Which of a machine's addresses another member may be told.</summary>
internal static class HostCandidates
{
    /// <summary>
    /// Bridges of containers and virtual machines, where the system does not tell: reachable for what runs on this machine, so last.
    /// </summary>
    private static readonly string[] InnerPrefixes =
        ["docker", "br-", "virbr", "veth", "cni", "flannel", "podman", "lxc", "lxd", "vEthernet", "vmnet", "vboxnet"];

    /// <summary>
    /// The usable addresses with the node's port: neither loopback, unspecified, multicast, link-local, tentative nor deprecated, not on an
    /// interface that is down, not in one of the excluded prefixes (the tunnel's own). Private addresses of tunnels are left out, as a
    /// tunnel inside a tunnel would be the result; one by which the server is reached is as good as a network. Addresses of containers'
    /// bridges come last.
    /// </summary>
    /// <param name="addresses">All addresses of the machine.</param>
    /// <param name="port">The UDP port that the node listens on.</param>
    /// <param name="exclude">The prefixes of the tunnel.</param>
    /// <param name="uplink">The interface that packets to the server leave by, 0 when it is not known.</param>
    public static IReadOnlyList<Candidate> Filter(
        IReadOnlyList<LocalAddressInfo> addresses, ushort port, IReadOnlyList<IpPrefix> exclude, int uplink = 0)
    {
        return
        [
            .. addresses
                .Where(address => IsUsable(address, port, exclude, uplink))
                .OrderBy(address => address.Kind == InterfaceKind.Inner || StartsWithAny(address.InterfaceName, InnerPrefixes))
                .Select(address => new Candidate(CandidateKind.Host, EndpointOf(address, port)))
                .Distinct(),
        ];
    }

    /// <summary>The networks that the addresses lie in, in which the system itself asks for its neighbours.</summary>
    public static IReadOnlyList<IpPrefix> Networks(IReadOnlyList<LocalAddressInfo> addresses) =>
    [
        .. addresses
            .Where(address => (address.Flags & (LocalAddressFlags.Loopback | LocalAddressFlags.Down)) == 0
                && address.PrefixLength > 0 && address.PrefixLength < address.Address.BitLength)
            .Select(address => new IpPrefix(address.Address, address.PrefixLength))
            .Distinct(),
    ];

    private static bool IsUsable(LocalAddressInfo info, ushort port, IReadOnlyList<IpPrefix> exclude, int uplink)
    {
        return info.Flags == LocalAddressFlags.None
            && (info.Kind != InterfaceKind.Tunnel || (uplink != 0 && info.Interface == uplink) || IsPublic(info.Address))
            && Candidate.IsUsable(EndpointOf(info, port))
            && !info.Address.ToIPAddress().Equals(System.Net.IPAddress.IPv6Loopback)
            && !(info.Address.IsIPv4 && (uint)(info.Address.Bits >> 120) == 127)
            && !exclude.Any(prefix => prefix.Contains(info.Address));
    }

    /// <summary>
    /// Who has a public address by a tunnel is reached there by everybody; overlays like to use the providers' shared ones (RFC 6598).
    /// </summary>
    private static bool IsPublic(TunnelAddress address) =>
        new UdpEndpoint(address.ToIPAddress(), 1) is { IsLocal: false }
        && !(address.IsIPv4 && (uint)(address.Bits >> 96) >> 22 == 0x6440_0000 >> 22);

    private static UdpEndpoint EndpointOf(LocalAddressInfo info, ushort port) => new(info.Address.ToIPAddress(), port);

    private static bool StartsWithAny(string name, string[] prefixes)
    {
        foreach (string prefix in prefixes)
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal))
                return true;
        }

        return false;
    }
}
