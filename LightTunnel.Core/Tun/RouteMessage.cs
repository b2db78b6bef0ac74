using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Transport;

namespace LightTunnel.Tun;

/// <summary>An address that an interface of this machine has.</summary>
/// <param name="InterfaceIndex">The interface.</param>
/// <param name="Address">Its address and prefix length.</param>
internal readonly record struct AssignedAddress(int InterfaceIndex, InterfaceAddress Address);

/// <summary>How an interface stands.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsUp">True when it was brought up.</param>
/// <param name="Mtu">Its longest packet, bytes.</param>
internal readonly record struct LinkStatus(string Name, bool IsUp, int Mtu);

/// <summary>A route, as far as it is looked at here.</summary>
/// <param name="Destination">Its prefix's first address.</param>
/// <param name="PrefixLength">Its prefix's length.</param>
/// <param name="InterfaceIndex">Where packets leave, 0 when there are several ways.</param>
internal readonly record struct Route(TunnelAddress Destination, int PrefixLength, int InterfaceIndex)
{
    /// <summary>The family.</summary>
    public bool IsIPv4 => Destination.IsIPv4;
}

/// <summary>What rtnetlink's messages consist of, and how those that the kernel sends are read: any bytes are survived. No I/O.</summary>
[SupportedOSPlatform("linux")]
internal static class RouteMessage
{
    internal const ushort RTM_NEWLINK = 16, RTM_DELLINK = 17, RTM_GETLINK = 18, RTM_NEWADDR = 20, RTM_DELADDR = 21, RTM_GETADDR = 22,
        RTM_NEWROUTE = 24, RTM_DELROUTE = 25, RTM_GETROUTE = 26;
    internal const ushort IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_LINK = 5, IFLA_MASTER = 10, IFLA_LINKINFO = 18, IFLA_AF_SPEC = 26,
        IFLA_LINK_NETNSID = 37, IFLA_GSO_MAX_SIZE = 41, IFLA_INET6_ADDR_GEN_MODE = 8;
    internal const ushort IFA_ADDRESS = 1, IFA_LOCAL = 2, IFA_FLAGS = 8;
    internal const ushort RTA_DST = 1, RTA_OIF = 4, RTA_PRIORITY = 6, RTA_PREFSRC = 7, RTA_TABLE = 15, RTA_MARK = 16;
    internal const uint IFF_UP = 1, RTM_F_CLONED = 0x200;

    private const ushort IFLA_INFO_KIND = 1, IFLA_INFO_DATA = 2, IFLA_TUN_TYPE = 3, IFLA_TUN_VNET_HDR = 5;
    private const byte IFF_TAP = 2;

    /// <summary>Reads the body of an RTM_NEWADDR; false for other families and malformed bytes.</summary>
    internal static bool TryReadAddress(ReadOnlySpan<byte> body, out AssignedAddress result)
    {
        result = default;
        if (!MemoryMarshal.TryRead(body, out AddressHeader header) || header.Family is not (LibC.AF_INET or LibC.AF_INET6))
            return false;
        int size = header.Family == LibC.AF_INET ? 4 : 16;
        ReadOnlySpan<byte> address = default;
        var attributes = new NetlinkAttributes(body[Marshal.SizeOf<AddressHeader>()..]);
        while (attributes.MoveNext())
        {
            // On a point-to-point interface IFA_ADDRESS is the other end's and IFA_LOCAL our own.
            if (attributes.Value.Length == size && (attributes.Type == IFA_LOCAL || (attributes.Type == IFA_ADDRESS && address.IsEmpty)))
                address = attributes.Value;
        }

        if (address.IsEmpty || header.PrefixLength > size * 8)
            return false;
        result = new AssignedAddress((int)header.Index, new InterfaceAddress(TunnelAddress.FromBytes(address), header.PrefixLength));
        return true;
    }

    /// <summary>True when what the kernel tells may be about an interface, or about where one of its networks is routed.</summary>
    /// <param name="type">The message's type.</param>
    /// <param name="body">What follows its header.</param>
    /// <param name="interfaceIndex">The interface.</param>
    /// <param name="networks">The interface's networks.</param>
    internal static bool IsAbout(ushort type, ReadOnlySpan<byte> body, int interfaceIndex, IReadOnlyList<InterfaceAddress> networks)
    {
        switch (type)
        {
            case RTM_NEWLINK or RTM_DELLINK:
                return MemoryMarshal.TryRead(body, out LinkHeader link) && link.Index == interfaceIndex;
            case RTM_NEWADDR or RTM_DELADDR:
                return MemoryMarshal.TryRead(body, out AddressHeader address) && address.Index == (uint)interfaceIndex;
            case RTM_NEWROUTE or RTM_DELROUTE when TryReadRoute(body, out Route route):
                if (route.InterfaceIndex == interfaceIndex)
                    return true;
                foreach (InterfaceAddress network in networks)
                {
                    if (network.PrefixLength == route.PrefixLength && network.Address.IsIPv4 == route.IsIPv4
                        && network.Prefix.Network == route.Destination)
                    {
                        return true;
                    }
                }

                return false;
            default:
                return false;
        }
    }

    /// <summary>Reads the body of an RTM_NEWROUTE or RTM_DELROUTE; false for other families and malformed bytes.</summary>
    internal static bool TryReadRoute(ReadOnlySpan<byte> body, out Route result)
    {
        result = default;
        if (!MemoryMarshal.TryRead(body, out RouteHeader header) || header.Family is not (LibC.AF_INET or LibC.AF_INET6))
            return false;
        bool isIPv4 = header.Family == LibC.AF_INET;
        var destination = TunnelAddress.FromBits(UInt128.Zero, isIPv4);
        int outgoing = 0;
        var attributes = new NetlinkAttributes(body[Marshal.SizeOf<RouteHeader>()..]);
        while (attributes.MoveNext())
        {
            if (attributes.Type == RTA_DST && attributes.Value.Length == (isIPv4 ? 4 : 16))
                destination = TunnelAddress.FromBytes(attributes.Value);
            else if (attributes.Type == RTA_OIF && attributes.Value.Length == sizeof(int))
                outgoing = MemoryMarshal.Read<int>(attributes.Value);
        }

        result = new Route(destination, header.DestinationLength, outgoing);
        return true;
    }

    /// <summary>Reads the body of an RTM_NEWLINK; false for malformed bytes.</summary>
    internal static bool TryReadLink(ReadOnlySpan<byte> body, out int index, out LinkStatus link)
    {
        index = 0;
        link = default;
        string name = string.Empty;
        int mtu = 0;
        if (!MemoryMarshal.TryRead(body, out LinkHeader header))
            return false;
        index = header.Index;
        var attributes = new NetlinkAttributes(body[Marshal.SizeOf<LinkHeader>()..]);
        while (attributes.MoveNext())
        {
            if (attributes.Type == IFLA_IFNAME)
                name = attributes.Text;
            else if (attributes.Type == IFLA_MTU && attributes.Value.Length == sizeof(int))
                mtu = MemoryMarshal.Read<int>(attributes.Value);
        }

        link = new LinkStatus(name, (header.Flags & IFF_UP) != 0, mtu);
        return name.Length > 0;
    }

    /// <summary>Reads the body of an RTM_NEWLINK; false for malformed bytes.</summary>
    internal static bool TryReadDetails(ReadOnlySpan<byte> body, out LinkDetails link)
    {
        link = default;
        if (!TryReadLink(body, out int index, out LinkStatus status))
            return false;
        (string? kind, int lower, int master, bool isElsewhere, bool isMachine) = (null, 0, 0, false, false);
        var attributes = new NetlinkAttributes(body[Marshal.SizeOf<LinkHeader>()..]);
        while (attributes.MoveNext())
        {
            if (attributes.Type == IFLA_LINK && attributes.Value.Length == sizeof(int))
                lower = MemoryMarshal.Read<int>(attributes.Value);
            else if (attributes.Type == IFLA_MASTER && attributes.Value.Length == sizeof(int))
                master = MemoryMarshal.Read<int>(attributes.Value);
            else if (attributes.Type == IFLA_LINK_NETNSID)
                isElsewhere = true;
            else if (attributes.Type == IFLA_LINKINFO)
                ReadInfo(attributes.Value, out kind, out isMachine);
        }

        link = new LinkDetails(index, status.Name, kind, isElsewhere ? 0 : lower, master, isMachine);
        return true;
    }

    private static void ReadInfo(ReadOnlySpan<byte> info, out string? kind, out bool isMachine)
    {
        kind = null;
        ReadOnlySpan<byte> data = [];
        var attributes = new NetlinkAttributes(info);
        while (attributes.MoveNext())
        {
            if (attributes.Type == IFLA_INFO_KIND)
                kind = attributes.Text;
            else if (attributes.Type == IFLA_INFO_DATA)
                data = attributes.Value;
        }

        (bool isTap, bool hasHeader) = (false, false);
        attributes = new NetlinkAttributes(kind == "tun" ? data : []);
        while (attributes.MoveNext())
        {
            isTap |= attributes.Type == IFLA_TUN_TYPE && attributes.Value is [IFF_TAP];
            hasHeader |= attributes.Type == IFLA_TUN_VNET_HDR && attributes.Value is [1];
        }

        isMachine = isTap && hasHeader;
    }

    /// <summary>struct ifinfomsg.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct LinkHeader
    {
        public byte Family;
        public byte Padding;
        public ushort Type;
        public int Index;
        public uint Flags;
        public uint Change;
    }

    /// <summary>struct ifaddrmsg.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct AddressHeader
    {
        public byte Family;
        public byte PrefixLength;
        public byte Flags;
        public byte Scope;
        public uint Index;
    }

    /// <summary>struct rtmsg.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct RouteHeader
    {
        public byte Family;
        public byte DestinationLength;
        public byte SourceLength;
        public byte TypeOfService;
        public byte Table;
        public byte Protocol;
        public byte Scope;
        public byte Type;
        public uint Flags;
    }
}
