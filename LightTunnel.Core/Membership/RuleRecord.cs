using System.Diagnostics.CodeAnalysis;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Store;

namespace LightTunnel.Membership;

/// <summary>An access rule as it stands in the store, where the entry's key tells its number. Never changed after creation.</summary>
internal sealed record RuleRecord : ICborRecord<RuleRecord>
{
    private static readonly CborKind<IReadOnlyList<RuleSelector>> Side = FieldKinds.Array(
        new CborConverted<SelectorRecord, RuleSelector>(
            new CborNested<SelectorRecord>("selector"), static one => new SelectorRecord { Selector = one }, static read => read.Selector),
        1, AccessRule.MaximumSelectors);

    /// <summary>The rule; its number is the entry's.</summary>
    public required AccessRule Rule { get; init; }

    /// <inheritdoc/>
    public static RuleRecord Exchange(CborFields<RuleRecord> fields) => new()
    {
        Rule = new AccessRule
        {
            Number = 0,
            Name = fields.Optional(1, "name", m => m.Rule.Name, FieldKinds.Text),
            From = fields.Required(2, "from", m => m.Rule.From, Side),
            To = fields.Required(3, "to", m => m.Rule.To, Side),
            Protocol = fields.Optional(4, "protocol", m => m.Rule.Protocol, FieldKinds.OneOf(RuleProtocol.Any)),
            Ports = fields.Optional(5, "ports", m => m.Rule.Ports, FieldKinds.Array(FieldKinds.Ports, 0, AccessRule.MaximumPortRanges)),
            Action = fields.Required(6, "action", m => m.Rule.Action, FieldKinds.OneOf(RuleAction.Deny)),
            Enabled = !fields.Optional(7, "disabled", m => !m.Rule.Enabled, FieldKinds.Flag),
        },
    };

    /// <summary>Reads a rule's entry; false for any other, and for one that cannot be read.</summary>
    public static bool TryRead(string key, byte[]? value, [NotNullWhen(true)] out AccessRule? rule)
    {
        rule = null;
        if (!StoreKeys.TryReadRule(key, out int number) || value is null
            || !CborMap.TryRead(value, out CborMap? map) || !CborRecord.TryRead(map, out RuleRecord? read))
        {
            return false;
        }

        try
        {
            AccessRule found = read.Rule with { Number = number };
            found.Check();
            rule = found;
            return true;
        }
        catch (LightTunnelException)
        {
            return false;
        }
    }

    /// <summary>The entry's value, with what of the one before only a newer version knows.</summary>
    public static byte[] Write(AccessRule rule, byte[]? before) => CborRecord.Encode(
        new RuleRecord { Rule = rule }, before: before is not null && CborMap.TryRead(before, out CborMap? map) ? map : null);

    /// <summary>A selector inside a rule's entry.</summary>
    private sealed record SelectorRecord : ICborRecord<SelectorRecord>
    {
        public required RuleSelector Selector { get; init; }

        /// <inheritdoc/>
        public static SelectorRecord Exchange(CborFields<SelectorRecord> fields)
        {
            SelectorKind kind = fields.Required(1, "kind", m => m.Selector.Kind, FieldKinds.OneOf(SelectorKind.Nobody));
            string name = fields.Optional(2, "name", m => m.Selector.Name ?? string.Empty, FieldKinds.Text);
            uint memberId = fields.Optional(3, "member", m => m.Selector.MemberId, FieldKinds.AnyUInt32);
            IpPrefix? prefix = fields.Optional(4, "prefix", m => PrefixOf(m.Selector), FieldKinds.OrNone(FieldKinds.Prefix));
            bool isWhole = kind switch
            {
                SelectorKind.Group or SelectorKind.Member => name.Length > 0,
                SelectorKind.Prefix => prefix is not null,
                _ => true,
            };
            fields.Require(isWhole, "the selector does not say whom it is about.");
            return new SelectorRecord
            {
                Selector = kind switch
                {
                    SelectorKind.Group => RuleSelector.OfGroup(name),
                    SelectorKind.Member => RuleSelector.OfMember(name, memberId),
                    SelectorKind.Prefix => RuleSelector.OfPrefix(prefix ?? default),
                    _ => new RuleSelector { Kind = kind },
                },
            };

            static IpPrefix? PrefixOf(RuleSelector selector) => selector.Kind == SelectorKind.Prefix ? selector.Prefix : null;
        }
    }
}
