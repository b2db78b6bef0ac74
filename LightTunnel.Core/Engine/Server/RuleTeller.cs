using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Server;

/// <summary>How far a member was told of access rules. Owned by the control loop.</summary>
internal sealed class RuleProgress
{
    /// <summary>What the member knows once it has taken all pages; null as long as it was told nothing.</summary>
    public NodeRules? Told { get; set; }

    /// <summary>Pages that are still to be sent.</summary>
    public Queue<RulesMessage> Pages { get; } = new();

    /// <summary>True while there is something that it is to be told.</summary>
    public bool IsBehind { get; set; }
}

/// <summary>
/// The server works out what access rules mean for each member and for itself, whenever rules or members are others, and tells each member
/// what concerns it: what has changed, in pages, of which it takes the last one for all. Owned by the control loop.
/// </summary>
internal sealed class RuleTeller(
    Node node, ServerOptions options, Leases leases, ClientRoster roster, DirectoryTeller directory, RouteDesk routes)
{
    /// <summary>Members that are told in one turn.</summary>
    private const int MembersOfTurn = 256;

    /// <summary>Pages are sent until so many messages wait to be taken: the rest of the channel is for others.</summary>
    private const int MostPending = 48;

    private readonly HashSet<ServedClient> _behind = [];
    private Dictionary<NodeRule, ToldRule> _told = new(ReferenceEqualityComparer.Instance);
    private Dictionary<NodeRule, ToldRule> _toldBefore = [];
    private int _version = -1;
    private (long Leases, long Routes) _generation = (-1, -1);

    /// <summary>What rules mean at present.</summary>
    public RuleResolver Resolver { get; } = new();

    /// <summary>All rules that hold: client isolation is one, before all others.</summary>
    public IReadOnlyList<AccessRule> All =>
        options.ClientIsolation ? [AccessRule.ClientIsolation, .. leases.Rules.Current] : leases.Rules.Current;

    private TunnelAddress[] OwnAddresses => [.. options.Addresses.Select(own => own.Address)];

    /// <summary>Packets that a rule has dropped at this server, those that plain clients sent or were sent included.</summary>
    public long DroppedBy(int number) =>
        node.Rules.DroppedBy(number) + roster.All.Sum(peer => peer.Guarded?.DroppedBy(number) ?? 0);

    /// <summary>A member registers; true when rules concern it, which it is told next.</summary>
    public bool Begin(ServedClient peer)
    {
        ResolveIfNeeded();
        RuleProgress progress = peer.Session!.Rules;
        progress.Pages.Clear();
        progress.Told = null;
        if (peer.KnowsRules != true)
        {
            if (Resolver.Rules.Count > 0)
            {
                node.Log.Warning(
                    "{Member} runs an older version, which does not enforce access rules: only who sends to it does", peer.Name);
            }

            return false;
        }

        if (ReferenceEquals(Resolver.For(peer.Addresses, peer.Subnets), NodeRules.None))
        {
            progress.Told = NodeRules.None;
            return false;
        }

        NoteBehind(peer);
        return true;
    }

    /// <summary>A member has taken what it was sent: it may be told more.</summary>
    public void OnReady(ServedClient peer)
    {
        if (peer.Session is { Rules.IsBehind: true })
            _behind.Add(peer);
    }

    /// <summary>Works out what is to be, and sends as much of it as there is room for.</summary>
    /// <param name="now">The present.</param>
    /// <param name="sent">Called for each member that was sent something.</param>
    /// <returns>When to call again.</returns>
    public Timestamp Tell(Timestamp now, Action<ServedClient> sent)
    {
        ResolveIfNeeded();
        foreach (ServedClient peer in _behind.Take(MembersOfTurn).ToArray())
        {
            _behind.Remove(peer);
            if (peer is not { Online: true, Session: { Registered: true, IsBroken: false } session })
                continue;
            Tell(peer, session);
            sent(peer);
            if (!session.Rules.IsBehind)
                directory.OnReady(peer);
        }

        return _behind.Count > 0 ? now : Timestamp.Never;
    }

    private void Tell(ServedClient peer, ClientSession session)
    {
        RuleProgress progress = session.Rules;
        while (session.Pending < MostPending)
        {
            if (progress.Pages.TryDequeue(out RulesMessage? page))
            {
                session.Send(page);
                continue;
            }

            NodeRules wanted = Resolver.For(peer.Addresses, peer.Subnets);
            if (ReferenceEquals(progress.Told, wanted))
            {
                progress.IsBehind = false;
                return;
            }

            foreach (RulesMessage made in RulePages.Make(progress.Told, wanted, ToldOf))
                progress.Pages.Enqueue(made);
            progress.Told = wanted;
            progress.IsBehind = progress.Pages.Count > 0;
            if (!progress.IsBehind)
                return;
        }
    }

    /// <summary>A rule as it is told, encoded once for all who are told it.</summary>
    private ToldRule ToldOf(NodeRule rule)
    {
        if (!_told.TryGetValue(rule, out ToldRule? told))
            _told[rule] = told = _toldBefore.GetValueOrDefault(rule) ?? new ToldRule { Rule = rule };
        return told;
    }

    private void ResolveIfNeeded()
    {
        bool isAnother = _version != leases.Rules.Version;
        (long, long) generation = (leases.Generation, routes.Version);
        if (!isAnother && (_generation == generation || Resolver.Rules.Count == 0))
            return;
        (_version, _generation) = (leases.Rules.Version, generation);
        (_toldBefore, _told) = (_told, new Dictionary<NodeRule, ToldRule>(ReferenceEqualityComparer.Instance));
        Resolver.Resolve(
            All, leases.All.Select(lease => new RuleSubject(lease.MemberId, lease.Groups, lease.Addresses)), OwnAddresses,
            [.. routes.Own.Where(prefix => !MemberRoutes.IsExit(prefix))]);
        node.TakeRules(Resolver.For(OwnAddresses, routes.Own, isServer: true));
        foreach (ServedClient plain in roster.All.Where(peer => peer.IsPlain))
            plain.TakeRules(Resolver.For(plain.Addresses), () => (ulong)node.Services.Jitter.NextInt64());
        foreach (ServedClient peer in directory.Told)
        {
            if (peer is { KnowsRules: true, Session: not null })
                NoteBehind(peer);
        }
    }

    private void NoteBehind(ServedClient peer)
    {
        peer.Session!.Rules.IsBehind = true;
        _behind.Add(peer);
    }
}
