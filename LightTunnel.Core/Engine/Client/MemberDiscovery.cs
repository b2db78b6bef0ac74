using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// In a large network a client knows those members only that it deals with ("Large networks" in docs/members.md): it asks the server for
/// whom packets and people want to reach, and forgets whom it has had nothing to do with for a while. Owned by the control loop.
/// </summary>
internal sealed class MemberDiscovery(Node node, ServerConnection server, Members members, DirectoryFollower directory)
{
    /// <summary>
    /// Long after the last keys of a link have ended, at both ends alike, so that nothing is sent to who does not know its sender any more.
    /// </summary>
    private static readonly TimeSpan ForgetAfter = TimeSpan.FromMinutes(15);

    private static readonly TimeSpan ForgetInterval = TimeSpan.FromMinutes(1);

    private readonly MemberSearch _search = new(node.Time);
    private readonly MemberLists _lists = new();
    private IReadOnlyList<IpPrefix> _searched = [];
    private Timestamp _nextForget = Timestamp.Never;

    /// <summary>True when there are members that this node does not know.</summary>
    public bool KnowsFew => _search.IsNeeded;

    /// <summary>Wants to know the member of a key; false when that is in vain for now.</summary>
    public bool Want(in PublicKey key) => _search.Want(MemberSubject.Of(key));

    /// <summary>Completes when the server has told who has an address or a key, or that nobody has; control loop.</summary>
    public Task MeetAsync(MemberSubject subject)
    {
        Member? known = subject.Key is { } key
            ? members.Find(key)
            : node.Forwarding.TryFind(subject.Address!.Value, out RouteTarget? target) ? target as Member : null;
        if (known is null)
            return _search.WaitAsync(subject);
        known.WantedAt = node.Now;
        return Task.CompletedTask;
    }

    /// <summary>Members whose names match a pattern, as the server knows them; control loop.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">The server does not answer.</exception>
    public Task<IReadOnlyList<DirectoryEntry>> ListAsync(string pattern) => _lists.AskAsync(pattern, node.Now);

    /// <summary>A packet is for somebody whom this node does not know.</summary>
    public void OnPacket(ReadOnlySpan<byte> packet)
    {
        if (!IpPacket.TryParse(packet, out IpPacketInfo info) || !TryHold(info.Destination, packet))
            _search.Everybody.ReleaseStaged();
    }

    /// <summary>The server passes on a packet of a plain WireGuard client that this node does not know: the next one is taken.</summary>
    public void OnPacketFrom(ReadOnlySpan<byte> packet)
    {
        if (IpPacket.TryReadSource(packet, out TunnelAddress source))
            _search.Want(MemberSubject.Of(source));
    }

    /// <summary>A part of an answer to <see cref="ListAsync"/>.</summary>
    public void OnListing(ListingMessage listing) => _lists.OnListing(listing, node.Now);

    /// <summary>The server has begun a new conversation: the network's prefixes may be others, and what was asked is asked again.</summary>
    public void OnRegistered()
    {
        Publish();
        _lists.AskAgain();
    }

    private bool TryHold(TunnelAddress destination, ReadOnlySpan<byte> packet)
    {
        // The prefix contains these, too.
        if (node.Forwarding.IsOwn(destination) || node.Forwarding.IsMulticastOrBroadcast(destination))
            return false;
        if (!node.Forwarding.TryFind(destination, out RouteTarget? known) || known == _search.Everybody)
            return _search.Hold(destination, packet.ToArray());
        Restage(known as Member, packet);
        return true;
    }

    /// <summary>A packet that waited for an answer is on its way like any other.</summary>
    private void Restage(Member? member, ReadOnlySpan<byte> packet)
    {
        _search.Everybody.ReleaseStaged();
        Peer? by = member is { IsPlain: true } ? server.Server : member;
        if (member is { Online: true } && node.MayPass(member, packet) && by!.TryReserveStaged())
            node.Stage(by, packet);
    }

    /// <summary>After a page: routes for who is not known, and what to ask for.</summary>
    public void OnPage(DirectoryMessage page)
    {
        bool isNeeded = page.Partial || (!page.Start && _search.IsNeeded);
        if (isNeeded != _search.IsNeeded)
        {
            _search.IsNeeded = isNeeded;
            _nextForget = isNeeded ? node.Now + ForgetInterval : Timestamp.Never;
            Publish();
        }

        foreach (DirectoryEntry entry in page.Changed)
        {
            foreach (byte[] packet in _search.OnFound(entry))
                Restage(members.TryGet(entry.PublicKey, out Member? found) ? found : null, packet);
        }

        foreach (MemberSubject subject in page.Unknown)
            OnUnknown(subject);
        if (!page.Start || !isNeeded)
            return;

        // The server has begun a new conversation, and knows nothing of questions before.
        _search.AskAgain();
        foreach (Member member in members.All)
            _search.Want(MemberSubject.Of(member.Key));
    }

    private void OnUnknown(MemberSubject subject)
    {
        foreach (byte[] packet in _search.OnUnknown(subject, node.Now))
            Restage(null, packet);
        if (subject.Key is { } key && members.TryGet(key, out Member? gone))
            directory.Forget([gone.MemberId]);
        // The data thread refuses what is sent there meanwhile.
        if (subject.Address is { } address && _search.IsUnknown(subject) && node.Forwarding.TryFind(address, out RouteTarget? target)
            && target == _search.Everybody)
        {
            node.Forwarding = node.Forwarding.With([IpPrefix.Host(address)], _search.Nobody);
        }
    }

    /// <summary>Routes to the network's prefixes, for addresses that are nobody's whom this node knows.</summary>
    private void Publish()
    {
        int mtu = server.Server.NetworkMtu;
        _search.Everybody.Route = new PeerRoute
        {
            NextHop = NextHop.Link, Verdict = RouteVerdict.Ask, Mtu = mtu, NetworkMtu = mtu, Carrier = server.Server,
        };
        node.Forwarding = node.Forwarding.Without(_searched, _search.Everybody);
        _searched = _search.IsNeeded ? [.. node.Forwarding.OwnAddresses.Select(own => own.Prefix)] : [];
        node.Forwarding = node.Forwarding.With(_searched, _search.Everybody);
    }

    /// <summary>Asks, and ends what was waited for long enough; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        while (_search.TryTakeForgotten(now, out MemberSubject subject))
        {
            if (subject.Address is { } address)
                node.Forwarding = node.Forwarding.Without([IpPrefix.Host(address)], _search.Nobody);
        }

        while (_search.TryTakeLate(now, out IEnumerable<byte[]>? packets))
        {
            foreach (byte[] packet in packets)
                Restage(null, packet);
        }

        if (server.Session is not { } session)
            return Timestamp.Earliest(_search.Deadline(isAsking: false), _lists.RunTimers(now, session: null));
        while (_search.TryAsk(now, out FindMessage? question))
            session.Send(question);
        if (now >= _nextForget)
            ForgetIdle(now, session);
        node.Schedule(server.Server, session.RunTimers(now));
        return Timestamp.Earliest(_search.Deadline(isAsking: true), _nextForget, _lists.RunTimers(now, session));
    }

    /// <summary>Lets go of members that this node has had nothing to do with for a while.</summary>
    private void ForgetIdle(Timestamp now, ControlSession session)
    {
        _nextForget = now + ForgetInterval;
        uint[] idle =
        [
            .. members.All
                .Where(member => member.Subnets.Count == 0 && now - Timestamp.Latest(member.LastTraffic, member.WantedAt) > ForgetAfter)
                .Select(member => member.MemberId)
                .Take(ForgetMessage.MaximumMembers),
        ];
        if (idle.Length == 0)
            return;
        session.Send(new ForgetMessage { Revision = members.Revision, Members = idle });
        directory.Forget(idle);
    }
}
