using System.Buffers.Binary;

namespace LightTunnel.Membership;

/// <summary>What a control frame is for; the values are those on the wire.</summary>
internal enum ControlFrameKind : byte
{
    /// <summary>One message of a conversation, with its sequence number.</summary>
    Data = 0,

    /// <summary>Every message up to the number has arrived.</summary>
    Acknowledgement = 1,

    /// <summary>Asks for a pong with the same transaction id.</summary>
    Ping = 2,

    /// <summary>Answers a ping.</summary>
    Pong = 3,

    /// <summary>The conversation is unknown here.</summary>
    Reset = 4,

    /// <summary>The sender's datagrams come from further ports too; asks whether this one came, and from where.</summary>
    Ports = 5,

    /// <summary>Answers that.</summary>
    PortsTaken = 6,
}

/// <summary>
/// A control frame inside a link: what a decrypted transport message holds when its first nibble is 0xC ("Inside a link" in
/// docs/protocol.md). Layout, big-endian: 0xC1, kind, body length (u16), conversation (u32), number (u32), body. Bytes after the body are
/// the link's padding.
/// </summary>
internal readonly ref struct ControlFrame
{
    /// <summary>Bytes before the body.</summary>
    public const int HeaderLength = 12;

    /// <summary>
    /// Longest body of a data frame: with every header around it, relayed over IPv6 included, it fits in the 1,280 bytes that
    /// any IPv6 path carries (RFC 8200 section 5).
    /// </summary>
    public const int MaximumBodyLength = 1150;

    /// <summary>Longest data frame.</summary>
    public const int MaximumLength = HeaderLength + MaximumBodyLength;

    private const byte VersionOne = 0xC1;

    public ControlFrame(ControlFrameKind kind, uint conversation, uint number, ReadOnlySpan<byte> body = default)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(body.Length, kind == ControlFrameKind.Data ? MaximumBodyLength : ushort.MaxValue);
        Kind = kind;
        Conversation = conversation;
        Number = number;
        Body = body;
    }

    public ControlFrameKind Kind { get; }

    /// <summary>Chosen by the client at each registration; 0 for what belongs to no conversation.</summary>
    public uint Conversation { get; }

    /// <summary>
    /// Data: sequence number from 1. Acknowledgement: highest sequence received without a gap. All others: transaction id.
    /// </summary>
    public uint Number { get; }

    /// <summary>Data: one CBOR message. Lies in the buffer that the frame was read from.</summary>
    public ReadOnlySpan<byte> Body { get; }

    /// <summary>True when decrypted content is a control frame of some version, and no IP packet.</summary>
    public static bool IsControlFrame(ReadOnlySpan<byte> content) => content.Length > 0 && content[0] >> 4 == 0xC;

    /// <summary>Reads a frame; false for other versions, unknown kinds and whatever is cut short.</summary>
    public static bool TryRead(ReadOnlySpan<byte> content, out ControlFrame frame)
    {
        frame = default;
        if (content.Length < HeaderLength || content[0] != VersionOne || content[1] > (byte)ControlFrameKind.PortsTaken)
            return false;
        var kind = (ControlFrameKind)content[1];
        int length = BinaryPrimitives.ReadUInt16BigEndian(content[2..]);
        if (length > content.Length - HeaderLength || (kind == ControlFrameKind.Data && length is 0 or > MaximumBodyLength))
            return false;
        frame = new ControlFrame(
            kind,
            BinaryPrimitives.ReadUInt32BigEndian(content[4..]),
            BinaryPrimitives.ReadUInt32BigEndian(content[8..]),
            content.Slice(HeaderLength, length));
        return true;
    }

    /// <summary>Writes the frame, <see cref="HeaderLength"/> bytes and the body, and returns their number.</summary>
    /// <exception cref="ArgumentException">The destination is too short.</exception>
    public int Write(Span<byte> destination)
    {
        Body.CopyTo(destination[HeaderLength..]);
        destination[0] = VersionOne;
        destination[1] = (byte)Kind;
        BinaryPrimitives.WriteUInt16BigEndian(destination[2..], (ushort)Body.Length);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], Conversation);
        BinaryPrimitives.WriteUInt32BigEndian(destination[8..], Number);
        return HeaderLength + Body.Length;
    }
}
