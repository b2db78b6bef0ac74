using LightTunnel.Engine;
using LightTunnel.Transport;
using Xunit;
namespace LightTunnel.Tests.Engine;
public sealed class DebugX
{
    [Fact]
    public void X()
    {
        using var network = new SimulatedNetwork();
        network.StartServer();
        SimulatedNode alice = network.AddClient("alice");
        SimulatedNode bob = network.AddClient("bob");
        var lines = new List<string>();
        network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> d) => { lines.Add($"{from}->{to} {d[0]:x} {d.Length}"); return true; };
        network.RunUntil(() => alice.IsUp && bob.IsUp && alice.Node.Peers.Count() == 2, TimeSpan.FromSeconds(2));
        network.Run(TimeSpan.FromMilliseconds(1500));
        Peer p = alice.Peer("bob");
        Assert.Fail(string.Join("\n", lines) + $"\nstate {p.Traversal?.State} id {p.MemberId} paths {string.Join(",", p.Traversal?.Paths.Select(x => x.Key + " " + x.IsProven + x.LastHeard) ?? [])} direct {p.DirectPath?.Key} sched {p.ScheduledAt} in {alice.Inbound.Dropped(DropReason.Malformed)} {alice.Inbound.Dropped(DropReason.Overload)}");
    }
}
