using LightTunnel.Addressing;
using LightTunnel.Internet.Wires;
using LightTunnel.Routing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Members that can reach each other do so directly, and are never without a path.</summary>
public sealed class DirectPathTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    [Fact]
    public void OpenMembers_AreDirect_BeforeTheFirstPacket()
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        Assert.True(_network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), Soon));
        long relayed = server.Inbound.RelayedPackets;

        alice.Send(bob.Address, "straight");
        bob.Send(alice.Address, "and back");
        _network.Run(Soon);

        Assert.Equal(["straight"], bob.TakeReceived());
        Assert.Equal(["and back"], alice.TakeReceived());
        Assert.Equal(relayed, server.Inbound.RelayedPackets);
        Assert.Equal(PathReason.DirectUp, alice.Peer("bob").Reason);
        Assert.Contains($"P2P connection established with {bob.Address} via {bob.Endpoint}", alice.LogLines);
        Assert.Contains($"✓ P2P direct route established to {bob.Address} (via server broadcast)", alice.LogLines);
        Assert.Contains($"Received peer info from server: {bob.Address} at {bob.Endpoint} (local: {bob.Endpoint})", alice.LogLines);
    }

    [Fact]
    public void FlipFromServerToDirect_LosesNothing()
    {
        _network.IsDirectBlocked = true;
        _network.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(10) };
        (_, SimulatedNode alice, SimulatedNode bob) = Start();
        int sent = 0;
        for (; sent < 3000 && !(IsDirect(alice, "bob") && IsDirect(bob, "alice")); sent++)
        {
            if (sent == 100)
                _network.IsDirectBlocked = false;
            alice.Send(bob.Address, $"{sent}");
            bob.Send(alice.Address, $"{sent}");
            _network.Run(TimeSpan.FromMilliseconds(10));
        }

        Assert.True(IsDirect(alice, "bob") && IsDirect(bob, "alice"));
        _network.Run(Soon);
        Assert.Equal(sent, bob.TakeReceived().Count);
        Assert.Equal(sent, alice.TakeReceived().Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void DirectPathCut_UnderTraffic_IsLeftWithinASecond_AndComesBack(bool oneWay)
    {
        _network.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(10) };
        (_, SimulatedNode alice, SimulatedNode bob) = Start();
        Assert.True(_network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), Soon));
        Exchange(alice, bob, rounds: 100);

        UdpEndpoint bobEndpoint = bob.Endpoint;
        UdpEndpoint aliceEndpoint = alice.Endpoint;
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) =>
            !((from == aliceEndpoint && to == bobEndpoint) || (!oneWay && from == bobEndpoint && to == aliceEndpoint));
        int lost = Exchange(alice, bob, rounds: 300);
        Assert.InRange(lost, 1, 200); // A second, both ways.
        Assert.False(IsDirect(alice, "bob"));
        Assert.Equal(0, Exchange(alice, bob, rounds: 100));

        _network.Filter = null;
        Assert.True(Exchange(alice, bob, rounds: 1500) == 0 && IsDirect(alice, "bob") && IsDirect(bob, "alice"));
    }

    [Fact]
    public void ServerGone_DirectPathsGoOn()
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        Assert.True(_network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), Soon));
        alice.Send(bob.Address, "link");
        _network.Run(Soon);
        bob.TakeReceived();

        _network.Kill(server);
        Assert.Equal(0, Exchange(alice, bob, rounds: 3000));
        Assert.False(alice.IsUp);
        _network.StartServer();
        Assert.Equal(0, Exchange(alice, bob, rounds: 3000));
        Assert.True(alice.IsUp && bob.IsUp && IsDirect(alice, "bob"));
    }

    [Fact]
    public void NetworkChange_ThatMatters_ProvesPathsAnew_AndOthersAreIgnored()
    {
        (_, SimulatedNode alice, SimulatedNode bob) = Start();
        Assert.True(_network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), Soon));

        // Not one datagram passes meanwhile: what was proven is either kept or dropped at once.
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) => false;
        alice.Addresses.Changed();
        _network.Settle();
        Assert.True(IsDirect(alice, "bob"));

        alice.Addresses.Another = System.Net.IPAddress.Parse("198.51.100.77");
        alice.Addresses.Changed();
        _network.Settle();
        Assert.False(IsDirect(alice, "bob"));

        _network.Filter = null;
        Assert.True(_network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), Soon));
    }

    [Fact]
    public void IdleDirectPair_ExchangesFewProbes()
    {
        (_, SimulatedNode alice, SimulatedNode bob) = Start();
        Assert.True(_network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), Soon));
        _network.Run(TimeSpan.FromSeconds(60));
        int between = 0;
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) =>
        {
            if (from.Port != SimulatedNetwork.ServerPort && to.Port != SimulatedNetwork.ServerPort)
                between++;
            return true;
        };
        _network.Run(TimeSpan.FromSeconds(100));

        // One probe and one answer in each direction per 10 s.
        Assert.InRange(between, 10, 42);
        Assert.True(IsDirect(alice, "bob"));
    }

    private static bool IsDirect(SimulatedNode node, string peer) =>
        node.Node.Peers.SingleOrDefault(each => each.Name == peer)?.PathType is PathType.Direct or PathType.Lan;

    /// <summary>A packet each way every 10 ms; returns how many did not arrive.</summary>
    private int Exchange(SimulatedNode alice, SimulatedNode bob, int rounds)
    {
        for (int i = 0; i < rounds; i++)
        {
            alice.Send(bob.Address, "ping");
            bob.Send(alice.Address, "pong");
            _network.Run(TimeSpan.FromMilliseconds(10));
        }

        _network.Run(TimeSpan.FromMilliseconds(100));
        return (2 * rounds) - alice.TakeReceived().Count - bob.TakeReceived().Count;
    }

    private (SimulatedNode Server, SimulatedNode Alice, SimulatedNode Bob) Start()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => alice.IsUp && bob.IsUp && alice.Node.Peers.Count() == 2 && bob.Node.Peers.Count() == 2, Soon));
        return (server, alice, bob);
    }
}
