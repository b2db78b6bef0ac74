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
    public void SixClientsOfMixedKinds_UnderLoss_AllReachEachOther() => Seeds.Run(50, RunMixed);

    /// <summary>The numbers that it writes are the same in every process: what is random in one only must not change what nodes do.</summary>
    [Fact]
    public void SameSeed_ReplaysExactly_WithRebootsAndServerRestart()
    {
        ulong first = RunEventful(7), second = RunEventful(7), other = RunEventful(8);
        TestContext.Current.TestOutputHelper?.WriteLine($"seed 7: {first:x16}, seed 8: {other:x16}");
        Assert.Equal(first, second);
        Assert.NotEqual(first, other);
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
    public void Storm_OfRebootsCutsMovesAndRestarts_IsOverWhenItIsOver() => Seeds.Run(30, seed =>
    {
        var random = new Random(seed);
        using Scene scene = Start(seed, [.. Enumerable.Range(0, 5).Select(_ => Kinds[random.Next(Kinds.Length)])]);
        SimulatedHost[] hosts = [.. scene.Internet.Hosts.Values.Where(host => host.Name != SimulatedNetwork.ServerHost)];
        SimulatedNat[] nats = [.. scene.Internet.Nats.Values];
        for (int i = 0; i < 20; i++)
        {
            SimulatedHost host = hosts[random.Next(hosts.Length)];
            SimulatedElement element = nats.Length > 0 && random.Next(2) == 0 ? nats[random.Next(nats.Length)] : host;
            switch (random.Next(5))
            {
                case 0:
                    (element as SimulatedNat)?.Reboot();
                    break;
                case 1:
                    (element as SimulatedNat)?.ChangeAddress();
                    break;
                case 2:
                    element.Uplink.IsCut = !element.Uplink.IsCut;
                    break;
                case 3:
                    host.MoveTo(nats.Length == 0 || random.Next(2) == 0 ? null : nats[random.Next(nats.Length)]);
                    break;
                case 4:
                    scene.Network.Kill(scene.Network.Server);
                    scene.Network.StartServer();
                    break;
            }

            SimulatedNode from = scene.Clients[random.Next(scene.Clients.Count)], to = scene.Clients[random.Next(scene.Clients.Count)];
            from.Send(to.Address, $"{from.Name} {to.Name} in the storm {i}");
            scene.Network.Run(TimeSpan.FromSeconds(random.NextDouble() * 10));
        }

        foreach (SimulatedElement element in hosts.Concat<SimulatedElement>(nats))
            element.Uplink.IsCut = false;
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(60));
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

    [Fact]
    public void Seeds_Run_NamesTheSeedThatFailed()
    {
        Assert.SkipWhen(Environment.GetEnvironmentVariable("LIGHTTUNNEL_SEED") is not null, "one seed alone was asked for");
        Exception failure = Assert.ThrowsAny<Exception>(() => Seeds.Run(20, seed => Assert.NotEqual(13, seed)));
        Assert.StartsWith("Seed 13 failed", failure.Message, StringComparison.Ordinal);
    }

    private static void RunMixed(int seed)
    {
        var random = new Random(seed);
        using Scene scene = Start(seed, [.. Enumerable.Range(0, 6).Select(_ => Kinds[random.Next(Kinds.Length)])]);
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(20));
    }

    private static ulong RunEventful(int seed)
    {
        using Scene scene = Start(seed, Kinds);
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

        Assert.True(scene.Network.RunUntil(() => scene.Clients.All(client => client.IsUp), TimeSpan.FromSeconds(30)), "Not everybody joined.");
        return scene;
    }
}
