using LightTunnel.WindowsNetwork;

namespace LightTunnel.Tests.WindowsNetwork;

/// <summary>A firewall in memory: rules in order, of which several may have one name.</summary>
internal sealed class FakeFirewall : IFirewall
{
    private readonly Lock _lock = new();
    private readonly List<(string Group, FirewallRule Rule)> _rules = [];
    private readonly List<string> _calls = [];

    /// <summary>What keeps rules from having an effect.</summary>
    public FirewallHindrance Hindrance { get; set; }

    /// <summary>Does not say what keeps rules from having an effect.</summary>
    public bool Untold { get; set; }

    /// <summary>What calls fail with.</summary>
    public Exception? Failure { get; set; }

    /// <summary>Completes when everything wanted was told, or refused.</summary>
    public TaskCompletionSource Told { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Held while a rule is added.</summary>
    public Task Adding { get; set; } = Task.CompletedTask;

    /// <summary>Called before a rule is removed.</summary>
    public Action? Removing { get; set; }

    public IReadOnlyList<string> Calls
    {
        get
        {
            lock (_lock)
                return [.. _calls];
        }
    }

    public IReadOnlyList<FirewallRule> Rules
    {
        get
        {
            lock (_lock)
                return [.. _rules.Select(rule => rule.Rule)];
        }
    }

    public void Leave(string name, string group = FirewallRule.Group) => _rules.Add((group, new FirewallRule(name, "left")));

    public FirewallHindrance FindHindrance()
    {
        Told.TrySetResult();
        return Untold ? throw new NotImplementedException() : Hindrance;
    }

    public string? FindGroup(string name)
    {
        Fail();
        lock (_lock)
            return _rules.Find(rule => rule.Rule.Name == name).Group;
    }

    public void Remove(string name)
    {
        Removing?.Invoke();
        lock (_lock)
        {
            _calls.Add("-" + name);
            _rules.RemoveAt(_rules.FindIndex(rule => rule.Rule.Name == name));
        }
    }

    public void Add(FirewallRule rule)
    {
        Adding.GetAwaiter().GetResult();
        lock (_lock)
        {
            _calls.Add("+" + rule.Name);
            _rules.Add((FirewallRule.Group, rule));
        }
    }

    private void Fail()
    {
        if (Failure is null)
            return;
        Told.TrySetResult();
        throw Failure;
    }
}

/// <summary>A list of networks in memory, with one adapter.</summary>
internal sealed class FakeNetworkList : INetworkList
{
    /// <summary>Released at each look.</summary>
    public SemaphoreSlim Looked { get; } = new(0);

    public Guid Adapter { get; } = new("11111111-2222-3333-4444-555555555555");

    /// <summary>The adapter's network; null while it is not identified.</summary>
    public volatile IdentifiedNetwork? Network;

    /// <summary>What setting a category fails with.</summary>
    public volatile Exception? Failure;

    public IdentifiedNetwork? Find(Guid adapter)
    {
        IdentifiedNetwork? found = adapter == Adapter ? Network : null;
        Looked.Release();
        return found;
    }

    public void SetCategory(Guid adapter, NetworkCategory category)
    {
        if (Failure is not null)
            throw Failure;
        Network = Network! with { Category = category };
    }
}
