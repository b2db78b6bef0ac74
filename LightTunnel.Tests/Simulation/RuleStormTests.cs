using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Members all talk to all, by wires with delays, direct or relayed, in small and in large networks;
/// rules and groups change meanwhile. Nothing passes that no rules allowed at any time since its sender sent it,
/// and nothing is lost that all rules of that time allowed.
/// </summary>
public sealed class RuleStormTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(50);

    /// <summary>A change has reached everybody by then.</summary>
    private static readonly TimeSpan Acts = TimeSpan.FromSeconds(1);

    /// <summary>So long a packet may wait for its peer to be found, or for a link.</summary>
    private static readonly TimeSpan Held = TimeSpan.FromSeconds(5);

    private static readonly string[] s_sides = ["*", "clients", "server", "group:a", "group:b", "m0", "m1", "m2", "10.0.0.2,10.0.0.3"];

    [Fact]
    public void RulesThatChange_AmidTraffic_LetPassWhatTheyAllow_AndNothingElse() => Seeds.Run(60, Run);

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
        string[] addresses = [.. all.Select(node => node.Address.ToString())];
        var history = new List<(TimeSpan At, string[] Rules, Dictionary<string, string> Groups)> { (TimeSpan.Zero, [], []) };
        var sent = new List<Sent>();
        Talk(TimeSpan.FromSeconds(4)); // Everybody has a link with everybody.
        foreach (SimulatedNode node in all)
            node.TakeReceived();
        sent.Clear();

        Dictionary<string, string> groups = [];
        for (int round = 0; round < 4; round++)
        {
            if (random.Next(2) == 0)
            {
                SimulatedNode member = members[random.Next(members.Length)];
                groups = new Dictionary<string, string>(groups) { [member.Address.ToString()] = random.Next(2) == 0 ? "a" : "b" };
                network.SetGroups(member, groups[member.Address.ToString()]);
                history.Add((network.Time.Elapsed, history[^1].Rules, groups));
            }

            string[] rules = [.. Enumerable.Range(0, random.Next(5)).Select(_ =>
                $"{(random.Next(3) == 0 ? "Allow" : "Deny")} {(random.Next(2) == 0 ? "Udp" : "Any")} - {Side()} > {Side()}")];
            rules = [.. rules.Select(rule => random.Next(2) == 0 && rule.Contains("Udp", StringComparison.Ordinal)
                ? rule.Replace(" - ", " 1000 ", StringComparison.Ordinal)
                : rule)];
            Assert.True(network.ReplaceRules(rules).IsCompletedSuccessfully);
            history.Add((network.Time.Elapsed, rules, groups));
            Talk(TimeSpan.FromSeconds(1 + random.Next(2)));
        }

        network.Run(TimeSpan.FromSeconds(2));
        HashSet<string> received = [.. all.SelectMany(node => node.TakeReceived())];
        foreach (Sent packet in sent)
        {
            (TimeSpan At, string[] Rules, Dictionary<string, string> Groups)[] ofItsTime = Between(packet.At, packet.At + Acts);
            bool isAllowed = ofItsTime.All(one => Allows(one.Rules, one.Groups, packet));
            bool mayPass = Between(packet.At, packet.At + Held).Any(one => Allows(one.Rules, one.Groups, packet));
            bool passed = received.Contains(packet.Body);
            if (isAllowed ? !passed : passed && !mayPass)
            {
                Assert.Fail($"{packet} {(passed ? "passed" : "was lost")}: "
                    + string.Join(" | ", ofItsTime.Select(one =>
                        $"{one.At}: {string.Join("; ", one.Rules)} ({string.Join(", ", one.Groups)})"))
                    + $"; members have {string.Join(", ", addresses)}; {Known(packet.From)}; {Known(packet.To)}");
            }
        }

        Assert.NotEmpty(sent);

        // The rules that may have held anywhere at some time between the two.
        (TimeSpan At, string[] Rules, Dictionary<string, string> Groups)[] Between(TimeSpan from, TimeSpan until) =>
            [.. history.Where((one, index) =>
                (index + 1 == history.Count || history[index + 1].At + Acts > from) && one.At <= until)];

        string Known(string address)
        {
            SimulatedNode node = all[Array.IndexOf(addresses, address)];
            return $"{node.Name} knows {string.Join(", ", node.Node.Rules.Rules.Rules.Select(rule => $"{rule.Number} {rule.Direction}"))}";
        }

        string Side() => s_sides[random.Next(s_sides.Length)] is var side && side is ['m', _] && side[1] - '0' >= members.Length
            ? "*"
            : side;

        // From a port of its own to each of two: nothing is an answer to anything.
        void Talk(TimeSpan duration)
        {
            for (TimeSpan passed = TimeSpan.Zero; passed < duration; passed += Step)
            {
                for (int i = 0; i < all.Length; i++)
                {
                    for (int j = 0; j < all.Length; j++)
                    {
                        if (i == j)
                            continue;
                        var packet = new Sent(
                            addresses[i], addresses[j], random.Next(2) == 0 ? 1000 : 1001, 2000 + i, network.Time.Elapsed, sent.Count);
                        sent.Add(packet);
                        all[i].Send(packet.Bytes());
                    }
                }

                network.Run(Step);
            }
        }

        bool Allows(string[] rules, Dictionary<string, string> of, Sent packet)
        {
            foreach (string rule in rules)
            {
                string[] words = rule.Split(' ');
                if ((words[2] == "-" || words[2] == $"{packet.Port}") && IsAbout(words[3], packet.From) && IsAbout(words[5], packet.To))
                    return words[0] == "Allow";
            }

            return true;

            bool IsAbout(string side, string address) => side switch
            {
                "*" => true,
                "clients" => address != addresses[0],
                "server" => address == addresses[0],
                ['m', _] => address == addresses[1 + side[1] - '0'],
                _ when side.StartsWith("group:", StringComparison.Ordinal) => of.GetValueOrDefault(address) == side[6..],
                _ => side.Split(',').Contains(address),
            };
        }
    }

    private sealed record Sent(string From, string To, int Port, int SourcePort, TimeSpan At, int Number)
    {
        public string Body => $"talk {From}>{To} {Number}";

        public byte[] Bytes() => Packets.TestPackets.Udp(
            From, To, (ushort)SourcePort, (ushort)Port, System.Text.Encoding.ASCII.GetBytes(Body));
    }
}
