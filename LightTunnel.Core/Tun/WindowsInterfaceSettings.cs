using LightTunnel.Addressing;
using LightTunnel.Diagnostics;

namespace LightTunnel.Tun;

/// <summary>
/// What an interface of Windows was set to: addresses, the MTU of each family, and the routes of its networks. Finds what others changed
/// of it and sets that again, without touching what is as it should be or what others added. For one thread at a time;
/// <see cref="Addresses"/> for any.
/// </summary>
/// <param name="system">Asks Windows.</param>
/// <param name="luid">The interface.</param>
internal sealed class WindowsInterfaceSettings(IIpHelper system, ulong luid)
{
    private IReadOnlyList<InterfaceAddress> _addresses = [];
    private IReadOnlyList<IpPrefix> _routes = [];
    private int _mtu;

    /// <summary>The addresses, as they were set last.</summary>
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
            _ = system.RemoveRoute(luid, gone); // It may be gone already.
        var refused = new Dictionary<IpPrefix, string>();
        var routed = new List<IpPrefix>();
        foreach (IpPrefix prefix in prefixes)
        {
            int error = system.AddRoute(luid, prefix);
            if (error == 0)
                routed.Add(prefix);
            else
                refused[prefix] = SystemError.Describe(error);
        }

        _routes = routed;
        return refused;
    }

    /// <summary>What is not as it was set, in words; nothing when the adapter is gone, which is noticed by who reads from it.</summary>
    public IReadOnlyList<string> Differences()
    {
        if (_addresses.Count == 0 || system.IndexOf(luid) == 0)
            return [];
        var found = new List<string>();
        foreach (bool isIPv4 in Families())
        {
            int? mtu = system.GetMtu(luid, isIPv4);
            if (mtu is null)
                found.Add($"{NameOf(isIPv4)} is switched off on it");
            else if (mtu != _mtu)
                found.Add($"its MTU of {NameOf(isIPv4)} is {mtu} instead of {_mtu}");
        }

        found.AddRange(Missing().Select(address => $"address {address} is gone"));
        found.AddRange(NotRouted().Select(prefix => $"{prefix} is not routed into it"));
        return found;
    }

    /// <summary>Sets again what is missing; null, or what the system refused.</summary>
    public string? Restore()
    {
        List<InterfaceAddress> missing = Missing();
        foreach (bool isIPv4 in Families())
        {
            // With the MTU come the other settings, which a family that was off has lost.
            bool isRight = system.GetMtu(luid, isIPv4) == _mtu && missing.TrueForAll(address => address.Address.IsIPv4 != isIPv4);
            int error = isRight ? 0 : system.SetMtu(luid, isIPv4, _mtu);
            if (error is WintunDevice.ErrorNotFound or WintunDevice.ErrorFileNotFound)
                return $"{NameOf(isIPv4)} is switched off on it (Get-NetAdapterBinding shows that)";
            if (error != 0)
                return $"the system refuses an MTU of {_mtu}: {SystemError.Describe(error)}";
        }

        foreach (InterfaceAddress address in missing)
        {
            int error = AddAddress(address);
            if (error != 0)
                return $"the system refuses address {address}: {SystemError.Describe(error)}";
        }

        foreach (InterfaceAddress address in Unrouted())
            _ = system.AddRoute(luid, address.Prefix); // Whether that helped is what the next look tells.
        foreach (IpPrefix prefix in Withdrawn().ToArray())
            _ = system.AddRoute(luid, prefix);
        return null;
    }

    /// <summary>
    /// Gives the interface an address. That the system has it already is success only if this interface has it, and with this prefix.
    /// </summary>
    /// <returns>The Win32 error, 0 for success; <see cref="WintunDevice.ErrorObjectAlreadyExists"/>: another interface has it.</returns>
    public int AddAddress(InterfaceAddress address)
    {
        int error = system.AddAddress(luid, address);
        if (error != WintunDevice.ErrorObjectAlreadyExists)
            return error;
        InterfaceAddress[] same = [.. system.GetAddresses(luid).Where(present => present.Address == address.Address)];
        if (same.Contains(address))
            return 0;
        if (same.Length == 0)
            return error;
        foreach (InterfaceAddress other in same)
            _ = system.RemoveAddress(luid, other); // Whether that helped is what the next attempt tells.
        return system.AddAddress(luid, address);
    }

    private static string NameOf(bool isIPv4) => isIPv4 ? "IPv4" : "IPv6";

    private IEnumerable<bool> Families() => _addresses.Select(address => address.Address.IsIPv4).Distinct();

    private List<InterfaceAddress> Missing()
    {
        IReadOnlyList<InterfaceAddress> present = system.GetAddresses(luid);
        return [.. _addresses.Where(address => !present.Contains(address))];
    }

    /// <summary>
    /// Addresses whose network is not reached by the interface. A longer prefix that somebody routes elsewhere is that person's business.
    /// </summary>
    private List<InterfaceAddress> Unrouted()
    {
        List<InterfaceAddress> missing = Missing();
        return [.. _addresses.Where(address =>
            !missing.Contains(address) && NetworkNeighbour.Of(address, _addresses) is { } other && !IsRoutedHere(other, address.Prefix))];
    }

    private IEnumerable<IpPrefix> NotRouted() => Unrouted().Select(address => address.Prefix).Concat(Withdrawn());

    /// <summary>Networks behind others that are not reached by the interface any more.</summary>
    private IEnumerable<IpPrefix> Withdrawn() => _routes.Where(prefix => !IsRoutedHere(prefix.Network, prefix));

    private bool IsRoutedHere(TunnelAddress destination, IpPrefix network) =>
        system.FindRoute(destination) is { } route && (route.Luid == luid || route.Prefix.Length > network.Length);
}
