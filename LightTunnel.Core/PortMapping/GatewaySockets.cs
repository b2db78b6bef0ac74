using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using LightTunnel.Transport;

namespace LightTunnel.PortMapping;

/// <summary>What has come from a gateway.</summary>
internal enum GatewayEvent
{
    /// <summary>Nothing, in the time allowed.</summary>
    None,

    /// <summary>A datagram from the port that we ask at.</summary>
    Answer,

    /// <summary>A datagram that it sent to all hosts.</summary>
    Announcement,

    /// <summary>Word that nobody listens at that port.</summary>
    NobodyListens,
}

/// <summary>
/// The sockets for PCP and NAT-PMP: one to ask the gateway, and one for what it announces to all (224.0.0.1, RFC 6886 section 3.2.1, RFC
/// 6887 section 14.1). What is not from the gateway's address is dropped.
/// </summary>
internal sealed class GatewaySockets : IDisposable
{
    private static readonly IPAddress AllHosts = new([224, 0, 0, 1]);

    private readonly Gateway _gateway;
    private readonly CancellationTokenSource _closed = new();
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly Socket? _announcements;

    // A flood is dropped, as the network would.
    private readonly Channel<(GatewayEvent What, byte[] Data)> _arrived =
        Channel.CreateBounded<(GatewayEvent, byte[])>(new BoundedChannelOptions(8) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <exception cref="SocketException">The gateway cannot be reached from that address.</exception>
    public GatewaySockets(Gateway gateway, GatewayPorts ports)
    {
        _gateway = gateway;
        try
        {
            _socket.Bind(new IPEndPoint(gateway.LocalAddress, 0));
            _socket.Connect(gateway.Address, ports.Control); // From here on the system drops what comes from elsewhere.
        }
        catch
        {
            Dispose();
            throw;
        }

        _announcements = TryListen(gateway.LocalAddress, ports.Announcement);
        _ = ReceiveAsync(_socket, GatewayEvent.Answer);
        if (_announcements is not null)
            _ = ReceiveAsync(_announcements, GatewayEvent.Announcement);
    }

    /// <summary>Sends to the gateway. A lost datagram is no error.</summary>
    public async Task SendAsync(ReadOnlyMemory<byte> datagram, CancellationToken cancellationToken)
    {
        try
        {
            await _socket.SendAsync(datagram, cancellationToken).ConfigureAwait(false);
        }
        catch (SocketException exception)
        {
            TellNobodyListens(exception);
        }
    }

    /// <summary>Waits for what comes next.</summary>
    public async Task<(GatewayEvent What, byte[] Data)> ReceiveAsync(
        TimeSpan atMost, TimeProvider time, CancellationToken cancellationToken)
    {
        if (_arrived.Reader.TryRead(out (GatewayEvent What, byte[] Data) waiting))
            return waiting;
        using var timeout = new CancellationTokenSource(TimeSpan.FromMilliseconds(Math.Ceiling(atMost.TotalMilliseconds)), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            return await _arrived.Reader.ReadAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (GatewayEvent.None, []);
        }
    }

    public void Dispose()
    {
        _closed.Cancel();
        _socket.Dispose();
        _announcements?.Dispose();
    }

    /// <summary>
    /// Announcements are a convenience: where another program has the port to itself, the mapping is renewed a little later.
    /// </summary>
    private static Socket? TryListen(IPAddress local, int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        TunnelMark.TrySet(socket);
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.AddMembership, new MulticastOption(AllHosts, local));
            return socket;
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }

    private async Task ReceiveAsync(Socket socket, GatewayEvent what)
    {
        byte[] buffer = new byte[PcpMessages.MaximumLength + 1];
        var anyone = new IPEndPoint(IPAddress.Any, 0);
        while (!_closed.IsCancellationRequested)
        {
            try
            {
                SocketReceiveFromResult received = await socket.ReceiveFromAsync(
                    buffer, SocketFlags.None, anyone, _closed.Token).ConfigureAwait(false);
                if (((IPEndPoint)received.RemoteEndPoint).Address.Equals(_gateway.Address))
                    _arrived.Writer.TryWrite((what, buffer[..received.ReceivedBytes]));
            }
            catch (SocketException exception) when (IsAboutOneDatagram(exception))
            {
                TellNobodyListens(exception);
            }
            catch (Exception exception) when (exception is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private void TellNobodyListens(SocketException exception)
    {
        if (SaysNobodyListens(exception))
            _arrived.Writer.TryWrite((GatewayEvent.NobodyListens, []));
    }

    /// <summary>Linux says it one way, Windows the other.</summary>
    private static bool SaysNobodyListens(SocketException exception) =>
        exception.SocketErrorCode is SocketError.ConnectionRefused or SocketError.ConnectionReset;

    private static bool IsAboutOneDatagram(SocketException exception) =>
        SaysNobodyListens(exception) || exception.SocketErrorCode == SocketError.MessageSize;
}
