using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using LightTunnel.Addressing;

namespace LightTunnel.Packets;

/// <summary>What an IP header says, read once. A value; nothing of it refers to the packet's memory.</summary>
internal readonly struct IpPacketInfo
{
    /// <summary>Sender.</summary>
    public TunnelAddress Source { get; init; }

    /// <summary>Receiver.</summary>
    public TunnelAddress Destination { get; init; }

    /// <summary>Bytes of the whole packet as its header says; what lies behind them in the buffer is a link's padding.</summary>
    public int TotalLength { get; init; }

    /// <summary>Bytes before the upper-layer header: IPv4 options and IPv6 extension headers are counted in.</summary>
    public int HeaderLength { get; init; }

    /// <summary>Protocol of what follows the headers (IANA protocol number), 6 for TCP.</summary>
    public byte Protocol { get; init; }

    /// <summary>True when routers must not fragment the packet: the IPv4 flag; always true for IPv6.</summary>
    public bool DontFragment { get; init; }

    /// <summary>Where this fragment's bytes stand in the original packet's payload, 0 for whole packets and first fragments.</summary>
    public int FragmentOffset { get; init; }

    /// <summary>True when further fragments follow this one.</summary>
    public bool MoreFragments { get; init; }

    /// <summary>What fragments of one packet have in common; 0 for what is no fragment.</summary>
    public uint FragmentId { get; init; }

    /// <summary>True for IPv4.</summary>
    public bool IsIPv4 => Source.IsIPv4;

    /// <summary>True when the packet is only a part of one.</summary>
    public bool IsFragment => MoreFragments || FragmentOffset != 0;
}

/// <summary>
/// Reads IPv4 (RFC 791) and IPv6 (RFC 8200) headers without an allocation. Header checksums are left to the system, which checks
/// them at delivery.
/// </summary>
internal static class IpPacket
{
    /// <summary>Bytes of an IPv4 header without options.</summary>
    public const int IPv4HeaderLength = 20;

    /// <summary>Bytes of the fixed IPv6 header.</summary>
    public const int IPv6HeaderLength = 40;

    /// <summary>IANA protocol numbers that are looked at.</summary>
    public const byte ProtocolIcmp = 1, ProtocolTcp = 6, ProtocolUdp = 17, ProtocolIcmpV6 = 58;

    /// <summary>The IPv6 extension header that fragments have.</summary>
    public const byte ExtensionFragment = 44;

    private const byte HopByHop = 0, Routing = 43, Authentication = 51, DestinationOptions = 60;

    /// <summary>4 or 6; anything else is no IP packet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Version(ReadOnlySpan<byte> packet) => packet.IsEmpty ? 0 : packet[0] >> 4;

    /// <summary>Reads the destination alone, checking no more than that the fixed header is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadDestination(ReadOnlySpan<byte> packet, out TunnelAddress destination) =>
        TryReadAddress(packet, 16, 24, out destination);

    /// <summary>Reads the source alone, checking no more than that the fixed header is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadSource(ReadOnlySpan<byte> packet, out TunnelAddress source) => TryReadAddress(packet, 12, 8, out source);

    /// <summary>Reads and checks all headers in front of the upper layer.</summary>
    /// <param name="packet">One packet, perhaps with a link's padding behind it.</param>
    /// <param name="info">What the headers say.</param>
    /// <returns>False when it is no IP packet, or its headers or the length they claim do not fit in the buffer.</returns>
    public static bool TryParse(ReadOnlySpan<byte> packet, out IpPacketInfo info)
    {
        switch (Version(packet))
        {
            case 4:
                return TryParseIPv4(packet, out info);
            case 6:
                return TryParseIPv6(packet, out info);
            default:
                info = default;
                return false;
        }
    }

    /// <summary>True for what may stand between the fixed IPv6 header and the upper layer.</summary>
    internal static bool IsExtension(byte next) =>
        next is HopByHop or Routing or ExtensionFragment or Authentication or DestinationOptions;

    /// <summary>Bytes of an extension header, 8 at least.</summary>
    /// <param name="kind">Which one it is.</param>
    /// <param name="length">Its second byte.</param>
    internal static int ExtensionLength(byte kind, byte length) => kind switch
    {
        ExtensionFragment => 8,
        Authentication => (length + 2) * 4,
        _ => (length + 1) * 8,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryReadAddress(ReadOnlySpan<byte> packet, int offsetV4, int offsetV6, out TunnelAddress address)
    {
        if (packet.Length >= IPv4HeaderLength)
        {
            int version = packet[0] >> 4;
            if (version == 4)
            {
                address = TunnelAddress.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(packet[offsetV4..]));
                return true;
            }

            if (version == 6 && packet.Length >= IPv6HeaderLength)
            {
                address = TunnelAddress.FromIPv6(BinaryPrimitives.ReadUInt128BigEndian(packet[offsetV6..]));
                return true;
            }
        }

        address = default;
        return false;
    }

    private static bool TryParseIPv4(ReadOnlySpan<byte> packet, out IpPacketInfo info)
    {
        info = default;
        if (packet.Length < IPv4HeaderLength)
            return false;
        int headerLength = (packet[0] & 0xF) * 4;
        int totalLength = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        if (headerLength < IPv4HeaderLength || headerLength > totalLength || totalLength > packet.Length)
            return false;
        ushort fragment = BinaryPrimitives.ReadUInt16BigEndian(packet[6..]);
        info = new IpPacketInfo
        {
            Source = TunnelAddress.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(packet[12..])),
            Destination = TunnelAddress.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(packet[16..])),
            TotalLength = totalLength,
            HeaderLength = headerLength,
            Protocol = packet[9],
            DontFragment = (fragment & 0x4000) != 0,
            MoreFragments = (fragment & 0x2000) != 0,
            FragmentOffset = (fragment & 0x1FFF) * 8,
            FragmentId = (fragment & 0x3FFF) == 0 ? 0u : BinaryPrimitives.ReadUInt16BigEndian(packet[4..]),
        };
        return true;
    }

    private static bool TryParseIPv6(ReadOnlySpan<byte> packet, out IpPacketInfo info)
    {
        info = default;
        if (packet.Length < IPv6HeaderLength)
            return false;
        int totalLength = IPv6HeaderLength + BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
        if (totalLength > packet.Length)
            return false;
        ReadOnlySpan<byte> whole = packet[..totalLength];
        byte next = whole[6];
        int position = IPv6HeaderLength;
        int fragmentOffset = 0;
        uint fragmentId = 0;
        bool moreFragments = false;
        while (IsExtension(next))
        {
            // Each round consumes at least 8 bytes, so a packet cannot keep us here for long.
            if (whole.Length - position < 8)
                return false;
            byte kind = next;
            next = whole[position];
            int length = ExtensionLength(kind, whole[position + 1]);
            if (kind == ExtensionFragment)
            {
                ushort fragment = BinaryPrimitives.ReadUInt16BigEndian(whole[(position + 2)..]);
                fragmentOffset = fragment & 0xFFF8;
                moreFragments = (fragment & 1) != 0;
                fragmentId = BinaryPrimitives.ReadUInt32BigEndian(whole[(position + 4)..]);
            }

            position += length;
            if (position > whole.Length)
                return false;
            if (fragmentOffset != 0)
                break; // What follows is the middle of a packet, not a header.
        }

        info = new IpPacketInfo
        {
            Source = TunnelAddress.FromIPv6(BinaryPrimitives.ReadUInt128BigEndian(whole[8..])),
            Destination = TunnelAddress.FromIPv6(BinaryPrimitives.ReadUInt128BigEndian(whole[24..])),
            TotalLength = totalLength,
            HeaderLength = position,
            Protocol = next,
            DontFragment = true,
            MoreFragments = moreFragments,
            FragmentOffset = fragmentOffset,
            FragmentId = fragmentId,
        };
        return true;
    }
}
