using LightTunnel.Access;
using LightTunnel.Engine.Server;
using LightTunnel.Tests.Access;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>What an admin does to rules of a simulated network.</summary>
internal static class RuleNetwork
{
    public static RuleDesk Rules(this SimulatedNetwork network) => ((ServerRole)network.Server.Node.Role).Rules;

    /// <summary>"Deny Tcp 22 alice > group:office": as <see cref="RulePackets.Rule"/> has it, with members by their names.</summary>
    public static RuleSpec Spec(string text, int number = 0)
    {
        string[] words = text.Split(' ');
        return new RuleSpec
        {
            Number = number,
            Action = Enum.Parse<RuleAction>(words[0]),
            Protocol = Enum.Parse<RuleProtocol>(words[1]),
            Ports = words[2] == "-" ? [] : words[2].Split(','),
            From = words[3].Split(','),
            To = words[5].Split(','),
        };
    }

    /// <summary>Has the server make a change, and does not wait for anybody to hear of it.</summary>
    public static Task<IReadOnlyList<int>> ChangeRules(this SimulatedNetwork network, RuleChange change)
    {
        Task<IReadOnlyList<int>>? made = null;
        network.Server.Node.Post(() => made = network.Rules().ChangeAsync(change));
        network.Server.MarkReady();
        network.Settle();
        // Who waits for it does so beside the simulated network, in real time.
        Assert.True(((IAsyncResult)made!).AsyncWaitHandle.WaitOne(TimeSpan.FromMinutes(2)));
        return made!;
    }

    public static Task<IReadOnlyList<int>> AddRules(this SimulatedNetwork network, params string[] rules) =>
        network.ChangeRules(new RuleChange { Kind = RuleChangeKind.Add, Rules = [.. rules.Select(text => Spec(text))], By = "admin" });

    public static Task<IReadOnlyList<int>> ReplaceRules(this SimulatedNetwork network, params string[] rules) =>
        network.ChangeRules(new RuleChange
        {
            Kind = RuleChangeKind.Replace, Rules = [.. rules.Select((text, index) => Spec(text, (index + 1) * 10))], By = "admin",
        });

    public static Task<IReadOnlyList<int>> RemoveRules(this SimulatedNetwork network, params int[] numbers) =>
        network.ChangeRules(new RuleChange { Kind = RuleChangeKind.Remove, Numbers = numbers, By = "admin" });

    public static void SetGroups(this SimulatedNetwork network, SimulatedNode member, params string[] groups)
    {
        string key = member.Node.Links.PublicKey.ToString();
        network.Server.Node.Post(() => ((ServerRole)network.Server.Node.Role).Administration.ChangeAsync(
            new MemberChange(MemberChangeKind.Set, key, "admin") { Groups = groups }));
        network.Server.MarkReady();
    }

    /// <summary>Sends a packet made by hand.</summary>
    public static void Send(this SimulatedNode node, byte[] packet)
    {
        node.Tun.Inject(packet);
        node.MarkReady();
    }
}
