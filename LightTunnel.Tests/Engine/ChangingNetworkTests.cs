using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;
using TunnelState = LightTunnel.Engine.Control.TunnelState;

namespace LightTunnel.Tests.Engine;

/// <summary>What members and servers do to each other over a long life: restarts, losses, other ids, other sizes.</summary>
public sealed class ChangingNetworkTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Later = TimeSpan.FromSeconds(60);

    private readonly SimulatedNetwork _network = new();
    private readonly HashSet<string> _cut = [];

    public void Dispose() => _network.Dispose();

    [Fact]
    public void ServerThatLostItsLeases_GivesOtherIds_AndMembersStillReachEachOther()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        SimulatedNode carol = Join("carol");
        Reach(carol, alice);
        Reach(carol, bob);

        _network.Kill(server);
        Assert.True(_network.RunUntil(() => !alice.IsUp && !bob.IsUp && !carol.IsUp, Later));
        _network.ForgetSaved();
        Cut(alice, carol);
        _network.StartServer();
        Assert.True(_network.RunUntil(() => bob.IsUp, Later));
        Cut(carol);
        Assert.True(_network.RunUntil(() => alice.IsUp, Later));
        Cut();
        Assert.True(_network.RunUntil(() => carol.IsUp, Later));
        _network.Run(Soon);

        Assert.Equal(2u, bob.Node.MemberId);
        Assert.Equal(["alice", "bob"], carol.Node.Peers.Where(peer => !peer.IsServer).Select(peer => peer.Name).Order());
        Reach(carol, alice);
        Reach(carol, bob);
        Reach(alice, bob);
    }

    [Fact]
    public void FullServer_TakesNobodyBack_WhosePlaceIsTaken_UntilOneIsFree()
    {
        SimulatedNode server = _network.StartServer(options => options with { MaxClients = 1 });
        SimulatedNode alice = Join("alice");
        Cut(alice);
        Assert.True(_network.RunUntil(() => !server.Peer("alice").Online, Later));
        SimulatedNode bob = Join("bob");
        Cut();
        _network.Run(Later);

        Assert.Equal(["bob"], server.Node.Peers.Where(peer => peer.Online).Select(peer => peer.Name));
        Assert.Equal(TunnelState.Reconnecting, alice.Node.State);
        Assert.InRange(alice.LogLines.Count(line => line.Contains("as many clients online", StringComparison.Ordinal)), 1, 2);

        _network.Stop(bob);
        Assert.True(_network.RunUntil(() => alice.IsUp && server.Peer("alice").Online, Later));
    }

    [Fact]
    public void MemberThatWasOnlineAllTheTime_KeepsItsLease_OverTheServersRestart()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        _network.Run(TimeSpan.FromMinutes(125));
        _network.Kill(server);

        Lease saved = Assert.Single(_network.SavedLeases);
        Assert.InRange(_network.Time.GetUtcNow() - saved.LastSeen, TimeSpan.Zero, TimeSpan.FromMinutes(65));
        Assert.NotNull(alice);
    }

    [Fact]
    public void ServerThatStops_SavesWhoWasThere()
    {
        SimulatedNode server = _network.StartServer();
        Join("alice");
        _network.Run(TimeSpan.FromMinutes(5));
        _network.Stop(server);

        Assert.InRange(_network.Time.GetUtcNow() - Assert.Single(_network.SavedLeases).LastSeen, TimeSpan.Zero, Soon);
    }

    [Fact]
    public void ServerAwayForMonths_GivesItsMembersTimeToComeBack()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        uint id = alice.Node.MemberId;
        _network.Kill(server);
        _network.Time.Advance(TimeSpan.FromDays(60));
        _network.StartServer();

        Assert.True(_network.RunUntil(() => !alice.IsUp, Later));
        Assert.True(_network.RunUntil(() => alice.IsUp, Later));
        Assert.Equal(id, alice.Node.MemberId);
        Assert.Single(_network.Server.Node.Peers);
    }

    [Fact]
    public void RestartedServer_WithAnotherMtu_ChangesTheInterface_AndEveryPeer()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        Join("bob");
        _network.Stop(server);
        _network.StartServer(options => options with { Mtu = 1300 });
        Assert.True(_network.RunUntil(() => alice.IsUp, Later));
        _network.Run(Soon);

        Assert.Equal(1300, alice.Tun.Mtu);
        Assert.All(alice.Node.Peers, peer => Assert.Equal(1300, peer.Mtu));
    }

    [Fact]
    public void RestartedMember_IsReachedAtOnce_ByWhoHasAnOldLink()
    {
        _network.StartServer();
        using var identity = PrivateKey.Generate();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = _network.AddClient("bob", identity: Copy(identity));
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
        _network.Settle();
        Reach(alice, bob);
        _network.Stop(bob);
        _network.Run(Soon);
        bob = _network.AddClient("bob", identity: Copy(identity));
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
        _network.Run(Soon);

        Reach(alice, bob);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(185)]
    [InlineData(700)]
    public void LinksThatWereIdle_CarryTheFirstPacket_InEveryDirection(int seconds)
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        Reach(alice, bob);
        Reach(server, alice);
        for (int i = 0; i < 3; i++)
        {
            _network.Run(TimeSpan.FromSeconds(seconds));
            Reach(server, alice);
            Reach(bob, alice);
            _network.Run(TimeSpan.FromSeconds(seconds));
            Reach(alice, bob);
            Reach(alice, server);
        }
    }

    [Fact]
    public void KilledClient_ComesBack_WithItsAddress_AndReachesAll()
    {
        SimulatedNode server = _network.StartServer();
        using PrivateKey identity = PrivateKey.Generate();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = _network.AddClient("bob", identity: Copy(identity));
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
        _network.Settle();
        Reach(alice, bob);
        TunnelAddress address = bob.Address;
        _network.Kill(bob);
        bob = _network.AddClient("bob", identity: Copy(identity));
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
        _network.Run(Soon);

        Assert.Equal(address, bob.Address);
        Reach(bob, server);
        Reach(server, bob);
        Reach(bob, alice);
        Reach(alice, bob);
    }

    [Fact]
    public void TwoMachinesWithOneIdentity_AreNoStorm()
    {
        SimulatedNode server = _network.StartServer();
        using PrivateKey identity = PrivateKey.Generate();
        SimulatedNode original = _network.AddClient("original", identity: Copy(identity));
        Assert.True(_network.RunUntil(() => original.IsUp, Soon));
        _network.AddClient("copy", identity: Copy(identity));
        long before = _network.Internet.Sent;
        _network.Run(TimeSpan.FromMinutes(10));

        Assert.InRange(_network.Internet.Sent - before, 1, 10 * 60 * 20);
        Assert.InRange(server.LogLines.Count(line => line.Contains("joined", StringComparison.Ordinal)), 1, 300);
    }

    [Fact]
    public void IPv6OnlyNetwork_Works()
    {
        SimulatedNode server = _network.StartServer(null, "fd00:17::1/64");
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        Reach(alice, bob);
        Reach(bob, server);
    }

    [Fact]
    public void ReinstalledServer_WithAnotherNetwork_GivesItsAddresses()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = JoinEither("alice");
        SimulatedNode bob = JoinEither("bob");
        Reach(alice, bob);
        _network.Stop(server);
        _network.ForgetSaved();
        server = _network.StartServer(null, "10.99.0.1/16");
        Assert.True(_network.RunUntil(() => alice.IsUp && bob.IsUp, Later));
        _network.Run(Soon);

        Assert.StartsWith("10.99.", alice.Address.ToString(), StringComparison.Ordinal);
        Assert.Equal(2, alice.Node.Forwarding.Routes.Count());
        Reach(alice, bob);
        Reach(alice, server);
        Reach(server, bob);
    }

    [Fact]
    public void ReinstalledServer_WithAnotherNetwork_ButItsState_GivesItsAddresses()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = JoinEither("alice");
        SimulatedNode bob = JoinEither("bob");
        _network.Stop(server);
        server = _network.StartServer(null, "10.99.0.1/16");
        Assert.True(_network.RunUntil(() => alice.IsUp && bob.IsUp, Later));
        _network.Run(Soon);
        Reach(alice, bob);
        Reach(server, bob);
    }

    [Fact]
    public void NameThatCannotBeLookedUp_IsTriedAgain()
    {
        _network.StartServer();
        _network.Resolver.Failure = new ArgumentException("No such name can be.");
        SimulatedNode alice = _network.AddClient("alice", server: "hub.example.org");
        _network.Run(TimeSpan.FromSeconds(5));
        Assert.Equal(LightTunnelError.NameResolutionFailed, alice.Client.Unreachable().Error);

        _network.Resolver.Failure = null;
        _network.Resolver.Names["hub.example.org"] = [System.Net.IPAddress.Parse(SimulatedNetwork.ServerHost)];
        Assert.True(_network.RunUntil(() => alice.IsUp, Later));
    }

    [Fact]
    public void NameThatCannotBeLookedUpAnyMore_IsTriedWhereItWas()
    {
        SimulatedNode server = _network.StartServer();
        _network.Resolver.Names["hub.example.org"] = [System.Net.IPAddress.Parse(SimulatedNetwork.ServerHost)];
        SimulatedNode alice = _network.AddClient("alice", server: "hub.example.org");
        Assert.True(_network.RunUntil(() => alice.IsUp, Later));

        _network.Resolver.Failure = new System.Net.Sockets.SocketException((int)System.Net.Sockets.SocketError.TryAgain);
        _network.Stop(server);
        Assert.True(_network.RunUntil(() => !alice.IsUp, Later));
        _network.Run(TimeSpan.FromSeconds(30));
        _network.StartServer();
        Assert.True(_network.RunUntil(() => alice.IsUp, Later), alice.Node.LastError);
    }

    /// <summary>Whenever in a ping's course the goodbye comes, answers and misses of before bring nobody back.</summary>
    [Fact]
    public void StoppedServer_IsNeverReportedBack_UntilItIs()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        for (int round = 1; round <= 40; round++)
        {
            _network.Run(TimeSpan.FromMilliseconds(137 * round));
            if (round % 2 == 0)
                alice.Send(server.Address, "keeps pings coming");
            _network.Run(TimeSpan.FromMilliseconds(311));

            // The last answers are lost, so that a ping is missed after the goodbye.
            if (round % 3 == 0)
                Cut(alice);
            _network.Run(TimeSpan.FromMilliseconds(round * 23 % 900));
            Cut();
            _network.Stop(server);
            Assert.True(_network.RunUntil(() => alice.Node.State == TunnelState.Reconnecting, Later));
            Assert.False(_network.RunUntil(() => alice.IsUp, TimeSpan.FromSeconds(15)), $"round {round}");

            server = _network.StartServer();
            Assert.True(_network.RunUntil(() => alice.IsUp, Later));
            Assert.Equal(round, alice.LogLines.Count(line => line.StartsWith("The server is back", StringComparison.Ordinal)));
        }
    }

    private static PrivateKey Copy(PrivateKey key)
    {
        Assert.True(PrivateKey.TryParse(key.Reveal(), out PrivateKey? copy));
        return copy;
    }

    /// <summary>A packet arrives, the first time that it is sent.</summary>
    private void Reach(SimulatedNode from, SimulatedNode to)
    {
        to.TakeReceived();
        from.Send(to.Address, "hello");
        Assert.True(
            _network.RunUntil(() => to.Tun.WrittenCount > 0, Soon),
            $"{from.Name} does not reach {to.Name}. {Describe(from, to)} {Describe(to, from)}");
        Assert.Equal(["hello"], to.TakeReceived());
    }

    private static string Describe(SimulatedNode from, SimulatedNode to)
    {
        Peer peer = from.Peer(to.Name);
        string dropped = string.Join(
            ", ", Enum.GetValues<DropReason>()
                .Select(reason => $"{reason} {from.Inbound.Dropped(reason)}/{from.Outbound.Dropped(reason)}")
                .Where(text => !text.EndsWith(" 0/0", StringComparison.Ordinal)));
        return $"{from.Name}: {peer.PathType} by {peer.Path}, session {peer.Link?.HasSession}, staged {peer.Staged.Count}, "
            + $"{(peer as Member)?.Traversal?.State}; dropped {dropped}.";
    }

    /// <summary>These nodes, and no others, are cut off from everybody.</summary>
    private void Cut(params SimulatedNode[] nodes)
    {
        _cut.Clear();
        _cut.UnionWith(nodes.Select(node => node.Host));
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) =>
            !_cut.Contains(from.Address.ToString()) && !_cut.Contains(to.Address.ToString());
    }

    /// <summary>Joins as somebody who has agreed to the network's prefix and to the one that it gets.</summary>
    private SimulatedNode JoinEither(string name)
    {
        SimulatedNode node = _network.AddClient(
            name, change: options =>
                options with
                {
                    AgreedPrefixes = [new(TunnelAddress.FromIPv4(0x0A00_0000), 24), new(TunnelAddress.FromIPv4(0x0A63_0000), 16)],
                });
        Assert.True(_network.RunUntil(() => node.IsUp, Later));
        return node;
    }

    private SimulatedNode Join(string name)
    {
        SimulatedNode node = _network.AddClient(name);
        Assert.True(_network.RunUntil(() => node.IsUp, Soon), $"{name} did not join: {node.Node.LastError}");
        _network.Settle();
        return node;
    }
}
