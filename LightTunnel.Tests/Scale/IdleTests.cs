using LightTunnel.Addressing;
using LightTunnel.Internet.Wires;
using LightTunnel.Routing;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Scale;

/// <summary>
/// What a node costs that nobody uses: nothing is looked at now and then, and what must be sent now and then is sent together.
/// </summary>
public sealed class IdleTests(ITestOutputHelper output)
{
    private const int Peers = 100;

    [Fact]
    public void IdleNode_WithAHundredDirectPeers_WakesUpRarely()
    {
        using var network = new SimulatedNetwork();
        network.Conditions = new WireConditions
        {
            Delay = TimeSpan.FromMilliseconds(5),
            Jitter = TimeSpan.FromMilliseconds(10),
            Reorders = true,
        };
        network.StartServer();
        SimulatedNode node = network.AddClient("node");
        SimulatedNode[] peers = [.. Enumerable.Range(0, Peers).Select(i => network.AddClient($"peer{i}"))];
        Assert.True(network.RunUntil(() => network.Nodes.All(each => each.IsUp), TimeSpan.FromSeconds(30)));
        foreach (SimulatedNode peer in peers)
        {
            node.Send(peer.Address, "hello");
            network.Run(TimeSpan.FromMilliseconds(37));
        }

        Assert.True(network.RunUntil(
            () => node.Node.Peers.Count(peer => peer.PathType is PathType.Direct or PathType.Lan) == Peers + 1, TimeSpan.FromSeconds(30)));
        network.Run(TimeSpan.FromMinutes(12)); // Until no link has keys any more, and pairs exchange only what keeps their paths open.

        // Half of the peers ask first, half are asked: a probe and an answer each way, every ten seconds.
        (long steps, long datagrams) = (node.Steps, 0);
        network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) =>
        {
            if (from == node.Endpoint || to == node.Endpoint)
                datagrams++;
            return true;
        };
        network.Run(TimeSpan.FromMinutes(1));
        output.WriteLine($"{node.Steps - steps} wake-ups, {datagrams} datagrams in a minute");
        Assert.InRange(datagrams, 1, (Peers * 4 * 7) + 20);

        // It wakes up for what arrives, and five times in ten seconds for what it sends itself, not once for each peer.
        long arrivals = datagrams / 2;
        Assert.InRange(node.Steps - steps, 1, arrivals + 60);
    }
}
