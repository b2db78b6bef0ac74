using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Tests.Engine;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>Several paths, large networks and bad moments: what has to go on when the first plan does not work out.</summary>
public sealed class PathUpkeepTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    [Fact]
    public void AllPathsDieAtOnce_TheServerTakesOverWithinASecond() => Seeds.Run(10, seed =>
    {
        using Scene scene = TwoFamilies(seed, NatKind.Open, out SimulatedNode alice, out SimulatedNode bob);
        Exchange(scene, alice, bob, TimeSpan.FromSeconds(3 + (seed * 0.6)));
        Assert.True(IsDirect(alice, bob) && IsDirect(bob, alice));
        Assert.All([alice.Member("bob"), bob.Member("alice")], peer => Assert.Equal(2, peer.Traversal!.Paths.Count(path => path.IsProven)));

        scene.Internet.CutBetween(scene.Internet.Hosts["alice"], scene.Internet.Hosts["bob"]);
        TimeSpan gap = Exchange(scene, alice, bob, TimeSpan.FromSeconds(10));
        Assert.InRange(gap, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(1.1));
    });

    [Theory]
    [InlineData(nameof(NatKind.PortRestrictedCone))]
    [InlineData(nameof(NatKind.SymmetricSequential))]
    [InlineData(nameof(NatKind.SymmetricRandom))]
    public void PathIsProven_ItsQualityIsKnownWithTheFlip(string kind) => Seeds.Run(5, seed =>
    {
        using var members = new TwoMembers(seed, Enum.Parse<NatKind>(kind), NatKind.PortRestrictedCone);
        AssertQualityAtFlip(members);

        // ... and again after it was cut for long: the questions that nobody could answer say nothing of the path that is there now.
        members.Internet.CutBetween(members.AliceHost, members.BobHost);
        members.Talk(TimeSpan.FromSeconds(20));
        Assert.False(members.AreDirect);
        members.Internet.HealBetween(members.AliceHost, members.BobHost);
        AssertQualityAtFlip(members);
    });

    private static void AssertQualityAtFlip(TwoMembers members)
    {
        Assert.NotNull(members.Talk(TimeSpan.FromMinutes(3), () => IsDirect(members.Alice, members.Bob)));
        Peer bob = members.Alice.Peer("bob");
        Assert.Equal((0.0, 100), (bob.Loss, bob.Quality)); // 120, less 5 for each 10 ms.
        Assert.NotNull(members.Talk(TimeSpan.FromMinutes(3), () => members.AreDirect));
        Peer alice = members.Bob.Peer("alice");
        Assert.InRange(alice.Quality, 100, 120);
    }

    [Fact]
    public void LargeNetwork_MemberComesBack_TheTwoAreIntroducedAgain()
    {
        using var network = new SimulatedNetwork { IsDirectBlocked = true };
        network.StartServer(options => options with { MaxClients = 100 });
        PrivateKey identity = network.NewKey();
        SimulatedNode alice = network.AddClient("alice");
        SimulatedNode bob = network.AddClient("bob", identity: Copy(identity));
        for (int i = 0; i < Introducer.EagerUpTo; i++)
            network.AddClient($"other{i}");
        Assert.True(network.RunUntil(
            () => network.Nodes.All(node => node.IsUp && node.Node.Peers.Count() == Introducer.EagerUpTo + 2), TimeSpan.FromSeconds(10)));
        alice.Send(bob.Address, "by the server");
        network.Run(Soon);
        Assert.Contains("by the server", bob.TakeReceived());

        network.Stop(bob);
        network.Run(Soon);
        bob = network.AddClient("bob", identity: identity);
        network.Run(Soon);
        network.IsDirectBlocked = false;
        Assert.Equal(PathType.Server, alice.Peer("bob").PathType);
        for (int i = 0; i < 100 && !IsDirect(alice, bob); i++)
        {
            alice.Send(bob.Address, "hello again");
            network.Run(TimeSpan.FromMilliseconds(100));
        }

        Assert.True(IsDirect(alice, bob));
    }

    [Fact]
    public void ProbeOverIPv6_BeforeAnythingWasSentThere_SaysNothingOfTheNat()
    {
        using var scene = new Scene(1, new WireConditions { Delay = TimeSpan.FromMilliseconds(10) });
        AddHome(scene, "left", NatKind.PortRestrictedCone, "alice", "2001:db8:1::a");
        AddHome(scene, "right", NatKind.PortRestrictedCone, "bob", "2001:db8:2::b");
        scene.Network.StartServer();
        SimulatedNode alice = scene.Join("alice");
        Assert.True(scene.Network.RunUntil(() => alice.Client.Nat.Filtering != default, Soon));
        SimulatedNode bob = scene.Network.AddClient("bob", host: "bob");
        Assert.True(scene.Network.RunUntil(() => alice.Node.Peers.Any(peer => peer.Name == "bob"), Soon));

        // The introduction is late on one side: the other's probes come before anything went out.
        bool isLate = true;
        scene.Internet.Arriving = (from, to, _) => !(isLate && from.Name == SimulatedNetwork.ServerHost && to.Name == "alice");
        scene.Network.Run(TimeSpan.FromMilliseconds(600));
        isLate = false;
        scene.Network.Run(Soon);
        Assert.True(IsDirect(alice, bob));
        Assert.Equal(EndpointDependence.AddressAndPortDependent, alice.Client.Nat.Filtering);
    }

    [Fact]
    public void NewNetworkThatIsSlowToWork_TheNatIsMeasuredWhenItDoes()
    {
        using var scene = new Scene(1, new WireConditions { Delay = TimeSpan.FromMilliseconds(10) });
        scene.Internet.AddLan("left", NatKind.PortRestrictedCone, "alice");
        SimulatedNat right = scene.Internet.AddNat("right", NatKinds.Layers(NatKind.FullCone)[0], lan: "192.168.7.0/24");
        scene.Network.StartServer();
        SimulatedNode alice = scene.Join("alice");
        Assert.True(scene.Network.RunUntil(() => alice.Client.Nat.Mapping != default, Soon));
        SimulatedHost host = scene.Internet.Hosts["alice"];
        foreach (double outage in (double[])[4, 5.3, 5.7, 6.1, 6.5, 7, 8, 9, 11])
        {
            host.Uplink.IsCut = true;
            host.MoveTo(host.Parent == right ? scene.Internet.Nats["left"] : right);
            alice.Addresses.Changed();
            scene.Network.Run(TimeSpan.FromSeconds(outage));
            host.Uplink.IsCut = false;
            scene.Network.Run(TimeSpan.FromSeconds(15));
            Assert.True(alice.IsUp);
            Assert.True(alice.Client.Nat.Mapping == EndpointDependence.EndpointIndependent, $"After {outage} s: {alice.Client.Nat}");
        }
    }

    [Fact]
    public void IdlePairWithTwoPaths_ExchangesOneProbeAndAnswerPerTenSecondsInEachDirection() => Seeds.Run(20, seed =>
    {
        using Scene scene = TwoFamilies(seed, NatKind.Open, out SimulatedNode alice, out SimulatedNode bob, jitter: 5);
        Exchange(scene, alice, bob, TimeSpan.FromSeconds(4));
        scene.Network.Run(TimeSpan.FromSeconds(60));
        var sent = new Dictionary<string, int> { ["alice"] = 0, ["bob"] = 0, ["server"] = 0 };
        scene.Internet.Arriving = (from, to, datagram) =>
        {
            if (datagram.Span[0] is 0x11 or 0x12)
                sent[to.Name == SimulatedNetwork.ServerHost ? "server" : from.Name is "alice" or "bob" ? from.Name : "server"]++;
            return true;
        };
        scene.Network.Run(TimeSpan.FromSeconds(300));
        Assert.True(sent["alice"] <= 64 && sent["bob"] <= 64 && sent["server"] == 0, $"{sent["alice"]} {sent["bob"]} {sent["server"]}");
    });

    [Fact]
    public void MemberThatTellsOtherEndpointsAllTheTime_DoesNotMakeOthersFloodThem()
    {
        using var scene = new Scene(1, new WireConditions { Delay = TimeSpan.FromMilliseconds(5) });
        scene.Internet.AddLan("left", NatKind.PortRestrictedCone, "alice");
        scene.Internet.AddLan("right", NatKind.PortRestrictedCone, "bob");
        scene.Network.StartServer();
        SimulatedNode alice = scene.Join("alice");
        SimulatedNode bob = scene.Join("bob");
        Assert.True(scene.Network.RunUntil(() => IsDirect(alice, bob) && IsDirect(bob, alice), Soon));
        SimulatedHost victim = scene.Internet.AddHost("victim");
        int sent = 0;
        scene.Internet.Arriving = (_, to, _) =>
        {
            sent += to == victim ? 1 : 0;
            return true;
        };
        bob.Client.SetPolicy(bob.Member("alice"), PathPolicy.RelayOnly);
        for (int i = 0; i < 3000; i++)
        {
            IEnumerable<Candidate> victims = Enumerable.Range(1, CandidateList.MaximumCount)
                .Select(port => new Candidate(CandidateKind.Manual, new UdpEndpoint(victim.Address, 1024 + (i * 16) + port)));
            bob.Client.Session!.Send(new ReachabilityMessage { Reachability = new Reachability { Candidates = [.. victims] } });
            scene.Network.Run(TimeSpan.FromMilliseconds(20));
        }

        // Fifty times a second it is told; once a second it is heard, and one address is named 256 times, and then four times a second. A
        // plan and its first retries are some 300 probes.
        Assert.InRange(sent, 300, (16 + 60) * 400);
    }

    private static Scene TwoFamilies(int seed, NatKind kind, out SimulatedNode alice, out SimulatedNode bob, double jitter = 0)
    {
        var scene = new Scene(
            seed, new WireConditions
            {
                Delay = TimeSpan.FromMilliseconds(10),
                Jitter = TimeSpan.FromMilliseconds(jitter),
                Reorders = true,
            });
        AddHome(scene, "left", kind, "alice", "2001:db8:1::a");
        AddHome(scene, "right", kind, "bob", "2001:db8:2::b");
        scene.Network.StartServer();
        alice = scene.Join("alice");
        bob = scene.Join("bob");
        (SimulatedNode first, SimulatedNode second) = (alice, bob);
        Assert.True(scene.Network.RunUntil(() => IsDirect(first, second) && IsDirect(second, first), Soon));
        return scene;
    }

    private static void AddHome(Scene scene, string lan, NatKind kind, string host, string address) =>
        scene.Internet.AddAddressV6(scene.Internet.AddLan(lan, kind, host)[0], address);

    private static bool IsDirect(SimulatedNode node, SimulatedNode to) =>
        node.Node.Peers.FirstOrDefault(peer => peer.Name == to.Name)?.PathType is PathType.Direct or PathType.Lan;

    /// <summary>Both send to each other every 10 ms; returns the longest time without a packet on either side.</summary>
    private static TimeSpan Exchange(Scene scene, SimulatedNode first, SimulatedNode second, TimeSpan duration)
    {
        TimeSpan longest = TimeSpan.Zero;
        TimeSpan[] last = [scene.Time.Elapsed, scene.Time.Elapsed];
        SimulatedNode[] both = [first, second];
        for (TimeSpan end = scene.Time.Elapsed + duration; scene.Time.Elapsed < end;)
        {
            first.Send(second.Address, "x");
            second.Send(first.Address, "x");
            scene.Network.Run(TimeSpan.FromMilliseconds(10));
            for (int i = 0; i < 2; i++)
            {
                longest = scene.Time.Elapsed - last[i] > longest ? scene.Time.Elapsed - last[i] : longest;
                if (both[i].TakeReceived().Count > 0)
                    last[i] = scene.Time.Elapsed;
            }
        }

        return longest;
    }

    private static PrivateKey Copy(PrivateKey key)
    {
        Assert.True(PrivateKey.TryParse(key.Reveal(), out PrivateKey? copy));
        return copy;
    }
}
