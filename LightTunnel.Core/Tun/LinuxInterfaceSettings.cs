using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Transport;

namespace LightTunnel.Tun;

/// <summary>
/// What an interface was set to: addresses, MTU, up, and the routes of its networks. Finds what others changed of it and sets that again,
/// without touching what is as it should be or what others added. For one thread at a time, as the socket is.
/// </summary>
/// <param name="netlink">Asks the kernel; not owned.</param>
/// <param name="interfaceIndex">The interface.</param>
[SupportedOSPlatform("linux")]
internal sealed class LinuxInterfaceSettings(RouteNetlink netlink, int interfaceIndex)
{
    private IReadOnlyList<InterfaceAddress> _addresses = [];
    private IReadOnlyList<IpPrefix> _routes = [];
    private int _mtu;

    /// <summary>The addresses, as they were set last; readable from any thread.</summary>
    public IReadOnlyList<InterfaceAddress> Addresses => Volatile.Read(ref _addresses);

    /// <summary>Remembers what was set. No address stands for an interface that is not set, and not compared.</summary>
    public void Remember(IReadOnlyList<InterfaceAddress> addresses, int mtu)
    {
        _mtu = mtu;
        Volatile.Write(ref _addresses, [.. addresses]);
    }

    /// <summary>See <see cref="ITunDevice.SetRoutes"/>.</summary>
    public IReadOnlyDictionary<IpPrefix, string> SetRoutes(IReadOnlyList<IpPrefix> prefixes)
    {
        HashSet<IpPrefix> wanted = [.. prefixes];
        foreach (IpPrefix gone in _routes.Where(prefix => !wanted.Contains(prefix)))
            _ = netlink.RemoveRoute(interfaceIndex, gone); // It may be gone with an address already.
        var refused = new Dictionary<IpPrefix, string>();
        var routed = new List<IpPrefix>();
        foreach (IpPrefix prefix in prefixes)
        {
            int error = netlink.AddRoute(interfaceIndex, prefix);
            if (error == 0 || (error == LibC.EEXIST && IsRoutedHere(prefix)))
                routed.Add(prefix);
            else
                refused[prefix] = error == LibC.EEXIST ? "it routes the same network by another interface" : LibC.Describe(error);
        }

        _routes = routed;
        return refused;
    }

    /// <summary>What is not as it was set, in words.</summary>
    /// <exception cref="IOException">The kernel does not answer.</exception>
    public IReadOnlyList<string> Differences()
    {
        // An interface that somebody moved into another network namespace is out of reach, and one that was removed is noticed by
        // who reads from it.
        if (_addresses.Count == 0 || netlink.GetLink(interfaceIndex) is not { } link)
            return [];
        var found = new List<string>();
        if (link.Mtu != _mtu)
            found.Add($"its MTU is {link.Mtu} instead of {_mtu}");
        found.AddRange(Missing().Select(address => $"address {address} is gone"));
        if (link.IsUp)
            found.AddRange(NotRouted().Select(prefix => $"{prefix} is not routed into it"));
        else
            found.Add("it is down");
        return found;
    }

    /// <summary>Sets again what is missing; null, or what the system refused.</summary>
    /// <exception cref="IOException">The kernel does not answer.</exception>
    public string? Restore()
    {
        int error = netlink.SetMtu(interfaceIndex, _mtu);
        if (error != 0)
            return $"the system refuses an MTU of {_mtu}: {LibC.Describe(error)}";

        // IPv6 that was switched off by a small MTU comes back as it is on a new interface.
        _ = netlink.DisableAddressGeneration(interfaceIndex);
        foreach (InterfaceAddress address in Missing())
        {
            error = netlink.AddAddress(interfaceIndex, address);
            if (error != 0)
            {
                return !address.Address.IsIPv4 && TunErrors.IsIPv6Off(error)
                    ? $"IPv6 is switched off, so it cannot have {address}"
                    : $"the system refuses address {address}: {LibC.Describe(error)}";
            }
        }

        error = netlink.SetUp(interfaceIndex, up: true);
        if (error != 0)
            return $"the system refuses to bring it up: {LibC.Describe(error)}";
        foreach (InterfaceAddress address in _addresses)
            netlink.WaitUntilDelivered(address.Address);
        foreach (InterfaceAddress address in Unrouted())
            _ = netlink.AddNetworkRoute(interfaceIndex, address); // Whether that helped is what the next look tells.
        foreach (IpPrefix prefix in Withdrawn().ToArray())
            _ = netlink.AddRoute(interfaceIndex, prefix);
        return null;
    }

    private List<InterfaceAddress> Missing()
    {
        HashSet<InterfaceAddress> present =
            [.. netlink.GetAddresses().Where(assigned => assigned.InterfaceIndex == interfaceIndex).Select(assigned => assigned.Address)];
        return [.. _addresses.Where(address => !present.Contains(address))];
    }

    /// <summary>
    /// Addresses whose network is not reached by the interface. A longer prefix that somebody routes elsewhere is that person's business.
    /// </summary>
    private List<InterfaceAddress> Unrouted()
    {
        List<InterfaceAddress> missing = Missing();
        return [.. _addresses.Where(address => !missing.Contains(address) && NetworkNeighbour.Of(address, _addresses) is { } other
            && !IsRoutedHere(other, address.Prefix))];
    }

    private IEnumerable<IpPrefix> NotRouted() => Unrouted().Select(address => address.Prefix).Concat(Withdrawn());

    /// <summary>Networks behind others that are not reached by the interface any more.</summary>
    private IEnumerable<IpPrefix> Withdrawn() => _routes.Where(prefix => !IsRoutedHere(prefix));

    private bool IsRoutedHere(IpPrefix prefix) => IsRoutedHere(prefix.Network, prefix);

    private bool IsRoutedHere(TunnelAddress destination, IpPrefix network)
    {
        int error = netlink.FindRoute(destination, out int outgoing, out int length);
        return error == 0 ? outgoing == interfaceIndex || length > network.Length : error is not (LibC.ENETUNREACH or LibC.EHOSTUNREACH);
    }
}
