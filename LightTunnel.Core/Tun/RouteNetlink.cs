using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Transport;
using Microsoft.Win32.SafeHandles;
using static LightTunnel.Tun.RouteMessage;

namespace LightTunnel.Tun;

/// <summary>
/// What is asked of the kernel about interfaces, addresses and routes, over rtnetlink (RFC 3549) and without an external program. Works in
/// the network namespace in which it was opened. Calls answer the kernel's errno, 0 for success. One thread at a time.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class RouteNetlink : IDisposable
{
    private const ushort NLM_F_REQUEST = 1, NLM_F_ACK = 4, NLM_F_REPLACE = 0x100, NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400,
        NLM_F_DUMP = 0x300;
    private const byte RT_TABLE_MAIN = 254, RTPROT_KERNEL = 2, RTPROT_STATIC = 4, RT_SCOPE_UNIVERSE = 0, RT_SCOPE_LINK = 253,
        RTN_UNICAST = 1, RTN_LOCAL = 2;
    private const uint IFA_F_NODAD = 2, RTM_F_FIB_MATCH = 0x2000;
    private const int NetworkMetricIPv6 = 256; // IP6_RT_PRIO_ADDRCONF: what the kernel gives the routes of its own addresses.
    private const byte AddressGenerationNone = 1;
    private const int RequestSize = 256;

    private readonly SafeFileHandle _socket;
    private readonly byte[] _answer = new byte[32 * 1024]; // The kernel never sends a longer datagram (NLMSG_GOODSIZE).
    private uint _sequence;

    public RouteNetlink()
    {
        int descriptor = LibC.Socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, protocol: 0);
        if (descriptor < 0)
            throw new IOException($"netlink socket: {LibC.Describe(LibC.LastError)}");
        _socket = new SafeFileHandle(descriptor, ownsHandle: true);
        // The kernel answers at once; this only keeps a fault of ours from hanging a tunnel.
        long* timeout = stackalloc long[2] { 5, 0 };
        LibC.SetSocketOption(descriptor, LibC.SOL_SOCKET, LibC.SO_RCVTIMEO, timeout, 2 * sizeof(long));
    }

    /// <summary>All addresses of all interfaces.</summary>
    public IReadOnlyList<AssignedAddress> GetAddresses()
    {
        var result = new List<AssignedAddress>();
        var request = new NetlinkRequest(stackalloc byte[RequestSize], RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, ++_sequence);
        request.Append(default(AddressHeader));
        int error = Exchange(request.Finish(), (type, body) =>
        {
            if (type == RTM_NEWADDR && TryReadAddress(body, out AssignedAddress address))
                result.Add(address);
        });
        return error == 0 ? result : throw new IOException($"netlink: {LibC.Describe(error)}");
    }

    /// <summary>How an interface stands; null when there is none of that index here.</summary>
    public LinkStatus? GetLink(int interfaceIndex)
    {
        var request = new NetlinkRequest(stackalloc byte[RequestSize], RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, ++_sequence);
        request.Append(new LinkHeader { Index = interfaceIndex });
        LinkStatus? result = null;
        int error = Exchange(request.Finish(), (type, body) =>
        {
            if (type == RTM_NEWLINK && TryReadLink(body, out int index, out LinkStatus link) && index == interfaceIndex)
                result = link;
        });
        return error is 0 or LibC.ENODEV ? result : throw new IOException($"netlink: {LibC.Describe(error)}");
    }

    /// <summary>What all interfaces are.</summary>
    public IReadOnlyList<LinkDetails> GetLinks()
    {
        var result = new List<LinkDetails>();
        var request = new NetlinkRequest(stackalloc byte[RequestSize], RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, ++_sequence);
        request.Append(default(LinkHeader));
        int error = Exchange(request.Finish(), (type, body) =>
        {
            if (type == RTM_NEWLINK && TryReadDetails(body, out LinkDetails link))
                result.Add(link);
        });
        return error == 0 ? result : throw new IOException($"netlink: {LibC.Describe(error)}");
    }

    /// <summary>Gives an interface an address; the kernel adds the route of its network.</summary>
    public int AddAddress(int interfaceIndex, InterfaceAddress address) =>
        ChangeAddress(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, interfaceIndex, address);

    /// <summary>Takes an address from an interface.</summary>
    public int RemoveAddress(int interfaceIndex, InterfaceAddress address) => ChangeAddress(RTM_DELADDR, 0, interfaceIndex, address);

    /// <summary>Sets the longest packet of an interface, bytes.</summary>
    public int SetMtu(int interfaceIndex, int mtu) => ChangeLink(interfaceIndex, IFLA_MTU, (uint)mtu);

    /// <summary>Sets the longest super-packet that the kernel makes for an interface, bytes with headers.</summary>
    public int SetLongestSuperPacket(int interfaceIndex, int size) => ChangeLink(interfaceIndex, IFLA_GSO_MAX_SIZE, (uint)size);

    /// <summary>Keeps the kernel from inventing an IPv6 link-local address, and the router solicitations that follow it.</summary>
    public int DisableAddressGeneration(int interfaceIndex)
    {
        var request = new NetlinkRequest(stackalloc byte[RequestSize], RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, ++_sequence);
        request.Append(new LinkHeader { Index = interfaceIndex });
        int families = request.Open(IFLA_AF_SPEC);
        int inet6 = request.Open(LibC.AF_INET6);
        request.Attribute(IFLA_INET6_ADDR_GEN_MODE, [AddressGenerationNone]);
        request.Close(inet6);
        request.Close(families);
        return Exchange(request.Finish(), null);
    }

    /// <summary>Brings an interface up or down.</summary>
    public int SetUp(int interfaceIndex, bool up)
    {
        var request = new NetlinkRequest(stackalloc byte[RequestSize], RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, ++_sequence);
        request.Append(new LinkHeader { Index = interfaceIndex, Flags = up ? IFF_UP : 0, Change = IFF_UP });
        return Exchange(request.Finish(), null);
    }

    /// <summary>
    /// Routes the network of one of an interface's addresses into it as the kernel does; an equal route of another interface stays.
    /// </summary>
    public int AddNetworkRoute(int interfaceIndex, InterfaceAddress address) => ChangeRoute(
        RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, interfaceIndex, address.Prefix, address.Address.IsIPv4 ? 0 : NetworkMetricIPv6,
        RTPROT_KERNEL,
        address.Address.IsIPv4 ? address.Address : null);

    /// <summary>
    /// Routes a prefix into an interface, which must be up. A route of the same prefix and metric, whoever made it, stays: EEXIST.
    /// </summary>
    public int AddRoute(int interfaceIndex, IpPrefix prefix) =>
        ChangeRoute(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, interfaceIndex, prefix, metric: 0);

    /// <summary>Which route packets to an address take.</summary>
    /// <param name="destination">The address.</param>
    /// <param name="interfaceIndex">The interface that they leave by, 0 when there is more than one.</param>
    /// <param name="prefixLength">How much of the address the route names. Kernels before 4.13 say all of it.</param>
    public int FindRoute(TunnelAddress destination, out int interfaceIndex, out int prefixLength)
    {
        int outgoing = 0, length = 0;
        int error = AskRoute(destination, RTM_F_FIB_MATCH, (type, body) =>
        {
            if (type == RTM_NEWROUTE && TryReadRoute(body, out Route route))
                (outgoing, length) = (route.InterfaceIndex, route.PrefixLength);
        });
        (interfaceIndex, prefixLength) = (outgoing, length);
        return error;
    }

    /// <summary>Removes a route.</summary>
    public int RemoveRoute(int interfaceIndex, IpPrefix prefix) => ChangeRoute(RTM_DELROUTE, 0, interfaceIndex, prefix, metric: 0);

    /// <summary>True when packets to the address are delivered to this machine.</summary>
    public bool IsDelivered(TunnelAddress address)
    {
        bool isLocal = false;
        AskRoute(address, flags: 0, (type, body) =>
            isLocal |= type == RTM_NEWROUTE && MemoryMarshal.TryRead(body, out RouteHeader route) && route.Type == RTN_LOCAL);
        return isLocal;
    }

    /// <summary>The interface that packets to the address leave by; 0 when there is no route.</summary>
    public int FindInterface(TunnelAddress address)
    {
        int index = 0;
        AskRoute(address, flags: 0, (type, body) =>
        {
            if (type == RTM_NEWROUTE && TryReadRoute(body, out Route route))
                index = route.InterfaceIndex;
        });
        return index;
    }

    /// <summary>
    /// Waits until the kernel delivers packets to an address that was just added: for IPv6 it does so from a work queue, a
    /// moment after it has confirmed the address. Gives up after a second.
    /// </summary>
    public void WaitUntilDelivered(TunnelAddress address)
    {
        for (int attempt = 0; attempt < 1000 && !IsDelivered(address); attempt++)
            _ = LibC.Poll(null, 0, 1);
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private int AskRoute(TunnelAddress address, uint flags, MessageHandler handler)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes = bytes[..address.WriteTo(bytes)];
        var request = new NetlinkRequest(stackalloc byte[RequestSize], RTM_GETROUTE, NLM_F_REQUEST | NLM_F_ACK, ++_sequence);
        request.Append(new RouteHeader { Family = FamilyOf(address), DestinationLength = (byte)address.BitLength, Flags = flags });
        request.Attribute(RTA_DST, bytes);
        request.Attribute(RTA_MARK, TunnelMark.Value); // As a tunnel's own datagrams go, whatever else an exit node takes.
        return Exchange(request.Finish(), handler);
    }

    private int ChangeLink(int interfaceIndex, ushort attribute, uint value)
    {
        var request = new NetlinkRequest(stackalloc byte[RequestSize], RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, ++_sequence);
        request.Append(new LinkHeader { Index = interfaceIndex });
        request.Attribute(attribute, value);
        return Exchange(request.Finish(), null);
    }

    private int ChangeAddress(ushort type, ushort flags, int interfaceIndex, InterfaceAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes = bytes[..address.Address.WriteTo(bytes)];
        var request = new NetlinkRequest(stackalloc byte[RequestSize], type, (ushort)(NLM_F_REQUEST | NLM_F_ACK | flags), ++_sequence);
        request.Append(new AddressHeader
        {
            Family = FamilyOf(address.Address),
            PrefixLength = (byte)address.PrefixLength,
            Index = (uint)interfaceIndex,
        });
        request.Attribute(IFA_LOCAL, bytes);
        request.Attribute(IFA_ADDRESS, bytes);
        if (!address.Address.IsIPv4)
            request.Attribute(IFA_FLAGS, IFA_F_NODAD); // Nobody else can be on the far side: usable at once.
        return Exchange(request.Finish(), null);
    }

    private int ChangeRoute(
        ushort type, ushort flags, int interfaceIndex, IpPrefix prefix, int metric, byte protocol = RTPROT_STATIC,
        TunnelAddress? source = null)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes = bytes[..prefix.Network.WriteTo(bytes)];
        var request = new NetlinkRequest(stackalloc byte[RequestSize], type, (ushort)(NLM_F_REQUEST | NLM_F_ACK | flags), ++_sequence);
        request.Append(new RouteHeader
        {
            Family = FamilyOf(prefix.Network),
            DestinationLength = (byte)prefix.Length,
            Table = RT_TABLE_MAIN,
            Protocol = protocol,
            Scope = prefix.Network.IsIPv4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
            Type = RTN_UNICAST,
        });
        request.Attribute(RTA_DST, bytes);
        request.Attribute(RTA_OIF, (uint)interfaceIndex);
        if (metric != 0)
            request.Attribute(RTA_PRIORITY, (uint)metric);
        if (source is { } preferred)
            request.Attribute(RTA_PREFSRC, bytes[..preferred.WriteTo(bytes)]);
        return Exchange(request.Finish(), null);
    }

    /// <summary>A number for the next request.</summary>
    internal uint NextSequence() => ++_sequence;

    /// <summary>Sends a request that has the last number, and hands over what is told in answer; the kernel's errno.</summary>
    internal int Exchange(ReadOnlySpan<byte> request, MessageHandler? handler)
    {
        bool held = false;
        try
        {
            _socket.DangerousAddRef(ref held);
            int descriptor = (int)_socket.DangerousGetHandle();
            fixed (byte* data = request)
            {
                if (LibC.Send(descriptor, data, (nuint)request.Length, 0) < 0)
                    return LibC.LastError;
            }

            while (true)
            {
                nint length;
                fixed (byte* buffer = _answer)
                    length = LibC.Receive(descriptor, buffer, (nuint)_answer.Length, 0);
                if (length < 0 && LibC.LastError == LibC.EINTR)
                    continue;
                if (length <= 0)
                    return length < 0 ? LibC.LastError : LibC.EIO;
                var messages = new NetlinkReader(_answer.AsSpan(0, (int)length));
                while (messages.MoveNext())
                {
                    if (messages.Sequence != _sequence)
                        continue;
                    if (messages.Type is NetlinkReader.TypeDone)
                        return 0;
                    if (messages.Type is NetlinkReader.TypeError)
                        return messages.Error;
                    handler?.Invoke(messages.Type, messages.Body);
                }
            }
        }
        finally
        {
            if (held)
                _socket.DangerousRelease();
        }
    }

    private static byte FamilyOf(TunnelAddress address) => (byte)(address.IsIPv4 ? LibC.AF_INET : LibC.AF_INET6);

    internal delegate void MessageHandler(ushort type, ReadOnlySpan<byte> body);
}
