using LightTunnel.Addressing;
using LightTunnel.Engine.Data;
using LightTunnel.Packets;
using LightTunnel.Tests.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// What data threads do for a node whose network is another one to members. Here that is a single address: what members know as the node's
/// own is a host's behind it.
/// </summary>
public sealed class MappedNetworkTests : IDisposable
{
    private const string Host = "192.168.7.7";

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };
    private readonly SimulatedNode _server;
    private readonly SimulatedNode _gateway;

    public MappedNetworkTests()
    {
        (_server, _gateway) = (_network.StartServer(), _network.AddClient("gateway"));
        Assert.True(_network.RunUntil(() => _gateway.IsUp, TimeSpan.FromSeconds(2)));
        _gateway.Send(_server.Address, "link");
        Assert.True(_network.RunUntil(() => _server.Tun.WrittenCount > 0, TimeSpan.FromSeconds(2)));
        // The second pair would map once more what was mapped before.
        _gateway.Node.Plane.Mapping = PrefixMapping.Create(
        [
            new PrefixPair(Prefix($"{Host}/32"), Prefix($"{Known}/32")), new PrefixPair(Prefix($"{Known}/32"), Prefix("203.0.113.77/32")),
        ]);
    }

    private string Known => _gateway.Address.ToString();

    private string Member => _server.Address.ToString();

    public void Dispose() => _network.Dispose();

    /// <summary>A server may give a node any network, which whoever maps another does not know before.</summary>
    [Fact]
    public void NetworkOfTheTunnelItself_IsNotMapped_WheneverItIsGiven()
    {
        var fine = new PrefixPair(Prefix("192.168.7.0/24"), Prefix("10.99.7.0/24"));
        PrefixPair[] pairs = [fine, new(Prefix("192.168.1.0/24"), Prefix("10.0.0.0/24"))];
        SimulatedNode late = _network.AddClient("late");
        late.Node.Post(() => late.Node.MapNetworks(pairs));
        _gateway.Node.Post(() => _gateway.Node.MapNetworks(pairs));
        Assert.True(_network.RunUntil(() => late.IsUp, TimeSpan.FromSeconds(5)));
        Assert.Equal([fine], late.Node.Plane.Mapping!.Pairs);
        Assert.Equal([fine], _gateway.Node.Plane.Mapping!.Pairs);
    }

    [Fact]
    public void Packets_AreMappedBothWays_WithoutAllocation()
    {
        var (hostSends, gatewayTakes) = (new OutboundPipeline(_gateway.Node.Plane), new InboundPipeline(_gateway.Node.Plane));
        var (memberSends, memberTakes) = (new OutboundPipeline(_server.Node.Plane), new InboundPipeline(_server.Node.Plane));
        var sending = new OutboundBuffers(1500, superPackets: true);
        var receiving = new InboundBuffers(1500, trains: true);
        byte[] question = Udp(Member, Known, 1000, 53, new byte[1200]), answer = Udp(Host, Member, 53, 1000, new byte[1200]);
        byte[] stream = TransportPackets.Tcp(Host, Member, 1, new byte[20_000]);
        PacketOffload offload = TransportPackets.LeaveOpen(stream, 1300);
        var arrived = new List<byte[]>();
        bool keeps = true;
        UdpEndpoint ofServer = _gateway.Peer("hub").Path.Endpoint, ofGateway = _server.Peer("gateway").Path.Endpoint;
        Allocation.AssertNone(warmUp: 100, count: 300, () =>
        {
            Send(memberSends, gatewayTakes, ofServer, question, default);
            Send(hostSends, memberTakes, ofGateway, answer, default);
            Send(hostSends, memberTakes, ofGateway, stream, offload);
            keeps = false;
        });

        Assert.Equal(Udp(Member, Host, 1000, 53, new byte[1200]), arrived[0]);
        Assert.Equal(Udp(Known, Member, 53, 1000, new byte[1200]), arrived[1]);
        Assert.Equal(20_000, arrived[2..].Sum(segment => segment.Length - 40));
        Assert.All(arrived[2..], segment =>
        {
            TransportPackets.AssertWhole(segment);
            Assert.True(IpPacket.TryReadSource(segment, out TunnelAddress source) && source == _gateway.Address);
        });

        void Send(OutboundPipeline outbound, InboundPipeline inbound, in UdpEndpoint from, byte[] packet, PacketOffload work)
        {
            sending.Packets.Clear();
            packet.CopyTo(sending.Packets.NextFree());
            sending.Packets.Commit(packet.Length).Offload = work;
            outbound.Process(sending.Packets, 0, sending.Datagrams, sending.Replies);
            receiving.Datagrams.Clear();
            for (int i = 0; i < sending.Datagrams.Count; i++)
            {
                sending.Datagrams.Packet(i).CopyTo(receiving.Datagrams.NextFree());
                receiving.Datagrams.CommitPlace(
                    sending.Datagrams[i].Length, sending.Datagrams[i].SegmentSize, new PathHandle(from));
            }

            inbound.Process(receiving.Datagrams, 0, receiving.Packets, receiving.Forward);
            for (int i = 0; keeps && i < receiving.Packets.Count; i++)
                arrived.Add(receiving.Packets.Packet(i).ToArray());
        }
    }

    [Fact]
    public void PacketThatIsBegunWithAgain_AsThereWasNoRoom_IsMappedOnce()
    {
        var outbound = new OutboundPipeline(_gateway.Node.Plane);
        var packets = new PacketBatch(64, 1500);
        var datagrams = new PacketBatch(8, 1500, 8);
        var replies = new PacketBatch(4, 1500);
        for (int i = 0; i < 40; i++)
            Assert.True(packets.TryAdd(Udp(Host, Member, 1, 2, new byte[700 + (i * 10)])));
        int rounds = 0;
        for (int next = 0; next < packets.Count; rounds++)
            next = outbound.Process(packets, next, datagrams, replies);
        Assert.InRange(rounds, 2, 40);
        Assert.Equal(40, outbound.Counters.Packets);
        Assert.Equal(0, outbound.Counters.Dropped(DropReason.WrongSource));
    }

    [Fact]
    public void PacketThatIsTooLong_IsRefusedToTheHostAsItKnowsItself()
    {
        var outbound = new OutboundPipeline(_gateway.Node.Plane);
        var sending = new OutboundBuffers(9000, superPackets: false);
        byte[] tooLong = Udp(Host, Member, 1, 2, new byte[2000]);
        Assert.True(sending.Packets.TryAdd(tooLong));
        outbound.Process(sending.Packets, 0, sending.Datagrams, sending.Replies);

        Assert.Equal(1, outbound.Counters.Dropped(DropReason.TooBig));
        byte[] reply = sending.Replies.Packet(0).ToArray();
        Assert.True(IpPacket.TryParse(reply, out IpPacketInfo info));
        Assert.Equal(Address(Host), info.Destination);
        Assert.True(InternetChecksum.IsValid(reply.AsSpan(0, 20)) && InternetChecksum.IsValid(reply.AsSpan(20)));
        Assert.Equal(tooLong[..48], reply[28..76]);
    }
}
