using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using LightTunnel.Addressing;
using LightTunnel.Transport;

namespace LightTunnel.Tests.Transport;

/// <summary>
/// Windows's messages on this system's sockets: a train is cut up and sent, what waits is put together. Reads and writes structures at the
/// places that the 64-bit headers of Windows give them, not by the declarations under test. Addresses that datagrams come to and leave from
/// are this system's own affair as well, on Linux.
/// </summary>
internal sealed unsafe class WinsockStandIn : IWinsock
{
    // WSAMSG, WSABUF and WSACMSGHDR.
    private const int Name = 0, NameLength = 8, Buffers = 16, BufferCount = 24, ControlLength = 32, Control = 40, BufferLength = 0,
        BufferData = 8;
    private const int HeaderLength = 0, HeaderLevel = 8, HeaderType = 12, HeaderData = 16, HeaderWithNumber = 20;
    private const int AddressLength = 28;
    private const int LevelIPv4 = 0, LevelIPv6 = 41, PacketInfo = 19;

    private readonly ConcurrentDictionary<Socket, int> _coalesced = new();
    private readonly SocketAddress _destination = new(AddressFamily.InterNetworkV6, AddressLength);
    private readonly SocketAddress _sender = new(AddressFamily.InterNetworkV6, AddressLength);
    private readonly SocketAddress _nextSender = new(AddressFamily.InterNetworkV6, AddressLength);
    private readonly byte[] _received = new byte[2 * 65536];
    private readonly byte[] _peeked = new byte[65536];
    private readonly List<byte> _lastControl = [];

    /// <summary>Options that the system knows; both unless told otherwise.</summary>
    public int[] Options { get; init; } = [2, 3];

    /// <summary>False for a provider without WSARecvMsg.</summary>
    public bool HasReceiveMessage { get; init; } = true;

    /// <summary>False when no two datagrams ever come together.</summary>
    public bool Merges { get; init; } = true;

    /// <summary>False for a machine that puts datagrams together and does not tell of what size they are.</summary>
    public bool TellsSize { get; init; } = true;

    /// <summary>What becomes of trains that are sent.</summary>
    public SocketError Outcome { get; init; }

    /// <summary>True for a system that tells to which address something came.</summary>
    public bool TellsAddresses { get; init; }

    /// <summary>What becomes of messages that are to leave from an address of this machine's.</summary>
    public SocketError OutcomeFromAddress { get; set; }

    /// <summary>How many sockets tell to which address something came, by either family.</summary>
    public List<(Socket Socket, int Level)> Telling { get; } = [];

    /// <summary>Messages that left from an address that was named.</summary>
    public int SentFromAddress { get; private set; }

    /// <summary>Trains that were to be sent.</summary>
    public int TrainsSent { get; private set; }

    /// <summary>The control message of the last of them.</summary>
    public ReadOnlySpan<byte> LastControl => CollectionsMarshal.AsSpan(_lastControl);

    /// <summary>How many sockets get their datagrams together.</summary>
    public int Coalesced => _coalesced.Count(socket => socket.Value != 0);

    /// <inheritdoc/>
    public bool HasOption(Socket socket, int name) => Options.Contains(name);

    /// <inheritdoc/>
    public bool TrySetOption(Socket socket, int level, int name, int value)
    {
        if (name == PacketInfo && level is LevelIPv4 or LevelIPv6)
        {
            if (TellsAddresses)
                Telling.Add((socket, level));
            return TellsAddresses;
        }

        if (level != 17 || name != 3 || !Options.Contains(name))
            return false;
        _coalesced[socket] = value;
        return true;
    }

    /// <inheritdoc/>
    public bool TryFindReceiveMessage(Socket socket) => HasReceiveMessage;

    /// <inheritdoc/>
    public SocketError SendMessage(Socket socket, WinsockMessage* message)
    {
        byte* bytes = (byte*)message;
        var control = new ReadOnlySpan<byte>(Pointer(bytes + Control), Number(bytes + ControlLength));
        if (Number(bytes + BufferCount) != 1)
            return SocketError.Fault;
        ReadOnlySpan<byte> from = Find(control, LevelIPv4, PacketInfo);
        bool isIPv4 = !from.IsEmpty;
        if (from.IsEmpty)
            from = Find(control, LevelIPv6, PacketInfo);
        if (!from.IsEmpty && OutcomeFromAddress != SocketError.Success)
            return OutcomeFromAddress;
        ReadOnlySpan<byte> segmentSize = Find(control, 17, 2);
        if (!segmentSize.IsEmpty)
        {
            TrainsSent++;
            _lastControl.Clear();
            _lastControl.AddRange(control);
            if (Outcome != SocketError.Success)
                return Outcome;
        }

        _destination.Size = Number(bytes + NameLength);
        new ReadOnlySpan<byte>(Pointer(bytes + Name), _destination.Size).CopyTo(_destination.Buffer.Span);
        byte* buffer = Pointer(bytes + Buffers);
        var rest = new ReadOnlySpan<byte>(Pointer(buffer + BufferData), Number(buffer + BufferLength));
        int size = segmentSize.IsEmpty ? rest.Length : MemoryMarshal.Read<int>(segmentSize);
        do
        {
            ReadOnlySpan<byte> datagram = rest[..Math.Min(size, rest.Length)];
            if (from.IsEmpty)
                socket.SendTo(datagram, SocketFlags.None, _destination);
            else if (!TrySendFrom(socket, datagram, isIPv4 ? new IPAddress(from[..4]) : new IPAddress(from[..16])))
                return SocketError.AddressNotAvailable;
            rest = rest[datagram.Length..];
        }
        while (!rest.IsEmpty);

        return SocketError.Success;
    }

    /// <inheritdoc/>
    public SocketError ReceiveMessage(Socket socket, WinsockMessage* message, out int length)
    {
        length = 0;
        int size;
        IPAddress? local = null;
        try
        {
            _sender.Size = AddressLength;
            size = length = TellsAddresses ? ReceiveAndTell(socket, out local) : socket.ReceiveFrom(_received, SocketFlags.None, _sender);
            for (int last = size; last == size && Merges && socket.Poll(0, SelectMode.SelectRead); length += last)
            {
                _nextSender.Size = AddressLength;
                last = socket.ReceiveFrom(_peeked, SocketFlags.Peek, _nextSender);
                if (last == 0 || last > size || length + last > _coalesced.GetValueOrDefault(socket) || !_nextSender.Equals(_sender))
                    break;
                socket.ReceiveFrom(_received.AsSpan(length), SocketFlags.None, _nextSender);
            }
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode;
        }

        byte* bytes = (byte*)message;
        _sender.Buffer.Span[.._sender.Size].CopyTo(new Span<byte>(Pointer(bytes + Name), Number(bytes + NameLength)));
        *(int*)(bytes + NameLength) = _sender.Size;
        byte* control = Pointer(bytes + Control);
        int room = Number(bytes + ControlLength);
        bool tells = length > size && TellsSize && room >= HeaderWithNumber;
        int told = 0;
        if (local is not null)
        {
            // Windows tells of IPv4 in the form of IPv4, on sockets of both families too.
            bool isIPv4 = local.IsIPv4MappedToIPv6 || local.AddressFamily == AddressFamily.InterNetwork;
            byte[] address = (isIPv4 ? local.MapToIPv4() : local).GetAddressBytes();
            told = Add(control, isIPv4 ? LevelIPv4 : LevelIPv6, PacketInfo, [.. address, 7, 0, 0, 0]);
        }

        if (tells)
            told += Add(control + told, 17, 3, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in size)));
        *(int*)(bytes + ControlLength) = told;
        byte* buffer = Pointer(bytes + Buffers);
        if (length > Number(buffer + BufferLength))
            return SocketError.MessageSize;
        _received.AsSpan(0, length).CopyTo(new Span<byte>(Pointer(buffer + BufferData), length));
        return SocketError.Success;
    }

    /// <summary>Writes a control message; returns its bytes with the padding.</summary>
    private static int Add(byte* place, int level, int type, ReadOnlySpan<byte> data)
    {
        *(long*)(place + HeaderLength) = HeaderData + data.Length;
        *(int*)(place + HeaderLevel) = level;
        *(int*)(place + HeaderType) = type;
        data.CopyTo(new Span<byte>(place + HeaderData, data.Length));
        return HeaderData + ((data.Length + 7) & ~7);
    }

    /// <summary>What a control message says; nothing when there is none of that kind.</summary>
    private static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> control, int level, int type)
    {
        while (control.Length >= HeaderData)
        {
            int length = (int)MemoryMarshal.Read<long>(control);
            if (MemoryMarshal.Read<int>(control[HeaderLevel..]) == level && MemoryMarshal.Read<int>(control[HeaderType..]) == type)
                return control[HeaderData..length];
            control = control[((length + 7) & ~7)..];
        }

        return [];
    }

    private int ReceiveAndTell(Socket socket, out IPAddress local)
    {
        bool isDual = socket.AddressFamily == AddressFamily.InterNetworkV6;
        SocketFlags flags = SocketFlags.None;
        EndPoint sender = new IPEndPoint(isDual ? IPAddress.IPv6Any : IPAddress.Any, 0);
        int length = socket.ReceiveMessageFrom(_received, ref flags, ref sender, out IPPacketInformation information);
        _sender.Size = SocketAddressCodec.Write(
            new UdpEndpoint(((IPEndPoint)sender).Address, ((IPEndPoint)sender).Port), isDual, _sender.Buffer.Span);
        local = information.Address;
        return length;
    }

    private bool TrySendFrom(Socket socket, ReadOnlySpan<byte> datagram, IPAddress from)
    {
        SentFromAddress++;
        bool isDual = socket.AddressFamily == AddressFamily.InterNetworkV6;
        byte* control = stackalloc byte[PacketInfoControl.Size];
        fixed (byte* name = _destination.Buffer.Span, data = datagram)
        {
            var vector = new LibC.IoVector { Base = data, Length = (nuint)datagram.Length };
            var message = default(LibC.MultiMessageHeader);
            message.Header = new LibC.MessageHeader
            {
                Name = name,
                NameLength = (uint)_destination.Size,
                Vectors = &vector,
                VectorCount = 1,
            };
            message.Header.Control = control;
            message.Header.ControlLength = (nuint)PacketInfoControl.Write(new UdpEndpoint(from, 0).MappedAddress, isDual, control);
            return LibC.SendMessages(socket.SafeHandle, &message, 1, LibC.MSG_NOSIGNAL) == 1;
        }
    }

    private static byte* Pointer(byte* place) => *(byte**)place;

    private static int Number(byte* place) => *(int*)place;
}
