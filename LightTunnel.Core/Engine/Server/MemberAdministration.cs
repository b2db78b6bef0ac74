using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// What an admin of the server's machine sees of members, and does to them. What is to last is in the store before anybody is told of it,
/// and is acted upon as it is there, whichever server put it there. Owned by the control loop.
/// </summary>
internal sealed class MemberAdministration(Node node, ServerOptions options, Leases leases, Admission admission, ClientRoster roster)
{
    private TunnelLog Log => node.Log;

    /// <summary>Every member, every key that is kept out, and every machine that asks to be one, by address and name.</summary>
    public IReadOnlyList<MemberStatus> List()
    {
        IEnumerable<MemberStatus> members = leases.All
            .OrderBy(lease => lease.Addresses.Count == 0 ? default : lease.Addresses[0])
            .Select(Describe);
        IEnumerable<MemberStatus> others = leases.Blocked.All.Where(blocked => leases.ByKey(blocked.Key) is null)
            .OrderBy(blocked => blocked.Value.Name, StringComparer.OrdinalIgnoreCase)
            .Select(blocked => Describe(blocked.Key, blocked.Value));
        IEnumerable<MemberStatus> applicants = leases.Applicants.All.Where(applicant => !leases.Blocked.Contains(applicant.PublicKey))
            .OrderBy(applicant => applicant.Denied is not null).ThenBy(applicant => applicant.Since)
            .Select(Describe);
        return [.. members, .. others, .. applicants];
    }

    /// <summary>Makes a change; the task completes when it lasts and is acted upon.</summary>
    /// <exception cref="LightTunnelException">There is no such member, or the store takes nothing.</exception>
    public Task ChangeAsync(MemberChange change)
    {
        if (!PublicKey.TryParse(change.PublicKey, out PublicKey key)
            || (leases.ByKey(key) is null && !leases.Blocked.Contains(key) && leases.Applicants.Find(key) is null))
        {
            throw Gone(change.PublicKey);
        }

        switch (change.Kind)
        {
            case MemberChangeKind.Block when leases.Blocked.Contains(key):
            case MemberChangeKind.Unblock when !leases.Blocked.Contains(key):
                return Task.CompletedTask;
            case MemberChangeKind.Block:
                return BlockAsync(key, change.By);
            case MemberChangeKind.Unblock:
                return UnblockAsync(key, change.By);
            case MemberChangeKind.Set:
                return SetAsync(key, change);
            case MemberChangeKind.Approve:
                return ApproveAsync(key, change.By);
            case MemberChangeKind.Deny:
                return DenyAsync(key, change.By);
            case MemberChangeKind.Remove when leases.ByKey(key) is null && leases.Applicants.Find(key) is { } applicant:
                return ForgetAsync(applicant, change.By);
            default:
                return RemoveAsync(key, change.By);
        }
    }

    /// <summary>Makes a plain WireGuard client a member; the task completes when it lasts and its handshakes are awaited.</summary>
    /// <param name="key">Its public key.</param>
    /// <param name="name">Its name.</param>
    /// <param name="addresses">The addresses that it is to have; any where none is named.</param>
    /// <param name="by">The user who makes it, for the log.</param>
    /// <exception cref="LightTunnelException">Name, key or address are another's, or it cannot be saved.</exception>
    public async Task<Lease> MakePlainAsync(PublicKey key, string name, IReadOnlyList<TunnelAddress> addresses, string by)
    {
        if (key == node.Links.PublicKey)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"The key {key} is the server's own.", "Give the public key of the client.")
                {
                    Target = name,
                };
        }

        var request = new PlainClientRequest(key, name, addresses);
        Lease? made = null;
        bool isNew = leases.ByKey(key) is null;
        await ChangeAsync(key, Make, Begin).ConfigureAwait(false);
        return made ?? throw Gone(key.ToString());

        void Make(Leases now)
        {
            if (request.Acquire(now, node.Time.GetUtcNow()) is { } evicted)
                roster.Forget(evicted, "its address is needed");
            if (isNew)
                now.NoteKey(key, node.NetworkKeys.Number);
        }

        void Begin()
        {
            made = leases.ByKey(key);
            if (made is null)
                return; // Another server has ended it in the meantime.
            roster.Remember(made);
            if (isNew)
                Tell(AuditAction.Added, name, made, key, by, "was made a member with plain WireGuard");
            else
                Tell(AuditAction.ConfigurationRenewed, name, made, key, by, "was given its configuration for plain WireGuard anew");
        }
    }

    /// <summary>Acts upon what the store says newly of keys that are kept out.</summary>
    public void Enforce()
    {
        while (leases.Blocked.TryTakeNews(out PublicKey key))
        {
            if (leases.Blocked.Contains(key))
                roster.Block(key);
            else
                roster.Unblock(key);
        }
    }

    private Task BlockAsync(PublicKey key, string by)
    {
        Lease? lease = leases.ByKey(key);
        string name = lease?.Name ?? leases.Applicants.Find(key)!.Name;
        if (leases.Blocked.All.Count >= BlockedKeys.MaximumCount)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption,
                $"'{options.Name}' keeps {BlockedKeys.MaximumCount:N0} keys out already, as many as it can.",
                "Lift blocks of members that are long gone (Get-LtMember -State Blocked), or give the network another key.")
                {
                    Target = name,
                };
        }

        var block = new Block { Name = name, Since = node.Time.GetUtcNow(), By = by };
        return CommitAsync(
            new StoreWrite(StoreKeys.Block(key), CborRecord.Encode(block)), "blocked", name,
            () => Tell(AuditAction.Blocked, name, lease, key, by, "was blocked"));
    }

    private Task ApproveAsync(PublicKey key, string by)
    {
        if (leases.ByKey(key) is not null)
            return Task.CompletedTask;
        Lease? evicted = null;
        return ChangeAsync(
            key, now => now.Approve(key, node.Time.GetUtcNow(), out evicted),
            () =>
            {
                if (evicted is not null)
                    roster.Forget(evicted, "its address is needed");
                if (leases.ByKey(key) is { } lease)
                    Tell(AuditAction.Approved, lease.Name, lease, key, by, "was approved");
            });
    }

    /// <summary>A machine that asked, or was denied, may ask as if it never had.</summary>
    private Task ForgetAsync(Applicant applicant, string by) => ChangeAsync(
        applicant.PublicKey, now => now.Applicants.Remove(applicant.PublicKey),
        () =>
        {
            roster.AskAnew(applicant.PublicKey);
            Tell(AuditAction.Removed, applicant.Name, null, applicant.PublicKey, by, "was removed from those who ask to become members");
        });

    private Task DenyAsync(PublicKey key, string by)
    {
        if (leases.ByKey(key) is { } member)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"'{member.Name}' is a member already.",
                "Block-LtMember keeps a member out, Remove-LtMember ends its membership.") { Target = member.Name };
        }

        Applicant applicant = leases.Applicants.Find(key) ?? throw Applicants.Missing(key);
        return ChangeAsync(
            key, now => now.Applicants.Deny(key, node.Time.GetUtcNow()),
            () =>
            {
                roster.AskAnew(key);
                Tell(AuditAction.Denied, applicant.Name, null, key, by, "was denied");
            });
    }

    private Task UnblockAsync(PublicKey key, string by)
    {
        Lease? lease = leases.ByKey(key);
        string name = lease?.Name ?? leases.Blocked.Find(key)!.Name;
        return CommitAsync(
            new StoreWrite(StoreKeys.Block(key), null), "unblocked", name,
            () => Tell(AuditAction.Unblocked, name, lease, key, by, "was unblocked"));
    }

    private Task SetAsync(PublicKey key, MemberChange change)
    {
        Lease before = leases.ByKey(key) ?? throw Gone(change.PublicKey);
        var settings = new MemberSettings
        {
            Name = change.Name,
            Addresses = change.Addresses is { } addresses ? [.. addresses.Select(SettingValues.ClientAddress)] : null,
            Groups = change.Groups is { } groups ? GroupName.Read(groups) : null,
            ExpiresIn = change.ExpiresIn,
            ApproveRoutes = [.. (change.ApproveRoutes ?? []).Select(RouteSettings.Network)],
            DenyRoutes = [.. (change.DenyRoutes ?? []).Select(RouteSettings.Network)],
        };
        _ = settings.Apply(leases, before, node.Time.GetUtcNow()); // What is wrong now is said now.
        return ChangeAsync(key, now => now.Set(key, settings, node.Time.GetUtcNow()), () =>
            {
                admission.Expiry.Look(key);
                TellOfSettings(before, settings, change.By);
            });
    }

    private Task ChangeAsync(in PublicKey key, Action<Leases> change, Action done)
    {
        Task changed = admission.ChangeAsync(new OwnerChange("its members", change, key, done));
        node.Wake();
        return changed;
    }

    private void TellOfSettings(Lease before, MemberSettings settings, string by)
    {
        if (settings.Name is { } name && name != before.Name)
            Tell(AuditAction.Renamed, before.Name, before, before.PublicKey, by, $"was renamed to {name}");
        if (settings.Addresses is { } addresses)
            Tell(AuditAction.AddressChanged, before.Name, before, before.PublicKey, by, $"was given {string.Join(", ", addresses)}");
        if (settings.ExpiresIn is { } time)
            TellOfEnd(before, time, by);
        TellOfRoutes(before, AuditAction.RouteApproved, settings.ApproveRoutes, "was approved to have", by);
        TellOfRoutes(before, AuditAction.RouteDenied, settings.DenyRoutes, "was denied to have", by);
        if (settings.Groups is { } groups)
        {
            Tell(
                AuditAction.GroupsChanged, before.Name, before, before.PublicKey, by,
                groups.Count == 0 ? "was taken out of all groups" : $"was put into {string.Join(", ", groups)}");
        }
    }

    private void TellOfRoutes(Lease before, AuditAction action, IReadOnlyList<IpPrefix> routes, string what, string by)
    {
        if (routes.Count > 0)
            Tell(action, before.Name, before, before.PublicKey, by, $"{what} {string.Join(", ", routes)} behind it");
    }

    private void TellOfEnd(Lease before, TimeSpan time, string by) => Tell(
        AuditAction.ExpiryChanged, before.Name, before, before.PublicKey, by,
        time == TimeSpan.Zero ? "has no end of its own any more, as was said" : $"is a member for {time:c} from now on, as was said");

    /// <summary>A member's name and addresses are free from now on, and its key is a newcomer's if it comes again.</summary>
    private Task RemoveAsync(PublicKey key, string by)
    {
        Lease? removed = null;
        return ChangeAsync(
            key, now =>
            {
                removed = now.ByKey(key);
                now.Remove(key);
            },
            () =>
            {
                if (removed is null)
                    return; // Another server has ended it in the meantime.
                roster.Remove(removed);
                Tell(AuditAction.Removed, removed.Name, removed, key, by, "was removed");
            });
    }

    private LightTunnelException Gone(string key) => new(
        LightTunnelError.NotFound, $"No member of '{options.Name}' has the key {key} any more.",
        "Get-LtMember shows the members that there are.") { Target = key };

    private Task CommitAsync(StoreWrite write, string done, string name, Action tell)
    {
        var committed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        admission.Commit(new HeldChange(write, failure =>
        {
            if (failure is not null)
            {
                committed.TrySetException(new LightTunnelException(
                    LightTunnelError.FileAccess, $"'{name}' is not {done}, as that cannot be saved: {failure}",
                    "See that the server's state folder can be written and its disk has room, then try again.") { Target = name });
                return;
            }

            Enforce();
            tell();
            committed.TrySetResult();
        }));
        node.Wake();
        return committed.Task;
    }

    private void Tell(AuditAction action, string name, Lease? lease, in PublicKey key, string by, string what)
    {
        string addresses = lease is null ? string.Empty : $" ({string.Join(", ", lease.Addresses)})";
        string user = LocalUsers.Shown(by);
        Log.Audit(action, user, name, key.ToString(), $"{name}{addresses} with the key {key} {what} on this machine by {user}");
    }

    private MemberStatus Describe(Lease lease)
    {
        ServedClient? peer = roster.Find(MemberSubject.Of(lease.PublicKey));
        bool isOnline = peer is { Online: true };
        Block? block = leases.Blocked.Find(lease.PublicKey);
        return new MemberStatus
        {
            Tunnel = options.Name,
            Name = lease.Name,
            Addresses = [.. lease.Addresses.Select(address => address.ToIPAddress())],
            PublicKey = lease.PublicKey.ToString(),
            IsPlain = lease.IsPlain,
            State = block is not null ? MemberState.Blocked
                : leases.IsOver(lease, node.Time.GetUtcNow()) ? MemberState.Expired : isOnline ? MemberState.Online : MemberState.Offline,
            Groups = lease.Groups,
            Invitation = lease.Invitation == 0 ? null : InvitationRecord.TextOf(lease.Invitation),
            IsEphemeral = lease.IsEphemeral,
            Expires = leases.EndOf(lease),
            FirstSeen = lease.Created,
            LastSeen = isOnline ? node.Time.GetUtcNow() : lease.LastSeen,
            Version = Told(peer?.Version),
            System = Told(peer?.System),
            EnforcesRules = peer?.KnowsRules,
            HasNetworkKey = lease.KeyNumber == node.NetworkKeys.Number,
            SignatureText = lease.Signature?.ToString(),
            SignedUntil = lease.Signature is { IsKnown: true } signature ? signature.Expires : null,
            Endpoint = isOnline && peer!.Endpoint.IsSpecified ? peer.Endpoint.ToIPEndPoint() : null,
            BlockedSince = block?.Since,
            BlockedBy = Told(block?.By),
        };
    }

    private MemberStatus Describe(PublicKey key, Block block) => new()
    {
        Tunnel = options.Name,
        Name = block.Name,
        Addresses = [],
        PublicKey = key.ToString(),
        State = MemberState.Blocked,
        BlockedSince = block.Since,
        BlockedBy = Told(block.By),
    };

    private MemberStatus Describe(Applicant applicant) => new()
    {
        Tunnel = options.Name,
        Name = applicant.Name,
        Addresses = [],
        PublicKey = applicant.PublicKey.ToString(),
        State = applicant.Denied is null ? MemberState.Pending : MemberState.Denied,
        Invitation = applicant.Invitation == 0 ? null : InvitationRecord.TextOf(applicant.Invitation),
        FirstSeen = applicant.Since,
        Version = Told(applicant.Version),
        System = Told(applicant.System),
        Endpoint = applicant.Endpoint.IsSpecified ? applicant.Endpoint.ToIPEndPoint() : null,
    };

    private static string? Told(string? text) => string.IsNullOrEmpty(text) ? null : text;
}
