using System.Net;
using System.Net.Sockets;
using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>
/// What Windows tells and is told of a message besides its bytes: that it is a train (UDP_SEND_MSG_SIZE and UDP_RECV_MAX_COALESCED_SIZE of
/// ws2ipdef.h, Windows 10 2004 and later), and which of this machine's addresses it came to or leaves from (IP_PKTINFO, IPV6_PKTINFO). Both
/// travel in control messages, as several threads send to many from one socket.
/// </summary>
internal sealed unsafe class WinsockMessages
{
    internal const int IPPROTO_IP = 0, IPPROTO_UDP = 17, IPPROTO_IPV6 = 41;

    internal const int UDP_SEND_MSG_SIZE = 2, UDP_RECV_MAX_COALESCED_SIZE = 3, UDP_COALESCED_INFO = 3, IP_PKTINFO = 19, IPV6_PKTINFO = 19;

    private readonly IWinsock _api;
    private readonly bool _knowsReceive;
    private volatile bool _sendsTrains;
    private volatile bool _coalesces;

    /// <param name="api">The system.</param>
    /// <param name="offloads">What may be used of what it has.</param>
    /// <param name="main">The node's own socket, which tells what the system has.</param>
    /// <param name="dualMode">True for sockets of both families.</param>
    public WinsockMessages(IWinsock api, Offloads offloads, Socket main, bool dualMode)
    {
        _api = api;
        _knowsReceive = api.TryFindReceiveMessage(main);
        _sendsTrains = offloads.HasFlag(Offloads.UdpSend) && api.HasOption(main, UDP_SEND_MSG_SIZE);
        _coalesces = offloads.HasFlag(Offloads.UdpReceive) && _knowsReceive;
        ReceivesTrains = _coalesces = TryCoalesce(main);
        Receives = TryTellAddresses(main, dualMode) || ReceivesTrains;
    }

    /// <summary>True while trains are handed to the system whole.</summary>
    public bool SendsTrains => _sendsTrains;

    /// <summary>True when a message may be a train.</summary>
    public bool ReceivesTrains { get; }

    /// <summary>True when messages are to be received by <see cref="Receive"/>, as there is something to be told of them.</summary>
    public bool Receives { get; }

    /// <summary>Sends a train as one message.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="train">Its datagrams.</param>
    /// <param name="segmentSize">Bytes of each but the last.</param>
    /// <param name="from">The address that they leave from in mapped form, 0 for the system's choice, which it is as well when the system
    /// cannot do that.</param>
    /// <param name="destination">Where to.</param>
    /// <returns>False when the system refuses it, but may take its datagrams one by one.</returns>
    /// <exception cref="SocketException">It cannot be sent either way.</exception>
    public bool TrySendTrain(Socket socket, ReadOnlySpan<byte> train, int segmentSize, UInt128 from, SocketAddress destination)
    {
        SocketError error = SendFrom(socket, train, segmentSize, from, destination);
        switch (error)
        {
            case SocketError.Success:
                return true;
            case SocketError.MessageSize or SocketError.InvalidArgument:
                return false; // Too much for this one route: its datagrams may be fragmented one by one.
            case SocketError.OperationNotSupported or SocketError.ProtocolOption:
                _sendsTrains = false; // So it will be with the next train.
                return false;
            default:
                throw new SocketException((int)error);
        }
    }

    /// <summary>Sends a datagram from an address of this machine; parameters as above.</summary>
    /// <exception cref="SocketException">It cannot be sent.</exception>
    public void Send(Socket socket, ReadOnlySpan<byte> datagram, UInt128 from, SocketAddress destination)
    {
        SocketError error = SendFrom(socket, datagram, segmentSize: 0, from, destination);
        if (error != SocketError.Success)
            throw new SocketException((int)error);
    }

    /// <summary>Waits for a message.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="place">Takes the datagram or train.</param>
    /// <param name="sender">Takes its sender.</param>
    /// <param name="segmentSize">Bytes of each datagram when the message is a train of several, else 0.</param>
    /// <param name="local">The address that it was sent to in mapped form, 0 when that is not known.</param>
    /// <returns>Bytes of the message; -1 when it was too long for its place, or none.</returns>
    public int Receive(Socket socket, Span<byte> place, SocketAddress sender, out int segmentSize, out UInt128 local)
    {
        segmentSize = 0;
        local = UInt128.Zero;
        byte* controls = stackalloc byte[WinsockControls.Size];
        fixed (byte* name = sender.Buffer.Span, data = place)
        {
            var buffer = new WinsockBuffer { Length = (uint)place.Length, Data = data };
            var message = new WinsockMessage
            {
                Name = name,
                NameLength = sender.Size,
                Buffers = &buffer,
                BufferCount = 1,
                Control = new WinsockBuffer { Length = WinsockControls.Size, Data = controls },
            };
            if (_api.ReceiveMessage(socket, &message, out int length) != SocketError.Success)
                return -1;
            sender.Size = message.NameLength;
            WinsockControls.Read(controls, message.Control.Length, out uint told, out local);
            if (told > 0 && told < (uint)length)
                segmentSize = (int)told;
            return length;
        }
    }

    /// <summary>Has datagrams that come to the socket together received as one message; false when the system does not do so.</summary>
    public bool TryCoalesce(Socket socket) =>
        _coalesces && _api.TrySetOption(socket, IPPROTO_UDP, UDP_RECV_MAX_COALESCED_SIZE, PacketBatch.LongestReceived);

    /// <summary>From now on no further socket gets its datagrams together, nor does this one.</summary>
    public void StopCoalescing(Socket socket)
    {
        _coalesces = false;
        _api.TrySetOption(socket, IPPROTO_UDP, UDP_RECV_MAX_COALESCED_SIZE, 0);
    }

    /// <summary>
    /// Has the system tell which address a message was sent to; false when it does not do so. A socket of both families must
    /// be told for each.
    /// </summary>
    public bool TryTellAddresses(Socket socket, bool dualMode)
    {
        if (!_knowsReceive)
            return false;
        bool tells = _api.TrySetOption(socket, IPPROTO_IP, IP_PKTINFO, 1);
        if (dualMode)
            tells |= _api.TrySetOption(socket, IPPROTO_IPV6, IPV6_PKTINFO, 1);
        return tells;
    }

    /// <summary>
    /// True for what the system says when a message cannot leave from an address, as that is gone for instance: then it
    /// leaves from another.
    /// </summary>
    private static bool MayBeOfAddress(SocketError error) =>
        error is not (SocketError.Success or SocketError.MessageSize or SocketError.WouldBlock or SocketError.NoBufferSpaceAvailable);

    private SocketError SendFrom(Socket socket, ReadOnlySpan<byte> data, int segmentSize, UInt128 from, SocketAddress destination)
    {
        SocketError error = SendOne(socket, data, segmentSize, from, destination);
        return from != UInt128.Zero && MayBeOfAddress(error) ? SendOne(socket, data, segmentSize, UInt128.Zero, destination) : error;
    }

    private SocketError SendOne(Socket socket, ReadOnlySpan<byte> bytes, int segmentSize, UInt128 from, SocketAddress destination)
    {
        byte* controls = stackalloc byte[WinsockControls.Size];
        int length = 0;
        if (from != UInt128.Zero)
            length += WinsockControls.WriteAddress(controls, from);
        if (segmentSize != 0)
            length += WinsockControls.WriteNumber(controls + length, IPPROTO_UDP, UDP_SEND_MSG_SIZE, (uint)segmentSize);
        fixed (byte* name = destination.Buffer.Span, data = bytes)
        {
            var buffer = new WinsockBuffer { Length = (uint)bytes.Length, Data = data };
            var message = new WinsockMessage
            {
                Name = name,
                NameLength = destination.Size,
                Buffers = &buffer,
                BufferCount = 1,
                Control = new WinsockBuffer { Length = (uint)length, Data = length == 0 ? null : controls },
            };
            return _api.SendMessage(socket, &message);
        }
    }
}
