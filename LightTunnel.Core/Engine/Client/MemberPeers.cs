using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>What a page of the directory changed.</summary>
/// <param name="Routes">Routes to the members, as they are now.</param>
/// <param name="Told">Members that the page told of.</param>
/// <param name="Returned">Those of them that came back: a link that this node still has may be unknown to them.</param>
/// <param name="Gone">Members that are none any more.</param>
internal sealed record MemberChanges(
    ForwardingTable Routes, IReadOnlyList<Peer> Told, IReadOnlyList<Peer> Returned, IReadOnlyList<Peer> Gone);

/// <summary>
/// The other members as peers, one for each key, kept in step with the server's directory. A member is its key: its id and addresses may be
/// others after the server has lost its state, and one's may have become another's. Owned by the control loop.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="server">Who passes on what is sent to them while no other path is used.</param>
/// <param name="owner">Who may change them.</param>
internal sealed class MemberPeers(TimeProvider time, RouteTarget server, ControlThread? owner = null)
{
    private readonly DirectoryView _directory = new();
    private readonly Dictionary<PublicKey, Peer> _peers = [];

    /// <summary>Every member but this node.</summary>
    public IReadOnlyCollection<Peer> All => _peers.Values;

    /// <summary>Number of the last page taken.</summary>
    public ulong Revision => _directory.Revision;

    /// <summary>The member of that key.</summary>
    public bool TryGet(in PublicKey key, [NotNullWhen(true)] out Peer? peer) => _peers.TryGetValue(key, out peer);

    /// <summary>The member of that key, or null.</summary>
    public Peer? Find(in PublicKey key) => _peers.GetValueOrDefault(key);

    /// <summary>The member of that id.</summary>
    public bool TryGet(uint memberId, [NotNullWhen(true)] out Peer? peer)
    {
        peer = null;
        return _directory.TryGet(memberId, out DirectoryEntry? entry) && _peers.TryGetValue(entry.PublicKey, out peer);
    }

    /// <summary>Takes a page of the directory.</summary>
    /// <param name="page">The page.</param>
    /// <param name="routes">Routes as they were.</param>
    /// <param name="mtu">The network's MTU, bytes.</param>
    public MemberChanges Apply(DirectoryMessage page, ForwardingTable routes, int mtu)
    {
        DirectoryChanges changes = _directory.Apply(page);
        var told = new List<Peer>();
        var returned = new List<Peer>();
        var gone = new List<Peer>();
        foreach (DirectoryEntry entry in changes.Removed.Concat(changes.Changed.Select(change => change.Before)))
        {
            // What is gone may be an id only, whose owner has another one now.
            if (_directory.TryGet(entry.PublicKey, out _) || !_peers.Remove(entry.PublicKey, out Peer? peer))
                continue;
            peer.IsListedOnline = peer.Online = false;
            routes = routes.Without(peer.Prefixes, peer);
            gone.Add(peer);
        }

        foreach (DirectoryEntry entry in changes.Added.Concat(changes.Changed.Select(change => change.After)))
        {
            if (!_peers.TryGetValue(entry.PublicKey, out Peer? peer))
            {
                peer = new Peer(entry.PublicKey, time) { Server = server, Owner = owner };
                _peers.Add(entry.PublicKey, peer);
            }

            if (entry.Online && !peer.IsListedOnline)
                returned.Add(peer);
            routes = Update(peer, entry, routes);
            peer.NetworkMtu = mtu;
            told.Add(peer);
        }

        return new MemberChanges(routes, told, returned, gone);
    }

    private ForwardingTable Update(Peer peer, DirectoryEntry entry, ForwardingTable routes)
    {
        TunnelAddress[] addresses = [.. entry.Addresses];
        if (!peer.Addresses.AsSpan().SequenceEqual(addresses))
        {
            routes = routes.Without(peer.Prefixes, peer);
            peer.Addresses = addresses;
            routes = routes.With(peer.Prefixes, peer);
        }

        // A server that was just started again does not know yet who is there; a proven path does.
        bool online = peer.UsedPath is not null || (entry.Online && !peer.IsForbidden);
        if (peer.Online != online)
            peer.Updated = time.GetUtcNow();
        peer.MemberId = entry.MemberId;
        peer.Name = entry.Name;
        peer.Version = entry.SoftwareVersion;
        peer.PreferredSuite = entry.PreferredSuite;
        peer.IsListedOnline = entry.Online;
        peer.Online = online;
        return routes;
    }
}
