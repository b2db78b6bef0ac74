using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.Versioning;
using LightTunnel.Transport;
using LightTunnel.Tun;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Forwarding;

/// <summary>What somebody changed, as far as it concerns forwarding.</summary>
[Flags]
internal enum ForwardingEvents
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Interfaces, addresses or routes: networks may be reached otherwise now.</summary>
    Routes = 1,

    /// <summary>The forwarding of an interface, or the rules of forwarding themselves.</summary>
    Own = 2,

    /// <summary>Other rules of the packet filter.</summary>
    Filter = 4,
}

/// <summary>
/// Hears from the kernel what may change what is forwarded: rtnetlink's groups and nftables'. In the network namespace in which it was
/// made; for one thread.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class ForwardingWatch : IDisposable
{
    private const int NetlinkRoute = 0, NetlinkNetfilter = 12;

    // RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE; groups 24 and 25 tell of forwarding.
    private const uint RouteGroups = 0x1 | 0x10 | 0x40 | 0x100 | 0x400 | (1u << 23) | (1u << 24);
    private const uint NftablesGroup = 1u << 6; // NFNLGRP_NFTABLES
    private const ushort RTM_NEWNETCONF = 80, RTM_DELNETCONF = 81, AttributeTable = 1;
    private const int NetfilterHeader = 4; // struct nfgenmsg
    private const ushort NewGeneration = (10 << 8) | 15; // NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN
    private const ushort AttributeProcess = 2, AttributeProcessName = 3; // NFTA_GEN_PROC_PID, NFTA_GEN_PROC_NAME

    private readonly SafeFileHandle _routes = Open(NetlinkRoute, RouteGroups);
    private readonly SafeFileHandle? _filter;
    private string? _suspect;
    private readonly byte[] _buffer = new byte[32 * 1024]; // The kernel never sends a longer datagram (NLMSG_GOODSIZE).

    public ForwardingWatch()
    {
        try
        {
            _filter = Open(NetlinkNetfilter, NftablesGroup);
        }
        catch (IOException)
        {
            // A kernel without nftables has no rules that could change.
        }
    }

    /// <summary>Waits until something changed, or for as long as is said.</summary>
    /// <param name="closed">Ends the wait.</param>
    /// <param name="longest">How long.</param>
    /// <param name="events">What changed; several changes at once.</param>
    /// <returns>False when the signal was set.</returns>
    public bool Wait(CloseSignal closed, TimeSpan longest, out ForwardingEvents events)
    {
        events = ForwardingEvents.None;
        Span<int> descriptors = stackalloc int[_filter is null ? 1 : 2];
        descriptors[0] = (int)_routes.DangerousGetHandle();
        if (_filter is not null)
            descriptors[1] = (int)_filter.DangerousGetHandle();
        if (!closed.WaitReadable(descriptors, longest))
            return false;
        events |= Take(_routes, isFilter: false);
        if (_filter is not null)
            events |= Take(_filter, isFilter: true);
        return true;
    }

    /// <summary>
    /// The program that changed rules last, as far as the kernel told, or null; asked once, it is forgotten. The program nft, by which
    /// tunnels and people do it, is nobody.
    /// </summary>
    public string? TakeSuspect()
    {
        string? suspect = _suspect;
        _suspect = null;
        return suspect;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _routes.Dispose();
        _filter?.Dispose();
    }

    /// <summary>What a datagram of the kernel's tells; any bytes are survived.</summary>
    internal static ForwardingEvents Read(ReadOnlySpan<byte> datagram, bool isFilter)
    {
        ForwardingEvents events = ForwardingEvents.None;
        var messages = new NetlinkReader(datagram);
        while (messages.MoveNext())
        {
            if (!isFilter)
                events |= messages.Type is RTM_NEWNETCONF or RTM_DELNETCONF ? ForwardingEvents.Own : ForwardingEvents.Routes;
            else
                events |= IsOwnTable(messages.Body) ? ForwardingEvents.Own : ForwardingEvents.Filter;
        }

        return events;
    }

    /// <summary>Who made the change that a datagram tells of, which the kernel says in its last message; null where it does not.</summary>
    internal static string? ReadAuthor(ReadOnlySpan<byte> datagram)
    {
        var messages = new NetlinkReader(datagram);
        while (messages.MoveNext())
        {
            if (messages.Type != NewGeneration || messages.Body.Length < NetfilterHeader)
                continue;
            var attributes = new NetlinkAttributes(messages.Body[NetfilterHeader..]);
            uint process = 0;
            string? name = null;
            while (attributes.MoveNext())
            {
                if (attributes.Type == AttributeProcess && attributes.Value.Length >= sizeof(uint))
                    process = BinaryPrimitives.ReadUInt32BigEndian(attributes.Value);
                else if (attributes.Type == AttributeProcessName)
                    name = new string([.. attributes.Text.Where(c => !char.IsControl(c))]);
            }

            if (name is { Length: > 0 } and not "nft")
                return $"{name} (process {process.ToString(CultureInfo.InvariantCulture)})";
        }

        return null;
    }

    private static bool IsOwnTable(ReadOnlySpan<byte> body)
    {
        if (body.Length < NetfilterHeader)
            return false;
        var attributes = new NetlinkAttributes(body[NetfilterHeader..]);
        while (attributes.MoveNext())
        {
            if (attributes.Type == AttributeTable)
                return attributes.Text == ForwardingRules.Table;
        }

        return false;
    }

    private static SafeFileHandle Open(int protocol, uint groups)
    {
        int descriptor = LibC.Socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, protocol);
        if (descriptor < 0)
            throw new IOException($"netlink socket: {LibC.Describe(LibC.LastError)}");
        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        uint* address = stackalloc uint[3] { LibC.AF_NETLINK, 0, groups };
        if (LibC.Bind(descriptor, address, 3 * sizeof(uint)) == 0)
            return handle;
        int error = LibC.LastError;
        handle.Dispose();
        throw new IOException($"netlink socket: {LibC.Describe(error)}");
    }

    private ForwardingEvents Take(SafeFileHandle socket, bool isFilter)
    {
        ForwardingEvents events = ForwardingEvents.None;
        while (true)
        {
            nint length;
            fixed (byte* buffer = _buffer)
                length = LibC.Receive((int)socket.DangerousGetHandle(), buffer, (nuint)_buffer.Length, LibC.MSG_DONTWAIT);
            if (length > 0)
            {
                events |= Read(_buffer.AsSpan(0, (int)length), isFilter);
                if (isFilter)
                    _suspect = ReadAuthor(_buffer.AsSpan(0, (int)length)) ?? _suspect;
            }
            else if (length == 0 || LibC.LastError is not (LibC.EINTR or LibC.ENOBUFS))
            {
                return events;
            }
            else if (LibC.LastError == LibC.ENOBUFS)
            {
                events |= ForwardingEvents.Own | ForwardingEvents.Routes | ForwardingEvents.Filter; // Something was lost.
            }
        }
    }
}
