using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Tun;

namespace LightTunnel.Forwarding;

/// <summary>By which of this machine's interfaces networks are reached.</summary>
/// <param name="IPv4">Those of IPv4 networks, with their indices.</param>
/// <param name="IPv6">Those of IPv6 networks, with their indices.</param>
/// <param name="Unreached">Networks that no interface leads to.</param>
internal sealed record ForwardedInterfaces(
    IReadOnlyDictionary<string, int> IPv4, IReadOnlyDictionary<string, int> IPv6, IReadOnlyList<IpPrefix> Unreached)
{
    /// <summary>The interfaces by which an exit node leads to the internet of IPv4; none where it is none.</summary>
    public IReadOnlyList<string> Exits4 { get; init; } = [];

    /// <summary>The same of IPv6.</summary>
    public IReadOnlyList<string> Exits6 { get; init; } = [];

    /// <summary>The resolvers that an exit node has its members' questions for names go to.</summary>
    public IReadOnlyList<TunnelAddress> Resolvers { get; init; } = [];

    /// <summary>True when some network that is offered is the internet.</summary>
    public bool IsExit => Exits4.Count + Exits6.Count > 0;


    /// <summary>
    /// Asks the kernel: the interfaces that have an address in a network, and those that packets to its first and last host leave by, but
    /// for a default route, by which also those to a network leave whose own interface is down. In a network that is made of many, further
    /// ones may be reached by interfaces that are not found so.
    /// </summary>
    /// <param name="options">What is to be forwarded.</param>
    /// <param name="resolvers">The resolvers of this machine that others can be led to.</param>
    [SupportedOSPlatform("linux")]
    public static ForwardedInterfaces Find(ForwardingOptions options, IReadOnlyList<TunnelAddress>? resolvers = null)
    {
        using var netlink = new RouteNetlink();
        Dictionary<int, string> names = netlink.GetLinks().ToDictionary(link => link.Index, link => link.Name);
        IReadOnlyList<AssignedAddress> addresses = netlink.GetAddresses();
        var (found, unreached) = ((IPv4: new Dictionary<string, int>(), IPv6: new Dictionary<string, int>()), new List<IpPrefix>());
        foreach (ForwardedNetwork network in options.Networks)
        {
            IpPrefix prefix = network.Prefix;
            if (network.IsExit)
                continue;
            int[] indices =
            [
                .. addresses.Where(assigned => assigned.Address.Prefix.Overlaps(prefix)).Select(assigned => assigned.InterfaceIndex),
                .. HostsOf(prefix).Select(host => InterfaceTo(host, netlink)),
            ];
            bool any = false;
            foreach (int index in indices)
            {
                if (!names.TryGetValue(index, out string? name) || name == "lo" || name == options.Interface)
                    continue;
                (prefix.Network.IsIPv4 ? found.IPv4 : found.IPv6)[name] = index;
                any = true;
            }

            if (!any)
                unreached.Add(prefix);
        }

        string[] exits4 = Exits(isIPv4: true), exits6 = Exits(isIPv4: false);
        TunnelAddress[] asked = exits4.Length + exits6.Length == 0 ? [] : [.. (resolvers ?? []).Where(resolver => Take(
            resolver.IsIPv4, netlink.FindInterface(resolver)) is not null)];
        return new ForwardedInterfaces(found.IPv4, found.IPv6, unreached) { Exits4 = exits4, Exits6 = exits6, Resolvers = asked };

        string[] Exits(bool isIPv4)
        {
            if (!options.Networks.Any(network => network.IsExit && network.Prefix.Network.IsIPv4 == isIPv4))
                return [];
            using var routes = new PolicyRoutes();
            string[] taken =
            [
                .. routes.Read(PolicyRoutes.Main).Where(route => route.Prefix.Length == 0 && route.Prefix.Network.IsIPv4 == isIPv4)
                    .SelectMany(route => route.Interfaces).Distinct().Select(index => Take(isIPv4, index)).OfType<string>(),
            ];
            if (taken.Length == 0)
                unreached.Add(options.Networks.First(network => network.IsExit && network.Prefix.Network.IsIPv4 == isIPv4).Prefix);
            return taken;
        }

        string? Take(bool isIPv4, int index)
        {
            if (!names.TryGetValue(index, out string? name) || name == "lo" || name == options.Interface)
                return null;
            (isIPv4 ? found.IPv4 : found.IPv6)[name] = index;
            return name;
        }
    }

    [SupportedOSPlatform("linux")]
    private static int InterfaceTo(TunnelAddress host, RouteNetlink netlink) =>
        netlink.FindRoute(host, out int index, out int length) != 0 || length == 0 ? 0
            : index != 0 ? index
            : netlink.FindInterface(host); // One of several.

    private static IEnumerable<TunnelAddress> HostsOf(IpPrefix prefix)
    {
        int bits = prefix.Network.BitLength - prefix.Length;
        UInt128 one = UInt128.One << (128 - prefix.Network.BitLength);
        UInt128 last = prefix.Network.Bits | (~IpPrefix.MaskOf(prefix.Length) & IpPrefix.MaskOf(prefix.Network.BitLength));
        bool isIPv4 = prefix.Network.IsIPv4;
        return bits < 2
            ? [prefix.Network, TunnelAddress.FromBits(last, isIPv4)]
            : [TunnelAddress.FromBits(prefix.Network.Bits + one, isIPv4), TunnelAddress.FromBits(last - one, isIPv4)];
    }
}
