using System.Collections.Concurrent;
using LightTunnel.Addressing;
using LightTunnel.Engine.Control;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Relaying through members: which paths lead to whom, so that data threads can tell from whence they take and to where they pass on
/// relayed datagrams; and which members are worth asking. The control loop writes, data threads read without a lock.
/// </summary>
internal sealed class MemberRelays(MemberPeers members)
{
    /// <summary>Members that are asked at once to relay to one other.</summary>
    private const int MaximumTried = 3;

    /// <summary>The member at the far end of each direct path that is proven.</summary>
    private readonly ConcurrentDictionary<PathAddress, Peer> _direct = new();
    private readonly Dictionary<Peer, PathAddress[]> _paths = [];
    private readonly ConcurrentDictionary<uint, Peer> _byId = new();
    private readonly Dictionary<Peer, uint> _ids = [];

    /// <summary>Whether this node passes on datagrams of others. Read by data threads.</summary>
    public bool IsRelay
    {
        get => Volatile.Read(ref _isRelay);
        set => Volatile.Write(ref _isRelay, value);
    }

    private bool _isRelay;

    /// <summary>A member's id may be another now; the one before may be somebody else's already.</summary>
    public void SetMember(Peer member)
    {
        if (_ids.TryGetValue(member, out uint before) && before != member.MemberId)
            RemoveMember(member);
        _ids[member] = member.MemberId;
        _byId[member.MemberId] = member;
    }

    /// <summary>The member is gone.</summary>
    public void RemoveMember(Peer member)
    {
        if (_ids.Remove(member, out uint id))
            _byId.TryRemove(new KeyValuePair<uint, Peer>(id, member));
    }

    /// <summary>Paths to the member were proven or lost, or it is gone.</summary>
    public void Update(Peer peer)
    {
        PathAddress[] now = [.. (peer.Traversal?.Paths ?? []).Where(path => path.IsProven && !path.Key.IsRelayed).Select(path => path.Key)];
        foreach (PathAddress gone in _paths.GetValueOrDefault(peer, []).Except(now))
            _direct.TryRemove(new KeyValuePair<PathAddress, Peer>(gone, peer));
        foreach (PathAddress path in now)
            _direct[path] = peer;
        if (now.Length == 0)
            _paths.Remove(peer);
        else
            _paths[peer] = now;
    }

    /// <summary>True when the path leads directly to another member, who may pass on what others send; any thread.</summary>
    public bool IsMember(in PathAddress sender) => _direct.ContainsKey(sender with { RelayedMember = 0 });

    /// <summary>The member that passes on what takes this path, null when it is none.</summary>
    public Peer? RelayOf(in PathAddress path) => path.IsRelayed ? _direct.GetValueOrDefault(path with { RelayedMember = 0 }) : null;

    /// <summary>
    /// Where a datagram goes that came from one member for another: only when this node relays, the sender is who the header says, and
    /// there is a direct path to the receiver. Any thread.
    /// </summary>
    public bool TryFindTarget(in RelayHeader header, in PathAddress sender, out PathAddress destination)
    {
        destination = default;
        if (!IsRelay || header.Source == header.Destination || !_direct.TryGetValue(sender, out Peer? source)
            || _byId.GetValueOrDefault(header.Source) != source)
        {
            return false;
        }
        if (!_byId.TryGetValue(header.Destination, out Peer? target) || target.DirectPath is not { } path)
            return false;
        destination = path.Key;
        return true;
    }

    /// <summary>
    /// Paths to a peer through the nearest members that offer to relay. One that is further away than the server is not troubled, unless
    /// there is no server (null).
    /// </summary>
    public IReadOnlyList<PathAddress> Find(Peer peer, TimeSpan? serverRoundTrip) =>
    [
        .. members.All
            .Where(member => member != peer && member is { DirectPath.RoundTrip: not null, Traversal.PeerWillingToRelay: true }
                && (serverRoundTrip is not { } server || member.DirectPath.RoundTrip < server))
            .OrderBy(member => member.DirectPath!.RoundTrip)
            .Take(MaximumTried)
            .Select(member => member.DirectPath!.Key with { RelayedMember = peer.MemberId }),
    ];
}
