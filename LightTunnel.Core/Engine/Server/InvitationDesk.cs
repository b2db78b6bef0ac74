using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Server;

/// <summary>Where a server's owner makes invitations, sees them, and takes them back. Owned by the control loop.</summary>
/// <param name="leases">Members and invitations.</param>
/// <param name="commits">Brings changes into the store.</param>
/// <param name="node">The node.</param>
internal sealed class InvitationDesk(Leases leases, LeaseCommits commits, Node node)
{
    /// <summary>Longest name of an invitation, characters.</summary>
    public const int LongestName = 100;

    /// <summary>Every invitation that is kept, the newest last.</summary>
    public IEnumerable<InvitationRecord> All => leases.Invitations.All.OrderBy(record => record.Created).ThenBy(record => record.Id);

    /// <summary>The members that came by each invitation and are members still.</summary>
    public ILookup<uint, Lease> Members => leases.All.Where(lease => lease.Invitation != 0).ToLookup(lease => lease.Invitation);

    /// <summary>Makes an invitation; its secret is there when it is in the store.</summary>
    /// <param name="wanted">What it is to be; its id and digest are of no account.</param>
    /// <exception cref="LightTunnelException">Something is out of its bounds, or an address cannot be had.</exception>
    public async Task<InvitationToken> CreateAsync(InvitationRecord wanted)
    {
        if (wanted.Name.Length > LongestName)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidName, "The invitation's name is too long.", $"Give one of up to {LongestName} characters.");
        }

        if (wanted.MaxUses is < 0 or > InvitationRecord.MostUses)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"MaxUses {wanted.MaxUses} is out of range.",
                $"Give a number from 1 to {InvitationRecord.MostUses}, or none for any number.") { Target = wanted.MaxUses };
        }

        if (wanted is { Addresses.Count: > 0, MaxUses: > 1 })
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"An address is one machine's, and the invitation is for {wanted.MaxUses}.",
                "Give no -MaxUses with -Address: such an invitation is for one.") { Target = wanted.MaxUses };
        }

        DateTimeOffset now = node.Time.GetUtcNow();
        InvitationToken token = InvitationToken.Generate(leases.Invitations.NewId());
        InvitationRecord record = wanted with
        {
            Id = token.Id,
            Digest = token.Digest(),
            Created = now,
            Expires = wanted.Expires?.ToUniversalTime(),
            MaxUses = wanted.Addresses.Count > 0 ? 1 : wanted.MaxUses,
            MadeBy = LocalUsers.Shown(wanted.MadeBy),
            KeyNumber = node.NetworkKeys.Number,
        };
        MemberSettings.CheckAddresses(leases, null, record.Addresses, now); // What is wrong now is said now.
        await ChangeAsync(all =>
        {
            MemberSettings.CheckAddresses(all, null, record.Addresses, now);
            all.Invitations.Add(record, now);
        }).ConfigureAwait(false);
        string id = InvitationRecord.TextOf(token.Id);
        node.Log.Audit(
            AuditAction.InvitationCreated, record.MadeBy, id, null,
            $"The invitation {id}{Purpose(record.Name)} was made by {record.MadeBy}");
        return token;
    }

    /// <summary>Takes an invitation back: when the task is complete it admits nobody any more, who comes by it now included.</summary>
    /// <param name="id">Which.</param>
    /// <param name="by">Who does, for people.</param>
    public async Task RemoveAsync(uint id, string by)
    {
        DateTimeOffset now = node.Time.GetUtcNow();
        (string text, string user) = (InvitationRecord.TextOf(id), LocalUsers.Shown(by));
        string purpose = Purpose(leases.Invitations.Find(id)?.Name ?? string.Empty);
        await ChangeAsync(all => all.Invitations.Remove(id, now)).ConfigureAwait(false);
        node.Log.Audit(AuditAction.InvitationRemoved, user, text, null, $"The invitation {text}{purpose} was removed by {user}");
    }

    private static string Purpose(string name) => name.Length == 0 ? string.Empty : $" ({name})";

    private Task ChangeAsync(Action<Leases> change) => commits.ChangeAsync(new OwnerChange("its invitations", change));
}
