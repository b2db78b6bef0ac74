using LightTunnel.Addressing;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Tests.Simulation;
using LightTunnel.Timing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// Networks in which members know those only that they deal with ("Large networks" in docs/members.md), as small as they can be.
/// </summary>
public sealed class LargeNetworkTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    private readonly SimulatedNetwork _network = new();

    public LargeNetworkTests()
    {
        _network.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(10) };
        _network.StartServer(options => options with { EagerUpTo = 0 }, "10.0.0.1/16");
    }

    public void Dispose() => _network.Dispose();

    /// <summary>Where nothing takes time, the direct path is proven while the handshake is under way by the server's.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(10)]
    public void FirstPackets_ToAMemberThatIsNotKnown_AllArriveInOrder(int delay)
    {
        _network.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(delay) };
        (SimulatedNode alice, SimulatedNode bob, SimulatedNode carol) = (Join("alice"), Join("bob"), Join("carol"));
        Assert.Equal(["hub"], alice.Node.Peers.Select(peer => peer.Name));

        foreach (string body in (string[])["1", "2", "3"])
            alice.Send(bob.Address, body);
        Assert.True(_network.RunUntil(() => bob.Tun.WrittenCount == 3, TimeSpan.FromMilliseconds(120)));
        Assert.Equal(["1", "2", "3"], bob.TakeReceived());
        Assert.True(
            _network.RunUntil(() => alice.Peer("bob").PathType == PathType.Lan && bob.Peer("alice").PathType == PathType.Lan, Soon));
        Assert.Equal(["hub"], carol.Node.Peers.Select(peer => peer.Name));
    }

    [Fact]
    public void BothAtOnce_MeetEachOther()
    {
        (SimulatedNode alice, SimulatedNode bob) = (Join("alice"), Join("bob"));
        alice.Send(bob.Address, "from alice");
        bob.Send(alice.Address, "from bob");
        Assert.True(_network.RunUntil(() => alice.Tun.WrittenCount == 1 && bob.Tun.WrittenCount == 1, Soon));
    }

    [Fact]
    public void AddressOfNobody_IsRefusedByIcmp_UntilSomebodyHasIt()
    {
        SimulatedNode alice = Join("alice");
        var nobody = TunnelAddress.FromIPv4(0x0A00_0909);
        alice.Send(nobody, "first");
        _network.Run(TimeSpan.FromMilliseconds(100));
        alice.Send(nobody, "second");
        _network.Run(TimeSpan.FromMilliseconds(100));
        Assert.Equal(["icmp 3/1"], alice.TakeReceived());

        SimulatedNode bob = Join("bob", "10.0.9.9");
        _network.Run(TimeSpan.FromSeconds(3));
        alice.Send(nobody, "third");
        Assert.True(_network.RunUntil(() => bob.Tun.WrittenCount == 1, Soon));
    }

    [Fact]
    public void BroadcastAndOwnAddress_AreNobody()
    {
        SimulatedNode alice = Join("alice");
        long datagrams = Count(() =>
        {
            alice.Send(alice.Address, "myself");
            alice.Send(TunnelAddress.FromIPv4(0x0A00_FFFF), "all");
            _network.Run(TimeSpan.FromMilliseconds(100));
        });
        Assert.Equal(0, datagrams);
        Assert.Empty(alice.TakeReceived());
    }

    [Fact]
    public void ScanOfManyAddresses_CostsFewQuestions_AndNoMemory()
    {
        SimulatedNode alice = Join("alice");
        long datagrams = Count(() =>
        {
            for (uint i = 0; i < 2000; i++)
            {
                alice.Send(TunnelAddress.FromIPv4(0x0A00_1000 + i), "?");
                if (i % 10 == 0)
                    _network.Run(TimeSpan.FromMilliseconds(5));
            }

            _network.Run(TimeSpan.FromSeconds(5));
        });

        // A question and an answer, each acknowledged, at most every 50 ms.
        Assert.InRange(datagrams, 4, 6000 / 50 * 4);
        Assert.InRange(
            TableSizes.Of(alice.Node).Where(table => table.Key.StartsWith("MemberSearch", StringComparison.Ordinal))
                .Max(table => table.Value), 0, 1024);
        _network.Run(TimeSpan.FromSeconds(5));
        Assert.Equal(2, alice.Node.Forwarding.Routes.Count()); // The server's, and the one for everybody.
    }

    [Fact]
    public void MemberThatLeaves_IsTold_ToThoseWhoDealWithIt()
    {
        (SimulatedNode alice, SimulatedNode bob, SimulatedNode carol) = (Join("alice"), Join("bob"), Join("carol"));
        Meet(alice, bob);
        carol.TakeReceived();
        long before = carol.Inbound.Packets;
        _network.Stop(bob);
        Assert.True(_network.RunUntil(() => !alice.Member("bob").IsListedOnline, Soon));
        Assert.Equal(["hub"], carol.Node.Peers.Select(peer => peer.Name));
        Assert.Equal(before, carol.Inbound.Packets);
    }

    [Fact]
    public void PairThatIsIdleForLong_ForgetsEachOther_AndMeetsAgain()
    {
        (SimulatedNode alice, SimulatedNode bob) = (Join("alice"), Join("bob"));
        Meet(alice, bob);
        _network.Run(TimeSpan.FromMinutes(10));
        Assert.Contains(alice.Node.Peers, peer => peer.Name == "bob");
        _network.Run(TimeSpan.FromMinutes(10));
        Assert.Equal(["hub"], alice.Node.Peers.Select(peer => peer.Name));
        Assert.Equal(["hub"], bob.Node.Peers.Select(peer => peer.Name));
        Assert.Equal(0, ((ServerRole)_network.Server.Node.Role).Watches);
        Meet(bob, alice);
    }

    [Fact]
    public void ServerThatIsStartedAgain_IsAskedForThoseThatAreKnown()
    {
        (SimulatedNode alice, SimulatedNode bob) = (Join("alice"), Join("bob"));
        Meet(alice, bob);
        _network.Stop(_network.Server);
        _network.StartServer(options => options with { EagerUpTo = 0 }, "10.0.0.1/16");
        Assert.True(
            _network.RunUntil(
                () => alice.Member("bob").IsListedOnline && bob.Member("alice").IsListedOnline && alice.IsUp && bob.IsUp,
                TimeSpan.FromSeconds(30)));
        Meet(alice, bob);
        _network.Run(Soon);
        _network.Stop(bob);
        Assert.True(_network.RunUntil(() => !alice.Member("bob").IsListedOnline, Soon));
    }

    [Fact]
    public void NetworkThatGrows_GoesOnTellingOfWhomItTold_AndIsAskedForOthers()
    {
        _network.Kill(_network.Server);
        _network.StartServer(options => options with { EagerUpTo = 2 }, "10.0.0.1/16");
        (SimulatedNode alice, SimulatedNode bob) = (Join("alice"), Join("bob"));
        _network.Run(Soon);
        Assert.Contains(alice.Node.Peers, peer => peer.Name == "bob");
        SimulatedNode carol = Join("carol");
        _network.Run(Soon);
        Assert.True(alice.Client.KnowsFew);
        Assert.DoesNotContain(alice.Node.Peers, peer => peer.Name == "carol");
        Meet(alice, carol);
        _network.Stop(bob);
        Assert.True(_network.RunUntil(() => !alice.Member("bob").IsListedOnline, Soon));
    }

    [Fact]
    public void List_FindsMembersByName_OverManyPages()
    {
        SimulatedNode alice = Join("alice");
        for (int i = 0; i < 200; i++)
            _network.AddClient($"web{i}");
        Assert.True(_network.RunUntil(() => _network.Nodes.All(node => node.IsUp), TimeSpan.FromSeconds(60)));

        Assert.Equal(200, List(alice, "WEB*").Count);
        Assert.Equal(["web17"], List(alice, "web17").Select(entry => entry.Name));
        Assert.Equal(10, List(alice, "web10?").Count);
        Assert.Equal(["alice"], List(alice, "10.0.0.2").Select(entry => entry.Name));
        Assert.Empty(List(alice, "db*"));
        Assert.Equal(["hub"], alice.Node.Peers.Select(peer => peer.Name));
    }

    [Fact]
    public void List_MoreOftenThanIsAnsweredAtOnce_IsAnsweredLater()
    {
        SimulatedNode alice = Join("alice");
        var answers = new List<Task<IReadOnlyList<DirectoryEntry>>>();
        while (answers.Count < 300)
        {
            // The client itself lets sixteen wait.
            while (answers.Count(answer => !answer.IsCompleted) < 16)
                answers.Add(alice.Client.ListAsync("alice"));
            alice.MarkReady();
            _network.Run(TimeSpan.FromMilliseconds(10));
        }

        Assert.True(_network.RunUntil(() => answers.TrueForAll(answer => answer.IsCompleted), TimeSpan.FromSeconds(30)));
        Assert.All(answers, answer => Assert.Equal("alice", Assert.Single(answer.Result).Name));
    }

    [Fact]
    public void Listings_ManyAsk_EachIsAnsweredInItsTurn()
    {
        var time = new VirtualTime();
        var queue = new ListingQueue(time);
        ServedClient[] peers = [.. Enumerable.Range(0, 100).Select(_ => new ServedClient(PrivateKey.Generate().PublicKey, time))];
        foreach (ServedClient peer in peers.Concat(peers))
            queue.Add(peer);
        ServedClient gone = peers[10];

        var answered = new List<ServedClient>();
        while (queue.Deadline(time.Now()) is var next && next != Timestamp.Never)
        {
            int before = answered.Count;
            while (queue.TryNext(peer => peer != gone, out ServedClient peer))
                answered.Add(peer);
            Assert.InRange(answered.Count - before, 0, before == 0 ? 64 : 1);
            if (before == 0)
                queue.Add(peers[0]);
            time.AdvanceTo(next);
        }

        Assert.Equal([.. peers.Where(peer => peer != gone), peers[0]], answered);
    }

    private IReadOnlyList<DirectoryEntry> List(SimulatedNode node, string pattern)
    {
        Task<IReadOnlyList<DirectoryEntry>> list = node.Client.ListAsync(pattern);
        node.MarkReady();
        Assert.True(_network.RunUntil(() => list.IsCompleted, TimeSpan.FromSeconds(10)));
        return list.GetAwaiter().GetResult();
    }

    private long Count(Action action)
    {
        long before = _network.Internet.Sent;
        action();
        return _network.Internet.Sent - before;
    }

    private void Meet(SimulatedNode from, SimulatedNode to)
    {
        to.TakeReceived();
        from.Send(to.Address, "hello");
        Assert.True(_network.RunUntil(() => to.Tun.WrittenCount > 0, Soon));
        Assert.True(_network.RunUntil(() => from.Peer(to.Name).PathType == PathType.Lan, Soon));
    }

    private SimulatedNode Join(string name, string? address = null)
    {
        SimulatedNode node = _network.AddClient(name, address);
        Assert.True(_network.RunUntil(() => node.IsUp, TimeSpan.FromSeconds(10)));
        _network.Run(Soon);
        return node;
    }
}
