using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>Whole networks behind NATs of all kinds, for many seeds.</summary>
public sealed class MixedNetworkTests
{
    private static readonly WireConditions Lossy = new()
    {
        Delay = TimeSpan.FromMilliseconds(10), Jitter = TimeSpan.FromMilliseconds(5), Reorders = true, Loss = 0.02, Duplication = 0.01,
        Reordering = 0.05, ReorderDelay = TimeSpan.FromMilliseconds(8),
    };

    private static readonly NatKind[] FieldKinds =
    [
        NatKind.FullCone, NatKind.RestrictedCone, NatKind.PortRestrictedCone, NatKind.SymmetricSequential, NatKind.SymmetricRandom,
        NatKind.CarrierGrade, NatKind.Open, NatKind.SameLanNoHairpin,
    ];

    /// <summary>
    /// The numbers that it writes are the same in every process: what is random in one only must not change what nodes do.
    /// </summary>
    [Fact]
    public void SameSeed_ReplaysExactly_WithRebootsAndServerRestart()
    {
        ulong first = RunEventful(7), second = RunEventful(7), other = RunEventful(8);
        TestContext.Current.TestOutputHelper?.WriteLine($"seed 7: {first:x16}, seed 8: {other:x16}");
        Assert.Equal(first, second);
        Assert.NotEqual(first, other);
    }

    [Fact]
    public void UdpBlocked_NeverJoins_AndOthersDo()
    {
        using Scene scene = Start(1, [NatKind.FullCone]);
        scene.Internet.AddLan("office", NatKind.UdpBlocked, "blocked");
        SimulatedNode blocked = scene.Network.AddClient("blocked", host: "blocked");
        scene.Network.Run(TimeSpan.FromSeconds(20));

        Assert.False(blocked.IsUp);
        Assert.NotEqual(0, scene.Internet.Nats["office"].Nat[NatVerdict.Blocked]);
        Assert.True(scene.Clients[0].IsUp);
    }

    [Fact]
    public void Seeds_Run_NamesTheSeedThatFailed()
    {
        Assert.SkipWhen(Environment.GetEnvironmentVariable("LIGHTTUNNEL_SEED") is not null, "one seed alone was asked for");
        Exception failure = Assert.ThrowsAny<Exception>(() => Seeds.Run(20, seed => Assert.NotEqual(13, seed)));
        Assert.StartsWith("Seed 13 failed", failure.Message, StringComparison.Ordinal);
    }

    private static ulong RunEventful(int seed)
    {
        using Scene scene = Start(seed, FieldKinds);
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(20));
        foreach (SimulatedNat nat in scene.Internet.Nats.Values)
            nat.Reboot();
        scene.Network.Kill(scene.Network.Server);
        scene.Network.Run(TimeSpan.FromSeconds(40));
        scene.Network.StartServer();
        Assert.True(scene.Network.RunUntil(() => scene.Clients.All(client => client.IsUp), TimeSpan.FromSeconds(60)));
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(20));
        return scene.Internet.TraceHash;
    }

    private static Scene Start(int seed, NatKind[] kinds)
    {
        var scene = new Scene(seed, Lossy);
        scene.Network.StartServer();
        for (int i = 0; i < kinds.Length; i++)
        {
            scene.Internet.AddLan($"lan{i}", kinds[i], $"host{i}");
            scene.Clients.Add(scene.Network.AddClient($"client{i}", host: $"host{i}"));
        }

        Assert.True(
            scene.Network.RunUntil(() => scene.Clients.All(client => client.IsUp), TimeSpan.FromSeconds(30)), "Not everybody joined.");
        return scene;
    }
}
