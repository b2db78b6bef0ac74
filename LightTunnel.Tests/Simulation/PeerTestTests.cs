using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Routing;
using LightTunnel.Tests.Engine;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>What a test of a peer finds out, in virtual time.</summary>
public sealed class PeerTestTests
{
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(10);

    [Fact]
    public async Task DirectPair_IsMeasuredBothWays()
    {
        using Scene scene = Start(NatKind.PortRestrictedCone, NatKind.PortRestrictedCone, out SimulatedNode alice, out SimulatedNode bob);

        PeerTestReport report = await TestAsync(scene, alice, "bob", count: 7);

        Assert.Equal((true, PathType.Direct, PathReason.DirectUp), (report.IsDirect, report.Path, report.Reason));
        Assert.Equal(alice.Member("bob").DirectPath!.Key.Endpoint.ToIPEndPoint(), report.Endpoint);
        Assert.Equal((7, 7), (report.Pings.Sent, report.Pings.Answered));
        Assert.Equal(0, report.Pings.Loss);
        // From NAT to NAT it is as far as from a NAT to the server, and by the server that way twice.
        Assert.InRange(report.Pings.Average!.Value, 3 * Delay, 5 * Delay);
        Assert.InRange(report.ServerRoundTrip!.Value, 1.8 * report.Pings.Average.Value, 2.2 * report.Pings.Average.Value);
        Assert.Equal(("Port-Restricted Cone", "Port-Restricted Cone"), (report.LocalNat, report.PeerNat));
        CandidateReport used = Assert.Single(report.Candidates, candidate => candidate.InUse);
        Assert.Equal((ProbeResult.Answered, report.Endpoint, alice.Transport.LocalPort), (used.Result, used.Endpoint, used.LocalPort));
        Assert.Contains(report.Candidates, candidate => candidate is { Kind: null, Relay: "hub", Result: ProbeResult.Answered });
        Assert.True((await TestAsync(scene, bob, "alice")).IsDirect);
    }

    [Fact]
    public async Task TwoRandomNats_AreExplained_AsSoonAsTheAttemptIsOver()
    {
        using Scene scene = Start(NatKind.SymmetricRandom, NatKind.SymmetricRandom, out SimulatedNode alice, out _);
        scene.Network.Run(TimeSpan.FromSeconds(5));

        PeerTestReport report = await TestAsync(scene, alice, "bob", timeoutSeconds: 60);

        Assert.Equal((false, PathType.Server, PathReason.BothNatsRandom), (report.IsDirect, report.Path, report.Reason));
        Assert.Equal(("Symmetric", "Symmetric"), (report.LocalNat, report.PeerNat));
        Assert.Equal(report.Pings.Sent, report.Pings.Answered);
        Assert.InRange(report.ServerRoundTrip!.Value, 6 * Delay, 10 * Delay);
        CandidateReport[] endpoints = [.. report.Candidates.Where(candidate => candidate.Relay is null)];
        Assert.NotEmpty(endpoints);
        Assert.All(endpoints, candidate => Assert.Equal((ProbeResult.NoAnswer, false), (candidate.Result, candidate.InUse)));
        Assert.InRange(report.Duration, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task OtherRouters_AreNoticed_AndBlamed_AndForgiven()
    {
        using Scene scene = Start(NatKind.PortRestrictedCone, NatKind.PortRestrictedCone, out SimulatedNode alice, out SimulatedNode bob);
        scene.Network.Run(TimeSpan.FromSeconds(40));
        foreach (SimulatedNat nat in scene.Internet.Nats.Values)
            nat.Replace(NatKind.SymmetricRandom);
        Talk(scene, alice, bob, () => alice.Peer("bob").PathType == PathType.Server);
        scene.Network.Run(TimeSpan.FromSeconds(5));

        PeerTestReport report = await TestAsync(scene, alice, "bob");
        Assert.Equal((PathReason.BothNatsRandom, "Symmetric", "Symmetric"), (report.Reason, report.LocalNat, report.PeerNat));

        foreach (SimulatedNat nat in scene.Internet.Nats.Values)
            nat.Replace(NatKind.PortRestrictedCone);
        Talk(scene, alice, bob, () => alice.Member("bob").DirectPath is not null);
    }

    [Fact]
    public async Task Test_RightAfterTheJoin_WaitsForTheDirectPath()
    {
        using Scene scene = Start(NatKind.RestrictedCone, NatKind.PortRestrictedCone, out SimulatedNode alice, out _, settle: false);

        Assert.True((await TestAsync(scene, alice, "bob")).IsDirect);
    }

    [Fact]
    public async Task Server_IsAlwaysDirect_FromBothSides()
    {
        using Scene scene = Start(NatKind.SymmetricRandom, NatKind.Open, out SimulatedNode alice, out _);

        PeerTestReport toServer = await TestAsync(scene, alice, "hub");
        PeerTestReport fromServer = await TestAsync(scene, scene.Network.Server, "alice");

        Assert.Equal((true, true, PathReason.IsServer), (toServer.IsDirect, toServer.IsServer, toServer.Reason));
        Assert.Equal((true, PathReason.DirectUp), (fromServer.IsDirect, fromServer.Reason));
        Assert.Equal(toServer.Pings.Sent, toServer.Pings.Answered);
        Assert.Equal(fromServer.Pings.Sent, fromServer.Pings.Answered);
        Assert.Equal("Symmetric", fromServer.PeerNat);
        Assert.Null(toServer.ServerRoundTrip);
        Assert.Null(fromServer.ServerRoundTrip);
    }

    [Fact]
    public async Task IdlePathThatWasCut_BothSidesLeaveIt_SoThatTheTestMeasuresTheServers()
    {
        using Scene scene = Start(NatKind.PortRestrictedCone, NatKind.PortRestrictedCone, out SimulatedNode alice, out SimulatedNode bob);
        Assert.True(scene.Network.RunUntil(
            () => alice.Member("bob").DirectPath is not null && bob.Member("alice").DirectPath is not null, TimeSpan.FromSeconds(5)));
        scene.Network.Run(TimeSpan.FromSeconds(30));
        scene.Internet.CutBetween(scene.Internet.Hosts["alice"], scene.Internet.Hosts["bob"]);

        PeerTestReport report = await TestAsync(scene, alice, "bob", count: 2);

        Assert.Equal(PathType.Server, report.Path);
        Assert.Equal((2, 2), (report.Pings.Sent, report.Pings.Answered));
    }

    [Fact]
    public void PeerThatLeaves_IsOfflineWithinASecond_AndNobodyIsToldOfARelay()
    {
        using Scene scene = Start(NatKind.PortRestrictedCone, NatKind.PortRestrictedCone, out SimulatedNode alice, out SimulatedNode bob);
        Assert.True(scene.Network.RunUntil(() => alice.Member("bob").DirectPath is not null, TimeSpan.FromSeconds(5)));
        scene.Network.Run(TimeSpan.FromSeconds(30));
        scene.Network.Stop(bob);

        Assert.True(scene.Network.RunUntil(() => !alice.Peer("bob").Online, TimeSpan.FromSeconds(1.2)));
        scene.Network.Run(TimeSpan.FromMinutes(2));

        Assert.Null(alice.Member("bob").Traversal);
        Assert.DoesNotContain(alice.LogLines, line => line.StartsWith('⚠'));
        Assert.Equal(
            "Routing stats: 0 peers, 0 direct, 0 relay, 0 server",
            alice.LogLines.Last(line => line.StartsWith("Routing stats", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task PeerThatIsOffline_IsSaidToBe_AtOnce()
    {
        using Scene scene = Start(NatKind.Open, NatKind.Open, out SimulatedNode alice, out SimulatedNode bob);
        scene.Network.Stop(bob);
        Assert.True(scene.Network.RunUntil(() => !alice.Peer("bob").Online, TimeSpan.FromMinutes(1)));

        PeerTestReport report = await TestAsync(scene, alice, "bob");

        Assert.Equal((false, PathType.Offline, PathReason.PeerOffline), (report.IsDirect, report.Path, report.Reason));
        Assert.Equal(PingResult.None, report.Pings);
        Assert.Equal(TimeSpan.Zero, report.Duration);
    }

    [Fact]
    public async Task PeerThatLeavesMeanwhile_EndsTheTest()
    {
        using Scene scene = Start(NatKind.SymmetricRandom, NatKind.SymmetricRandom, out SimulatedNode alice, out SimulatedNode bob);
        PeerTest test = Begin(scene, alice, "bob", 10, 60);
        scene.Network.Run(TimeSpan.FromMilliseconds(300));
        scene.Network.Stop(bob);

        PeerTestReport report = await FinishAsync(scene, test);

        Assert.Equal((false, PathReason.PeerOffline), (report.IsDirect, report.Reason));
    }

    [Fact]
    public async Task LossOnThePath_IsCounted()
    {
        using Scene scene = Start(NatKind.Open, NatKind.Open, out SimulatedNode alice, out _);
        Assert.True(scene.Network.RunUntil(() => alice.Member("bob").DirectPath is not null, TimeSpan.FromSeconds(5)));
        foreach (SimulatedHost host in scene.Internet.Hosts.Values)
            host.Uplink.Conditions = new WireConditions { Delay = Delay, Loss = 0.1 };

        PeerTestReport report = await TestAsync(scene, alice, "bob", count: 60);

        Assert.InRange(report.Pings.Loss!.Value, 0.1, 0.7);
    }

    [Fact]
    public async Task Policy_IsTheReason_WhenItForbidsWhatThereIs()
    {
        using Scene scene = Start(NatKind.SymmetricRandom, NatKind.SymmetricRandom, out SimulatedNode alice, out _);
        scene.Network.Run(TimeSpan.FromSeconds(5));

        SetPolicy(scene, alice, PathPolicy.DirectOnly);
        PeerTestReport directOnly = await TestAsync(scene, alice, "bob");
        SetPolicy(scene, alice, PathPolicy.RelayOnly);
        PeerTestReport relayOnly = await TestAsync(scene, alice, "bob");

        Assert.Equal((false, PathType.Offline, PathReason.Policy), (directOnly.IsDirect, directOnly.Path, directOnly.Reason));
        Assert.NotEmpty(directOnly.Candidates);
        Assert.Equal((false, PathType.Server, PathReason.Policy), (relayOnly.IsDirect, relayOnly.Path, relayOnly.Reason));
        Assert.Equal(relayOnly.Pings.Sent, relayOnly.Pings.Answered);
    }

    [Fact]
    public void Cancelled_IsForgotten()
    {
        using Scene scene = Start(NatKind.SymmetricRandom, NatKind.SymmetricRandom, out SimulatedNode alice, out _);
        PeerTest test = Begin(scene, alice, "bob", 10, 60);
        scene.Network.Run(TimeSpan.FromMilliseconds(300));

        alice.Node.Post(test.Cancel);
        scene.Network.Settle();

        Assert.True(test.Report.IsCanceled);
        Assert.Equal(Timestamp.Never, new NodeTests().Run(scene.Time.Now()));
    }

    [Fact]
    public async Task Progress_RisesToTheEnd()
    {
        using Scene scene = Start(NatKind.SymmetricRandom, NatKind.SymmetricRandom, out SimulatedNode alice, out _);
        var told = new List<TestProgress>();
        PeerTest test = Begin(scene, alice, "bob", 10, 20, new Told(told));
        await FinishAsync(scene, test);

        Assert.Equal(
            ["Trying to reach it directly", "Measuring the path"],
            told.Select(progress => progress.Step).Distinct().Where(step => step != "Waiting for keys"));
        Assert.Equal(told.Select(progress => progress.Percent).Order(), told.Select(progress => progress.Percent));
        Assert.Equal(100, told[^1].Percent);
        Assert.InRange(told.Count, 5, 200);
    }

    private static Scene Start(NatKind first, NatKind second, out SimulatedNode alice, out SimulatedNode bob, bool settle = true)
    {
        var scene = new Scene(1, new WireConditions { Delay = Delay });
        scene.Internet.AddLan("left", first, "alice");
        scene.Internet.AddLan("right", second, "bob");
        scene.Network.StartServer();
        alice = scene.Join("alice");
        bob = scene.Join("bob");
        SimulatedNode tester = alice;
        Assert.True(scene.Network.RunUntil(() => tester.Node.Peers.Any(peer => peer.Name == "bob"), TimeSpan.FromSeconds(5)));
        if (settle)
            scene.Network.Run(TimeSpan.FromSeconds(3));
        return scene;
    }

    private static void Talk(Scene scene, SimulatedNode from, SimulatedNode to, Func<bool> until)
    {
        for (int i = 0; !until(); i++)
        {
            Assert.True(i < 1200, "It never became so.");
            from.Send(to.Address, "word");
            scene.Network.Run(TimeSpan.FromMilliseconds(50));
        }
    }

    private static void SetPolicy(Scene scene, SimulatedNode node, PathPolicy? policy)
    {
        node.Node.Post(() => node.Client.SetPolicy(node.Member("bob"), policy));
        scene.Network.Settle();
    }

    private static Task<PeerTestReport> TestAsync(Scene scene, SimulatedNode node, string peer, int count = 5, int timeoutSeconds = 20) =>
        FinishAsync(scene, Begin(scene, node, peer, count, timeoutSeconds));

    private static PeerTest Begin(
        Scene scene, SimulatedNode node, string peer, int count, int timeoutSeconds, IProgress<TestProgress>? progress = null)
    {
        PeerTest? test = null;
        node.Node.Post(() =>
        {
            test = new PeerTest(
                node.Node, node.Peer(peer), new PeerTestRequest("unused", count, TimeSpan.FromSeconds(timeoutSeconds)),
                scene.Time, progress);
            node.Node.Begin(test);
        });
        scene.Network.Settle();
        return test!;
    }

    private static async Task<PeerTestReport> FinishAsync(Scene scene, PeerTest test)
    {
        Assert.True(scene.Network.RunUntil(() => test.IsDone, TimeSpan.FromMinutes(2)), "The test never ended.");
        return await test.Report;
    }

    private sealed class Told(List<TestProgress> told) : IProgress<TestProgress>
    {
        public void Report(TestProgress value) => told.Add(value);
    }
}
