using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Packets;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Transport;

/// <summary>
/// UDP sockets for both families with recvmmsg and sendmmsg: one system call per batch instead of one or two per datagram. One epoll set
/// waits for all of them; it notices by itself when a socket comes or goes.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class LinuxUdpTransport : IDatagramTransport
{
    // Datagrams per system call: their headers are kept on the stack (108 bytes each).
    private const int MaximumMessages = 64;

    // Sockets that one wait tells of. The kernel puts those that it told of behind the others.
    private const int MaximumReady = 64;

    private readonly SocketTable<LinuxUdpSocket> _sockets;
    private readonly SafeFileHandle _epoll;
    private readonly byte[] _events = GC.AllocateArray<byte>(MaximumReady * LibC.EpollEventSize, pinned: true);
    private long _sendErrors;

    // The receiving thread's own: which of the sockets that the last wait told of have not had their turn.
    private int _next;
    private int _ready;
    private bool _expectsMore;

    private LinuxUdpTransport(LinuxUdpSocket main, SafeFileHandle epoll, bool supportsIPv6)
    {
        _sockets = new SocketTable<LinuxUdpSocket>(main);
        _epoll = epoll;
        SupportsIPv6 = supportsIPv6;
    }

    /// <inheritdoc/>
    public int LocalPort => _sockets.Main.Port;

    /// <inheritdoc/>
    public bool SupportsIPv6 { get; }

    /// <inheritdoc/>
    public long SendErrors => Interlocked.Read(ref _sendErrors);

    /// <summary>Binds the port in the calling thread's network namespace.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">The port is taken or may not be used.</exception>
    public static LinuxUdpTransport Open(int port) => TryOpen(port, dualMode: true) ?? TryOpen(port, dualMode: false)
        ?? throw UdpErrors.CannotOpen(port, "this system has neither IPv4 nor IPv6");

    /// <summary>Opens the transport; null when the system lacks the address family.</summary>
    internal static LinuxUdpTransport? TryOpen(int port, bool dualMode)
    {
        if (LinuxUdpSocket.TryOpen(address: null, port, dualMode, out int error) is not { } socket)
        {
            return error switch
            {
                LibC.EADDRINUSE => throw UdpErrors.PortInUse(port),
                LibC.EACCES or LibC.EPERM => throw UdpErrors.PrivilegeRequired(port),
                LibC.EAFNOSUPPORT => null,
                LibC.EADDRNOTAVAIL when dualMode => null,
                _ => throw UdpErrors.CannotOpen(port, LibC.Describe(error)),
            };
        }

        socket.SetBuffers(UdpTransportFactory.SocketBufferSize, beyondLimit: true);
        var epoll = new SafeFileHandle(LibC.EpollCreate(LibC.EPOLL_CLOEXEC), ownsHandle: true);
        if (!epoll.IsInvalid && LibC.TryWatch(epoll, socket.Handle, key: 0))
            return new LinuxUdpTransport(socket, epoll, dualMode);
        error = LibC.LastError;
        epoll.Dispose();
        socket.Dispose();
        throw UdpErrors.CannotOpen(port, LibC.Describe(error));
    }

    /// <inheritdoc/>
    public bool Receive(PacketBatch batch)
    {
        batch.Clear();
        bool held = false;
        try
        {
            // What wakes the wait at the end is socket 0 (see Close), so its descriptor must not leave the epoll set before.
            _sockets.Main.Handle.DangerousAddRef(ref held);
            // Where several datagrams came at once, more have come meanwhile: to look costs less than to wait first.
            if (_expectsMore && !_sockets.HasFurther)
                ReceiveWaiting(0, batch);
            while (batch.Count == 0 && !_sockets.IsClosed)
            {
                byte* events = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_events)); // Pinned.
                if (_next >= _ready)
                    (_next, _ready) = (0, LibC.EpollWait(_epoll, events, MaximumReady, timeout: -1));
                // Every socket has its turn before one has its second.
                while (_next < _ready && !batch.IsFull)
                    ReceiveWaiting(LibC.WatchedKey(events, _next++), batch);
            }

            _expectsMore = batch.Count > 1;
            return !_sockets.IsClosed;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (held)
                _sockets.Main.Handle.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public bool TryOpenSocket(int socket, int port = 0, IPAddress? address = null)
    {
        return port is >= 0 and <= ushort.MaxValue && _sockets.TryAdd(socket, Open);

        LinuxUdpSocket? Open()
        {
            LinuxUdpSocket? opened = LinuxUdpSocket.TryOpen(address, port, SupportsIPv6, out _);
            opened?.SetBuffers(UdpTransportFactory.FurtherSocketBufferSize, beyondLimit: false);
            if (opened is null || LibC.TryWatch(_epoll, opened.Handle, socket))
                return opened;
            opened.Dispose();
            return null;
        }
    }

    /// <inheritdoc/>
    public void CloseSocket(int socket) => _sockets.Remove(socket, Close);

    /// <inheritdoc/>
    public int PortOf(int socket) => _sockets.Find(socket)?.Port ?? 0;

    /// <inheritdoc/>
    [SkipLocalsInit]
    public void Send(PacketBatch batch)
    {
        var headers = stackalloc LibC.MultiMessageHeader[MaximumMessages];
        var vectors = stackalloc LibC.IoVector[MaximumMessages];
        byte* names = stackalloc byte[MaximumMessages * SocketAddressCodec.MaximumLength];
        int socket = 0, prepared = 0;
        for (int i = 0; i < batch.Count; i++)
        {
            ref PacketSlot slot = ref batch[i];
            if (slot.Length == 0)
                continue;
            if (slot.Socket != socket || prepared == MaximumMessages)
            {
                SendPrepared(socket, headers, prepared);
                (socket, prepared) = (slot.Socket, 0);
            }

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
            prepared++;
        }

        SendPrepared(socket, headers, prepared);
        GC.KeepAlive(batch);
    }

    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> datagram, in UdpEndpoint destination, int socket = 0)
    {
        byte* name = stackalloc byte[SocketAddressCodec.MaximumLength];
        int nameLength = SocketAddressCodec.Write(destination, SupportsIPv6, new Span<byte>(name, SocketAddressCodec.MaximumLength));
        nint sent = -1;
        try
        {
            if (nameLength != 0 && _sockets.Find(socket) is { } from)
            {
                fixed (byte* data = datagram)
                {
                    do
                    {
                        sent = LibC.SendTo(from.Handle, data, (nuint)datagram.Length, LibC.MSG_NOSIGNAL, name, (uint)nameLength);
                    }
                    while (sent < 0 && LibC.LastError == LibC.EINTR);
                }
            }
        }
        catch (ObjectDisposedException)
        {
            // Closed meanwhile.
        }

        if (sent < 0)
            Interlocked.Increment(ref _sendErrors);
    }

    /// <inheritdoc/>
    public bool TrySendWhole(ReadOnlySpan<byte> datagram, in UdpEndpoint destination, int socket = 0)
    {
        byte* name = stackalloc byte[SocketAddressCodec.MaximumLength];
        int nameLength = SocketAddressCodec.Write(destination, SupportsIPv6, new Span<byte>(name, SocketAddressCodec.MaximumLength));
        int error = LibC.EAFNOSUPPORT;
        try
        {
            if (nameLength != 0 && _sockets.Find(socket) is { } from)
            {
                fixed (byte* data = datagram)
                    error = from.SendWhole(data, datagram.Length, name, nameLength, destination.IsIPv4);
            }
        }
        catch (ObjectDisposedException)
        {
            // Closed meanwhile.
        }

        if (error is not (0 or LibC.EMSGSIZE))
            Interlocked.Increment(ref _sendErrors);
        return error != LibC.EMSGSIZE;
    }

    /// <summary>
    /// Shuts the receiving half of socket 0 down: Linux answers that an unconnected socket is not connected, but from now on it counts as
    /// readable, which wakes who waits and lets nobody wait any more. It goes on sending until disposal; the further sockets are closed.
    /// </summary>
    public void Close()
    {
        _sockets.Close(Close);
        try
        {
            _ = LibC.Shutdown(_sockets.Main.Handle, LibC.SHUT_RD);
        }
        catch (ObjectDisposedException)
        {
            // Nobody waits for a transport that is gone.
        }
    }

    /// <summary>Closes the sockets as soon as no thread is inside a call any more.</summary>
    public void Dispose()
    {
        Close();
        _sockets.Main.Dispose();
        _epoll.Dispose();
    }

    /// <summary>"UDP port 9000".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"UDP port {LocalPort}");

    private void Close(LinuxUdpSocket socket)
    {
        // While another thread is inside a call, the descriptor lives on: what arrives for it must not wake the receiver for nothing.
        _ = LibC.EpollControl(_epoll, LibC.EPOLL_CTL_DEL, socket.Handle, null);
        socket.Dispose();
    }

    /// <summary>Adds to the batch what is there for a socket, without waiting.</summary>
    [SkipLocalsInit]
    private void ReceiveWaiting(int socket, PacketBatch batch)
    {
        if (_sockets.Find(socket) is not { } from)
            return;
        int first = batch.Count;
        int wanted = Math.Min(batch.Capacity - first, MaximumMessages);
        var headers = stackalloc LibC.MultiMessageHeader[wanted];
        var vectors = stackalloc LibC.IoVector[wanted];
        byte* names = stackalloc byte[wanted * SocketAddressCodec.MaximumLength];
        for (int i = 0; i < wanted; i++)
        {
            vectors[i] = new LibC.IoVector
            {
                Base = Unsafe.AsPointer(ref MemoryMarshal.GetReference(batch.Memory(first + i)[PacketBatch.Headroom..])),
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

        int received;
        try
        {
            // An error is a message from the network about an earlier datagram: it is taken by being reported.
            received = LibC.ReceiveMessages(from.Handle, headers, (uint)wanted, LibC.MSG_DONTWAIT, null);
        }
        catch (ObjectDisposedException)
        {
            return; // Closed meanwhile.
        }

        for (int i = 0; i < received; i++)
        {
            ref LibC.MultiMessageHeader message = ref headers[i];
            bool truncated = (message.Header.Flags & LibC.MSG_TRUNC) != 0;
            var name = new ReadOnlySpan<byte>(message.Header.Name, (int)message.Header.NameLength);
            // Slots stand where the kernel wrote them: a datagram that is dropped leaves an empty one.
            batch.Commit(truncated ? 0 : (int)message.Length, SocketAddressCodec.Read(name), socket);
        }

        GC.KeepAlive(batch);
    }

    private void SendPrepared(int socket, LibC.MultiMessageHeader* headers, int count)
    {
        int done = 0;
        try
        {
            LinuxUdpSocket? from = _sockets.Find(socket);
            while (from is not null && done < count)
            {
                int sent = LibC.SendMessages(from.Handle, headers + done, (uint)(count - done), LibC.MSG_NOSIGNAL);
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
        catch (ObjectDisposedException)
        {
            // Closed meanwhile.
        }

        if (done < count)
            Interlocked.Add(ref _sendErrors, count - done);
    }
}
