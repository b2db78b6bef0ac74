using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;
using LightTunnel.Routing;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>Two members that cannot be direct, a third that both reach, and a server that is further away.</summary>
public sealed class MemberRelayTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);

    [Fact]
    public void NearMember_RelaysWhatTheServerWouldCarryFurther_AndCannotReadIt()
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob, out SimulatedNode carol);
        long byServer = 0;
        Assert.Equal(0, Talk(scene, alice, bob, () => IsRelayed(alice, bob) && IsRelayed(bob, alice), Soon));
        Assert.True(IsRelayed(alice, bob) && IsRelayed(bob, alice), $"{alice.Peer("bob").PathType} {bob.Peer("alice").PathType}");
        Assert.Equal(PathReason.RelayIsBetter, alice.Peer("bob").Reason);
        Assert.InRange(alice.Peer("bob").RoundTrip!.Value.TotalMilliseconds, 19, 45);

        byServer = scene.Network.Server.Inbound.RelayedPackets;
        long packets = carol.Inbound.Packets;
        Assert.Equal(0, Talk(scene, alice, bob, () => false, Soon));
        Assert.InRange(scene.Network.Server.Inbound.RelayedPackets - byServer, 0, 20);
        Assert.True(carol.Inbound.RelayedPackets > 500);
        Assert.Equal(packets, carol.Inbound.Packets);
        Assert.Empty(carol.TakeReceived());
    }

    [Fact]
    public void RelayDies_TheServerTakesOverWithinASecond()
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob, out SimulatedNode carol);
        Talk(scene, alice, bob, () => IsRelayed(alice, bob) && IsRelayed(bob, alice), Soon);
        Assert.True(IsRelayed(alice, bob) && IsRelayed(bob, alice));
        SimulatedNode relay = carol;
        TimeSpan dies = scene.Time.Elapsed + TimeSpan.FromSeconds(2);
        bool isDead = false;
        int lost = Talk(scene, alice, bob, Soon, () =>
        {
            if (isDead || scene.Time.Elapsed < dies)
                return;
            isDead = true;
            scene.Network.Kill(relay);
        });
        Assert.InRange(lost, 1, 2 * 100);
        Assert.Equal(PathType.Server, alice.Peer("bob").PathType);
        Assert.Equal(0, Talk(scene, alice, bob, () => false, Soon));
    }

    [Fact]
    public void RelayGetsSlowerThanTheServer_IsReleased()
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob, out _);
        Talk(scene, alice, bob, () => IsRelayed(alice, bob) && IsRelayed(bob, alice), Soon);
        Assert.True(IsRelayed(alice, bob) && IsRelayed(bob, alice));
        scene.Internet.Hosts["carol"].Uplink.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(70) };
        Assert.Equal(0, Talk(scene, alice, bob, () => false, TimeSpan.FromSeconds(20)));
        Assert.False(IsRelayed(alice, bob) || IsRelayed(bob, alice), $"{alice.Peer("bob").RoundTrip} {bob.Peer("alice").RoundTrip}");
    }

    [Fact]
    public void ServerDies_RelayedMembersGoOn()
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob, out _);
        Talk(scene, alice, bob, () => IsRelayed(alice, bob) && IsRelayed(bob, alice), Soon);
        scene.Network.Kill(scene.Network.Server);
        Assert.Equal(0, Talk(scene, alice, bob, () => false, TimeSpan.FromSeconds(60)));
        Assert.True(IsRelayed(alice, bob) && !alice.IsUp);
    }

    [Fact]
    public void ServerDies_MembersThatItRelayed_FindAMemberThatDoes()
    {
        // The member is further away than the server, so that it is not troubled while there is one.
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob, out _, relayDelay: 90);
        Talk(scene, alice, bob, () => false, Soon);
        Assert.Equal(PathType.Server, alice.Peer("bob").PathType);
        scene.Network.Kill(scene.Network.Server);
        Talk(scene, alice, bob, () => false, TimeSpan.FromSeconds(30));
        Assert.Equal(0, Talk(scene, alice, bob, () => false, Soon));
        Assert.True(IsRelayed(alice, bob) && IsRelayed(bob, alice));
    }

    [Theory]
    [InlineData(false, NatKind.Open)]
    [InlineData(null, NatKind.FullCone)]
    public void MemberThatDoesNotWantTo_DoesNotRelay(bool? allowed, object kind)
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob, out SimulatedNode carol, allowed, (NatKind)kind);
        Talk(scene, alice, bob, () => false, Soon);
        Assert.Equal(PathType.Server, alice.Peer("bob").PathType);
        Assert.Equal(0, carol.Inbound.RelayedPackets);
    }

    [Fact]
    public void Relay_PassesOnForMembersOnly()
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob, out SimulatedNode carol);
        Talk(scene, alice, bob, () => IsRelayed(alice, bob), Soon);
        uint from = alice.Node.MemberId, to = bob.Node.MemberId;
        PathAddress way = carol.Member("alice").DirectPath!.Key;
        Assert.True(carol.Client.TryFindTarget(new RelayHeader(from, to), way, out PathAddress target));
        Assert.Equal(carol.Member("bob").DirectPath!.Key, target);

        Assert.False(carol.Client.TryFindTarget(new RelayHeader(to, from), way, out _)); // Somebody else's id.
        Assert.False(carol.Client.TryFindTarget(new RelayHeader(from, from), way, out _));
        Assert.False(carol.Client.TryFindTarget(new RelayHeader(from, 99), way, out _));
        Assert.False(carol.Client.TryFindTarget(new RelayHeader(from, to), new PathAddress(UdpEndpoint.FromIPv4(0xC0000201, 9)), out _));
        // Has not offered it.
        Assert.False(alice.Client.TryFindTarget(new RelayHeader(carol.Node.MemberId, to), alice.Member("carol").DirectPath!.Key, out _));
    }

    /// <summary>Alice and bob behind NATs with random ports, 10 ms from carol and 50 ms from the server.</summary>
    private static Scene Start(
        out SimulatedNode alice, out SimulatedNode bob, out SimulatedNode carol, bool? allowed = null, NatKind kind = NatKind.Open,
        double relayDelay = 0)
    {
        var scene = new Scene(1, new WireConditions { Delay = TimeSpan.FromMilliseconds(5) });
        scene.Internet.Hosts[SimulatedNetwork.ServerHost].Uplink.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(45) };
        scene.Internet.AddLan("left", NatKind.SymmetricRandom, "alice");
        scene.Internet.AddLan("right", NatKind.SymmetricRandom, "bob");
        scene.Internet.DefaultConditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(5 + relayDelay) };
        scene.Internet.AddLan("middle", kind, "carol");
        scene.Network.StartServer();
        alice = scene.Network.AddClient("alice", host: "alice");
        bob = scene.Network.AddClient("bob", host: "bob");
        carol = scene.Network.AddClient("carol", host: "carol", change: options => options with { AllowRelay = allowed });
        scene.Clients.AddRange([alice, bob, carol]);
        SimulatedNode[] pair = [alice, bob];
        SimulatedNode third = carol;
        Assert.True(scene.Network.RunUntil(
            () => scene.Clients.All(client => client.IsUp) && pair.All(node => IsDirect(node, third) && IsDirect(third, node)),
            TimeSpan.FromSeconds(30)));
        return scene;
    }

    /// <summary>
    /// Both send to each other until the condition holds or the time is over; returns how many packets were lost of both.
    /// </summary>
    private static int Talk(Scene scene, SimulatedNode first, SimulatedNode second, TimeSpan duration, Action meanwhile) =>
        Talk(scene, first, second, () => Never(meanwhile), duration);

    private static bool Never(Action meanwhile)
    {
        meanwhile();
        return false;
    }

    private static int Talk(Scene scene, SimulatedNode first, SimulatedNode second, Func<bool> until, TimeSpan atMost)
    {
        scene.Network.Run(TimeSpan.FromMilliseconds(500));
        first.TakeReceived();
        second.TakeReceived();
        int sent = 0;
        for (TimeSpan end = scene.Time.Elapsed + atMost; scene.Time.Elapsed < end && !until(); sent += 2)
        {
            first.Send(second.Address, $"{sent}");
            second.Send(first.Address, $"{sent}");
            scene.Network.Run(Interval);
        }

        scene.Network.Run(TimeSpan.FromMilliseconds(500));
        List<string> received = [.. first.TakeReceived(), .. second.TakeReceived()];
        Assert.Equal(received.Count, first.TakeReceived().Count + second.TakeReceived().Count + received.Count);
        return sent - received.Count;
    }

    private static bool IsDirect(SimulatedNode node, SimulatedNode to) =>
        node.Node.Peers.FirstOrDefault(peer => peer.Name == to.Name)?.PathType is PathType.Direct or PathType.Lan;

    private static bool IsRelayed(SimulatedNode node, SimulatedNode to) => node.Peer(to.Name).PathType == PathType.Relay;
}
