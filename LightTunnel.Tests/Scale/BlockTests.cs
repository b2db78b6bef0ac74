using System.Diagnostics;
using LightTunnel.Engine.Server;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Scale;

/// <summary>
/// Whom an admin blocks is nobody's member soon after, however large the network is. The figures for docs/performance.md are put out;
/// LIGHTTUNNEL_SCALE=10000 lets the large network be as large.
/// </summary>
public sealed class BlockTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Told = TimeSpan.FromSeconds(1);

    [Theory]
    [InlineData(100, 99)] // Everybody knows everybody.
    [InlineData(400, 300)]
    public void Block_OfAMemberThatTalksWithMany_IsActedUponByAll(int clients, int partners)
    {
        if (clients > 100 && int.TryParse(Environment.GetEnvironmentVariable("LIGHTTUNNEL_SCALE"), out int wanted))
            clients = wanted;
        using var storm = new JoinStorm(clients);
        storm.Pass();
        SimulatedNetwork network = storm.Network;
        SimulatedNode[] all = [.. network.Nodes.Where(node => node != network.Server)];
        SimulatedNode blocked = all[0];
        SimulatedNode[] others = [.. all[1..(partners + 1)]];
        foreach (SimulatedNode[] some in others.Chunk(50))
        {
            // So few that all packets are kept while the server is asked who has the addresses.
            foreach (SimulatedNode other in some)
                blocked.Send(other.Address, "before");
            Assert.True(network.RunUntil(() => some.All(other => other.Tun.WrittenCount > 0), TimeSpan.FromSeconds(20)));
        }

        Assert.All(others, other => Assert.Contains(other.Members, member => member.Key == blocked.Node.Links.PublicKey));

        var change = new MemberChange(MemberChangeKind.Block, blocked.Node.Links.PublicKey.ToString(), "admin");
        var watch = Stopwatch.StartNew();
        TimeSpan busy = network.Server.Busy;
        network.Server.Node.Post(() => _ = ((ServerRole)network.Server.Node.Role).Administration.ChangeAsync(change));
        network.Server.MarkReady();
        DateTimeOffset began = network.Time.GetUtcNow();
        Assert.True(network.RunUntil(
            () => all.All(other => !other.Members.Any(member => member.Key == blocked.Node.Links.PublicKey)) && !blocked.Members.Any(),
            Told));
        TimeSpan took = network.Time.GetUtcNow() - began;
        output.WriteLine(
            $"{clients} members, {partners} of whom had a link: {took.TotalMilliseconds:F0} ms with 10 ms one way, "
                + $"{(network.Server.Busy - busy).TotalMilliseconds:F0} ms of the server, {watch.Elapsed.TotalSeconds:F2} s for all");

        foreach (SimulatedNode other in others)
        {
            other.TakeReceived();
            blocked.Send(other.Address, "after");
            other.Send(blocked.Address, "after");
        }

        network.Run(TimeSpan.FromSeconds(2));
        Assert.All(others, other => Assert.DoesNotContain("after", other.TakeReceived()));
        Assert.DoesNotContain("after", blocked.TakeReceived());
    }
}
