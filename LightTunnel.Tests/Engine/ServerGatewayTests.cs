using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Control;
using LightTunnel.Routing;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Engine;

/// <summary>A server that is one of two gateways of a network.</summary>
public sealed class ServerGatewayTests : IDisposable
{
    private const string Lan = "192.168.7.0/24", Host = "192.168.7.9";
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20), Step = TimeSpan.FromMilliseconds(20);

    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    /// <summary>The way into the network is another one before the connection with the server counts as lost.</summary>
    [Fact]
    public void ServerThatFails_IsReplacedWithinASecond_AsAMemberIs()
    {
        (SimulatedNode member, SimulatedNode taker) = Start();
        _network.Kill(_network.Server);
        TimeSpan gap = SendFor(taker, TimeSpan.FromSeconds(3), until: () => member.Tun.WrittenCount > 0);
        Assert.True(gap <= TimeSpan.FromSeconds(1), $"The other one carried it after {gap}.");
        Assert.Equal(TunnelState.Up, taker.Node.State);
        SendFor(taker, TimeSpan.FromSeconds(30));
        Assert.Equal(TunnelState.Reconnecting, taker.Node.State);
        Assert.Equal(RouteStanding.Active, StandingOf(taker, isServer: false));
    }

    /// <summary>What is asked five times a second is not given up five times as soon.</summary>
    [Fact]
    public void ServerThatIsAwayForAMoment_IsLeftAsAGateway_AndKeptAsAServer()
    {
        (SimulatedNode member, SimulatedNode taker) = Start();
        bool isCut = true;
        UdpEndpoint server = _network.Server.Endpoint;
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) => !isCut || (from != server && to != server);
        var states = new HashSet<TunnelState>();
        SendFor(taker, TimeSpan.FromSeconds(2), until: () => Note(taker.Node.State));
        isCut = false;
        SendFor(taker, TimeSpan.FromSeconds(5), until: () => Note(taker.Node.State));
        Assert.True(member.Tun.WrittenCount > 0);
        Assert.Equal([TunnelState.Up], states);

        bool Note(TunnelState state)
        {
            states.Add(state);
            return false;
        }
    }

    private (SimulatedNode Member, SimulatedNode Taker) Start()
    {
        _network.StartServer(options => options with
        {
            Routes = [new OfferedRoute(Prefix(Lan), null, true)], AutoApprovedRoutes = [new AutoApprovedRoutes("sites", null)],
        });
        SimulatedNode taker = _network.AddClient(
            "taker", change: options => options with { AcceptedRoutes = new AcceptedRoutes(true, [], false) });
        Assert.True(_network.RunUntil(() => taker.IsUp && StandingOf(taker, isServer: true) == RouteStanding.Active, Long));
        SimulatedNode member = _network.AddClient(
            "member", change: options => options with { Routes = [new OfferedRoute(Prefix(Lan), null, true)] });
        Assert.True(_network.RunUntil(() => member.IsUp, Long));
        _network.SetGroups(member, "sites");
        Assert.True(_network.RunUntil(() => StandingOf(taker, isServer: false) == RouteStanding.Standby, Long));
        SendFor(taker, TimeSpan.FromSeconds(5));
        Assert.Equal(RouteStanding.Active, StandingOf(taker, isServer: true));
        Assert.True(_network.Server.Tun.WrittenCount > 0);
        Assert.Equal(0, member.Tun.WrittenCount);
        return (member, taker);
    }

    private static RouteStanding? StandingOf(SimulatedNode node, bool isServer) =>
        node.Node.Subnets.Report().FirstOrDefault(report => report.Peer?.IsServer == isServer)?.Standing;

    private TimeSpan SendFor(SimulatedNode from, TimeSpan duration, Func<bool>? until = null)
    {
        TimeSpan passed = TimeSpan.Zero;
        for (; passed < duration && until?.Invoke() != true; passed += Step)
        {
            from.Tun.Inject(Udp(from.Address.ToString(), Host, 1, 2, [1]));
            from.MarkReady();
            _network.Run(Step);
        }

        return passed;
    }
}
