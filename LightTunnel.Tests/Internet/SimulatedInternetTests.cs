using System.Net;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Packets;
using LightTunnel.Tests.Simulation;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Internet;

/// <summary>The simulated internet itself, by plain sockets.</summary>
public sealed class SimulatedInternetTests
{
    private readonly VirtualTime _time = new();
    private readonly PacketBatch _batch = new(64, 1500);
    private readonly SimulatedInternet _internet;
    private readonly SimulatedHost _server;
    private readonly SimulatedSocket _listener;

    public SimulatedInternetTests()
    {
        _internet = new SimulatedInternet(_time, seed: 1);
        _server = _internet.AddHost("server", address: "203.0.113.1");
        _listener = _server.Open(9000);
    }

    private UdpEndpoint ServerEndpoint => new(_server.Address, 9000);

    [Fact]
    public void Send_Delays_AddUpOverTheWires()
    {
        SimulatedHost alice = _internet.AddLan("home", NatKind.FullCone, "alice")[0];
        _internet.Nats["home"].Uplink.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(15) };
        alice.Uplink.Up.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(1) };
        _server.Uplink.Down.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(4) };
        alice.Open(0).Send("x"u8, ServerEndpoint);

        Pass(19.9);
        Assert.Empty(Take(_listener));
        Pass(0.1);
        Assert.Equal(["x"], Texts(_listener));
    }

    [Theory]
    [InlineData(nameof(NatKind.FullCone), nameof(NatKind.SymmetricRandom), true)]
    [InlineData(nameof(NatKind.RestrictedCone), nameof(NatKind.SymmetricRandom), true)]
    [InlineData(nameof(NatKind.PortRestrictedCone), nameof(NatKind.PortRestrictedCone), true)]
    [InlineData(nameof(NatKind.CarrierGrade), nameof(NatKind.PortRestrictedCone), true)]
    [InlineData(nameof(NatKind.CarrierGrade), nameof(NatKind.CarrierGrade), true)]
    [InlineData(nameof(NatKind.Open), nameof(NatKind.SymmetricRandom), true)]
    [InlineData(nameof(NatKind.PortRestrictedCone), nameof(NatKind.SymmetricRandom), false)]
    [InlineData(nameof(NatKind.SymmetricSequential), nameof(NatKind.SymmetricRandom), false)]
    [InlineData(nameof(NatKind.FullCone), nameof(NatKind.UdpBlocked), false)]
    public void SimplePunching_BothSendToWhatTheServerSaw_WorksWhereItShould(string first, string second, bool works)
    {
        SimulatedSocket alice = _internet.AddLan("first", Enum.Parse<NatKind>(first), "alice")[0].Open(5000);
        SimulatedSocket bob = _internet.AddLan("second", Enum.Parse<NatKind>(second), "bob")[0].Open(5000);
        UdpEndpoint aliceSeen = SeenFrom(alice), bobSeen = SeenFrom(bob);

        for (int round = 0; round < 3; round++)
        {
            alice.Send("from alice"u8, bobSeen.IsSpecified ? bobSeen : ServerEndpoint);
            bob.Send("from bob"u8, aliceSeen);
            _internet.Pump();
            foreach ((_, UdpEndpoint from) in Take(alice))
                alice.Send("answer to bob"u8, from);
            _internet.Pump();
        }

        Assert.Equal(works, Texts(bob).Contains("answer to bob"));
    }

    [Fact]
    public void LocalNetwork_IsReachedByPrivateAddress_AndTheSameAddressElsewhereIsSomebodyElse()
    {
        SimulatedHost[] home = _internet.AddLan("home", NatKind.SameLanNoHairpin, "alice", "bob");
        SimulatedHost[] other = _internet.AddLan("other", NatKind.SameLanNoHairpin, "carol", "dave");
        SimulatedSocket alice = home[0].Open(5000), bob = home[1].Open(5000), carol = other[0].Open(5000), dave = other[1].Open(5000);
        Assert.Equal(home[1].Address, other[1].Address);

        alice.Send("to bob"u8, new UdpEndpoint(home[1].Address, 5000));
        carol.Send("to bob, she thinks"u8, new UdpEndpoint(home[1].Address, 5000));
        _internet.Pump();

        Assert.Equal(["to bob"], Texts(bob));
        Assert.Equal(["to bob, she thinks"], Texts(dave));
        UdpEndpoint bobSeen = SeenFrom(bob);
        alice.Send("hairpin"u8, bobSeen);
        _internet.Pump();
        Assert.Empty(Take(bob));
        Assert.Equal(1, _internet.Nats["home"].Nat[NatVerdict.NoHairpinning]);
    }

    [Fact]
    public void SeveralSockets_HaveMappingsOfTheirOwn()
    {
        SimulatedHost alice = _internet.AddLan("home", NatKind.SymmetricRandom, "alice")[0];
        SimulatedSocket[] sockets = [.. Enumerable.Range(0, 256).Select(_ => alice.Open(0))];
        UdpEndpoint[] seen = [.. sockets.Select(SeenFrom)];

        Assert.Equal(256, seen.Distinct().Count());
        Assert.Equal(256, alice.Sockets.Count());
        _listener.Send("to the last"u8, seen[255]);
        _internet.Pump();
        Assert.Equal(["to the last"], Texts(sockets[255]));
        sockets[255].Dispose();
        _listener.Send("nobody"u8, seen[255]);
        long delivered = _internet.Delivered;
        _internet.Pump();
        Assert.Equal((delivered, 255), (_internet.Delivered, alice.Sockets.Count()));
        Assert.Throws<LightTunnelException>(() => alice.Open(sockets[0].LocalPort));
    }

    [Fact]
    public void CutsAndHeals_OfWiresAndOfPairs()
    {
        SimulatedHost alice = _internet.AddHost("alice"), bob = _internet.AddHost("bob");
        SimulatedSocket fromAlice = alice.Open(1), fromBob = bob.Open(1);
        string[] Reached()
        {
            fromAlice.Send("alice-bob"u8, new UdpEndpoint(bob.Address, 1));
            fromBob.Send("bob-alice"u8, new UdpEndpoint(alice.Address, 1));
            fromAlice.Send("alice-server"u8, ServerEndpoint);
            _internet.Pump();
            return [.. Texts(fromAlice).Concat(Texts(fromBob)).Concat(Texts(_listener)).Order()];
        }

        string[] all = ["alice-bob", "alice-server", "bob-alice"];
        Assert.Equal(all, Reached());
        _internet.CutBetween(alice, bob, oneWay: true);
        Assert.Equal(["alice-server", "bob-alice"], Reached());
        _internet.CutBetween(alice, bob);
        Assert.Equal(["alice-server"], Reached());
        _internet.HealBetween(bob, alice);
        Assert.Equal(all, Reached());
        alice.Uplink.Up.IsCut = true;
        Assert.Equal(["bob-alice"], Reached());
        alice.Uplink.IsCut = true;
        Assert.Empty(Reached());
        alice.Uplink.IsCut = false;
        Assert.Equal(all, Reached());
    }

    [Fact]
    public void RebootAddressChangeAndMove_EndOldWays()
    {
        SimulatedHost alice = _internet.AddLan("home", NatKind.FullCone, "alice")[0];
        SimulatedSocket socket = alice.Open(5000);
        bool Arrives(UdpEndpoint at)
        {
            _listener.Send("x"u8, at);
            _internet.Pump();
            return Take(socket).Count > 0;
        }

        UdpEndpoint first = SeenFrom(socket);
        Assert.True(Arrives(first));
        _internet.Nats["home"].Reboot();
        Assert.False(Arrives(first));
        Assert.Equal(first, SeenFrom(socket));

        _internet.Nats["home"].ChangeAddress();
        Assert.False(Arrives(first));
        UdpEndpoint second = SeenFrom(socket);
        Assert.NotEqual(first.Address, second.Address);
        Assert.True(Arrives(second));

        alice.MoveTo(null);
        Assert.False(Arrives(second));
        Assert.Equal(new UdpEndpoint(alice.Address, 5000), SeenFrom(socket));
        alice.MoveTo(_internet.AddNat("cafe", new NatSettings()));
        Assert.Equal(_internet.Nats["cafe"].Address, SeenFrom(socket).Address);
    }

    [Fact]
    public void IPv6_WhenAsked_PassesNatsUntranslated()
    {
        SimulatedHost alice = _internet.AddLan("home", NatKind.CarrierGrade, "alice")[0];
        SimulatedSocket socket = alice.Open(5000);
        var server = new UdpEndpoint(IPAddress.Parse("2001:db8::1"), 9000);
        socket.Send("no way"u8, server);
        Assert.Equal(1, socket.SendErrors);

        _internet.AddAddressV6(alice, "2001:db8::a");
        _internet.AddAddressV6(_server, "2001:db8::1");
        socket.Send("six"u8, server);
        _internet.Pump();
        (string text, UdpEndpoint from) = Assert.Single(Take(_listener));
        Assert.Equal(("six", "[2001:db8::a]:5000"), (text, from.ToString()));
        _listener.Send("back"u8, from);
        _internet.Pump();
        Assert.Equal(["back"], Texts(socket));
    }

    [Fact]
    public void Conditions_LoseDuplicateAndReorderTheirShare()
    {
        SimulatedSocket alice = _internet.AddHost("alice").Open(1);
        _server.Uplink.Down.Conditions = new WireConditions
        {
            Loss = 0.1,
            Duplication = 0.1,
            Reordering = 0.1,
            ReorderDelay = TimeSpan.FromMilliseconds(1),
        };
        var received = new List<string>();
        for (int i = 0; i < 10_000; i++)
        {
            alice.Send(Encoding.ASCII.GetBytes($"{i:D5}"), ServerEndpoint);
            Pass(0.1);
            received.AddRange(Texts(_listener));
        }

        Pass(1);
        received.AddRange(Texts(_listener));
        Assert.InRange(received.Distinct().Count(), 8_850, 9_150);
        Assert.InRange(received.Count - received.Distinct().Count(), 800, 1_000);
        Assert.InRange(received.Zip(received.Skip(1)).Count(pair => string.CompareOrdinal(pair.First, pair.Second) > 0), 700, 1_100);
    }

    [Fact]
    public void TwoHundredNodes_JoinAndStayIdle_InLittleTime()
    {
        using var scene = new Scene(3, new WireConditions { Delay = TimeSpan.FromMilliseconds(10), Loss = 0.01 });
        scene.Network.StartServer(null, "10.0.0.1/16");
        for (int i = 0; i < 200; i++)
        {
            scene.Internet.AddLan($"lan{i}", NatKinds.All[i % (int)NatKind.UdpBlocked], $"host{i}");
            scene.Clients.Add(scene.Network.AddClient($"client{i}", host: $"host{i}"));
        }

        Assert.True(scene.Network.RunUntil(() => scene.Clients.All(client => client.IsUp), TimeSpan.FromSeconds(30)));
        scene.Network.Run(TimeSpan.FromSeconds(20));
        long before = scene.Internet.Sent;
        scene.Network.Run(TimeSpan.FromSeconds(60));

        // A ping and its answer for each client every 10 s, not more than twice that.
        Assert.InRange(scene.Internet.Sent - before, 200 * 6, 200 * 6 * 2 * 2);
    }

    private void Pass(double milliseconds)
    {
        Timestamp end = _time.Now() + TimeSpan.FromMilliseconds(milliseconds);
        for (; _internet.NextDue <= end; _internet.Pump())
            _time.AdvanceTo(_internet.NextDue);
        _time.AdvanceTo(end);
    }

    private List<(string Text, UdpEndpoint From)> Take(SimulatedSocket socket)
    {
        var taken = new List<(string, UdpEndpoint)>();
        while (socket.TryReceive(_batch))
        {
            for (int i = 0; i < _batch.Count; i++)
                taken.Add((Encoding.ASCII.GetString(_batch.Packet(i)), _batch[i].Path.Endpoint));
        }

        return taken;
    }

    private IEnumerable<string> Texts(SimulatedSocket socket) => Take(socket).Select(datagram => datagram.Text);

    /// <summary>The endpoint that the server sees a socket at; unspecified when nothing came through.</summary>
    private UdpEndpoint SeenFrom(SimulatedSocket socket)
    {
        socket.Send("hello"u8, ServerEndpoint);
        _internet.Pump();
        return Take(_listener).SingleOrDefault().From;
    }
}
