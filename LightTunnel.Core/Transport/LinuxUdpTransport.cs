using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Packets;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Transport;

/// <summary>
/// One UDP socket for both families with recvmmsg and sendmmsg: one system call per batch instead of one or two per datagram.
/// The socket is blocking, so that a full send buffer slows the sender down instead of losing its datagrams.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class LinuxUdpTransport : IDatagramTransport
{
    // Datagrams per system call: their headers are kept on the stack (108 bytes each).
    private const int MaximumMessages = 64;

    private readonly SafeFileHandle _socket;
    private volatile bool _closed;
    private long _sendErrors;

    private LinuxUdpTransport(SafeFileHandle socket, bool supportsIPv6, int localPort)
    {
        _socket = socket;
        SupportsIPv6 = supportsIPv6;
        LocalPort = localPort;
    }

    /// <inheritdoc/>
    public int LocalPort { get; }

    /// <inheritdoc/>
    public bool SupportsIPv6 { get; }

    /// <inheritdoc/>
    public long SendErrors => Interlocked.Read(ref _sendErrors);

    /// <summary>Binds the port in the calling thread's network namespace.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">The port is taken or may not be used.</exception>
    public static LinuxUdpTransport Open(int port) => TryOpen(port, dualMode: true) ?? TryOpen(port, dualMode: false)
        ?? throw UdpErrors.CannotOpen(port, "this system has neither IPv4 nor IPv6");

    /// <summary>Opens the socket; null when the system lacks the address family.</summary>
    internal static LinuxUdpTransport? TryOpen(int port, bool dualMode)
    {
        int descriptor = LibC.Socket(dualMode ? LibC.AF_INET6 : LibC.AF_INET, LibC.SOCK_DGRAM | LibC.SOCK_CLOEXEC, 0);
        if (descriptor < 0)
            return LibC.LastError == LibC.EAFNOSUPPORT ? null : throw UdpErrors.CannotOpen(port, LibC.Describe(LibC.LastError));
        var socket = new SafeFileHandle(descriptor, ownsHandle: true);
        try
        {
            if (dualMode && !LibC.TrySetOption(descriptor, LibC.IPPROTO_IPV6, LibC.IPV6_V6ONLY, 0))
                throw UdpErrors.CannotOpen(port, LibC.Describe(LibC.LastError));
            SetBuffer(descriptor, LibC.SO_RCVBUFFORCE, LibC.SO_RCVBUF);
            SetBuffer(descriptor, LibC.SO_SNDBUFFORCE, LibC.SO_SNDBUF);
            if (!TryBind(descriptor, port, dualMode))
            {
                socket.Dispose();
                return null;
            }

            byte* name = stackalloc byte[SocketAddressCodec.MaximumLength];
            uint length = SocketAddressCodec.MaximumLength;
            if (LibC.GetSocketName(descriptor, name, &length) != 0)
                throw UdpErrors.CannotOpen(port, LibC.Describe(LibC.LastError));
            return new LinuxUdpTransport(socket, dualMode, SocketAddressCodec.Read(new ReadOnlySpan<byte>(name, (int)length)).Port);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public bool Receive(PacketBatch batch)
    {
        batch.Clear();
        bool held = false;
        try
        {
            _socket.DangerousAddRef(ref held);
            int descriptor = (int)_socket.DangerousGetHandle();
            // An error is a message from the network about an earlier datagram: it is taken by being reported.
            while (!_closed && ReceiveWaiting(descriptor, batch) <= 0)
            {
            }

            return !_closed;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (held)
                _socket.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public bool TryOpenSocket(int socket, int port = 0, IPAddress? address = null) => false;

    /// <inheritdoc/>
    public void CloseSocket(int socket)
    {
    }

    /// <inheritdoc/>
    public int PortOf(int socket) => socket == 0 ? LocalPort : 0;

    /// <inheritdoc/>
    [SkipLocalsInit]
    public void Send(PacketBatch batch)
    {
        bool held = false;
        try
        {
            _socket.DangerousAddRef(ref held);
            int descriptor = (int)_socket.DangerousGetHandle();
            var headers = stackalloc LibC.MultiMessageHeader[MaximumMessages];
            var vectors = stackalloc LibC.IoVector[MaximumMessages];
            byte* names = stackalloc byte[MaximumMessages * SocketAddressCodec.MaximumLength];
            int prepared = 0;
            for (int i = 0; i < batch.Count; i++)
            {
                ref PacketSlot slot = ref batch[i];
                if (slot.Length == 0)
                    continue;
                byte* name = names + (prepared * SocketAddressCodec.MaximumLength);
                int nameLength = SocketAddressCodec.Write(slot.Endpoint, SupportsIPv6, new Span<byte>(name, SocketAddressCodec.MaximumLength));
                if (nameLength == 0)
                {
                    Interlocked.Increment(ref _sendErrors);
                    continue;
                }

                // The batch's memory is pinned for its whole life.
                vectors[prepared] = new LibC.IoVector
                {
                    Base = Unsafe.AsPointer(ref MemoryMarshal.GetReference(batch.Packet(i))),
                    Length = (nuint)slot.Length,
                };
                headers[prepared] = new LibC.MultiMessageHeader
                {
                    Header = { Name = name, NameLength = (uint)nameLength, Vectors = vectors + prepared, VectorCount = 1 },
                };
                if (++prepared == MaximumMessages)
                {
                    SendPrepared(descriptor, headers, prepared);
                    prepared = 0;
                }
            }

            SendPrepared(descriptor, headers, prepared);
            GC.KeepAlive(batch);
        }
        catch (ObjectDisposedException)
        {
            Interlocked.Add(ref _sendErrors, batch.Count);
        }
        finally
        {
            if (held)
                _socket.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> datagram, in UdpEndpoint destination, int socket = 0)
    {
        bool held = false;
        try
        {
            _socket.DangerousAddRef(ref held);
            byte* name = stackalloc byte[SocketAddressCodec.MaximumLength];
            int nameLength = SocketAddressCodec.Write(destination, SupportsIPv6, new Span<byte>(name, SocketAddressCodec.MaximumLength));
            nint sent = -1;
            if (nameLength != 0)
            {
                fixed (byte* data = datagram)
                {
                    do
                    {
                        sent = LibC.SendTo(
                            (int)_socket.DangerousGetHandle(), data, (nuint)datagram.Length, LibC.MSG_NOSIGNAL, name, (uint)nameLength);
                    }
                    while (sent < 0 && LibC.LastError == LibC.EINTR);
                }
            }

            if (sent < 0)
                Interlocked.Increment(ref _sendErrors);
        }
        catch (ObjectDisposedException)
        {
            Interlocked.Increment(ref _sendErrors);
        }
        finally
        {
            if (held)
                _socket.DangerousRelease();
        }
    }

    /// <summary>
    /// Shuts the receiving half down: Linux answers that an unconnected socket is not connected, but wakes who waits for it, and no
    /// later call will wait any more. Sending goes on until disposal.
    /// </summary>
    public void Close()
    {
        _closed = true;
        bool held = false;
        try
        {
            _socket.DangerousAddRef(ref held);
            _ = LibC.Shutdown((int)_socket.DangerousGetHandle(), LibC.SHUT_RD);
        }
        catch (ObjectDisposedException)
        {
            // Nobody waits for a socket that is gone.
        }
        finally
        {
            if (held)
                _socket.DangerousRelease();
        }
    }

    /// <summary>Closes the socket as soon as no thread is inside a call any more.</summary>
    public void Dispose()
    {
        Close();
        _socket.Dispose();
    }

    /// <summary>"UDP port 9000".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"UDP port {LocalPort}");

    /// <summary>Waits for one datagram, then takes what else is there: the number of slots filled, or -1.</summary>
    [SkipLocalsInit]
    private static int ReceiveWaiting(int descriptor, PacketBatch batch)
    {
        int wanted = Math.Min(batch.Capacity, MaximumMessages);
        var headers = stackalloc LibC.MultiMessageHeader[wanted];
        var vectors = stackalloc LibC.IoVector[wanted];
        byte* names = stackalloc byte[wanted * SocketAddressCodec.MaximumLength];
        for (int i = 0; i < wanted; i++)
        {
            vectors[i] = new LibC.IoVector
            {
                Base = Unsafe.AsPointer(ref MemoryMarshal.GetReference(batch.Memory(i)[PacketBatch.Headroom..])),
                Length = (nuint)batch.MaxPacketLength,
            };
            headers[i] = new LibC.MultiMessageHeader
            {
                Header =
                {
                    Name = names + (i * SocketAddressCodec.MaximumLength),
                    NameLength = SocketAddressCodec.MaximumLength,
                    Vectors = vectors + i,
                    VectorCount = 1,
                },
            };
        }

        int received = LibC.ReceiveMessages(descriptor, headers, (uint)wanted, LibC.MSG_WAITFORONE, null);
        for (int i = 0; i < received; i++)
        {
            ref LibC.MultiMessageHeader message = ref headers[i];
            bool truncated = (message.Header.Flags & LibC.MSG_TRUNC) != 0;
            var name = new ReadOnlySpan<byte>(message.Header.Name, (int)message.Header.NameLength);
            // Slots stand where the kernel wrote them: a datagram that is dropped leaves an empty one.
            batch.Commit(truncated ? 0 : (int)message.Length, SocketAddressCodec.Read(name));
        }

        GC.KeepAlive(batch);
        return received;
    }

    private void SendPrepared(int descriptor, LibC.MultiMessageHeader* headers, int count)
    {
        int done = 0;
        while (done < count)
        {
            int sent = LibC.SendMessages(descriptor, headers + done, (uint)(count - done), LibC.MSG_NOSIGNAL);
            if (sent > 0)
            {
                done += sent;
            }
            else if (LibC.LastError != LibC.EINTR)
            {
                // The error belongs to the first datagram that was not sent: leave that one out and go on.
                Interlocked.Increment(ref _sendErrors);
                done++;
            }
        }
    }

    private static bool TryBind(int descriptor, int port, bool dualMode)
    {
        byte* name = stackalloc byte[SocketAddressCodec.MaximumLength];
        var address = new Span<byte>(name, SocketAddressCodec.MaximumLength);
        int length = SocketAddressCodec.WriteAny((ushort)port, dualMode, address);
        if (LibC.Bind(descriptor, name, (uint)length) == 0)
            return true;
        return LibC.LastError switch
        {
            LibC.EADDRINUSE => throw UdpErrors.PortInUse(port),
            LibC.EACCES or LibC.EPERM => throw UdpErrors.PrivilegeRequired(port),
            LibC.EADDRNOTAVAIL or LibC.EAFNOSUPPORT when dualMode => false,
            int error => throw UdpErrors.CannotOpen(port, LibC.Describe(error)),
        };
    }

    private static void SetBuffer(int descriptor, int forced, int ordinary)
    {
        // Beyond net.core.rmem_max only with CAP_NET_ADMIN; the system cuts the ordinary request down silently.
        if (!LibC.TrySetOption(descriptor, LibC.SOL_SOCKET, forced, UdpTransportFactory.SocketBufferSize))
            LibC.TrySetOption(descriptor, LibC.SOL_SOCKET, ordinary, UdpTransportFactory.SocketBufferSize);
    }
}
