using LightTunnel.Addressing;
using LightTunnel.Management;
using LightTunnel.Timing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Which cipher suite nodes choose, by what they know of each other.</summary>
public sealed class CipherSuiteTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    /// <summary>A second handshake comes at least five seconds after the first.</summary>
    private static readonly TimeSpan Later = TimeSpan.FromSeconds(6);

    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    [Theory]
    [InlineData(true, true, CipherSuite.Aegis256)]
    [InlineData(true, false, CipherSuite.WireGuard)]
    [InlineData(false, true, CipherSuite.WireGuard)]
    [InlineData(false, false, CipherSuite.WireGuard)]
    public void ClientAndServer_UseAegis_WhenBothHaveTheInstructions(bool server, bool client, CipherSuite suite)
    {
        if (!server)
            _network.WithoutAes.Add("hub");
        if (!client)
            _network.WithoutAes.Add("alice");
        SimulatedNode hub = _network.StartServer();
        SimulatedNode alice = Join("alice");
        Assert.True(_network.RunUntil(() => hub.Peer("alice").Link!.Suite == suite, Later));
        alice.Send(hub.Address, "there");
        _network.Settle();
        hub.Send(alice.Address, "and back");
        _network.Settle();

        Assert.Equal((suite, suite), (alice.Peer("hub").Link!.Suite, hub.Peer("alice").Link!.Suite));
        Assert.Equal(["there"], hub.TakeReceived());
        Assert.Equal(["and back"], alice.TakeReceived());
        // Only a client that has them cannot know yet that the server has not.
        Assert.Equal(client && !server ? 2 : 1, alice.Node.Links.Counters[LinkEvent.InitiationSent]);
        Assert.Equal(0, hub.Node.Links.Counters[LinkEvent.InitiationForged]);
    }

    [Theory]
    [InlineData("alice", "carol", CipherSuite.Aegis256)]
    [InlineData("alice", "bob", CipherSuite.WireGuard)]
    [InlineData("bob", "alice", CipherSuite.WireGuard)]
    public void Members_UseAegis_WhenBothHaveTheInstructions(string first, string second, CipherSuite suite)
    {
        _network.StartServer();
        SimulatedNode one = Join(first);
        SimulatedNode other = Join(second);
        Assert.True(_network.RunUntil(() => one.Node.Peers.Any(peer => peer.Name == second), Soon));
        one.Send(other.Address, "hello");
        Assert.True(_network.RunUntil(() => other.Tun.WrittenCount == 1, Soon));
        other.Send(one.Address, "hello yourself");
        _network.Settle();

        Assert.Equal((suite, suite), (one.Peer(second).Link!.Suite, other.Peer(first).Link!.Suite));
        Assert.Equal(["hello yourself"], one.TakeReceived());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void CipherPolicyWireGuard_OnEitherSide_IsEnough(bool onServer)
    {
        SimulatedNode hub = _network.StartServer(options => onServer ? options with { Cipher = CipherPolicy.WireGuard } : options);
        SimulatedNode alice = _network.AddClient(
            "alice", change: options => onServer ? options : options with { Cipher = CipherPolicy.WireGuard });
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Run(Later);
        Assert.Equal((CipherSuite.WireGuard, CipherSuite.WireGuard), (alice.Peer("hub").Link!.Suite, hub.Peer("alice").Link!.Suite));
    }

    [Fact]
    public void WhoDropsHandshakes_DelaysThem_AndChangesNothingElse()
    {
        SimulatedNode hub = _network.StartServer();
        var seen = new HashSet<int>();
        Timestamp until = _network.Time.Now() + TimeSpan.FromSeconds(20);
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram) =>
        {
            seen.Add(datagram[0]);
            return datagram[0] is not (1 or 2) || _network.Time.Now() >= until;
        };
        SimulatedNode alice = _network.AddClient("alice");

        Assert.True(_network.RunUntil(() => alice.IsUp, TimeSpan.FromSeconds(40)));
        _network.Settle();

        Assert.Contains(1, seen);
        Assert.True(alice.Node.Links.Counters[LinkEvent.InitiationSent] > 3);
        Assert.Equal((CipherSuite.Aegis256, CipherSuite.Aegis256), (alice.Peer("hub").Link!.Suite, hub.Peer("alice").Link!.Suite));
    }

    [Fact]
    public void Server_ThatComesBackOnAnotherMachine_IsAskedAnewWhatItPrefers()
    {
        SimulatedNode hub = _network.StartServer();
        SimulatedNode alice = Join("alice");
        _network.Stop(hub);
        _network.WithoutAes.Add("hub");
        hub = _network.StartServer();
        Assert.True(_network.RunUntil(() => hub.Node.Peers.Any(peer => peer.Online), TimeSpan.FromSeconds(30)));
        _network.Run(Later);
        Assert.Equal((CipherSuite.WireGuard, CipherSuite.WireGuard), (alice.Peer("hub").Link!.Suite, hub.Peer("alice").Link!.Suite));
    }

    [Fact]
    public void HandshakeSuite_LinkOfAPeerThatHasToldNothing_IsWireGuards()
    {
        // As with a plain WireGuard implementation, which holds the network's key and never registers.
        SimulatedNode hub = _network.StartServer();
        using PrivateKey stranger = _network.NewKey();
        Link link = hub.Node.Links.Add(stranger.PublicKey, PresharedKeys.Of(_network.NetworkKey));
        Assert.Equal(CipherSuite.WireGuard, link.HandshakeSuite);
        SimulatedNode alice = Join("alice");
        Assert.Equal(CipherSuite.Aegis256, hub.Peer("alice").Link!.HandshakeSuite);
        Assert.Equal(CipherSuite.Aegis256, alice.Peer("hub").Link!.HandshakeSuite);
    }

    [Fact]
    public void PeerReport_TellsTheSuite_AndNothingWithoutASession()
    {
        _network.StartServer();
        SimulatedNode alice = Join("alice");
        Join("carol");
        Assert.True(_network.RunUntil(() => alice.Node.Peers.Any(peer => peer.Name == "carol"), Soon));
        IReadOnlyList<PeerStatus> peers = new PeerReport("net", alice.Tun, _network.Time).Peers(alice.Node);
        Assert.Equal(CipherSuite.Aegis256, peers.Single(peer => peer.Name == "hub").Cipher);
        Assert.Null(peers.Single(peer => peer.Name == "carol").Cipher);
    }

    private SimulatedNode Join(string name)
    {
        SimulatedNode node = _network.AddClient(name);
        Assert.True(_network.RunUntil(() => node.IsUp, Soon), $"{name} did not join: {node.Node.LastError}");
        _network.Settle();
        return node;
    }
}
