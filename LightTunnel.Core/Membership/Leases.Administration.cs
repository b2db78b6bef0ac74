using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <content>What an admin says of members: who becomes one, what each is given, and when a membership ends.</content>
internal sealed partial class Leases
{
    /// <summary>How long a membership lasts that its member does not renew by being here; null for ever.</summary>
    public TimeSpan? MemberExpiry { get; init; }

    /// <summary>When a membership ends; null for never.</summary>
    public DateTimeOffset? EndOf(Lease lease) => lease.IsExpirySet || MemberExpiry is not null ? lease.Expires : null;

    /// <summary>True when a membership has ended: the lease is kept, and the member is none until an admin prolongs it.</summary>
    public bool IsOver(Lease lease, DateTimeOffset now) => EndOf(lease) <= now;

    /// <summary>Makes a member of a machine that waits for approval, or was denied; to be committed.</summary>
    /// <param name="machine">The machine's key.</param>
    /// <param name="now">The current time.</param>
    /// <param name="evicted">A member long offline that had to make room, or null.</param>
    /// <exception cref="LightTunnelException">It does not wait, or cannot get what it asks for.</exception>
    public void Approve(PublicKey machine, DateTimeOffset now, out Lease? evicted)
    {
        Applicant applicant = Applicants.Find(machine) ?? throw Applicants.Missing(machine);
        // It showed the invitation in time; only what was taken back, or used up by others meanwhile, counts.
        InvitationRecord? by = Invitations.Find(applicant.Invitation);
        RefusedMessage? refusal = by?.StateAt(now) is InvitationState.Removed or InvitationState.UsedUp
            ? new() { Reason = by.Removed is null ? RefusalReason.InvitationUsedUp : RefusalReason.InvitationRemoved }
            : null;
        LeaseResult result = refusal is null ? Acquire(machine, applicant.Name, applicant.Addresses, now, by?.Id ?? 0) : default;
        if ((refusal ?? result.Refusal)?.ToException() is { } reason)
        {
            throw new LightTunnelException(
                reason.Error, $"{applicant.Name} cannot be approved. {reason.Message}",
                "Let the machine join anew with another invitation or address; Remove-LtMember forgets what it asked for.")
            {
                Target = applicant.Name,
            };
        }

        evicted = result.Evicted;
        Put(result.Lease! with { Used = true }); // The admin's word counts for more than that it was here for long.
    }

    /// <summary>True for a name that a member has or could have: it is nobody else's.</summary>
    public bool IsNameFree(string name, in PublicKey member) => _names.IsFree(name, member);

    /// <inheritdoc cref="AddressPools.Place"/>
    public IReadOnlyList<TunnelAddress> Place(IReadOnlyList<TunnelAddress> current, IReadOnlyList<TunnelAddress> wanted) =>
        _pools.Place(current, wanted);

    /// <summary>Has a member as an admin wants it; to be committed.</summary>
    /// <exception cref="LightTunnelException">There is no such member, or it cannot be so.</exception>
    public void Set(PublicKey member, MemberSettings settings, DateTimeOffset now)
    {
        Lease lease = ByKey(member) ?? throw new LightTunnelException(
            LightTunnelError.NotFound, "The member is none any more.", "Get-LtMember shows the members that there are.");
        Lease changed = settings.Apply(this, lease, now);
        GiveBack(lease, changed.Addresses);
        _pools.Take(changed.Addresses);
        _names.Rename(member, lease.Name, changed.Name);
        Put(changed);
        _changed.Add(changed.MemberId);
    }

    /// <summary>A member offers these networks from now on, and no others: to be written with what else is noted of it.</summary>
    public void NoteRoutes(PublicKey member, IReadOnlyList<IpPrefix> offered)
    {
        if (ByKey(member) is { } lease && !lease.OfferedRoutes.SequenceEqual(offered))
            Note(lease with { OfferedRoutes = offered });
    }

    /// <summary>
    /// Has a member signed, to be committed. From then on its name and its addresses are the admin's word: another one that it asks for
    /// would not be what was signed.
    /// </summary>
    /// <param name="member">The member's key.</param>
    /// <param name="signature">The signature.</param>
    /// <param name="trust">The network's signing keys.</param>
    /// <param name="now">The current time.</param>
    /// <exception cref="LightTunnelException">There is no such member, or it is not what was signed.</exception>
    public void Sign(PublicKey member, MemberSignature signature, SigningTrust trust, DateTimeOffset now)
    {
        Lease lease = CheckSignature(member, signature, trust, now);
        Put(lease with { Signature = signature, IsNamed = true, IsPlaced = true });
        _changed.Add(lease.MemberId);
    }

    /// <summary>How far the clock of the machine that signs may be ahead of the server's.</summary>
    private static readonly TimeSpan MostAhead = TimeSpan.FromMinutes(5);

    /// <summary>Checks whether a member can have a signature; returns its lease.</summary>
    /// <inheritdoc cref="Sign"/>
    public Lease CheckSignature(PublicKey member, MemberSignature signature, SigningTrust trust, DateTimeOffset now)
    {
        Lease lease = ByKey(member) ?? throw new LightTunnelException(
            LightTunnelError.NotFound, $"No member has the key {member}.", "Get-LtMember shows the members that there are.");
        SignatureState state = trust.Check(lease.PublicKey, lease.Name, lease.Addresses, lease.IsPlain, signature, now);
        if (state == SignatureState.Valid && lease.Signature is { } before && trust.SignerOf(before) is not null
            && before.Issued > signature.Issued)
        {
            state = SignatureState.Outdated;
        }

        if (state == SignatureState.Valid && signature.Issued > now + MostAhead)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidSignature,
                $"The signature is not taken: it was made at {signature.Issued:u}, and here it is {now:u}. None that is made before then "
                    + "would be taken after it.",
                "Set the clocks of the machine that signs and of the server, and sign again.")
            { Target = lease.Name };
        }

        return state == SignatureState.Valid ? lease : throw new LightTunnelException(
            LightTunnelError.InvalidSignature, $"The signature is not taken: {lease.Name} {state.Sentence()}.",
            state == SignatureState.Outdated
                ? "Set the clock of the machine that signs, and sign again."
                : "Sign the member as it is now (Confirm-LtMember -SigningKeyPath), with a key that the network has (Start-LtServer "
                    + "-SigningKey).")
        {
            Target = lease.Name,
        };
    }

    /// <summary>
    /// Renews a membership that a member keeps by being here, when a third of its time is over; one that no admin has said the end of.
    /// </summary>
    public Lease Renew(Lease lease, DateTimeOffset now)
    {
        if (MemberExpiry is not { } lasts || lease.IsExpirySet)
            return lease;
        if (lease.Expires is { } ends && (ends <= now || !IsOnline(lease.PublicKey) || ends - now > lasts * 2 / 3))
            return lease;
        Note(lease = lease with { Expires = now + lasts });
        return lease;
    }
}
