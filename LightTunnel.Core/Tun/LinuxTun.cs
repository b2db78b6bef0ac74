using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text;
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
internal sealed unsafe class LinuxTun : ITunDevice
{
    /// <summary>Longest name, characters (IFNAMSIZ less the zero).</summary>
    public const int MaximumNameLength = 15;

    private const string DevicePath = "/dev/net/tun";
    private const nuint TUNSETIFF = 0x400454CA, TUNSETPERSIST = 0x400454CB;
    private const short IFF_TUN = 0x0001, IFF_NO_PI = 0x1000;
    private const int InterfaceRequestSize = 40; // struct ifreq: 16 bytes of name, 24 of union.

    private readonly RouteNetlink _netlink;
    private readonly CloseSignal _closed = new();
    private bool _drained;
    private long _writeErrors;

    private LinuxTun(SafeFileHandle handle, RouteNetlink netlink, string name, int interfaceIndex)
    {
        Handle = handle;
        _netlink = netlink;
        Name = name;
        InterfaceIndex = interfaceIndex;
    }

    /// <summary>The interface's descriptor, non-blocking, owned by this object; for callers that do their own reading and writing.</summary>
    public SafeFileHandle Handle { get; }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int InterfaceIndex { get; }

    /// <inheritdoc/>
    public int Mtu { get; private set; } = 1500;

    /// <inheritdoc/>
    public long WriteErrors => Interlocked.Read(ref _writeErrors);

    /// <summary>Creates the interface in the calling thread's network namespace, down and without addresses.</summary>
    /// <param name="name">Its name; null takes the first free "lt0", "lt1", ...</param>
    /// <exception cref="Diagnostics.LightTunnelException">No privilege, no device node, or the name is in use or impossible.</exception>
    public static LinuxTun Create(string? name)
    {
        if (name is not null)
            CheckName(name);
        int descriptor = LibC.Open(DevicePath, LibC.O_RDWR | LibC.O_NONBLOCK | LibC.O_CLOEXEC);
        if (descriptor < 0)
            throw CannotOpen(LibC.LastError);
        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        RouteNetlink? netlink = null;
        try
        {
            // The kernel replaces %d by the first number that makes the name unique.
            string given = Attach(descriptor, name ?? "lt%d", name);
            netlink = new RouteNetlink();
            // An interface that somebody made persistent and left is ours from here on.
            LibC.IoControl(descriptor, TUNSETPERSIST, null);
            int index = (int)LibC.InterfaceNameToIndex(given);
            if (index == 0)
                throw TunErrors.Refused("find", given, LibC.Describe(LibC.LastError));
            return new LinuxTun(handle, netlink, given, index);
        }
        catch
        {
            netlink?.Dispose();
            handle.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public bool Read(PacketBatch batch)
    {
        batch.Clear();
        bool held = false;
        try
        {
            Handle.DangerousAddRef(ref held);
            int descriptor = (int)Handle.DangerousGetHandle();
            while (!_closed.IsSet)
            {
                // After a read that found nothing there is most likely nothing yet: ask poll first, which also waits.
                if (_drained && !_closed.WaitReadable(descriptor))
                    return false;
                _drained = false;
                while (!batch.IsFull)
                {
                    nint length = LibC.Read(
                        descriptor, Unsafe.AsPointer(ref MemoryMarshal.GetReference(batch.NextFree())), (nuint)batch.MaxPacketLength);
                    if (length > 0)
                    {
                        batch.Commit((int)length);
                        continue;
                    }

                    int error = LibC.LastError;
                    if (length < 0 && error == LibC.EINTR)
                        continue;
                    if (length == 0 || error != LibC.EAGAIN)
                        return batch.Count > 0; // EBADFD: somebody deleted the interface.
                    _drained = true;
                    break;
                }

                if (batch.Count > 0)
                    return true;
            }

            return false;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (held)
                Handle.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void Write(PacketBatch batch)
    {
        bool held = false;
        try
        {
            Handle.DangerousAddRef(ref held);
            int descriptor = (int)Handle.DangerousGetHandle();
            for (int i = 0; i < batch.Count; i++)
            {
                if (batch[i].Length > 0)
                    WriteOne(descriptor, batch.Packet(i));
            }
        }
        catch (ObjectDisposedException)
        {
            Interlocked.Add(ref _writeErrors, batch.Count);
        }
        finally
        {
            if (held)
                Handle.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> packet)
    {
        bool held = false;
        try
        {
            Handle.DangerousAddRef(ref held);
            WriteOne((int)Handle.DangerousGetHandle(), packet);
        }
        catch (ObjectDisposedException)
        {
            Interlocked.Increment(ref _writeErrors);
        }
        finally
        {
            if (held)
                Handle.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void Configure(IReadOnlyList<InterfaceAddress> addresses, int mtu)
    {
        LocalAddresses.ThrowIfInUse(LocalAddresses.All(_netlink, exceptInterface: InterfaceIndex), addresses);
        ThrowIfFailed(_netlink.SetMtu(InterfaceIndex, mtu), "set the MTU of");
        Mtu = mtu;
        // Fails where IPv6 is switched off, and then there is nothing to keep from being generated.
        _ = _netlink.DisableAddressGeneration(InterfaceIndex);

        // Addresses that stay are not touched, so that connections over them live on.
        foreach (AssignedAddress assigned in _netlink.GetAddresses())
        {
            if (assigned.InterfaceIndex == InterfaceIndex && !addresses.Contains(assigned.Address))
                ThrowIfFailed(_netlink.RemoveAddress(InterfaceIndex, assigned.Address), "take an address from");
        }

        foreach (InterfaceAddress address in addresses)
        {
            int error = _netlink.AddAddress(InterfaceIndex, address);
            if (!address.Address.IsIPv4 && error is LibC.EACCES or LibC.EAFNOSUPPORT or LibC.EOPNOTSUPP)
                throw TunErrors.IPv6Disabled(address);
            ThrowIfFailed(error, $"give {address} to");
        }

        ThrowIfFailed(_netlink.SetUp(InterfaceIndex, up: true), "bring up");
    }

    /// <summary>Routes a prefix into the interface, which must be up.</summary>
    public void AddRoute(IpPrefix prefix) => ThrowIfFailed(_netlink.AddRoute(InterfaceIndex, prefix), $"route {prefix} into");

    /// <summary>Removes a route into the interface; no error when it is gone already.</summary>
    public void RemoveRoute(IpPrefix prefix) => _ = _netlink.RemoveRoute(InterfaceIndex, prefix);

    /// <inheritdoc/>
    public void Close() => _closed.Set();

    /// <summary>Removes the interface as soon as no thread is inside a call any more.</summary>
    public void Dispose()
    {
        Close();
        Handle.Dispose();
        _closed.Dispose();
        _netlink.Dispose();
    }

    private static void CheckName(string name)
    {
        bool possible = name.Length is > 0 and <= MaximumNameLength && name is not ("." or "..")
            && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
        if (!possible)
            throw TunErrors.InvalidName(name, "Choose a name of 1 to 15 letters, digits, '-', '_' or '.'.");
    }

    private static string Attach(int descriptor, string pattern, string? wanted)
    {
        byte* request = stackalloc byte[InterfaceRequestSize];
        var bytes = new Span<byte>(request, InterfaceRequestSize);
        bytes.Clear();
        Encoding.ASCII.GetBytes(pattern, bytes);
        *(short*)(request + 16) = IFF_TUN | IFF_NO_PI;
        if (LibC.IoControl(descriptor, TUNSETIFF, request) == 0)
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

    private void WriteOne(int descriptor, ReadOnlySpan<byte> packet)
    {
        fixed (byte* data = packet)
        {
            nint written;
            do
            {
                written = LibC.Write(descriptor, data, (nuint)packet.Length);
            }
            while (written < 0 && LibC.LastError == LibC.EINTR);

            // EINVAL: no IP packet; EIO: the interface is down.
            if (written < 0)
                Interlocked.Increment(ref _writeErrors);
        }
    }

    private void ThrowIfFailed(int error, string what)
    {
        if (error is LibC.EPERM)
            throw NoPrivilege();
        if (error != 0)
            throw TunErrors.Refused(what, Name, LibC.Describe(error));
    }
}
