using System.Globalization;
using System.Net;
using System.Net.Sockets;
using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>One UDP socket for both families on the framework's <see cref="Socket"/>, for systems without batched calls.</summary>
internal sealed class SocketUdpTransport : IDatagramTransport
{
    // Windows reports an ICMP port unreachable as an error of the next receive unless told not to (SIO_UDP_CONNRESET).
    private const int SioUdpConnectionReset = unchecked((int)0x9800000C);

    [ThreadStatic]
    private static SocketAddress? _destination;

    private readonly Socket _socket;
    private readonly SocketAddress _sender;
    private volatile bool _closed;
    private long _sendErrors;

    private SocketUdpTransport(Socket socket)
    {
        _socket = socket;
        _sender = new SocketAddress(AddressFamily.InterNetworkV6, SocketAddressCodec.MaximumLength);
        SupportsIPv6 = socket.AddressFamily == AddressFamily.InterNetworkV6;
        LocalPort = ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    /// <inheritdoc/>
    public int LocalPort { get; }

    /// <inheritdoc/>
    public bool SupportsIPv6 { get; }

    /// <inheritdoc/>
    public long SendErrors => Interlocked.Read(ref _sendErrors);

    /// <summary>Binds the port.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">The port is taken or may not be used.</exception>
    public static SocketUdpTransport Open(int port)
    {
        try
        {
            return Open(port, dualMode: Socket.OSSupportsIPv6);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported)
        {
            return Open(port, dualMode: false);
        }
    }

    /// <inheritdoc/>
    public bool Receive(PacketBatch batch)
    {
        batch.Clear();
        while (!_closed)
        {
            try
            {
                do
                {
                    // One byte more than a slot takes (there is room behind it) tells a datagram that is too long.
                    Span<byte> memory = batch.Memory(batch.Count).Slice(PacketBatch.Headroom, batch.MaxPacketLength + 1);
                    int length = _socket.ReceiveFrom(memory, SocketFlags.None, _sender);
                    if (length > 0 && length <= batch.MaxPacketLength)
                        batch.Commit(length, SocketAddressCodec.Read(_sender.Buffer.Span[.._sender.Size]));
                    _sender.Size = SocketAddressCodec.MaximumLength;
                }
                while (!batch.IsFull && _socket.Poll(0, SelectMode.SelectRead));
                return !_closed;
            }
            catch (SocketException)
            {
                // Either the socket was closed, or this reports the fate of some datagram: neither is a reason to stop but the first.
                _sender.Size = SocketAddressCodec.MaximumLength;
                if (batch.Count > 0)
                    return !_closed;
            }
            catch (ObjectDisposedException)
            {
                return false;
            }
        }

        return false;
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
    public void Send(PacketBatch batch)
    {
        for (int i = 0; i < batch.Count; i++)
        {
            ref PacketSlot slot = ref batch[i];
            if (slot.Length > 0)
                Send(batch.Packet(i), slot.Endpoint);
        }
    }

    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> datagram, in UdpEndpoint destination, int socket = 0)
    {
        SocketAddress address = _destination ??= new SocketAddress(AddressFamily.InterNetworkV6, SocketAddressCodec.MaximumLength);
        int length = SocketAddressCodec.Write(destination, SupportsIPv6, address.Buffer.Span);
        if (length == 0)
        {
            Interlocked.Increment(ref _sendErrors);
            return;
        }

        address.Size = length;
        try
        {
            _socket.SendTo(datagram, SocketFlags.None, address);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Interlocked.Increment(ref _sendErrors);
        }
    }

    /// <summary>Closes the socket, which ends a blocked receive on every system.</summary>
    public void Close()
    {
        _closed = true;
        _socket.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => Close();

    /// <summary>"UDP port 9000".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"UDP port {LocalPort}");

    internal static SocketUdpTransport Open(int port, bool dualMode)
    {
        var socket = new Socket(dualMode ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            if (dualMode)
                socket.DualMode = true;
            if (OperatingSystem.IsWindows())
            {
                socket.ExclusiveAddressUse = true;
                socket.IOControl(SioUdpConnectionReset, [0, 0, 0, 0], null);
            }

            SetBuffer(() => socket.ReceiveBufferSize = UdpTransportFactory.SocketBufferSize);
            SetBuffer(() => socket.SendBufferSize = UdpTransportFactory.SocketBufferSize);
            socket.Bind(new IPEndPoint(dualMode ? IPAddress.IPv6Any : IPAddress.Any, port));
            return new SocketUdpTransport(socket);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw e.SocketErrorCode switch
            {
                SocketError.AddressAlreadyInUse => UdpErrors.PortInUse(port, e),
                SocketError.AccessDenied => UdpErrors.PrivilegeRequired(port, e),
                SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported when dualMode => e,
                _ => UdpErrors.CannotOpen(port, e.Message, e),
            };
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
