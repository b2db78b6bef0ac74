using LightTunnel.Engine.Control;
using LightTunnel.Routing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>What changed in a network is told once, as it happens, and nothing else.</summary>
public sealed class RouteJournalTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    private readonly SimulatedNetwork _network = new();
    private readonly Dictionary<SimulatedNode, long> _read = [];

    public void Dispose() => _network.Dispose();

    [Fact]
    public void Joining_TellsStateServerAndMembers()
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        Assert.True(_network.RunUntil(() => PathOf(alice, "bob") is PathType.Lan, Soon));

        TunnelChange[] changes = [.. alice.Node.Journal.Changes.Read(0)];
        Assert.Equal(Enumerable.Range(1, changes.Length).Select(number => (long)number), changes.Select(change => change.Sequence));
        Assert.All(changes, change => Assert.Equal("alice", change.Tunnel));
        Assert.Equal(
            [new StateChange(TunnelState.Starting, TunnelState.Connecting, null),
                new StateChange(TunnelState.Connecting, TunnelState.Up, null)],
            changes.Select(change => change.State).OfType<StateChange>());
        Assert.Equal(["hub: - > Direct", "bob: - > Server", "bob: Server > Lan"], Routes(changes));

        RouteChange flip = changes[^1].Route!;
        Assert.Equal(new RoutePath(PathType.Lan, bob.Endpoint.ToIPEndPoint(), PathReason.DirectUp), flip.New);
        Assert.Equal([$"{bob.Address}/32"], flip.Destinations);
        Assert.Equal(PathQuality.Of(PathType.Lan, flip.RoundTrip, flip.Loss), flip.Quality);
        Assert.NotNull(flip.RoundTrip);
        Assert.Equal(["alice: - > Direct", "bob: - > Direct"], News(server));
    }

    [Fact]
    public void DirectPathCutAndHealed_TellsEachChangeAndWhyOnce()
    {
        (_, SimulatedNode alice, SimulatedNode bob) = Start();
        Assert.True(_network.RunUntil(() => PathOf(alice, "bob") is PathType.Lan, Soon));
        News(alice);

        _network.IsDirectBlocked = true;
        Exchange(alice, bob, TimeSpan.FromMinutes(5));
        PathReason[] reasons = Reasons(alice);
        Assert.Equal(PathReason.PathLost, reasons[0]);
        Assert.Distinct(reasons);
        Assert.Equal("bob: Lan > Server", News(alice)[0]);

        _network.IsDirectBlocked = false;
        Exchange(alice, bob, TimeSpan.FromSeconds(15));
        Assert.Equal(["bob: Server > Lan"], News(alice));
    }

    [Fact]
    public void DirectPathImpossible_TellsOnceThatNothingAnswered()
    {
        _network.IsDirectBlocked = true;
        (_, SimulatedNode alice, SimulatedNode bob) = Start();
        Exchange(alice, bob, TimeSpan.FromMinutes(5));

        PathReason[] reasons = Reasons(alice);
        Assert.Contains(reasons[^1], new[] { PathReason.NoAnswer, PathReason.UdpBlocked });
        Assert.Distinct(reasons);
        Assert.All(News(alice).Skip(2), change => Assert.Equal("bob: Server > Server", change));
    }

    [Fact]
    public void MemberThatLeaves_IsOffline()
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        Assert.True(_network.RunUntil(() => PathOf(alice, "bob") is PathType.Lan, Soon));
        News(alice);
        News(server);

        _network.Stop(bob);
        _network.Run(TimeSpan.FromSeconds(30));
        Assert.Equal(["bob: Lan > Offline"], News(alice));
        Assert.Equal(["bob: Direct > Offline"], News(server));
        Assert.Null(server.Node.Journal.Changes.Read(0)[^1].Route!.New!.Endpoint);
    }

    [Fact]
    public void ServerLostAndFound_IsAStateAndNoRoute()
    {
        (SimulatedNode server, SimulatedNode alice, _) = Start();
        Assert.True(_network.RunUntil(() => PathOf(alice, "bob") is PathType.Lan, Soon));
        _network.Run(Soon);
        News(alice);

        _network.Kill(server);
        Assert.True(_network.RunUntil(() => !alice.IsUp, TimeSpan.FromMinutes(1)));
        StateChange lost = Assert.Single(alice.Node.Journal.Changes.Read(_read[alice])).State!;
        Assert.Equal((TunnelState.Up, TunnelState.Reconnecting, alice.Node.LastError), (lost.Old, lost.New, lost.Reason));
        Assert.NotNull(lost.Reason);

        SimulatedNode again = _network.StartServer();
        Assert.True(_network.RunUntil(() => alice.IsUp, TimeSpan.FromMinutes(1)));
        _network.Run(Soon);
        Assert.Equal(new StateChange(TunnelState.Reconnecting, TunnelState.Up, null), alice.Node.Journal.Changes.Read(0)[^1].State);
        Assert.Empty(News(alice));

        // Who is known from before the start did not come, but comes back.
        Assert.Equal(["alice: Offline > Direct", "bob: Offline > Direct"], News(again).Order());
    }

    [Fact]
    public void MemberThatIsForgotten_IsGone()
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        Assert.True(_network.RunUntil(() => PathOf(alice, "bob") is PathType.Lan, Soon));
        News(alice);

        _network.Kill(bob);
        _network.Kill(server);
        _network.ForgetSaved();
        _network.StartServer();
        Assert.True(_network.RunUntil(() => alice.IsUp && alice.Node.Peers.All(peer => peer.Name != "bob"), TimeSpan.FromMinutes(2)));

        Assert.EndsWith(" > -", News(alice)[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void IdleNetwork_TellsNothing()
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        Exchange(alice, bob, TimeSpan.FromSeconds(5));
        foreach (SimulatedNode node in new[] { server, alice, bob })
            News(node);

        _network.Run(TimeSpan.FromMinutes(30));

        Assert.All(new[] { server, alice, bob }, node => Assert.Empty(node.Node.Journal.Changes.Read(_read[node])));
    }

    private static PathType PathOf(SimulatedNode node, string peer) =>
        node.Node.Peers.FirstOrDefault(other => other.Name == peer)?.PathType ?? PathType.Offline;

    private static IEnumerable<string> Routes(IEnumerable<TunnelChange> changes) =>
        changes.Select(change => change.Route).OfType<RouteChange>()
            .Select(route => $"{route.Peer}: {route.Old?.Type.ToString() ?? "-"} > {route.New?.Type.ToString() ?? "-"}");

    private (SimulatedNode Server, SimulatedNode Alice, SimulatedNode Bob) Start()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
        return (server, alice, bob);
    }

    private void Exchange(SimulatedNode alice, SimulatedNode bob, TimeSpan duration)
    {
        for (TimeSpan time = TimeSpan.Zero; time < duration; time += TimeSpan.FromMilliseconds(500))
        {
            alice.Send(bob.Address, "ping");
            bob.Send(alice.Address, "pong");
            _network.Run(TimeSpan.FromMilliseconds(500));
        }
    }

    /// <summary>Why they did, before <see cref="News"/> is asked.</summary>
    private PathReason[] Reasons(SimulatedNode node) =>
        [.. node.Node.Journal.Changes.Read(_read.GetValueOrDefault(node)).Select(change => change.Route?.New?.Reason).OfType<PathReason>()];

    /// <summary>The routes that changed since this was asked last.</summary>
    private string[] News(SimulatedNode node)
    {
        IReadOnlyList<TunnelChange> changes = node.Node.Journal.Changes.Read(_read.GetValueOrDefault(node));
        _read[node] = changes.Count == 0 ? _read.GetValueOrDefault(node) : changes[^1].Sequence;
        return [.. Routes(changes)];
    }
}
