using LightTunnel.Access;
using LightTunnel.Addressing;

namespace LightTunnel.Membership;

/// <summary>What a member has to be told so that it knows other rules than before, in pages of bounded length.</summary>
internal static class RulePages
{
    /// <summary>Bytes of a page besides its items: the type, the fields' keys and the lengths of its arrays, the flags.</summary>
    private const int Overhead = 32;

    /// <summary>Longest encoding of a prefix; of a set besides its prefixes; of a number.</summary>
    private const int PrefixLength = 1 + 16 + 1, SetLength = 1 + 2 * 4 + 5, NumberLength = 5;

    /// <summary>Prefixes of a set in one item, so that items fit into pages.</summary>
    private const int PrefixesOfItem = 32;

    /// <summary>Makes the pages; none when nothing has changed.</summary>
    /// <param name="before">What the member knows; null when it is told everything anew.</param>
    /// <param name="now">What it is to know.</param>
    /// <param name="told">A rule as it is told.</param>
    public static IReadOnlyList<RulesMessage> Make(NodeRules? before, NodeRules now, Func<NodeRule, ToldRule> told)
    {
        var pages = new List<RulesMessage>();
        var page = new Page();
        NodeRules known = before ?? NodeRules.None;
        Dictionary<uint, NodeRule> had = known.Rules.ToDictionary(rule => rule.Key);
        foreach (NodeRule rule in now.Rules)
        {
            if (had.Remove(rule.Key, out NodeRule? same) && (ReferenceEquals(same, rule) || same.Equals(rule)))
                continue;
            ToldRule item = told(rule);
            Room(item.Encode().Length).Rules.Add(item);
        }

        foreach (uint gone in had.Keys)
            Room(NumberLength).RemovedRules.Add(gone);
        foreach ((uint id, AddressSet set) in now.Sets)
        {
            AddressSet was = known.Sets.GetValueOrDefault(id) ?? AddressSet.Empty;
            if (ReferenceEquals(was, set))
                continue;
            foreach (IpPrefix[] part in set.Items.Where(item => !was.Items.Contains(item)).Chunk(PrefixesOfItem))
                Room(SetLength + (part.Length * PrefixLength)).Sets.Add(new ToldSet { Id = id, Added = part });
            foreach (IpPrefix[] part in was.Items.Where(item => !set.Items.Contains(item)).Chunk(PrefixesOfItem))
                Room(SetLength + (part.Length * PrefixLength)).Sets.Add(new ToldSet { Id = id, Removed = part });
        }

        foreach (uint gone in known.Sets.Keys.Where(id => !now.Sets.ContainsKey(id)))
            Room(NumberLength).RemovedSets.Add(gone);
        if (!page.IsEmpty || before is null)
            pages.Add(page.ToMessage(more: false, start: before is null && pages.Count == 0));
        return pages;

        Page Room(int length)
        {
            if (page.Length + length > RulesMessage.MaximumLength)
            {
                pages.Add(page.ToMessage(more: true, start: before is null && pages.Count == 0));
                page = new Page();
            }

            page.Length += length;
            return page;
        }
    }

    private sealed class Page
    {
        public List<ToldRule> Rules { get; } = [];

        public List<uint> RemovedRules { get; } = [];

        public List<ToldSet> Sets { get; } = [];

        public List<uint> RemovedSets { get; } = [];

        public int Length { get; set; } = Overhead;

        public bool IsEmpty => Length == Overhead;

        public RulesMessage ToMessage(bool more, bool start) => new()
        {
            Rules = Rules, RemovedRules = RemovedRules, Sets = Sets, RemovedSets = RemovedSets, More = more, Start = start,
        };
    }
}

/// <summary>What a member was told of rules, put together from pages. Owned by the control loop.</summary>
internal sealed class RulesView
{
    /// <summary>Most addresses of all sets: what a network of the largest size can have.</summary>
    public const int MaximumAddresses = 1 << 20;

    /// <summary>Most sets.</summary>
    public const int MaximumSets = 4 * AccessRule.MaximumCount;

    private readonly Dictionary<uint, NodeRule> _rules = [];
    private readonly Dictionary<uint, HashSet<IpPrefix>> _sets = [];
    private int _addresses;
    private bool _isTooMuch;

    /// <summary>Takes a page.</summary>
    /// <param name="page">The page.</param>
    /// <param name="rules">All that holds now, when it was the last one.</param>
    /// <returns>
    /// False when there is more than there can be, or more is to come: then what held before goes on. Only a server that is at fault tells
    /// too much.
    /// </returns>
    public bool TryTake(RulesMessage page, out NodeRules rules)
    {
        rules = NodeRules.None;
        if (page.Start)
            Clear();
        if (!_isTooMuch)
            Take(page);
        if (page.More || _isTooMuch)
            return false;
        rules = new NodeRules(
            [.. _rules.Values.OrderBy(rule => rule.Key)], _sets.ToDictionary(set => set.Key, set => new AddressSet(set.Value)));
        return true;
    }

    /// <summary>There are no rules.</summary>
    public void Clear()
    {
        _rules.Clear();
        _sets.Clear();
        (_addresses, _isTooMuch) = (0, false);
    }

    /// <summary>True after more was told than there can be, until the server begins anew.</summary>
    public bool IsTooMuch => _isTooMuch;

    private void Take(RulesMessage page)
    {
        foreach (uint gone in page.RemovedRules)
            _rules.Remove(gone);
        foreach (ToldRule told in page.Rules)
            _rules[told.Rule.Key] = told.Rule;
        foreach (uint gone in page.RemovedSets)
        {
            if (_sets.Remove(gone, out HashSet<IpPrefix>? set))
                _addresses -= set.Count;
        }

        foreach (ToldSet told in page.Sets)
        {
            if (!_sets.TryGetValue(told.Id, out HashSet<IpPrefix>? set))
                _sets[told.Id] = set = [];
            _addresses -= set.Count;
            set.ExceptWith(told.Removed);
            set.UnionWith(told.Added);
            _addresses += set.Count;
        }

        _isTooMuch = _rules.Count > NodeRule.MaximumCount || _sets.Count > MaximumSets || _addresses > MaximumAddresses;
        if (!_isTooMuch)
            return;
        _rules.Clear();
        _sets.Clear();
    }
}
