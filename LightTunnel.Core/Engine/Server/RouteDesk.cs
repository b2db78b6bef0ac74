using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// The networks behind members, on their server: takes what they offer, sees which of it an admin has approved, or a group's members need
/// nobody's approval for, and tells everybody of those. What a member offers lasts as part of its lease, and so does what was said of it,
/// also of networks that it does not offer at present. Owned by the control loop.
/// </summary>
/// <param name="node">The node.</param>
/// <param name="options">What the server is to be.</param>
/// <param name="leases">The members' leases.</param>
/// <param name="roster">The members.</param>
internal sealed class RouteDesk(Node node, ServerOptions options, Leases leases, ClientRoster roster)
{
    private readonly Dictionary<PublicKey, ServedClient> _shown = [];
    private readonly HashSet<ServedClient> _waiting = [];

    /// <summary>Members that do not know yet what of theirs is approved.</summary>
    private readonly HashSet<ServedClient> _untold = [];
    private readonly RateLimiter _refusals = new(node.Time, TimeSpan.FromMinutes(1), burst: 8);
    private IReadOnlyList<IpPrefix> _own = [];
    private (long Leases, long Settled, long Roster) _seen = (-1, -1, -1);

    private IpPrefix[] Tunnel => [.. options.Addresses.Select(own => own.Prefix)];

    /// <summary>Networks behind the server itself, which nobody has to approve.</summary>
    public void Offer(IReadOnlyList<OfferedRoute> own)
    {
        _own = [.. own.Select(route => route.Told)];
        Version++;
        node.Subnets.SetOwn(_own);
        foreach (ServedClient peer in roster.All)
        {
            if (peer is { Online: true, Session: { Registered: true } session })
                TellOwn(peer, session);
        }
    }

    /// <summary>A number that changes with what lies behind whom.</summary>
    public long Version { get; private set; }

    /// <summary>Networks behind the server itself.</summary>
    public IReadOnlyList<IpPrefix> Own => _own;

    /// <summary>
    /// The own address of the node that an address lies behind, of its family if it has one; null for none, and for what lies behind an
    /// exit node, of which there are several, and from where nobody begins.
    /// </summary>
    public TunnelAddress? WhoHas(TunnelAddress address)
    {
        (int longest, IEnumerable<TunnelAddress> found) = (-1, []);
        foreach (IpPrefix prefix in _own.Where(prefix => !MemberRoutes.IsExit(prefix) && prefix.Contains(address)))
            (longest, found) = (Math.Max(longest, prefix.Length), options.Addresses.Select(own => own.Address));
        foreach (ServedClient peer in _shown.Values)
        {
            foreach (IpPrefix prefix in peer.Subnets.Where(
                prefix => !MemberRoutes.IsExit(prefix) && prefix.Contains(address) && prefix.Length > longest))
            {
                (longest, found) = (prefix.Length, peer.Addresses);
            }
        }

        return found.OrderByDescending(own => own.IsIPv4 == address.IsIPv4).Select(own => (TunnelAddress?)own).FirstOrDefault();
    }

    /// <summary>A member registers: what it offered before holds until it says otherwise, unless it says that it offers nothing.</summary>
    public void Begin(ServedClient peer, RegisterMessage register)
    {
        ClientSession session = peer.Session!;
        if (!register.OffersRoutes)
            leases.NoteRoutes(peer.Key, []);
        if (_own.Count > 0)
            TellOwn(peer, session);
        session.RoutesApproved = register.OffersRoutes ? null : [];
        _seen = (-1, -1, -1);
    }

    /// <summary>A member says which networks it offers: taken now, or a moment later when it says so again and again.</summary>
    public void OnOffer(ServedClient peer, RoutesMessage message)
    {
        if (message.Kind != RoutesKind.Offered)
            return;
        peer.RoutesOffered = message.Prefixes;
        _waiting.Add(peer);
    }

    /// <summary>Takes what was offered and is due, and tells what is approved; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        Timestamp next = Timestamp.Never;
        foreach (ServedClient peer in _waiting.ToArray())
        {
            if (peer is not { Session.Registered: true, RoutesOffered: { } offered } || leases.ByKey(peer.Key) is null)
            {
                _waiting.Remove(peer);
            }
            else if (peer.MayOffer(now, out Timestamp again))
            {
                _waiting.Remove(peer);
                peer.RoutesOffered = null;
                leases.NoteRoutes(peer.Key, MemberRoutes.Usable(offered, Tunnel, (prefix, why) => Refuse(peer, prefix, why)));
            }
            else
            {
                next = Timestamp.Earliest(next, again);
            }
        }

        (long, long, long) present = (leases.Generation, leases.Settled, roster.Generation);
        if (_seen != present)
        {
            _seen = present;
            Show();
        }

        return next;
    }

    /// <summary>What becomes of a network that a member offers.</summary>
    public (RouteStanding Standing, string Reason) Decide(Lease lease, IpPrefix prefix)
    {
        if (lease.DeniedRoutes.Contains(prefix))
            return (RouteStanding.Denied, "An admin has denied it.");
        if (lease.ApprovedRoutes.Contains(prefix))
            return (RouteStanding.Approved, "An admin has approved it.");
        return options.AutoApprovedRoutes.FirstOrDefault(auto => auto.Approves(lease.Groups, prefix)) is { } by
            ? (RouteStanding.Approved, $"Approved by itself, as '{lease.Name}' is in the group {by.Group}.")
            : (RouteStanding.Offered, "It waits for an admin's approval.");
    }

    /// <summary>Every network that members offer, and what becomes of it.</summary>
    public IEnumerable<SubnetReport> List() =>
        from member in leases.WithRoutes
        let lease = leases.ById(member)
        where lease is not null
        let peer = roster.Find(MemberSubject.Of(lease.PublicKey))
        where peer is not null
        from prefix in lease.OfferedRoutes
        let decision = Decide(lease, prefix)
        let remedy = decision.Standing == RouteStanding.Approved ? null : $"Approve-LtRoute {prefix} -Peer {lease.Name}"
        select new SubnetReport(prefix, peer, decision.Standing, decision.Reason, remedy);

    private void Refuse(ServedClient peer, IpPrefix prefix, string why)
    {
        if (_refusals.TryTake(node.Now))
        {
            node.Log.Security(
                SecurityEvent.PrefixRefused, peer.Key.ToString(),
                $"{peer.Name} ({peer.Addresses[0]}) offers the network {prefix}, which {why}: it is left out");
        }
    }

    /// <summary>Has everybody know of what is approved now.</summary>
    private void Show()
    {
        HashSet<PublicKey> gone = [.. _shown.Keys];
        foreach (uint member in leases.WithRoutes)
        {
            if (leases.ById(member) is not { } lease || roster.Find(MemberSubject.Of(lease.PublicKey)) is not { } peer)
                continue;
            gone.Remove(lease.PublicKey);
            if (_shown.TryGetValue(lease.PublicKey, out ServedClient? before) && before != peer)
                node.Subnets.Tell(before, []);
            _shown[lease.PublicKey] = peer;
            // What is on its way to the store is told of when it is there; until then what was told holds.
            if (leases.IsPending(member))
                Show(peer, peer.Subnets);
            else
                Show(peer, [.. lease.OfferedRoutes.Where(prefix => Decide(lease, prefix).Standing == RouteStanding.Approved)]);
        }

        foreach (PublicKey key in gone)
        {
            _shown.Remove(key, out ServedClient? peer);
            Show(peer!, []);
        }
    }

    private void Show(ServedClient peer, IReadOnlyList<IpPrefix> approved)
    {
        if (!peer.Subnets.SequenceEqual(approved))
        {
            Version++;
            node.Subnets.Tell(peer, approved);
            if (peer.MemberId != 0)
                roster.Tell(peer);
        }

        if (peer.Session is not { Registered: true } session || session.RoutesApproved?.SequenceEqual(approved) == true)
            return;
        _untold.Add(peer);

        // What is taken back ends before the rules about it do.
        if (session.RoutesApproved is { } told && told.Except(approved).Any())
            TellApproved(peer, session, [.. told.Intersect(approved)]);
    }

    /// <summary>
    /// Tells members what of theirs is approved, once they know the rules about it: nobody reaches what lies behind them before.
    /// </summary>
    public void Tell()
    {
        foreach (ServedClient peer in _untold.ToArray())
        {
            if (peer.Session is { Registered: true, Rules.IsBehind: true })
                continue;
            _untold.Remove(peer);
            if (peer.Session is not { Registered: true } session || session.RoutesApproved?.SequenceEqual(peer.Subnets) == true)
                continue;
            TellApproved(peer, session, peer.Subnets);
        }
    }

    private void TellApproved(ServedClient peer, ClientSession session, IReadOnlyList<IpPrefix> approved)
    {
        session.RoutesApproved = approved;
        session.Send(new RoutesMessage { Kind = RoutesKind.Approved, Prefixes = approved });
        node.Hurry(peer);
    }

    private void TellOwn(ServedClient peer, ClientSession session)
    {
        session.Send(new RoutesMessage { Kind = RoutesKind.Servers, Prefixes = _own });
        node.Hurry(peer);
    }
}
