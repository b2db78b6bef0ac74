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

/// <summary>
/// Where the parts of a packet lie that the <see cref="PacketCoalescer"/> looks at. Filled in place, member by member: copies of what was
/// just written in parts cost more than the reading itself.
/// </summary>
internal struct TransportHeader
{
    /// <summary>Bytes of the TCP header without options (RFC 9293 section 3.1) and of the UDP header (RFC 768).</summary>
    public const int TcpLength = 20, UdpLength = 8;

    /// <summary>Where the 16 bits stand in the TCP header that hold the data offset, the reserved bits and the flags.</summary>
    public const int TcpFlags = 12;

    /// <summary>Flags in those 16 bits.</summary>
    public const ushort Fin = 0x01, Psh = 0x08, Ack = 0x10, Cwr = 0x80;

    private const int AllFlags = 0x0FFF;
    private const int PortsLength = 4;

    /// <summary>What can be said of the flow. The other members are set if it is visible.</summary>
    public FlowVisibility Flow { get; private set; }

    /// <summary>TCP or UDP.</summary>
    public byte Protocol { get; private set; }

    /// <summary>True when the TCP sender asks for delivery at once, which ends a super-packet.</summary>
    public bool IsPushed { get; private set; }

    /// <summary>Bytes before the upper layer: 20 for IPv4, 40 for IPv6.</summary>
    public int IpLength { get; private set; }

    /// <summary>
    /// Bytes of all headers if this is plain data that may go into a super-packet: with a payload, without a flag other than ACK and PSH,
    /// with a UDP checksum. Otherwise 0. Checksums are not verified.
    /// </summary>
    public int MergeableLength { get; private set; }

    /// <summary>Reads the headers of whatever arrived.</summary>
    public static void Read(ReadOnlySpan<byte> packet, out TransportHeader header)
    {
        header = default;
        int version = IpPacket.Version(packet);
        if (version == 4 && packet.Length >= IpPacket.IPv4HeaderLength + PortsLength)
        {
            header.Protocol = packet[9];
            if (header.Protocol is not (IpPacket.ProtocolTcp or IpPacket.ProtocolUdp))
                return;
            header.IpLength = IpPacket.IPv4HeaderLength;
            // Options, or a fragment: an offset, or the flag "more fragments".
            if (packet[0] != 0x45 || (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF) != 0)
                header.Flow = FlowVisibility.Hidden;
            else
                header.ReadUpper(packet, BinaryPrimitives.ReadUInt16BigEndian(packet[2..]));
        }
        else if (version == 6 && packet.Length >= IpPacket.IPv6HeaderLength + PortsLength)
        {
            header.Protocol = packet[6];
            header.IpLength = IpPacket.IPv6HeaderLength;
            if (header.Protocol is IpPacket.ProtocolTcp or IpPacket.ProtocolUdp)
                header.ReadUpper(packet, IpPacket.IPv6HeaderLength + BinaryPrimitives.ReadUInt16BigEndian(packet[4..]));
            else if (header.Protocol != IpPacket.ProtocolIcmpV6)
                header.Flow = FlowVisibility.Hidden; // It may be an extension header.
        }
    }

    private void ReadUpper(ReadOnlySpan<byte> packet, int totalLength)
    {
        Flow = FlowVisibility.Visible;
        if (totalLength != packet.Length)
            return;
        ReadOnlySpan<byte> upper = packet[IpLength..];
        if (Protocol == IpPacket.ProtocolUdp)
        {
            if (upper.Length <= UdpLength || BinaryPrimitives.ReadUInt16BigEndian(upper[4..]) != upper.Length)
                return;
            if (BinaryPrimitives.ReadUInt16BigEndian(upper[PacketChecksums.UdpField..]) != 0)
                MergeableLength = IpLength + UdpLength;
        }
        else if (upper.Length > TcpLength)
        {
            int word = BinaryPrimitives.ReadUInt16BigEndian(upper[TcpFlags..]);
            int length = (word >> 12) * 4;
            if (length < TcpLength || length >= upper.Length || (word & AllFlags & ~Psh) != Ack)
                return;
            MergeableLength = IpLength + length;
            IsPushed = (word & Psh) != 0;
        }
    }
}
