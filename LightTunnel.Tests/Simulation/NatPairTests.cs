using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Routing;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Two members behind NATs: those that can be direct without guessing ports are, the others are relayed and keep talking.
/// </summary>
public sealed class NatPairTests
{
    private static readonly WireConditions Conditions = new() { Delay = TimeSpan.FromMilliseconds(10) };

    public static TheoryData<string, string> DirectPairs()
    {
        var pairs = new TheoryData<string, string>();
        foreach (NatKind first in NatKinds.All)
        {
            foreach (NatKind second in NatKinds.All.Where(second => second >= first && NatKinds.CanBeDirect(first, second)))
                pairs.Add(first.ToString(), second.ToString());
        }

        return pairs;
    }

    [Theory]
    [MemberData(nameof(DirectPairs))]
    public void Pair_BecomesDirect_AndTalksAllTheWhile(string first, string second)
    {
        using Scene scene = Start(first, second, out SimulatedNode alice, out SimulatedNode bob);
        Assert.True(
            scene.Network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), TimeSpan.FromSeconds(30)),
            $"{alice.Member("bob").Traversal?.State} / {bob.Member("alice").Traversal?.State}; {alice.Client.Nat} / {bob.Client.Nat}");
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(5));
        scene.Network.Run(TimeSpan.FromMinutes(3));
        Assert.True(IsDirect(alice, "bob") && IsDirect(bob, "alice"), "The idle path was lost.");
    }

    [Theory]
    [InlineData(nameof(NatKind.SymmetricRandom), nameof(NatKind.SymmetricRandom))]
    [InlineData(nameof(NatKind.UdpBlocked), nameof(NatKind.Open))]
    public void PairThatCannotBeDirect_TalksThroughTheServer(string first, string second)
    {
        if (first == nameof(NatKind.UdpBlocked))
        {
            // A firewall that blocks all UDP keeps the member from the server too: it is never admitted, and says why.
            using var blocked = new Scene(1, Conditions);
            blocked.Internet.AddLan("home", NatKind.UdpBlocked, "alice");
            blocked.Network.StartServer();
            SimulatedNode alone = blocked.Network.AddClient("alice", host: "alice");
            blocked.Network.Run(TimeSpan.FromSeconds(10));
            Assert.Equal(LightTunnelError.ServerUnreachable, alone.Client.Unreachable().Error);
            return;
        }

        using Scene scene = Start(first, second, out SimulatedNode alice, out _);
        scene.Network.Run(TimeSpan.FromSeconds(20));
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(5));
        Assert.Equal(PathType.Server, alice.Peer("bob").PathType);
    }

    [Fact]
    public void TwoMembersOfOneLan_AreLocal_EvenWithoutHairpinning()
    {
        using var scene = new Scene(1, Conditions);
        scene.Internet.AddLan("home", NatKind.SameLanNoHairpin, "alice", "bob");
        scene.Network.StartServer();
        SimulatedNode alice = scene.Join("alice");
        SimulatedNode bob = scene.Join("bob");
        Assert.True(scene.Network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), TimeSpan.FromSeconds(3)));
        Assert.Equal(PathType.Lan, alice.Peer("bob").PathType);
        Assert.Equal(150, alice.Peer("bob").Quality);
    }

    [Fact]
    public void BothSymmetric_WithIPv6_AreDirectByIt()
    {
        using var scene = new Scene(1, Conditions);
        foreach ((string lan, string host) in new[] { ("left", "alice"), ("right", "bob") })
        {
            SimulatedHost made = scene.Internet.AddLan(lan, NatKind.SymmetricRandom, host)[0];
            scene.Internet.AddAddressV6(made, lan == "left" ? "2001:db8:1::a" : "2001:db8:2::b");
        }

        scene.Network.StartServer();
        SimulatedNode alice = scene.Join("alice"), bob = scene.Join("bob");
        Assert.True(scene.Network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), TimeSpan.FromSeconds(2)));
        Assert.False(alice.Member("bob").DirectPath!.Key.Endpoint.IsIPv4);
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void BothSymmetric_OneRouterForwardsAPort_AreDirectByIt()
    {
        using var scene = new Scene(1, Conditions);
        scene.Internet.AddLan("left", [NatKinds.Layers(NatKind.SymmetricRandom)[0] with { Forwarding = PortForwarding.Pcp }], "alice");
        scene.Internet.AddLan("right", NatKind.SymmetricRandom, "bob");
        scene.Network.StartServer();
        SimulatedNode alice = scene.Join("alice"), bob = scene.Join("bob");
        Assert.True(scene.Network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), TimeSpan.FromSeconds(2)));
        Assert.Equal(alice.Client.PortMapping, bob.Member("alice").DirectPath!.Key.Endpoint);
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void AdvertisedEndpoint_IsTriedAndUsed()
    {
        using var scene = new Scene(1, Conditions);
        scene.Internet.AddLan("left", [NatKinds.Layers(NatKind.SymmetricRandom)[0] with { Forwarding = PortForwarding.Pcp }], "alice");
        scene.Internet.AddLan("right", NatKind.SymmetricRandom, "bob");
        scene.Network.StartServer();
        // Somebody has set up the router by hand, and tells what it forwards.
        SimulatedHost home = scene.Internet.Hosts["alice"];
        Assert.True(scene.Internet.Nats["left"].Nat.TryForward(
            scene.Time.Elapsed, NatProtocol.Udp, new UdpEndpoint(home.Address, 49152), 7777, TimeSpan.FromHours(1),
            out UdpEndpoint forwarded));
        SimulatedNode alice = scene.Network.AddClient(
            "alice", host: "alice", change: options => options with { PortMapping = false, AdvertisedEndpoints = [forwarded] });
        scene.Clients.Add(alice);
        SimulatedNode bob = scene.Join("bob");
        Assert.True(scene.Network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), TimeSpan.FromSeconds(2)));
        Assert.Equal(forwarded, bob.Member("alice").DirectPath!.Key.Endpoint);
    }

    [Fact]
    public void PublicMemberBehindAFirewall_IsToldApartFromANat()
    {
        using var scene = new Scene(1, Conditions);
        scene.Internet.AddLan("left", NatKind.Open, "alice");
        scene.Internet.AddLan("right", NatKind.PortRestrictedCone, "bob");
        scene.Internet.CutBetween(scene.Internet.Hosts["alice"], scene.Internet.Hosts["bob"]);
        scene.Network.StartServer();
        SimulatedNode blocked = scene.Join("alice");
        scene.Join("bob");
        scene.Network.Run(TimeSpan.FromSeconds(10));
        Assert.Equal(PathReason.UdpBlocked, blocked.Peer("bob").Reason);
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void NatReboot_IsRecoveredFrom()
    {
        using Scene scene = Start(
            nameof(NatKind.PortRestrictedCone), nameof(NatKind.PortRestrictedCone), out SimulatedNode alice, out SimulatedNode bob);
        Assert.True(scene.Network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), TimeSpan.FromSeconds(5)));
        foreach (SimulatedNat nat in scene.Internet.Nats.Values)
            nat.Reboot();
        scene.Network.Run(TimeSpan.FromSeconds(40));
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(10));
        Assert.True(scene.Network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), TimeSpan.FromSeconds(60)));
    }

    /// <summary>
    /// Packets that wait for keys are traffic: a dead path is left within a second, and the next handshake, 5.3 s after the first, goes
    /// by the server.
    /// </summary>
    [Fact]
    public void FirstPacket_AfterTheIdlePathDied_ArrivesThroughTheServer()
    {
        using Scene scene = Start(
            nameof(NatKind.PortRestrictedCone), nameof(NatKind.PortRestrictedCone), out SimulatedNode alice, out SimulatedNode bob);
        Assert.True(scene.Network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), TimeSpan.FromSeconds(5)));
        scene.Internet.CutBetween(scene.Internet.Hosts["alice"], scene.Internet.Hosts["bob"]);
        alice.Send(bob.Address, "hello");
        Assert.True(scene.Network.RunUntil(() => bob.TakeReceived().Contains("hello"), TimeSpan.FromSeconds(6)));
    }

    /// <summary>
    /// Both sides pause between their guesses, ever longer. Unless both guess at the same time, thousands of datagrams are for nothing.
    /// </summary>
    [Fact]
    public void Guesses_AfterManyFailures_AreMadeByBothAtOnce()
    {
        using var scene = new Scene(1, Conditions);
        scene.Internet.AddLan("left", NatKind.SymmetricRandom, "alice");
        scene.Internet.AddLan("right", NatKind.PortRestrictedCone, "bob");
        scene.Internet.CutBetween(scene.Internet.Hosts["alice"], scene.Internet.Hosts["bob"]);
        scene.Network.StartServer();
        SimulatedNode alice = scene.Join("alice"), bob = scene.Join("bob");
        scene.Network.Run(TimeSpan.FromMinutes(8));
        scene.Internet.HealBetween(scene.Internet.Hosts["alice"], scene.Internet.Hosts["bob"]);
        Assert.True(scene.Network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), TimeSpan.FromMinutes(20)));
    }

    /// <summary>
    /// A new public address is no sign that the mapping depends on the destination: what was seen before and after it must not be compared.
    /// </summary>
    [Fact]
    public void NewPublicAddress_IsNotTakenForASymmetricNat()
    {
        using Scene scene = Start(
            nameof(NatKind.PortRestrictedCone), nameof(NatKind.PortRestrictedCone), out SimulatedNode alice, out SimulatedNode bob);
        Assert.True(scene.Network.RunUntil(() => IsDirect(alice, "bob") && IsDirect(bob, "alice"), TimeSpan.FromSeconds(5)));
        scene.Network.Run(TimeSpan.FromSeconds(10));
        Assert.Equal("Port-Restricted Cone", alice.Client.Nat.ClassicName);
        scene.Internet.Nats["left"].ChangeAddress();
        for (int i = 0; i < 240; i++)
        {
            alice.Send(bob.Address, "to bob");
            bob.Send(alice.Address, "to alice");
            scene.Network.Run(TimeSpan.FromMilliseconds(250));
        }

        // Whom it lets in can be tested again when it has forgotten what was sent to the server's other port.
        Assert.Equal("Unknown", alice.Client.Nat.ClassicName);
        Assert.Equal(EndpointDependence.EndpointIndependent, alice.Client.Nat.Mapping);
        Assert.True(scene.Network.RunUntil(() => alice.Client.Nat.ClassicName == "Port-Restricted Cone", TimeSpan.FromMinutes(6)));
    }

    private static Scene Start(string first, string second, out SimulatedNode alice, out SimulatedNode bob)
    {
        var scene = new Scene(1, Conditions);
        scene.Internet.AddLan("left", Enum.Parse<NatKind>(first), "alice");
        scene.Internet.AddLan("right", Enum.Parse<NatKind>(second), "bob");
        scene.Network.StartServer();
        alice = scene.Join("alice");
        bob = scene.Join("bob");
        return scene;
    }

    private static bool IsDirect(SimulatedNode node, string peer) =>
        node.Node.Peers.SingleOrDefault(each => each.Name == peer)?.PathType is PathType.Direct or PathType.Lan;
}
