using LightTunnel.Access;
using LightTunnel.Configuration;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Server;
using LightTunnel.Routing;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Engine;

/// <summary>Exit nodes, from the offer to the packet, in a network of which everything is real but the wires.</summary>
public sealed class ExitNodeNetworkTests : IDisposable
{
    private const string Everything = "0.0.0.0/0", Somebody = "198.51.100.9";
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    private readonly SimulatedNetwork _network = new();
    private int _packets;

    public void Dispose() => _network.Dispose();

    private ServerRole Server => (ServerRole)_network.Server.Node.Role;

    private SimulatedNode Exit(string name) => _network.AddClient(
        name, change: options => options with { Routes = [.. OfferedRoute.Everything.Where(route => route.Prefix.Network.IsIPv4)] });

    private SimulatedNode Taker(string name, string? exit, AcceptedRoutes? accepted = null) => _network.AddClient(
        name, change: options => options with
        {
            Exit = new ExitOptions(exit, false, false), AcceptedRoutes = accepted ?? AcceptedRoutes.None,
        });

    private void Join(params SimulatedNode[] nodes) => Assert.True(_network.RunUntil(() => nodes.All(node => node.IsUp), Long));

    private void Decide(SimulatedNode member, bool approve = true)
    {
        string key = member.Node.Links.PublicKey.ToString();
        Assert.True(_network.RunUntil(
            () => Server.Routes.List().Any(offer => offer.Peer?.Key == member.Node.Links.PublicKey && offer.Prefix == Prefix(Everything)),
            Long));
        Task done = Server.Administration.ChangeAsync(new MemberChange(MemberChangeKind.Set, key, "root")
        {
            ApproveRoutes = approve ? [Everything] : [], DenyRoutes = approve ? [] : [Everything],
        });
        Assert.True(_network.RunUntil(() => done.IsCompleted, Long));
        done.GetAwaiter().GetResult();
    }

    private static RouteStanding? StandingOf(SimulatedNode node, SimulatedNode exit) => node.Node.Subnets.Report()
        .FirstOrDefault(report => report.Prefix == Prefix(Everything) && report.Peer?.Key == exit.Node.Links.PublicKey)?.Standing;

    private void Await(Func<bool> condition) => Assert.True(_network.RunUntil(condition, Long));

    /// <summary>True when a packet that one system sends reaches the other.</summary>
    private bool Passes(SimulatedNode from, string source, SimulatedNode to, string destination, ushort port = 2)
    {
        for (int attempt = 0; attempt < 3; attempt++)
        {
            byte[] packet = Udp(source, destination, 1, port, [(byte)++_packets]);
            from.Tun.Inject(packet);
            if (_network.RunUntil(() => to.Tun.TryCollect(out byte[]? got) && got.AsSpan().SequenceEqual(packet), TimeSpan.FromSeconds(2)))
                return true;
        }

        return false;
    }

    [Fact]
    public void OfferedApprovedAndChosen_TheInternetIsReachedByIt_AndNoNetworkThatItIsIn()
    {
        _network.StartServer();
        SimulatedNode exit = Exit("office"), taker = Taker("laptop", "OFFICE");
        ExitState? state = null;
        taker.Node.Subnets.ExitChanged = told => state = told;
        Join(exit, taker);
        string self = taker.Address.ToString();
        Await(() => state?.Problem is not null);
        Assert.Contains("'OFFICE'", state!.Problem, StringComparison.Ordinal);
        Assert.False(Passes(taker, self, exit, Somebody));

        Decide(exit);
        Await(() => StandingOf(taker, exit) == RouteStanding.Active && state is { Problem: null });
        Assert.Equal(exit.Address, state.IPv4);
        Assert.Null(state.IPv6);
        Assert.True(Passes(taker, self, exit, Somebody));
        Assert.True(Passes(exit, Somebody, taker, self));
        Assert.Empty(taker.Tun.Routes); // The main table stays as it is.
        foreach (string inside in (string[])
            ["192.168.7.9", "10.77.0.1", "172.16.0.1", "100.64.0.1", "169.254.1.1", "224.0.0.251", "127.0.0.1"])
        {
            Assert.False(Passes(taker, self, exit, inside), inside);
            Assert.False(Passes(exit, inside, taker, self), inside);
        }

        Decide(exit, approve: false);
        Await(() => StandingOf(taker, exit) is null && state is { Problem: not null });
        Assert.False(Passes(taker, self, exit, Somebody));
        Assert.False(Passes(exit, Somebody, taker, self));
    }

    [Fact]
    public void ExitNodeThatGoesAway_IsMissed_AndNoOtherTakesItsPlace()
    {
        _network.StartServer();
        SimulatedNode office = Exit("office"), other = Exit("other"), taker = Taker("laptop", "office");
        ExitState? state = null;
        taker.Node.Subnets.ExitChanged = told => state = told;
        Join(office, other, taker);
        Decide(office);
        Decide(other);
        Await(() => state is { Problem: null });
        _network.Stop(office);
        Assert.True(_network.RunUntil(() => state!.Problem?.Contains("office is not there", StringComparison.Ordinal) == true, Long * 6));
        Assert.False(Passes(taker, taker.Address.ToString(), other, Somebody));
        Assert.Equal(RouteStanding.NotAccepted, StandingOf(taker, other));
        taker.Node.Post(() => taker.Node.Subnets.ChooseExit("other"));
        taker.MarkReady();
        Await(() => state is { Problem: null, Name: "other" });
        Assert.True(Passes(taker, taker.Address.ToString(), other, Somebody));
        taker.Node.Post(() => taker.Node.Subnets.ChooseExit(null));
        taker.MarkReady();
        Await(() => state is null);
        Assert.False(Passes(taker, taker.Address.ToString(), other, Somebody));
    }

    [Fact]
    public void MemberThatOffersEverything_GetsNobodysTraffic_WhoDoesNotChooseIt()
    {
        _network.StartServer();
        SimulatedNode hostile = Exit("hostile"), office = Exit("office");
        SimulatedNode nobody = Taker("nobody", null, new AcceptedRoutes(true, [Prefix(Everything)], true));
        SimulatedNode taker = Taker("taker", "office");
        Join(hostile, office, nobody, taker);
        Decide(hostile);
        Decide(office);
        Await(() => StandingOf(nobody, hostile) == RouteStanding.NotAccepted && StandingOf(taker, office) == RouteStanding.Active);
        Assert.Equal(RouteStanding.NotAccepted, StandingOf(taker, hostile));
        Assert.False(Passes(nobody, nobody.Address.ToString(), hostile, Somebody));
        Assert.False(Passes(taker, taker.Address.ToString(), hostile, Somebody));
        Assert.False(Passes(hostile, Somebody, taker, taker.Address.ToString())); // Nor does it speak for the internet.
        Assert.True(Passes(taker, taker.Address.ToString(), office, Somebody));
        Assert.Empty(nobody.Tun.Routes);
        Assert.Contains("-ExitNode", nobody.Node.Subnets.Report()[0].Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void ServerThatGivesTheNameToAnother_GetsNothing_AsTheKeyCounts()
    {
        _network.StartServer();
        SimulatedNode office = Exit("office"), other = _network.AddClient("other"), taker = Taker("taker", "office");
        Join(office, other, taker);
        Decide(office);
        Await(() => StandingOf(taker, office) == RouteStanding.Active);
        Await(() => taker.Client.Peers.Any(peer => peer.Name == "other"));
        taker.Node.Post(() =>
        {
            Peer mine = taker.Client.Peers.Single(peer => peer.Name == "office");
            Peer impostor = taker.Client.Peers.Single(peer => peer.Name == "other");
            (mine.Name, impostor.Name) = ("former", "office");
            taker.Node.Subnets.Tell(mine, []);
            taker.Node.Subnets.Tell(impostor, [Prefix(Everything)]);
        });
        _network.Run(TimeSpan.FromSeconds(2));
        Assert.Equal(RouteStanding.NotAccepted, StandingOf(taker, other));
        Assert.False(Passes(taker, taker.Address.ToString(), other, Somebody));
    }

    [Fact]
    public void GroupThatNeedsNoApproval_NeedsOneForAnExitNode_UnlessItIsSaid()
    {
        var any = new AutoApprovedRoutes("gateways", null);
        Assert.True(any.Approves(["gateways"], Prefix("192.168.7.0/24")));
        Assert.False(any.Approves(["gateways"], Prefix(Everything)));
        Assert.False(any.Approves(["gateways"], Prefix("::/0")));
        var said = new AutoApprovedRoutes("gateways", Prefix(Everything));
        Assert.True(said.Approves(["gateways"], Prefix(Everything)));
        Assert.False(said.Approves(["gateways"], Prefix("::/0")));
    }

    /// <summary>To an exit node all the world lies behind it, its own tunnel address does not.</summary>
    [Fact]
    public void Rules_AreAboutTheInternetByAddress_AndAboutTheExitNodeItselfByItsName()
    {
        _network.StartServer();
        SimulatedNode exit = Exit("office"), taker = Taker("laptop", "office");
        Join(exit, taker);
        Decide(exit);
        Await(() => StandingOf(taker, exit) == RouteStanding.Active);
        string self = taker.Address.ToString(), office = exit.Address.ToString();

        _network.AddRules($"Deny Any - laptop > {Somebody}");
        _network.Run(TimeSpan.FromSeconds(2));
        Assert.False(Passes(taker, self, exit, Somebody, 40));
        Assert.True(Passes(taker, self, exit, "198.51.100.10", 40));
        Assert.True(Passes(taker, self, exit, office, 40));

        _network.ReplaceRules("Deny Any - * > office");
        _network.Run(TimeSpan.FromSeconds(2));
        Assert.True(Passes(taker, self, exit, Somebody, 41));
        Assert.False(Passes(taker, self, exit, office, 41));

        // Enforced where the internet is, whatever the sender thinks.
        _network.ReplaceRules($"Deny Any - laptop > {Somebody}", "Deny Any - laptop > office");
        _network.Run(TimeSpan.FromSeconds(2));
        taker.Node.Post(() => taker.Node.TakeRules(NodeRules.None));
        taker.MarkReady();
        Assert.False(Passes(taker, self, exit, Somebody, 42));
        Assert.False(Passes(taker, self, exit, office, 42));
        Assert.True(exit.Inbound.Dropped(DropReason.Prohibited) > 0);
    }
}
