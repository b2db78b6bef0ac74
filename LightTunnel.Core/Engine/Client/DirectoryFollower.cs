using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Keeps the members that a client knows in step with the server's directory: their routes, links, paths and policies. Owned by
/// the control loop.
/// </summary>
internal sealed class DirectoryFollower(
    Node node, ServerConnection server, Members members, MemberLinks links, MemberPaths paths, NetworkPrefixes prefixes,
    SignedMembers signed, PinnedKeys pins, PeerPolicies policies, RouteLog routeLog)
{
    /// <summary>
    /// Takes a page that the server sent; what it may not say is left out, and what an admin should know of it is logged.
    /// </summary>
    /// <returns>The page as it was taken.</returns>
    public DirectoryMessage OnPage(DirectoryMessage told)
    {
        DirectoryMessage page = prefixes.Filter(told, outside => node.Log.Security(
            SecurityEvent.PrefixRefused, outside.Name,
            $"The server lists {outside.Name} with {string.Join(", ", outside.Addresses)}, outside of the network: "
                + "such members are ignored"));
        page = signed.Filter(page, Warn);
        page = pins.Filter(page, Warn, signed.Vouches);
        Take(page);
        return page;
    }

    /// <summary>
    /// Lets go of members whose signatures' time is over, and takes those whose signatures had to wait; returns when to call again.
    /// </summary>
    /// <param name="now">The present.</param>
    /// <param name="taken">Called with a page of those that were taken.</param>
    public Timestamp Run(Timestamp now, Action<DirectoryMessage> taken)
    {
        if (signed.TakeChecked(members.Revision, Warn) is { } late)
        {
            late = pins.Filter(late, Warn, signed.Vouches);
            Take(late);
            taken(late);
        }

        IReadOnlyList<uint> ended = signed.End(members, Warn);
        if (ended.Count > 0)
        {
            var page = new DirectoryMessage { Revision = members.Revision, Removed = ended, Partial = true };
            Take(pins.Filter(page, Warn, signed.Vouches));
        }

        Timestamp next = signed.NextTurn(now);
        return signed.UntilEnd is { } time
            ? Timestamp.Earliest(next, now + TimeSpan.FromTicks(Math.Clamp(time.Ticks, 1, TimeSpan.TicksPerDay)))
            : next;
    }

    /// <summary>Takes a member that a person has confirmed; false when there was none of that key to be confirmed.</summary>
    public bool Confirm(in PublicKey key)
    {
        if (pins.Confirm(key) is not { } entry)
            return false;
        node.Log.Security(
            SecurityEvent.KeyConfirmed, key.ToString(),
            $"The key {key} of {entry.Name} ({entry.Addresses[0]}) was confirmed on this machine");
        Take(new DirectoryMessage { Revision = members.Revision, Changed = [entry], Partial = true });
        return true;
    }

    /// <summary>Lets go of members without a word of the server's.</summary>
    public void Forget(IReadOnlyList<uint> memberIds) =>
        Take(new DirectoryMessage { Revision = members.Revision, Removed = memberIds, Partial = true });

    private void Warn(UnsignedMember unsigned)
    {
        DirectoryEntry entry = unsigned.Entry;
        node.Log.Security(
            SecurityEvent.NotSigned, entry.PublicKey.ToString(),
            $"{entry.Name} ({entry.Addresses[0]}) with the key {entry.PublicKey} {unsigned.State.Sentence()}: it is no member here until "
                + $"an admin signs it, after a look at its fingerprint {KeyFingerprint.Of(entry.PublicKey.ToString())}: Confirm-LtMember "
                + $"{entry.Name} -SigningKeyPath");
    }

    private void Warn(WithheldMember changed)
    {
        (DirectoryEntry now, MemberPin before) = (changed.Entry, changed.Before);
        string what = pins.Policy == KeyChangePolicy.Accept
            ? "It is taken, as this machine accepts changed keys"
            : $"It is no member here until its key is confirmed: Confirm-LtMember {now.Name}";
        string change = now.PublicKey == before.Key
            ? $"{now.Name} ({now.Addresses[0]}) with the key {now.PublicKey} is said to be a plain WireGuard client now, whose packets the "
                + "server can read, and was none"
            : $"The key of {now.Name} ({now.Addresses[0]}) is {now.PublicKey} now, and was {before.Key} of {before.Name} "
                + $"({before.Addresses[0]}): another machine, or somebody in between";
        node.Log.Security(SecurityEvent.KeyChanged, now.Addresses[0].ToString(), $"{change}. {what}");
    }

    private void Take(DirectoryMessage page)
    {
        MemberChanges changes = members.Apply(page, node.Forwarding, server.Server.NetworkMtu);
        node.Forwarding = changes.Routes;
        foreach (Member gone in changes.Gone)
        {
            paths.Forget(gone, isGone: true);
            links.Unlink(gone);
            node.Journal.NoteGone(gone);
        }

        foreach (Member told in changes.Told)
        {
            told.Policy = policies.Of(told.Key);
            if (told is { IsPlain: true, Link: not null } or { IsPlain: true, Traversal: not null })
            {
                // It was something else before, of the same key.
                paths.Forget(told, isGone: true);
                links.Unlink(told);
            }

            paths.OnMember(told);
            paths.Choose(told);
            if (!told.IsListedOnline && told.UsedPath is null)
            {
                paths.Forget(told, isGone: false);
                Node.DropStaged(told);
            }

            // It has left, or the server was started again: which of the two, it must say itself.
            if (!told.IsListedOnline)
                paths.Doubt(told);
            links.Renew(told);
            node.Journal.Note(told);
        }

        // It may be another process that knows nothing of this link. Old keys stay in use until there are new ones.
        foreach (Member returned in changes.Returned)
            returned.Link?.RequestHandshake(force: true);

        paths.OnDirectory();
        routeLog.NoteChange();
    }
}
