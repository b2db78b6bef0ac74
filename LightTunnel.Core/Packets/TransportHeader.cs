using System.Buffers.Binary;

namespace LightTunnel.Packets;

/// <summary>How much the headers of a packet tell about its flow.</summary>
internal enum FlowVisibility : byte
{
    /// <summary>Neither TCP nor UDP.</summary>
    None,

    /// <summary>It may belong to any flow: a fragment, or something stands between the IP header and the ports.</summary>
    Hidden,

    /// <summary>Addresses, protocol and ports stand at their usual places.</summary>
    Visible,
}

/// <summary>Where the parts of a packet lie that the <see cref="PacketCoalescer"/> looks at.</summary>
internal readonly struct TransportHeader
{
    /// <summary>Bytes of the TCP header without options (RFC 9293 section 3.1) and of the UDP header (RFC 768).</summary>
    public const int TcpLength = 20, UdpLength = 8;

    /// <summary>Where the 16 bits stand in the TCP header that hold the data offset, the reserved bits and the flags.</summary>
    public const int TcpFlags = 12;

    /// <summary>Flags in those 16 bits.</summary>
    public const ushort Fin = 0x01, Psh = 0x08, Ack = 0x10, Cwr = 0x80;

    private const int AllFlags = 0x0FFF;
    private const int PortsLength = 4;

    private TransportHeader(FlowVisibility flow, bool isIPv4, byte protocol)
    {
        Flow = flow;
        Protocol = protocol;
        IpLength = isIPv4 ? IpPacket.IPv4HeaderLength : IpPacket.IPv6HeaderLength;
    }

    /// <summary>What can be said of the flow. The other members are set if it is visible.</summary>
    public FlowVisibility Flow { get; }

    /// <summary>TCP or UDP.</summary>
    public byte Protocol { get; }

    /// <summary>Bytes before the upper layer: 20 for IPv4, 40 for IPv6.</summary>
    public int IpLength { get; }

    /// <summary>
    /// Bytes of all headers if this is plain data that may go into a super-packet: with a payload, without a flag other than ACK and PSH,
    /// with a UDP checksum. Otherwise 0. Checksums are not verified.
    /// </summary>
    public int MergeableLength { get; private init; }

    /// <summary>True when the TCP sender asks for delivery at once, which ends a super-packet.</summary>
    public bool IsPushed { get; private init; }

    /// <summary>Reads the headers of whatever arrived.</summary>
    public static TransportHeader Read(ReadOnlySpan<byte> packet)
    {
        if (packet.Length >= IpPacket.IPv4HeaderLength + PortsLength && packet[0] >> 4 == 4)
        {
            byte protocol = packet[9];
            if (protocol is not (IpPacket.ProtocolTcp or IpPacket.ProtocolUdp))
                return default;
            // Options, or a fragment: an offset, or the flag "more fragments".
            if (packet[0] != 0x45 || (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF) != 0)
                return new(FlowVisibility.Hidden, isIPv4: true, protocol);
            bool isWhole = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]) == packet.Length;
            return ReadUpper(packet, isIPv4: true, protocol, isWhole);
        }

        if (packet.Length >= IpPacket.IPv6HeaderLength + PortsLength && packet[0] >> 4 == 6)
        {
            byte protocol = packet[6];
            if (protocol is IpPacket.ProtocolTcp or IpPacket.ProtocolUdp)
            {
                bool isWhole = BinaryPrimitives.ReadUInt16BigEndian(packet[4..]) == packet.Length - IpPacket.IPv6HeaderLength;
                return ReadUpper(packet, isIPv4: false, protocol, isWhole);
            }

            // Anything but ICMPv6 may be an extension header.
            return protocol == IpPacket.ProtocolIcmpV6 ? default : new(FlowVisibility.Hidden, isIPv4: false, protocol);
        }

        return default;
    }

    private static TransportHeader ReadUpper(ReadOnlySpan<byte> packet, bool isIPv4, byte protocol, bool isWhole)
    {
        var header = new TransportHeader(FlowVisibility.Visible, isIPv4, protocol);
        ReadOnlySpan<byte> upper = packet[header.IpLength..];
        if (!isWhole)
            return header;
        if (protocol == IpPacket.ProtocolUdp)
        {
            bool isData = upper.Length > UdpLength
                && BinaryPrimitives.ReadUInt16BigEndian(upper[4..]) == upper.Length
                && BinaryPrimitives.ReadUInt16BigEndian(upper[PacketChecksums.UdpField..]) != 0;
            return isData ? header with { MergeableLength = header.IpLength + UdpLength } : header;
        }

        if (upper.Length <= TcpLength)
            return header;
        int word = BinaryPrimitives.ReadUInt16BigEndian(upper[TcpFlags..]);
        int length = (word >> 12) * 4;
        return length >= TcpLength && length < upper.Length && (word & AllFlags & ~Psh) == Ack
            ? header with { MergeableLength = header.IpLength + length, IsPushed = (word & Psh) != 0 }
            : header;
    }
}
