using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Tun;

/// <summary>
/// A TUN interface of Linux. It is not persistent: the kernel removes it, its addresses and routes with the last descriptor, also when
/// the process dies. Configuration happens in the network namespace in which it was created, whichever thread asks.
/// The interface may be moved to another namespace by others; reading and writing go on.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class LinuxTun : ITunDevice, IPollable, IConfiguredInterface
{
    /// <summary>Longest name, characters (IFNAMSIZ less the zero).</summary>
    public const int MaximumNameLength = 15;

    private const string DevicePath = "/dev/net/tun";
    private const nuint TUNSETIFF = 0x400454CA, TUNSETPERSIST = 0x400454CB, TUNSETOFFLOAD = 0x400454D0;
    private const short IFF_TUN = 0x0001, IFF_MULTI_QUEUE = 0x0100, IFF_NO_PI = 0x1000, IFF_VNET_HDR = 0x4000;
    private const nuint TUN_F_CSUM = 0x01, TUN_F_TSO4 = 0x02, TUN_F_TSO6 = 0x04, TUN_F_TSO_ECN = 0x08, TUN_F_USO4 = 0x20, TUN_F_USO6 = 0x40;
    private const nuint TcpOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN, UdpOffloads = TUN_F_USO4 | TUN_F_USO6;
    private const int InterfaceRequestSize = 40; // struct ifreq: 16 bytes of name, 24 of union.

    /// <summary>IP and TCP headers without options.</summary>
    private const int LeastTcpHeaders = 40;

    /// <summary>What the kernel sets apart for headers in each super-packet (MAX_TCP_HEADER and one byte).</summary>
    private const int KernelHeaderReserve = 321;

    private readonly Lock _gate = new(); // The netlink socket is for one thread at a time.
    private readonly RouteNetlink _netlink;
    private readonly LinuxInterfaceSettings _settings;
    private readonly LinuxInterfaceWatch _watch;
    private readonly CloseSignal _closed;
    private readonly LinuxTunQueue[] _queues;

    private LinuxTun(LinuxTunQueue[] queues, CloseSignal closed, RouteNetlink netlink, string name, int interfaceIndex, Offloads offloads)
    {
        _settings = new LinuxInterfaceSettings(netlink, interfaceIndex);
        _watch = new LinuxInterfaceWatch(interfaceIndex, closed);
        _queues = queues;
        _closed = closed;
        _netlink = netlink;
        Name = name;
        InterfaceIndex = interfaceIndex;
        Offloads = offloads;
    }

    /// <summary>
    /// The first queue's descriptor, non-blocking, owned by this object; for callers that do their own reading and writing.
    /// </summary>
    public SafeFileHandle Handle => _queues[0].Handle;

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int InterfaceIndex { get; }

    /// <inheritdoc/>
    public int Mtu { get; private set; } = 1500;

    /// <inheritdoc/>
    public int Queues => _queues.Length;

    /// <inheritdoc/>
    public bool ReadsSuperPackets => Offloads != Offloads.None;

    /// <summary>Which of the TUN offloads this kernel has and were wanted.</summary>
    public Offloads Offloads { get; }

    /// <inheritdoc/>
    public long WriteErrors => _queues.Sum(queue => queue.WriteErrors);

    /// <summary>Creates the interface in the calling thread's network namespace, down and without addresses.</summary>
    /// <param name="name">Its name; null takes the first free "lt0", "lt1", ...</param>
    /// <param name="options">How many queues and what offloads; null for what is best here.</param>
    /// <exception cref="Diagnostics.LightTunnelException">No privilege, no device node, or the name is in use or impossible.</exception>
    public static LinuxTun Create(string? name, DataPathOptions? options = null)
    {
        if (name is not null)
            CheckName(name);
        options ??= DataPathOptions.Default;
        short flags = (short)(IFF_TUN | IFF_NO_PI | (options.Queues > 1 ? IFF_MULTI_QUEUE : 0));
        var queues = new List<LinuxTunQueue>();
        var closed = new CloseSignal();
        RouteNetlink? netlink = null;
        try
        {
            (SafeFileHandle handle, string given, Offloads offloads) = Open(name, flags, options.Offloads);
            queues.Add(new LinuxTunQueue(handle, closed, offloads));
            netlink = new RouteNetlink();
            // An interface that somebody made persistent and left is ours from here on.
            LibC.IoControl((int)handle.DangerousGetHandle(), TUNSETPERSIST, null);
            int index = (int)LibC.InterfaceNameToIndex(given);
            if (index == 0)
                throw TunErrors.Refused("find", given, LibC.Describe(LibC.LastError));
            if (offloads != Offloads.None)
                flags |= IFF_VNET_HDR;
            while (queues.Count < options.Queues)
                queues.Add(new LinuxTunQueue(OpenFurther(given, flags, offloads), closed, offloads));
            SafeFileHandle[] all = [.. queues.Select(queue => queue.Handle)];
            queues.ForEach(queue => queue.SpreadOver(all));
            return new LinuxTun([.. queues], closed, netlink, given, index, offloads);
        }
        catch
        {
            netlink?.Dispose();
            queues.ForEach(queue => queue.Dispose());
            closed.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public bool Read(PacketBatch batch, int queue = 0) => _queues[queue].Read(batch);

    /// <inheritdoc/>
    public bool TryTake(PacketBatch batch, int queue) => _queues[queue].TryTake(batch);

    /// <inheritdoc/>
    public SafeHandle ReadyHandle(int queue) => _queues[queue].Handle;

    /// <inheritdoc/>
    public bool ExpectsMore(int queue) => _queues[queue].ExpectsMore;

    /// <inheritdoc/>
    public (bool Here, bool There) WaitWith(IPollable other, int queue) =>
        Poll.Wait(ReadyHandle(queue), LibC.POLLIN, other.ReadyHandle(queue), LibC.POLLIN);

    /// <inheritdoc/>
    public void Write(PacketBatch batch, int queue = 0) => _queues[queue].Write(batch);

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> packet) => _queues[0].Write(packet);

    /// <inheritdoc/>
    public Diagnostics.LightTunnelException? Configure(IReadOnlyList<InterfaceAddress> addresses, int mtu)
    {
        using Lock.Scope held = _gate.EnterScope();
        _settings.Remember([], mtu);
        LocalAddresses.ThrowIfInUse(LocalAddresses.All(_netlink, exceptInterface: InterfaceIndex), addresses);
        ThrowIfFailed(_netlink.SetMtu(InterfaceIndex, mtu), "set the MTU of");
        Mtu = mtu;
        // So that all segments of one super-packet leave as one train. Older kernels refuse, and then a train is two.
        if (ReadsSuperPackets)
            _ = _netlink.SetLongestSuperPacket(InterfaceIndex, LongestSuperPacket(mtu));
        // Fails where IPv6 is switched off, and then there is nothing to keep from being generated.
        _ = _netlink.DisableAddressGeneration(InterfaceIndex);

        // Addresses that stay are not touched, so that connections over them live on.
        foreach (AssignedAddress assigned in _netlink.GetAddresses())
        {
            if (assigned.InterfaceIndex == InterfaceIndex && !addresses.Contains(assigned.Address))
                ThrowIfFailed(_netlink.RemoveAddress(InterfaceIndex, assigned.Address), "take an address from");
        }

        InterfaceAddress[] withoutIPv6 = [.. addresses.Where(address => address.Address.IsIPv4)];
        Diagnostics.LightTunnelException? missing = null;
        foreach (InterfaceAddress address in addresses)
        {
            int error = _netlink.AddAddress(InterfaceIndex, address);
            if (!address.Address.IsIPv4 && TunErrors.IsIPv6Off(error))
            {
                missing = TunErrors.IPv6Disabled(address, HowToSwitchIPv6On(error));
                if (withoutIPv6.Length == 0)
                    throw missing;
                continue;
            }

            ThrowIfFailed(error, $"give {address} to");
        }

        ThrowIfFailed(_netlink.SetUp(InterfaceIndex, up: true), "bring up");
        foreach (InterfaceAddress address in missing is null ? addresses : withoutIPv6)
            _netlink.WaitUntilDelivered(address.Address);
        _settings.Remember(missing is null ? addresses : withoutIPv6, mtu);
        return missing;
    }

    /// <inheritdoc/>
    public void Watch(Action changed) => _watch.Start(Name, () => _settings.Addresses, changed);

    /// <inheritdoc/>
    public InterfaceCheck Check(bool restore)
    {
        lock (_gate)
        {
            IReadOnlyList<string> differences = _settings.Differences();
            string? suspect = _watch.TakeSuspect();
            if (differences.Count == 0)
                return InterfaceCheck.Right;
            if (!restore)
                return new InterfaceCheck(differences, Suspect: suspect);
            string? failure = _settings.Restore();
            if (failure is null && _settings.Differences() is { Count: > 0 } left)
                failure = string.Join(", ", left);
            return new InterfaceCheck(differences, failure, suspect);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<IpPrefix, string> SetRoutes(IReadOnlyList<IpPrefix> prefixes)
    {
        lock (_gate)
            return _settings.SetRoutes(prefixes);
    }

    /// <inheritdoc/>
    public void Close() => _closed.Set();

    /// <summary>Removes the interface as soon as no thread is inside a call any more.</summary>
    public void Dispose()
    {
        Close();
        foreach (LinuxTunQueue queue in _queues)
            queue.Dispose();
        _closed.Dispose();
        _watch.Dispose();
        _netlink.Dispose();
    }

    /// <summary>The longest super-packet (gso_max_size) whose segments become datagrams that all fit in one train.</summary>
    internal static int LongestSuperPacket(int mtu)
    {
        int segments = Math.Clamp(PacketBatch.MaximumTrainLength / (mtu + Overheads.Datagram), 1, PacketBatch.MaximumSegments);
        return (segments * (mtu - LeastTcpHeaders)) + KernelHeaderReserve;
    }

    /// <summary>The kernel knows no IPv6 at all (EAFNOSUPPORT), or was told to keep it off its interfaces.</summary>
    private static string HowToSwitchIPv6On(int error) => error is LibC.EAFNOSUPPORT or LibC.EOPNOTSUPP
        ? "Start the kernel without ipv6.disable=1, with its module ipv6"
        : "Run 'sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0' (see also /etc/sysctl.d) and start the "
            + "tunnel again";

    private static void CheckName(string name)
    {
        bool possible = name.Length is > 0 and <= MaximumNameLength && name is not ("." or "..")
            && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
        if (!possible)
            throw TunErrors.InvalidName(name, "Choose a name of 1 to 15 letters, digits, '-', '_' or '.'.");
    }

    /// <summary>Opens the device with as many of the offloads as the kernel has.</summary>
    private static (SafeFileHandle Handle, string Name, Offloads Offloads) Open(string? name, short flags, Offloads wanted)
    {
        wanted &= wanted.HasFlag(Offloads.TunTcp) ? Offloads.TunTcp | Offloads.TunUdp : Offloads.None;
        SafeFileHandle handle = OpenDevice();
        try
        {
            // The kernel replaces %d by the first number that makes the name unique.
            bool hasHeader = wanted != Offloads.None;
            string given = Attach(handle, name ?? "lt%d", name, hasHeader ? (short)(flags | IFF_VNET_HDR) : flags);
            if (!hasHeader)
                return (handle, given, Offloads.None);
            if (wanted.HasFlag(Offloads.TunUdp) && TrySetOffloads(handle, TcpOffloads | UdpOffloads))
                return (handle, given, wanted);
            if (TrySetOffloads(handle, TcpOffloads))
                return (handle, given, Offloads.TunTcp);
        }
        catch
        {
            handle.Dispose();
            throw;
        }

        // The interface goes with the descriptor, and comes again without virtio headers.
        handle.Dispose();
        return Open(name, flags, Offloads.None);
    }

    private static SafeFileHandle OpenFurther(string name, short flags, Offloads offloads)
    {
        SafeFileHandle handle = OpenDevice();
        try
        {
            Attach(handle, name, name, flags);
            if (offloads != Offloads.None)
                TrySetOffloads(handle, offloads.HasFlag(Offloads.TunUdp) ? TcpOffloads | UdpOffloads : TcpOffloads);
            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static SafeFileHandle OpenDevice()
    {
        int descriptor = LibC.Open(DevicePath, LibC.O_RDWR | LibC.O_NONBLOCK | LibC.O_CLOEXEC);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw CannotOpen(LibC.LastError);
    }

    private static bool TrySetOffloads(SafeFileHandle handle, nuint offloads) =>
        LibC.IoControl((int)handle.DangerousGetHandle(), TUNSETOFFLOAD, (void*)offloads) == 0;

    private static string Attach(SafeFileHandle handle, string pattern, string? wanted, short flags)
    {
        byte* request = stackalloc byte[InterfaceRequestSize];
        var bytes = new Span<byte>(request, InterfaceRequestSize);
        bytes.Clear();
        Encoding.ASCII.GetBytes(pattern, bytes);
        *(short*)(request + 16) = flags;
        if (LibC.IoControl((int)handle.DangerousGetHandle(), TUNSETIFF, request) == 0)
            return Encoding.ASCII.GetString(bytes[..16].TrimEnd((byte)0));
        int error = LibC.LastError;
        // EBUSY: another process holds this TUN interface; EINVAL: an interface of another kind has the name.
        if (wanted is not null && (error is LibC.EBUSY or LibC.EEXIST || LibC.InterfaceNameToIndex(wanted) != 0))
            throw TunErrors.NameInUse(wanted);
        throw error is LibC.EPERM or LibC.EACCES
            ? NoPrivilege()
            : TunErrors.Refused("create", wanted ?? pattern, LibC.Describe(error));
    }

    private static Diagnostics.LightTunnelException CannotOpen(int error) => error switch
    {
        LibC.EPERM or LibC.EACCES => NoPrivilege(),
        _ => TunErrors.Unavailable(
            $"{DevicePath} cannot be opened: {LibC.Describe(error)}.",
            "Load the module with 'modprobe tun'; in a container, start it with '--device /dev/net/tun --cap-add NET_ADMIN'."),
    };

    private static Diagnostics.LightTunnelException NoPrivilege() =>
        TunErrors.PrivilegeRequired("Run as root, or give the process the capability CAP_NET_ADMIN and access to /dev/net/tun.");

    private void ThrowIfFailed(int error, string what)
    {
        if (error is LibC.EPERM)
            throw NoPrivilege();
        if (error != 0)
            throw TunErrors.Refused(what, Name, LibC.Describe(error));
    }
}
