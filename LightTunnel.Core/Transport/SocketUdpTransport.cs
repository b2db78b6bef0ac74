using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using LightTunnel.Addressing;
using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>
/// UDP sockets for both families on the framework's <see cref="Socket"/>, for systems without batched calls; on Windows trains are sent and
/// received as one message where it can, and answers leave from the address that was asked (<see cref="WinsockMessages"/>). The receiving
/// thread blocks in the main socket while that is the only one, otherwise in select. An empty datagram from the main socket to itself wakes
/// it when the sockets change.
/// </summary>
internal sealed class SocketUdpTransport : IDatagramTransport
{
    // Windows reports an ICMP port unreachable as an error of the next receive unless told not to (SIO_UDP_CONNRESET).
    private const int SioUdpConnectionReset = unchecked((int)0x9800000C);

    // What a wake-up that is lost costs at most: closing a socket waits until select has left it.
    private static readonly TimeSpan LongestSelect = TimeSpan.FromMilliseconds(100);

    // Longer messages than Ethernet carries are taken for trains of which the system did not tell.
    private const int LongestDatagram = 1500;

    [ThreadStatic]
    private static SocketAddress? _destination;

    private readonly SocketTable<UdpSocket> _sockets;
    private readonly WinsockMessages? _messages;
    private readonly AskedAddresses _asked = new();
    private long _sendErrors;

    // The receiving thread's own: the sockets that select found readable, and the next that has its turn.
    private readonly SocketAddress _sender = new(AddressFamily.InterNetworkV6, SocketAddressCodec.MaximumLength);
    private readonly List<Socket> _readable = new(LocalEnd.MaximumFurther + 1);
    private int _next;

    // The address that a datagram came to last, and what stands for it: most of what comes is for the same.
    private UInt128 _lastLocal;
    private AskedAddress _lastAsked;

    private SocketUdpTransport(UdpSocket main, Offloads offloads, IWinsock? winsock)
    {
        _sockets = new SocketTable<UdpSocket>(main);
        SupportsIPv6 = main.AddressFamily == AddressFamily.InterNetworkV6;
        if (winsock is null)
            return;
        _messages = new WinsockMessages(winsock, offloads, main, SupportsIPv6);
        main.Coalesces = ReceivesTrains = _messages.ReceivesTrains;
    }

    /// <inheritdoc/>
    public int LocalPort => _sockets.Main.Port;

    /// <inheritdoc/>
    public bool SupportsIPv6 { get; }

    /// <inheritdoc/>
    public int Queues => 1;

    /// <inheritdoc/>
    public bool ReceivesTrains { get; }

    /// <summary>True while trains are handed to the system whole.</summary>
    public bool SendsTrains => _messages is { SendsTrains: true };

    /// <inheritdoc/>
    public long SendErrors => Interlocked.Read(ref _sendErrors);

    /// <summary>Binds the port.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">The port is taken or may not be used.</exception>
    public static SocketUdpTransport Open(int port, DataPathOptions? options = null)
    {
        IWinsock? winsock = OperatingSystem.IsWindows() ? new Winsock() : null;
        try
        {
            return Open(port, dualMode: Socket.OSSupportsIPv6, options, winsock);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported)
        {
            return Open(port, dualMode: false, options, winsock);
        }
    }

    /// <inheritdoc/>
    public bool Receive(PacketBatch batch, int queue = 0)
    {
        batch.Clear();
        while (batch.Count == 0 && !_sockets.IsClosed)
        {
            if (_next == _readable.Count)
                WaitForReadable();
            // Every socket has its turn before one has its second.
            while (_next < _readable.Count && !batch.IsFull)
                Receive((UdpSocket)_readable[_next++], batch);
        }

        return !_sockets.IsClosed;
    }

    /// <inheritdoc/>
    public bool TryOpenSocket(out LocalEnd socket, int port = 0, IPAddress? address = null)
    {
        socket = default;
        if (port is < 0 or > ushort.MaxValue || !_sockets.TryAdd(Open, out socket))
            return false;
        Wake();
        return true;

        UdpSocket? Open(int number)
        {
            try
            {
                UdpSocket opened = UdpSocket.Open(
                    LocalEnd.Further(number), address, port, SupportsIPv6, UdpTransportFactory.FurtherSocketBufferSize);
                opened.Coalesces = _messages is not null && _messages.TryCoalesce(opened);
                _messages?.TryTellAddresses(opened, SupportsIPv6);
                return opened;
            }
            catch (SocketException)
            {
                return null;
            }
        }
    }

    /// <inheritdoc/>
    public void CloseSocket(LocalEnd socket) => _sockets.Remove(socket, Close);

    /// <inheritdoc/>
    public int PortOf(LocalEnd socket) => Find(socket)?.Port ?? 0;

    /// <inheritdoc/>
    public void Send(PacketBatch batch, int queue = 0)
    {
        for (int i = 0; i < batch.Count; i++)
        {
            ref PacketSlot slot = ref batch[i];
            if (slot.SegmentSize != 0 && slot.Length > slot.SegmentSize && SendsTrains && TrySendTrain(batch.Packet(i), slot))
                continue;
            foreach (Span<byte> datagram in batch.Segments(i))
                Send(datagram, slot.Path, mayWait: true);
        }
    }

    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> datagram, in PathHandle path) => Send(datagram, path, mayWait: false);

    /// <inheritdoc/>
    public SendObstacle SendOrTell(ReadOnlySpan<byte> datagram, in PathHandle path) => Send(datagram, path, mayWait: false);

    private SendObstacle Send(ReadOnlySpan<byte> datagram, in PathHandle path, bool mayWait)
    {
        if (!TryFind(path, out UdpSocket? from, out SocketAddress address))
            return SupportsIPv6 || path.Endpoint.IsIPv4 ? SendObstacle.None : SendObstacle.NoFamily;
        if (!mayWait && !HasRoom(from))
            return SendObstacle.None;
        try
        {
            Send(from, datagram, path.Asked, address);
            return SendObstacle.None;
        }
        catch (SocketException e)
        {
            Interlocked.Increment(ref _sendErrors);
            return e.SocketErrorCode switch
            {
                SocketError.AccessDenied => SendObstacle.Refused,
                SocketError.NetworkDown or SocketError.NetworkUnreachable or SocketError.HostUnreachable
                    or SocketError.AddressNotAvailable => SendObstacle.NoRoute,
                SocketError.AddressFamilyNotSupported => SendObstacle.NoFamily,
                _ => SendObstacle.None,
            };
        }
        catch (ObjectDisposedException)
        {
            Interlocked.Increment(ref _sendErrors);
            return SendObstacle.None;
        }
    }

    /// <inheritdoc/>
    public bool TrySendWhole(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        if (!TryFind(path, out UdpSocket? from, out SocketAddress address) || !HasRoom(from))
            return true;
        try
        {
            // The flag is the socket's: what another thread sends meanwhile has it too, which does no harm to what is no
            // longer than the path.
            from.SetDontFragment(path.Endpoint.IsIPv4, true);
            Send(from, datagram, path.Asked, address);
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.MessageSize)
        {
            return false;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Interlocked.Increment(ref _sendErrors);
            return true;
        }
        finally
        {
            from.SetDontFragment(path.Endpoint.IsIPv4, false);
        }
    }

    /// <summary>Closes the sockets, which ends a blocked receive on every system.</summary>
    public void Close()
    {
        _sockets.Close(Close);
        Wake();
        _sockets.Main.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => Close();

    /// <summary>"UDP port 9000".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"UDP port {LocalPort}");

    /// <summary>The same for given families, on a given system.</summary>
    internal static SocketUdpTransport Open(int port, bool dualMode, DataPathOptions? options = null, IWinsock? winsock = null)
    {
        try
        {
            var main = UdpSocket.Open(default, address: null, port, dualMode, UdpTransportFactory.SocketBufferSize);
            return new SocketUdpTransport(main, (options ?? DataPathOptions.Default).Offloads, winsock);
        }
        catch (SocketException e)
        {
            throw e.SocketErrorCode switch
            {
                SocketError.AddressAlreadyInUse => UdpErrors.PortInUse(port, e),
                SocketError.AccessDenied => UdpErrors.AccessDenied(port, OperatingSystem.IsWindows(), e),
                SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported when dualMode => e,
                _ => UdpErrors.CannotOpen(port, e.Message, e),
            };
        }
    }

    private void Close(UdpSocket socket)
    {
        Wake();
        socket.Dispose();
    }

    /// <summary>
    /// The socket to send from, and the destination as it takes it, until the thread's next; counts an error when there is no such thing.
    /// </summary>
    private bool TryFind(in PathHandle path, [NotNullWhen(true)] out UdpSocket? from, out SocketAddress address)
    {
        address = _destination ??= new SocketAddress(AddressFamily.InterNetworkV6, SocketAddressCodec.MaximumLength);
        int length = SocketAddressCodec.Write(path.Endpoint, SupportsIPv6, address.Buffer.Span);
        from = length == 0 ? null : Find(path.Local);
        if (from is null)
        {
            Interlocked.Increment(ref _sendErrors);
            return false;
        }

        address.Size = length;
        return true;
    }

    /// <summary>Sends a train as one message; false when its datagrams are to be sent one by one.</summary>
    private bool TrySendTrain(ReadOnlySpan<byte> train, in PacketSlot slot)
    {
        if (!TryFind(slot.Path, out UdpSocket? from, out SocketAddress address))
            return true;
        try
        {
            return _messages!.TrySendTrain(from, train, slot.SegmentSize, _asked[slot.Path.Asked], address);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Interlocked.Increment(ref _sendErrors);
            return true;
        }
    }

    private void Send(UdpSocket from, ReadOnlySpan<byte> datagram, AskedAddress asked, SocketAddress destination)
    {
        // Where the system does not tell to which address something came, the choice is its own as ever.
        UInt128 local = _asked[asked];
        if (local == UInt128.Zero)
            from.SendTo(datagram, SocketFlags.None, destination);
        else
            _messages!.Send(from, datagram, local, destination);
    }

    /// <summary>
    /// Asks before a send that must not wait, as the framework's sockets wait unless they are told at once for everything not to. What a
    /// data thread takes of the room in between is sent in a moment.
    /// </summary>
    private bool HasRoom(UdpSocket socket)
    {
        try
        {
            if (socket.Poll(0, SelectMode.SelectWrite))
                return true;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Closed meanwhile.
        }

        Interlocked.Increment(ref _sendErrors);
        return false;
    }

    /// <summary>One port has one socket here, whoever it is that it sends to.</summary>
    private UdpSocket? Find(LocalEnd end) => end.Kind switch
    {
        LocalEndKind.Own => _sockets.Main,
        LocalEndKind.Further => _sockets.Find(end.Index),
        _ => null,
    };

    private void Wake() => Send([], new PathHandle(UdpEndpoint.FromIPv4(0x7F000001, (ushort)LocalPort)));

    /// <summary>Fills the list of readable sockets; it may stay empty.</summary>
    private void WaitForReadable()
    {
        _next = 0;
        _readable.Clear();
        if (!_sockets.HasFurther)
        {
            _readable.Add(_sockets.Main);
            return; // To receive is to wait.
        }

        for (int number = 0; number <= LocalEnd.MaximumFurther; number++)
        {
            if (_sockets.Find(number) is { } socket)
                _readable.Add(socket);
        }

        try
        {
            Socket.Select(_readable, checkWrite: null, checkError: null, LongestSelect);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            _readable.Clear(); // One of them was closed just now.
        }
    }

    /// <summary>Waits for a datagram of one socket, then takes what else is there.</summary>
    private void Receive(UdpSocket socket, PacketBatch batch)
    {
        try
        {
            int length;
            do
            {
                int segmentSize = 0;
                UInt128 local = UInt128.Zero;
                length = _messages is { Receives: true }
                    ? _messages.Receive(socket, batch.FreePlace(0), _sender, out segmentSize, out local)
                    : socket.ReceiveFrom(batch.FreePlace(0), SocketFlags.None, _sender);
                if (length > 0 && length <= batch.MaxPacketLength)
                {
                    UdpEndpoint sender = SocketAddressCodec.Read(_sender.Buffer.Span[.._sender.Size]);
                    batch.Commit(length, new PathHandle(sender) { Local = socket.End, Asked = AskedOf(local) }).SegmentSize = segmentSize;
                }

                _sender.Size = SocketAddressCodec.MaximumLength;
                if (socket.Coalesces && (segmentSize == 0 ? length : segmentSize) > LongestDatagram)
                    StopCoalescing();
            }
            while (length >= 0 && !batch.IsFull && socket.Poll(0, SelectMode.SelectRead));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Either the socket was closed, or this reports the fate of some datagram: neither keeps from receiving what comes next.
            _sender.Size = SocketAddressCodec.MaximumLength;
        }
    }

    private AskedAddress AskedOf(UInt128 local)
    {
        if (local == UInt128.Zero)
            return default;
        if (local != _lastLocal || _lastAsked == default)
            (_lastLocal, _lastAsked) = (local, _asked.Find(local));
        return _lastAsked;
    }

    /// <summary>
    /// Has every datagram received by itself. There are machines whose Windows or network card puts datagrams together without telling of
    /// what size they are, so that all of them are lost. One that is that long in truth loses nothing but the speed.
    /// </summary>
    private void StopCoalescing()
    {
        for (int number = 0; number <= LocalEnd.MaximumFurther; number++)
        {
            if (_sockets.Find(number) is not { Coalesces: true } socket)
                continue;
            socket.Coalesces = false;
            _messages!.StopCoalescing(socket);
        }
    }

    /// <summary>A bound socket that knows which one it is, and its port.</summary>
    private sealed class UdpSocket : Socket
    {
        private UdpSocket(LocalEnd end, AddressFamily family)
            : base(family, SocketType.Dgram, ProtocolType.Udp) => End = end;

        public LocalEnd End { get; }

        public int Port { get; private set; }

        /// <summary>True while the system puts datagrams together that came to this socket.</summary>
        public bool Coalesces { get; set; }

        public static UdpSocket Open(LocalEnd end, IPAddress? address, int port, bool dualMode, int bufferSize)
        {
            var socket = new UdpSocket(end, dualMode ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork);
            try
            {
                if (dualMode)
                    socket.DualMode = true;
                if (OperatingSystem.IsWindows())
                {
                    socket.ExclusiveAddressUse = true;
                    socket.IOControl(SioUdpConnectionReset, [0, 0, 0, 0], null);
                }

                SetBuffer(() => socket.ReceiveBufferSize = bufferSize);
                SetBuffer(() => socket.SendBufferSize = bufferSize);
                socket.Bind(new IPEndPoint(address ?? (dualMode ? IPAddress.IPv6Any : IPAddress.Any), port));
                socket.Port = ((IPEndPoint)socket.LocalEndPoint!).Port;
                return socket;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }

        /// <summary>
        /// Has datagrams sent whole, or lets them be cut in pieces. Windows sets the flag on none unless told so; where the system knows no
        /// such option, all stays as it is.
        /// </summary>
        public void SetDontFragment(bool isIPv4, bool value)
        {
            const int IPv6DontFragment = 14; // IPV6_DONTFRAG of ws2ipdef.h; the framework has no name for it.
            if (!OperatingSystem.IsWindows())
                return;
            try
            {
                SetSocketOption(
                    isIPv4 ? SocketOptionLevel.IP : SocketOptionLevel.IPv6,
                    isIPv4 ? SocketOptionName.DontFragment : (SocketOptionName)IPv6DontFragment, value);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // Then probes may arrive in pieces, and long packets go on doing so.
            }
        }

        private static void SetBuffer(Action set)
        {
            try
            {
                set();
            }
            catch (SocketException)
            {
                // A smaller buffer is no reason to do without a network.
            }
        }
    }
}
