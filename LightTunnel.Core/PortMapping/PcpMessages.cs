using System.Buffers.Binary;
using LightTunnel.Addressing;

namespace LightTunnel.PortMapping;

/// <summary>An answer of a PCP server to a MAP request (RFC 6887 section 11.1).</summary>
/// <param name="Result">The result code, 0 for success.</param>
/// <param name="Lifetime">Of the mapping; of an error, for how long it is expected to last.</param>
/// <param name="Epoch">Seconds since the server lost its mappings.</param>
/// <param name="Nonce">Copied from the request.</param>
/// <param name="InternalPort">Copied from the request.</param>
/// <param name="External">The endpoint that was assigned.</param>
internal readonly record struct PcpMapAnswer(
    byte Result, TimeSpan Lifetime, uint Epoch, UInt128 Nonce, ushort InternalPort, UdpEndpoint External);

/// <summary>
/// Port Control Protocol, RFC 6887: what of it a client needs that keeps one UDP port. Integers are big-endian, addresses 16 bytes with
/// IPv4 in mapped form.
/// <code>
/// request          answer
/// 0     version, 2
/// 1     opcode     opcode + 128
/// 2..3  reserved   reserved, result code
/// 4..7  lifetime, seconds
/// 8..11 client's   epoch time
/// ..23  address    reserved
/// MAP only:
/// 24..35 nonce
/// 36     protocol, 17 for UDP
/// 37..39 reserved
/// 40..41 internal port
/// 42..43 suggested or assigned external port
/// 44..59 suggested or assigned external address
/// </code>
/// </summary>
internal static class PcpMessages
{
    public const byte Version = 2;

    /// <summary>Length of a MAP request and of the shortest answer to one.</summary>
    public const int MapLength = HeaderLength + 36;

    /// <summary>No message is longer (section 7).</summary>
    public const int MaximumLength = 1100;

    /// <summary>The number of random bits in a nonce.</summary>
    public const int NonceBits = 96;

    /// <summary>The result code of a server that speaks no version 2 (section 7.4).</summary>
    public const byte UnsupportedVersion = 1;

    private const int HeaderLength = 24;
    private const byte Announce = 0, Map = 1, IsAnswer = 0x80, Udp = 17;

    /// <summary>Writes a request to forward a port, or with a lifetime of zero to forward it no longer (section 15).</summary>
    /// <param name="destination">At least <see cref="MapLength"/> bytes.</param>
    /// <param name="client">The node's own endpoint.</param>
    /// <param name="nonce">The same in all requests about one mapping: others cannot change it.</param>
    /// <param name="suggested">The external endpoint that is asked for.</param>
    /// <param name="lifetime">How long.</param>
    /// <returns>The number of bytes written.</returns>
    public static int WriteMap(Span<byte> destination, in UdpEndpoint client, UInt128 nonce, in UdpEndpoint suggested, TimeSpan lifetime)
    {
        Span<byte> message = destination[..MapLength];
        message.Clear();
        message[0] = Version;
        message[1] = Map;
        BinaryPrimitives.WriteUInt32BigEndian(message[4..], (uint)lifetime.TotalSeconds);
        BinaryPrimitives.WriteUInt128BigEndian(message[8..], client.MappedAddress);
        WriteNonce(message[24..], nonce);
        message[36] = Udp;
        BinaryPrimitives.WriteUInt16BigEndian(message[40..], client.Port);
        BinaryPrimitives.WriteUInt16BigEndian(message[42..], suggested.Port);
        BinaryPrimitives.WriteUInt128BigEndian(message[44..], suggested.MappedAddress);
        return MapLength;
    }

    /// <summary>Reads an answer to a MAP request for a UDP port.</summary>
    public static bool TryReadMap(ReadOnlySpan<byte> message, out PcpMapAnswer answer)
    {
        answer = default;
        if (!IsMessage(message, Map) || message.Length < MapLength || message[36] != Udp)
            return false;
        answer = new PcpMapAnswer(
            message[3],
            TimeSpan.FromSeconds(BinaryPrimitives.ReadUInt32BigEndian(message[4..])),
            BinaryPrimitives.ReadUInt32BigEndian(message[8..]),
            ReadNonce(message[24..]),
            BinaryPrimitives.ReadUInt16BigEndian(message[40..]),
            new UdpEndpoint(BinaryPrimitives.ReadUInt128BigEndian(message[44..]), BinaryPrimitives.ReadUInt16BigEndian(message[42..])));
        return true;
    }

    /// <summary>Reads an announcement that a server sends to all after it has lost its mappings (section 14.1).</summary>
    public static bool TryReadAnnouncement(ReadOnlySpan<byte> message, out uint epoch)
    {
        bool isOne = IsMessage(message, Announce) && message[3] == 0;
        epoch = isOne ? BinaryPrimitives.ReadUInt32BigEndian(message[8..]) : 0;
        return isOne;
    }

    /// <summary>True when a server says that it speaks other versions only; such an answer need not have our version's form.</summary>
    public static bool IsUnsupportedVersion(ReadOnlySpan<byte> message) =>
        message.Length >= 8 && message[0] != 0 && (message[1] & IsAnswer) != 0 && message[3] == UnsupportedVersion;

    private static bool IsMessage(ReadOnlySpan<byte> message, byte opcode) =>
        message.Length is >= HeaderLength and <= MaximumLength && message.Length % 4 == 0 && message[0] == Version
        && message[1] == (opcode | IsAnswer);

    private static void WriteNonce(Span<byte> destination, UInt128 nonce)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)(nonce >> 64));
        BinaryPrimitives.WriteUInt64BigEndian(destination[4..], (ulong)nonce);
    }

    private static UInt128 ReadNonce(ReadOnlySpan<byte> source) =>
        new(BinaryPrimitives.ReadUInt32BigEndian(source), BinaryPrimitives.ReadUInt64BigEndian(source[4..]));
}
