using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// Tunnel addresses by public key, which is what a member is known by. The same key gets the same ones again; an address belongs to one
/// key. When nothing is left, the member offline for the longest time makes room, if it has been so for long enough, or never used its
/// lease.
/// <para>
/// These are leases as they are meant to be, planned from a replica of the store: what differs from it goes into the next commit
/// (<see cref="Plan"/>). A lease that is new is nobody's before that is applied; if it cannot be, it is taken back
/// (<see cref="TakeBack"/>). What others commit is taken over (<see cref="TakeOver"/>). No I/O here. Owned by the control loop.
/// </para>
/// </summary>
internal sealed partial class Leases
{
    /// <summary>The server's own member id.</summary>
    public const uint ServerMemberId = 1;

    /// <summary>The first id of a client.</summary>
    public const uint FirstClientId = 2;

    /// <summary>Members remembered when nobody says otherwise.</summary>
    public const int DefaultMaximumCount = 65_536;

    /// <summary>Who was online for this long uses its lease, whether or not its traffic is seen here.</summary>
    private static readonly TimeSpan UsedAfter = TimeSpan.FromMinutes(2);

    /// <summary>A lease that was not used is given up when its member was silent for this long.</summary>
    private static readonly TimeSpan KeepUnused = TimeSpan.FromMinutes(5);

    private readonly AddressPools _pools;
    private readonly MemberNames _names;
    private readonly TimeSpan _keepOffline;
    private readonly int _maximumCount;
    private readonly Dictionary<PublicKey, Lease> _byKey = [];
    private readonly Dictionary<uint, Lease> _byId = [];
    private readonly Dictionary<TunnelAddress, Lease> _byAddress = [];
    private readonly HashSet<PublicKey> _online = [];
    private readonly SortedSet<(DateTimeOffset LastSeen, uint MemberId)> _offline = [];
    private readonly HashSet<PublicKey> _unused = [];
    private readonly HashSet<PublicKey> _ephemeral = [];
    private readonly SortedSet<uint> _withRoutes = [];
    private readonly StoreReplica _replica = new();
    private readonly string? _networkName;
    private (string? Name, uint NextMemberId) _storedNetwork = (null, FirstClientId);
    private bool _isResumed;

    /// <summary>Members whose leases are not as in the store, by the ids that their entries have there.</summary>
    private readonly HashSet<uint> _changed = [];

    /// <summary>Members of whom something was noted that can wait: when they were seen, and whether they use their leases.</summary>
    private readonly HashSet<uint> _noted = [];

    /// <summary>Entries of other kinds that are to be written.</summary>
    private readonly Dictionary<string, byte[]?> _others = new(StringComparer.Ordinal);

    /// <summary>Leases that were ended since the last commit, in case that it comes to nothing.</summary>
    private readonly Dictionary<PublicKey, (Lease Lease, bool IsOnline)> _ended = [];

    /// <summary>Members that a commit is under way for; null when there is none.</summary>
    private HashSet<uint>? _planned;

    /// <param name="serverAddresses">The server's own addresses; their prefixes are what is leased from.</param>
    /// <param name="keepOffline">How long an offline member's address is safe when there is no other left; 7 days when null.</param>
    /// <param name="maximumCount">Most leases, so that keys made up by the thousand fill neither memory nor the state file.</param>
    /// <param name="serverName">The server's own name, which no member gets, and the network's.</param>
    public Leases(
        IReadOnlyList<InterfaceAddress> serverAddresses, TimeSpan? keepOffline = null, int maximumCount = DefaultMaximumCount,
        string? serverName = null)
    {
        _networkName = serverName;
        _names = new MemberNames(serverName);
        Invitations = new Invitations(_replica);
        Applicants = new Applicants(_replica, Invitations);
        Rules = new AccessRules(_replica);
        _pools = new AddressPools(serverAddresses);
        _keepOffline = keepOffline ?? TimeSpan.FromDays(7);
        _maximumCount = maximumCount;
    }

    /// <summary>The id that the next new key gets; ids are never used again.</summary>
    public uint NextMemberId { get; private set; } = FirstClientId;

    /// <summary>The invitations by which members come.</summary>
    public Invitations Invitations { get; }

    /// <summary>Those who wait until an admin approves them.</summary>
    public Applicants Applicants { get; }

    /// <summary>The network's access rules.</summary>
    public AccessRules Rules { get; }

    /// <summary>
    /// True when the network's key alone admits nobody, which is so from the beginning, and not in networks that an earlier version made.
    /// </summary>
    public bool IsInvitedOnly { get; private set; } = true;

    /// <summary>Number of leases.</summary>
    public int Count => _byId.Count;

    /// <summary>Most leases that there can be.</summary>
    public int Capacity => Math.Min(_maximumCount, _pools.Capacity);

    /// <summary>The keys that are kept out, as the store says.</summary>
    public BlockedKeys Blocked { get; } = new();

    /// <summary>The members that offer networks behind them.</summary>
    public IReadOnlyCollection<uint> WithRoutes => _withRoutes;

    /// <summary>Every lease.</summary>
    public IReadOnlyCollection<Lease> All => _byId.Values;

    /// <summary>
    /// Rises whenever there is another member, or one has another name, other addresses, groups or networks behind it, or is none any
    /// more: what follows from these is to be worked out anew then.
    /// </summary>
    public long Generation { get; private set; }

    /// <summary>The revision of the store that this is planned from.</summary>
    public long Revision => _replica.Revision;

    /// <summary>A number that changes when a commit has come to an end.</summary>
    public long Settled { get; private set; }

    /// <summary>True while what is meant to be of a member's lease is not known to be in the store.</summary>
    public bool IsPending(uint memberId) => _changed.Contains(memberId) || _planned?.Contains(memberId) == true;

    /// <summary>True when something is to be committed.</summary>
    public bool HasChanges => _changed.Count > 0 || _noted.Count > 0 || _others.Count > 0 || Invitations.HasChanges
        || Applicants.HasChanges || Rules.HasChanges || _storedNetwork != (_networkName, NextMemberId);

    public Lease? ById(uint memberId) => _byId.GetValueOrDefault(memberId);

    public Lease? ByKey(PublicKey key) => _byKey.GetValueOrDefault(key);

    public Lease? ByAddress(TunnelAddress address) => _byAddress.GetValueOrDefault(address);

    public Lease? ByName(string name) => _names.OwnerOf(name) is { } owner ? ByKey(owner) : null;

    public bool IsOnline(PublicKey member) => _online.Contains(member);

    /// <summary>
    /// Takes over what is in the store: all of it at first, later what others committed. Addresses that the network no longer has, or that
    /// two leases claim, are left out: their members get new ones when they register. When the store has lost commits, the leases that were
    /// in them are to be committed again, but for those that somebody else got meanwhile.
    /// </summary>
    /// <param name="changes">What was read.</param>
    /// <param name="isOtherHistory">True when the store is known to have lost commits, however many others there are by now.</param>
    public LeaseNews TakeOver(StoreChanges changes, bool isOtherHistory = false)
    {
        bool hasLostCommits = changes.IsWhole && (isOtherHistory || changes.Revision < _replica.Revision);
        IReadOnlyCollection<string> keys = _replica.Apply(changes);
        NoteNetwork();
        foreach (string key in keys)
        {
            if (StoreKeys.TryReadBlock(key, out PublicKey blocked))
                TakeOverBlock(key, blocked, hasLostCommits);
        }

        Invitations.TakeOver(keys, hasLostCommits);
        Applicants.TakeOver(keys);
        Rules.TakeOver(keys, hasLostCommits);
        return Replace(keys.Select(key => StoreKeys.TryReadMember(key, out uint memberId) ? memberId : 0), hasLostCommits);
    }

    /// <summary>Has an entry of another kind written with the next commit.</summary>
    public void Want(StoreWrite write) => _others[write.Key] = write.Value;

    /// <summary>An entry is not to be written after all.</summary>
    public void Unwant(StoreWrite write) => _others.Remove(write.Key);

    /// <summary>True when an entry is in the store as it was to be written.</summary>
    public bool IsWritten(StoreWrite write) => LeasePlan.IsSame(_replica.Find(write.Key), write.Value);

    /// <summary>True when the entry is as this plans from.</summary>
    public bool Agrees(StoreEntry entry) => _replica.Expect(entry.Key).Version == entry.Version;

    /// <summary>
    /// Plans a commit of everything that has changed. While one is under way, a further one is for the end only, when nobody waits for an
    /// answer: it has what the other has not.
    /// </summary>
    /// <param name="mostNotes">Most members of whom it has what can wait, as each costs some work.</param>
    public StoreCommit Plan(int mostNotes = int.MaxValue)
    {
        _noted.ExceptWith(_changed);
        uint[] members = [.. _changed.Concat(_noted.Take(mostNotes)).Where(memberId => _planned?.Contains(memberId) != true)];
        bool isFirst = _planned is null;
        byte[]? network = isFirst
            ? LeaseCodec.WriteNetwork(_networkName, NextMemberId, IsInvitedOnly, _replica.Find(StoreKeys.Network))
            : null;
        StoreCommit commit = LeasePlan.Make(
            _replica, members, ById, network,
            isFirst ? [.. _others, .. Invitations.Plan(), .. Applicants.Plan(), .. Rules.Plan()] : []);
        (_planned ??= []).UnionWith(members);
        _changed.ExceptWith(members);
        _noted.ExceptWith(members);
        return commit;
    }

    /// <summary>What was planned is in the store.</summary>
    public void OnApplied(StoreCommit commit, long revision)
    {
        _replica.Apply(commit, revision);
        _ended.Clear();
        Invitations.OnApplied();
        Applicants.OnApplied();
        Rules.OnApplied();
        _planned = null;
        Settled++;
        foreach (StoreWrite write in commit.Write)
        {
            if (StoreKeys.TryReadBlock(write.Key, out PublicKey blocked))
                Blocked.Take(blocked, write.Value);
        }

        foreach ((string key, byte[]? value) in _others.ToArray())
        {
            if (IsWritten(new StoreWrite(key, value)))
                _others.Remove(key);
        }

        NoteNetwork();
    }

    /// <summary>What was planned is not in the store: it goes with the next commit.</summary>
    public void OnFailed()
    {
        _changed.UnionWith(_planned ?? []);
        Invitations.OnFailed();
        Applicants.OnFailed();
        Rules.OnFailed();
        _planned = null;
        Settled++;
    }

    /// <summary>Leases that could not be committed are again what they are in the store, those that were to end included.</summary>
    public void TakeBack(IEnumerable<PublicKey> members)
    {
        PublicKey[] keys = [.. members];
        (Lease Lease, bool IsOnline)[] ended = [.. keys.Where(_ended.ContainsKey).Select(key => _ended[key])];
        Replace(keys.Select(key => ByKey(key)?.MemberId ?? 0).Concat(ended.Select(one => one.Lease.MemberId)), hasLostCommits: false);
        foreach (Lease back in ended.Where(one => one.IsOnline).Select(one => ById(one.Lease.MemberId)).OfType<Lease>())
        {
            _offline.Remove((back.LastSeen, back.MemberId));
            _online.Add(back.PublicKey);
        }

        Array.ForEach(keys, key => _ended.Remove(key));
    }

    /// <summary>
    /// Leases one address of each prefix to a key, those asked for or any. A refusal changes nothing, but for a possible eviction.
    /// </summary>
    /// <param name="key">Whose they are.</param>
    /// <param name="name">The name that it asks for.</param>
    /// <param name="requested">The addresses that it asks for.</param>
    /// <param name="now">The current time.</param>
    /// <param name="invitation">
    /// The invitation that it comes by, if it is new, or 0: what that one says counts, before what the member asks for. Who came by one for
    /// a limited number has used its lease by that: it could not come again.
    /// </param>
    /// <param name="isPlain">True for a plain WireGuard client that is new.</param>
    public LeaseResult Acquire(
        PublicKey key, string name, IReadOnlyList<TunnelAddress> requested, DateTimeOffset now, uint invitation = 0, bool isPlain = false)
    {
        Lease? current = ByKey(key);
        InvitationRecord? by = current is null ? Invitations.Find(invitation) : null;
        if (current is { IsPlaced: true } || by is { Addresses.Count: > 0 })
            requested = by?.Addresses ?? [];
        if (CheckRequested(key, requested, now, invitation) is { } unusable)
            return new LeaseResult(null, unusable, null);

        Lease? evicted = null;
        if (current is null && (Count >= _maximumCount || NextMemberId == uint.MaxValue) && !TryEvict(key, now, out evicted))
            return Refuse(RefusalReason.AddressPoolExhausted, "The network has as many members as it remembers.");

        TunnelAddress?[] wanted = [.. _pools.All.Select(pool => AddressPools.Find(pool, requested.Concat(current?.Addresses ?? [])))];
        var taken = new List<(AddressPool Pool, TunnelAddress Address)>();
        var addresses = new List<TunnelAddress>();
        for (int i = 0; i < wanted.Length; i++)
        {
            AddressPool pool = _pools.All[i];
            bool owned = wanted[i] is { } address && current is not null && current.Addresses.Contains(address);
            TunnelAddress given = wanted[i].GetValueOrDefault();
            if (!owned)
            {
                bool success = wanted[i] is null ? pool.TryTakeAny(out given, IsKept) : pool.TryTake(given);
                if (!success && evicted is null && TryEvict(key, now, out evicted))
                    success = wanted[i] is null ? pool.TryTakeAny(out given, IsKept) : pool.TryTake(given);
                if (!success)
                {
                    foreach ((AddressPool takenPool, TunnelAddress takenAddress) in taken)
                        takenPool.Return(takenAddress);
                    return Refuse(RefusalReason.AddressPoolExhausted, $"{pool.Prefix} has no free address.") with { Evicted = evicted };
                }

                taken.Add((pool, given));
            }

            addresses.Add(given);
        }

        Lease lease = current is null
            ? new Lease
            {
                PublicKey = key, MemberId = NextMemberId++, Name = name, Addresses = addresses, Created = now, LastSeen = now,
                Invitation = invitation, Used = isPlain || by is { MaxUses: > 0 }, IsEphemeral = by is { IsEphemeral: true },
                Groups = by?.Groups ?? [], IsPlaced = by is { Addresses.Count: > 0 }, IsPlain = isPlain,
            }
            : current with { Addresses = addresses };
        if (!lease.IsNamed)
            lease = lease with { Name = _names.Give(key, lease.MemberId, name, current?.Name) };
        if (by is not null)
            Invitations.Use(by.Id, now);
        if (current is null)
        {
            Applicants.Remove(key);
            NoteOffline(lease);
        }
        else
        {
            GiveBack(current, addresses);
        }

        Put(lease);
        if (current is null || !IsSame(current, lease))
            _changed.Add(lease.MemberId);
        return new LeaseResult(lease, null, evicted);

        bool IsKept(TunnelAddress address) => Invitations.KeeperOf(address, now) is not null;
    }

    /// <summary>Why a member cannot have the addresses that are asked for; null when it can.</summary>
    /// <param name="key">The member; null for one that is to come.</param>
    /// <param name="requested">The addresses.</param>
    /// <param name="now">The current time.</param>
    /// <param name="invitation">The invitation that it comes by, or 0.</param>
    public RefusedMessage? CheckRequested(
        PublicKey? key, IReadOnlyList<TunnelAddress> requested, DateTimeOffset now, uint invitation = 0)
    {
        if (!_pools.AreUsable(requested, out TunnelAddress culprit))
            return new() { Reason = RefusalReason.AddressUnusable, Text = $"{culprit} is not for members of {_pools}." };
        foreach (TunnelAddress address in requested)
        {
            string? owner = ByAddress(address) is { } lease
                ? lease.PublicKey == key ? null : $"belongs to {lease.Name}, {Whereabouts(lease)}"
                : Invitations.KeeperOf(address, now) is { } keeper && keeper.Id != invitation
                    ? $"is kept for who comes by the invitation {InvitationRecord.TextOf(keeper.Id)}"
                    : null;
            if (owner is not null)
                return new() { Reason = RefusalReason.AddressTaken, Text = $"{address} {owner}." };
        }

        return null;
    }

    /// <summary>Tells that a member came or went; a member that is online is never evicted. Returns the lease as it is then.</summary>
    public Lease? SetOnline(PublicKey member, bool online, DateTimeOffset now)
    {
        if (ByKey(member) is not { } lease)
            return null;
        _offline.Remove((lease.LastSeen, lease.MemberId));
        lease = lease with { LastSeen = now, Used = lease.Used || IsUsed(lease, now) };
        Note(lease);
        if (online)
        {
            _online.Add(member);
        }
        else
        {
            _online.Remove(member);
            NoteOffline(lease);
        }

        return lease;
    }

    /// <summary>Notes that every member that is online was so until now.</summary>
    public void SeeOnline(DateTimeOffset now)
    {
        foreach (PublicKey member in _online)
        {
            Lease lease = _byKey[member];
            Note(lease with { LastSeen = now, Used = lease.Used || IsUsed(lease, now) });
        }
    }

    /// <summary>The member's traffic was seen: its lease is kept when it goes.</summary>
    public void NoteUsed(PublicKey member)
    {
        if (ByKey(member) is { Used: false } lease)
            Note(lease with { Used = true });
    }

    /// <summary>A member is known to have one of the network's keys.</summary>
    public void NoteKey(in PublicKey member, int number)
    {
        if (ByKey(member) is { } lease && lease.KeyNumber != number)
            Note(lease with { KeyNumber = number });
    }

    /// <summary>Forgets members that came for a moment only and carried nothing, some minutes after they went, and returns them.</summary>
    /// <param name="now">The current time.</param>
    /// <param name="hasTraffic">Whether a member's traffic was seen.</param>
    public IReadOnlyList<Lease> RemoveUnused(DateTimeOffset now, Func<PublicKey, bool> hasTraffic)
    {
        var removed = new List<Lease>();
        foreach (PublicKey member in _unused.ToArray())
        {
            Lease lease = _byKey[member];
            if (IsUsed(lease, now) || hasTraffic(member))
                NoteUsed(member);
            else if (!IsOnline(member) && now - lease.LastSeen >= KeepUnused)
                removed.Add(lease);
        }

        removed.ForEach(Remove);
        return removed;
    }

    /// <summary>
    /// Forgets members that were to be ones only while they are there, and are gone since before a time, and returns them.
    /// </summary>
    public IReadOnlyList<Lease> RemoveEphemeral(DateTimeOffset before)
    {
        Lease[] removed =
        [
            .. _ephemeral.Where(member => !IsOnline(member)).Select(member => _byKey[member]).Where(lease => lease.LastSeen < before),
        ];
        Array.ForEach(removed, Remove);
        return removed;
    }

    /// <summary>Forgets a member; false when there is none with that key.</summary>
    public bool Remove(PublicKey member)
    {
        if (ByKey(member) is not { } lease)
            return false;
        _ended[member] = (lease, IsOnline(member));
        Remove(lease);
        return true;
    }

    /// <summary>Forgets members that have been offline since before a time, and returns them.</summary>
    public IReadOnlyList<Lease> RemoveOfflineSince(DateTimeOffset before)
    {
        var removed = new List<Lease>();
        while (_offline.Count > 0 && _offline.Min.LastSeen < before)
        {
            Lease lease = _byId[_offline.Min.MemberId];
            Remove(lease);
            removed.Add(lease);
        }

        return removed;
    }

    /// <summary>Whether a member is there, for whoever wants its address.</summary>
    private string Whereabouts(Lease lease) => IsOnline(lease.PublicKey)
        ? "which is online"
        : string.Create(CultureInfo.InvariantCulture, $"offline since {lease.LastSeen.UtcDateTime:yyyy-MM-dd HH:mm} UTC");

    /// <summary>True for a member that has been here for a while now.</summary>
    private bool IsUsed(Lease lease, DateTimeOffset now) => IsOnline(lease.PublicKey) && now - lease.LastSeen >= UsedAfter;

    private bool TryEvict(PublicKey except, DateTimeOffset now, [NotNullWhen(true)] out Lease? evicted)
    {
        evicted = _unused.Where(member => !IsOnline(member) && member != except).Select(member => _byKey[member])
            .MinBy(lease => lease.LastSeen);
        if (evicted is not null)
        {
            Remove(evicted);
            return true;
        }

        foreach ((DateTimeOffset lastSeen, uint memberId) in _offline)
        {
            if (now - lastSeen <= _keepOffline)
                return false;
            if (_byId[memberId].PublicKey == except)
                continue;
            evicted = _byId[memberId];
            Remove(evicted);
            return true;
        }

        return false;
    }

    /// <summary>Somebody else keeps a key out, or lets it in. What a store has lost is written again.</summary>
    private void TakeOverBlock(string key, in PublicKey blocked, bool hasLostCommits)
    {
        byte[]? value = _replica.Find(key);
        if (value is null && hasLostCommits && Blocked.Find(blocked) is { } lost)
            _others.TryAdd(key, CborRecord.Encode(lost));
        else
            Blocked.Take(blocked, value);
    }

    private void NoteNetwork()
    {
        if (!LeaseCodec.TryReadNetwork(_replica.Find(StoreKeys.Network), out string? name, out uint nextMemberId, out bool isInvitedOnly))
            return;
        IsInvitedOnly = isInvitedOnly;
        if (!_isResumed)
            _pools.Resume(nextMemberId - Math.Min(nextMemberId, FirstClientId));
        _isResumed = true;
        _storedNetwork = (name, nextMemberId);
        NextMemberId = Math.Max(NextMemberId, nextMemberId);
    }

    /// <summary>Has leases as they are in the store, and tells what is another now.</summary>
    private LeaseNews Replace(IEnumerable<uint> memberIds, bool hasLostCommits)
    {
        uint[] ids = [.. memberIds.Where(memberId => memberId >= FirstClientId).Order()];
        Lease[] before = [.. ids.Select(ById).OfType<Lease>()];
        HashSet<PublicKey> online = [.. before.Select(lease => lease.PublicKey).Where(IsOnline)];
        foreach (Lease lease in before)
            Drop(lease);
        _changed.ExceptWith(ids);
        _noted.ExceptWith(ids);
        foreach (uint memberId in ids)
        {
            string key = StoreKeys.Member(memberId);
            if (LeaseCodec.TryReadMember(new StoreEntry(key, _replica.Find(key), 0, 0), out Lease? stored))
                Restore(stored, online);
        }

        foreach (Lease lost in hasLostCommits ? before : [])
        {
            if (!Restore(lost, online))
                continue;
            _changed.Add(lost.MemberId);
            if (!ById(lost.MemberId)!.Addresses.SequenceEqual(lost.Addresses))
                Remove(ById(lost.MemberId)!);
        }

        Dictionary<PublicKey, Lease> had = before.ToDictionary(lease => lease.PublicKey);
        return new LeaseNews(
            [.. before.Where(lease => ByKey(lease.PublicKey) is null)],
            [.. ids.Select(ById).OfType<Lease>().Where(now => !had.TryGetValue(now.PublicKey, out Lease? old) || !IsSame(old, now))]);
    }

    /// <summary>Enters a lease as it is in the store, or as much of it as can be; false when its number or key is in use.</summary>
    private bool Restore(Lease lease, HashSet<PublicKey> online)
    {
        if (_byId.ContainsKey(lease.MemberId) || _byKey.ContainsKey(lease.PublicKey) || Count >= _maximumCount)
            return false;
        Lease restored = lease with
        {
            Addresses = _pools.Take(lease.Addresses),
            Name = _names.Give(lease.PublicKey, lease.MemberId, lease.Name, current: null),
        };
        Put(restored);
        if (online.Contains(lease.PublicKey))
            _online.Add(lease.PublicKey);
        else
            NoteOffline(restored);
        if (!IsSame(lease, restored))
            _changed.Add(lease.MemberId);
        NextMemberId = Math.Max(NextMemberId, lease.MemberId + 1);
        return true;
    }

    private static bool IsSame(Lease one, Lease other) =>
        one.MemberId == other.MemberId && one.Name == other.Name && one.Addresses.SequenceEqual(other.Addresses)
        && Equals(one.Signature, other.Signature);

    private void Remove(Lease lease)
    {
        Drop(lease);
        _changed.Add(lease.MemberId);
    }

    private void Drop(Lease lease)
    {
        GiveBack(lease, []);
        _byId.Remove(lease.MemberId);
        _byKey.Remove(lease.PublicKey);
        _online.Remove(lease.PublicKey);
        _offline.Remove((lease.LastSeen, lease.MemberId));
        _unused.Remove(lease.PublicKey);
        _ephemeral.Remove(lease.PublicKey);
        _withRoutes.Remove(lease.MemberId);
        _names.Release(lease.Name, lease.PublicKey);
        Generation++;
    }

    private void GiveBack(Lease lease, IReadOnlyList<TunnelAddress> except)
    {
        foreach (TunnelAddress address in lease.Addresses)
        {
            if (except.Contains(address))
                continue;
            _pools.Return(address);
            _byAddress.Remove(address);
        }
    }

    /// <summary>Who is away for long enough loses its lease; not who could not come again by itself.</summary>
    private void NoteOffline(Lease lease)
    {
        if (!lease.IsPlain)
            _offline.Add((lease.LastSeen, lease.MemberId));
    }

    private void Note(Lease lease)
    {
        Put(lease);
        _noted.Add(lease.MemberId);
    }

    private void Put(Lease lease)
    {
        if (ById(lease.MemberId) is not { } before || !IsSame(before, lease) || !before.Groups.SequenceEqual(lease.Groups)
            || !HasSameRoutes(before, lease))
        {
            Generation++;
        }

        _byId[lease.MemberId] = lease;
        _byKey[lease.PublicKey] = lease;
        if (lease.Used)
            _unused.Remove(lease.PublicKey);
        else
            _unused.Add(lease.PublicKey);
        if (lease.IsEphemeral)
            _ephemeral.Add(lease.PublicKey);
        if (lease.OfferedRoutes.Count > 0)
            _withRoutes.Add(lease.MemberId);
        else
            _withRoutes.Remove(lease.MemberId);
        foreach (TunnelAddress address in lease.Addresses)
            _byAddress[address] = lease;
    }

    private static bool HasSameRoutes(Lease one, Lease other) =>
        one.OfferedRoutes.SequenceEqual(other.OfferedRoutes) && one.ApprovedRoutes.SequenceEqual(other.ApprovedRoutes)
        && one.DeniedRoutes.SequenceEqual(other.DeniedRoutes);

    private static LeaseResult Refuse(RefusalReason reason, string text) =>
        new(null, new RefusedMessage { Reason = reason, Text = text }, null);
}
