using System.Globalization;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Transport;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Tun;

/// <summary>
/// Hears from the kernel what is done to an interface, its addresses and routes (rtnetlink's groups), on a thread of its own that ends with
/// the device. Listens in the network namespace in which it was made.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class LinuxInterfaceWatch : IDisposable
{
    private const uint RTMGRP_LINK = 0x1, RTMGRP_IPV4_IFADDR = 0x10, RTMGRP_IPV4_ROUTE = 0x40, RTMGRP_IPV6_IFADDR = 0x100,
        RTMGRP_IPV6_ROUTE = 0x400;
    private const int StackSize = 256 * 1024;

    private readonly SafeFileHandle _socket;
    private readonly CloseSignal _closed;
    private readonly int _interfaceIndex;
    private readonly byte[] _buffer = new byte[32 * 1024]; // The kernel never sends a longer datagram (NLMSG_GOODSIZE).
    private volatile string? _suspect;

    /// <param name="interfaceIndex">The interface.</param>
    /// <param name="closed">Ends the thread; not owned.</param>
    public LinuxInterfaceWatch(int interfaceIndex, CloseSignal closed)
    {
        _interfaceIndex = interfaceIndex;
        _closed = closed;
        int descriptor = LibC.Socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, protocol: 0);
        if (descriptor < 0)
            throw new IOException($"netlink socket: {LibC.Describe(LibC.LastError)}");
        _socket = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Who changed something last, as far as the kernel told, or null; asked once, it is forgotten.</summary>
    public string? TakeSuspect()
    {
        string? suspect = _suspect;
        _suspect = null;
        return suspect;
    }

    /// <summary>Begins to listen; to be called once.</summary>
    /// <param name="name">The interface's name, for the thread's.</param>
    /// <param name="networks">The networks that should be routed into the interface, asked at each route that changes.</param>
    /// <param name="changed">Called, on the thread, after each change that may concern the interface.</param>
    public void Start(string name, Func<IReadOnlyList<InterfaceAddress>> networks, Action changed)
    {
        const uint Groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
        uint* address = stackalloc uint[3] { LibC.AF_NETLINK, 0, Groups };
        if (LibC.Bind((int)_socket.DangerousGetHandle(), address, 3 * sizeof(uint)) != 0)
            throw new IOException($"netlink socket: {LibC.Describe(LibC.LastError)}");
        new Thread(() => Listen(networks, changed), StackSize) { IsBackground = true, Name = $"LightTunnel {name} watch" }.Start();
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private void Listen(Func<IReadOnlyList<InterfaceAddress>> networks, Action changed)
    {
        bool held = false;
        try
        {
            _socket.DangerousAddRef(ref held);
            int descriptor = (int)_socket.DangerousGetHandle();
            while (_closed.WaitReadable(descriptor))
            {
                nint length;
                fixed (byte* buffer = _buffer)
                    length = LibC.Receive(descriptor, buffer, (nuint)_buffer.Length, LibC.MSG_DONTWAIT);
                int error = length < 0 ? LibC.LastError : 0;
                // What did not fit into the socket's buffer is lost: it may have been about this interface.
                if (error == LibC.ENOBUFS || (length > 0 && Concerns(_buffer.AsSpan(0, (int)length), networks())))
                    changed();
                else if (error is not (0 or LibC.EAGAIN or LibC.EINTR))
                    return;
            }
        }
        catch (ObjectDisposedException)
        {
            // The device is gone, and this with it.
        }
        finally
        {
            if (held)
                _socket.DangerousRelease();
        }
    }

    private bool Concerns(ReadOnlySpan<byte> datagram, IReadOnlyList<InterfaceAddress> networks)
    {
        bool any = false;
        var messages = new NetlinkReader(datagram);
        while (messages.MoveNext())
        {
            if (!RouteMessage.IsAbout(messages.Type, messages.Body, _interfaceIndex, networks))
                continue;
            any = true;
            NoteSuspect(messages.Port);
        }

        return any;
    }

    /// <summary>
    /// Whose socket asked for the change: the first one of a process has the process's own id for its port. Nobody's when the kernel acted
    /// by itself, and a guess where processes are numbered apart, so it is said as one.
    /// </summary>
    private void NoteSuspect(uint port)
    {
        if (port is 0 or > int.MaxValue || port == Environment.ProcessId)
            return;
        try
        {
            string process = port.ToString(CultureInfo.InvariantCulture);
            string name = File.ReadAllText($"/proc/{process}/comm").Trim();
            _suspect = $"{new string([.. name.Where(c => !char.IsControl(c))])} (process {process})";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It has ended already, as command-line tools do.
        }
    }
}
