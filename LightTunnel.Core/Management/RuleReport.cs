using LightTunnel.Access;
using LightTunnel.Addressing;

namespace LightTunnel.Management;

/// <summary>Makes of the rules that a client was told what its owner is shown: names and groups are addresses by then.</summary>
internal static class RuleReport
{
    /// <summary>Addresses of a set that are shown; the others are counted.</summary>
    private const int MostShown = 8;

    public static IReadOnlyList<RuleStatus> Of(string tunnel, NodeAccessRules node, IReadOnlyList<TunnelAddress> own) =>
        [.. node.Rules.Rules.Select(rule => Of(tunnel, node, own, rule))];

    private static RuleStatus Of(string tunnel, NodeAccessRules node, IReadOnlyList<TunnelAddress> own, NodeRule rule)
    {
        string[] mine = [.. (rule.Own.Count == 0 ? own : rule.Own).Select(address => address.ToString())];
        string[] far = rule.Scope switch
        {
            RuleScope.Everybody => ["*"],
            RuleScope.Clients => ["clients"],
            _ => Show([.. rule.Sets
                .SelectMany(set => node.Rules.Sets.GetValueOrDefault(set)?.Items ?? [])
                .Select(item => RuleSelector.OfPrefix(item).ToString())]),
        };
        bool isInbound = rule.Direction == RuleDirection.Inbound;
        return new RuleStatus
        {
            Tunnel = tunnel,
            Number = rule.Number,
            From = isInbound ? far : mine,
            To = isInbound ? mine : far,
            Protocol = rule.Protocol,
            Ports = [.. rule.Ports.Select(range => range.ToString())],
            Action = rule.Action,
            Dropped = node.DroppedBy(rule.Number),
        };
    }

    private static string[] Show(string[] all) =>
        all.Length <= MostShown ? all : [.. all.Take(MostShown), $"and {all.Length - MostShown} more"];
}
