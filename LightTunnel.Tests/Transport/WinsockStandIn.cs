using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using LightTunnel.Transport;

namespace LightTunnel.Tests.Transport;

/// <summary>
/// Windows's messages on this system's sockets: a train is cut up and sent, what waits is put together. Reads and writes structures at the places that the 64-bit
/// headers of Windows give them, not by the declarations under test.
/// </summary>
internal sealed unsafe class WinsockStandIn : IWinsock
{
    // WSAMSG, WSABUF and WSACMSGHDR.
    private const int Name = 0, NameLength = 8, Buffers = 16, BufferCount = 24, ControlLength = 32, Control = 40, BufferLength = 0, BufferData = 8;
    private const int HeaderLength = 0, HeaderLevel = 8, HeaderType = 12, HeaderData = 16, HeaderWithNumber = 20;
    private const int AddressLength = 28;

    private readonly ConcurrentDictionary<Socket, int> _coalesced = new();
    private readonly SocketAddress _destination = new(AddressFamily.InterNetworkV6, AddressLength);
    private readonly SocketAddress _sender = new(AddressFamily.InterNetworkV6, AddressLength);
    private readonly SocketAddress _nextSender = new(AddressFamily.InterNetworkV6, AddressLength);
    private readonly byte[] _received = new byte[2 * 65536];
    private readonly byte[] _peeked = new byte[65536];
    private readonly byte[] _control = new byte[24];

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

    /// <summary>Trains that were to be sent.</summary>
    public int TrainsSent { get; private set; }

    /// <summary>The control message of the last of them.</summary>
    public ReadOnlySpan<byte> LastControl => _control;

    /// <summary>How many sockets get their datagrams together.</summary>
    public int Coalesced => _coalesced.Count(socket => socket.Value != 0);

    /// <inheritdoc/>
    public bool HasOption(Socket socket, int name) => Options.Contains(name);

    /// <inheritdoc/>
    public bool TrySetOption(Socket socket, int name, int value)
    {
        if (name != 3 || !Options.Contains(name))
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
        TrainsSent++;
        new ReadOnlySpan<byte>(Pointer(bytes + Control), Number(bytes + ControlLength)).CopyTo(_control);
        if (Outcome != SocketError.Success)
            return Outcome;
        if (Number(bytes + BufferCount) != 1)
            return SocketError.Fault;
        _destination.Size = Number(bytes + NameLength);
        new ReadOnlySpan<byte>(Pointer(bytes + Name), _destination.Size).CopyTo(_destination.Buffer.Span);
        byte* buffer = Pointer(bytes + Buffers);
        var rest = new ReadOnlySpan<byte>(Pointer(buffer + BufferData), Number(buffer + BufferLength));
        int size = MemoryMarshal.Read<int>(_control.AsSpan(HeaderData));
        while (!rest.IsEmpty)
        {
            ReadOnlySpan<byte> datagram = rest[..Math.Min(size, rest.Length)];
            socket.SendTo(datagram, SocketFlags.None, _destination);
            rest = rest[datagram.Length..];
        }

        return SocketError.Success;
    }

    /// <inheritdoc/>
    public SocketError ReceiveMessage(Socket socket, WinsockMessage* message, out int length)
    {
        length = 0;
        int size;
        try
        {
            _sender.Size = AddressLength;
            size = length = socket.ReceiveFrom(_received, SocketFlags.None, _sender);
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
        bool tells = length > size && TellsSize && Number(bytes + ControlLength) >= HeaderWithNumber;
        *(int*)(bytes + ControlLength) = tells ? HeaderWithNumber : 0;
        if (tells)
        {
            *(long*)(control + HeaderLength) = HeaderWithNumber;
            *(int*)(control + HeaderLevel) = 17;
            *(int*)(control + HeaderType) = 3;
            *(int*)(control + HeaderData) = size;
        }

        byte* buffer = Pointer(bytes + Buffers);
        if (length > Number(buffer + BufferLength))
            return SocketError.MessageSize;
        _received.AsSpan(0, length).CopyTo(new Span<byte>(Pointer(buffer + BufferData), length));
        return SocketError.Success;
    }

    private static byte* Pointer(byte* place) => *(byte**)place;

    private static int Number(byte* place) => *(int*)place;
}
