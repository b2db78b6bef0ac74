using System.Collections.Immutable;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>A network behind a node, as this node sees it.</summary>
/// <param name="Prefix">The network.</param>
/// <param name="Peer">The node that it lies behind; null for this one.</param>
/// <param name="Standing">What becomes of it here.</param>
/// <param name="Reason">Why, for people; null where the standing says it.</param>
/// <param name="Remedy">What to do about it, or null.</param>
internal sealed record SubnetReport(IpPrefix Prefix, Peer? Peer, RouteStanding Standing, string? Reason = null, string? Remedy = null);

/// <summary>
/// The networks behind nodes, on either role: those of others that this node takes, and its own that others may reach. Which of them are
/// approved is the server's to say; which are taken, this node's (<see cref="AcceptedRoutes"/>); what they may not be in the way of,
/// <see cref="RouteConflicts"/>; which of several nodes carries one, <see cref="GatewayChoice"/>. What comes of it goes to the data threads
/// (<see cref="SubnetTable"/>) and to the system (<see cref="SystemRoutes"/>). Owned by the control loop.
/// </summary>
internal sealed class SubnetRoutes
{
    /// <summary>Most networks behind others that are looked at: a server can make up any number.</summary>
    public const int MaximumCount = 8192;

    /// <summary>After data, for so long, all who could carry it are asked often whether they are there.</summary>
    private static readonly TimeSpan BusyFor = TimeSpan.FromSeconds(3);

    /// <summary>A nearer node is not looked for again before this time.</summary>
    private static readonly TimeSpan HoldTime = TimeSpan.FromSeconds(10);

    /// <summary>How often it is looked whether ways and interfaces are others now, and whether the system routes what it refused.</summary>
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(5), RetryInterval = TimeSpan.FromSeconds(30);

    private readonly Node _node;
    private readonly SystemRoutes _system;
    private readonly HashSet<Peer> _offering = [];
    private readonly Dictionary<IpPrefix, Entry> _entries = [];
    private readonly Dictionary<string, Group> _groups = [];
    private ExitChoice? _exit;
    private Peer? _exitPeer;
    private ExitState? _exitState;
    private IReadOnlyList<IpPrefix> _own = [];
    private HashSet<IpPrefix> _attached = [];
    private HashSet<Peer> _urgent = [];
    private bool _isDirty;
    private bool _isRefreshed;
    private Timestamp _nextLook = Timestamp.Never;
    private Timestamp _nextRetry = Timestamp.Never;

    /// <param name="node">The node.</param>
    public SubnetRoutes(Node node)
    {
        _node = node;
        _system = new SystemRoutes(node, () => _isDirty = true);
    }

    /// <summary>What this node takes.</summary>
    public AcceptedRoutes Accepted { get; private set; } = AcceptedRoutes.None;

    /// <summary>The networks behind this node that others may reach through it.</summary>
    public IReadOnlyList<IpPrefix> Own => _own;

    /// <summary>What is said of a network behind this node that is approved.</summary>
    public static string WhatApprovedMeans(IpPrefix prefix) => MemberRoutes.IsExit(prefix)
        ? "Members that choose this machine as their exit node go out by it."
        : "Members that accept it reach it through this machine.";

    /// <summary>Called, on the control loop, when there is something else to know of the exit node; null when none is chosen.</summary>
    public Action<ExitState?>? ExitChanged { get; set; }

    /// <summary>The member that all else goes out by from now on, by its name, address or key; null for none.</summary>
    public void ChooseExit(string? name)
    {
        if (_exit?.Name == name)
            return;
        _exit = name is null ? null : new ExitChoice(name);
        _isDirty = true;
    }

    /// <summary>The exit node that was chosen, as it was named; null for none.</summary>
    public string? ExitName => _exit?.Name;

    /// <summary>The members that offer themselves as exit nodes and are approved.</summary>
    public IReadOnlyList<Peer> Exits => [.. _offering.Where(peer => peer.Subnets.Any(MemberRoutes.IsExit)).OrderBy(peer => peer.Name)];

    /// <summary>Says what this node takes from now on.</summary>
    public void Accept(AcceptedRoutes accepted)
    {
        Accepted = accepted;
        _isDirty = true;
    }

    /// <summary>Others may reach these networks through this node from now on, and no others.</summary>
    public void SetOwn(IReadOnlyList<IpPrefix> own)
    {
        if (_own.SequenceEqual(own))
            return;
        _own = own;
        _isDirty = true;
    }

    /// <summary>The server says that these networks lie behind a node, and no others.</summary>
    public void Tell(Peer peer, IReadOnlyList<IpPrefix> subnets)
    {
        if (peer.Subnets.SequenceEqual(subnets))
            return;
        peer.Subnets = subnets;
        if (subnets.Count > 0)
            _offering.Add(peer);
        else
            _offering.Remove(peer);
        _isDirty = true;
    }

    /// <summary>The interface was set up anew, or the machine's surroundings are others.</summary>
    public void Refresh()
    {
        _isDirty = _isRefreshed = true;
    }

    /// <summary>Does what is due; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        if (_offering.Count == 0 && _entries.Count == 0 && !_isDirty)
            return Timestamp.Never;
        bool again = _isRefreshed || now >= _nextRetry;
        _isDirty |= again || now >= _nextLook;
        if (_isDirty)
            Resolve(again);
        bool isChanged = _isDirty;
        (_isDirty, _isRefreshed) = (false, false);
        if (isChanged)
            _nextLook = _offering.Count == 0 ? Timestamp.Never : now + LookInterval;
        if (again)
            _nextRetry = Timestamp.Never;
        if (_system.Refused.Count > 0 && _nextRetry == Timestamp.Never)
            _nextRetry = now + RetryInterval;
        Timestamp next = Timestamp.Earliest(_nextLook, _nextRetry);
        if (_groups.Count > 0 || _urgent.Count > 0)
        {
            HashSet<Peer> urgent = [];
            foreach (Group group in _groups.Values)
            {
                next = Timestamp.Earliest(next, Watch(group, now, urgent));
                isChanged |= Choose(group, now);
            }

            Ask(urgent, now);
        }

        if (isChanged)
            Publish(again);
        return next;
    }

    /// <summary>What there is, by network.</summary>
    public IReadOnlyList<SubnetReport> Report() =>
    [
        .. _entries.Values.OrderBy(entry => entry.Prefix.Network).ThenBy(entry => entry.Prefix.Length).SelectMany(Describe),
    ];

    private IEnumerable<SubnetReport> Describe(Entry entry)
    {
        foreach (Peer peer in entry.Peers)
        {
            yield return entry switch
            {
                _ when MemberRoutes.IsExit(entry.Prefix) && entry.Group?.Active != peer => new SubnetReport(
                    entry.Prefix, peer, RouteStanding.NotAccepted, "This machine has not chosen it as its exit node.",
                    $"Set-LtNetwork -ExitNode {peer.Name}"),
                { IsTaken: false, Conflict: { } conflict } =>
                    new SubnetReport(entry.Prefix, peer, RouteStanding.Conflict, conflict.Reason, conflict.Remedy),
                { IsTaken: false } => new SubnetReport(
                    entry.Prefix, peer, RouteStanding.NotAccepted, "This machine has not accepted it.",
                    $"Set-LtNetwork -AcceptRoute {Accepted.With(entry.Prefix)}"),
                _ when entry.Group!.Active == peer => new SubnetReport(
                    entry.Prefix, peer, RouteStanding.Active, entry.Conflict is { } forced ? $"By force: {forced.Reason}" : null),
                _ => new SubnetReport(
                    entry.Prefix, peer, RouteStanding.Standby, $"{entry.Group.Active!.Name} carries it, and this one when that one fails."),
            };
        }
    }

    /// <summary>What there is, whether it is taken, and by whom it could be carried.</summary>
    /// <param name="again">True when what the system refused is tried again.</param>
    private void Resolve(bool again)
    {
        Dictionary<IpPrefix, Peer> carried = _entries.Values.Where(entry => entry.IsTaken)
            .ToDictionary(entry => entry.Prefix, entry => entry.Group!.Active!);
        _entries.Clear();
        foreach (Peer peer in _offering.OrderBy(peer => peer.Key, KeyOrder.Instance))
        {
            foreach (IpPrefix prefix in peer.Subnets)
            {
                if (!_entries.TryGetValue(prefix, out Entry? entry))
                {
                    if (_entries.Count >= MaximumCount)
                        continue;
                    _entries[prefix] = entry = new Entry(prefix);
                }

                if (entry.Peers.Count < Group.MaximumCount && !entry.Peers.Contains(peer))
                    entry.Peers.Add(peer);
            }
        }

        RouteConflicts? conflicts = null;
        Dictionary<string, Group> before = new(_groups);
        _groups.Clear();
        foreach (Entry entry in _entries.Values)
        {
            if (MemberRoutes.IsExit(entry.Prefix))
            {
                entry.IsTaken = _exit?.Find(entry.Peers) is not null;
                entry.Group = entry.IsTaken ? new Group([_exit!.Find(entry.Peers)!]) { Active = _exit.Find(entry.Peers) } : null;
                continue;
            }

            if (!Accepted.Accepts(entry.Prefix))
                continue;
            entry.Conflict = (conflicts ??= Surroundings()).Find(entry.Prefix);
            if (entry.Conflict is null && !again && _system.Refused.TryGetValue(entry.Prefix, out string? refusal))
            {
                entry.Conflict = new RouteConflict(
                    $"The system does not route {entry.Prefix} into the tunnel: {refusal}.",
                    "See what else routes this network on this machine; it is tried again by itself.", CanBeForced: false);
            }

            entry.IsTaken = entry.Conflict is not { } conflict || (conflict.CanBeForced && Accepted.Forces(entry.Prefix));
            if (entry.IsTaken)
                entry.Group = GroupOf(entry, before, carried.GetValueOrDefault(entry.Prefix));
        }

        _attached = conflicts is null ? [] : [.. conflicts.Attached];
        Peer[] left = _exitPeer is { } former ? [former] : [];
        _exitPeer = _exit?.Find(Exits);
        foreach (Peer peer in _offering.Union(before.Values.SelectMany(group => group.Peers)).Union(left))
        {
            ImmutableArray<IpPrefix> taken = [.. peer.Subnets.Where(prefix => _entries.GetValueOrDefault(prefix) is { IsTaken: true }
                && (!MemberRoutes.IsExit(prefix) || peer == _exitPeer))];
            if (!peer.Taken.AsSpan().SequenceEqual(taken.AsSpan()))
                peer.Taken = taken;
        }
    }

    /// <summary>Networks that the same nodes have behind them are carried by the same one.</summary>
    private Group GroupOf(Entry entry, Dictionary<string, Group> before, Peer? carrier)
    {
        string key = string.Join(' ', entry.Peers.Select(peer => peer.Key));
        if (_groups.TryGetValue(key, out Group? group))
            return group;
        bool isKnown = before.TryGetValue(key, out Group? old);
        if (carrier is null || !entry.Peers.Contains(carrier))
            carrier = isKnown && old!.Active is { } active && entry.Peers.Contains(active) ? active : null;
        _groups[key] = group = new Group([.. entry.Peers])
        {
            Active = carrier,
            ChangedAt = isKnown ? old!.ChangedAt : Timestamp.NotYet,
            IsNew = !isKnown,
        };
        return group;
    }

    private RouteConflicts Surroundings() => new(
        [.. _node.Forwarding.OwnAddresses.Select(own => own.Prefix)], _node.Services.Tun.Name, _node.OwnAddresses,
        _node.Role.ServerEndpoints,
        [.. _node.Peers.Where(peer => peer is { IsServer: false, Online: true }).Select(peer => (peer.Endpoint, peer.Name))],
        Accepted);

    /// <summary>
    /// While data flows, all who could carry it are kept ready and asked often, so that one who fails is noticed, and another is there.
    /// </summary>
    private Timestamp Watch(Group group, Timestamp now, HashSet<Peer> urgent)
    {
        if (group.Peers.Length < 2 || !(group.IsNew || now - (group.Active?.LastTraffic ?? Timestamp.NotYet) <= BusyFor))
            return Timestamp.Never;
        urgent.UnionWith(group.Peers);
        if (now - group.TouchedAt >= BusyFor / 3)
        {
            group.TouchedAt = now;
            foreach (Peer peer in group.Peers.Where(peer => peer.Online && (group.IsNew || peer != group.Active)))
            {
                peer.Touch(now, TimeSpan.Zero);
                _node.WantLink(peer);
                _node.Hurry(peer);
            }

            group.IsNew = false;
        }

        return now + (BusyFor / 3);
    }

    /// <summary>
    /// Those who are asked often from now on, the server among them: that others carry what lies behind it is no reason to give up the
    /// connection with it (<see cref="PathMonitor.IsLost"/>).
    /// </summary>
    private void Ask(HashSet<Peer> urgent, Timestamp now)
    {
        foreach (Peer peer in _urgent.Where(peer => !urgent.Contains(peer)))
        {
            peer.Monitor.IsUrgent = false;
            if (!_node.Role.IsProbed(peer, now))
                peer.Monitor.Reset(); // What nobody looks at any more is not known.
        }

        foreach (Peer peer in urgent.Where(peer => !peer.Monitor.IsUrgent))
        {
            peer.Monitor.IsUrgent = true;
            _node.Hurry(peer);
        }

        _urgent = urgent;
    }

    private bool Choose(Group group, Timestamp now)
    {
        Span<Gateway> gateways = stackalloc Gateway[Math.Min(group.Peers.Length, Group.MaximumCount)];
        for (int i = 0; i < gateways.Length; i++)
        {
            Peer peer = group.Peers[i];
            gateways[i] = new Gateway(peer.Online, HealthOf(peer), peer.Online ? peer.RoundTrip : null);
        }

        int current = Array.IndexOf(group.Peers, group.Active, 0, gateways.Length);
        int chosen = GatewayChoice.Choose(gateways, current, mayImprove: now - group.ChangedAt >= HoldTime);
        if (chosen == current)
            return false;
        Peer? left = group.Active;
        group.Active = group.Peers[chosen];
        if (left is null)
            return true;
        group.ChangedAt = now;
        string networks = string.Join(", ", _entries.Values.Where(entry => entry.Group == group).Take(4).Select(entry => entry.Prefix));
        _node.Log.Information("{Networks} are reached through {Gateway} now instead of {Other}", networks, group.Active.Name, left.Name);
        return true;
    }

    private static GatewayHealth HealthOf(Peer peer) =>
        peer.IsFailing ? GatewayHealth.Failing : peer.IsPathProven ? GatewayHealth.Proven : GatewayHealth.Unknown;

    private void Publish(bool again)
    {
        Entry[] taken = [.. _entries.Values.Where(entry => entry.IsTaken)];
        IEnumerable<KeyValuePair<IpPrefix, Subnet>> others = taken.Select(entry => KeyValuePair.Create(
            entry.Prefix, new Subnet(entry.Group!.Active, MemberRoutes.IsExit(entry.Prefix) ? [.. entry.Group.Peers] : [.. entry.Peers])));
        IEnumerable<KeyValuePair<IpPrefix, Subnet>> own = _own.Select(prefix => KeyValuePair.Create(prefix, new Subnet(null, [])));
        _node.TakeBehind(_own);
        _node.Forwarding = _node.Forwarding.WithSubnets(new SubnetTable([.. others, .. own]));
        Entry[] networks = [.. taken.Where(entry => !MemberRoutes.IsExit(entry.Prefix))];
        _system.Want([.. networks.SelectMany(ForSystem).Order(PrefixOrder.Instance)], again);
        ExitState? exit = _exit is null ? null : DescribeExit(_exit.Name, networks.Select(entry => entry.Prefix));
        if (exit == _exitState)
            return;
        _exitState = exit;
        ExitChanged?.Invoke(exit);
    }

    private ExitState DescribeExit(string name, IEnumerable<IpPrefix> networks)
    {
        IpPrefix[] inside = [.. _node.Forwarding.OwnAddresses.Select(own => own.Prefix), .. networks];
        if (_exitPeer is not { } peer)
        {
            string others = Exits.Count == 0
                ? "No member does: have one offer itself (-OfferExitNode), and an admin approve it (Approve-LtRoute)."
                : $"These do: {string.Join(", ", Exits.Take(8).Select(exit => exit.Name))}. Set-LtNetwork -ExitNode takes one of them.";
            return new ExitState(name, $"No member '{name}' offers itself as an exit node and is approved. {others}", null, null, inside);
        }

        string? problem = peer.Online ? null
            : $"The exit node {peer.Name} is not there. Wait for it, or choose another or none with Set-LtNetwork -ExitNode.";
        return new ExitState(name, problem, AddressOf(isIPv4: true), AddressOf(isIPv4: false), inside);

        TunnelAddress? AddressOf(bool isIPv4) =>
            peer.Subnets.Any(prefix => MemberRoutes.IsExit(prefix) && prefix.Network.IsIPv4 == isIPv4)
                && _node.Forwarding.OwnAddresses.Any(own => own.Address.IsIPv4 == isIPv4)
            ? peer.Addresses.Where(address => address.IsIPv4 == isIPv4).Select(address => (TunnelAddress?)address).FirstOrDefault()
            : null;
    }

    /// <summary>
    /// A network that this machine is attached to as well, and that is taken by force, as two halves: longer prefixes than the system's own
    /// route, which stays as it is.
    /// </summary>
    private IEnumerable<IpPrefix> ForSystem(Entry entry)
    {
        IpPrefix prefix = entry.Prefix;
        if (!_attached.Contains(prefix) || prefix.Length == prefix.Network.BitLength)
            return [prefix];
        UInt128 upper = prefix.Network.Bits | (UInt128.One << (127 - prefix.Length));
        return
        [
            new IpPrefix(prefix.Network, prefix.Length + 1),
            new IpPrefix(TunnelAddress.FromBits(upper, prefix.Network.IsIPv4), prefix.Length + 1),
        ];
    }

    /// <summary>A network that somebody has behind him.</summary>
    private sealed class Entry(IpPrefix prefix)
    {
        public IpPrefix Prefix => prefix;

        /// <summary>Whom it lies behind, in the order of their keys.</summary>
        public List<Peer> Peers { get; } = [];

        public RouteConflict? Conflict { get; set; }

        public bool IsTaken { get; set; }

        /// <summary>Who could carry it, and does; null when it is not taken.</summary>
        public Group? Group { get; set; }
    }

    /// <summary>Nodes that have the same networks behind them.</summary>
    private sealed class Group(Peer[] peers)
    {
        /// <summary>More do not stand by.</summary>
        public const int MaximumCount = 32;

        public Peer[] Peers => peers;

        public Peer? Active { get; set; }

        public Timestamp ChangedAt { get; set; }

        public Timestamp TouchedAt { get; set; }

        /// <summary>True until those in it were asked for the first time how far they are.</summary>
        public bool IsNew { get; set; }
    }

    private sealed class KeyOrder : IComparer<PublicKey>
    {
        public static KeyOrder Instance { get; } = new();

        public int Compare(PublicKey x, PublicKey y) => x.Bytes.SequenceCompareTo(y.Bytes);
    }

    private sealed class PrefixOrder : IComparer<IpPrefix>
    {
        public static PrefixOrder Instance { get; } = new();

        public int Compare(IpPrefix x, IpPrefix y)
        {
            int order = x.Network.CompareTo(y.Network);
            return order != 0 ? order : x.Length.CompareTo(y.Length);
        }
    }
}
