using System.Buffers.Binary;

using LightTunnel.Addressing;
using LightTunnel.WireGuard.Ciphers;

namespace LightTunnel.WireGuard;

/// <summary>
/// The layout of WireGuard's four messages (paper section 5.4). Integers are little-endian. The first byte is the type, three
/// zero bytes follow.
/// <code>
/// initiation (148): type 1 | sender 4 | ephemeral 32 | static 32+16 | timestamp 12+16 | mac1 16 | mac2 16
/// response    (92): type 2 | sender 4 | receiver 4 | ephemeral 32 | empty 16 | mac1 16 | mac2 16
/// cookie      (64): type 3 | receiver 4 | nonce 24 | cookie 16+16
/// transport (>=32): type 4 | receiver 4 | counter 8 | packet, padded to 16 | tag 16
/// </code>
/// A session with AEGIS-256 has tags of 32 bytes; its handshake looks like any other.
/// </summary>
internal static class Messages
{
    public const uint InitiationType = 1;
    public const uint ResponseType = 2;
    public const uint CookieReplyType = 3;
    public const uint TransportType = 4;

    public const int InitiationSize = 148;
    public const int ResponseSize = 92;
    public const int CookieReplySize = 64;

    /// <summary>Bytes before the packet of a transport message.</summary>
    public const int TransportHeaderSize = Overheads.TransportHeader;

    /// <summary>Bytes of the shortest transport message: a keepalive of WireGuard's suite.</summary>
    public const int MinimumTransportSize = TransportHeaderSize + ChaChaPoly.TagSize;

    /// <summary>Most bytes that a transport message has besides the (padded) packet; see <see cref="KeyPair.Overhead"/>.</summary>
    public const int MaximumTransportOverhead = Overheads.Sealed;

    /// <summary>Packets are padded to a multiple of this.</summary>
    public const int PaddingMultiple = Overheads.PaddingMultiple;

    public const int MacSize = 16;

    /// <summary>Where the Noise message starts in an initiation, and in a response.</summary>
    public const int InitiationNoiseOffset = 8;
    public const int ResponseNoiseOffset = 12;

    public const int CookieNonceOffset = 8;
    public const int CookieNonceSize = 24;
    public const int CookieSize = 16;

    /// <summary>The type and the three reserved bytes; 0 when there are not even four bytes.</summary>
    public static uint TypeOf(ReadOnlySpan<byte> datagram) =>
        datagram.Length < sizeof(uint) ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(datagram);

    /// <summary>The index in bytes 4..7: of the sender in types 1 and 2, of the receiver in 3 and 4.</summary>
    public static uint FirstIndex(ReadOnlySpan<byte> datagram) => BinaryPrimitives.ReadUInt32LittleEndian(datagram[4..]);

    /// <summary>The receiver's index of a response.</summary>
    public static uint ResponseReceiver(ReadOnlySpan<byte> datagram) => BinaryPrimitives.ReadUInt32LittleEndian(datagram[8..]);

    /// <summary>Bytes of a packet once padded; the padding never makes it longer than the MTU (paper section 5.4.6).</summary>
    public static int PaddedLength(int length, int mtu) =>
        length >= mtu ? length : Math.Min((length + PaddingMultiple - 1) & ~(PaddingMultiple - 1), mtu);

    /// <summary>Reads a transport message's header; false for everything that cannot be one.</summary>
    public static bool TryReadTransport(ReadOnlySpan<byte> datagram, out uint receiver, out ulong counter)
    {
        if (datagram.Length < MinimumTransportSize || BinaryPrimitives.ReadUInt32LittleEndian(datagram) != TransportType)
        {
            receiver = 0;
            counter = 0;
            return false;
        }

        receiver = BinaryPrimitives.ReadUInt32LittleEndian(datagram[4..]);
        counter = BinaryPrimitives.ReadUInt64LittleEndian(datagram[8..]);
        return true;
    }

    /// <summary>Writes a transport message's header.</summary>
    public static void WriteTransport(Span<byte> datagram, uint receiver, ulong counter)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(datagram, TransportType);
        BinaryPrimitives.WriteUInt32LittleEndian(datagram[4..], receiver);
        BinaryPrimitives.WriteUInt64LittleEndian(datagram[8..], counter);
    }
}
