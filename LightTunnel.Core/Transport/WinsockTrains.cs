using System.Net;
using System.Net.Sockets;
using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>
/// Trains in one message on Windows 10 2004 and later: UDP_SEND_MSG_SIZE and UDP_RECV_MAX_COALESCED_SIZE of ws2ipdef.h. The size of a train's datagrams travels
/// in a control message, as several threads send trains of their own sizes from one socket.
/// </summary>
internal sealed unsafe class WinsockTrains
{
    internal const int IPPROTO_UDP = 17, UDP_SEND_MSG_SIZE = 2, UDP_RECV_MAX_COALESCED_SIZE = 3, UDP_COALESCED_INFO = 3;

    private readonly IWinsock _api;
    private volatile bool _sends;
    private volatile bool _coalesces;

    /// <param name="api">The system.</param>
    /// <param name="offloads">What may be used of what it has.</param>
    /// <param name="main">The transport's socket 0, which tells what the system has.</param>
    public WinsockTrains(IWinsock api, Offloads offloads, Socket main)
    {
        _api = api;
        _sends = offloads.HasFlag(Offloads.UdpSend) && api.HasOption(main, UDP_SEND_MSG_SIZE);
        _coalesces = offloads.HasFlag(Offloads.UdpReceive) && api.TryFindReceiveMessage(main);
        Receives = _coalesces = TryCoalesce(main);
    }

    /// <summary>True while trains are handed to the system whole.</summary>
    public bool Sends => _sends;

    /// <summary>True when messages are to be received by <see cref="Receive"/>.</summary>
    public bool Receives { get; }

    /// <summary>Sends a train as one message.</summary>
    /// <returns>False when the system refuses it, but may take its datagrams one by one.</returns>
    /// <exception cref="SocketException">It cannot be sent either way.</exception>
    public bool TrySend(Socket socket, ReadOnlySpan<byte> train, int segmentSize, SocketAddress destination)
    {
        SocketError error;
        fixed (byte* name = destination.Buffer.Span, data = train)
        {
            var buffer = new WinsockBuffer { Length = (uint)train.Length, Data = data };
            var control = new WinsockControl
            {
                Length = WinsockControl.LengthWithValue, Level = IPPROTO_UDP, Type = UDP_SEND_MSG_SIZE, Value = (uint)segmentSize,
            };
            var message = new WinsockMessage
            {
                Name = name,
                NameLength = destination.Size,
                Buffers = &buffer,
                BufferCount = 1,
                Control = new WinsockBuffer { Length = (uint)sizeof(WinsockControl), Data = &control },
            };
            error = _api.SendMessage(socket, &message);
        }

        switch (error)
        {
            case SocketError.Success:
                return true;
            case SocketError.MessageSize or SocketError.InvalidArgument:
                return false; // Too much for this one route: its datagrams may be fragmented one by one.
            case SocketError.OperationNotSupported or SocketError.ProtocolOption:
                _sends = false; // So it will be with the next train.
                return false;
            default:
                throw new SocketException((int)error);
        }
    }

    /// <summary>Waits for a message.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="place">Takes the datagram or train.</param>
    /// <param name="sender">Takes its sender.</param>
    /// <param name="segmentSize">Bytes of each datagram when the message is a train of several, else 0.</param>
    /// <returns>Bytes of the message; -1 when it was too long for its place, or none.</returns>
    public int Receive(Socket socket, Span<byte> place, SocketAddress sender, out int segmentSize)
    {
        segmentSize = 0;
        fixed (byte* name = sender.Buffer.Span, data = place)
        {
            var buffer = new WinsockBuffer { Length = (uint)place.Length, Data = data };
            WinsockControl control = default;
            var message = new WinsockMessage
            {
                Name = name,
                NameLength = sender.Size,
                Buffers = &buffer,
                BufferCount = 1,
                Control = new WinsockBuffer { Length = (uint)sizeof(WinsockControl), Data = &control },
            };
            if (_api.ReceiveMessage(socket, &message, out int length) != SocketError.Success)
                return -1;
            sender.Size = message.NameLength;
            if (message.Control.Length >= WinsockControl.LengthWithValue && control.Level == IPPROTO_UDP && control.Type == UDP_COALESCED_INFO
                && control.Value > 0 && control.Value < (uint)length)
            {
                segmentSize = (int)control.Value;
            }

            return length;
        }
    }

    /// <summary>Has datagrams that come to the socket together received as one message; false when the system does not do so.</summary>
    public bool TryCoalesce(Socket socket) => _coalesces && _api.TrySetOption(socket, UDP_RECV_MAX_COALESCED_SIZE, PacketBatch.LongestReceived);

    /// <summary>From now on no further socket gets its datagrams together, nor does this one.</summary>
    public void StopCoalescing(Socket socket)
    {
        _coalesces = false;
        _api.TrySetOption(socket, UDP_RECV_MAX_COALESCED_SIZE, 0);
    }
}
