using System.Buffers.Binary;
using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Routers;
using LightTunnel.Internet.Wires;
using LightTunnel.Packets;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Internet;

public sealed class VirtualInternetTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly VirtualInternet _internet;
    private readonly Host _alice;
    private readonly Host _bob;

    public VirtualInternetTests()
    {
        _internet = new VirtualInternet(_clock, seed: 1);
        _alice = new Host(_internet, "alice", ["203.0.113.1", "2001:db8::1"]);
        _bob = new Host(_internet, "bob", ["203.0.113.2", "2001:db8::2"]);
    }

    [Theory]
    [InlineData("203.0.113.1", "203.0.113.2")]
    [InlineData("2001:db8::1", "2001:db8::2")]
    public void Send_PerfectWires_ArrivesAtOnceWithOneHopFewer(string from, string to)
    {
        byte[] packet = Udp(from, to, "hello"u8);

        _alice.Send(packet);

        byte[] arrived = Assert.Single(_bob.Received);
        Assert.True(IpPacket.TryParse(arrived, out IpPacketInfo info));
        Assert.Equal(IPAddress.Parse(to), info.Destination.ToIPAddress());
        Assert.Equal("hello"u8, arrived.AsSpan(info.HeaderLength + 8));
        int hopLimit = info.IsIPv4 ? 8 : 7;
        Assert.Equal(packet[hopLimit] - 1, arrived[hopLimit]);
        Assert.True(!info.IsIPv4 || InternetChecksum.IsValid(arrived.AsSpan(0, info.HeaderLength)));
        Assert.Empty(_alice.Received);
    }

    [Fact]
    public void Send_Delay_ArrivesWhenBothWiresWerePassedAndNotBefore()
    {
        Change(_alice, conditions => conditions with { Delay = TimeSpan.FromMilliseconds(15) });
        Change(_bob, conditions => conditions with { Delay = TimeSpan.FromMilliseconds(5) });

        _alice.Send(Udp("203.0.113.1", "203.0.113.2", "x"u8));

        Assert.Equal(TimeSpan.FromMilliseconds(15), Advance(14.9));
        Assert.Equal(TimeSpan.FromMilliseconds(20), Advance(5.0));
        Assert.Empty(_bob.Received);
        Assert.Null(Advance(0.1));
        Assert.Single(_bob.Received);
    }

    [Fact]
    public void Send_Loss_LosesThatShareAndTheSameSeedLosesTheSame()
    {
        Change(_bob, conditions => conditions with { Loss = 0.1 });
        for (int i = 0; i < 10_000; i++)
            _alice.Send(Udp("203.0.113.1", "203.0.113.2", BitConverter.GetBytes(i)));

        Assert.InRange(_bob.Received.Count, 8_850, 9_150);
        Assert.Equal(10_000 - _bob.Received.Count, _bob.Node.Uplink.Fates[PacketFate.Lost]);

        var again = new VirtualInternetTests();
        again.Change(again._bob, conditions => conditions with { Loss = 0.1 });
        for (int i = 0; i < 10_000; i++)
            again._alice.Send(Udp("203.0.113.1", "203.0.113.2", BitConverter.GetBytes(i)));
        Assert.Equal(_bob.Received, again._bob.Received);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Send_Jitter_KeepsOrderUnlessReorderingIsAsked(bool reorders)
    {
        Change(_bob, conditions => conditions with { Jitter = TimeSpan.FromMilliseconds(10), Reorders = reorders });
        for (int i = 0; i < 100; i++)
            _alice.Send(Udp("203.0.113.1", "203.0.113.2", [(byte)i]));
        Assert.True(_bob.Received.Count < 100);
        Advance(10);

        IEnumerable<byte> order = _bob.Received.Select(packet => packet[^1]);
        Assert.Equal(100, _bob.Received.Count);
        Assert.Equal(!reorders, order.SequenceEqual(order.Order()));
    }

    [Fact]
    public void Send_CutAndHealed_NothingPassesInBetween()
    {
        Change(_bob, conditions => conditions with { Delay = TimeSpan.FromMilliseconds(10) });
        _alice.Send(Udp("203.0.113.1", "203.0.113.2", "on its way"u8));

        _internet.Cut(_bob.Node.Uplink);
        _alice.Send(Udp("203.0.113.1", "203.0.113.2", "into the cut"u8));
        _bob.Send(Udp("203.0.113.2", "203.0.113.1", "out of the cut"u8));
        Advance(100);
        Assert.Empty(_bob.Received);
        Assert.Empty(_alice.Received);
        Assert.Equal(3, _bob.Node.Uplink.Fates[PacketFate.Cut]);

        _internet.Heal(_bob.Node.Uplink);
        _alice.Send(Udp("203.0.113.1", "203.0.113.2", "after"u8));
        Advance(10);
        Assert.Single(_bob.Received);
    }

    [Theory]
    [InlineData("203.0.113.1", "203.0.113.2")]
    [InlineData("2001:db8::1", "2001:db8::2")]
    public void Send_TooLong_IsAnsweredWithTheMtuThatPasses(string from, string to)
    {
        Change(_bob, conditions => conditions with { Mtu = 1300 });

        _alice.Send(Udp(from, to, new byte[1300 - 27], dontFragment: true));

        Assert.Empty(_bob.Received);
        byte[] answer = Assert.Single(_alice.Received);
        Assert.True(IpPacket.TryParse(answer, out IpPacketInfo info));
        Assert.Equal(IPAddress.Parse(from), info.Destination.ToIPAddress());
        ReadOnlySpan<byte> icmp = answer.AsSpan(info.HeaderLength);
        Assert.Equal(info.IsIPv4 ? 3 : 2, icmp[0]);
        Assert.Equal(1300u, BinaryPrimitives.ReadUInt32BigEndian(icmp[4..]) & 0xFFFF);
    }

    [Fact]
    public void Send_TooLongWhereIcmpIsBlocked_VanishesSilently()
    {
        Change(_bob, conditions => conditions with { Mtu = 1300, ReportsTooBig = false });

        _alice.Send(Udp("203.0.113.1", "203.0.113.2", new byte[1400], dontFragment: true));

        Assert.Empty(_bob.Received);
        Assert.Empty(_alice.Received);
        Assert.Equal(1, _internet.Core.Fates[PacketFate.TooBig]);
    }

    [Fact]
    public void Send_TooLongWithoutDontFragment_ArrivesInPiecesThatGiveThePacketBack()
    {
        Change(_bob, conditions => conditions with { Mtu = 577 });
        byte[] payload = [.. Enumerable.Range(0, 1400).Select(i => (byte)i)];
        byte[] packet = Udp("203.0.113.1", "203.0.113.2", payload);

        _alice.Send(packet);

        Assert.Equal(3, _bob.Received.Count);
        byte[] whole = new byte[packet.Length - 20];
        for (int i = 0; i < 3; i++)
        {
            byte[] fragment = _bob.Received[i];
            Assert.True(IpPacket.TryParse(fragment, out IpPacketInfo info));
            Assert.True(fragment.Length <= 577 && InternetChecksum.IsValid(fragment.AsSpan(0, 20)));
            Assert.Equal(i < 2, info.MoreFragments);
            fragment.AsSpan(20).CopyTo(whole.AsSpan(info.FragmentOffset));
        }

        Assert.Equal(packet[20..], whole);
    }

    [Fact]
    public void Send_UnknownDestination_IsAnsweredUnreachable()
    {
        _alice.Send(Udp("203.0.113.1", "198.51.100.9", "x"u8));

        byte[] answer = Assert.Single(_alice.Received);
        Assert.Equal((3, 0), (answer[20], answer[21]));
        Assert.Equal(1, _internet.Core.Fates[PacketFate.NoRoute]);
    }

    [Fact]
    public void Send_LastHop_IsDropped()
    {
        byte[] packet = Udp("203.0.113.1", "203.0.113.2", "x"u8);
        packet[8] = 1;

        _alice.Send(packet);

        Assert.Empty(_bob.Received);
        Assert.Equal(1, _internet.Core.Fates[PacketFate.HopLimit]);
    }

    [Fact]
    public void Send_AnyBytes_NeverThrows()
    {
        var random = new Random(7);
        byte[] valid = Udp("203.0.113.1", "203.0.113.2", new byte[64]);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] packet = new byte[random.Next(0, 200)];
            random.NextBytes(packet);
            if (i % 2 == 0)
            {
                packet = valid[..random.Next(0, valid.Length + 1)];
                for (int j = random.Next(4); j > 0 && packet.Length > 0; j--)
                    packet[random.Next(packet.Length)] = (byte)random.Next(256);
            }

            _alice.Send(packet);
        }

        Assert.True(_internet.Core.Fates[PacketFate.Malformed] > 1000);
        Assert.NotEmpty(_bob.Received);
    }

    private void Change(Host host, Func<WireConditions, WireConditions> change) => _internet.Change(host.Node.Uplink, change);

    /// <summary>Lets time pass; returns when the next packet arrives, counted from the beginning.</summary>
    private TimeSpan? Advance(double milliseconds)
    {
        _clock.Advance(TimeSpan.FromMilliseconds(milliseconds));
        _internet.RunDue();
        return _internet.Next;
    }

    private static byte[] Udp(string from, string to, ReadOnlySpan<byte> payload, bool dontFragment = false)
    {
        byte[] source = IPAddress.Parse(from).GetAddressBytes(), destination = IPAddress.Parse(to).GetAddressBytes();
        bool isIPv4 = source.Length == 4;
        int headerLength = isIPv4 ? 20 : 40;
        byte[] packet = new byte[headerLength + 8 + payload.Length];
        Span<byte> header = packet.AsSpan(0, headerLength);
        if (isIPv4)
        {
            header[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)packet.Length);
            header[6] = (byte)(dontFragment ? 0x40 : 0);
            header[8] = 64;
            header[9] = IpPacket.ProtocolUdp;
            source.CopyTo(header[12..]);
            destination.CopyTo(header[16..]);
            BinaryPrimitives.WriteUInt16BigEndian(header[10..], InternetChecksum.Compute(header));
        }
        else
        {
            header[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)(8 + payload.Length));
            header[6] = IpPacket.ProtocolUdp;
            header[7] = 64;
            source.CopyTo(header[8..]);
            destination.CopyTo(header[24..]);
        }

        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(headerLength + 4), (ushort)(8 + payload.Length));
        payload.CopyTo(packet.AsSpan(headerLength + 8));
        return packet;
    }

    private sealed class Host
    {
        private readonly VirtualInternet _internet;

        public Host(VirtualInternet internet, string name, string[] addresses)
        {
            _internet = internet;
            Node = internet.AddHost(
                name, addresses.Select(text => TunnelAddress.FromIPAddress(IPAddress.Parse(text))), WireConditions.Perfect,
                packet => Received.Add(packet.ToArray()));
        }

        public HostNode Node { get; }

        public List<byte[]> Received { get; } = [];

        public void Send(ReadOnlySpan<byte> packet) => _internet.Send(Node, packet);
    }
}
