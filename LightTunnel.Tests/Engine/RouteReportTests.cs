using System.Globalization;
using System.Text.RegularExpressions;
using LightTunnel.Engine.Control;
using LightTunnel.Management;
using LightTunnel.Routing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Routes as Get-LtRoute tells them, and whether the log agrees.</summary>
public sealed class RouteReportTests : IDisposable
{
    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    [Fact]
    public void MemberThatIsOffline_IsNotAmongThoseThatAreRelayed_NorAmongTheDirectOnes()
    {
        (SimulatedNode server, SimulatedNode alice, _) = RelayedPairAndOneThatLeft();

        Assert.Equal(
            [("hub", RouteType.Direct, RouteState.Up), ("bob", RouteType.Server, RouteState.Up),
                ("carol", RouteType.Offline, RouteState.Offline)],
            Routes(alice).Select(route => (route.Peer, route.Type, route.State)));
        Assert.Equal(
            [("alice", RouteType.Direct, RouteState.Up), ("bob", RouteType.Direct, RouteState.Up),
                ("carol", RouteType.Offline, RouteState.Offline)],
            Routes(server).Select(route => (route.Peer, route.Type, route.State)));
        RouteStatus gone = Routes(alice).Single(route => route.Peer == "carol");
        Assert.Equal((null, null, null, PathReason.PeerOffline), (gone.NextHop, gone.Hops, gone.Endpoint, gone.Reason));
    }

    [Fact]
    public void RoutingStatistics_CountWhatRoutesTell()
    {
        (_, SimulatedNode alice, _) = RelayedPairAndOneThatLeft();
        _network.Run(TimeSpan.FromSeconds(12));

        Match stats = Regex.Match(
            alice.LogLines.Last(line => line.StartsWith("Routing stats", StringComparison.Ordinal)),
            @"(\d+) peers, (\d+) direct, (\d+) relay, (\d+) server");
        RouteStatus[] members = [.. Routes(alice).Where(route => route.Peer != "hub")];
        Assert.Equal(
            [members.Count(route => route.Type != RouteType.Offline),
                .. ((RouteType[])[RouteType.Direct, RouteType.Relay, RouteType.Server]).Select(type =>
                    members.Count(route => route.Type == type))],
            stats.Groups.Values.Skip(1).Select(group => int.Parse(group.Value, CultureInfo.InvariantCulture)));
        Assert.Equal("1", stats.Groups[4].Value);
    }

    [Fact]
    public void MemberThatThePolicyForbids_IsNotReached()
    {
        _network.StartServer();
        _network.IsDirectBlocked = true;
        SimulatedNode alice = _network.AddClient("alice", change: options => options with { PathPolicy = PathPolicy.DirectOnly });
        SimulatedNode bob = _network.AddClient("bob");
        _network.Settle();
        alice.Send(bob.Address, "hello");
        _network.Run(TimeSpan.FromSeconds(5));

        RouteStatus route = Routes(alice).Single(route => route.Peer == "bob");
        Assert.Equal((RouteType.Offline, RouteState.Offline, PathReason.Policy), (route.Type, route.State, route.Reason));
    }

    [Fact]
    public void ServerThatIsLost_TakesWhatItRelaysDown()
    {
        (SimulatedNode server, SimulatedNode alice, _) = RelayedPairAndOneThatLeft();
        _network.Kill(server);
        Assert.True(_network.RunUntil(() => alice.Node.State == TunnelState.Reconnecting, TimeSpan.FromSeconds(60)));

        Assert.Equal(
            [("hub", RouteState.Down), ("bob", RouteState.Down), ("carol", RouteState.Offline)],
            Routes(alice).Select(route => (route.Peer, route.State)));
    }

    private (SimulatedNode Server, SimulatedNode Alice, SimulatedNode Bob) RelayedPairAndOneThatLeft()
    {
        _network.IsDirectBlocked = true;
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        SimulatedNode bob = _network.AddClient("bob");
        SimulatedNode carol = _network.AddClient("carol");
        _network.Settle();
        alice.Send(bob.Address, "hello");
        alice.Send(carol.Address, "hello");
        _network.Run(TimeSpan.FromSeconds(5));
        _network.Stop(carol);
        _network.Run(TimeSpan.FromSeconds(5));
        return (server, alice, bob);
    }

    private IReadOnlyList<RouteStatus> Routes(SimulatedNode node) => new PeerReport("net", node.Tun, _network.Time).Routes(node.Node);
}
