using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Routing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A server and clients from end to end: real nodes, an in-memory internet, a fake clock.</summary>
public sealed class WholeNetworkTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);
    private static readonly TunnelAddress ServerAddress = Address("10.0.0.1");

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };

    public void Dispose() => _network.Dispose();

    [Fact]
    public void Client_Joins_AndBothReachEachOtherAtOnce()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");

        alice.Send(ServerAddress, "to server");
        server.Send(alice.Address, "to client");
        _network.Settle();

        Assert.Equal("10.0.0.2", alice.Address.ToString());
        Assert.Equal(["to server"], server.TakeReceived());
        Assert.Equal(["to client"], alice.TakeReceived());
        Assert.True(alice.Client.Connected.IsCompletedSuccessfully);
        Assert.Equal(alice.Host, alice.Client.PublicEndpoint.Address.ToString());
    }

    [Fact]
    public void TwoClients_TalkThroughTheServer_WhichCannotRead()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        _network.Settle();

        alice.Send(bob.Address, "first packet of a link");
        Assert.True(_network.RunUntil(() => bob.Tun.WrittenCount == 1, Soon));
        bob.Send(alice.Address, "and back");
        _network.Settle();

        Assert.Equal(["first packet of a link"], bob.TakeReceived());
        Assert.Equal(["and back"], alice.TakeReceived());
        Assert.Empty(server.TakeReceived());
        Assert.Equal(0, server.Inbound.Packets);
        Assert.True(server.Inbound.RelayedPackets >= 4);
        Assert.Equal(PathType.Server, alice.Peer("bob").PathType);
        Assert.True(_network.RunUntil(
            () => alice.LogLines.Contains($"⚠ P2P connection to {bob.Address} not established, will use server relay"),
            TimeSpan.FromSeconds(15)));
    }

    [Fact]
    public void RelayedPeer_IsMeasured_AndHasTheContractsQuality()
    {
        _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        alice.Send(bob.Address, "hello");
        _network.Run(TimeSpan.FromSeconds(12));

        Peer peer = alice.Peer("bob");
        Assert.True(peer.Monitor.IsProven);
        Assert.Equal(70, peer.Quality);
        Assert.Equal(120, alice.Peer("hub").Quality);
        Assert.Contains("Routing stats: 1 peers, 0 direct, 0 relay, 1 server", alice.LogLines);
        Assert.Contains($"  Peer {bob.Address}: route=SERVER-RELAY quality=70 status=disconnected throughServer=true", alice.LogLines);
    }

    [Fact]
    public void Directory_TellsMembersOfComingAndGoing()
    {
        _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        _network.Settle();
        Assert.True(alice.Peer("bob").Online);

        _network.Stop(bob);
        _network.Run(Soon);
        Assert.False(alice.Peer("bob").Online);

        alice.Send(Address("10.0.0.3"), "too late");
        _network.Settle();
        Assert.Equal(["icmp 3/1"], alice.TakeReceived());
    }

    [Fact]
    public void ClientThatVanishes_IsOfflineAfterAWhile()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        _network.Kill(bob);

        Assert.True(_network.RunUntil(() => !alice.Peer("bob").Online, TimeSpan.FromSeconds(60)));
        Assert.False(server.Peer("bob").Online);
        Assert.True(server.Peer("alice").Online);
    }

    [Fact]
    public void IdleNetwork_StaysUp_WithFewDatagrams()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        Join("bob");
        _network.Run(TimeSpan.FromSeconds(30));
        long before = _network.Internet.Sent;
        _network.Run(TimeSpan.FromMinutes(10));

        Assert.True(alice.IsUp);
        Assert.All(server.Node.Peers, peer => Assert.True(peer.Online));
        Assert.InRange(_network.Internet.Sent - before, 100, 700); // An attempt a minute to reach each other directly included.
    }

    [Fact]
    public void ServerRestart_IsSurvived_WithAddressesAndLinksKept()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        alice.Send(bob.Address, "before");
        _network.Run(Soon);
        bob.TakeReceived();
        TunnelAddress address = alice.Address;

        _network.Kill(server);
        _network.Run(TimeSpan.FromSeconds(20));
        Assert.False(alice.IsUp);
        Assert.Equal(LightTunnel.Engine.Control.TunnelState.Reconnecting, alice.Node.State);
        Assert.NotNull(alice.Node.LastError);
        server = _network.StartServer();
        Assert.True(_network.RunUntil(() => alice.IsUp && bob.IsUp, TimeSpan.FromSeconds(30)));

        Assert.Equal(address, alice.Address);
        Assert.Equal(1, alice.Client.Reconnects);
        alice.Send(bob.Address, "after");
        server.Send(alice.Address, "from the new server");
        Assert.True(_network.RunUntil(() => bob.Tun.WrittenCount > 0 && alice.Tun.WrittenCount > 0, Soon));
        Assert.Equal(["after"], bob.TakeReceived());
        Assert.Equal(["from the new server"], alice.TakeReceived());
    }

    [Fact]
    public void ServerThatSaysGoodbye_IsLookedForAtOnce()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        _network.Stop(server);
        _network.Settle();

        Assert.Equal(LightTunnel.Engine.Control.TunnelState.Reconnecting, alice.Node.State);
        _network.StartServer();
        Assert.True(_network.RunUntil(() => alice.IsUp, TimeSpan.FromSeconds(3)));
    }

    [Theory]
    [InlineData(true, 10)]
    [InlineData(false, 30)]
    public void DeadServer_IsNoticed_InTime(bool underTraffic, int seconds)
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        _network.Run(TimeSpan.FromSeconds(25));
        _network.Kill(server);
        DateTimeOffset killed = _network.Time.GetUtcNow();

        for (int i = 0; alice.IsUp && i < 200; i++)
        {
            if (underTraffic)
                alice.Send(ServerAddress, "anybody there?");
            _network.Run(TimeSpan.FromMilliseconds(200));
        }

        Assert.False(alice.IsUp);
        Assert.InRange((_network.Time.GetUtcNow() - killed).TotalSeconds, 0, seconds);
    }

    [Fact]
    public void ShortCut_WithoutRestart_NeedsNoNewRegistration()
    {
        _network.StartServer();
        SimulatedNode alice = Join("alice");
        _network.Filter = (in from, in to, datagram) => false;
        Assert.True(_network.RunUntil(() => !alice.IsUp, TimeSpan.FromSeconds(30)));
        _network.Filter = null;
        Assert.True(_network.RunUntil(() => alice.IsUp, TimeSpan.FromSeconds(20)));
        alice.Send(ServerAddress, "back");
        _network.Settle();
        Assert.Equal(["back"], _network.Server.TakeReceived());
    }

    [Fact]
    public void ServersNewAddress_IsFound_ByResolvingAgain()
    {
        _network.Resolver.Names["hub.example.org"] = [IPAddress.Parse("192.0.2.99"), IPAddress.Parse(SimulatedNetwork.ServerHost)];
        _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice", server: "hub.example.org");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));

        // The server moves: same key, another machine.
        SimulatedNode server = _network.Server;
        _network.Resolver.Names["hub.example.org"] = [IPAddress.Parse("203.0.113.77")];
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) =>
            to.Address.ToString() != SimulatedNetwork.ServerHost && from.Address.ToString() != SimulatedNetwork.ServerHost;
        Assert.True(_network.RunUntil(() => !alice.IsUp, TimeSpan.FromSeconds(30)));
        int lookups = _network.Resolver.Lookups;
        _network.Run(TimeSpan.FromSeconds(10));
        Assert.True(_network.Resolver.Lookups > lookups);
        Assert.NotNull(server);
    }

    [Fact]
    public void AskedForAddress_IsGiven_AndKeptForItsKey()
    {
        _network.StartServer();
        using PrivateKey identity = PrivateKey.Generate();
        SimulatedNode alice = Join("alice", "10.0.0.20", identity);
        Assert.Equal("10.0.0.20", alice.Address.ToString());
        _network.Stop(alice);

        SimulatedNode thief = _network.AddClient("thief", "10.0.0.20");
        Assert.True(_network.RunUntil(() => thief.Client.Connected.IsFaulted, Soon));
        var refusal = Assert.IsType<LightTunnelException>(thief.Client.Connected.Exception!.InnerException);
        Assert.Equal(LightTunnelError.AddressTaken, refusal.Error);
    }

    [Fact]
    public void ServerFull_RefusesTheNext_AndTakesItWhenSomebodyLeft()
    {
        _network.StartServer(options => options with { MaxClients = 1 });
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => bob.Client.Connected.IsFaulted, Soon));
        Assert.Equal(LightTunnelError.ServerFull, ((LightTunnelException)bob.Client.Connected.Exception!.InnerException!).Error);

        _network.Stop(alice);
        Join("carol");
    }

    [Fact]
    public void WrongNetworkKey_IsNotAdmitted_AndTheReasonIsTold()
    {
        SimulatedNode server = _network.StartServer();
        using PresharedKey wrong = PresharedKey.Generate();
        SimulatedNode mallory = _network.AddClient("mallory", networkKey: wrong);
        Assert.True(_network.RunUntil(() => mallory.Client.Connected.IsFaulted, TimeSpan.FromSeconds(5)), "It waits for what cannot come.");

        Assert.False(mallory.IsUp);
        var failure = Assert.IsType<LightTunnelException>(mallory.Client.Connected.Exception!.InnerException);
        Assert.Equal(LightTunnelError.InvalidKey, failure.Error);
        Assert.Empty(server.Node.Peers);
    }

    [Fact]
    public void WrongServerKey_GetsNoAnswer()
    {
        _network.StartServer();
        using PrivateKey other = PrivateKey.Generate();
        SimulatedNode mallory = _network.AddClient("mallory", serverKey: other.PublicKey);
        _network.Run(TimeSpan.FromSeconds(8));

        Assert.False(mallory.IsUp);
        Assert.Equal(LightTunnelError.ServerUnreachable, mallory.Client.Unreachable().Error);
    }

    [Fact]
    public void ServerInsideTheTunnelsOwnNetwork_IsRefused_AsTheTunnelCannotCarryItself()
    {
        _network.StartServer(null, "203.0.113.200/24");
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.Client.Connected.IsFaulted, Soon));
        var failure = Assert.IsType<LightTunnelException>(alice.Client.Connected.Exception!.InnerException);
        Assert.Equal(LightTunnelError.InvalidAddress, failure.Error);
        Assert.Empty(alice.Tun.Addresses);
        _network.Settle();
        Assert.Empty(_network.Server.Node.Peers);
    }

    [Fact]
    public void ClientIsolation_SeparatesClients_ButNeverFromTheServer()
    {
        SimulatedNode server = _network.StartServer(options => options with { ClientIsolation = true });
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");

        alice.Send(bob.Address, "psst");
        alice.Send(ServerAddress, "hello");
        server.Send(bob.Address, "hi");
        _network.Run(Soon);

        Assert.Equal(["hi"], bob.TakeReceived());
        Assert.Equal(["icmp 3/13"], alice.TakeReceived());
        Assert.Equal(["hello"], server.TakeReceived());
        Assert.Equal(["client isolation"], _network.Rules().List().Select(rule => rule.Name));
        Assert.Equal(1, alice.Node.Rules.DroppedBy(0));
    }

    [Fact]
    public void PacketWithForeignSource_IsDropped_AndCounted()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");

        // Alice's own node would not send it, so the packet goes past it, straight into the link.
        byte[] forged = TestPackets.Udp(bob.Address, ServerAddress, "I am Bob"u8);
        byte[] datagram = new byte[forged.Length + 64];
        Assert.Equal(SealResult.Sealed, alice.Peer("hub").Link!.SealCopy(forged, datagram, 1400, out int written));
        alice.Transport.Send(datagram.AsSpan(0, written), alice.Peer("hub").Path.Endpoint);
        alice.Send(ServerAddress, "spoofed", source: bob.Address);
        _network.Settle();

        Assert.Empty(server.TakeReceived());
        Assert.Equal(1, server.Inbound.Dropped(DropReason.WrongSource));
        Assert.Equal(1, server.Peer("alice").WrongSourcePackets);
        Assert.Equal(1, alice.Outbound.Dropped(DropReason.WrongSource));
    }

    [Fact]
    public void ServersOwnAddressFromItsTun_IsDropped_WithTheContractsWarning()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        for (int i = 0; i < 100; i++)
            server.Tun.Inject(TestPackets.Udp(alice.Address, ServerAddress, "loop"u8));
        _network.Settle();

        Assert.Empty(alice.TakeReceived());
        Assert.Equal(100, server.Outbound.Dropped(DropReason.OwnDestination));
        Assert.Single(
            server.LogLines,
            "WARNING: Unexpected packet from TUN destined for server itself (dstIP=10.0.0.1). This might indicate a routing loop.");
    }

    [Fact]
    public void UnroutableAndOversized_AreAnsweredByIcmp()
    {
        _network.StartServer();
        SimulatedNode alice = Join("alice");
        alice.Send(Address("10.0.0.77"), "nobody");
        alice.Send(ServerAddress, new string('x', 1450));
        _network.Settle();

        Assert.Equal(["icmp 3/1", "icmp 3/4"], alice.TakeReceived());
    }

    [Fact]
    public void IPv6Inside_WorksBesideIPv4()
    {
        SimulatedNode server = _network.StartServer(null, "10.0.0.1/24", "fd00:17::1/64");
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        TunnelAddress alice6 = alice.Node.Forwarding.OwnAddresses[1].Address;
        TunnelAddress bob6 = bob.Node.Forwarding.OwnAddresses[1].Address;

        alice.Send(bob6, "six", alice6);
        alice.Send(Address("fd00:17::1"), "to the server", alice6);
        alice.Send(Address("fd00:17::abcd"), "nobody", alice6);
        _network.Run(Soon);

        Assert.Equal(["six"], bob.TakeReceived());
        Assert.Equal(["to the server"], server.TakeReceived());
        Assert.Equal(["icmp 1/3"], alice.TakeReceived());
    }

    [Fact]
    public void ReplayedAndForgedDatagrams_AreDropped()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        var captured = new List<byte[]>();
        UdpEndpoint hub = alice.Peer("hub").Path.Endpoint;
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram) =>
        {
            if (to == hub)
                captured.Add(datagram.ToArray());
            return true;
        };
        alice.Send(ServerAddress, "once");
        _network.Settle();
        _network.Filter = null;

        byte[] original = captured[0]; // What follows asks how long packets may be.
        for (int i = 0; i < 5; i++)
            alice.Transport.Send(original, hub);
        byte[] forged = [.. original];
        forged[^1] ^= 1;
        alice.Transport.Send(forged, hub);
        _network.Settle();

        Assert.Equal(["once"], server.TakeReceived());
        Assert.Equal(5, server.Inbound.Dropped(DropReason.Replayed));
        Assert.Equal(1, server.Inbound.Dropped(DropReason.Forged));
    }

    [Fact]
    public void Relay_RefusesStrangers_AndForgedSenders()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        using SimulatedSocket stranger = _network.Internet.HostOf("192.0.2.66").Open(4000);
        byte[] datagram = new byte[RelayHeader.Size + 64];
        new RelayHeader(alice.Node.MemberId, bob.Node.MemberId).Write(datagram);
        datagram[RelayHeader.Size] = 4;
        stranger.Send(datagram, new UdpEndpoint(IPAddress.Parse(SimulatedNetwork.ServerHost), SimulatedNetwork.ServerPort));
        long relayed = server.Inbound.RelayedPackets;
        _network.Settle();

        Assert.Equal(relayed, server.Inbound.RelayedPackets);
        Assert.Equal(1, server.Inbound.Dropped(DropReason.RelayRefused));
    }

    [Fact]
    public void ManyClients_UnderLossAndReordering_AllReachEachOther()
    {
        var conditions = new WireConditions
        {
            Delay = TimeSpan.FromMilliseconds(20), Jitter = TimeSpan.FromMilliseconds(10), Reorders = true, Loss = 0.05, Duplication = 0.02,
            Reordering = 0.1, ReorderDelay = TimeSpan.FromMilliseconds(15),
        };
        _network.Conditions = conditions;
        _network.StartServer();
        SimulatedNode[] clients = [.. Enumerable.Range(0, 12).Select(i => _network.AddClient($"client{i}"))];
        Assert.True(_network.RunUntil(() => clients.All(client => client.IsUp), TimeSpan.FromSeconds(30)));
        Assert.True(_network.RunUntil(() => clients.All(client => client.Node.Peers.Count() == 12), TimeSpan.FromSeconds(10)));

        var missing = new HashSet<(string From, string To)>();
        for (int round = 0; round < 20 && (round == 0 || missing.Count > 0); round++)
        {
            foreach (SimulatedNode from in clients)
            {
                foreach (SimulatedNode to in clients.Where(to => to != from && (round == 0 || missing.Contains((from.Name, to.Name)))))
                {
                    missing.Add((from.Name, to.Name));
                    from.Send(to.Address, from.Name);
                }
            }

            _network.Run(Soon);
            foreach (SimulatedNode to in clients)
            {
                foreach (string from in to.TakeReceived())
                    missing.Remove((from, to.Name));
            }
        }

        Assert.Empty(missing);
    }

    [Fact]
    public void Rekeying_ForHours_LosesNothing()
    {
        _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        int sent = 0;
        for (; sent < 400; sent++)
        {
            alice.Send(bob.Address, $"packet {sent}");
            _network.Run(TimeSpan.FromSeconds(19));
        }

        Assert.Equal(sent, bob.TakeReceived().Count);
    }

    private static TunnelAddress Address(string text)
    {
        Assert.True(TunnelAddress.TryParse(text, out TunnelAddress address));
        return address;
    }

    private SimulatedNode Join(string name, string? address = null, PrivateKey? identity = null)
    {
        SimulatedNode node = _network.AddClient(name, address, identity: identity);
        Assert.True(_network.RunUntil(() => node.IsUp, Soon), $"{name} did not join: {node.Node.LastError}");
        _network.Settle();
        return node;
    }
}
