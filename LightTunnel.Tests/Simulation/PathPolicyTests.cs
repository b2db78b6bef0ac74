using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;
using LightTunnel.Routing;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>What a person says about paths is kept to, whatever the networks would allow.</summary>
public sealed class PathPolicyTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    [Fact]
    public void RelayOnly_OpenMembers_StayRelayed_AndTheOtherSideSeesNoDirectPathEither()
    {
        using Scene scene = Start(NatKind.Open, PathPolicy.RelayOnly, out SimulatedNode alice, out SimulatedNode bob);
        scene.Network.Run(Soon);
        scene.AssertAllReachEachOther(Soon);
        Assert.Equal(PathType.Server, alice.Peer("bob").PathType);
        Assert.Equal(PathType.Server, bob.Peer("alice").PathType);
        Assert.Equal(PathReason.Policy, alice.Peer("bob").Reason);
    }

    [Fact]
    public void DirectOnly_MembersThatCannotBe_AreRefused_AndTheSystemIsTold()
    {
        using Scene scene = Start(NatKind.SymmetricRandom, PathPolicy.DirectOnly, out SimulatedNode alice, out SimulatedNode bob);
        scene.Network.Run(TimeSpan.FromSeconds(1));
        alice.TakeReceived();
        alice.Send(bob.Address, "not by the server");
        scene.Network.Run(Soon);
        Assert.Empty(bob.TakeReceived());
        Assert.Equal("icmp 3/1", Assert.Single(alice.TakeReceived()));
        Assert.Equal(PathType.Offline, alice.Peer("bob").PathType);
        Assert.Equal(PathReason.Policy, alice.Peer("bob").Reason);
    }

    [Fact]
    public void DirectOnly_MembersThatCanBe_Are()
    {
        using Scene scene = Start(NatKind.PortRestrictedCone, PathPolicy.DirectOnly, out SimulatedNode alice, out SimulatedNode bob);
        Assert.True(scene.Network.RunUntil(
            () => alice.Peer("bob").PathType == PathType.Direct && bob.Peer("alice").PathType == PathType.Direct, Soon));
        scene.AssertAllReachEachOther(Soon);
    }

    [Fact]
    public void PolicyOfOnePeer_WinsOverTheNetworks_AndCanBeChanged()
    {
        using Scene scene = Start(NatKind.PortRestrictedCone, PathPolicy.Auto, out SimulatedNode alice, out SimulatedNode bob);
        Assert.True(scene.Network.RunUntil(() => alice.Peer("bob").PathType == PathType.Direct, Soon));
        alice.Client.SetPolicy(alice.Member("bob"), PathPolicy.RelayOnly);
        Assert.Equal(PathType.Server, alice.Peer("bob").PathType);
        Assert.True(scene.Network.RunUntil(() => bob.Peer("alice").PathType == PathType.Server, TimeSpan.FromSeconds(30)));
        scene.AssertAllReachEachOther(Soon);

        alice.Client.SetPolicy(alice.Member("bob"), null);
        Assert.True(scene.Network.RunUntil(
            () => alice.Peer("bob").PathType == PathType.Direct && bob.Peer("alice").PathType == PathType.Direct, Soon));
    }

    private static Scene Start(NatKind kind, PathPolicy policy, out SimulatedNode alice, out SimulatedNode bob)
    {
        var scene = new Scene(1, new WireConditions { Delay = TimeSpan.FromMilliseconds(10) });
        scene.Internet.AddLan("left", kind, "alice");
        scene.Internet.AddLan("right", kind, "bob");
        scene.Network.StartServer();
        alice = scene.Network.AddClient("alice", host: "alice", change: options => options with { PathPolicy = policy });
        bob = scene.Network.AddClient("bob", host: "bob");
        scene.Clients.AddRange([alice, bob]);
        Assert.True(scene.Network.RunUntil(
            () => scene.Clients.All(client => client.IsUp && client.Node.Peers.Count() == 2), Soon));
        return scene;
    }
}
