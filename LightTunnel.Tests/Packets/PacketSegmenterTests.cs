using System.Buffers.Binary;
using LightTunnel.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;
using static LightTunnel.Tests.Packets.TransportPackets;

namespace LightTunnel.Tests.Packets;

public sealed class PacketSegmenterTests
{
    private readonly Random _random = new(20260204);

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.1")]
    [InlineData("fd00::20", "fd00::1")]
    public void Cut_TcpSuperPacket_ContinuesSequenceAndKeepsFinAndPshForTheLast(string source, string destination)
    {
        byte[] payload = RandomBytes(_random, 3001);
        byte[] packet = Tcp(source, destination, uint.MaxValue - 1500, payload, Ack | Psh | Fin | Ece, Timestamps);
        int header = packet.Length - payload.Length;
        byte[][] segments = Cut(packet, LeaveOpen(packet, 1000));
        Assert.Equal([1000, 1000, 1000, 1], segments.Select(segment => segment.Length - header));
        for (int i = 0; i < segments.Length; i++)
        {
            AssertWhole(segments[i]);
            ReadOnlySpan<byte> tcp = segments[i].AsSpan(header - 32);
            Assert.Equal(unchecked(uint.MaxValue - 1500 + (uint)(i * 1000)), BinaryPrimitives.ReadUInt32BigEndian(tcp[4..]));
            Assert.Equal(i == 3 ? Ack | Psh | Fin | Ece : Ack | Ece, tcp[13]);
            Assert.Equal(Timestamps, tcp[20..32].ToArray());
        }

        Assert.Equal(payload, segments.SelectMany(segment => segment[header..]));
    }

    [Fact]
    public void Cut_IPv4_CountsIdentificationUpAndOver()
    {
        byte[] packet = WithId(Tcp("10.0.0.20", "10.0.0.1", 1, new byte[500]), 0xFFFE, dontFragment: false);
        Assert.Equal([0xFFFE, 0xFFFF, 0, 1, 2], Cut(packet, LeaveOpen(packet, 100)).Select(segment => (int)Id(segment)));
    }

    /// <summary>RFC 3168 section 6.1.2: the sender says once that it has reduced its window.</summary>
    [Fact]
    public void Cut_CongestionWindowReduced_StandsInTheFirstOnly()
    {
        byte[] packet = Tcp("10.0.0.20", "10.0.0.1", 1, new byte[300], Ack | Cwr | Psh);
        byte[][] segments = Cut(packet, LeaveOpen(packet, 100));
        Assert.Equal([Ack | Cwr, Ack, Ack | Psh], segments.Select(segment => (int)segment[33]));
        Assert.All(segments, segment => AssertWhole(segment));
    }

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.1")]
    [InlineData("fd00::20", "fd00::1")]
    public void Cut_UdpSuperPacket_GivesDatagramsWithLengthsOfTheirOwn(string source, string destination)
    {
        byte[] payload = RandomBytes(_random, 1234);
        byte[] packet = Udp(source, destination, 7, 8, payload);
        int header = packet.Length - payload.Length;
        byte[][] segments = Cut(packet, LeaveOpen(packet, 500));
        Assert.Equal([500, 500, 234], segments.Select(segment => segment.Length - header));
        Assert.All(segments, segment => AssertWhole(segment));
        Assert.Equal(payload, segments.SelectMany(segment => segment[header..]));
    }

    [Fact]
    public void Cut_UdpChecksumThatComesOutAsZero_IsSentAsOnes()
    {
        // The second datagram's payload is the complement of the sum of all else in it.
        byte[] packet = Udp("10.0.0.20", "10.0.0.1", 7, 8, new byte[4]);
        byte[][] before = Cut(packet, LeaveOpen(packet, 2));
        packet = Udp("10.0.0.20", "10.0.0.1", 7, 8, [0, 0, .. before[1][26..28]]);
        byte[][] segments = Cut(packet, LeaveOpen(packet, 2));
        Assert.Equal([0xFF, 0xFF], segments[1][26..28]);
        Assert.NotEqual([0xFF, 0xFF], segments[0][26..28]);
        AssertWhole(segments[1]);
    }

    [Fact]
    public void Cut_IPv4OptionsAndIPv6ExtensionHeaders_StandInEachSegment()
    {
        byte[] plain = Tcp("10.0.0.20", "10.0.0.1", 1, new byte[250]);
        byte[] v4 = [.. plain[..20], 1, 1, 1, 0, .. plain[20..]];
        v4[0] = 0x46;
        BinaryPrimitives.WriteUInt16BigEndian(v4.AsSpan(2), (ushort)v4.Length);
        byte[] upper = Tcp("fd00::20", "fd00::1", 1, new byte[250])[40..];
        byte[] v6 = Ip("fd00::20", "fd00::1", 60, [IpPacket.ProtocolTcp, 0, 1, 4, 0, 0, 0, 0, .. upper]);
        foreach (byte[] packet in (byte[][])[v4, v6])
        {
            byte[][] segments = Cut(packet, LeaveOpen(packet, 100));
            Assert.Equal(3, segments.Length);
            Assert.All(segments, segment => AssertWhole(segment));
        }
    }

    /// <summary>
    /// Behind a routing header the checksum covers the last destination (RFC 8200 section 8.1), which only the system knows.
    /// </summary>
    [Fact]
    public void Cut_IPv6RoutingHeader_TakesThePseudoHeaderThatTheSystemSummed()
    {
        byte[] final = Tcp("fd00::20", "fd00::9", 1, RandomBytes(_random, 250));
        PacketOffload offload = LeaveOpen(final, 100);
        byte[] packet = Ip("fd00::20", "fd00::1", 43, [IpPacket.ProtocolTcp, 0, 253, 1, 0, 0, 0, 0, .. final[40..]]);
        foreach (byte[] segment in Cut(packet, offload with { ChecksumStart = 48 }))
            AssertWhole(Ip("fd00::20", "fd00::9", IpPacket.ProtocolTcp, segment.AsSpan(48)));
    }

    /// <summary>Headers longer than a segment's payload overlap with those before.</summary>
    [Theory]
    [InlineData("10.0.0.20", "10.0.0.1", 1)]
    [InlineData("fd00::20", "fd00::1", 7)]
    public void Cut_SegmentsShorterThanTheirHeaders_AreWhole(string source, string destination, int size)
    {
        byte[] payload = RandomBytes(_random, 101);
        byte[] packet = Tcp(source, destination, 1, payload, options: Timestamps);
        int header = packet.Length - payload.Length;
        byte[][] segments = Cut(packet, LeaveOpen(packet, size));
        Assert.Equal((101 + size - 1) / size, segments.Length);
        Assert.All(segments, segment => AssertWhole(segment));
        Assert.Equal(payload, segments.SelectMany(segment => segment[header..]));
    }

    [Fact]
    public void Cut_PaddingBehindASegment_IsHarmlessWhenPutBack()
    {
        byte[] packet = Udp("10.0.0.20", "10.0.0.1", 7, 8, RandomBytes(_random, 1000));
        PacketOffload offload = LeaveOpen(packet, 100);
        byte[] padded = [.. packet, .. new byte[15]];
        byte[][] expected = Cut(packet, offload);
        Assert.True(PacketSegmenter.TryCreate(padded.AsSpan(0, packet.Length), offload, out PacketSegmenter segmenter));
        for (int i = 0; segmenter.TryNext(out Span<byte> segment); i++)
        {
            Assert.Equal(expected[i], segment.ToArray());
            Span<byte> behind = padded.AsSpan((i * 100) + segment.Length, 15);
            byte[] saved = behind.ToArray();
            behind.Clear();
            saved.CopyTo(behind);
        }
    }

    [Fact]
    public void Cut_PayloadWithinOneSegment_GivesOne()
    {
        byte[] whole = Tcp("10.0.0.20", "10.0.0.1", 1, [1, 2, 3], Ack | Psh | Cwr);
        byte[] packet = (byte[])whole.Clone();
        Assert.Equal([whole], Cut(packet, LeaveOpen(packet, 100)));
        byte[] empty = Tcp("10.0.0.20", "10.0.0.1", 1, []);
        byte[] open = (byte[])empty.Clone();
        Assert.Equal([empty], Cut(open, LeaveOpen(open, 100)));
    }

    [Fact]
    public void TryCreate_WhatDoesNotFitThePacket_IsRefused()
    {
        byte[] packet = Tcp("10.0.0.20", "10.0.0.1", 1, new byte[300]);
        PacketOffload offload = LeaveOpen(packet, 100);
        Assert.True(PacketSegmenter.TryCreate(packet, offload, out _));
        PacketOffload[] wrong =
        [
            default,
            offload with { SegmentSize = 0 },
            offload with { Kind = SegmentationKind.None },
            offload with { Kind = SegmentationKind.TcpIPv6 },
            offload with { Kind = SegmentationKind.Udp },
            offload with { Kind = (SegmentationKind)77 },
            offload with { NeedsChecksum = false },
            offload with { ChecksumStart = 24 },
            offload with { ChecksumOffset = 6 },
        ];
        foreach (PacketOffload other in wrong)
            Assert.False(PacketSegmenter.TryCreate(packet, other, out _), other.ToString());
        for (int length = 0; length < packet.Length; length++)
            Assert.False(PacketSegmenter.TryCreate(packet.AsSpan(0, length), offload, out _));

        AssertRefused(packet => packet[32] = 0x40); // TCP header of 16 bytes.
        AssertRefused(packet => packet[6] = 0x20); // A fragment.
        AssertRefused(packet => packet[9] = IpPacket.ProtocolUdp);
        byte[] cut = Tcp("10.0.0.20", "10.0.0.1", 1, new byte[10]);
        cut[32] = 0xF0; // TCP header of 60 bytes.
        Assert.False(PacketSegmenter.TryCreate(cut, offload, out _));

        void AssertRefused(Action<byte[]> damage)
        {
            byte[] damaged = (byte[])packet.Clone();
            damage(damaged);
            Assert.False(PacketSegmenter.TryCreate(damaged, offload, out _));
        }
    }

    [Fact]
    public void Cut_RandomSuperPackets_GivesWholePacketsThatJoinToThePayload()
    {
        for (int i = 0; i < Fuzz.Count(2000); i++)
        {
            bool isIPv4 = _random.Next(2) == 0;
            (string source, string destination) = isIPv4 ? ("10.0.0.20", "10.0.0.1") : ("fd00::20", "fd00::1");
            byte[] payload = RandomBytes(_random, _random.Next(1, _random.Next(1, 5000)));
            byte[] packet = _random.Next(2) == 0
                ? Udp(source, destination, 7, 8, payload)
                : Tcp(
                    source, destination, (uint)_random.Next(), payload, (byte)_random.Next(256),
                    RandomBytes(_random, 4 * _random.Next(11)));
            int header = packet.Length - payload.Length;
            byte[][] segments = Cut(packet, LeaveOpen(packet, _random.Next(1, 1500)));
            Assert.All(segments, segment => AssertWhole(segment));
            Assert.Equal(payload, segments.SelectMany(segment => segment[header..]));
        }
    }

    [Fact]
    public void Cut_HostileBytes_NeverLeaveThePacket()
    {
        var memory = new byte[2048];
        int accepted = 0;
        for (int i = 0; i < Fuzz.Count(50_000); i++)
        {
            bool isUdp = _random.Next(2) == 0;
            byte[] packet = isUdp
                ? Udp("10.0.0.20", "10.0.0.1", 7, 8, new byte[_random.Next(400)])
                : Tcp("fd00::20", "fd00::1", 1, new byte[_random.Next(400)]);
            for (int changes = _random.Next(4); changes > 0; changes--)
                packet[_random.Next(packet.Length)] = (byte)_random.Next(256);
            memory.AsSpan().Fill(0xA5);
            packet.CopyTo(memory, 64);
            var offload = new PacketOffload
            {
                Kind = (SegmentationKind)_random.Next(5),
                NeedsChecksum = _random.Next(8) != 0,
                SegmentSize = (ushort)_random.Next(_random.Next(65536)),
                ChecksumStart = _random.Next(8) == 0 ? (ushort)_random.Next(65536) : (ushort)(isUdp ? 20 : 40),
                ChecksumOffset = _random.Next(8) == 0 ? (ushort)_random.Next(65536) : (ushort)(isUdp ? 6 : 16),
            };
            if (PacketSegmenter.TryCreate(memory.AsSpan(64, packet.Length), offload, out PacketSegmenter segmenter))
            {
                accepted++;
                int count = 0;
                while (segmenter.TryNext(out Span<byte> segment))
                {
                    count++;
                    Assert.InRange(segment.Length, 1, segmenter.LongestSegment);
                }

                Assert.Equal(segmenter.Count, count);
            }

            Assert.True(memory.AsSpan(0, 64).IndexOfAnyExcept((byte)0xA5) < 0);
            Assert.True(memory.AsSpan(64 + packet.Length).IndexOfAnyExcept((byte)0xA5) < 0);
        }

        Assert.InRange(accepted, Fuzz.Count(1000), Fuzz.Count(49_000));
    }

    [Fact]
    public void Cut_Always_AllocatesNothing()
    {
        byte[] original = Tcp("10.0.0.20", "10.0.0.1", 1, new byte[60_000], options: Timestamps);
        PacketOffload offload = LeaveOpen(original, 1368);
        byte[] packet = (byte[])original.Clone();
        int count = 0;
        Allocation.AssertNone(100, 100, () =>
        {
            original.CopyTo(packet.AsSpan());
            Assert.True(PacketSegmenter.TryCreate(packet, offload, out PacketSegmenter segmenter));
            while (segmenter.TryNext(out _))
                count++;
        });
        Assert.Equal(0, count % 44);
        Assert.NotEqual(0, count);
    }
}
