using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// The server's side of a network: admits whoever proves to hold the network's key, leases addresses by public key, tells members of each
/// other, and passes on what they cannot send each other directly, without being able to read it.
/// </summary>
internal sealed partial class ServerNode : Node, ILeaseHost
{
    /// <summary>A client that says nothing for this long is offline; it pings at least every 10 s.</summary>
    private static readonly TimeSpan OfflineAfter = TimeSpan.FromSeconds(35);

    /// <summary>Who holds the network's key, but does not register within this time, is forgotten.</summary>
    private static readonly TimeSpan RegisterWithin = TimeSpan.FromSeconds(10);

    /// <summary>A member that was offline for this long is forgotten, and its address is free again.</summary>
    private static readonly TimeSpan LeaseTime = TimeSpan.FromDays(30);

    private static readonly TimeSpan LeaseCheckInterval = TimeSpan.FromHours(1);

    private static readonly TimeSpan UnusedCheckInterval = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan RelayLogInterval = TimeSpan.FromSeconds(1);

    private readonly ServerOptions _options;
    private readonly Leases _leases;
    private readonly LeaseCommits _commits;
    private readonly DirectoryTeller _directory;
    private readonly MemberTable _members = new();
    private readonly Dictionary<PublicKey, Peer> _peers = [];
    private readonly NatObserver _observer;
    private readonly Introducer _introducer;
    private readonly RefusedHandshakes _refusedHandshakes;
    private readonly RateLimiter _relayLogLimiter;
    private readonly int _mtu;
    private readonly Action<Peer> _hurry;
    private readonly IDisposable _addressWatch;
    private readonly NewcomerQuota _newcomers;
    private Timestamp _nextLeaseCheck;
    private Timestamp _nextUnusedCheck;
    private int _online;

    /// <param name="options">What the server is to be.</param>
    /// <param name="identity">The server's key pair.</param>
    /// <param name="networkKey">The network's key.</param>
    /// <param name="leases">Addresses leased so far, as they are in the store.</param>
    /// <param name="store">Where leases last.</param>
    /// <param name="addresses">The machine's own addresses.</param>
    /// <param name="services">What the node stands on.</param>
    public ServerNode(
        ServerOptions options, PrivateKey identity, PresharedKey networkKey, Leases leases, INetworkStore store, ILocalAddressSource addresses,
        NodeServices services)
        : base(identity, networkKey, options.Cipher, services)
    {
        _options = options;
        _leases = leases;
        _commits = new LeaseCommits(store, leases, Post, services.Time, services.Jitter, this);
        _mtu = options.Mtu ?? TunnelOptions.DefaultMtu;
        Links.DoubtsNewAddresses = true;
        Links.IsAsked = true;
        IReadOnlyList<LocalAddressInfo> own = addresses.Read();
        TakeOwnAddresses(own);
        _addressWatch = addresses.Watch(() => Post(() => TakeOwnAddresses(addresses.Read())));
        _directory = new DirectoryTeller(options.EagerUpTo, services.Time);
        _relayLogLimiter = new RateLimiter(services.Time, RelayLogInterval);
        _hurry = peer => Schedule(peer, Now);
        Plane.LongestPacket = _mtu;
        _observer = new NatObserver(identity, networkKey, options.ObserverPort, own, [.. options.Addresses.Select(one => one.Prefix)], Unproven, services);
        _refusedHandshakes = new RefusedHandshakes(Links.Counters, Log);
        _introducer = new Introducer(new CandidateScreen(services.Time, services.Jitter, [.. options.Addresses.Select(one => one.Prefix)]));
        MemberId = Leases.ServerMemberId;
        _newcomers = new NewcomerQuota(services.Time);
        _nextLeaseCheck = Now + LeaseCheckInterval; // Members come back first: it was not they who were away.
        _nextUnusedCheck = Now + UnusedCheckInterval;
        Forwarding = ForwardingTable.Empty.WithOwn(options.Addresses);
        foreach (Lease lease in leases.All)
            Remember(lease);
    }

    /// <inheritdoc/>
    public override IEnumerable<Peer> Peers => _peers.Values.Where(peer => peer.Addresses.Length > 0);

    /// <summary>Members that clients of a large network are told of, all together.</summary>
    public int Watches => _directory.Watches;

    /// <inheritdoc/>
    public override bool TryAdmit(in PublicKey initiator, in PathAddress source, out PresharedKey? presharedKey)
    {
        presharedKey = NetworkKey;
        return !source.IsRelayed;
    }

    /// <inheritdoc/>
    public override bool IsRelay(in PathAddress sender) => false;

    /// <inheritdoc/>
    public override bool TryFindTarget(in RelayHeader header, in PathAddress sender, out PathAddress destination)
    {
        destination = default;
        if (_options.ClientIsolation || header.Source == header.Destination)
            return false;
        if (_members.Find(header.Source)?.Route.Link is not { } source || source.Path.Endpoint != sender.Endpoint
            || _members.Find(header.Destination)?.Route.Link is not { } target)
        {
            return false;
        }

        destination = target.Path;
        return destination.Endpoint.IsSpecified;
    }

    /// <inheritdoc/>
    public override void NoteRelayed(in RelayHeader header)
    {
        if (!Log.IsEnabled(LogLevel.Debug) || !_relayLogLimiter.TryTake(Now))
            return;
        if (_members.Find(header.Source) is { } source && _members.Find(header.Destination) is { } target)
            Log.Relaying(source.Route.Owned[0].Network.ToIPAddress(), target.Route.Owned[0].Network.ToIPAddress());
    }

    /// <summary>Removes a member that is offline, for an admin; control loop.</summary>
    /// <exception cref="LightTunnelException">It is online.</exception>
    public void Remove(Peer peer)
    {
        if (peer.Online)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"'{peer.Name}' is online; only members that are offline can be removed.",
                "Disconnect that machine first. To keep somebody out who has an invitation, give the network another key.") { Target = peer.Name };
        }

        if (_leases.ByKey(peer.Key) is not { } lease || !_leases.Remove(peer.Key))
            return;
        Forget(lease, "it was removed");
        Log.Security(SecurityEvent.Removed, lease.Name, $"{lease.Name} ({string.Join(", ", lease.Addresses)}) with the key {lease.PublicKey} was removed on this machine");
    }

    /// <inheritdoc/>
    public override void FinishState()
    {
        _leases.SeeOnline(Time.GetUtcNow());
        _commits.Finish();
    }

    /// <inheritdoc/>
    public override void SayGoodbye()
    {
        foreach (Peer peer in Peers)
        {
            if (peer is { Online: true, Session.Registered: true })
                peer.Session.Send(new LeaveMessage { Reason = LeaveReason.Stopped });
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _addressWatch.Dispose();
        _observer.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override void OnProbe(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        if (!source.IsRelayed && ProbeCodec.TryReadSender(datagram, out uint sender) && FindMember(sender) is { } member)
            _observer.OnProbe(member, datagram, source, Now);
    }

    /// <inheritdoc/>
    protected override Peer? OnLinkUp(Link link)
    {
        if (link.Owner is Peer known)
            return known;

        if (!_peers.TryGetValue(link.Peer, out Peer? peer))
        {
            peer = new Peer(link.Peer, Time);
            _peers.Add(link.Peer, peer);
        }

        peer.Link = link;
        peer.LinkedAt = Now;
        link.Owner = peer;
        return peer;
    }

    /// <inheritdoc/>
    protected override void OnLinkLost(Peer peer) => Unlink(peer);

    /// <inheritdoc/>
    protected override void OnLinkWanted(Peer peer)
    {
        // A server cannot reach a client whose endpoint it does not know; the client comes back by itself.
        if (peer.Link is { } link && link.Path.Endpoint.IsSpecified)
            link.RequestHandshake();
        else
            DropStaged(peer);
    }

    /// <inheritdoc/>
    protected override void OnFrame(Peer peer, in ControlFrame frame)
    {
        if (frame.Kind == ControlFrameKind.Reset || peer.Link is not { } link)
            return;

        ControlSession? session = peer.Session;
        if (session is null || session.Conversation != frame.Conversation)
        {
            if (frame.Kind != ControlFrameKind.Data || frame.Number != 1)
            {
                SendReset(link, frame.Conversation);
                return;
            }

            // Who registers in a loop is told nothing: its next attempt is in some seconds, as for a frame that was lost.
            if (!peer.Registrations.TryTake(Now))
            {
                NoteRegistrationFlood(peer);
                return;
            }

            EndSession(peer);
            session = peer.Session = NewSession(peer, frame.Conversation);
        }

        session.OnFrame(frame);
        _directory.OnReady(peer);
        Schedule(peer, Now);
    }

    /// <inheritdoc/>
    protected override void OnPinged(Peer peer)
    {
        // Who was away for a while may find its place taken, which only a new registration can tell it.
        if (peer.Session is not { Registered: true } || IsFullFor(peer))
            SendReset(peer.Link!, 0);
        else if (!peer.Online)
            SetOnline(peer);
    }

    /// <inheritdoc/>
    protected override bool IsProbed(Peer peer, Timestamp now) => false;

    /// <inheritdoc/>
    protected override Timestamp RunTimers(Peer peer, Timestamp now)
    {
        if (peer.Link is not { } link)
            return Timestamp.Never;
        if (peer.Session is { IsBroken: true } broken)
            Reset(peer, link, broken);

        if (peer.Online)
        {
            Timestamp offline = link.LastReceivedTimestamp + OfflineAfter;
            if (offline > now)
                return Timestamp.Earliest(offline, base.RunTimers(peer, now));
            SetOffline(peer, "says nothing any more");
        }
        else if (peer.Session is not { Registered: true })
        {
            Timestamp forget = peer.LinkedAt + RegisterWithin;
            if (forget > now)
                return Timestamp.Earliest(forget, base.RunTimers(peer, now));
            Unlink(peer);
        }

        return Timestamp.Never;
    }

    /// <inheritdoc/>
    protected override Timestamp FinishTurn(Timestamp now)
    {
        if (now >= _nextLeaseCheck)
        {
            _nextLeaseCheck = now + LeaseCheckInterval;
            _leases.SeeOnline(Time.GetUtcNow());
            foreach (Lease lease in _leases.RemoveOfflineSince(Time.GetUtcNow() - LeaseTime))
                Forget(lease, "it was away for too long");
        }

        if (now >= _nextUnusedCheck)
        {
            _nextUnusedCheck = now + UnusedCheckInterval;
            foreach (Lease lease in _leases.RemoveUnused(Time.GetUtcNow(), member => FindOnline(member) is { } peer && HasTraffic(peer)))
                Forget(lease, "it never used its address");
        }

        Timestamp nextCommit = _commits.Run(now);
        Timestamp nextListing = _directory.Tell(now, _hurry);
        _refusedHandshakes.Look(now);
        return Timestamp.Earliest(Timestamp.Earliest(_nextLeaseCheck, _nextUnusedCheck), nextListing, nextCommit);
    }

    /// <summary>The member with that key, when it is here; null else.</summary>
    private Peer? FindOnline(PublicKey member) => _peers.TryGetValue(member, out Peer? peer) && peer.Online ? peer : null;

    private static bool HasTraffic(Peer peer) => peer.LastTraffic != Timestamp.NotYet;

    /// <summary>What the member should have been told is lost: it has to begin anew, if it is there.</summary>
    private void Reset(Peer peer, Link link, ControlSession broken)
    {
        if (peer.Online)
            SetOffline(peer, "takes nothing of what it is told, and has to register again");
        SendReset(link, broken.Conversation);
        EndSession(peer);
        peer.LinkedAt = Now;
    }

    private void EndSession(Peer peer)
    {
        peer.WasAnswered = peer.Session is { Registered: true, IsAnswered: true };
        _directory.End(peer);
        peer.Session = null;
    }

    private ControlSession NewSession(Peer peer, uint conversation) =>
        new(conversation, Time, frame => SendFrame(peer.Link!, frame), message => OnMessage(peer, message));

    private void OnMessage(Peer peer, ControlMessage message)
    {
        switch (message)
        {
            case RegisterMessage when peer.Session!.Registered && !peer.Registrations.TryTake(Now):
                NoteRegistrationFlood(peer);
                break;
            case RegisterMessage register:
                Register(peer, register);
                break;
            case ReachabilityMessage reachability when peer.Session!.Registered && !_options.ClientIsolation:
                _introducer.OnReachability(peer, reachability.Reachability, Acquaintances(peer));
                break;
            case IntroduceMessage introduce when peer.Session!.Registered && !_options.ClientIsolation:
                if (FindMember(introduce.MemberId) is { } other && _introducer.OnAsked(peer, other, introduce))
                    _directory.Acquaint(peer, other);
                break;
            case FindMessage find:
                _directory.Find(peer, find.Subjects, Find);
                break;
            case ForgetMessage forget:
                _directory.Forget(peer, forget);
                break;
            case ListMessage list:
                _directory.List(peer, list);
                break;
            case LeaveMessage leave when peer.Online:
                SetOffline(peer, leave.Reason == LeaveReason.Unusable ? "cannot use its address, and left" : "left");
                peer.Session!.Registered = false;
                if (leave.Reason == LeaveReason.Unusable && _leases.ByKey(peer.Key) is { Used: false } unused && _leases.Remove(peer.Key))
                    Forget(unused, "it never used its address");
                break;
        }
    }

    private void SetOnline(Peer peer)
    {
        if (!peer.Online)
        {
            peer.Online = true;
            _online++;
        }

        peer.Updated = Time.GetUtcNow();
        Journal.Note(peer);
        _members.Set(peer.MemberId, peer);
        _leases.SetOnline(peer.Key, online: true, Time.GetUtcNow());
        UpdateDirectory(peer);
        _directory.OnReady(peer);
        Schedule(peer, Now);
    }

    private void SetOffline(Peer peer, string why)
    {
        peer.Online = false;
        peer.Updated = Time.GetUtcNow();
        if (HasTraffic(peer))
            _leases.NoteUsed(peer.Key);
        _online--;
        Journal.Note(peer);
        _members.Set(peer.MemberId, null);
        _leases.SetOnline(peer.Key, online: false, Time.GetUtcNow());
        UpdateDirectory(peer);
        Log.Information("Client {Client} ({Address}) {Event}", peer.Name, peer.Addresses[0], why);
    }

    /// <summary>Lets go of the peer's link; a member stays known as offline, a stranger is forgotten.</summary>
    private void Unlink(Peer peer)
    {
        if (peer.Online)
            SetOffline(peer, "is gone");
        DropStaged(peer);
        _observer.Forget(peer);
        EndSession(peer);
        if (peer.Link is { } link)
        {
            peer.Link = null;
            Links.Remove(link);
        }

        if (peer.MemberId == 0)
            _peers.Remove(peer.Key);
    }

    private void Remember(Lease lease)
    {
        if (!_peers.TryGetValue(lease.PublicKey, out Peer? peer))
        {
            peer = new Peer(lease.PublicKey, Time);
            _peers.Add(lease.PublicKey, peer);
        }

        peer.MemberId = lease.MemberId;
        peer.Name = lease.Name;
        peer.Addresses = [.. lease.Addresses];
        peer.NetworkMtu = _mtu;
        if (peer.Addresses.Length == 0)
            return; // The network's prefix is another one now: the member gets a new address when it comes back.
        AddRoutes(peer);
        Journal.Remember(peer);
        UpdateDirectory(peer);
    }

    /// <summary>A member whose lease has ended.</summary>
    private void Forget(Lease lease, string why)
    {
        if (!_peers.Remove(lease.PublicKey, out Peer? peer))
            return;
        Unlink(peer);
        Journal.NoteGone(peer);
        RemoveRoutes(peer);
        _directory.Remove(lease.PublicKey);
        Log.Information("Client {Client} ({Address}) is forgotten: {Reason}", lease.Name, string.Join(", ", lease.Addresses), why);
    }

    private void UpdateDirectory(Peer peer) => _directory.Update(new DirectoryEntry
    {
        MemberId = peer.MemberId,
        Name = peer.Name,
        Addresses = peer.Addresses,
        PublicKey = peer.Key,
        Online = peer.Online,
        SoftwareVersion = peer.Version ?? string.Empty,
        PreferredSuite = peer.PreferredSuite,
    });

    /// <summary>Whom a member that tells how it is reached may be introduced to now: everybody in a small network, otherwise those whom it was before.</summary>
    private IReadOnlyCollection<Peer> Acquaintances(Peer peer) => !_directory.IsLarge && _online <= Introducer.EagerUpTo
        ? _directory.Told
        : [.. peer.Session!.IntroducedTo.Select(FindOnline).OfType<Peer>()];

    /// <summary>The member of that id that is online.</summary>
    private Peer? FindMember(uint id) => _members.Find(id) as Peer;

    /// <summary>The member that has an address or a key, or a prefix with the address in it.</summary>
    private Peer? Find(MemberSubject subject)
    {
        Peer? found = null;
        if (subject.Key is { } key)
            _peers.TryGetValue(key, out found);
        else if (subject.Address is { } address)
            found = Forwarding.TryFind(address, out RouteTarget? target) ? target as Peer : null;
        return found is { MemberId: not 0 } ? found : null;
    }

    private void SendReset(Link link, uint conversation)
    {
        Span<byte> frame = stackalloc byte[ControlFrame.HeaderLength];
        new ControlFrame(ControlFrameKind.Reset, conversation, 0).Write(frame);
        SendFrame(link, frame);
    }
}
