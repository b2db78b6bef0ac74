using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Transport;
using static LightTunnel.Tun.RouteMessage;

namespace LightTunnel.Tun;

/// <summary>A route of one of the kernel's tables.</summary>
/// <param name="Prefix">What it is for.</param>
/// <param name="Interfaces">The interfaces that packets leave by, several where it is spread over them; none for what leaves by
/// none.</param>
/// <param name="Kind">What becomes of packets.</param>
internal readonly record struct TableRoute(IpPrefix Prefix, IReadOnlyList<int> Interfaces, RouteKind Kind)
{
    /// <inheritdoc/>
    public bool Equals(TableRoute other) =>
        Prefix == other.Prefix && Kind == other.Kind && Interfaces.SequenceEqual(other.Interfaces);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Prefix, Kind);
}

/// <summary>What becomes of packets that a route is for; the kernel's numbers.</summary>
internal enum RouteKind : byte
{
    /// <summary>They leave by an interface (RTN_UNICAST).</summary>
    Forward = 1,

    /// <summary>Their sender is told that they cannot leave (RTN_UNREACHABLE).</summary>
    Unreachable = 7,

    /// <summary>The next rule says it (RTN_THROW).</summary>
    Elsewhere = 9,
}

/// <summary>A rule of policy routing: which table is looked at, for which packets.</summary>
/// <param name="Priority">Its place among the others, lower ones first.</param>
/// <param name="Table">The table.</param>
/// <param name="UnlessMarked">Only packets without the mark of the tunnels.</param>
/// <param name="From">Only packets that arrive by this interface; null for all.</param>
/// <param name="IsLease">Only what renews the lease of an IPv4 address (DHCP).</param>
internal readonly record struct PolicyRule(
    uint Priority, uint Table, bool UnlessMarked = false, string? From = null, bool IsLease = false);

/// <summary>
/// Tables of routes and the rules that choose among them, over rtnetlink. In the network namespace in which it was opened; for one thread.
/// Calls answer the kernel's errno, 0 for success.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class PolicyRoutes : IDisposable
{
    /// <summary>The table that a system without policies has all its routes in.</summary>
    public const uint Main = 254;

    private const ushort RTM_NEWRULE = 32, RTM_DELRULE = 33;
    private const ushort NLM_F_REQUEST = 1, NLM_F_ACK = 4, NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLM_F_DUMP = 0x300;
    private const ushort FRA_IIFNAME = 3, FRA_PRIORITY = 6, FRA_FWMARK = 10, FRA_TABLE = 15, FRA_FWMASK = 16, FRA_IP_PROTO = 22,
        FRA_SPORT_RANGE = 23, FRA_DPORT_RANGE = 24, RTA_MULTIPATH = 9;
    private const byte FR_ACT_TO_TBL = 1, RTPROT_STATIC = 4, RT_SCOPE_UNIVERSE = 0, IPPROTO_UDP = 17;
    private const uint FIB_RULE_INVERT = 2;
    private const int DhcpClient = 68, DhcpServer = 67, RequestSize = 256, NextHopSize = 8;

    private readonly RouteNetlink _netlink = new();

    /// <summary>All routes of a table, of both families.</summary>
    /// <exception cref="IOException">The kernel does not tell.</exception>
    public IReadOnlyList<TableRoute> Read(uint table)
    {
        var routes = new List<TableRoute>();
        Span<byte> buffer = stackalloc byte[RequestSize];
        foreach (byte family in (byte[])[LibC.AF_INET, LibC.AF_INET6])
        {
            var request = new NetlinkRequest(
                buffer, RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, _netlink.NextSequence());
            request.Append(new RouteHeader { Family = family });
            int error = _netlink.Exchange(request.Finish(), (type, body) =>
            {
                if (type == RTM_NEWROUTE && TryRead(body, out uint of, out TableRoute route) && of == table)
                    routes.Add(route);
            });
            if (error is not (0 or LibC.EAFNOSUPPORT or LibC.EOPNOTSUPP))
                throw new IOException($"netlink: {LibC.Describe(error)}");
        }

        return routes;
    }

    /// <summary>Puts a route into a table; one of the same prefix and kind stays: EEXIST.</summary>
    public int Add(uint table, TableRoute route) => Change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, table, route);

    /// <summary>Takes a route out of a table.</summary>
    public int Remove(uint table, TableRoute route) => Change(RTM_DELROUTE, 0, table, route);

    /// <summary>Makes a rule; where there is the same already it stays alone: EEXIST.</summary>
    public int Add(bool isIPv4, PolicyRule rule) => Change(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, isIPv4, rule);

    /// <summary>Takes a rule away.</summary>
    public int Remove(bool isIPv4, PolicyRule rule) => Change(RTM_DELRULE, 0, isIPv4, rule);

    /// <summary>What all interfaces are.</summary>
    public IReadOnlyList<LinkDetails> GetLinks() => _netlink.GetLinks();

    /// <inheritdoc cref="RouteNetlink.GetLink"/>
    public LinkStatus? GetLink(int interfaceIndex) => _netlink.GetLink(interfaceIndex);

    /// <inheritdoc/>
    public void Dispose() => _netlink.Dispose();

    /// <summary>Reads the body of an RTM_NEWROUTE; false for other families, other kinds of routes and malformed bytes.</summary>
    internal static bool TryRead(ReadOnlySpan<byte> body, out uint table, out TableRoute result)
    {
        (table, result) = (0, default);
        if (!MemoryMarshal.TryRead(body, out RouteHeader header) || header.Family is not (LibC.AF_INET or LibC.AF_INET6)
            || (header.Flags & RTM_F_CLONED) != 0
            || (RouteKind)header.Type is not (RouteKind.Forward or RouteKind.Unreachable or RouteKind.Elsewhere))
        {
            return false;
        }

        bool isIPv4 = header.Family == LibC.AF_INET;
        if (header.DestinationLength > (isIPv4 ? 32 : 128))
            return false;
        table = header.Table;
        var destination = TunnelAddress.FromBits(UInt128.Zero, isIPv4);
        var interfaces = new List<int>();
        var attributes = new NetlinkAttributes(body[Marshal.SizeOf<RouteHeader>()..]);
        while (attributes.MoveNext())
        {
            ReadOnlySpan<byte> value = attributes.Value;
            if (attributes.Type == RTA_DST && value.Length == (isIPv4 ? 4 : 16))
                destination = TunnelAddress.FromBytes(value);
            else if (attributes.Type == RTA_OIF && value.Length == sizeof(int))
                interfaces.Add(MemoryMarshal.Read<int>(value));
            else if (attributes.Type == RTA_TABLE && value.Length == sizeof(uint))
                table = MemoryMarshal.Read<uint>(value);
            else if (attributes.Type == RTA_MULTIPATH)
                ReadNextHops(value, interfaces);
        }

        bool leaves = (RouteKind)header.Type == RouteKind.Forward;
        result = new TableRoute(new IpPrefix(destination, header.DestinationLength), leaves ? interfaces : [], (RouteKind)header.Type);
        return true;
    }

    /// <summary>struct rtnexthop, one after the other: length, flags, hops, interface.</summary>
    private static void ReadNextHops(ReadOnlySpan<byte> hops, List<int> interfaces)
    {
        while (hops.Length >= NextHopSize)
        {
            int length = MemoryMarshal.Read<ushort>(hops);
            if (length < NextHopSize || length > hops.Length)
                return;
            interfaces.Add(MemoryMarshal.Read<int>(hops[4..]));
            hops = hops[Math.Min(hops.Length, (length + 3) & ~3)..];
        }
    }

    private int Change(ushort type, ushort flags, uint table, TableRoute route)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes = bytes[..route.Prefix.Network.WriteTo(bytes)];
        var request = new NetlinkRequest(
            stackalloc byte[RequestSize], type, (ushort)(NLM_F_REQUEST | NLM_F_ACK | flags), _netlink.NextSequence());
        request.Append(new RouteHeader
        {
            Family = FamilyOf(route.Prefix.Network.IsIPv4),
            DestinationLength = (byte)route.Prefix.Length,
            Protocol = RTPROT_STATIC,
            // Not that of a link, or routes that others set by a router of the local network would take it to be reached by this one.
            Scope = RT_SCOPE_UNIVERSE,
            Type = (byte)route.Kind,
        });
        if (route.Prefix.Length > 0)
            request.Attribute(RTA_DST, bytes);
        request.Attribute(RTA_TABLE, table);
        if (route.Kind == RouteKind.Forward)
            request.Attribute(RTA_OIF, (uint)route.Interfaces[0]);
        return _netlink.Exchange(request.Finish(), null);
    }

    private int Change(ushort type, ushort flags, bool isIPv4, PolicyRule rule)
    {
        var request = new NetlinkRequest(
            stackalloc byte[RequestSize], type, (ushort)(NLM_F_REQUEST | NLM_F_ACK | flags), _netlink.NextSequence());
        // struct fib_rule_hdr has the layout of struct rtmsg.
        request.Append(new RouteHeader
        {
            Family = FamilyOf(isIPv4), Type = FR_ACT_TO_TBL, Flags = rule.UnlessMarked ? FIB_RULE_INVERT : 0,
        });
        request.Attribute(FRA_PRIORITY, rule.Priority);
        request.Attribute(FRA_TABLE, rule.Table);
        if (rule.UnlessMarked)
        {
            request.Attribute(FRA_FWMARK, TunnelMark.Value);
            request.Attribute(FRA_FWMASK, TunnelMark.Mask);
        }

        if (rule.From is { } from)
        {
            Span<byte> name = stackalloc byte[16];
            name.Clear();
            int length = System.Text.Encoding.ASCII.GetBytes(from, name[..15]);
            request.Attribute(FRA_IIFNAME, name[..(length + 1)]);
        }

        if (rule.IsLease)
        {
            request.Attribute(FRA_IP_PROTO, [IPPROTO_UDP]);
            request.Attribute(FRA_SPORT_RANGE, DhcpClient | (DhcpClient << 16));
            request.Attribute(FRA_DPORT_RANGE, DhcpServer | (DhcpServer << 16));
        }

        return _netlink.Exchange(request.Finish(), null);
    }

    private static byte FamilyOf(bool isIPv4) => (byte)(isIPv4 ? LibC.AF_INET : LibC.AF_INET6);
}
