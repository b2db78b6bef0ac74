using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// A client's links with other members, and the path that each takes: nobody else sets them. Which one is best is
/// <see cref="MemberPaths"/>' to say. Owned by the control loop.
/// </summary>
internal sealed class MemberLinks(Node node, ServerConnection server, MemberPeers members, RouteLog routeLog)
{
    /// <summary>A packet waits for a link to the member: makes one, and starts its handshake.</summary>
    public void Want(Peer peer)
    {
        if (peer.Link is null)
        {
            Link link = node.Links.Find(peer.Key) ?? node.Links.Add(peer.Key, node.NetworkKey);
            link.Owner = peer;
            link.RoamingEnabled = false;
            peer.Link = link;
            Renew(peer);
        }

        peer.Link.RequestHandshake();
    }

    /// <summary>A member's link has (new) keys. Returns the member; null when it is none any more, and the link is gone.</summary>
    public Peer? OnUp(Link link)
    {
        if (!members.TryGet(link.Peer, out Peer? peer))
        {
            node.Links.Remove(link);
            return null;
        }

        if (peer.LinkedAt == Timestamp.NotYet)
        {
            peer.LinkedAt = node.Now;
            peer.Link = link;
            link.RoamingEnabled = false; // Paths are chosen by probes, not by where a packet last came from.
            Renew(peer);
            routeLog.NoteChange();
        }

        return peer;
    }

    /// <summary>Lets go of the member's link, and of what waits for it.</summary>
    public void Unlink(Peer peer)
    {
        Node.DropStaged(peer);
        if (peer.Link is not { } link)
            return;
        peer.Link = null;
        peer.LinkedAt = Timestamp.NotYet;
        peer.Monitor.Reset();
        node.Links.Remove(link);
    }

    /// <summary>Another path was chosen (<see cref="Peer.UsedPath"/>): the next packet takes it.</summary>
    public void Use(Peer peer)
    {
        if (peer.Link is { } link)
        {
            PathAddress before = link.Path;
            Renew(peer);
            // What was sent by a path that was lost is lost with it; its next turn would be five seconds from now. But two handshakes at
            // once would be one too many: the answer to the first would not fit any more, and the second would be dropped as a flood.
            if (!link.HasSession && peer.Staged.Count > 0 && !IsAlive(peer, before))
                link.RequestHandshake(force: true);
        }

        peer.Updated = node.Time.GetUtcNow();
        peer.Monitor.Reset();
        peer.Online = peer.UsedPath is not null || (peer.IsListedOnline && !peer.IsForbidden);
        routeLog.NoteChange();
        node.Journal.Note(peer);
        // Data takes another path from now on: that one is to be watched as closely as the one before.
        node.Hurry(peer);
    }

    /// <summary>The server, or the member's id with it, may have become another.</summary>
    public void Renew(Peer peer)
    {
        if (peer.Link is not { } link)
            return;
        PathAddress path = PathTo(peer);
        if (link.Path != path)
            link.Path = path;
        peer.Publish();
    }

    /// <summary>The server has become another, or goes and comes.</summary>
    public void RenewAll()
    {
        foreach (Peer peer in members.All)
            Renew(peer);
    }

    private bool IsAlive(Peer peer, PathAddress path) => path == server.PathTo(peer)
        ? server.IsAlive
        : peer.Traversal?.Paths.Any(known => known.Key == path && known.IsProven) == true;

    private PathAddress PathTo(Peer peer) => peer.UsedPath is { } used ? used.Key : peer.IsForbidden ? default : server.PathTo(peer);
}
