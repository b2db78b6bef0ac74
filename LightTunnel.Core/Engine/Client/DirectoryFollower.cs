using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Keeps the members that a client knows in step with the server's directory: their routes, links, paths and policies. Owned by
/// the control loop.
/// </summary>
internal sealed class DirectoryFollower(
    Node node, ServerConnection server, Members members, MemberLinks links, MemberPaths paths, NetworkPrefixes prefixes,
    PeerPolicies policies, RouteLog routeLog)
{
    private readonly KnownKeys _keys = new();

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
        _keys.Look(page, (member, before) => node.Log.Security(
            SecurityEvent.KeyChanged, member.Addresses[0].ToString(),
            $"The key of {member.Name} ({member.Addresses[0]}) is {member.PublicKey} now, and was {before}: another machine, "
                + "or somebody in between"));
        Take(page);
        return page;
    }

    /// <summary>Lets go of members without a word of the server's.</summary>
    public void Forget(IReadOnlyList<uint> memberIds) =>
        Take(new DirectoryMessage { Revision = members.Revision, Removed = memberIds, Partial = true });

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
