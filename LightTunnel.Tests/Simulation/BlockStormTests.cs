using LightTunnel.Addressing;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Members all talk to all, by wires with delays, direct or relayed, in small and in large networks; one of them is blocked meanwhile, and
/// hears of it or not. Once that has reached everybody nothing passes from or to it, though it goes on with its keys; and of what the
/// others send each other, not one packet is lost.
/// </summary>
public sealed class BlockStormTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(50);

    [Fact]
    public void Block_AmidTraffic_EndsAllOfOneMember_AndNothingOfOthers() => Seeds.Run(60, Run);

    private static void Run(int seed)
    {
        var random = new Random(seed);
        using var network = new SimulatedNetwork(seed)
        {
            IsDirectBlocked = random.Next(3) == 0,
            Conditions = new WireConditions
            {
                Delay = TimeSpan.FromMilliseconds(random.Next(1, 60)), Jitter = TimeSpan.FromMilliseconds(random.Next(15)),
            },
        };
        bool isLarge = random.Next(3) == 0;
        SimulatedNode server = network.StartServer(options => isLarge ? options with { EagerUpTo = 0 } : options);
        SimulatedNode[] members = [.. Enumerable.Range(0, random.Next(3, 6)).Select(i => network.AddClient($"m{i}"))];
        Assert.True(network.RunUntil(() => members.All(member => member.IsUp), TimeSpan.FromSeconds(30)));
        SimulatedNode[] all = [server, .. members];
        Dictionary<SimulatedNode, TunnelAddress> addresses = all.ToDictionary(node => node, node => node.Address);
        Talk(network, all, addresses, TimeSpan.FromSeconds(4));
        Drain(network, all);

        SimulatedNode blocked = members[random.Next(members.Length)];
        SimulatedNode[] others = [.. all.Where(node => node != blocked)];
        string key = blocked.Node.Links.PublicKey.ToString();
        if (random.Next(2) == 0)
        {
            UdpEndpoint deaf = blocked.Endpoint;
            network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) => !(from == server.Endpoint && to == deaf);
        }

        server.Node.Post(() => ((ServerRole)server.Node.Role).Administration.ChangeAsync(
            new MemberChange(MemberChangeKind.Block, key, "admin")));
        server.MarkReady();
        HashSet<string> sent = [.. Talk(network, all, addresses, TimeSpan.FromSeconds(1))];
        List<string> received = Drain(network, all);

        Assert.All(others, node => Assert.DoesNotContain(node.Node.Peers, peer => peer.Key.ToString() == key));
        sent.UnionWith(Talk(network, all, addresses, TimeSpan.FromSeconds(4)));
        List<string> after = Drain(network, all);

        Assert.DoesNotContain(after, body => body.Contains($"{blocked.Name}>", StringComparison.Ordinal));
        Assert.DoesNotContain(after, body => body.Contains($">{blocked.Name} ", StringComparison.Ordinal));
        string[] ofOthers = [.. sent.Where(body => !body.Contains(blocked.Name, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
        Assert.NotEmpty(ofOthers);
        Assert.Equal(
            ofOthers,
            received.Concat(after).Where(body => body.StartsWith("talk ", StringComparison.Ordinal)
                && !body.Contains(blocked.Name, StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    /// <summary>Each sends to each, all the while; what was received before is taken.</summary>
    private static List<string> Talk(
        SimulatedNetwork network, SimulatedNode[] all, Dictionary<SimulatedNode, TunnelAddress> addresses, TimeSpan duration)
    {
        foreach (SimulatedNode node in all)
            node.TakeReceived();
        var sent = new List<string>();
        for (TimeSpan passed = TimeSpan.Zero; passed < duration; passed += Step)
        {
            foreach (SimulatedNode from in all.Where(node => node.Node.Forwarding.OwnAddresses.Length > 0))
            {
                foreach (SimulatedNode to in all.Where(node => node != from))
                {
                    sent.Add($"talk {from.Name}>{to.Name} {network.Time.Elapsed.TotalMilliseconds}");
                    from.Send(addresses[to], sent[^1]);
                }
            }

            network.Run(Step);
        }

        return sent;
    }

    /// <summary>What was received, when all that was under way has arrived.</summary>
    private static List<string> Drain(SimulatedNetwork network, SimulatedNode[] all)
    {
        network.Run(TimeSpan.FromMilliseconds(500));
        return [.. all.SelectMany(node => node.TakeReceived())];
    }
}
