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
    /// <param name="name">What it is for; empty for nothing.</param>
    /// <param name="madeBy">Who makes it, for people.</param>
    /// <param name="expires">When it ends; null for never.</param>
    /// <param name="maxUses">How many may come by it; 0 for any number.</param>
    /// <exception cref="LightTunnelException">Something is out of its bounds.</exception>
    public async Task<InvitationToken> CreateAsync(string name, string madeBy, DateTimeOffset? expires, int maxUses)
    {
        if (name.Length > LongestName)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidName, "The invitation's name is too long.", $"Give one of up to {LongestName} characters.");
        }

        if (maxUses is < 0 or > InvitationRecord.MostUses)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"MaxUses {maxUses} is out of range.",
                $"Give a number from 1 to {InvitationRecord.MostUses}, or none for any number.") { Target = maxUses };
        }

        DateTimeOffset now = node.Time.GetUtcNow();
        InvitationToken token = InvitationToken.Generate(leases.Invitations.NewId());
        var record = new InvitationRecord
        {
            Id = token.Id,
            Digest = token.Digest(),
            Created = now,
            Expires = expires?.ToUniversalTime(),
            MaxUses = maxUses,
            Name = name,
            MadeBy = LocalUsers.Shown(madeBy),
        };
        await commits.ChangeAsync(invitations => invitations.Add(record, now)).ConfigureAwait(false);
        string id = InvitationRecord.TextOf(token.Id);
        node.Log.Audit(
            AuditAction.InvitationCreated, record.MadeBy, id, null, $"The invitation {id}{Purpose(name)} was made by {record.MadeBy}");
        return token;
    }

    /// <summary>Takes an invitation back: when the task is complete it admits nobody any more, who comes by it now included.</summary>
    /// <param name="id">Which.</param>
    /// <param name="by">Who does, for people.</param>
    public async Task RemoveAsync(uint id, string by)
    {
        DateTimeOffset now = node.Time.GetUtcNow();
        await commits.ChangeAsync(invitations => invitations.Remove(id, now)).ConfigureAwait(false);
        (string text, string user) = (InvitationRecord.TextOf(id), LocalUsers.Shown(by));
        string purpose = Purpose(leases.Invitations.Find(id)?.Name ?? string.Empty);
        node.Log.Audit(AuditAction.InvitationRemoved, user, text, null, $"The invitation {text}{purpose} was removed by {user}");
    }

    private static string Purpose(string name) => name.Length == 0 ? string.Empty : $" ({name})";
}
