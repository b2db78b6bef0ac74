using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Membership;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Control;

/// <summary>Why a network behind another node is not taken although it would be.</summary>
/// <param name="Reason">A sentence for people.</param>
/// <param name="Remedy">What to do about it.</param>
/// <param name="CanBeForced">True when a person may have it taken nevertheless.</param>
internal sealed record RouteConflict(string Reason, string Remedy, bool CanBeForced);

/// <summary>
/// What a network behind another node may not be in the way of: networks that this machine is attached to, the way to the server and to
/// other nodes, the tunnel itself. A server that tells of networks cannot draw anything of this into the tunnel, whatever was accepted.
/// Never changed after it was made.
/// </summary>
/// <param name="tunnel">The tunnel's own network.</param>
/// <param name="tunnelInterface">The tunnel's interface.</param>
/// <param name="own">The machine's own addresses.</param>
/// <param name="server">Where the server is reached; none on a server.</param>
/// <param name="others">Where datagrams for other nodes are sent, and their names.</param>
/// <param name="accepted">What is taken already.</param>
internal sealed class RouteConflicts(
    IReadOnlyList<IpPrefix> tunnel, string tunnelInterface, IReadOnlyList<LocalAddressInfo> own, IReadOnlyList<UdpEndpoint> server,
    IReadOnlyList<(UdpEndpoint Endpoint, string Name)> others, AcceptedRoutes accepted)
{
    private readonly (IpPrefix Network, string Interface)[] _attached =
    [
        .. own.Where(address => address.InterfaceName != tunnelInterface
                && (address.Flags & (LocalAddressFlags.Loopback | LocalAddressFlags.Down)) == 0)
            .Select(address => (
                new IpPrefix(address.Address, address.PrefixLength == 0 ? address.Address.BitLength : address.PrefixLength),
                address.InterfaceName)),
    ];

    private readonly (TunnelAddress Address, UdpEndpoint Endpoint, string Name)[] _others =
    [
        .. others.Where(other => other.Endpoint.IsSpecified)
            .Select(other => (Address: AddressOf(other.Endpoint), other.Endpoint, other.Name))
            .OrderBy(other => other.Address.IsIPv4).ThenBy(other => other.Address.Bits),
    ];

    /// <summary>The networks that this machine is attached to, besides the tunnel's.</summary>
    public IEnumerable<IpPrefix> Attached => _attached.Select(one => one.Network);

    /// <summary>What a network is in the way of; null for nothing.</summary>
    public RouteConflict? Find(IpPrefix prefix)
    {
        if (MemberRoutes.WhyUnusable(prefix, tunnel) is { } why)
        {
            return new RouteConflict(
                $"{prefix} {why}.", "Have another network offered: this one is taken by nobody.", CanBeForced: false);
        }

        if (server.FirstOrDefault(endpoint => Contains(prefix, endpoint)) is { IsSpecified: true } way)
        {
            return new RouteConflict(
                $"The server is reached at {way}, which lies in {prefix}: the tunnel would have to carry itself.",
                "Have the parts of the network offered that the server is not in, or reach the server at another address.",
                CanBeForced: false);
        }

        string force = $"Set-LtNetwork -AcceptRoute {accepted.With(prefix)} -Force takes it all the same.";
        (IpPrefix network, string name) = Array.Find(_attached, one => one.Network.Overlaps(prefix));
        if (name is not null)
        {
            return new RouteConflict(
                $"{prefix} has addresses of the network {network}, which this machine is attached to by {name}.",
                $"Give one of the two networks other addresses. {force}", CanBeForced: true);
        }

        return FirstIn(prefix) is not { } other ? null : new RouteConflict(
            $"Datagrams for {other.Name} go to {other.Endpoint}, which lies in {prefix}: the tunnel would have to carry itself.",
            $"Nothing needs to be done: what is reached without the tunnel does not need it. {force} {other.Name} is then reached "
                + "another way.",
            CanBeForced: true);
    }

    private static bool Contains(IpPrefix prefix, in UdpEndpoint endpoint) => endpoint.IsSpecified && prefix.Contains(AddressOf(endpoint));

    private static TunnelAddress AddressOf(in UdpEndpoint endpoint) =>
        TunnelAddress.FromBits(endpoint.IsIPv4 ? endpoint.MappedAddress << 96 : endpoint.MappedAddress, endpoint.IsIPv4);

    /// <summary>The first endpoint in a prefix: they stand in the order of their addresses.</summary>
    private (TunnelAddress Address, UdpEndpoint Endpoint, string Name)? FirstIn(IpPrefix prefix)
    {
        int low = 0, high = _others.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            TunnelAddress address = _others[middle].Address;
            bool isBefore = address.IsIPv4 == prefix.Network.IsIPv4 ? address.Bits < prefix.Network.Bits : !address.IsIPv4;
            (low, high) = isBefore ? (middle + 1, high) : (low, middle);
        }

        return low < _others.Length && prefix.Contains(_others[low].Address) ? _others[low] : null;
    }
}
