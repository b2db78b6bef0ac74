using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// A client's links with other members, and the path that each takes: nobody else sets them. Which one is best is
/// <see cref="MemberPaths"/>' to say. Owned by the control loop.
/// </summary>
internal sealed class MemberLinks(Node node, ServerConnection server, Members members, PinnedKeys pins, RouteLog routeLog)
{
    private bool _hasWarned;

    /// <summary>A packet waits for a link to the member: makes one, and starts its handshake.</summary>
    public void Want(Member member)
    {
        if (member.Link is null)
        {
            Link link = node.Links.Find(member.Key) ?? node.Links.Add(member.Key, node.NetworkKeys);
            link.Owner = member;
            link.RoamingEnabled = false;
            member.Link = link;
            Renew(member);
        }

        member.Link.RequestHandshake();
    }

    /// <summary>A member's link has (new) keys. Returns the member; null when it is none any more, and the link is gone.</summary>
    public Member? OnUp(Link link)
    {
        if (!members.TryGet(link.Peer, out Member? member))
        {
            node.Links.Remove(link);
            return null;
        }

        if (!pins.Pin(member.Key, member.Name, member.Addresses) && !_hasWarned)
        {
            _hasWarned = true;
            node.Log.Warning(
                "The keys of {Count} members are pinned, as many as can be: of others a change is not noticed", PinnedKeys.MaximumCount);
        }

        if (member.LinkedAt == Timestamp.NotYet)
        {
            member.LinkedAt = node.Now;
            member.Link = link;
            link.RoamingEnabled = false; // Paths are chosen by probes, not by where a packet last came from.
            Renew(member);
            routeLog.NoteChange();
        }

        return member;
    }

    /// <summary>Lets go of the member's link, and of what waits for it.</summary>
    public void Unlink(Member member)
    {
        Node.DropStaged(member);
        if (member.Link is not { } link)
            return;
        member.Link = null;
        member.LinkedAt = Timestamp.NotYet;
        member.Monitor.Reset();
        node.Links.Remove(link);
    }

    /// <summary>Another path was chosen (<see cref="Member.UsedPath"/>): the next packet takes it.</summary>
    public void Use(Member member)
    {
        if (member.Link is { } link)
        {
            PathAddress before = link.Path;
            Renew(member);
            // What was sent by a path that was lost is lost with it; its next turn would be five seconds from now. But two handshakes at
            // once would be one too many: the answer to the first would not fit any more, and the second would be dropped as a flood.
            if (!link.HasSession && member.Staged.Count > 0 && !IsAlive(member, before))
                link.RequestHandshake(force: true);
        }

        member.Updated = node.Time.GetUtcNow();
        member.Monitor.Reset();
        member.Online = member.UsedPath is not null || (member.IsListedOnline && !member.IsForbidden);
        routeLog.NoteChange();
        node.Journal.Note(member);
        // Data takes another path from now on: that one is to be watched as closely as the one before.
        node.Hurry(member);
    }

    /// <summary>The server, or the member's id with it, may have become another.</summary>
    public void Renew(Member member)
    {
        if (member.Link is not { } link)
            return;
        PathAddress path = PathTo(member);
        if (link.Path != path)
            link.Path = path;
        member.Publish();
    }

    /// <summary>The server has become another, or goes and comes.</summary>
    public void RenewAll()
    {
        foreach (Member member in members.All)
            Renew(member);
    }

    private bool IsAlive(Member member, PathAddress path) => path == server.PathTo(member)
        ? server.IsAlive
        : member.Traversal?.Paths.Any(known => known.Key == path && known.IsProven) == true;

    private PathAddress PathTo(Member member) => member.UsedPath is { } used
        ? used.Key
        : member.IsForbidden ? default : server.PathTo(member);
}
