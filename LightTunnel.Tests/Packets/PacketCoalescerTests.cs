using LightTunnel.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.MergedPackets;
using static LightTunnel.Tests.Packets.TestPackets;
using static LightTunnel.Tests.Packets.TransportPackets;

namespace LightTunnel.Tests.Packets;

public sealed class PacketCoalescerTests
{
    private const string A = "10.0.0.20", B = "10.0.0.1", A6 = "fd00::20", B6 = "fd00::1";

    private readonly Random _random = new(20260205);

    [Theory]
    [InlineData(A, B)]
    [InlineData(A6, B6)]
    public void Run_TcpTrain_BecomesOneSuperPacket(string source, string destination)
    {
        byte[][] packets = [.. Train(source, destination, 45, 1000, options: Timestamps)];
        MergedPackets merged = Merge(packets);
        Assert.Equal([45], merged.Segments);
        int ip = source == A ? 20 : 40;
        Assert.Equal(
            new PacketOffload
            {
                Kind = source == A ? SegmentationKind.TcpIPv4 : SegmentationKind.TcpIPv6,
                NeedsChecksum = true,
                SegmentSize = 1000,
                ChecksumStart = (ushort)ip,
                ChecksumOffset = 16,
                HeaderLength = (ushort)(ip + 32),
            },
            merged.Offloads[0]);
        // The checksum that the system completes is the whole super-packet's.
        byte[] super = [.. merged.Packets[0]];
        Assert.Equal(ip + 32 + 45_000, super.Length);
        Assert.True(PacketChecksums.TryComplete(super, merged.Offloads[0]));
        AssertWhole(super);
        Assert.Equal(packets, merged.Cut());
    }

    [Theory]
    [InlineData(A, B, 20)]
    [InlineData(A6, B6, 40)]
    public void Run_UdpDatagrams_BecomeOneSuperPacket(string source, string destination, int ip)
    {
        byte[][] packets = [.. Datagrams(source, destination, 500, 500, 500, 1)];
        MergedPackets merged = Merge(packets);
        Assert.Equal([4], merged.Segments);
        Assert.Equal((SegmentationKind.Udp, ip, 6, ip + 8), (
            merged.Offloads[0].Kind, merged.Offloads[0].ChecksumStart, merged.Offloads[0].ChecksumOffset, merged.Offloads[0].HeaderLength));
        byte[] super = [.. merged.Packets[0]];
        Assert.True(PacketChecksums.TryComplete(super, merged.Offloads[0]));
        AssertWhole(super);
        Assert.Equal(packets, merged.Cut());
    }

    [Theory]
    [InlineData(new[] { 100, 100, 50, 100 }, new[] { 3, 1 })] // Only the last may be shorter.
    [InlineData(new[] { 100, 101, 101 }, new[] { 1, 2 })] // None may be longer than the first.
    [InlineData(new[] { 100, 0, 100 }, new[] { 1, 1, 1 })] // No payload, no place in a super-packet; and not overtaken.
    public void Run_Sizes_DecideWhereAGroupEnds(int[] sizes, int[] expected)
    {
        Assert.Equal(expected, Merge([.. Datagrams(A, B, sizes)]).Segments);
        Assert.Equal(expected, Merge([.. Segments(sizes)]).Segments);
    }

    [Fact]
    public void Run_Push_ClosesTheGroupAndStandsInTheLast()
    {
        byte[][] packets = [.. Segments(100, 100, 100, 100)];
        packets[2] = Tcp(A, B, 201, packets[2].AsSpan(40), Ack | Psh);
        WithId(packets[2], 2);
        MergedPackets merged = Merge(packets);
        Assert.Equal([3, 1], merged.Segments);
        Assert.Equal(Ack | Psh, merged.Packets[0][33]);
        Assert.Equal(packets, merged.Cut());
        Assert.Equal([1, 2], Merge([Tcp(A, B, 1, new byte[9], Ack | Psh), .. Train(A, B, 2, 9, 10)]).Segments);
    }

    [Theory]
    [InlineData(Ack | Fin)]
    [InlineData(Ack | Syn)]
    [InlineData(Ack | Rst)]
    [InlineData(Ack | Urg)]
    [InlineData(Ack | Ece)]
    [InlineData(Ack | Cwr)]
    [InlineData(0)]
    [InlineData(Psh)]
    public void Run_OtherFlags_StayAlone(byte flags)
    {
        byte[][] packets = [.. Segments(100, 100, 100, 100, 100)];
        packets[2] = Tcp(A, B, 201, packets[2].AsSpan(40), flags);
        MergedPackets merged = Merge(packets);
        Assert.Equal([2, 1, 2], merged.Segments);
        Assert.Equal(packets[2], merged.Packets[1]);
    }

    [Fact]
    public void Run_PureAcknowledgments_StayAlone()
    {
        byte[] acknowledgment = Tcp(A, B, 1, [], options: Timestamps);
        MergedPackets merged = Merge([acknowledgment, acknowledgment, acknowledgment]);
        Assert.Equal([1, 1, 1], merged.Segments);
        Assert.All(merged.Packets, packet => Assert.Equal(acknowledgment, packet));
    }

    /// <summary>Every field that a cut would copy from the first packet must be the same in the second.</summary>
    [Theory]
    [InlineData(1, 0x04)] // TOS
    [InlineData(6, 0x40)] // don't fragment
    [InlineData(8, 0x01)] // TTL
    [InlineData(15, 0x01)] // source
    [InlineData(19, 0x01)] // destination
    [InlineData(21, 0x01)] // source port
    [InlineData(23, 0x01)] // destination port
    [InlineData(27, 0x01)] // sequence number
    [InlineData(31, 0x01)] // acknowledgment number
    [InlineData(32, 0x01)] // a reserved bit
    [InlineData(34, 0x01)] // window
    [InlineData(39, 0x01)] // urgent pointer
    [InlineData(47, 0x01)] // a timestamp
    public void Run_TcpIPv4FieldDiffers_IsNotMerged(int position, byte bit) =>
        AssertNotMerged([.. Train(A, B, 2, 100, options: Timestamps)], position, bit);

    [Theory]
    [InlineData(0, 0x01)] // traffic class
    [InlineData(1, 0x10)] // traffic class
    [InlineData(2, 0x01)] // flow label
    [InlineData(7, 0x01)] // hop limit
    [InlineData(23, 0x01)] // source
    [InlineData(39, 0x01)] // destination
    [InlineData(41, 0x01)] // source port
    [InlineData(43, 0x01)] // destination port
    public void Run_IPv6FieldDiffers_IsNotMerged(int position, byte bit)
    {
        AssertNotMerged([.. Train(A6, B6, 2, 100)], position, bit);
        AssertNotMerged([.. Datagrams(A6, B6, 100, 100)], position, bit);
    }

    [Theory]
    [InlineData(1, 0x04)]
    [InlineData(6, 0x40)]
    [InlineData(8, 0x01)]
    [InlineData(15, 0x01)]
    [InlineData(21, 0x01)]
    [InlineData(23, 0x01)]
    public void Run_UdpIPv4FieldDiffers_IsNotMerged(int position, byte bit) =>
        AssertNotMerged([.. Datagrams(A, B, 100, 100)], position, bit);

    [Fact]
    public void Run_TcpOptionsOfOtherLength_AreNotMerged() =>
        Assert.Equal([1, 1], Merge([Tcp(A, B, 1, new byte[100], options: Timestamps), Tcp(A, B, 101, new byte[100])]).Segments);

    /// <summary>
    /// RFC 6864: the identification has a meaning only where a packet may be fragmented; there the cut must bring it back.
    /// </summary>
    [Theory]
    [InlineData(true, 0, 0, 2)]
    [InlineData(true, 5, 9, 2)]
    [InlineData(false, 0xFFFF, 0, 2)]
    [InlineData(false, 5, 6, 2)]
    [InlineData(false, 5, 5, 1)]
    [InlineData(false, 5, 7, 1)]
    public void Run_IPv4Identification_CountsOnlyWhereItHasAMeaning(bool dontFragment, int first, int second, int segments)
    {
        byte[][] packets = [.. Datagrams(A, B, 100, 100)];
        WithId(packets[0], first, dontFragment);
        WithId(packets[1], second, dontFragment);
        MergedPackets merged = Merge(packets);
        Assert.Equal(segments, merged.Segments[0]);
        if (!dontFragment)
            Assert.Equal(packets, merged.Cut());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Run_DamagedPacket_GoesOnAloneAndUntouched(int damaged)
    {
        byte[][][] flows = [[.. Segments(100, 100, 100)], [.. Datagrams(A, B, 100, 100, 100)], [.. Datagrams(A6, B6, 100, 100, 100)]];
        foreach (byte[][] packets in flows)
        {
            packets[damaged][^5] ^= 0x10;
            AssertAlone(packets, damaged);
        }

        byte[][] header = [.. Segments(100, 100, 100)];
        header[damaged][10] ^= 1; // The IPv4 header's checksum.
        AssertAlone(header, damaged);
    }

    [Fact]
    public void Run_UdpWithoutChecksum_StaysAlone()
    {
        byte[][] packets = [.. Datagrams(A, B, 100, 100)];
        packets[1].AsSpan(26, 2).Clear();
        AssertAlone(packets, 1);
        packets[0].AsSpan(26, 2).Clear();
        Assert.Equal([1, 1], Merge(packets).Segments);
    }

    [Fact]
    public void Run_MoreThan64Datagrams_BeginsAnotherGroup() =>
        Assert.Equal([64, 6], Merge([.. Datagrams(A, B, [.. Enumerable.Repeat(10, 70)])]).Segments);

    [Fact]
    public void Run_TcpSegments_HaveNoOtherLimitThanTheLength()
    {
        Assert.Equal([100], Merge([.. Train(A, B, 100, 10)]).Segments);
        // 40 + 46 x 1424 = 65544.
        MergedPackets merged = Merge([.. Train(A, B, 50, 1424)]);
        Assert.Equal([45, 5], merged.Segments);
        // 40 + 65495 = 65535.
        Assert.Equal([5, 1], Merge([.. Train(A, B, 6, 13_099)]).Segments);
        Assert.Equal([4, 2], Merge([.. Train(A, B, 6, 13_100)]).Segments);
    }

    [Fact]
    public void Run_UdpSwitchedOff_MergesTcpOnly() =>
        Assert.Equal(
            [1, 1, 2], Merge([.. Datagrams(A, B, 9, 9), .. Train(A, B, 2, 9)], new PacketCoalescer(4) { MergesUdp = false }).Segments);

    [Fact]
    public void Run_InterleavedFlows_AreToldApart()
    {
        byte[][][] flows =
        [
            [.. Train(A, B, 5, 100)], [.. Train(B, A, 5, 100)], [.. Train(A6, B6, 5, 100)], [.. Datagrams(A, B, 90, 90, 90, 90, 90)],
            [.. Datagrams(A6, B6, 90, 90, 90, 90, 90)], [.. Train(A, B, 5, 100, sourcePort: 1001)],
        ];
        byte[][] packets = [.. Enumerable.Range(0, 30).Select(i => flows[i % 6][i / 6])];
        MergedPackets merged = Merge(packets);
        Assert.Equal([5, 5, 5, 5, 5, 5], merged.Segments);
        Assert.Equal(flows.SelectMany(flow => flow), merged.Cut());
    }

    [Fact]
    public void Run_MoreFlowsThanTheTableHolds_ForgetsTheLongestUnused()
    {
        byte[][][] flows = [.. Enumerable.Range(0, 9).Select(i => (byte[][])[.. Train(A, B, 3, 100, sourcePort: (ushort)i)])];
        // Flow 0 is used again before the ninth comes, so flow 1 has to go.
        byte[][] packets = [.. flows[..8].Select(flow => flow[0]), flows[0][1], flows[8][0], flows[0][2], flows[1][1], flows[2][1]];
        Assert.Equal([3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], Merge(packets).Segments);
        Assert.Equal([3, 2, 1, 1, 1, 1, 1, 1, 1], Merge([.. packets[..^2], flows[2][1]]).Segments.Order().Reverse());
    }

    /// <summary>What may belong to a flow without saying so must not be overtaken by that flow's packets.</summary>
    [Fact]
    public void Run_FragmentsOptionsAndExtensionHeaders_StayAloneAndInPlace()
    {
        byte[] fragment = Udp(A, B, 7, 8, new byte[64]);
        fragment[6] = 0x20;
        byte[] lastFragment = Udp(A, B, 7, 8, new byte[64]);
        lastFragment[7] = 8;
        byte[] options = [.. Udp(A, B, 7, 8, new byte[64])];
        options[0] = 0x46;
        byte[] extended = Ip(A6, B6, 60, [17, 0, 1, 4, 0, 0, 0, 0, 0, 1, 0, 2, 0, 8, 0, 0]);
        foreach (byte[] other in (byte[][])[fragment, lastFragment, options, extended])
        {
            byte[][] packets = [.. Datagrams(A, B, 100, 100, 100, 100)];
            MergedPackets merged = Merge([packets[0], packets[1], other, packets[2], packets[3]]);
            Assert.Equal([2, 1, 2], merged.Segments);
            Assert.Equal(other, merged.Packets[1]);
            Assert.Equal([1, 1], Merge([other, other]).Segments);
        }
    }

    [Fact]
    public void Run_OtherProtocolsAndNonsense_StayAloneAndHinderNobody()
    {
        byte[][] others = [Icmp(A, B), Icmp(A6, B6), [0x45], [], [.. Enumerable.Repeat((byte)0xFF, 100)], Ip(A, B, 47, new byte[50])];
        byte[][] packets = [.. Datagrams(A, B, [.. Enumerable.Repeat(100, others.Length + 1)])];
        MergedPackets merged = Merge([packets[0], .. others.Zip(packets.Skip(1)).SelectMany(pair => (byte[][])[pair.First, pair.Second])]);
        Assert.Equal([packets.Length, 1, 1, 1, 1, 1], merged.Segments); // The empty one is a slot to skip.
        Assert.Equal(others.Where(other => other.Length > 0), merged.Packets.Skip(1));
    }

    [Fact]
    public void Run_PaddingBehindThePacket_StaysAlone()
    {
        byte[][] packets = [.. Datagrams(A, B, 100, 100, 100)];
        packets[1] = [.. packets[1], 0, 0];
        Assert.Equal([1, 1, 1], Merge(packets).Segments);
    }

    [Fact]
    public void Run_AnotherBatch_KnowsNothingOfTheFirst()
    {
        var coalescer = new PacketCoalescer(8);
        byte[][] packets = [.. Segments(100, 100, 100)];
        Assert.Equal([2], Merge(packets[..2], coalescer).Segments);
        Assert.Equal([1], Merge(packets[2..], coalescer).Segments);
        Assert.Empty(Merge([], coalescer).Segments);
    }

    [Fact]
    public void Run_RandomTraffic_IsCutIntoTheSamePacketsInTheSameOrderOfEachFlow()
    {
        int merges = 0;
        for (int round = 0; round < Fuzz.Count(500); round++)
        {
            byte[][] packets = [.. RandomTraffic()];
            MergedPackets merged = Merge(packets);
            merges += packets.Length - merged.Segments.Length;
            byte[][] cut = merged.Cut();
            Assert.Equal(packets.Length, cut.Length);
            foreach (IGrouping<string, byte[]> flow in packets.GroupBy(FlowOf))
                Assert.Equal(flow, cut.Where(packet => FlowOf(packet) == flow.Key));
        }

        Assert.InRange(merges, Fuzz.Count(2000), int.MaxValue);
    }

    [Fact]
    public void Run_HostileBytes_NeverThrowsAndLosesNothing()
    {
        var coalescer = new PacketCoalescer(16);
        for (int round = 0; round < Fuzz.Count(5000); round++)
        {
            byte[][] packets = [.. RandomTraffic().Take(16)];
            foreach (byte[] packet in packets)
            {
                for (int changes = _random.Next(3); changes > 0; changes--)
                    packet[_random.Next(packet.Length)] = (byte)_random.Next(256);
            }

            packets = [.. packets.Select(packet => _random.Next(8) == 0 ? packet[.._random.Next(1, packet.Length)] : packet)];
            MergedPackets merged = Merge(packets, coalescer);
            Assert.Equal(packets.Length, merged.Segments.Sum());
            Assert.Equal(packets.Length, merged.Cut().Length);
        }
    }

    [Fact]
    public void Run_Always_AllocatesNothing()
    {
        byte[][] packets = [.. Train(A, B, 30, 1000), .. Datagrams(A6, B6, 500, 500), Icmp(A, B), .. Segments(100, 0, 100)];
        var batch = new PacketBatch(64, 1500);
        var coalescer = new PacketCoalescer(64);
        int visited = 0;
        Allocation.AssertNone(100, 100, () =>
        {
            batch.Clear();
            foreach (byte[] packet in packets)
                batch.TryAdd(packet);
            coalescer.Run(batch);
            visited = 0;
            for (int i = 0; i < coalescer.GroupCount; i++)
            {
                for (int slot = coalescer[i].Head; slot >= 0; slot = coalescer.Next(slot))
                    visited++;
            }
        });
        Assert.Equal(packets.Length, visited);
        Assert.Equal(6, coalescer.GroupCount);
    }

    private static void AssertNotMerged(byte[][] packets, int position, byte bit)
    {
        Assert.Equal([2], Merge(packets).Segments);
        packets[1][position] ^= bit;
        SealUpper(packets[1]);
        AssertWhole(packets[1]);
        MergedPackets merged = Merge(packets);
        Assert.Equal([1, 1], merged.Segments);
        Assert.Equal(packets, merged.Packets);
    }

    private static void AssertAlone(byte[][] packets, int alone)
    {
        MergedPackets merged = Merge(packets);
        int[] starts = [.. merged.Segments.Select((_, i) => merged.Segments[..i].Sum())];
        int group = Array.IndexOf(starts, alone);
        Assert.NotEqual(-1, group);
        Assert.Equal(1, merged.Segments[group]);
        Assert.Equal(packets[alone], merged.Packets[group]);
        Assert.Equal(packets, merged.Cut());
    }

    private static string FlowOf(byte[] packet) => packet[0] >> 4 == 4
        ? Convert.ToHexString(packet, 12, 12) + packet[9]
        : Convert.ToHexString(packet, 8, 36) + packet[6];

    private IEnumerable<byte[]> Train(
        string source, string destination, int count, int size, uint sequence = 1, byte[]? options = null, ushort sourcePort = 1000)
    {
        for (int i = 0; i < count; i++)
        {
            byte[] packet = Tcp(source, destination, sequence + (uint)(i * size), RandomBytes(_random, size), Ack, options, sourcePort);
            yield return packet[0] == 0x45 ? WithId(packet, i) : packet;
        }
    }

    private IEnumerable<byte[]> Segments(params int[] sizes)
    {
        uint sequence = 1;
        for (int i = 0; i < sizes.Length; i++)
        {
            yield return WithId(Tcp(A, B, sequence, RandomBytes(_random, sizes[i])), i);
            sequence += (uint)sizes[i];
        }
    }

    private IEnumerable<byte[]> Datagrams(string source, string destination, params int[] sizes)
    {
        for (int i = 0; i < sizes.Length; i++)
        {
            byte[] packet = Udp(source, destination, 7, 8, RandomBytes(_random, sizes[i]));
            yield return packet[0] == 0x45 ? WithId(packet, i) : packet;
        }
    }

    /// <summary>
    /// Flows of both families and protocols, mixed as chance wants, with losses and packets that belong into no super-packet.
    /// </summary>
    private IEnumerable<byte[]> RandomTraffic()
    {
        int flows = _random.Next(1, 12), size = _random.Next(1, 200);
        var sequences = new uint[flows];
        var ids = new int[flows];
        int flow = 0;
        for (int i = _random.Next(100); i >= 0; i--)
        {
            if (_random.Next(4) == 0)
                flow = _random.Next(flows);
            (string source, string destination) = flow % 2 == 0 ? (A, B) : (A6, B6);
            int length = _random.Next(6) == 0 ? _random.Next(size + 2) : size;
            byte[] payload = RandomBytes(_random, length);
            byte[] packet;
            if (flow % 4 < 2)
            {
                byte flags = _random.Next(10) == 0 ? (byte)_random.Next(256) : _random.Next(10) == 0 ? (byte)(Ack | Psh) : Ack;
                packet = Tcp(source, destination, sequences[flow], payload, flags, flow % 3 == 0 ? Timestamps : null, (ushort)(100 + flow));
                sequences[flow] += (uint)(_random.Next(12) == 0 ? _random.Next() : length);
            }
            else
            {
                packet = Udp(source, destination, (ushort)(100 + flow), 8, payload);
            }

            if (packet[0] == 0x45)
                WithId(packet, ids[flow] += _random.Next(12) == 0 ? 2 : 1, dontFragment: false);
            yield return packet;
        }
    }
}
