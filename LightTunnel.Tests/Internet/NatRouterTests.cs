using System.Buffers.Binary;
using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Routers;
using LightTunnel.Internet.Wires;
using LightTunnel.Packets;
using LightTunnel.Tests.Packets;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Internet;

/// <summary>The packets of a NAT: two hosts in one local network, one on the internet, one behind two NATs.</summary>
public sealed class NatRouterTests
{
    private const string Home = "198.51.100.1", Server = "203.0.113.1", Alice = "192.168.1.10", Bob = "192.168.1.11",
        Carol = "192.168.1.10";

    private readonly FakeTimeProvider _clock = new();
    private readonly VirtualInternet _internet;
    private readonly Host _server;
    private readonly NatRouter _home;
    private readonly Host _alice;
    private readonly Host _bob;

    /// <summary>Has the same private address as Alice, in another network.</summary>
    private readonly Host _carol;

    public NatRouterTests()
    {
        _internet = new VirtualInternet(_clock, seed: 1);
        _server = new Host(_internet, "server", Server, null);
        _home = Nat("home", NatKinds.Layers(NatKind.FullCone)[0], Home, "192.168.1.1/24", null);
        _alice = new Host(_internet, "alice", Alice, _home);
        _bob = new Host(_internet, "bob", Bob, _home);
        NatRouter carrier = Nat("carrier", NatKinds.Layers(NatKind.CarrierGrade)[1], "198.51.100.2", "100.64.0.1/24", null);
        _carol = new Host(
            _internet, "carol", Carol, Nat("flat", NatKinds.Layers(NatKind.CarrierGrade)[0], "100.64.0.2", "192.168.1.1/24", carrier));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1333)]
    public void Udp_ThereAndBack_HasEndpointsRewrittenAndGoodChecksums(int length)
    {
        byte[] payload = [.. Enumerable.Range(0, length).Select(i => (byte)(i * 7))];
        _alice.Send(TestPackets.Udp(Alice, Server, 5000, 9000, payload));

        Assert.Equal($"{Home}:5000 > {Server}:9000", Describe(_server.Take()));

        _server.Send(TestPackets.Udp(Server, Home, 9000, 5000, payload));
        byte[] arrived = _alice.Take();
        Assert.Equal($"{Server}:9000 > {Alice}:5000", Describe(arrived));
        Assert.Equal(payload, arrived[28..]);
    }

    [Fact]
    public void Udp_WithoutChecksum_StaysWithout()
    {
        byte[] packet = TestPackets.Udp(Alice, Server, 5000, 9000, "x"u8);
        packet[26] = packet[27] = 0;
        _alice.Send(packet);
        Assert.Equal(0, BinaryPrimitives.ReadUInt16BigEndian(_server.Take().AsSpan(26)));
    }

    [Fact]
    public void Checksums_ManyRandomPackets_AreAlwaysRight()
    {
        var random = new Random(3);
        for (int i = 0; i < 5000; i++)
        {
            byte[] payload = new byte[random.Next(100)];
            random.NextBytes(payload);
            int port = random.Next(1, 65536);
            _carol.Send(random.Next(2) == 0
                ? TestPackets.Udp(Carol, Server, (ushort)port, (ushort)random.Next(65536), payload)
                : Tcp(Carol, Server, (ushort)port, (ushort)random.Next(65536), payload));
            Describe(_server.Take());
        }
    }

    [Fact]
    public void Tcp_ThereAndBack_HasGoodChecksums()
    {
        _alice.Send(Tcp(Alice, Server, 40000, 80, "GET"u8));
        Assert.Equal($"{Home}:40000 > {Server}:80", Describe(_server.Take()));
        _server.Send(Tcp(Server, Home, 80, 40000, "200"u8));
        Assert.Equal($"{Server}:80 > {Alice}:40000", Describe(_alice.Take()));
    }

    [Fact]
    public void Ping_ThroughTwoLayers_ComesBackWithItsIdentifier()
    {
        _carol.Send(TestPackets.Icmp(Carol, Server, id: 77));
        byte[] request = _server.Take();
        ushort identifier = BinaryPrimitives.ReadUInt16BigEndian(request.AsSpan(24));
        Assert.Equal($"198.51.100.2 > {Server} icmp 8", Describe(request));

        _server.Send(TestPackets.Icmp(Server, "198.51.100.2", type: 0, id: identifier));
        byte[] reply = _carol.Take();
        Assert.Equal($"{Server} > {Carol} icmp 0", Describe(reply));
        Assert.Equal(77, BinaryPrimitives.ReadUInt16BigEndian(reply.AsSpan(24)));
    }

    [Fact]
    public void Ping_OfTheRouterItself_IsAnsweredOnBothSides()
    {
        _server.Send(TestPackets.Icmp(Server, Home));
        _alice.Send(TestPackets.Icmp(Alice, "192.168.1.1"));
        _bob.Send(TestPackets.Icmp(Bob, Home));

        Assert.Equal($"{Home} > {Server} icmp 0", Describe(_server.Take()));
        Assert.Equal($"192.168.1.1 > {Alice} icmp 0", Describe(_alice.Take()));
        Assert.Equal($"{Home} > {Bob} icmp 0", Describe(_bob.Take()));
    }

    [Fact]
    public void Unsolicited_IsNotLetIn()
    {
        _server.Send(TestPackets.Udp(Server, Home, 9000, 5000, "knock"u8));
        _server.Send(TestPackets.Udp(Server, Alice, 9000, 5000, "private addresses lead nowhere"u8));
        Assert.Empty(_alice.Received);
        Assert.Equal(1, _home.Nat[NatVerdict.NoMapping]);
    }

    [Fact]
    public void LocalNetwork_HostsTalkWithoutTheNat()
    {
        _alice.Send(TestPackets.Udp(Alice, Bob, 5000, 5000, "hi"u8));
        Assert.Equal($"{Alice}:5000 > {Bob}:5000", Describe(_bob.Take()));
        Assert.Equal(0, _home.Nat.SessionCount);

        _alice.Send(TestPackets.Udp(Alice, "192.168.1.99", 5000, 5000, "nobody"u8));
        Assert.Empty(_server.Received);
        Assert.Equal(1, _home.Untranslatable);
    }

    [Fact]
    public void Hairpin_BySettings_ArrivesWithTheOutsideSource()
    {
        _bob.Send(TestPackets.Udp(Bob, Server, 6000, 9000, "open"u8));
        _alice.Send(TestPackets.Udp(Alice, Home, 5000, 6000, "round the corner"u8));
        Assert.Equal($"{Home}:5000 > {Bob}:6000", Describe(_bob.Take()));
    }

    [Fact]
    public void IcmpError_FromTheInternet_FindsTheHostAndQuotesItsOwnPacket()
    {
        byte[] sent = TestPackets.Udp(Carol, Server, 5000, 9000, "too long"u8);
        _carol.Send(sent);
        byte[] arrived = _server.Take();
        byte[] error = new byte[IcmpErrors.MaximumLength];
        int length = IcmpErrors.WriteTooBig(arrived, 1300, TestPackets.Address(Server), error);
        _server.Send(error.AsSpan(0, length));

        byte[] received = _carol.Take();
        Assert.Equal($"{Server} > {Carol} icmp 3", Describe(received));
        byte[] quote = received[28..];
        Assert.Equal($"{Carol}:5000 > {Server}:9000", Describe(quote));
    }

    [Fact]
    public void IcmpError_OfAnInsideHost_LeavesWithOutsideEndpoints()
    {
        _alice.Send(TestPackets.Udp(Alice, Server, 5000, 9000, "hello"u8));
        _server.Take();
        _server.Send(TestPackets.Udp(Server, Home, 9000, 5000, "nobody listens any more"u8));
        byte[] error = new byte[IcmpErrors.MaximumLength];
        int length = IcmpErrors.WriteUnreachable(_alice.Take(), UnreachableReason.Prohibited, TestPackets.Address(Alice), error);
        _alice.Send(error.AsSpan(0, length));

        byte[] received = _server.Take();
        Assert.Equal($"{Home} > {Server} icmp 3", Describe(received));
        Assert.Equal($"{Server}:9000 > {Home}:5000", Describe(received[28..]));
    }

    [Fact]
    public void TooLongForTheUplink_IsToldToTheHostAboutItsOwnPacket()
    {
        _internet.Change(_home.Uplink, conditions => conditions with { Mtu = 1300 });
        _alice.Send(TestPackets.Udp(Alice, Server, 5000, 9000, new byte[1400]));

        byte[] received = _alice.Take();
        Assert.Equal($"192.168.1.1 > {Alice} icmp 3", Describe(received));
        Assert.Equal(1300, BinaryPrimitives.ReadUInt16BigEndian(received.AsSpan(26)));
        Assert.True(NatPacket.TryRead(received.AsSpan(28), out _, out UdpEndpoint source, out _));
        Assert.Equal($"{Alice}:5000", source.ToString());
    }

    [Fact]
    public void RebootAndNewAddress_BreakAndHealByTheNextPacketOut()
    {
        _alice.Send(TestPackets.Udp(Alice, Server, 5000, 9000, "one"u8));
        _internet.Reboot(_home);
        _server.Take();
        _server.Send(TestPackets.Udp(Server, Home, 9000, 5000, "lost"u8));
        Assert.Empty(_alice.Received);

        _internet.ChangeOutsideAddress(_home, TestPackets.Address("198.51.100.77"));
        _alice.Send(TestPackets.Udp(Alice, Server, 5000, 9000, "two"u8));
        Assert.Equal("198.51.100.77:5000 > 203.0.113.1:9000", Describe(_server.Take()));
        _server.Send(TestPackets.Udp(Server, "198.51.100.77", 9000, 5000, "back"u8));
        Assert.Equal($"{Server}:9000 > {Alice}:5000", Describe(_alice.Take()));
        _server.Send(TestPackets.Udp(Server, Home, 9000, 5000, "nobody has this address"u8));
        Assert.Empty(_alice.Received);
    }

    [Fact]
    public void CutBetween_SeparatesTwoHostsAndNobodyElse()
    {
        byte[] packet = TestPackets.Udp(Alice, Server, 5000, 9000, "x"u8);
        _internet.CutBetween(_alice.Node, _server.Node, oneWay: true);
        _alice.Send(packet);
        Assert.Empty(_server.Received);
        Assert.Equal(1, _server.Node.Uplink.Fates[PacketFate.Cut]);
        _server.Send(TestPackets.Udp(Server, Home, 9000, 5000, "the other direction"u8));
        _alice.Take();
        _carol.Send(TestPackets.Udp(Carol, Server, 5000, 9000, "somebody else"u8));
        _server.Take();
        _bob.Send(TestPackets.Udp(Bob, Server, 6000, 9000, "somebody else at home"u8));
        _server.Take();

        _internet.HealBetween(_alice.Node, _server.Node);
        _alice.Send(packet);
        _server.Take();
    }

    [Fact]
    public void AnyBytes_NeverThrow()
    {
        var random = new Random(11);
        byte[][] valid =
        [
            TestPackets.Udp(Alice, Server, 5000, 9000, new byte[40]), TestPackets.Icmp(Alice, Server),
            Tcp(Alice, Server, 1, 2, new byte[9]),
            TestPackets.Icmp(Alice, Server, type: 3, payload: 60), TestPackets.Udp(Alice, Home, 5000, 5000, new byte[40]),
        ];
        for (int i = 0; i < 30_000; i++)
        {
            byte[] packet = valid[random.Next(valid.Length)];
            packet = packet[..random.Next(packet.Length + 1)];
            for (int j = random.Next(5); j > 0 && packet.Length > 0; j--)
                packet[random.Next(packet.Length)] = (byte)random.Next(256);
            (random.Next(2) == 0 ? _alice : _server).Send(packet);
        }

        Assert.NotEmpty(_server.Received);
    }

    private NatRouter Nat(string name, NatSettings settings, string outside, string inside, NatRouter? router) =>
        _internet.AddNat(name, settings, TestPackets.Address(outside), TestPackets.Interface(inside), WireConditions.Perfect, router);

    /// <summary>
    /// "address:port > address:port" or "address > address icmp TYPE", all checksums checked as far as the packet is whole.
    /// </summary>
    private static string Describe(byte[] packet)
    {
        Assert.True(InternetChecksum.IsValid(packet.AsSpan(0, 20)));
        ReadOnlySpan<byte> body = packet.AsSpan(20);
        string source = new IPAddress(packet.AsSpan(12, 4)).ToString(), destination = new IPAddress(packet.AsSpan(16, 4)).ToString();
        if (packet[9] == IpPacket.ProtocolIcmp)
        {
            Assert.True(InternetChecksum.IsValid(body));
            return $"{source} > {destination} icmp {body[0]}";
        }

        uint pseudo = InternetChecksum.PseudoHeaderSum(
            TestPackets.Address(source), TestPackets.Address(destination), packet[9], body.Length);
        Assert.True(InternetChecksum.IsValid(body, pseudo));
        return $"{source}:{BinaryPrimitives.ReadUInt16BigEndian(body)} > {destination}:{BinaryPrimitives.ReadUInt16BigEndian(body[2..])}";
    }

    private static byte[] Tcp(string source, string destination, ushort sourcePort, ushort destinationPort, ReadOnlySpan<byte> payload)
    {
        byte[] segment = new byte[20 + payload.Length];
        BinaryPrimitives.WriteUInt16BigEndian(segment, sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), destinationPort);
        segment[12] = 0x50;
        payload.CopyTo(segment.AsSpan(20));
        uint pseudo = InternetChecksum.PseudoHeaderSum(
            TestPackets.Address(source), TestPackets.Address(destination), IpPacket.ProtocolTcp, segment.Length);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(16), InternetChecksum.Compute(segment, pseudo));
        return TestPackets.Ip(source, destination, IpPacket.ProtocolTcp, segment);
    }

    private sealed class Host
    {
        private readonly VirtualInternet _internet;

        public Host(VirtualInternet internet, string name, string address, NatRouter? router)
        {
            _internet = internet;
            Node = internet.AddHost(
                name, [TestPackets.Address(address)], WireConditions.Perfect, packet => Received.Enqueue(packet.ToArray()), router);
        }

        public HostNode Node { get; }

        public Queue<byte[]> Received { get; } = new();

        public void Send(ReadOnlySpan<byte> packet) => _internet.Send(Node, packet);

        public byte[] Take()
        {
            Assert.True(Received.TryDequeue(out byte[]? packet), "Nothing has arrived.");
            return packet;
        }
    }
}
