using System.Net.NetworkInformation;
using System.Runtime.Versioning;
using LightTunnel.Addressing;

namespace LightTunnel.Tun;

/// <summary>What an interface leads to, as the system says.</summary>
internal enum InterfaceKind
{
    /// <summary>A network: a card, a modem (PPP among them), or something that stands directly on one (VLAN, bond, bridge).</summary>
    Ordinary,

    /// <summary>What runs on this machine: containers, virtual machines.</summary>
    Inner,

    /// <summary>A tunnel: what is sent into it leaves by another interface, perhaps by the very tunnel of this process.</summary>
    Tunnel,
}

/// <summary>An interface as rtnetlink tells of it.</summary>
/// <param name="Index">Its index.</param>
/// <param name="Name">Its name, which means nothing.</param>
/// <param name="Kind">IFLA_INFO_KIND: "tun", "vxlan", "bridge"; null for hardware.</param>
/// <param name="Lower">The interface that it stands on, 0 for none in this network namespace.</param>
/// <param name="Master">The bridge or bond that it is a port of, 0 for none.</param>
/// <param name="IsMachine">A TAP device with virtio headers: the card of a virtual machine, where tunnels have none.</param>
internal readonly record struct LinkDetails(int Index, string Name, string? Kind, int Lower = 0, int Master = 0, bool IsMachine = false);

/// <summary>Tells tunnels from networks: by what the system knows of an interface, as anybody may give it any name.</summary>
internal static class InterfaceKinds
{
    /// <summary>IFLA_INFO_KIND of what carries packets in packets; not PPP and 6in4 ("sit"), as providers' uplinks are such.</summary>
    private static readonly HashSet<string> Tunnels = new(StringComparer.Ordinal)
    {
        "tun", "wireguard", "amneziawg", "ovpn", "vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip",
        "ip6tnl", "vti", "vti6", "xfrm", "gtp", "bareudp", "amt", "l2tp", "batadv",
    };

    private static readonly HashSet<string> InnerKinds = new(StringComparer.Ordinal) { "veth", "dummy", "ifb", "vrf", "netkit", "nlmon" };

    /// <summary>How tunnels that present themselves as Ethernet cards describe themselves on Windows.</summary>
    private static readonly string[] WindowsTunnels =
        ["TAP-Windows", "ZeroTier", "Wintun", "WireGuard", "Tailscale", "OpenVPN", "Hamachi", "LightTunnel"];

    /// <summary>IANA ifType "proprietary virtual", which Wintun and WireGuard have on Windows.</summary>
    private const NetworkInterfaceType ProprietaryVirtual = (NetworkInterfaceType)53;

    /// <summary>How deep interfaces may stand on each other.</summary>
    private const int DeepestStack = 8;

    /// <summary>The interfaces of this machine by index (in the calling thread's network namespace).</summary>
    /// <exception cref="IOException">The system does not tell.</exception>
    [SupportedOSPlatform("linux")]
    public static IReadOnlyDictionary<int, (string Name, InterfaceKind Kind)> ReadLinux()
    {
        using var netlink = new RouteNetlink();
        IReadOnlyList<LinkDetails> links = netlink.GetLinks();
        IReadOnlyDictionary<int, InterfaceKind> kinds = Classify(links);
        return links.ToDictionary(link => link.Index, link => (link.Name, kinds[link.Index]));
    }

    /// <summary>Looks at all interfaces once, and tells of each whether it leads into a tunnel.</summary>
    /// <exception cref="IOException">The system does not tell.</exception>
    public static Predicate<NetworkInterface> FindTunnels()
    {
        if (!OperatingSystem.IsLinux())
            return one => OfWindows(one) == InterfaceKind.Tunnel;
        var tunnels = ReadLinux().Values.Where(link => link.Kind == InterfaceKind.Tunnel)
            .Select(link => link.Name)
            .ToHashSet(StringComparer.Ordinal);
        return one => tunnels.Contains(one.Name);
    }

    /// <summary>The kind of an interface on Windows.</summary>
    public static InterfaceKind OfWindows(NetworkInterface one) => OfWindows(one.NetworkInterfaceType, one.Description);

    internal static InterfaceKind OfWindows(NetworkInterfaceType type, string description) =>
        type is NetworkInterfaceType.Tunnel or ProprietaryVirtual
            || WindowsTunnels.Any(name => description.Contains(name, StringComparison.OrdinalIgnoreCase))
            ? InterfaceKind.Tunnel
            : InterfaceKind.Ordinary;

    /// <summary>The interface that packets to an address leave by, as the system routes now; 0 when it is not known.</summary>
    public static int Towards(TunnelAddress destination)
    {
        if (OperatingSystem.IsLinux())
        {
            using var netlink = new RouteNetlink();
            return netlink.FindInterface(destination);
        }

        return OperatingSystem.IsWindows() ? IpHelper.FindInterface(destination) : 0;
    }

    /// <summary>
    /// What each of a machine's interfaces is: what stands on a tunnel is one, and so is a bridge that joins a tunnel to no network.
    /// </summary>
    internal static IReadOnlyDictionary<int, InterfaceKind> Classify(IReadOnlyList<LinkDetails> links)
    {
        var byIndex = links.ToDictionary(link => link.Index);
        return links.ToDictionary(link => link.Index, link => Classify(link, byIndex, depth: 0));
    }

    private static InterfaceKind Classify(in LinkDetails link, Dictionary<int, LinkDetails> all, int depth)
    {
        if (link.Kind is null || depth > DeepestStack)
            return InterfaceKind.Ordinary;
        if (link.IsMachine || InnerKinds.Contains(link.Kind))
            return InterfaceKind.Inner;
        if (Tunnels.Contains(link.Kind))
            return InterfaceKind.Tunnel;
        if (link.Kind is "bridge" or "bond" or "team" or "openvswitch")
        {
            int index = link.Index;
            InterfaceKind[] ports = [.. all.Values.Where(port => port.Master == index).Select(port => Classify(port, all, depth + 1))];
            return ports.Contains(InterfaceKind.Ordinary) ? InterfaceKind.Ordinary
                : ports.Contains(InterfaceKind.Tunnel) ? InterfaceKind.Tunnel
                : link.Kind == "bridge" ? InterfaceKind.Inner : InterfaceKind.Ordinary;
        }

        // VLAN, macvlan, ipvlan, MACsec and the like are what they stand on.
        return link.Lower != 0 && link.Lower != link.Index && all.TryGetValue(link.Lower, out LinkDetails lower)
            ? Classify(lower, all, depth + 1)
            : InterfaceKind.Ordinary;
    }
}
