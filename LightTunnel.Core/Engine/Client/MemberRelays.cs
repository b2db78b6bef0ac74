using System.Collections.Concurrent;
using LightTunnel.Addressing;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Relaying through members: which paths lead to whom, so that data threads can tell from whence they take and to where they pass on
/// relayed datagrams; and which members are worth asking. The control loop writes, data threads read without a lock.
/// </summary>
internal sealed class MemberRelays(Members members)
{
    /// <summary>Members that are asked at once to relay to one other.</summary>
    private const int MaximumTried = 3;

    /// <summary>The member at the far end of each direct path that is proven.</summary>
    private readonly ConcurrentDictionary<PathAddress, Member> _direct = new();
    private readonly Dictionary<Member, PathAddress[]> _paths = [];
    private readonly ConcurrentDictionary<uint, Member> _byId = new();
    private readonly Dictionary<Member, uint> _ids = [];

    /// <summary>Whether this node passes on datagrams of others. Read by data threads.</summary>
    public bool IsRelay
    {
        get => Volatile.Read(ref _isRelay);
        set => Volatile.Write(ref _isRelay, value);
    }

    private bool _isRelay;

    /// <summary>A member's id may be another now; the one before may be somebody else's already.</summary>
    public void SetMember(Member member)
    {
        if (_ids.TryGetValue(member, out uint before) && before != member.MemberId)
            RemoveMember(member);
        _ids[member] = member.MemberId;
        _byId[member.MemberId] = member;
    }

    /// <summary>The member is gone.</summary>
    public void RemoveMember(Member member)
    {
        if (_ids.Remove(member, out uint id))
            _byId.TryRemove(new KeyValuePair<uint, Member>(id, member));
    }

    /// <summary>Paths to the member were proven or lost, or it is gone.</summary>
    public void Update(Member member)
    {
        PathAddress[] now =
        [
            .. (member.Traversal?.Paths ?? []).Where(path => path.IsProven && !path.Key.IsRelayed).Select(path => path.Key),
        ];
        foreach (PathAddress gone in _paths.GetValueOrDefault(member, []).Except(now))
            _direct.TryRemove(new KeyValuePair<PathAddress, Member>(gone, member));
        foreach (PathAddress path in now)
            _direct[path] = member;
        if (now.Length == 0)
            _paths.Remove(member);
        else
            _paths[member] = now;
    }

    /// <summary>True when the path leads directly to another member, who may pass on what others send; any thread.</summary>
    public bool IsMember(in PathAddress sender) => _direct.ContainsKey(sender with { RelayedMember = 0 });

    /// <summary>The member that passes on what takes this path, null when it is none.</summary>
    public Member? RelayOf(in PathAddress path) => path.IsRelayed ? _direct.GetValueOrDefault(path with { RelayedMember = 0 }) : null;

    /// <summary>
    /// Where a datagram goes that came from one member for another: only when this node relays, the sender is who the header says, and
    /// there is a direct path to the receiver. Any thread.
    /// </summary>
    public bool TryFindTarget(in RelayHeader header, in PathAddress sender, out PathAddress destination)
    {
        destination = default;
        if (!IsRelay || header.Source == header.Destination || !_direct.TryGetValue(sender, out Member? source)
            || _byId.GetValueOrDefault(header.Source) != source)
        {
            return false;
        }
        if (!_byId.TryGetValue(header.Destination, out Member? target) || target.DirectPath is not { } path)
            return false;
        destination = path.Key;
        return true;
    }

    /// <summary>
    /// Paths to a member through the nearest members that offer to relay. One that is further away than the server is not troubled, unless
    /// there is no server (null).
    /// </summary>
    public IReadOnlyList<PathAddress> Find(Member member, TimeSpan? serverRoundTrip) =>
    [
        .. members.All
            .Where(each => each != member && each is { DirectPath.RoundTrip: not null, Traversal.PeerWillingToRelay: true }
                && (serverRoundTrip is not { } server || each.DirectPath.RoundTrip < server))
            .OrderBy(each => each.DirectPath!.RoundTrip)
            .Take(MaximumTried)
            .Select(each => each.DirectPath!.Key with { RelayedMember = member.MemberId }),
    ];
}
