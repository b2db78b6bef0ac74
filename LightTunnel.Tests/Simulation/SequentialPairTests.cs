using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Two members whose NATs hand out a port for each destination, one after another, as a router may be set up to with nftables. The two
/// local networks are different ones, so that what is sent to the other's private address takes a port too, and others behind the routers
/// take ports all the while.
/// </summary>
public sealed class SequentialPairTests
{
    private const int SeedsOfPair = 10;

    private static readonly NatSettings Sequential = NatKinds.Layers(NatKind.SymmetricSequential)[0];

    [Theory]
    [InlineData(10, 10)]
    [InlineData(20, 20)]
    [InlineData(100, 100)]
    [InlineData(20, 200)]
    [InlineData(200, 20)]
    public void NothingElseGoesOn_AreDirectAtOnce(int firstDelay, int secondDelay)
    {
        // Which of the two leads is a matter of their keys, and so of the seed.
        Samples times = Measure(Sequential, firstDelay, secondDelay);
        Assert.True(times.Always && times.Worst < TimeSpan.FromSeconds(5), times.ToString());
    }

    [Theory]
    [InlineData(10, 5, 0, 1)]
    [InlineData(20, 5, 0, 1)]
    [InlineData(100, 5, 0, 1)]
    [InlineData(20, 20, 0, 1)]
    [InlineData(100, 20, 0, 1)]
    [InlineData(20, 5, 30, 1)]
    [InlineData(100, 5, 30, 1)]
    [InlineData(20, 5, 0, 3)]
    public void OthersTakePortsOnBothSides_AreDirectWithinSeconds(int delay, double flows, int burst, int step)
    {
        Samples times = Measure(Sequential with { OtherFlows = flows, OtherBurst = burst, PortStep = step }, delay, delay);
        Assert.True(times.Always && times.Median < TimeSpan.FromSeconds(2), times.ToString());
    }

    [Fact]
    public void WiresLoseAndReorder_AreDirectWithinSeconds()
    {
        Samples times = Measure(
            Sequential with { OtherFlows = 5 }, 20, 20,
            new WireConditions { Jitter = TimeSpan.FromMilliseconds(10), Reorders = true, Loss = 0.05 });
        Assert.True(times.Always, times.ToString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Leader_IsTheSameOnBothSides_WhoeverJoinedFirst(bool aliceIsFirst)
    {
        using var scene = new Scene(1, WireConditions.Perfect);
        scene.Internet.AddLan("left", NatKind.PortRestrictedCone, "alice");
        scene.Internet.AddLan("right", NatKind.PortRestrictedCone, "bob");
        scene.Network.StartServer();
        using PrivateKey first = scene.Network.NewKey(), second = scene.Network.NewKey();
        bool firstIsLess = first.PublicKey.Bytes.SequenceCompareTo(second.PublicKey.Bytes) < 0;
        SimulatedNode? alice = null, bob = null;
        foreach (bool isAlice in (bool[])[aliceIsFirst, !aliceIsFirst])
        {
            SimulatedNode node = isAlice
                ? alice = scene.Network.AddClient("alice", host: "alice", identity: Copy(first))
                : bob = scene.Network.AddClient("bob", host: "bob", identity: Copy(second));
            Assert.True(scene.Network.RunUntil(() => node.IsUp, TimeSpan.FromSeconds(5)));
        }

        Assert.True(scene.Network.RunUntil(
            () => Traversal(alice!, "bob") is not null && Traversal(bob!, "alice") is not null, TimeSpan.FromSeconds(5)));
        Assert.Equal(firstIsLess, Traversal(alice!, "bob")!.Leads);
        Assert.Equal(!firstIsLess, Traversal(bob!, "alice")!.Leads);
    }

    private static Samples Measure(NatSettings settings, int firstDelay, int secondDelay, WireConditions? conditions = null)
    {
        var times = new TimeSpan?[SeedsOfPair];
        Parallel.For(0, SeedsOfPair, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, index =>
            times[index] = TimeUntilDirect(index + 1, settings, firstDelay, secondDelay, conditions ?? WireConditions.Perfect));
        return new Samples(times);
    }

    /// <summary>From when each knows of the other until each sends to it directly; null when that takes too long.</summary>
    private static TimeSpan? TimeUntilDirect(int seed, NatSettings settings, int firstDelay, int secondDelay, WireConditions conditions)
    {
        // Half of a delay is on the member's own wire, half of the smaller one on the server's.
        using var scene = new Scene(
            seed, new WireConditions { Delay = TimeSpan.FromMilliseconds(Math.Min(firstDelay, secondDelay) / 2.0) });
        foreach ((string lan, string host, int delay) in new[] { ("192.168.1.0/24", "alice", firstDelay),
            ("192.168.2.0/24", "bob", secondDelay) })
        {
            SimulatedNat nat = scene.Internet.AddNat(
                host + "-router", settings, lan: lan, conditions: conditions with { Delay = TimeSpan.FromMilliseconds(delay / 2.0) });
            scene.Internet.AddHost(host, nat);
        }

        scene.Network.StartServer();
        SimulatedNode alice = scene.Network.AddClient("alice", host: "alice");
        scene.Network.Run(TimeSpan.FromMilliseconds(seed * 37));
        SimulatedNode bob = scene.Network.AddClient("bob", host: "bob");
        if (!scene.Network.RunUntil(
            () => Traversal(alice, "bob") is not null && Traversal(bob, "alice") is not null, TimeSpan.FromSeconds(15)))
        {
            return null;
        }
        TimeSpan begin = scene.Time.Elapsed;
        return scene.Network.RunUntil(
            () => Traversal(alice, "bob") is { IsProven: true } && Traversal(bob, "alice") is { IsProven: true }, TimeSpan.FromSeconds(15))
            ? scene.Time.Elapsed - begin
            : null;
    }

    private static PeerTraversal? Traversal(SimulatedNode node, string other) =>
        node.Members.FirstOrDefault(member => member.Name == other)?.Traversal;

    /// <summary>A node disposes of its key.</summary>
    private static PrivateKey Copy(PrivateKey key)
    {
        Assert.True(PrivateKey.TryParse(key.Reveal(), out PrivateKey? copy));
        return copy;
    }
}
