using System.Buffers.Binary;
using System.Security.Cryptography;
using LightTunnel.Addressing;
using LightTunnel.WireGuard.Ciphers;

namespace LightTunnel.Traversal;

/// <summary>What a probe or answer says besides its existence. Unknown bits are ignored.</summary>
[Flags]
internal enum ProbeFlags : byte
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>
    /// To the server: answer from where nothing was sent to yet, your other port and, if you have one, your other address.
    /// </summary>
    AnswerFromElsewhere = 1,

    /// <summary>The sender sends its data over this path.</summary>
    PathInUse = 2,

    /// <summary>The sender passes on datagrams of other members.</summary>
    WillingToRelay = 4,

    /// <summary>The sender has a link's keys with the receiver.</summary>
    HasSession = 16,
}

/// <summary>A probe or the answer to one.</summary>
/// <param name="IsAnswer">An answer is never answered.</param>
/// <param name="Sender">Member id of the sender.</param>
/// <param name="Sequence">Rises with each probe and answer that a member sends to another, over restarts too.</param>
/// <param name="Transaction">Chosen by the prober, repeated in the answer.</param>
/// <param name="Flags">What else it says.</param>
/// <param name="SeenFrom">Answer: the endpoint that the probe came from; otherwise unspecified.</param>
internal readonly record struct Probe(bool IsAnswer, uint Sender, ulong Sequence, uint Transaction, ProbeFlags Flags, UdpEndpoint SeenFrom);

/// <summary>
/// The datagrams of probes and answers; both have one size, so that answering never amplifies.
/// <code>
/// 0      type: 0x11 probe, 0x12 answer
/// 1..3   zero
/// 4..7   member id of the sender, big-endian
/// 8..31  random nonce
/// 32..   XChaCha20-Poly1305 under the sender's key, bytes 0..7 as associated data:
///        0..7 sequence, 8..11 transaction, 12 flags, 13 reserved, 14..29 address that the probe was seen from (IPv4 mapped),
///        30..31 its port, 32..47 reserved, 48..63 tag
/// </code>
/// Reserved bytes are sent as zero and ignored. Reading never throws, whatever the bytes.
/// </summary>
internal static class ProbeCodec
{
    /// <summary>Bytes of every probe and every answer.</summary>
    public const int Size = HeaderSize + NonceSize + BodySize + XChaChaPoly.TagSize;

    /// <summary>First byte of a probe.</summary>
    public const byte ProbeType = 0x11;

    /// <summary>First byte of an answer.</summary>
    public const byte AnswerType = 0x12;

    private const int HeaderSize = 8;
    private const int NonceSize = XChaChaPoly.NonceSize;
    private const int BodySize = 48;

    /// <summary>Tells a probe or answer from other datagrams, and whose it claims to be; nothing is authenticated yet.</summary>
    public static bool TryReadSender(ReadOnlySpan<byte> datagram, out uint sender)
    {
        sender = 0;
        if (datagram.Length != Size
            || BinaryPrimitives.ReadUInt32BigEndian(datagram) is not ((uint)ProbeType << 24 or (uint)AnswerType << 24))
        {
            return false;
        }
        sender = BinaryPrimitives.ReadUInt32BigEndian(datagram[4..]);
        return sender != 0;
    }

    /// <summary>Writes <see cref="Size"/> bytes.</summary>
    public static void Seal(ProbeKey key, in Probe probe, Span<byte> datagram)
    {
        BinaryPrimitives.WriteUInt32BigEndian(datagram, (uint)(probe.IsAnswer ? AnswerType : ProbeType) << 24);
        BinaryPrimitives.WriteUInt32BigEndian(datagram[4..], probe.Sender);
        Span<byte> nonce = datagram.Slice(HeaderSize, NonceSize);
        RandomNumberGenerator.Fill(nonce);
        Span<byte> body = stackalloc byte[BodySize];
        body.Clear();
        BinaryPrimitives.WriteUInt64BigEndian(body, probe.Sequence);
        BinaryPrimitives.WriteUInt32BigEndian(body[8..], probe.Transaction);
        body[12] = (byte)probe.Flags;
        BinaryPrimitives.WriteUInt128BigEndian(body[14..], probe.SeenFrom.MappedAddress);
        BinaryPrimitives.WriteUInt16BigEndian(body[30..], probe.SeenFrom.Port);
        XChaChaPoly.Seal(key.Sending, nonce, datagram[..HeaderSize], body, datagram[(HeaderSize + NonceSize)..Size]);
    }

    /// <summary>Reads what the peer sealed; false for anything else.</summary>
    public static bool TryOpen(ProbeKey key, ReadOnlySpan<byte> datagram, out Probe probe)
    {
        probe = default;
        if (!TryReadSender(datagram, out uint sender))
            return false;
        Span<byte> body = stackalloc byte[BodySize];
        if (!XChaChaPoly.TryOpen(
            key.Receiving, datagram.Slice(HeaderSize, NonceSize), datagram[..HeaderSize], datagram[(HeaderSize + NonceSize)..], body))
        {
            return false;
        }
        bool isAnswer = datagram[0] == AnswerType;
        var seen = new UdpEndpoint(BinaryPrimitives.ReadUInt128BigEndian(body[14..]), BinaryPrimitives.ReadUInt16BigEndian(body[30..]));
        probe = new Probe(
            isAnswer,
            sender,
            BinaryPrimitives.ReadUInt64BigEndian(body),
            BinaryPrimitives.ReadUInt32BigEndian(body[8..]),
            (ProbeFlags)body[12],
            isAnswer ? seen : default);
        return true;
    }
}
