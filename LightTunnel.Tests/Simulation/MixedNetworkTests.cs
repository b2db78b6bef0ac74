using LightTunnel.Lab.Internet;
using LightTunnel.Tests.Engine;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>Whole networks behind NATs of all kinds, for many seeds.</summary>
public sealed class MixedNetworkTests
{
    private static readonly LinkConditions Lossy = new()
    {
        Delay = TimeSpan.FromMilliseconds(10), Jitter = TimeSpan.FromMilliseconds(5), Loss = 0.02, Duplication = 0.01, Reordering = 0.05,
        ReorderDelay = TimeSpan.FromMilliseconds(8),
    };

    private static readonly NatKind[] Kinds =
    [
        NatKind.FullCone, NatKind.RestrictedCone, NatKind.PortRestrictedCone, NatKind.SymmetricSequential, NatKind.SymmetricRandom,
        NatKind.CarrierGrade, NatKind.Open, NatKind.SameLanNoHairpin,
    ];

    [Fact]
    public void SixClientsOfMixedKinds_UnderLoss_AllReachEachOther() => Seeds.Run(50, seed => RunMixed(seed));

    [Fact]
    public void SameSeed_ReplaysExactly()
    {
        ulong first = RunMixed(7);
        Assert.Equal(first, RunMixed(7));
        Assert.NotEqual(first, RunMixed(8));
    }

    [Fact]
    public void NatReboot_BreaksTheWayIn_AndTheNetworkHeals() => Seeds.Run(10, seed =>
    {
        using Scene scene = Start(seed, [NatKind.SymmetricRandom, NatKind.PortRestrictedCone]);
        scene.Internet.Nats["lan0"].Reboot();
        scene.Internet.Nats["lan1"].ChangeAddress();
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(40));
    });

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

    private static ulong RunMixed(int seed)
    {
        var random = new Random(seed);
        using Scene scene = Start(seed, [.. Enumerable.Range(0, 6).Select(_ => Kinds[random.Next(Kinds.Length)])]);
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(20));
        return scene.Internet.TraceHash;
    }

    private static Scene Start(int seed, IReadOnlyList<NatKind> kinds)
    {
        var scene = new Scene(seed, Lossy);
        scene.Network.StartServer();
        for (int i = 0; i < kinds.Count; i++)
        {
            scene.Internet.AddLan($"lan{i}", kinds[i], $"host{i}");
            scene.Clients.Add(scene.Network.AddClient($"client{i}", host: $"host{i}"));
        }

        Assert.True(scene.Network.RunUntil(() => scene.Clients.All(client => client.IsUp), TimeSpan.FromSeconds(30)), "Not everybody joined.");
        return scene;
    }
}
