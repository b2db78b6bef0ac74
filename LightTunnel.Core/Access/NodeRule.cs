using LightTunnel.Addressing;

namespace LightTunnel.Access;

/// <summary>On which side of a rule a node is; the values are those on the wire.</summary>
internal enum RuleDirection
{
    /// <summary>Others begin to talk to it.</summary>
    Inbound = 0,

    /// <summary>It begins to talk to others.</summary>
    Outbound = 1,
}

/// <summary>Whom the far side of a node's rule is about; the values are those on the wire.</summary>
internal enum RuleScope
{
    /// <summary>Those in the rule's sets; also what only a newer version knows.</summary>
    Listed = 0,

    /// <summary>Everybody.</summary>
    Everybody = 1,

    /// <summary>Everybody but the server.</summary>
    Clients = 2,
}

/// <summary>What a node's rule says of the networks behind the node; the values are those on the wire.</summary>
internal enum RuleBehind
{
    /// <summary>Nothing; also what only a newer version knows.</summary>
    None = 0,

    /// <summary>It is about all of what lies there.</summary>
    All = 1,

    /// <summary>It is about what one of its sets has of it.</summary>
    Listed = 2,
}

/// <summary>
/// A rule as one node needs to know it: names and groups are resolved by the server, and what is not this node's concern is left out. A
/// rule that the node is on both sides of is two of these. Never changed after creation.
/// </summary>
internal sealed record NodeRule
{
    /// <summary>Most of a node: each rule may have it on both sides.</summary>
    public const int MaximumCount = 2 * (AccessRule.MaximumCount + 1);

    /// <summary>The rule's number.</summary>
    public required int Number { get; init; }

    /// <summary>On which side the node is.</summary>
    public RuleDirection Direction { get; init; }

    /// <summary>What becomes of it.</summary>
    public RuleAction Action { get; init; }

    /// <summary>By which protocol.</summary>
    public RuleProtocol Protocol { get; init; }

    /// <summary>At which ports of who is talked to; empty for all.</summary>
    public IReadOnlyList<PortRange> Ports { get; init; } = [];

    /// <summary>Which of the node's own addresses it is about; empty for all.</summary>
    public IReadOnlyList<TunnelAddress> Own { get; init; } = [];

    /// <summary>Whether it is about what lies behind the node as well.</summary>
    public RuleBehind Behind { get; init; }

    /// <summary>The set that tells which of that, when it is <see cref="RuleBehind.Listed"/>.</summary>
    public uint BehindSet { get; init; }

    /// <summary>True when it is about what lies behind the node, and not about the node's own addresses.</summary>
    public bool OnlyBehind { get; init; }

    /// <summary>Whom the far side is about.</summary>
    public RuleScope Scope { get; init; }

    /// <summary>The sets of addresses of the far side, when it is <see cref="RuleScope.Listed"/>.</summary>
    public IReadOnlyList<uint> Sets { get; init; } = [];

    /// <summary>What tells it from the node's other ones.</summary>
    public uint Key => ((uint)Number << 1) | (uint)Direction;

    /// <summary>By value, lists included.</summary>
    public bool Equals(NodeRule? other) =>
        other is not null && Key == other.Key && Action == other.Action && Protocol == other.Protocol && Scope == other.Scope
        && Behind == other.Behind && BehindSet == other.BehindSet && OnlyBehind == other.OnlyBehind
        && Ports.SequenceEqual(other.Ports) && Own.SequenceEqual(other.Own) && Sets.SequenceEqual(other.Sets);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Key, Action, Protocol, Scope, Own.Count == 0 ? default : Own[0]);
}

/// <summary>All rules of one node, with the sets of addresses that they are about. Never changed after creation.</summary>
/// <param name="Rules">The rules, in the order of their numbers.</param>
/// <param name="Sets">Their sets; one that is not there is empty.</param>
internal sealed record NodeRules(IReadOnlyList<NodeRule> Rules, IReadOnlyDictionary<uint, AddressSet> Sets)
{
    /// <summary>No rules: everybody reaches everybody.</summary>
    public static NodeRules None { get; } = new([], new Dictionary<uint, AddressSet>());
}
