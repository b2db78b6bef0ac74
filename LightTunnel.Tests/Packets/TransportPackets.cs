using System.Buffers.Binary;
using LightTunnel.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Packets;

/// <summary>Makes TCP segments and super-packets, and verifies what stands in a packet word by word.</summary>
internal static class TransportPackets
{
    public const byte Fin = 0x01, Syn = 0x02, Rst = 0x04, Psh = 0x08, Ack = 0x10, Urg = 0x20, Ece = 0x40, Cwr = 0x80;

    /// <summary>Timestamps as Linux sends them: two no-operations and the option (RFC 7323).</summary>
    public static readonly byte[] Timestamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

    /// <summary>A whole TCP segment.</summary>
    public static byte[] Tcp(
        string source, string destination, uint sequence, ReadOnlySpan<byte> payload, byte flags = Ack, byte[]? options = null,
        ushort sourcePort = 1000)
    {
        options ??= [];
        int header = 20 + options.Length;
        var segment = new byte[header + payload.Length];
        BinaryPrimitives.WriteUInt16BigEndian(segment, sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), 443);
        BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(4), sequence);
        BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(8), 0x01020304);
        segment[12] = (byte)(header / 4 << 4);
        segment[13] = flags;
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(14), 0xFACE);
        options.CopyTo(segment, 20);
        payload.CopyTo(segment.AsSpan(header));
        byte[] packet = Ip(source, destination, IpPacket.ProtocolTcp, segment);
        SealUpper(packet);
        return packet;
    }

    /// <summary>Sets the TCP or UDP checksum anew after a change, and the IPv4 header's.</summary>
    public static byte[] SealUpper(byte[] packet)
    {
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        Span<byte> upper = packet.AsSpan(info.HeaderLength);
        bool isTcp = info.Protocol == IpPacket.ProtocolTcp;
        Span<byte> field = upper.Slice(isTcp ? 16 : 6, 2);
        field.Clear();
        uint pseudo = InternetChecksum.PseudoHeaderSum(info.Source, info.Destination, info.Protocol, upper.Length);
        ushort checksum = InternetChecksum.Compute(upper, pseudo);
        BinaryPrimitives.WriteUInt16BigEndian(field, checksum == 0 && !isTcp ? (ushort)0xFFFF : checksum);
        if (info.IsIPv4)
            SealHeader(packet);
        return packet;
    }

    /// <summary>Puts the pseudo header's sum in the checksum field, as the system does, and says how to cut.</summary>
    public static PacketOffload LeaveOpen(byte[] packet, int segmentSize)
    {
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        bool isTcp = info.Protocol == IpPacket.ProtocolTcp;
        int field = isTcp ? 16 : 6;
        uint pseudo = InternetChecksum.PseudoHeaderSum(info.Source, info.Destination, info.Protocol, packet.Length - info.HeaderLength);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(info.HeaderLength + field), (ushort)InternetChecksum.Fold(pseudo));
        return new PacketOffload
        {
            Kind = !isTcp ? SegmentationKind.Udp : info.IsIPv4 ? SegmentationKind.TcpIPv4 : SegmentationKind.TcpIPv6,
            NeedsChecksum = true,
            SegmentSize = (ushort)segmentSize,
            ChecksumStart = (ushort)info.HeaderLength,
            ChecksumOffset = (ushort)field,
            HeaderLength = 7, // Never right: nothing may rely on it.
        };
    }

    /// <summary>Cuts a super-packet and fails if it is refused.</summary>
    public static byte[][] Cut(Span<byte> packet, in PacketOffload offload)
    {
        Assert.True(PacketSegmenter.TryCreate(packet, offload, out PacketSegmenter segmenter));
        var segments = new List<byte[]>();
        while (segmenter.TryNext(out Span<byte> segment))
            segments.Add(segment.ToArray());
        Assert.Equal(segmenter.Count, segments.Count);
        Assert.Equal(segmenter.LongestSegment, segments.Max(segment => segment.Length));
        return [.. segments];
    }

    /// <summary>Fails unless lengths and checksums are those of a whole packet.</summary>
    public static void AssertWhole(ReadOnlySpan<byte> packet)
    {
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        Assert.Equal(packet.Length, info.TotalLength);
        if (info.IsIPv4)
            Assert.True(InternetChecksum.IsValid(packet[..info.HeaderLength]), "The IPv4 header checksum is wrong.");
        ReadOnlySpan<byte> upper = packet[info.HeaderLength..];
        if (info.Protocol == IpPacket.ProtocolUdp)
        {
            Assert.Equal(upper.Length, BinaryPrimitives.ReadUInt16BigEndian(upper[4..]));
            Assert.NotEqual(0, BinaryPrimitives.ReadUInt16BigEndian(upper[6..]));
        }

        uint pseudo = InternetChecksum.PseudoHeaderSum(info.Source, info.Destination, info.Protocol, upper.Length);
        Assert.True(InternetChecksum.IsValid(upper, pseudo), "The upper layer's checksum is wrong.");
    }

    public static byte[] RandomBytes(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    public static ushort Id(ReadOnlySpan<byte> packet) => BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);

    /// <summary>Gives an IPv4 packet another identification.</summary>
    public static byte[] WithId(byte[] packet, int id, bool dontFragment = true)
    {
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)id);
        packet[6] = (byte)(dontFragment ? 0x40 : 0);
        SealHeader(packet);
        return packet;
    }
}
