using LightTunnel.Packets;
using LightTunnel.Tun;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;
using static LightTunnel.Tests.Packets.TransportPackets;

namespace LightTunnel.Tests.Tun;

/// <summary>What the driver gets of TCP segments that are written together.</summary>
public sealed class WintunMergeTests : IDisposable
{
    private const string A = "10.0.0.20", B = "10.0.0.1", A6 = "fd00::20", B6 = "fd00::1";

    private readonly Random _random = new(20261129);
    private readonly FakeWintun _driver = new();

    public void Dispose() => _driver.Dispose();

    [Theory]
    [InlineData(A, B, 1380)]
    [InlineData(A, B, 1)]
    [InlineData(A6, B6, 1381)] // Odd: every other segment's bytes change their halves in the sum.
    [InlineData(A6, B6, 3)]
    public void Write_Train_BecomesTwoSegmentsWithLengthsAndFullChecksums(string source, string destination, int size)
    {
        byte[][] train = [.. Train(source, destination, 41, size)];
        Write(train);
        int header = train[0].Length - size;
        Assert.Equal([header + (21 * size), header + (20 * size)], _driver.Sent.Select(packet => packet.Length));
        Assert.All(_driver.Sent, packet => AssertWhole(packet));
        Assert.Equal(train, _driver.Sent.SelectMany(packet => Cut(packet, size)));
    }

    [Fact]
    public void Write_LongestTrains_StayBelowWhatARingPacketHolds()
    {
        byte[][] train = [.. Train(A, B, 400, 1380)];
        Write(train);
        Assert.InRange(_driver.Sent.Count, 2, 20);
        Assert.All(_driver.Sent, packet => AssertWhole(packet));
        Assert.All(_driver.Sent, packet => Assert.InRange(packet.Length, 1, WintunDevice.MaximumPacket));
        Assert.Equal(train, _driver.Sent.SelectMany(packet => Cut(packet, 1380)));
    }

    [Theory]
    [InlineData(2, new[] { 1, 1 })]
    [InlineData(3, new[] { 1, 1, 1 })]
    [InlineData(4, new[] { 2, 2 })]
    [InlineData(5, new[] { 3, 2 })]
    public void Write_FewSegments_NeverArriveAsOne(int segments, int[] expected)
    {
        byte[][] train = [.. Train(A, B, segments, 100)];
        Write(train);
        Assert.Equal(expected, _driver.Sent.Select(packet => (packet.Length - 52) / 100));
        Assert.Equal(train, _driver.Sent.SelectMany(packet => Cut(packet, 100)));
    }

    [Fact]
    public void Write_PushAndShortLast_StandInTheLast()
    {
        byte[][] train = [.. Train(A, B, 7, 100)];
        train[6] = WithId(Tcp(A, B, 601, RandomBytes(_random, 33), Ack | Psh, Timestamps), 6);
        Write(train);
        Assert.Equal([452, 52 + 200 + 33], _driver.Sent.Select(packet => packet.Length));
        Assert.Equal([Ack, Ack | Psh], _driver.Sent.Select(packet => packet[33]));
        Assert.Equal(train, _driver.Sent.SelectMany(packet => Cut(packet, 100)));
    }

    [Fact]
    public void Write_Fin_StaysAloneBehindItsTrain()
    {
        byte[][] train = [.. Train(A, B, 9, 100)];
        train[8] = WithId(Tcp(A, B, 801, RandomBytes(_random, 100), Ack | Fin, Timestamps), 8);
        Write(train);
        Assert.Equal(3, _driver.Sent.Count);
        Assert.Equal(train[8], _driver.Sent[2]);
    }

    [Fact]
    public void Write_MixedTraffic_KeepsTheOrderOfEachFlow()
    {
        byte[][] first = [.. Train(A, B, 20, 500)], second = [.. Train(A6, B6, 20, 500, sourcePort: 7)];
        byte[] ping = Icmp(A, B), datagram = Udp(A, B, 1, 2, [1, 2, 3]);
        var mixed = new List<byte[]>();
        for (int i = 0; i < 20; i++)
        {
            mixed.Add(first[i]);
            mixed.Add(second[i]);
            if (i == 10)
                mixed.AddRange([ping, datagram, datagram]);
        }

        Write([.. mixed]);
        byte[][] tcp = [.. _driver.Sent.Where(packet => packet.Length > 500)];
        Assert.All(tcp, packet => AssertWhole(packet));
        Assert.Equal(first, tcp.Where(packet => packet[0] == 0x45).SelectMany(packet => Cut(packet, 500)));
        Assert.Equal(second, tcp.Where(packet => packet[0] == 0x60).SelectMany(packet => Cut(packet, 500)));
        Assert.Equal([ping, datagram, datagram], _driver.Sent.Where(packet => packet.Length <= 500));
    }

    [Fact]
    public void Write_DamagedSegment_IsNotHiddenInALongOne()
    {
        byte[][] train = [.. Train(A, B, 12, 100)];
        train[6][60] ^= 1;
        Write(train);
        Assert.Contains(train[6], _driver.Sent);
        Assert.Equal(train, _driver.Sent.SelectMany(packet => packet == train[6] || packet.Length <= 152 ? [packet] : Cut(packet, 100)));
    }

    /// <summary>What Windows is to route on must fit into the MTU of where it goes: nobody cuts it there.</summary>
    [Theory]
    [InlineData("10.0.0.2/24", "10.0.0.1")]
    [InlineData("10.0.0.1/24", "192.168.7.5")]
    public void Write_ForSomebodyElse_IsNotMerged(string own, string destination)
    {
        byte[][] train = [.. Train(A, destination, 20, 100)];
        Write(train, own);
        Assert.Equal(train, _driver.Sent);
    }

    [Fact]
    public void Write_Disabled_IsNotMerged()
    {
        byte[][] train = [.. Train(A, B, 20, 100)];
        using WintunDevice device = Create(Offloads.None);
        device.Write(Batch(train));
        Assert.Equal(train, _driver.Sent);
    }

    [Fact]
    public void Write_RingWithoutRoomForALongOne_TakesThemOneByOne()
    {
        byte[][] train = [.. Train(A, B, 20, 1000)];
        _driver.LongestSend = 1500;
        using WintunDevice device = Create();
        device.Write(Batch(train));
        Assert.Equal(train, _driver.Sent);
        Assert.Equal((0, 0), (device.WriteErrors, _driver.Outstanding));
    }

    [Fact]
    public void Write_RingFull_CountsEachLostPacketOnce()
    {
        byte[][] train = [.. Train(A, B, 20, 1000)];
        using WintunDevice device = Create();
        _driver.Room = 13 * train[0].Length; // For one of ten, then, as the headers come once in it, for three of the others.
        device.Write(Batch(train));
        byte[][] arrived = [.. _driver.Sent.SelectMany(packet => Cut(packet, 1000))];
        Assert.Equal([10_052, 1052, 1052, 1052], _driver.Sent.Select(packet => packet.Length));
        Assert.Equal(train[..13], arrived);
        Assert.Equal((7, 0), (device.WriteErrors, _driver.Outstanding));
    }

    [Fact]
    public void Write_Always_LeavesTheBatchAsItIs()
    {
        byte[][] train = [.. Train(A, B, 20, 1000), .. Train(A6, B6, 20, 1000)];
        using WintunDevice device = Create();
        PacketBatch batch = Batch(train);
        device.Write(batch);
        Assert.Equal(train, Enumerable.Range(0, batch.Count).Select(i => batch.Packet(i).ToArray()));
    }

    [Fact]
    public void Write_RandomTraffic_ArrivesWholeAndInOrder()
    {
        int merged = 0;
        using WintunDevice device = Create();
        for (int round = 0; round < Fuzz.Count(500); round++)
        {
            int size = _random.Next(1, 300);
            var packets = new List<byte[]>();
            uint sequence = (uint)_random.Next();
            for (int i = 0; i < 60; i++)
            {
                if (_random.Next(15) == 0)
                    sequence += 17; // Something was lost.
                byte flags = _random.Next(20) == 0 ? (byte)(Ack | Psh) : Ack;
                packets.Add(_random.Next(12) == 0
                    ? WithId(Udp(A, B, 5, 6, RandomBytes(_random, size)), i)
                    : WithId(Tcp(A, B, sequence, RandomBytes(_random, size), flags), i));
                if (packets[^1][9] == IpPacket.ProtocolTcp)
                    sequence += (uint)size;
            }

            _driver.Sent.Clear();
            device.Write(Batch([.. packets]));
            Assert.All(_driver.Sent, packet => AssertWhole(packet));
            merged += packets.Count - _driver.Sent.Count;
            foreach (byte protocol in new[] { IpPacket.ProtocolTcp, IpPacket.ProtocolUdp })
            {
                Assert.Equal(
                    packets.Where(packet => packet[9] == protocol).Select(Payload),
                    _driver.Sent.Where(packet => packet[9] == protocol).SelectMany(packet => Payload(packet).Chunk(size)));
            }
        }

        Assert.InRange(merged, Fuzz.Count(500), int.MaxValue);
        Assert.Equal(0, device.WriteErrors);

        static byte[] Payload(byte[] packet) => packet[(packet[9] == IpPacket.ProtocolTcp ? 40 : 28)..];
    }

    [Fact]
    public void Write_Always_AllocatesNothing()
    {
        using WintunDevice device = Create();
        _driver.Forgets = true;
        PacketBatch batch = Batch([.. Train(A, B, 41, 1380), Icmp(A, B), .. Train(A6, B6, 9, 1380)]);
        Allocation.AssertNone(100, 100, () => device.Write(batch));
        Assert.Equal(0, _driver.SentCount % 5);
    }

    private static PacketBatch Batch(byte[][] packets)
    {
        var batch = new PacketBatch(packets.Length + 1, packets.Max(packet => packet.Length));
        foreach (byte[] packet in packets)
            Assert.True(batch.TryAdd(packet));
        return batch;
    }

    /// <summary>The segments that a long one was made of.</summary>
    private static byte[][] Cut(byte[] packet, int size)
    {
        byte[] copy = (byte[])packet.Clone();
        int ip = copy[0] == 0x45 ? 20 : 40;
        return packet.Length <= ip + 32 + size ? [packet] : Packets.TransportPackets.Cut(copy, LeaveOpen(copy, size));
    }

    private WintunDevice Create(Offloads offloads = Offloads.All, params string[] own)
    {
        WintunDevice device = WintunDevice.Create(null, _driver, new FakeIpHelper(), new DataPathOptions { Offloads = offloads });
        device.Configure([.. own.DefaultIfEmpty("10.0.0.1/24").Append("fd00::1/64").Select(Interface)], 1420);
        return device;
    }

    private void Write(byte[][] packets, params string[] own)
    {
        using WintunDevice device = Create(own: own);
        device.Write(Batch(packets));
        Assert.Equal((0, 0), (device.WriteErrors, _driver.Outstanding));
    }

    private IEnumerable<byte[]> Train(string source, string destination, int count, int size, ushort sourcePort = 1000)
    {
        for (int i = 0; i < count; i++)
        {
            byte[] packet = Tcp(source, destination, 1 + (uint)(i * size), RandomBytes(_random, size), Ack, Timestamps, sourcePort);
            yield return packet[0] == 0x45 ? WithId(packet, i) : packet;
        }
    }
}
