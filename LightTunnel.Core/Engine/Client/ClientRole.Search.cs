using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Client;

/// <summary>
/// The part of a client that, in a large network, knows those members only that it deals with ("Large networks" in docs/members.md).
/// </summary>
internal sealed partial class ClientRole
{
    /// <summary>Long after the last keys of a link have ended, at both ends alike, so that nothing is sent to who does not know its sender any more.</summary>
    private static readonly TimeSpan ForgetAfter = TimeSpan.FromMinutes(15);

    private static readonly TimeSpan ForgetInterval = TimeSpan.FromMinutes(1);

    private readonly MemberSearch _memberSearch;
    private readonly MemberLists _lists;
    private IReadOnlyList<IpPrefix> _searched = [];
    private Timestamp _nextForget = Timestamp.Never;

    /// <summary>True when there are members that this node does not know.</summary>
    public bool KnowsFew => _memberSearch.IsNeeded;

    /// <summary>Completes when the server has told who has an address or a key, or that nobody has; control loop.</summary>
    public Task MeetAsync(MemberSubject subject)
    {
        Peer? known = subject.Key is { } key ? _members.Find(key) : _node.Forwarding.TryFind(subject.Address!.Value, out RouteTarget? target) ? target as Peer : null;
        if (known is null)
            return _memberSearch.WaitAsync(subject);
        known.WantedAt = _node.Now;
        return Task.CompletedTask;
    }

    /// <summary>Members whose names match a pattern, as the server knows them; control loop.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">The server does not answer.</exception>
    public Task<IReadOnlyList<DirectoryEntry>> ListAsync(string pattern) => _lists.AskAsync(pattern, _node.Now);

    /// <inheritdoc/>
    public void OnPacketForUnknown(RouteTarget target, ReadOnlySpan<byte> packet)
    {
        if (!IpPacket.TryParse(packet, out IpPacketInfo info) || !TryHold(info.Destination, packet))
            _memberSearch.Everybody.ReleaseStaged();
    }

    private bool TryHold(TunnelAddress destination, ReadOnlySpan<byte> packet)
    {
        // The prefix contains these, too.
        if (_node.Forwarding.IsOwn(destination) || _node.Forwarding.IsMulticastOrBroadcast(destination))
            return false;
        if (!_node.Forwarding.TryFind(destination, out RouteTarget? known) || known == _memberSearch.Everybody)
            return _memberSearch.Hold(destination, packet.ToArray());
        Restage(known as Peer, packet);
        return true;
    }

    /// <summary>A packet that waited for an answer is on its way like any other.</summary>
    private void Restage(Peer? peer, ReadOnlySpan<byte> packet)
    {
        _memberSearch.Everybody.ReleaseStaged();
        if (peer is { Online: true } && peer.TryReserveStaged())
            _node.Stage(peer, packet);
    }

    /// <summary>After a page: routes for who is not known, and what to ask for.</summary>
    private void OnSearched(DirectoryMessage page)
    {
        bool isNeeded = page.Partial || (!page.Start && _memberSearch.IsNeeded);
        if (isNeeded != _memberSearch.IsNeeded)
        {
            _memberSearch.IsNeeded = isNeeded;
            _nextForget = isNeeded ? _node.Now + ForgetInterval : Timestamp.Never;
            PublishSearch();
        }

        foreach (DirectoryEntry entry in page.Changed)
        {
            foreach (byte[] packet in _memberSearch.OnFound(entry))
                Restage(_members.TryGet(entry.PublicKey, out Peer? found) ? found : null, packet);
        }

        foreach (MemberSubject subject in page.Unknown)
            OnUnknown(subject);
        if (!page.Start || !isNeeded)
            return;

        // The server has begun a new conversation, and knows nothing of questions before.
        _memberSearch.AskAgain();
        foreach (Peer peer in _members.All)
            _memberSearch.Want(MemberSubject.Of(peer.Key));
    }

    private void OnUnknown(MemberSubject subject)
    {
        foreach (byte[] packet in _memberSearch.OnUnknown(subject, _node.Now))
            Restage(null, packet);
        if (subject.Key is { } key && _members.TryGet(key, out Peer? gone))
            Take(new DirectoryMessage { Revision = _members.Revision, Removed = [gone.MemberId], Partial = true });
        // The data thread refuses what is sent there meanwhile.
        if (subject.Address is { } address && _memberSearch.IsUnknown(subject) && _node.Forwarding.TryFind(address, out RouteTarget? target) && target == _memberSearch.Everybody)
            _node.Forwarding = _node.Forwarding.With([IpPrefix.Host(address)], _memberSearch.Nobody);
    }

    /// <summary>Routes to the network's prefixes, for addresses that are nobody's whom this node knows.</summary>
    private void PublishSearch()
    {
        int mtu = _server.NetworkMtu;
        _memberSearch.Everybody.Route = new PeerRoute { NextHop = NextHop.Link, Verdict = RouteVerdict.Ask, Mtu = mtu, NetworkMtu = mtu };
        _node.Forwarding = _node.Forwarding.Without(_searched, _memberSearch.Everybody);
        _searched = _memberSearch.IsNeeded ? [.. _node.Forwarding.OwnAddresses.Select(own => own.Prefix)] : [];
        _node.Forwarding = _node.Forwarding.With(_searched, _memberSearch.Everybody);
    }

    private Timestamp RunSearch(Timestamp now)
    {
        while (_memberSearch.TryTakeForgotten(now, out MemberSubject subject))
        {
            if (subject.Address is { } address)
                _node.Forwarding = _node.Forwarding.Without([IpPrefix.Host(address)], _memberSearch.Nobody);
        }

        while (_memberSearch.TryTakeLate(now, out IEnumerable<byte[]>? packets))
        {
            foreach (byte[] packet in packets)
                Restage(null, packet);
        }

        if (_server.Session is not { Registered: true } session)
            return Timestamp.Earliest(_memberSearch.Deadline(isAsking: false), _lists.RunTimers(now, session: null));
        while (_memberSearch.TryAsk(now, out FindMessage? question))
            session.Send(question);
        if (now >= _nextForget)
            ForgetIdle(now, session);
        _node.Schedule(_server, session.RunTimers(now));
        return Timestamp.Earliest(_memberSearch.Deadline(isAsking: true), _nextForget, _lists.RunTimers(now, session));
    }

    /// <summary>Lets go of members that this node has had nothing to do with for a while.</summary>
    private void ForgetIdle(Timestamp now, ControlSession session)
    {
        _nextForget = now + ForgetInterval;
        uint[] idle =
        [
            .. _members.All
                .Where(peer => now - Timestamp.Latest(peer.LastTraffic, peer.WantedAt) > ForgetAfter)
                .Select(peer => peer.MemberId)
                .Take(ForgetMessage.MaximumMembers),
        ];
        if (idle.Length == 0)
            return;
        session.Send(new ForgetMessage { Revision = _members.Revision, Members = idle });
        Take(new DirectoryMessage { Revision = _members.Revision, Removed = idle, Partial = true });
    }
}
