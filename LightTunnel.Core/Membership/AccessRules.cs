using LightTunnel.Access;
using LightTunnel.Diagnostics;
using LightTunnel.Membership.Store;

namespace LightTunnel.Membership;

/// <summary>
/// The network's access rules as they are meant to be, planned from a replica of the store as invitations are. Nobody is told of a rule
/// before it is in the store: what holds is <see cref="Current"/>. No I/O here. Owned by the control loop.
/// </summary>
/// <param name="replica">What is in the store.</param>
internal sealed class AccessRules(StoreReplica replica)
{
    private readonly Dictionary<int, AccessRule> _planned = [];

    /// <summary>Those that are not as in the store.</summary>
    private readonly HashSet<int> _changed = [];

    /// <summary>The rules that are in the store, in the order of their numbers. Replaced, never changed.</summary>
    public IReadOnlyList<AccessRule> Current { get; private set; } = [];

    /// <summary>A number that changes with <see cref="Current"/>.</summary>
    public int Version { get; private set; }

    /// <summary>Entries that this version cannot read, and leaves alone.</summary>
    public IReadOnlyCollection<int> Unreadable { get; private set; } = [];

    /// <summary>True when something is to be committed.</summary>
    public bool HasChanges => _changed.Count > 0;

    /// <summary>The rules with what is to be committed, to be changed within the same commit.</summary>
    public IReadOnlyDictionary<int, AccessRule> Planned => _planned;

    /// <summary>Enters a rule, or another one in its place.</summary>
    /// <exception cref="LightTunnelException">It is out of its bounds, or there are too many.</exception>
    public void Put(AccessRule rule)
    {
        rule.Check();
        if (!_planned.ContainsKey(rule.Number) && _planned.Count >= AccessRule.MaximumCount)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"The network has {AccessRule.MaximumCount} rules, as many as it can.",
                "Join rules that differ in addresses or ports only: each takes many of them.");
        }

        _planned[rule.Number] = rule;
        _changed.Add(rule.Number);
    }

    /// <summary>Takes a rule out; false when there is none of that number.</summary>
    public bool Remove(int number)
    {
        bool isThere = _planned.Remove(number);
        if (isThere)
            _changed.Add(number);
        return isThere;
    }

    /// <summary>Takes over what others changed in the store.</summary>
    /// <param name="keys">The entries that are others now.</param>
    /// <param name="hasLostCommits">True when the store has lost commits, which are to be made again.</param>
    public void TakeOver(IEnumerable<string> keys, bool hasLostCommits)
    {
        bool isChanged = false;
        foreach (string key in keys)
        {
            if (!StoreKeys.TryReadRule(key, out int number))
                continue;
            isChanged = true;
            if (hasLostCommits && replica.Find(key) is null && _planned.ContainsKey(number))
                _changed.Add(number);
            else
                Reload(number);
        }

        if (isChanged)
            Publish();
    }

    /// <summary>What is to be written: all that is not as in the store.</summary>
    public IEnumerable<KeyValuePair<string, byte[]?>> Plan()
    {
        foreach (int number in _changed)
        {
            string key = StoreKeys.Rule(number);
            AccessRule? rule = _planned.GetValueOrDefault(number);
            yield return new KeyValuePair<string, byte[]?>(key, rule is null ? null : RuleRecord.Write(rule, replica.Find(key)));
        }
    }

    /// <summary>What was planned is in the store.</summary>
    public void OnApplied()
    {
        if (_changed.Count == 0)
            return;
        _changed.Clear();
        Publish();
    }

    /// <summary>What was planned is not in the store: it is as if it had not been tried.</summary>
    public void OnFailed()
    {
        foreach (int number in _changed.ToArray())
            Reload(number);
    }

    private void Reload(int number)
    {
        string key = StoreKeys.Rule(number);
        _changed.Remove(number);
        if (RuleRecord.TryRead(key, replica.Find(key), out AccessRule? stored))
            _planned[number] = stored;
        else
            _planned.Remove(number);
        if (stored is null && replica.Find(key) is not null)
            Unreadable = [.. Unreadable.Append(number).Distinct()];
    }

    private void Publish()
    {
        // What a store has lost holds on until it is in there again.
        HashSet<AccessRule> held = [.. Current];
        Current =
        [
            .. _planned.Values
                .Where(rule => !_changed.Contains(rule.Number) || held.Contains(rule))
                .OrderBy(rule => rule.Number),
        ];
        Version++;
    }
}
