using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Configuration;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Server;

/// <summary>
/// Admits clients: who may come in, and what they get. A lease is told of when it is in the store (<see cref="LeaseCommits"/>). Owned by
/// the control loop.
/// </summary>
internal sealed class Admission
{
    private readonly Node _node;
    private readonly ServerOptions _options;
    private readonly Leases _leases;
    private readonly LeaseCommits _commits;
    private readonly ClientRoster _roster;
    private readonly DirectoryTeller _directory;
    private readonly NatObserver _observer;
    private readonly RuleTeller _rules;
    private readonly NetworkKeyTeller _keys;
    private readonly RouteDesk _routes;
    private readonly int _mtu;
    private string? _storeFailure;
    private string? _otherError;

    /// <param name="node">The node.</param>
    /// <param name="options">What the server is to be.</param>
    /// <param name="mtu">The network's MTU, bytes.</param>
    /// <param name="leases">Addresses leased so far, as they are in the store.</param>
    /// <param name="store">Where leases last.</param>
    /// <param name="roster">The clients.</param>
    /// <param name="directory">Tells them of each other.</param>
    /// <param name="observer">Looks at their NATs.</param>
    /// <param name="rules">Tells them of access rules.</param>
    /// <param name="keys">Tells them of the network's key.</param>
    /// <param name="routes">Tells them of networks behind others.</param>
    public Admission(
        Node node, ServerOptions options, int mtu, Leases leases, INetworkStore store, ClientRoster roster, DirectoryTeller directory,
        NatObserver observer, RuleTeller rules, NetworkKeyTeller keys, RouteDesk routes)
    {
        _routes = routes;
        _node = node;
        _options = options;
        _mtu = mtu;
        _leases = leases;
        _roster = roster;
        _directory = directory;
        _observer = observer;
        _rules = rules;
        _keys = keys;
        _commits = new LeaseCommits(
            store, leases, PostAnswer, node.Time, node.Services.Jitter, options.AllowKeyOnly ?? !leases.IsInvitedOnly,
            options.RequireApproval);
        Invitations = new InvitationDesk(leases, _commits, node);
        Expiry = new MemberExpiry(node, leases, roster);
    }

    private TunnelLog Log => _node.Log;

    private TimeProvider Time => _node.Time;

    /// <summary>The invitations, for their owner.</summary>
    public InvitationDesk Invitations { get; }

    /// <summary>Whose membership ends, and when.</summary>
    public MemberExpiry Expiry { get; }

    /// <summary>Commits what has changed; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        Timestamp next = _commits.Run(now);
        TakeOutcomes();
        return next;
    }

    /// <summary>Hands out what is still to be saved; after the threads have ended.</summary>
    public void Finish() => _commits.Finish();

    /// <summary>True when there is no room for the client to be online.</summary>
    public bool IsFullFor(ServedClient peer) => !peer.Online && _roster.Online >= _options.MaxClients;

    /// <summary>A client registers: it is answered now, or when its lease is in the store.</summary>
    public void Register(ServedClient peer, RegisterMessage register)
    {
        ClientSession session = peer.Session!;
        if (register.CheckFormat() is { } malformed)
        {
            Refuse(peer, register, malformed);
            return;
        }

        if (!session.Registered && !IsOnlyOne(peer, register))
            return;
        if (IsFullFor(peer))
        {
            Refuse(peer, register, Full());
            return;
        }

        if (_leases.ByKey(peer.Key) is { } ended && _leases.IsOver(ended, Time.GetUtcNow()))
        {
            Refuse(peer, register, new RefusedMessage { Reason = RefusalReason.MembershipExpired });
            return;
        }

        // Who has a lease comes and goes whatever the store does.
        if (_leases.ByKey(peer.Key) is { } lease && !_commits.Contains(peer) && lease.Addresses.Count == _options.Addresses.Count
            && (lease.IsPlaced || register.RequestedAddresses.All(lease.Addresses.Contains)))
        {
            LeaseResult kept = _leases.Acquire(peer.Key, register.Name, register.RequestedAddresses, Time.GetUtcNow());
            if (kept.Granted)
                Admit(peer, register, kept.Lease);
            else
                Refuse(peer, register, kept.Refusal);
        }
        else if (_commits.Refusal is { } refusal)
        {
            Refuse(peer, register, refusal);
        }
        else
        {
            _commits.Add(new HeldRegistration(peer, session, register));
        }
    }

    /// <summary>An admin's change, told of when it is in the store.</summary>
    public void Commit(HeldChange change) => _commits.Add(change);

    /// <summary>An owner's change of members; its task completes when it is in the store and acted upon.</summary>
    public Task ChangeAsync(OwnerChange change) => _commits.ChangeAsync(change);

    /// <summary>The store has answered: what comes of it is the next turn's.</summary>
    private void PostAnswer(Action answer) => _node.Post(() =>
    {
        answer();
        TakeOutcomes();
    });

    private void TakeOutcomes()
    {
        while (_commits.TryTakeOutcome(out LeaseOutcome? outcome))
        {
            if (outcome is LeaseOutcome.Admitted { Held.IsNewcomer: true } newcomer)
                TellOfNewcomer(newcomer.Lease);
            switch (outcome)
            {
                case LeaseOutcome.Admitted { Held: { IsOver: false } held } when IsFullFor(held.Peer):
                    Refuse(held.Peer, held.Register, Full());
                    break;
                case LeaseOutcome.Admitted { Held: { IsOver: false } held } admitted:
                    Admit(held.Peer, held.Register, admitted.Lease);
                    break;
                case LeaseOutcome.Refused { Held: { IsOver: false } held } refused:
                    Refuse(held.Peer, held.Register, refused.Refusal);
                    _node.Hurry(held.Peer);
                    break;
                case LeaseOutcome.Waits { Held: { IsOver: false } held } waits:
                    TellToWait(held, waits.IsNew);
                    _node.Hurry(held.Peer);
                    break;
                case LeaseOutcome.Evicted evicted:
                    _roster.Forget(evicted.Lease, "its address is needed");
                    break;
                case LeaseOutcome.TakenOver taken:
                    TakeOver(taken.News);
                    break;
                case LeaseOutcome.Changed changed:
                    if (changed.Lease is { } lease)
                        _roster.Change(lease);
                    changed.Change.Complete();
                    break;
                case LeaseOutcome.StoreState state:
                    OnStoreState(state.Failure);
                    break;
            }
        }
    }

    private void TellOfNewcomer(Lease lease)
    {
        string by = lease.Invitation == 0 ? "the network's key" : $"the invitation {InvitationRecord.TextOf(lease.Invitation)}";
        Log.Audit(
            AuditAction.Joined, by: null, lease.Name, lease.PublicKey.ToString(),
            $"{lease.Name} ({string.Join(", ", lease.Addresses)}) with the key {lease.PublicKey} became a member by {by}");
    }

    private void TakeOver(LeaseNews news)
    {
        foreach (Lease lease in news.Ended.Concat(news.Current))
            _roster.Displace(lease);
        foreach (Lease lease in news.Current)
            _roster.Remember(lease);
    }

    private void OnStoreState(string? failure)
    {
        if (failure is null)
            _node.LastError = _otherError;
        else if (_storeFailure is null)
            _otherError = _node.LastError;
        _storeFailure = failure;
        if (failure is not null)
            _node.LastError = $"The state cannot be saved, so that no new members are admitted: {failure}";
    }

    private RefusedMessage Full() => new() { Reason = RefusalReason.ServerFull, Text = $"{_options.MaxClients} clients are online." };

    private void Admit(ServedClient peer, RegisterMessage register, Lease lease)
    {
        ClientSession session = peer.Session!;
        bool isNew = peer.MemberId == 0;
        bool isRenamed = lease.Name != register.Name;
        if (isRenamed && !lease.IsNamed && lease.Name != peer.Name)
            TellOfName(lease, register.Name);
        _node.RemoveRoutes(peer);
        peer.MemberId = lease.MemberId;
        peer.Name = lease.Name;
        peer.Version = register.SoftwareVersion;
        peer.System = register.System;
        peer.PreferredSuite = register.PreferredSuite;
        peer.KnowsRules = register.KnowsRules;
        _keys.Look(peer, register);
        peer.Addresses = [.. lease.Addresses];
        peer.Signature = lease.Signature;
        peer.NetworkMtu = _mtu;
        session.Registered = true;
        _node.AddRoutes(peer);
        _roster.SetOnline(peer);
        Expiry.Look(peer.Key);

        ProtocolRange.TryAgree(ProtocolRange.Own, register.Protocols, out int protocol);
        session.Send(new RegisteredMessage
        {
            Protocol = protocol,
            MemberId = lease.MemberId,
            NetworkName = _options.Name,
            ServerName = _options.Name,
            Addresses = [.. lease.Addresses.Select(WithPrefixLength)],
            ServerAddresses = [.. _options.Addresses.Select(own => own.Address)],
            Mtu = _mtu,
            ObservedEndpoint = peer.Path.Endpoint,
            ClientIsolation = _options.ClientIsolation,
            SoftwareVersion = SoftwareVersion.Text,
            PreferredSuite = _node.PreferredSuite,
            ObserverPort = _observer.Port,
            ObserverAddresses = _observer.Addresses,
            GivenName = isRenamed ? lease.Name : string.Empty,
            IsNamed = isRenamed && lease.IsNamed,
            HasRules = _rules.Begin(peer),
            SigningKeys = _options.SigningKeys,
            Signature = lease.Signature,
            HasRoutes = _routes.Own.Count > 0,
        });
        _keys.Begin(peer, register);
        _routes.Begin(peer, register);
        if (peer.Identity!.TakeNews())
            session.Send(new NoticeMessage { Kind = NoticeKind.IdentityShared });
        // Who does not know rules would not keep to this one, and so knows nobody whom it must not reach.
        if (!_options.ClientIsolation || register.KnowsRules)
            _directory.Begin(peer, register.AsksForMembers);
        Log.Information(
            "Client {Client} ({Address}) {Event} from {Endpoint}", peer.Name, peer.Addresses[0],
            isNew ? "joined for the first time" : "joined", peer.Path.Endpoint);
    }

    /// <summary>False for the later one of two machines that have one key: it is told, and waits.</summary>
    private bool IsOnlyOne(ServedClient peer, RegisterMessage register)
    {
        peer.Identity ??= new IdentityWatch(Time);
        IdentityVerdict verdict = peer.Identity.OnRegister(register.Instance, peer.WasAnswered);
        if (verdict == IdentityVerdict.Admit)
            return true;
        if (verdict == IdentityVerdict.Replace)
        {
            Log.Security(
                SecurityEvent.IdentityReplaced, peer.Key.ToString(),
                $"Two machines use the identity of {peer.Name} ({string.Join(", ", peer.Addresses)}): "
                    + $"the later one, at {peer.Path.Endpoint}, was sent away");
        }

        peer.Session!.Send(new LeaveMessage { Reason = LeaveReason.Replaced });
        return false;
    }

    /// <summary>A member asked for a name that is another's: whoever has it should know of both.</summary>
    private void TellOfName(Lease lease, string asked)
    {
        ServedClient? owner = _leases.ByName(asked) is { } other ? _roster.FindOnline(other.PublicKey) : null;
        Log.Warning(
            "A member with the address {Address} asked for the name {Asked}, which is {Owner}'s: it is known as {Name}",
            lease.Addresses[0], asked, owner?.Addresses[0].ToString() ?? "another", lease.Name);
        if (owner?.Session is { Registered: true, IsIdle: true } session)
            session.Send(new NoticeMessage { Kind = NoticeKind.NameAskedFor, Subject = lease.Name });
    }

    private InterfaceAddress WithPrefixLength(TunnelAddress address) =>
        new(address, _options.Addresses.First(own => own.Address.IsIPv4 == address.IsIPv4).PrefixLength);

    private void Refuse(ServedClient peer, RegisterMessage register, RefusedMessage refusal)
    {
        Log.Security(
            SecurityEvent.Refused, peer.Key.ToString(),
            $"Client {register.Name} from {peer.Path.Endpoint} was refused: {refusal.Reason}. {refusal.Text}");
        peer.Session!.Send(refusal);
    }

    /// <summary>An admin has to approve a machine: what it asks for is remembered, or will be in a moment; it asks again anyway.</summary>
    private void TellToWait(HeldRegistration held, bool isNew)
    {
        (ServedClient peer, RegisterMessage register) = (held.Peer, held.Register);
        peer.IsApplicant = true;
        peer.Link?.Keys = _node.NetworkKeys; // It is known now, also when the key changes before it is approved.
        peer.Session!.Send(new RefusedMessage { Reason = RefusalReason.AwaitingApproval });
        if (!isNew)
            return;
        Log.Audit(
            AuditAction.ApprovalAsked, by: null, register.Name, peer.Key.ToString(),
            $"{register.Name} at {peer.Path.Endpoint} with the key {peer.Key} asks to become a member: Get-LtMember -State Pending");
    }

    /// <summary>A client registers more often than it may.</summary>
    public void NoteRegistrationFlood(ServedClient peer) => Log.Security(
        SecurityEvent.Flood, peer.Key.ToString(),
        $"{(peer.Name.Length == 0 ? peer.Key.ToString() : peer.Name)} at {peer.Path.Endpoint} registers again and again");
}
