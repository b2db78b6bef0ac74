using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Data between two nodes with several queues, in whole networks.</summary>
public sealed class StripeNetworkTests : IDisposable
{
    private const int Queues = 4;
    private const uint All = 0b1110;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(50);

    private readonly SimulatedNetwork _network = new() { Queues = Queues };
    private readonly List<(UdpEndpoint From, UdpEndpoint To)> _sent = [];

    public void Dispose() => _network.Dispose();

    [Theory]
    [InlineData("alice", "hub")]
    [InlineData("hub", "alice")]
    [InlineData("alice", "bob")]
    public void MuchData_LeavesFromAPortForEachQueue_AndThePathStays(string from, string to)
    {
        Start("alice", "bob");
        SimulatedNode sender = Node(from), receiver = Node(to);
        Link(sender, to, receiver);

        _network.Filter = Note;
        for (int queue = 0; queue < Queues; queue++)
        {
            sender.Queue = queue;
            sender.Send(receiver.Address, $"by {queue}");
            _network.Settle();
        }

        IReadOnlyList<int> ports = sender.Transport.OpenStripes();
        Assert.Equal(
            [sender.Endpoint.Port, .. ports.Skip(1)],
            _sent.Where(each => each.To == receiver.Endpoint).Select(each => (int)each.From.Port));
        Assert.Equal(["by 0", "by 1", "by 2", "by 3"], receiver.TakeReceived());
        Assert.Equal(new PathAddress(sender.Endpoint), receiver.Peer(from).Path);
        Assert.False(receiver.Peer(from).Path.IsUnproven);
        Assert.Null(receiver.Peer(from).Challenge);
    }

    [Theory]
    [InlineData(1, Queues)]
    [InlineData(Queues, 1)]
    public void OneQueueOnEitherSide_ThereAreNoStripes(int ofServer, int ofClient)
    {
        _network.Queues = ofServer;
        SimulatedNode server = _network.StartServer();
        _network.Queues = ofClient;
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Patience));

        Load(alice, server, TimeSpan.FromSeconds(4));
        Load(server, alice, TimeSpan.FromSeconds(4));

        Assert.Equal(0u, alice.Peer("hub").Link!.Stripes);
        Assert.Equal(0u, server.Peer("alice").Link!.Stripes);
        Assert.Empty(alice.Peer("hub").Link!.PeerPorts);
        Assert.Empty(server.Peer("alice").Link!.PeerPorts);
    }

    [Fact]
    public void BehindARouterThatTranslates_ThereAreNoStripes()
    {
        (SimulatedNode server, SimulatedNode alice) = Start("alice");
        alice.Addresses.Instead = IPAddress.Parse("192.168.1.2");
        alice.Addresses.Changed();
        Load(alice, server, TimeSpan.FromSeconds(4));
        Assert.Equal(0u, alice.Peer("hub").Link!.Stripes);
        Assert.Equal(alice.Endpoint, server.Peer("alice").Path.Endpoint);
    }

    [Fact]
    public void StripeThatIsFiltered_IsLeft_NothingElseIsLost_AndItComesBack()
    {
        (SimulatedNode server, SimulatedNode alice) = Start("alice");
        Link(alice, "hub", server);
        int port = alice.Transport.OpenStripes()[2];
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) => from.Port != port;
        Load(alice, server, () => alice.Peer("hub").Link!.Stripes == (All & ~0b100u));

        alice.Queue = 2;
        alice.Send(server.Address, "by the path itself");
        _network.Settle();
        Assert.Equal(["by the path itself"], server.TakeReceived());

        _network.Filter = null;
        Load(alice, server, () => alice.Peer("hub").Link!.Stripes == All);
    }

    [Fact]
    public void ServerStartsAgain_IsToldAgain()
    {
        (SimulatedNode server, SimulatedNode alice) = Start("alice");
        Link(alice, "hub", server);
        _network.Kill(server);
        server = _network.StartServer();
        Assert.True(_network.RunUntil(() => alice.IsUp && server.Node.Peers.Any(peer => peer.Online), TimeSpan.FromMinutes(1)));
        Assert.Equal(alice.Endpoint, server.Peer("alice").Path.Endpoint);

        Link(alice, "hub", server);
        Assert.Equal(alice.Endpoint, server.Peer("alice").Path.Endpoint);
    }

    /// <summary>
    /// As a new process behind new keys: until it is told, it answers wherever it heard the peer last, and that is received.
    /// </summary>
    [Fact]
    public void PeerForgetsThePorts_NothingIsLost_AndItIsToldAgain()
    {
        (SimulatedNode server, SimulatedNode alice) = Start("alice");
        Link(alice, "hub", server);
        server.Peer("alice").Link!.TakePeerPorts([]);

        alice.Queue = 2;
        alice.Send(server.Address, "there");
        _network.Settle();
        Assert.Equal(alice.Transport.OpenStripes()[2], server.Peer("alice").Path.Endpoint.Port);
        Assert.False(server.Peer("alice").Path.IsUnproven);
        server.Send(alice.Address, "and back");
        _network.Settle();
        Assert.Equal(["there"], server.TakeReceived());
        Assert.Equal(["and back"], alice.TakeReceived());

        alice.Peer("hub").Link!.RequestHandshake(force: true);
        Load(
            alice, server, () =>
                server.Peer("alice").Path.Endpoint == alice.Endpoint && server.Peer("alice").Link!.PeerPorts.Count == Queues - 1);
        Assert.Equal(All, alice.Peer("hub").Link!.Stripes);
    }

    [Fact]
    public void NothingMoreToSend_StripesEnd_AndComeBackWithTheNextData()
    {
        (SimulatedNode server, SimulatedNode alice) = Start("alice");
        Link(alice, "hub", server);
        _network.Run(TimeSpan.FromSeconds(4));
        Assert.Equal(0u, alice.Peer("hub").Link!.Stripes);
        alice.Send(server.Address, "again");
        Assert.True(_network.RunUntil(() => alice.Peer("hub").Link!.Stripes == All, TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public void OwnDatagramOfAStripe_IsKnownAsSuch()
    {
        (SimulatedNode server, SimulatedNode alice) = Start("alice");
        Link(alice, "hub", server);
        Assert.All(alice.Transport.OpenStripes().Skip(1), port => Assert.True(alice.Node.Plane.IsOuterPort(port)));
        Assert.True(alice.Node.Plane.IsOuterPort(alice.Endpoint.Port));
        Assert.False(alice.Node.Plane.IsOuterPort(0));
    }

    /// <summary>A member names what ports it likes, from where it likes: the answer goes to itself, and to nobody anything else.</summary>
    [Fact]
    public void HostileMember_NamesPorts_NobodyElseIsSentAnything()
    {
        (SimulatedNode server, _) = Start("alice", "mallory");
        Link link = server.Peer("mallory").Link!;
        UdpEndpoint victim = new(IPAddress.Parse("198.51.100.200"), 53);
        PathAddress alices = server.Peer("alice").Path, mallorys = link.Path;
        int before = server.Transport.OpenStripes().Count(port => port != 0);
        _network.Filter = Note;

        int frames = 0;
        ushort[] ports = [53, alices.Endpoint.Port, mallorys.Endpoint.Port, (ushort)server.Transport.LocalPort, ushort.MaxValue];
        foreach (ushort port in ports)
        {
            foreach (PathAddress source in (PathAddress[])[mallorys, alices, new(victim), new(victim, relayedMember: 2)])
            {
                server.Node.Plane.TryPostControlFrame(
                    link, StripeFrames.Ports(7, [.. Enumerable.Repeat((int)port, PeerStripes.Maximum)]), source);
                frames++;
            }
        }

        server.Node.Plane.TryPostControlFrame(link, StripeFrames.Ports(7, [.. Enumerable.Repeat(53, PeerStripes.Maximum + 1)]), mallorys);
        server.Node.Plane.TryPostControlFrame(link, StripeFrames.Taken(7, new PathAddress(victim), 200), mallorys);
        server.Step();

        Assert.Equal(frames, _sent.Count(each => each.From == server.Endpoint && each.To == mallorys.Endpoint));
        Assert.DoesNotContain(_sent, each => each.From == server.Endpoint && each.To != mallorys.Endpoint && each.To != alices.Endpoint);
        Assert.Equal(mallorys, link.Path);
        Assert.InRange(link.PeerPorts.Count, 1, PeerStripes.Maximum);
        Assert.Empty(server.Peer("alice").Link!.PeerPorts);
        Assert.Equal(before, server.Transport.OpenStripes().Count(port => port != 0));
        Assert.Equal(0u, link.Stripes);
        Assert.Null(server.Peer("mallory").Stripes);
    }

    /// <summary>
    /// A member that has told of a port forges the victim's address behind it: neither the victim's link nor its own goes there.
    /// </summary>
    [Fact]
    public void HostileMember_SendsFromTheVictimsAddressAndAPortItToldOf_NothingGoesThere()
    {
        (SimulatedNode server, SimulatedNode mallory) = Start("mallory", "alice");
        PathAddress before = server.Peer("mallory").Path;
        server.Node.Plane.TryPostControlFrame(server.Peer("mallory").Link!, StripeFrames.Ports(7, [53]), before);
        server.Step();
        _network.Filter = Note;

        mallory.Transport.MoveTo("198.51.100.200", 53);
        mallory.Send(server.Address, "forged");
        _network.Run(TimeSpan.FromMilliseconds(20));

        Assert.Equal(["forged"], server.TakeReceived());
        Assert.Equal(before, server.Peer("mallory").Path);
        Assert.DoesNotContain(_sent, each => each.To.Port == 53);
    }

    /// <summary>
    /// A member that answers what it was not asked, or says that all is well behind a NAT, proves nothing and costs a few datagrams.
    /// </summary>
    [Fact]
    public void HostileMember_AnswersAtRandom_GetsNoStripe()
    {
        (SimulatedNode server, SimulatedNode mallory) = Start("mallory");
        // Its own system answers nothing: the port questions do not come to it.
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint _, ReadOnlySpan<byte> _) =>
            from.Port == SimulatedNetwork.ServerPort || from == mallory.Endpoint;
        var random = new Random(Fuzz.Seed(3));
        for (int turn = 0; turn < 100; turn++)
        {
            Load(server, mallory, Turn);
            for (int i = 0; i < 10; i++)
            {
                server.Node.Plane.TryPostControlFrame(
                    server.Peer("mallory").Link!, StripeFrames.Taken((uint)random.NextInt64(1L << 32), new PathAddress(server.Endpoint), 4),
                    mallory.Peer("hub").Path);
            }
        }

        Assert.Equal(0u, server.Peer("mallory").Link!.Stripes);
    }

    private bool Note(in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram)
    {
        _sent.Add((from, to));
        return true;
    }

    private (SimulatedNode Server, SimulatedNode First) Start(params string[] clients)
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode[] added = [.. clients.Select(name => _network.AddClient(name))];
        Assert.True(_network.RunUntil(() => added.All(node => node.IsUp), Patience));
        if (clients.Length > 1)
            Assert.True(_network.RunUntil(() => added.All(node => node.Members.Any(member => member.DirectPath is not null)), Patience));
        return (server, added[0]);
    }

    private SimulatedNode Node(string name) => _network.Nodes.Single(node => node.Name == name);

    private void Link(SimulatedNode from, string to, SimulatedNode receiver) =>
        Load(from, receiver, () => from.Peer(to).Link?.Stripes == All);

    /// <summary>Sends 2,000 packets a second until the condition holds.</summary>
    private void Load(SimulatedNode from, SimulatedNode to, Func<bool> until)
    {
        for (int turn = 0; turn < Patience / Turn; turn++)
        {
            if (until())
            {
                _network.Run(TimeSpan.FromMilliseconds(5));
                to.TakeReceived();
                return;
            }

            Load(from, to, Turn);
        }

        Assert.Fail($"never with so much data; queues with stripes: {from.Node.Peers.Select(peer => peer.Link?.Stripes).Max():b}");
    }

    private void Load(SimulatedNode from, SimulatedNode to, TimeSpan duration)
    {
        for (TimeSpan at = TimeSpan.Zero; at < duration; at += Turn)
        {
            for (int i = 0; i < 100; i++)
                from.Send(to.Address, "load");
            _network.Run(Turn);
            to.TakeReceived();
        }
    }
}
