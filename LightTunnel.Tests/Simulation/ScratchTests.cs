using LightTunnel.Lab.Internet;
using LightTunnel.Tests.Engine;
using LightTunnel.Transport;
using Xunit;
namespace LightTunnel.Tests.Simulation;
public sealed class ScratchTests
{
    [Fact]
    public void Scratch()
    {
        using var scene = new Scene(1, new LinkConditions { Delay = TimeSpan.FromMilliseconds(10) });
        scene.Internet.AddLan("left", NatKind.SymmetricRandom, "alice");
        scene.Internet.AddLan("right", NatKind.CarrierGrade, "bob");
        scene.Network.StartServer();
        SimulatedNode a = scene.Network.AddClient("alice", host: "alice"), b = scene.Network.AddClient("bob", host: "bob");
        var o = TestContext.Current.TestOutputHelper!;
        for (int i = 0; i < 60; i++)
        {
            scene.Network.Run(TimeSpan.FromMilliseconds(500));
            foreach (SimulatedNode n in new[] { a, b })
            {
                var p = n.Node.Peers.FirstOrDefault(x => !x.IsServer);
                if (p?.Traversal is not { } t) continue;
                o.WriteLine($"{scene.Time.Now.TotalSeconds:0.0} {n.Name} {t.State} guessing={t.IsGuessing} wanted={t.SocketsWanted} base={t.SocketBase} tallies: {string.Join("; ", t.Tallies.Select(x => $"{x.Path} {x.Kind} s{x.Sent} a{x.Answered} h{x.Heard}"))} nat {n.Client.Nat.ClassicName} {n.Client.Nat.Assignment} det {n.Client.PublicEndpoint}");
            }
        }
        foreach (SimulatedNode n in new[] { a, b })
            foreach (var l in n.LogLines) o.WriteLine(n.Name + ": " + l);
        Assert.Fail("x");
    }
}
