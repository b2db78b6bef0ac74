using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>The part of a client that deals with other members: whom it knows, links with them, and the paths that these take.</summary>
internal sealed partial class ClientRole : IDirectPathsHost
{
    private readonly KnownKeys _keys = new();

    /// <summary>The path policies of single members.</summary>
    public PeerPolicies Policies { get; init; } = PeerPolicies.Forgotten();

    /// <summary>What a member's datagrams may take from now on, also after a restart; null for what the network says. Control loop.</summary>
    public void SetPolicy(Peer peer, PathPolicy? policy)
    {
        Policies.Set(peer.Key, policy);
        peer.Policy = policy;
        _paths.OnPolicyChanged(peer);
    }

    /// <inheritdoc/>
    public bool TryAdmit(in PublicKey initiator, in PathAddress source, out PresharedKey? presharedKey)
    {
        presharedKey = _node.NetworkKey;
        _refusedStranger = !_members.TryGet(initiator, out _admitted);
        _stranger = initiator;
        return !_refusedStranger;
    }

    /// <inheritdoc/>
    public void OnHandshake(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        if (IsSilentTowards(source.Endpoint))
            return; // The answer would end the silence.
        _refusedStranger = false;
        _admitted = null;
        _node.Links.HandleHandshake(datagram, source);

        // The first message under the new keys may carry a packet, and a packet is taken only from a link with an owner.
        if (_admitted is { } peer && _node.Links.Find(peer.Key) is { } link)
            link.Owner = peer;

        // The server passes on what members send only: this one is newer than the directory here, or was never asked for.
        if (_refusedStranger && (_memberSearch.IsNeeded ? _memberSearch.Want(MemberSubject.Of(_stranger)) : source.IsRelayed))
            _held.Hold(datagram, source);
    }

    /// <inheritdoc/>
    public void OnLinkWanted(Peer peer)
    {
        if (peer.Link is null)
        {
            Link link = _node.Links.Find(peer.Key) ?? _node.Links.Add(peer.Key, _node.NetworkKey);
            link.Owner = peer;
            link.RoamingEnabled = false;
            peer.Link = link;
            TakePath(peer, link);
        }

        peer.Link.RequestHandshake();
    }

    /// <summary>Which paths to a member may be used.</summary>
    public PathPolicy PolicyOf(Peer peer) => _paths.PolicyOf(peer);

    /// <inheritdoc/>
    PathCandidate IDirectPathsHost.ServerPath(Peer peer) => new(
        PathKind.Server, new PathAddress(_server.Path.Endpoint, peer.MemberId), Proven: _node.State == TunnelState.Up && peer.IsListedOnline,
        RoundTrip: peer.Monitor.RoundTrip ?? peer.Traversal?.ServerRoundTrip, Loss: peer.Monitor.Loss);

    /// <inheritdoc/>
    TimeSpan? IDirectPathsHost.ServerRoundTrip => _node.State == TunnelState.Up ? _server.Monitor.RoundTrip : null;

    /// <inheritdoc/>
    void IDirectPathsHost.Tell(ControlMessage message)
    {
        if (_server.Session is { Registered: true } session)
            session.Send(message);
        _node.Hurry(_server);
    }

    /// <inheritdoc/>
    void IDirectPathsHost.SendTo(in PathAddress path, ReadOnlySpan<byte> datagram, bool isVouched) => _node.Sender.Datagram(path, datagram, isVouched);

    /// <inheritdoc/>
    void IDirectPathsHost.NoteProven(in PathAddress path) => _node.Unproven.Proven.Add(path.Endpoint);

    /// <inheritdoc/>
    void IDirectPathsHost.Hurry(Peer peer) => _node.Hurry(peer);

    /// <inheritdoc/>
    void IDirectPathsHost.OnPathChanged(Peer peer)
    {
        if (peer.Link is { } link)
        {
            PathAddress before = link.Path;
            TakePath(peer, link);
            // What was sent by a path that was lost is lost with it; its next turn would be five seconds from now. But two handshakes at once would be
            // one too many: the answer to the first would not fit any more, and the second would be dropped as a flood.
            if (!link.HasSession && peer.Staged.Count > 0 && !IsAlive(peer, before))
                link.RequestHandshake(force: true);
        }

        peer.Updated = Time.GetUtcNow();
        peer.Monitor.Reset();
        peer.Online = peer.UsedPath is not null || (peer.IsListedOnline && !peer.IsForbidden);
        _routeLog.NoteChange();
        _node.Journal.Note(peer);
        // Data takes another path from now on: that one is to be watched as closely as the one before.
        _node.Hurry(peer);
    }

    private bool IsAlive(Peer peer, PathAddress path) => path == ServerPathTo(peer)
        ? _node.State == TunnelState.Up && _server.Monitor is { IsProven: true, Misses: 0 }
        : peer.Traversal?.Paths.Any(known => known.Key == path && known.IsProven) == true;

    private PathAddress PathTo(Peer peer) =>
        peer.UsedPath is { } used ? used.Key : peer.IsForbidden ? default : new(_server.Path.Endpoint, peer.MemberId);

    /// <summary>The server, or the peer's id with it, has become another.</summary>
    private void RenewPath(Peer peer)
    {
        if (peer.Link is { } link && link.Path != PathTo(peer))
            TakePath(peer, link);
    }

    private void TakePath(Peer peer, Link link)
    {
        link.Path = PathTo(peer);
        peer.Publish();
    }

    private void OnDirectory(DirectoryMessage told)
    {
        DirectoryMessage page = _prefixes.Filter(told, outside => Log.Security(
            SecurityEvent.PrefixRefused, outside.Name,
            $"The server lists {outside.Name} with {string.Join(", ", outside.Addresses)}, outside of the network: such members are ignored"));
        _keys.Look(page, (member, before) => Log.Security(
            SecurityEvent.KeyChanged, member.Addresses[0].ToString(),
            $"The key of {member.Name} ({member.Addresses[0]}) is {member.PublicKey} now, and was {before}: another machine, or somebody in between"));
        Take(page);
        OnSearched(page);
        foreach ((byte[] datagram, PathAddress source) in _held.TakeAll())
            OnHandshake(datagram, source);
    }

    private void Take(DirectoryMessage page)
    {
        MemberChanges changes = _members.Apply(page, _node.Forwarding, _server.NetworkMtu);
        _node.Forwarding = changes.Routes;
        foreach (Peer gone in changes.Gone)
        {
            _paths.Forget(gone, isGone: true);
            Unlink(gone);
            _node.Journal.NoteGone(gone);
        }

        foreach (Peer told in changes.Told)
        {
            told.Policy = Policies.Of(told.Key);
            _paths.OnMember(told);
            _paths.Choose(told);
            if (!told.IsListedOnline && told.UsedPath is null)
            {
                _paths.Forget(told, isGone: false);
                Node.DropStaged(told);
            }

            // It has left, or the server was started again: which of the two, it must say itself.
            if (!told.IsListedOnline)
                _paths.Doubt(told);
            RenewPath(told);
            _node.Journal.Note(told);
        }

        // It may be another process that knows nothing of this link. Old keys stay in use until there are new ones.
        foreach (Peer returned in changes.Returned)
            returned.Link?.RequestHandshake(force: true);

        _paths.OnDirectory();
        _routeLog.NoteChange();
    }

    private void Unlink(Peer peer)
    {
        Node.DropStaged(peer);
        if (peer.Link is not { } link)
            return;
        peer.Link = null;
        peer.LinkedAt = Timestamp.NotYet;
        peer.Monitor.Reset();
        _node.Links.Remove(link);
    }
}
