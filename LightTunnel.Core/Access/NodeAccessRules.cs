using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.Access;

/// <summary>
/// A node's rules in effect: makes for each peer what data threads ask. Flows go on when rules change, as far as the new ones let them.
/// Owned by the control loop.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="seed">See <see cref="FlowTable"/>; asked once, when there are rules.</param>
/// <param name="setBits">The size of the table of flows.</param>
internal sealed class NodeAccessRules(TimeProvider time, Func<ulong> seed, int setBits = FlowTable.DefaultSetBits)
{
    private readonly Dictionary<int, RuleCounter> _counters = [];
    private readonly List<CompiledRule> _compiled = [];
    private FlowTable? _flows;
    private IpPrefix[] _behind = [];
    private IpPrefix[] _tunnel = [];

    /// <summary>A number that changes with the rules.</summary>
    public int Generation { get; private set; }

    /// <summary>The rules.</summary>
    public NodeRules Rules { get; private set; } = NodeRules.None;

    /// <summary>What passes already; null as long as there were no rules.</summary>
    public FlowTable? Flows => _flows;

    /// <summary>Packets that a rule has dropped here.</summary>
    public long DroppedBy(int number) => _counters.GetValueOrDefault(number)?.Dropped ?? 0;

    /// <summary>Takes other rules; what was made for peers is to be made anew. False when they are the same as before.</summary>
    public bool Take(NodeRules rules)
    {
        if (rules.Rules.SequenceEqual(Rules.Rules) && AreSame(rules.Sets, Rules.Sets))
            return false;
        Rules = rules;
        Generation++;
        _compiled.Clear();
        foreach (int gone in _counters.Keys.Except(rules.Rules.Select(rule => rule.Number)).ToArray())
            _counters.Remove(gone);
        foreach (NodeRule rule in rules.Rules.OrderBy(rule => rule.Number))
        {
            if (!_counters.TryGetValue(rule.Number, out RuleCounter? counter))
                _counters[rule.Number] = counter = new RuleCounter(rule.Number);
            AddressSet[]? far = rule.Scope == RuleScope.Listed
                ? [.. rule.Sets.Select(set => rules.Sets.GetValueOrDefault(set) ?? AddressSet.Empty)]
                : null;
            _compiled.Add(new CompiledRule(rule, far, counter, rules.Sets.GetValueOrDefault(rule.BehindSet)));
        }

        return true;
    }

    /// <summary>
    /// Other networks lie behind this node; what was made for peers is to be made anew. False when they are the same as before.
    /// </summary>
    /// <param name="behind">The networks.</param>
    /// <param name="tunnel">The tunnel's own network, none of whose addresses lies behind anybody.</param>
    public bool TakeBehind(IReadOnlyList<IpPrefix> behind, IReadOnlyList<IpPrefix>? tunnel = null)
    {
        tunnel ??= [];
        if (_behind.AsSpan().SequenceEqual([.. behind]) && _tunnel.AsSpan().SequenceEqual([.. tunnel]))
            return false;
        (_behind, _tunnel) = ([.. behind], [.. tunnel]);
        Generation++;
        return true;
    }

    /// <summary>What may pass between this node and a peer; null for everything.</summary>
    /// <param name="prefixes">The peer's addresses.</param>
    /// <param name="isServer">True for the network's server.</param>
    /// <param name="before">What was made for it before, or null.</param>
    /// <param name="behind">The networks behind it that this node takes.</param>
    public PeerAccess? For(
        IReadOnlyList<IpPrefix> prefixes, bool isServer, PeerAccess? before, IReadOnlyList<IpPrefix>? behind = null)
    {
        if (_compiled.Count == 0)
            return null;
        behind ??= [];
        PeerRule[] inbound = Of(RuleDirection.Inbound, prefixes, behind, isServer);
        PeerRule[] outbound = Of(RuleDirection.Outbound, prefixes, behind, isServer);
        return Make(inbound, outbound, before, behind.Count == 0 ? [] : [.. prefixes.Select(prefix => prefix.Network)]);
    }

    /// <summary>What may pass between this node and whoever else but the server; null for everything.</summary>
    /// <param name="before">What was made before, or null.</param>
    public PeerAccess? ForAll(PeerAccess? before)
    {
        return Make(Of(RuleDirection.Inbound), Of(RuleDirection.Outbound), before);

        PeerRule[] Of(RuleDirection direction) =>
            [.. _compiled.Where(rule => rule.Rule.Direction == direction).Select(rule => new PeerRule(rule, IsFarKnown: rule.Far is null))];
    }

    private PeerAccess? Make(PeerRule[] inbound, PeerRule[] outbound, PeerAccess? before, TunnelAddress[]? peerItself = null)
    {
        if (!HasDeny(inbound) && !HasDeny(outbound))
            return null;
        _flows ??= new FlowTable(time, seed(), setBits);
        return new PeerAccess(inbound, outbound, _flows, Generation, before?.Since ?? time.Now(), _behind, peerItself, _tunnel);
    }

    private static bool HasDeny(PeerRule[] rules) => Array.Exists(rules, rule => !rule.Rule.IsAllow);

    private static bool AreSame(IReadOnlyDictionary<uint, AddressSet> one, IReadOnlyDictionary<uint, AddressSet> other) =>
        one.Count == other.Count && one.All(pair => other.TryGetValue(pair.Key, out AddressSet? set) && set.IsSame(pair.Value));

    private PeerRule[] Of(RuleDirection direction, IReadOnlyList<IpPrefix> prefixes, IReadOnlyList<IpPrefix> behind, bool isServer)
    {
        var found = new List<PeerRule>();
        foreach (CompiledRule rule in _compiled)
        {
            if (rule.Rule.Direction != direction || (isServer && rule.Rule.Scope == RuleScope.Clients))
                continue;
            if (rule.Far is not { } far)
            {
                found.Add(new PeerRule(rule, IsFarKnown: true));
            }
            else if (prefixes.All(prefix => Array.Exists(far, set => set.Covers(prefix))))
            {
                found.Add(new PeerRule(rule, IsFarKnown: true));
            }
            else if (prefixes.Concat(behind).Any(prefix => Array.Exists(far, set => set.Overlaps(prefix))))
            {
                found.Add(new PeerRule(rule, IsFarKnown: false));
            }
            else
            {
                continue;
            }

            // Nothing gets past it, on neither side, what lies behind included.
            bool hasAllOfPeer = behind.Count == 0 || rule.Far is null || direction == RuleDirection.Inbound;
            bool hasAllOfOwn = _behind.Length == 0 || rule.Rule.Behind == RuleBehind.All;
            if (found[^1].IsFarKnown && rule.IsWhole && hasAllOfPeer && hasAllOfOwn)
                break;
        }

        return [.. found];
    }
}
