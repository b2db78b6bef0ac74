using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;

namespace LightTunnel.Membership;

/// <summary>A rule as a member is told it.</summary>
internal sealed record ToldRule : ICborRecord<ToldRule>
{
    private byte[]? _encoding;

    /// <summary>A rule in a message.</summary>
    public static CborKind<ToldRule> Kind { get; } = new RuleKind();

    /// <summary>The rule.</summary>
    public required NodeRule Rule { get; init; }

    /// <inheritdoc/>
    public static ToldRule Exchange(CborFields<ToldRule> fields) => new()
    {
        Rule = new NodeRule
        {
            Number = fields.Required(1, "number", m => m.Rule.Number, FieldKinds.Number(0, AccessRule.HighestNumber)),
            Direction = fields.Optional(2, "direction", m => m.Rule.Direction, FieldKinds.OneOf(RuleDirection.Inbound)),
            Action = fields.Optional(3, "action", m => m.Rule.Action, FieldKinds.OneOf(RuleAction.Deny)),
            Protocol = fields.Optional(4, "protocol", m => m.Rule.Protocol, FieldKinds.OneOf(RuleProtocol.Any)),
            Ports = fields.Optional(5, "ports", m => m.Rule.Ports, FieldKinds.Array(FieldKinds.Ports, 0, AccessRule.MaximumPortRanges)),
            Own = fields.Optional(
                6, "member's own addresses", m => m.Rule.Own, FieldKinds.Array(FieldKinds.Address, 0, ControlMessage.MaximumAddresses)),
            Scope = fields.Optional(7, "scope", m => m.Rule.Scope, FieldKinds.OneOf(RuleScope.Listed)),
            Sets = fields.Optional(
                8, "sets", m => m.Rule.Sets, FieldKinds.Array(FieldKinds.AnyUInt32, 0, AccessRule.MaximumSelectors)),
            Behind = fields.Optional(20, "networks behind", m => m.Rule.Behind, FieldKinds.OneOf(RuleBehind.None)),
            BehindSet = fields.Optional(21, "set of networks behind", m => m.Rule.BehindSet, FieldKinds.AnyUInt32),
            OnlyBehind = fields.Optional(22, "only what lies behind", m => m.Rule.OnlyBehind, FieldKinds.Flag),
        },
    };

    /// <summary>The rule as it stands in a message: made when first asked for, and kept for all others who are told it.</summary>
    public byte[] Encode() => _encoding ??= CborRecord.Encode(this);

    /// <inheritdoc/>
    public bool Equals(ToldRule? other) => other is not null && Rule.Equals(other.Rule);

    /// <inheritdoc/>
    public override int GetHashCode() => Rule.GetHashCode();

    private sealed class RuleKind : CborKind<ToldRule>
    {
        public override string Description => "rule";

        public override bool TryRead(CborReader reader, [MaybeNullWhen(false)] out ToldRule value) =>
            CborRecord.TryRead(CborMap.Read(reader), out value);

        public override void Write(CborWriter writer, ToldRule value) => writer.WriteEncodedValue(value.Encode());
    }
}

/// <summary>What has changed of a set of addresses that rules are about.</summary>
internal sealed record ToldSet : ICborRecord<ToldSet>
{
    /// <summary>A set in a message.</summary>
    public static CborKind<ToldSet> Kind { get; } = new CborNested<ToldSet>("set");

    /// <summary>What rules name it by.</summary>
    public required uint Id { get; init; }

    /// <summary>Addresses and prefixes that are in it now.</summary>
    public IReadOnlyList<IpPrefix> Added { get; init; } = [];

    /// <summary>Those that are not any more.</summary>
    public IReadOnlyList<IpPrefix> Removed { get; init; } = [];

    /// <inheritdoc/>
    public static ToldSet Exchange(CborFields<ToldSet> fields) => new()
    {
        Id = fields.Required(1, "set", m => m.Id, FieldKinds.AnyUInt32),
        Added = fields.Optional(2, "added", m => m.Added, FieldKinds.Array(FieldKinds.Prefix, 0, RulesMessage.MaximumItems)),
        Removed = fields.Optional(3, "removed", m => m.Removed, FieldKinds.Array(FieldKinds.Prefix, 0, RulesMessage.MaximumItems)),
    };

    /// <summary>By value, lists included.</summary>
    public bool Equals(ToldSet? other) =>
        other is not null && Id == other.Id && Added.SequenceEqual(other.Added) && Removed.SequenceEqual(other.Removed);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Id, Added.Count, Removed.Count);
}

/// <summary>
/// A page of what has changed of the rules that concern a member. Pages count once the last of them has come, all together.
/// </summary>
internal sealed record RulesMessage : ControlMessage, ICborRecord<RulesMessage>
{
    /// <summary>Longest encoded page.</summary>
    public const int MaximumLength = 1100;

    /// <summary>Bound on what a decoder builds: nothing that a page tells of takes less than a byte.</summary>
    public const int MaximumItems = MaximumLength;

    /// <summary>Rules new or changed.</summary>
    public IReadOnlyList<ToldRule> Rules { get; init; } = [];

    /// <summary>Rules that are no more, by <see cref="NodeRule.Key"/>.</summary>
    public IReadOnlyList<uint> RemovedRules { get; init; } = [];

    /// <summary>Sets new or changed.</summary>
    public IReadOnlyList<ToldSet> Sets { get; init; } = [];

    /// <summary>Sets that are no more.</summary>
    public IReadOnlyList<uint> RemovedSets { get; init; } = [];

    /// <summary>True when more pages follow, with which this one counts.</summary>
    public bool More { get; init; }

    /// <summary>True for the first page of all that there is: what was told before does not hold any more.</summary>
    public bool Start { get; init; }

    /// <inheritdoc/>
    public static RulesMessage Exchange(CborFields<RulesMessage> fields) => new()
    {
        Rules = fields.Optional(1, "rules", m => m.Rules, FieldKinds.Array(ToldRule.Kind, 0, MaximumItems)),
        RemovedRules = fields.Optional(2, "rules removed", m => m.RemovedRules, FieldKinds.Array(FieldKinds.AnyUInt32, 0, MaximumItems)),
        Sets = fields.Optional(3, "sets", m => m.Sets, FieldKinds.Array(ToldSet.Kind, 0, MaximumItems)),
        RemovedSets = fields.Optional(4, "sets removed", m => m.RemovedSets, FieldKinds.Array(FieldKinds.AnyUInt32, 0, MaximumItems)),
        More = fields.Optional(5, "more follows", m => m.More, FieldKinds.Flag),
        Start = fields.Optional(6, "begins anew", m => m.Start, FieldKinds.Flag),
    };
}
