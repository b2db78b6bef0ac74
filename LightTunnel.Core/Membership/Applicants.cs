using LightTunnel.Diagnostics;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// Machines that wait until an admin approves them, and those that one denied, as they are in the store or are meant to be. Anybody who has
/// the network's key can ask, with as many keys as he likes: so only so many wait, who has an invitation before who has none, and few of
/// one place. No I/O here. Owned by the control loop.
/// </summary>
/// <param name="replica">What is in the store.</param>
/// <param name="invitations">The invitations that they show.</param>
internal sealed class Applicants(StoreReplica replica, Invitations invitations)
{
    /// <summary>Most machines that wait.</summary>
    public const int MostWaiting = 256;

    /// <summary>Most of them that come from one IPv4 address or IPv6 /64.</summary>
    public const int MostOfOnePlace = 16;

    /// <summary>Most that were denied and are remembered; the oldest make room, and may ask again.</summary>
    public const int MostDenied = 1024;

    /// <summary>One that was neither approved nor denied is forgotten after this time, as is a denial.</summary>
    internal static readonly TimeSpan Keep = TimeSpan.FromDays(30);

    private static readonly TimeSpan PruneInterval = TimeSpan.FromHours(1);

    private readonly Dictionary<PublicKey, Applicant> _byKey = [];
    private readonly HashSet<PublicKey> _changed = [];
    private DateTimeOffset _nextPrune;

    /// <summary>All of them.</summary>
    public IReadOnlyCollection<Applicant> All => _byKey.Values;

    /// <summary>True when something is to be committed.</summary>
    public bool HasChanges => _changed.Count > 0;

    public Applicant? Find(in PublicKey key) => _byKey.GetValueOrDefault(key);

    /// <summary>Has a machine wait that asks; null when it does, otherwise why not.</summary>
    /// <param name="asking">What it asks for.</param>
    /// <param name="isNew">True when it did not wait before.</param>
    public RefusedMessage? Ask(Applicant asking, out bool isNew)
    {
        isNew = false;
        Applicant? known = Find(asking.PublicKey);
        if (known?.Denied is not null)
            return new() { Reason = RefusalReason.Denied };
        if (known is not null)
        {
            asking = asking with { Since = known.Since, Invitation = asking.Invitation == 0 ? known.Invitation : asking.Invitation };
            if (!known.AsksLike(asking))
                Put(asking);
            return null;
        }

        if (asking.Invitation != 0 && invitations.Find(asking.Invitation) is { MaxUses: > 0 } invitation
            && invitation.Uses + Waiting.Count(other => other.Invitation == invitation.Id) >= invitation.MaxUses)
        {
            return new() { Reason = RefusalReason.InvitationUsedUp, Text = "As many wait for approval by it as may join." };
        }

        if (Waiting.Count(other => other.Endpoint.Subscriber == asking.Endpoint.Subscriber) >= MostOfOnePlace)
        {
            return new()
            {
                Reason = RefusalReason.Other,
                Text = $"{MostOfOnePlace} machines at {asking.Endpoint.Address} wait for approval: ask later.",
            };
        }

        if (Waiting.Count() >= MostWaiting)
        {
            Applicant last = Waiting.OrderBy(other => other.Invitation != 0).ThenBy(other => other.Since).First();
            if (last.Invitation != 0 && asking.Invitation == 0)
                return new() { Reason = RefusalReason.Other, Text = $"{MostWaiting} machines wait for approval: ask later." };
            Remove(last.PublicKey);
        }

        Put(asking);
        isNew = true;
        return null;
    }

    /// <summary>Denies a machine; if it asks again it is told so.</summary>
    /// <exception cref="LightTunnelException">It does not wait.</exception>
    public void Deny(in PublicKey key, DateTimeOffset now)
    {
        Applicant applicant = Find(key) ?? throw Missing(key);
        if (applicant.Denied is not null)
            return;
        if (_byKey.Values.Count(other => other.Denied is not null) >= MostDenied)
            Remove(_byKey.Values.Where(other => other.Denied is not null).MinBy(other => other.Denied)!.PublicKey);
        Put(applicant with { Denied = now });
    }

    /// <summary>A machine neither waits any more nor is denied.</summary>
    public void Remove(in PublicKey key)
    {
        if (_byKey.Remove(key))
            _changed.Add(key);
    }

    /// <summary>Forgets those of whom nothing came for long.</summary>
    public void Prune(DateTimeOffset now)
    {
        if (now < _nextPrune)
            return;
        _nextPrune = now + PruneInterval;
        foreach (Applicant applicant in _byKey.Values.Where(one => (one.Denied ?? one.Since) + Keep <= now).ToArray())
            Remove(applicant.PublicKey);
    }

    /// <summary>Takes over what is in the store.</summary>
    /// <param name="keys">The entries that are others now.</param>
    public void TakeOver(IEnumerable<string> keys)
    {
        foreach (string key in keys)
        {
            if (StoreKeys.TryReadApplicant(key, out PublicKey machine))
                Reload(machine);
        }
    }

    /// <summary>What is to be written: all that is not as in the store.</summary>
    public IEnumerable<KeyValuePair<string, byte[]?>> Plan() => _changed.Select(machine =>
    {
        string key = StoreKeys.Applicant(machine);
        return new KeyValuePair<string, byte[]?>(key, Find(machine)?.Write(replica.Find(key)));
    });

    /// <summary>What was planned is in the store.</summary>
    public void OnApplied() => _changed.Clear();

    /// <summary>What was planned is not in the store: it is as if it had not been tried. Who asked, asks again.</summary>
    public void OnFailed()
    {
        foreach (PublicKey machine in _changed.ToArray())
            Reload(machine);
    }

    /// <summary>What an admin is told who means one that is none.</summary>
    public static LightTunnelException Missing(in PublicKey key) => new(
        LightTunnelError.NotFound, $"No machine with the key {key} waits for approval.",
        "Get-LtMember -State Pending, Denied shows those that do, and those that were denied.") { Target = key.ToString() };

    private IEnumerable<Applicant> Waiting => _byKey.Values.Where(applicant => applicant.Denied is null);

    private void Put(Applicant applicant)
    {
        _byKey[applicant.PublicKey] = applicant;
        _changed.Add(applicant.PublicKey);
    }

    private void Reload(in PublicKey machine)
    {
        string key = StoreKeys.Applicant(machine);
        _changed.Remove(machine);
        if (Applicant.TryRead(key, replica.Find(key), out Applicant? stored))
            _byKey[machine] = stored;
        else
            _byKey.Remove(machine);
    }
}
