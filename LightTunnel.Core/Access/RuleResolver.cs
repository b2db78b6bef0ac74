using LightTunnel.Addressing;

namespace LightTunnel.Access;

/// <summary>A member as rules see it.</summary>
/// <param name="MemberId">Its id.</param>
/// <param name="Groups">The groups that an admin has put it in.</param>
/// <param name="Addresses">Its addresses.</param>
internal sealed record RuleSubject(uint MemberId, IReadOnlyList<string> Groups, IReadOnlyList<TunnelAddress> Addresses);

/// <summary>
/// Makes of a network's rules, members and groups what each node needs to know. Sets of addresses keep their ids, and stay the same object
/// as long as they have the same addresses, so that who was told of one can be told what has changed. Owned by the control loop.
/// </summary>
internal sealed class RuleResolver
{
    private readonly Dictionary<string, uint> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<uint, AddressSet> _sets = [];
    private Side[] _sides = [];
    private AccessRule[] _rules = [];

    // What was made is kept until rules were resolved twice: who was told of it is not told again, nor is it encoded again.
    private Dictionary<NodeRule, NodeRule> _shared = [], _sharedBefore = [];
    private Dictionary<int, List<NodeRules>> _made = [], _madeBefore = [];
    private AddressSet _server = AddressSet.Empty;
    private AddressSet _behindServer = AddressSet.Empty;
    private uint _lastId;

    /// <summary>The rules that count, in their order.</summary>
    public IReadOnlyList<AccessRule> Rules => _rules;

    /// <summary>Resolves anew.</summary>
    /// <param name="rules">The network's rules, in any order; those that are disabled do not count.</param>
    /// <param name="members">Every member.</param>
    /// <param name="server">The server's own addresses.</param>
    /// <param name="behindServer">The networks behind the server: what is there is no client.</param>
    public void Resolve(
        IEnumerable<AccessRule> rules, IEnumerable<RuleSubject> members, IEnumerable<TunnelAddress> server,
        IReadOnlyList<IpPrefix>? behindServer = null)
    {
        _behindServer = new AddressSet(behindServer ?? []);
        (_shared, _sharedBefore) = ([], _shared);
        (_made, _madeBefore) = ([], _made);
        _rules = [.. rules.Where(rule => rule.Enabled).OrderBy(rule => rule.Number)];
        _server = new AddressSet(server.Select(IpPrefix.Host));
        var found = new Dictionary<uint, List<IpPrefix>>();
        var groups = new Dictionary<string, List<IpPrefix>>(StringComparer.OrdinalIgnoreCase);
        var named = new Dictionary<uint, List<IpPrefix>>();
        _sides = [.. _rules.SelectMany(rule => new[] { Meet(rule.From), Meet(rule.To) })];
        if (groups.Count > 0 || named.Count > 0)
        {
            foreach (RuleSubject member in members)
            {
                foreach (string group in member.Groups)
                {
                    if (groups.TryGetValue(group, out List<IpPrefix>? addresses))
                        addresses.AddRange(member.Addresses.Select(IpPrefix.Host));
                }

                if (named.TryGetValue(member.MemberId, out List<IpPrefix>? own))
                    own.AddRange(member.Addresses.Select(IpPrefix.Host));
            }
        }

        foreach ((string what, uint id) in _ids.Where(one => !found.ContainsKey(one.Value)).ToArray())
        {
            _ids.Remove(what);
            _sets.Remove(id);
        }

        foreach ((uint id, List<IpPrefix> items) in found)
        {
            var now = new AddressSet(items);
            if (!_sets.TryGetValue(id, out AddressSet? before) || !before.IsSame(now))
                _sets[id] = now;
        }

        Side Meet(IReadOnlyList<RuleSelector> selectors)
        {
            if (selectors.Any(selector => selector.Kind == SelectorKind.Everybody))
                return new Side(RuleScope.Everybody, [], 0);
            return selectors.Any(selector => selector.Kind == SelectorKind.Clients)
                ? new Side(RuleScope.Clients, [], 0)
                : new Side(RuleScope.Listed, SetsOf(selectors, out uint prefixSet), prefixSet);
        }

        uint[] SetsOf(IReadOnlyList<RuleSelector> selectors, out uint prefixSet)
        {
            prefixSet = 0;
            var sets = new List<uint>();
            foreach (RuleSelector selector in selectors)
            {
                switch (selector.Kind)
                {
                    case SelectorKind.Group:
                        sets.Add(SetOf($"group:{selector.Name!.ToUpperInvariant()}", Entry(groups, selector.Name!)));
                        break;
                    case SelectorKind.Member when selector.MemberId != 0:
                        sets.Add(SetOf($"member {selector.MemberId}", Entry(named, selector.MemberId)));
                        break;
                    case SelectorKind.Server:
                        sets.Add(SetOf("server", [.. _server.Items]));
                        break;
                }
            }

            RuleSelector[] prefixes = [.. selectors.Where(selector => selector.Kind == SelectorKind.Prefix)];
            if (prefixes.Length > 0)
                sets.Add(prefixSet = SetOf(string.Join(',', prefixes.Select(one => one.Prefix)), [.. prefixes.Select(one => one.Prefix)]));
            return [.. sets.Distinct()];
        }

        uint SetOf(string what, List<IpPrefix> items)
        {
            if (!_ids.TryGetValue(what, out uint id))
                _ids[what] = id = ++_lastId;
            found[id] = items;
            return id;
        }
    }

    /// <summary>The rule that decides about a connection; null for none, so that it is allowed.</summary>
    /// <param name="source">Who begins.</param>
    /// <param name="destination">Who is talked to.</param>
    /// <param name="protocol">By which protocol; <see cref="RuleProtocol.Any"/> for one without a name here.</param>
    /// <param name="port">At which port.</param>
    /// <param name="member">The own address of the node that who begins lies behind; null for none.</param>
    public AccessRule? Decide(
        TunnelAddress source, TunnelAddress destination, RuleProtocol protocol, int port, TunnelAddress? member = null)
    {
        for (int i = 0; i < _rules.Length; i++)
        {
            AccessRule rule = _rules[i];
            if ((rule.Protocol == RuleProtocol.Any || rule.Protocol == protocol)
                && (rule.Ports.Count == 0 || rule.Ports.Any(range => range.Contains(port)))
                && (Contains(_sides[2 * i], source) || (member is { } itself && Contains(_sides[2 * i], itself)))
                && Contains(_sides[(2 * i) + 1], destination))
            {
                return rule;
            }
        }

        return null;
    }

    /// <summary>What one node needs to know. It is the same object for all nodes that need to know the same.</summary>
    /// <param name="addresses">The node's own addresses.</param>
    /// <param name="behind">The networks behind it that others may reach; null for none.</param>
    /// <param name="isServer">True for the server.</param>
    public NodeRules For(IReadOnlyList<TunnelAddress> addresses, IReadOnlyList<IpPrefix>? behind = null, bool isServer = false)
    {
        var rules = new List<NodeRule>();
        var sets = new Dictionary<uint, AddressSet>();
        for (int i = 0; i < _rules.Length; i++)
        {
            Add(_rules[i], RuleDirection.Inbound, own: _sides[(2 * i) + 1], far: _sides[2 * i]);
            Add(_rules[i], RuleDirection.Outbound, own: _sides[2 * i], far: _sides[(2 * i) + 1]);
        }

        return rules.Count == 0 ? NodeRules.None : Share(rules, sets);

        void Add(AccessRule rule, RuleDirection direction, Side own, Side far)
        {
            TunnelAddress[] mine = [.. addresses.Where(address => Contains(own, address))];
            RuleBehind behindOwn = BehindOf(direction, own, mine.Length > 0, behind ?? [], isServer);
            if (mine.Length == 0 && behindOwn == RuleBehind.None)
                return;
            if (behindOwn == RuleBehind.Listed)
                sets[own.PrefixSet] = _sets[own.PrefixSet];
            foreach (uint set in far.Sets)
            {
                if (_sets.TryGetValue(set, out AddressSet? found))
                    sets[set] = found;
            }

            rules.Add(Share(new NodeRule
            {
                Number = rule.Number,
                Direction = direction,
                Action = rule.Action,
                Protocol = rule.Protocol,
                Ports = rule.Ports,
                Own = mine.Length == addresses.Count ? [] : mine,
                Behind = behindOwn,
                BehindSet = behindOwn == RuleBehind.Listed ? own.PrefixSet : 0,
                OnlyBehind = mine.Length == 0,
                Scope = far.Scope,
                Sets = far.Sets,
            }));
        }
    }

    /// <summary>
    /// Whether one side of a rule is about what lies behind a node. Who begins there is the node as well, which could send it in its own
    /// name; who is talked to there is by its address alone.
    /// </summary>
    private RuleBehind BehindOf(RuleDirection direction, Side own, bool hasNode, IReadOnlyList<IpPrefix> behind, bool isServer) =>
        behind.Count == 0 ? RuleBehind.None
        : own.Scope == RuleScope.Everybody || (own.Scope == RuleScope.Clients && !isServer) ? RuleBehind.All
        : direction == RuleDirection.Outbound && hasNode ? RuleBehind.All
        : own.PrefixSet != 0 && behind.Any(_sets[own.PrefixSet].Overlaps) ? RuleBehind.Listed
        : RuleBehind.None;

    private NodeRule Share(NodeRule rule)
    {
        if (!_shared.TryGetValue(rule, out NodeRule? shared))
            _shared[rule] = shared = _sharedBefore.GetValueOrDefault(rule) ?? rule;
        return shared;
    }

    private NodeRules Share(List<NodeRule> rules, Dictionary<uint, AddressSet> sets)
    {
        var hash = new HashCode();
        rules.ForEach(rule => hash.Add(rule.Key));
        int code = hash.ToHashCode();
        if (!_made.TryGetValue(code, out List<NodeRules>? alike))
            _made[code] = alike = [];
        NodeRules? made = alike.Find(IsSame);
        if (made is null)
            alike.Add(made = _madeBefore.GetValueOrDefault(code)?.Find(IsSame) ?? new NodeRules([.. rules], sets));
        return made;

        bool IsSame(NodeRules other) =>
            other.Rules.SequenceEqual(rules, ReferenceEqualityComparer.Instance) && other.Sets.Count == sets.Count
            && sets.All(set => other.Sets.TryGetValue(set.Key, out AddressSet? same) && ReferenceEquals(same, set.Value));
    }

    private static List<IpPrefix> Entry<TKey>(Dictionary<TKey, List<IpPrefix>> all, TKey key)
        where TKey : notnull
    {
        if (!all.TryGetValue(key, out List<IpPrefix>? entry))
            all[key] = entry = [];
        return entry;
    }

    private bool Contains(Side side, TunnelAddress address)
    {
        if (side.Scope == RuleScope.Everybody)
            return true;
        if (side.Scope == RuleScope.Clients)
            return !_server.Contains(address) && !_behindServer.Contains(address);
        foreach (uint set in side.Sets)
        {
            if (_sets.TryGetValue(set, out AddressSet? found) && found.Contains(address))
                return true;
        }

        return false;
    }

    /// <param name="Scope">Whom it is about.</param>
    /// <param name="Sets">The sets that it has.</param>
    /// <param name="PrefixSet">The one of them that has its addresses and prefixes; 0 for none.</param>
    private readonly record struct Side(RuleScope Scope, uint[] Sets, uint PrefixSet);
}
