using System.Security.Cryptography;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership.Store;

namespace LightTunnel.Membership;

/// <summary>
/// The invitations that a server has made, as they are meant to be, planned from a replica of the store as leases are
/// (<see cref="Leases"/>, which has the two committed together: a use is counted with the lease that it is for, or not at all). What could
/// not be committed is as if it had not been tried. No I/O here. Owned by the control loop.
/// </summary>
/// <param name="replica">What is in the store.</param>
internal sealed class Invitations(StoreReplica replica)
{
    /// <summary>Most invitations that are kept; those that have ended make room.</summary>
    public const int MaximumCount = 4096;

    /// <summary>One that has ended is kept for this long, so that the server can say so to who comes with it, and to its owner.</summary>
    private static readonly TimeSpan KeepEnded = TimeSpan.FromDays(30);

    private static readonly TimeSpan PruneInterval = TimeSpan.FromHours(1);

    private readonly Dictionary<uint, InvitationRecord> _byId = [];

    /// <summary>Those that are not as in the store.</summary>
    private readonly HashSet<uint> _changed = [];

    /// <summary>What was in commits that the store has lost, until it is in there again.</summary>
    private readonly Dictionary<uint, InvitationRecord> _lost = [];
    private DateTimeOffset _nextPrune;

    /// <summary>Every invitation that is kept.</summary>
    public IReadOnlyCollection<InvitationRecord> All => _byId.Values;

    /// <summary>True when something is to be committed.</summary>
    public bool HasChanges => _changed.Count > 0;

    public InvitationRecord? Find(uint id) => _byId.GetValueOrDefault(id);

    /// <summary>A number that no invitation has.</summary>
    public uint NewId()
    {
        uint id;
        do
            id = BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(sizeof(uint)));
        while (id == 0 || _byId.ContainsKey(id));
        return id;
    }

    /// <summary>Enters a new invitation.</summary>
    /// <exception cref="LightTunnelException">
    /// There are as many as are kept, and all of them admit somebody; or another server took the id.
    /// </exception>
    public void Add(InvitationRecord record, DateTimeOffset now)
    {
        if (_byId.ContainsKey(record.Id))
        {
            throw new LightTunnelException(
                LightTunnelError.Internal, "Another server made an invitation of the same id at the same time.", "Make it once more.");
        }

        if (_byId.Count >= MaximumCount)
        {
            InvitationRecord oldest = _byId.Values.Where(one => one.StateAt(now) != InvitationState.Active).MinBy(one => one.Ended)
                ?? throw new LightTunnelException(
                    LightTunnelError.InvalidOption, $"The server keeps {MaximumCount} invitations, and each of them admits somebody.",
                    "Take back those that nobody needs with Remove-LtInvitation, and let new ones end: -ExpiresIn, -MaxUses.");
            Forget(oldest.Id);
        }

        Put(record);
    }

    /// <summary>Takes an invitation back.</summary>
    /// <exception cref="LightTunnelException">There is none of that id.</exception>
    public void Remove(uint id, DateTimeOffset now)
    {
        InvitationRecord record = Find(id) ?? throw new LightTunnelException(
            LightTunnelError.NotFound, $"There is no invitation {InvitationRecord.TextOf(id)}.",
            "Get-LtInvitation shows those that there are.") { Target = InvitationRecord.TextOf(id) };
        if (record.Removed is null)
            Put(record with { Removed = now });
    }

    /// <summary>Those that would admit somebody, but have a network key in their text that is not the one of that number.</summary>
    public IReadOnlyList<InvitationRecord> OfOtherKeys(int number, DateTimeOffset now) =>
        [.. _byId.Values.Where(one => one.KeyNumber != number && one.StateAt(now) == InvitationState.Active).OrderBy(one => one.Created)];

    /// <summary>Ends <see cref="OfOtherKeys"/>: nobody can come by them any more.</summary>
    public void RemoveOfOtherKeys(int number, DateTimeOffset now)
    {
        foreach (InvitationRecord record in OfOtherKeys(number, now))
            Put(record with { Removed = now });
    }

    /// <summary>Why who shows this is not admitted; null when it is. Only who has the secret learns more than that it is not.</summary>
    public RefusedMessage? Check(InvitationToken token, DateTimeOffset now)
    {
        InvitationRecord? record = Find(token.Id);
        if (!token.Fits(record?.Digest))
            return Refuse(RefusalReason.InvitationUnknown);
        return record!.StateAt(now) switch
        {
            InvitationState.Removed => Refuse(RefusalReason.InvitationRemoved),
            InvitationState.Expired => Refuse(RefusalReason.InvitationExpired),
            InvitationState.UsedUp => Refuse(RefusalReason.InvitationUsedUp),
            _ => null,
        };

        RefusedMessage Refuse(RefusalReason reason) => new() { Reason = reason, Text = $"Invitation {InvitationRecord.TextOf(token.Id)}." };
    }

    /// <summary>The invitation that keeps an address for who comes by it; null when none does.</summary>
    public InvitationRecord? KeeperOf(TunnelAddress address, DateTimeOffset now) =>
        _byId.Values.FirstOrDefault(one => one.Addresses.Contains(address) && one.StateAt(now) == InvitationState.Active);

    /// <summary>Counts a use.</summary>
    public void Use(uint id, DateTimeOffset now)
    {
        InvitationRecord record = _byId[id];
        Put(record with { Uses = record.Uses + 1, LastUsed = now });
    }

    /// <summary>Forgets invitations that have ended long ago.</summary>
    public void Prune(DateTimeOffset now)
    {
        if (now < _nextPrune)
            return;
        _nextPrune = now + PruneInterval;
        foreach (InvitationRecord record in _byId.Values.ToArray())
        {
            if (record.Ended + KeepEnded <= now)
                Forget(record.Id);
        }
    }

    /// <summary>Takes over what others changed in the store.</summary>
    /// <param name="keys">The entries that are others now.</param>
    /// <param name="hasLostCommits">True when the store has lost commits, which are to be made again.</param>
    public void TakeOver(IEnumerable<string> keys, bool hasLostCommits)
    {
        foreach (string key in keys)
        {
            if (!StoreKeys.TryReadInvitation(key, out uint id))
                continue;
            if (hasLostCommits && Find(id) is { } lost)
                _lost[id] = lost;
            Reload(id);
        }
    }

    /// <summary>What is to be written: all that is not as in the store.</summary>
    public IEnumerable<KeyValuePair<string, byte[]?>> Plan()
    {
        foreach (uint id in _changed)
        {
            string key = StoreKeys.Invitation(id);
            yield return new KeyValuePair<string, byte[]?>(key, Find(id)?.Write(replica.Find(key)));
        }
    }

    /// <summary>What was planned is in the store.</summary>
    public void OnApplied()
    {
        _changed.Clear();
        _lost.Clear();
    }

    /// <summary>What was planned is not in the store: it is as if it had not been tried.</summary>
    public void OnFailed()
    {
        foreach (uint id in _changed.ToArray())
            Reload(id);
    }

    private void Put(InvitationRecord record)
    {
        _byId[record.Id] = record;
        _changed.Add(record.Id);
    }

    private void Forget(uint id)
    {
        _byId.Remove(id);
        _changed.Add(id);
    }

    /// <summary>As it is in the store, or as it was before that lost it: a use that was counted stays counted.</summary>
    private void Reload(uint id)
    {
        string key = StoreKeys.Invitation(id);
        _changed.Remove(id);
        if (InvitationRecord.TryRead(new StoreEntry(key, replica.Find(key), 0, 0), out InvitationRecord? stored))
            _byId[id] = stored;
        else
            _byId.Remove(id);
        if (_lost.TryGetValue(id, out InvitationRecord? lost))
        {
            Put(stored is null
                ? lost
                : stored with { Uses = Math.Max(stored.Uses, lost.Uses), Removed = stored.Removed ?? lost.Removed });
        }
    }
}
