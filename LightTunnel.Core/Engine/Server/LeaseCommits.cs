using System.Diagnostics.CodeAnalysis;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>A registration that waits until its lease is in the store.</summary>
/// <param name="Peer">Who registers.</param>
/// <param name="Session">The conversation in which it does.</param>
/// <param name="Register">What it asked for.</param>
internal sealed record HeldRegistration(ServedClient Peer, ClientSession Session, RegisterMessage Register)
{
    /// <summary>What it is to get.</summary>
    public Lease? Lease { get; init; }

    /// <summary>True when it was no member before.</summary>
    public bool IsNewcomer { get; init; }

    /// <summary>How often what it was to get turned out to be another server's.</summary>
    public int Conflicts { get; init; }

    /// <summary>True when it has begun anew or left meanwhile: nobody waits for this answer any more.</summary>
    public bool IsOver => Peer.Session != Session || Session.HasLeft;
}

/// <summary>A change of an admin's that waits until it is in the store.</summary>
/// <param name="Write">The entry.</param>
/// <param name="Done">Takes null when it is, otherwise why it is not.</param>
internal sealed record HeldChange(StoreWrite Write, Action<string?> Done);

/// <summary>What became of registrations and leases; the server tells its members.</summary>
internal abstract record LeaseOutcome
{
    /// <summary>The lease is in the store: the member is told of it.</summary>
    public sealed record Admitted(HeldRegistration Held, Lease Lease) : LeaseOutcome;

    /// <summary>There is none to be had.</summary>
    public sealed record Refused(HeldRegistration Held, RefusedMessage Refusal) : LeaseOutcome;

    /// <summary>An admin has to approve it first.</summary>
    public sealed record Waits(HeldRegistration Held, bool IsNew) : LeaseOutcome;

    /// <summary>The address of a member that was away for long is another's now.</summary>
    public sealed record Evicted(Lease Lease) : LeaseOutcome;

    /// <summary>Other servers changed leases.</summary>
    public sealed record TakenOver(LeaseNews News) : LeaseOutcome;

    /// <summary>An owner's change is in the store; the lease is the member's that it is about, as it is now.</summary>
    public sealed record Changed(OwnerChange Change, Lease? Lease) : LeaseOutcome;

    /// <summary>The store cannot be written, for a reason, or can again when that is null.</summary>
    public sealed record StoreState(string? Failure) : LeaseOutcome;
}

/// <summary>
/// Brings changed leases into the store, one commit at a time. A client is told of its addresses when they are there, not before: after a
/// crash an address that somebody uses would be given to another. What is only noted, such as when a member was last seen, goes with them
/// or within a second. A commit that comes to nothing is made again from what has changed by then; meanwhile nobody new is admitted. Owned
/// by the control loop.
/// </summary>
/// <param name="store">Where leases last.</param>
/// <param name="leases">The leases.</param>
/// <param name="post">Has the store's answers handled on the control loop.</param>
/// <param name="time">The clock.</param>
/// <param name="jitter">Keeps servers that want the same from wanting it at the same time again.</param>
/// <param name="allowsKeyOnly">True when who has the network's key needs no invitation.</param>
/// <param name="requiresApproval">True when an admin approves who becomes a member.</param>
internal sealed class LeaseCommits(
    INetworkStore store, Leases leases, Action<Action> post, TimeProvider time, Random jitter, bool allowsKeyOnly, bool requiresApproval)
{
    /// <summary>Registrations that are committed together.</summary>
    public const int GroupSize = 64;

    /// <summary>
    /// Members of whom one commit notes when they were seen; all of a large network would keep the control loop for too long.
    /// </summary>
    private const int MostNotes = 2048;

    /// <summary>So often another address is tried when other servers were faster.</summary>
    private const int MostConflicts = 8;

    /// <summary>What is only noted is saved at most this often.</summary>
    private static readonly TimeSpan NoteInterval = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ConflictPause = TimeSpan.FromMilliseconds(20);

    private readonly Queue<LeaseOutcome> _outcomes = new();

    /// <summary>Changes of an admin's that wait until they are in the store.</summary>
    private readonly List<HeldChange> _changes = [];
    private readonly NewcomerQuota _newcomers = new(time);

    /// <summary>In the order in which they came; only a member's last one counts.</summary>
    private readonly Queue<HeldRegistration> _waiting = new();
    private readonly Dictionary<ServedClient, HeldRegistration> _latest = [];

    /// <summary>Those whose leases are in the commit that is under way.</summary>
    private readonly List<HeldRegistration> _group = [];

    /// <summary>
    /// Whose they are, also when nobody waits for an answer any more because none comes; and members that an owner has changed.
    /// </summary>
    private readonly List<PublicKey> _joining = [];

    /// <summary>Changes of an owner's that wait for a commit, and those that are in the one under way.</summary>
    private readonly Queue<OwnerChange> _ownerChanges = new();
    private readonly List<OwnerChange> _made = [];
    private StoreCommit? _commit;
    private bool _isUnknown;
    private bool _isReading;
    private string? _failure;
    private TimeSpan _pause = FirstPause;
    private Timestamp _nextNotes = Timestamp.AtOnce;
    private Timestamp _notBefore = Timestamp.AtOnce;
    private Timestamp _resend = Timestamp.Never;

    private static readonly RefusedMessage TooSlow = new()
    {
        Reason = RefusalReason.Other, Text = "Other servers of the network gave away each address that was chosen: try again.",
    };

    /// <summary>Why nobody new can be admitted at present; null when the store takes commits.</summary>
    public RefusedMessage? Refusal => _failure is null ? null : new()
    {
        Reason = RefusalReason.Other, Text = $"It cannot save whom it gives an address, and admits nobody new until it can. {_failure}",
    };

    /// <summary>What became of it since this was last asked, in order.</summary>
    public bool TryTakeOutcome([NotNullWhen(true)] out LeaseOutcome? outcome) => _outcomes.TryDequeue(out outcome);

    /// <summary>Holds a registration back until its lease is in the store. One member waits once.</summary>
    public void Add(HeldRegistration held)
    {
        _latest[held.Peer] = held;
        _waiting.Enqueue(held);
    }

    /// <summary>Commits a change of an admin's, who waits for it.</summary>
    public void Add(HeldChange change)
    {
        if (_failure is not null)
        {
            change.Done(_failure);
        }
        else if (_changes.Exists(other => other.Write.Key == change.Write.Key))
        {
            change.Done("Another change of the same member is under way.");
        }
        else
        {
            _changes.Add(change);
            leases.Want(change.Write);
        }
    }

    /// <summary>Changes members or invitations, before anybody else is admitted; its task completes when that is in the store.</summary>
    public Task ChangeAsync(OwnerChange change)
    {
        if (_failure is null)
            _ownerChanges.Enqueue(change);
        else
            change.Fail(_failure);
        return change.Done;
    }

    /// <summary>True when the member's lease is not in the store yet.</summary>
    public bool Contains(ServedClient peer) =>
        _latest.ContainsKey(peer) || _joining.Contains(peer.Key) || _group.Exists(held => held.Peer == peer);

    /// <summary>Begins what is due; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        while (NextCommit() <= now)
            Begin(now);
        if (_resend <= now)
            Send();
        return Timestamp.Earliest(NextCommit(), _resend);
    }

    /// <summary>Commits what has changed, at the end: nobody waits for what becomes of it.</summary>
    public void Finish()
    {
        if (leases.HasChanges && leases.Plan() is { Write.Count: > 0 } last)
            store.Commit(last, _ => { });
    }

    private Timestamp NextCommit()
    {
        if (_commit is not null || _isReading)
            return Timestamp.Never;
        bool isWaitedFor = _waiting.Count > 0 || _changes.Count > 0 || _ownerChanges.Count > 0 || _failure is not null;
        Timestamp wanted = isWaitedFor ? Timestamp.AtOnce : leases.HasChanges ? _nextNotes : Timestamp.Never;
        return Timestamp.Latest(wanted, _notBefore);
    }

    private void Begin(Timestamp now)
    {
        _nextNotes = now + NoteInterval;
        leases.Invitations.Prune(time.GetUtcNow());
        leases.Applicants.Prune(time.GetUtcNow());
        while (_ownerChanges.TryDequeue(out OwnerChange? change))
        {
            if (!change.TryMake(leases))
                continue;
            _made.Add(change);
            if (change.Member is { } member)
                _joining.Add(member);
        }

        while (_group.Count < GroupSize && _waiting.TryDequeue(out HeldRegistration? held))
        {
            if (_latest.GetValueOrDefault(held.Peer) != held)
                continue;
            _latest.Remove(held.Peer);
            if (held.IsOver || MustWait(held))
                continue;
            bool isNewcomer = leases.ByKey(held.Peer.Key) is null;
            LeaseResult result = Acquire(held);
            if (result.Granted)
                _group.Add(held with { Lease = result.Lease, IsNewcomer = isNewcomer });
            else
                Refuse(held, result.Refusal);
        }

        _joining.AddRange(_group.Select(held => held.Peer.Key));
        _commit = leases.Plan(MostNotes);
        if (_commit.Write.Count == 0 && _failure is null)
            OnApplied(_commit, leases.Revision);
        else
            Send();
    }

    /// <summary>True for a newcomer whom an admin has to approve first, or has denied: it is told so.</summary>
    private bool MustWait(HeldRegistration held)
    {
        (ServedClient peer, RegisterMessage register) = (held.Peer, held.Register);
        Applicant? known = leases.Applicants.Find(peer.Key);
        if (leases.ByKey(peer.Key) is not null || (!requiresApproval && known?.Denied is null))
            return false;
        DateTimeOffset now = time.GetUtcNow();
        InvitationToken? token = register.Invitation;
        bool isNew = false;
        // Who waits has shown its invitation, which may have ended since.
        RefusedMessage? refusal = known is null ? CheckInvitation(token) : null;
        refusal ??= leases.CheckRequested(peer.Key, register.RequestedAddresses, now, token?.Id ?? 0);
        refusal ??= leases.Applicants.Ask(
            new Applicant
            {
                PublicKey = peer.Key, Name = register.Name, Since = now, Addresses = register.RequestedAddresses,
                Invitation = token is not null && leases.Invitations.Check(token, now) is null ? token.Id : 0,
                Endpoint = peer.Path.Endpoint, Version = register.SoftwareVersion, System = register.System,
            }, out isNew);
        if (refusal is null)
            _outcomes.Enqueue(new LeaseOutcome.Waits(held, isNew));
        else
            Refuse(held, refusal);
        return true;
    }

    private LeaseResult Acquire(HeldRegistration held)
    {
        ServedClient peer = held.Peer;
        bool isNew = leases.ByKey(peer.Key) is null;
        if (isNew && CheckInvitation(held.Register.Invitation) is { } uninvited)
            return new LeaseResult(null, uninvited, null);
        if (isNew && !_newcomers.TryTake(peer.Path.Endpoint.Subscriber, leases))
        {
            return new LeaseResult(null, new RefusedMessage
            {
                Reason = RefusalReason.AddressPoolExhausted,
                Text = $"More than half of the addresses are taken, and many by new members from {peer.Path.Endpoint.Address} within an "
                    + "hour: try later.",
            }, null);
        }

        LeaseResult result = leases.Acquire(
            peer.Key, held.Register.Name, held.Register.RequestedAddresses, time.GetUtcNow(),
            isNew ? held.Register.Invitation?.Id ?? 0 : 0);
        if (result.Evicted is { } evicted)
            _outcomes.Enqueue(new LeaseOutcome.Evicted(evicted));
        return result;
    }

    /// <summary>Why somebody new is not admitted by what it shows; null when it is.</summary>
    private RefusedMessage? CheckInvitation(InvitationToken? shown)
    {
        if (shown is not null)
            return leases.Invitations.Check(shown, time.GetUtcNow());
        return allowsKeyOnly ? null : new RefusedMessage { Reason = RefusalReason.InvitationRequired };
    }

    private void Refuse(HeldRegistration held, RefusedMessage refusal) => _outcomes.Enqueue(new LeaseOutcome.Refused(held, refusal));

    private void Send()
    {
        _resend = Timestamp.Never;
        StoreCommit commit = _commit!;
        store.Commit(commit, answer => post(() => OnAnswer(commit, answer)));
    }

    private void OnAnswer(StoreCommit commit, CommitAnswer answer)
    {
        if (commit != _commit)
            return;
        switch (answer.Outcome)
        {
            case CommitOutcome.Applied:
                OnApplied(commit, answer.Revision);
                break;
            case CommitOutcome.Conflict:
                GiveUp();
                Read(leases.Revision, answer.Conflicts);
                break;
            case CommitOutcome.Unavailable when !_isUnknown:
                GiveUp();
                Fail(answer.Reason);
                _notBefore = Pause();
                break;
            default:
                // The first time the answer may just be lost. Whoever is refused later may find that it has its lease nevertheless.
                if (_isUnknown)
                    Fail(answer.Reason);
                _isUnknown = true;
                _resend = Pause();
                break;
        }
    }

    private void OnApplied(StoreCommit commit, long revision)
    {
        bool hasLostCommits = commit.Write.Count > 0 && revision <= leases.Revision;
        leases.OnApplied(commit, revision);
        End();
        _pause = FirstPause;
        if (_failure is not null)
        {
            _failure = null;
            _outcomes.Enqueue(new LeaseOutcome.StoreState(null));
        }

        foreach (HeldChange change in _changes.FindAll(change => leases.IsWritten(change.Write)))
        {
            _changes.Remove(change);
            change.Done(null);
        }

        foreach (OwnerChange change in _made)
            _outcomes.Enqueue(new LeaseOutcome.Changed(change, change.Member is { } member ? leases.ByKey(member) : null));
        _made.Clear();
        HeldRegistration[] group = [.. _group];
        _group.Clear();
        foreach (HeldRegistration held in group)
        {
            // Who has begun anew meanwhile waits again; a lease that somebody else got meanwhile is nobody's promise yet.
            if (!held.IsOver && leases.ByKey(held.Peer.Key) is { } lease && lease.Addresses.SequenceEqual(held.Lease!.Addresses))
                _outcomes.Enqueue(new LeaseOutcome.Admitted(held, lease));
        }

        if (hasLostCommits)
            Read(INetworkStore.Everything, []);
    }

    private void Read(long afterRevision, IReadOnlyList<StoreEntry> conflicts)
    {
        _isReading = true;
        store.Read(
            afterRevision, changes => post(() => OnRead(changes, conflicts, isOtherHistory: afterRevision == INetworkStore.Everything)));
    }

    /// <summary>Other servers were faster: what they committed is taken over, and another address tried.</summary>
    private void OnRead(StoreChanges changes, IReadOnlyList<StoreEntry> conflicts, bool isOtherHistory)
    {
        _isReading = false;
        if (changes.Failure is { } failure)
        {
            Fail(failure);
            _notBefore = Pause();
            return;
        }

        _outcomes.Enqueue(new LeaseOutcome.TakenOver(leases.TakeOver(changes, isOtherHistory)));
        if (!isOtherHistory && !conflicts.All(leases.Agrees))
        {
            // All that was committed since is known, and something is different nevertheless: commits were lost before that.
            Read(INetworkStore.Everything, conflicts);
            return;
        }

        HashSet<string> lost = [.. conflicts.Select(conflict => conflict.Key)];
        int most = 0;
        foreach (HeldRegistration held in _group)
        {
            bool isConcerned = LeaseCodec.EntriesOf(held.Lease!, null)
                .Select(entry => entry.Key)
                .Append(StoreKeys.Network)
                .Append(StoreKeys.Invitation(held.Lease!.Invitation))
                .Any(lost.Contains);
            int times = held.Conflicts + (isConcerned ? 1 : 0);
            most = Math.Max(most, times);
            if (times > MostConflicts)
                Refuse(held, TooSlow);
            else if (!_latest.ContainsKey(held.Peer))
                Add(held with { Lease = null, Conflicts = times });
        }

        _group.Clear();
        _notBefore = time.Now() + (ConflictPause * (1 + most) * jitter.NextDouble());
    }

    /// <summary>The commit is not in the store, and will not be.</summary>
    private void GiveUp()
    {
        leases.OnFailed();
        leases.TakeBack(_joining);
        _made.ForEach(_ownerChanges.Enqueue);
        _made.Clear();
        End();
    }

    private void End()
    {
        _commit = null;
        _isUnknown = false;
        _resend = Timestamp.Never;
        _joining.Clear();
    }

    /// <summary>Nothing is promised that a restart would forget: it is as if they had not asked.</summary>
    private void Fail(string reason)
    {
        _failure = reason;
        HeldRegistration[] all = [.. _group, .. _latest.Values];
        _group.Clear();
        _waiting.Clear();
        _latest.Clear();
        foreach (OwnerChange change in _made.Concat(_ownerChanges))
            change.Fail(reason);
        _made.Clear();
        _ownerChanges.Clear();
        foreach (HeldRegistration held in all)
        {
            if (!held.IsOver)
                Refuse(held, Refusal!);
        }

        HeldChange[] changes = [.. _changes];
        _changes.Clear();
        foreach (HeldChange change in changes)
        {
            leases.Unwant(change.Write);
            change.Done(reason);
        }

        _outcomes.Enqueue(new LeaseOutcome.StoreState(reason));
    }

    private Timestamp Pause()
    {
        Timestamp until = time.Now() + _pause;
        _pause = _pause * 2 > LongestPause ? LongestPause : _pause * 2;
        return until;
    }
}
