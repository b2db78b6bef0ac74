using System.Net.NetworkInformation;
using System.Net.Sockets;
using LightTunnel.Addressing;

namespace LightTunnel.Tun;

/// <summary>An interface of this machine with one of its addresses.</summary>
/// <param name="InterfaceName">The interface's name.</param>
/// <param name="Address">Its address and prefix length.</param>
internal readonly record struct LocalAddress(string InterfaceName, InterfaceAddress Address);

/// <summary>Which addresses and networks the interfaces of this machine have (in the calling thread's network namespace).</summary>
internal static class LocalAddresses
{
    /// <summary>All addresses but link-local IPv6 ones, which say nothing about networks.</summary>
    /// <param name="exceptInterface">Index of an interface that is left out, or 0.</param>
    public static IReadOnlyList<LocalAddress> All(int exceptInterface = 0)
    {
        if (OperatingSystem.IsLinux())
        {
            using var netlink = new RouteNetlink();
            return All(netlink, exceptInterface);
        }

        var result = new List<LocalAddress>();
        foreach (NetworkInterface one in NetworkInterface.GetAllNetworkInterfaces())
        {
            foreach (UnicastIPAddressInformation unicast in one.GetIPProperties().UnicastAddresses)
            {
                if (unicast.Address.AddressFamily is not (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6))
                    continue;
                if (!unicast.Address.IsIPv6LinkLocal && IndexOf(one) != exceptInterface)
                    result.Add(new(one.Name, new(TunnelAddress.FromIPAddress(unicast.Address), unicast.PrefixLength)));
            }
        }

        return result;
    }

    /// <summary>True when an interface of this machine has the address.</summary>
    public static bool Contains(TunnelAddress address) => All().Any(local => local.Address.Address == address);

    /// <summary>Finds an interface whose network overlaps the prefix.</summary>
    public static LocalAddress? FindOverlap(IpPrefix prefix, int exceptInterface = 0) => FindOverlap(All(exceptInterface), prefix);

    /// <summary>Finds an address whose network overlaps the prefix; one that lies in it wins over one that merely shares a part.</summary>
    internal static LocalAddress? FindOverlap(IReadOnlyList<LocalAddress> addresses, IpPrefix prefix)
    {
        LocalAddress? found = null;
        foreach (LocalAddress local in addresses)
        {
            if (!local.Address.Prefix.Overlaps(prefix))
                continue;
            if (prefix.Contains(local.Address.Address))
                return local;
            found ??= local;
        }

        return found;
    }

    /// <exception cref="Diagnostics.LightTunnelException">An address or its network is in use by one of the given interfaces.</exception>
    internal static void ThrowIfInUse(IReadOnlyList<LocalAddress> existing, IReadOnlyList<InterfaceAddress> wanted)
    {
        foreach (InterfaceAddress address in wanted)
        {
            LocalAddress? conflict =
                FindOverlap(existing, IpPrefix.Host(address.Address)) is { } same && same.Address.Address == address.Address
                    ? same
                    : FindOverlap(existing, address.Prefix);
            if (conflict is { } other)
                throw TunErrors.AddressInUse(address, other.Address, other.InterfaceName);
        }
    }

    [System.Runtime.Versioning.SupportedOSPlatform("linux")]
    internal static IReadOnlyList<LocalAddress> All(RouteNetlink netlink, int exceptInterface)
    {
        Dictionary<int, string> names = netlink.GetLinks().ToDictionary(link => link.Index, link => link.Name);
        var result = new List<LocalAddress>();
        foreach (AssignedAddress assigned in netlink.GetAddresses())
        {
            if (assigned.InterfaceIndex == exceptInterface || assigned.Address.Address.ToIPAddress().IsIPv6LinkLocal)
                continue;
            string name = names.TryGetValue(assigned.InterfaceIndex, out string? known) ? known : $"#{assigned.InterfaceIndex}";
            result.Add(new(name, assigned.Address));
        }

        return result;
    }

    /// <summary>The interface's index, -1 when it has none.</summary>
    internal static int IndexOf(NetworkInterface one)
    {
        try
        {
            IPInterfaceProperties properties = one.GetIPProperties();
            return one.Supports(NetworkInterfaceComponent.IPv4)
                ? properties.GetIPv4Properties().Index
                : properties.GetIPv6Properties().Index;
        }
        catch (NetworkInformationException)
        {
            return -1;
        }
    }
}
