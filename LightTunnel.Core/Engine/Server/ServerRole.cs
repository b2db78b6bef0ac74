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
/// The server's side of a network: admits whoever proves to hold the network's key and an invitation, leases addresses by public key, tells
/// members of each other, and passes on what they cannot send each other directly, without being able to read it.
/// </summary>
internal sealed class ServerRole : INodeRole
{
    /// <summary>A client that says nothing for this long is offline; it pings at least every 10 s.</summary>
    private static readonly TimeSpan OfflineAfter = TimeSpan.FromSeconds(35);

    /// <summary>Who holds the network's key, but does not register within this time, is forgotten.</summary>
    private static readonly TimeSpan RegisterWithin = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A plain WireGuard client that says nothing for as long as its keys last is offline; its keepalives come each 25 s.
    /// </summary>
    private static readonly TimeSpan PlainOfflineAfter = LinkTimers.RejectAfterTime;

    private static readonly TimeSpan PlainLookInterval = TimeSpan.FromSeconds(30);

    /// <summary>Who waits for an admin's approval asks again at least this often.</summary>
    private static readonly TimeSpan AskWithin = TimeSpan.FromSeconds(30);

    /// <summary>A member that was blocked is told why for so long, if it does not say that it has heard.</summary>
    private static readonly TimeSpan TellWithin = TimeSpan.FromSeconds(3);

    /// <summary>A member that was offline for this long is forgotten, and its address is free again.</summary>
    private static readonly TimeSpan LeaseTime = TimeSpan.FromDays(30);

    /// <summary>A member that is one only while it is there is forgotten when it was gone for so long, here all the time.</summary>
    internal static readonly TimeSpan KeepEphemeral = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan LeaseCheckInterval = TimeSpan.FromHours(1);

    private static readonly TimeSpan UnusedCheckInterval = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan RelayLogInterval = TimeSpan.FromSeconds(1);

    private readonly Node _node;
    private readonly ServerOptions _options;
    private readonly Leases _leases;
    private readonly DirectoryTeller _directory;
    private readonly ClientRoster _roster;
    private readonly RuleTeller _rules;
    private readonly NetworkKeyTeller _keys;
    private readonly Admission _admission;
    private readonly NatObserver _observer;
    private readonly Introducer _introducer;
    private readonly RefusedHandshakes _refusedHandshakes;
    private readonly RateLimiter _relayLogLimiter;
    private readonly int _mtu;
    private readonly Action<ServedClient> _hurry;
    private readonly IDisposable _addressWatch;
    private readonly Timestamp _started;
    private Timestamp _nextLeaseCheck;
    private Timestamp _nextUnusedCheck;

    /// <param name="node">The node that it makes a server of.</param>
    /// <param name="options">What the server is to be.</param>
    /// <param name="identity">The server's key pair.</param>
    /// <param name="leases">Addresses leased so far, as they are in the store.</param>
    /// <param name="store">Where leases last.</param>
    /// <param name="addresses">The machine's own addresses.</param>
    /// <param name="keyStore">Where the network's keys last; null for nowhere.</param>
    public ServerRole(
        Node node, ServerOptions options, PrivateKey identity, Leases leases, INetworkStore store, ILocalAddressSource addresses,
        INetworkKeyStore? keyStore = null)
    {
        _node = node;
        NodeServices services = node.Services;
        _options = options;
        _leases = leases;
        _mtu = options.Mtu ?? TunnelOptions.DefaultMtu;
        _node.Links.DoubtsNewAddresses = true;
        _node.Links.IsAsked = true;
        IReadOnlyList<LocalAddressInfo> own = addresses.Read();
        _node.TakeOwnAddresses(own);
        _addressWatch = addresses.Watch(() =>
        {
            IReadOnlyList<LocalAddressInfo> now = addresses.Read();
            _node.Post(() => _node.TakeOwnAddresses(now));
        });
        _directory = new DirectoryTeller(options.EagerUpTo, services.Time);
        _relayLogLimiter = new RateLimiter(services.Time, RelayLogInterval);
        _hurry = peer => _node.Hurry(peer);
        _node.Plane.LongestPacket = _mtu;
        _observer = new NatObserver(
            identity, node.NetworkKeys, options.ObserverPort, own, [.. options.Addresses.Select(one => one.Prefix)],
            _node.Unproven, _node.Outputs, services);
        _refusedHandshakes = new RefusedHandshakes(_node.Links.Counters, Log);
        _introducer = new Introducer(new CandidateScreen(services.Time, services.Jitter, [.. options.Addresses.Select(one => one.Prefix)]));
        _node.MemberId = Leases.ServerMemberId;
        _started = _node.Now;
        _nextLeaseCheck = _node.Now + LeaseCheckInterval; // Members come back first: it was not they who were away.
        _nextUnusedCheck = _node.Now + UnusedCheckInterval;
        _node.Forwarding = ForwardingTable.Empty.WithOwn(options.Addresses);
        _roster = new ClientRoster(node, _mtu, leases, _directory, _observer);
        Routes = new RouteDesk(node, options, leases, _roster);
        _rules = new RuleTeller(node, options, leases, _roster, _directory, Routes);
        _keys = new NetworkKeyTeller(node, leases, _roster);
        _admission = new Admission(node, options, _mtu, leases, store, _roster, _directory, _observer, _rules, _keys, Routes);
        Rules = new RuleDesk(node, options, leases, _admission, _rules, Routes);
        foreach (Lease lease in leases.All)
            _roster.Remember(lease);
        _node.Subnets.Accept(options.AcceptedRoutes);
        _node.Subnets.ChooseExit(options.Exit.Node);
        Routes.Offer(options.Routes);
        Administration = new MemberAdministration(node, options, leases, _admission, _roster);
        Signatures = new SignatureDesk(node, options, leases, _admission);
        NetworkKey = new NetworkKeyDesk(node, options, leases, _admission, _roster, _keys, keyStore);
        if (options.AllowKeyOnly is null && !leases.IsInvitedOnly)
        {
            Log.Warning(
                "An earlier version made this network: whoever has its key still joins without an invitation that this server knows. "
                    + "Start-LtServer -AllowKeyOnly:$false ends that; members stay members");
        }
    }

    /// <summary>What an admin sees of members, and does to them.</summary>
    public MemberAdministration Administration { get; }

    /// <summary>Takes admins' signatures of members; control loop.</summary>
    public SignatureDesk Signatures { get; }

    /// <inheritdoc/>
    public IEnumerable<Peer> Peers => _roster.All.Where(peer => peer.Addresses.Length > 0);

    /// <summary>The second UDP port, at which it looks at its clients' NATs; 0 for none.</summary>
    public int ObserverPort => _observer.Port;

    /// <summary>The access rules, for an admin; control loop.</summary>
    public RuleDesk Rules { get; }

    /// <summary>The network's key, for an admin; control loop.</summary>
    public NetworkKeyDesk NetworkKey { get; }

    /// <inheritdoc cref="NetworkKeyTeller.FollowedAsync"/>
    public Task KeyFollowedAsync() => _keys.FollowedAsync();

    /// <summary>The networks behind members; control loop.</summary>
    public RouteDesk Routes { get; }

    /// <summary>The invitations, for their owner; control loop.</summary>
    public InvitationDesk Invitations => _admission.Invitations;

    private TunnelLog Log => _node.Log;

    private TimeProvider Time => _node.Time;

    /// <summary>Members that clients of a large network are told of, all together.</summary>
    public int Watches => _directory.Watches;

    /// <inheritdoc/>
    public void OnHandshake(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        ServedClient? plain = null;
        _node.Links.HandleHandshake(datagram, source, (in PublicKey initiator, in PathAddress from, out LinkKeys keys) =>
        {
            plain = _roster.FindPlain(initiator);
            keys = NetworkKey.KeysOf(initiator, plain);
            return !from.IsRelayed && !_leases.Blocked.Contains(initiator) && (plain is null || MayTakePart(plain));
        });

        // The first message under its keys carries a packet, and a packet is taken only from a link with an owner.
        if (plain is not null && _node.Links.Find(plain.Key) is { } link)
            link.Owner = plain;
    }

    private static PeerDiagnosis Diagnose(ServedClient peer) =>
        new(default(NatBehaviour).ClassicName, (peer.Session?.Reachability.Latest?.Nat ?? default).ClassicName, [], null);

    /// <inheritdoc/>
    public bool IsRelay(in PathAddress sender) => false;

    /// <inheritdoc/>
    public bool TryFindTarget(in RelayHeader header, in PathAddress sender, out PathAddress destination)
    {
        destination = default;
        if (header.Source == header.Destination)
            return false;
        if (_roster.Members.Find(header.Source)?.Route.Link is not { } source || source.Path.Endpoint != sender.Endpoint
            || _roster.Members.Find(header.Destination)?.Route.Link is not { } target)
        {
            return false;
        }

        destination = target.Path;
        return destination.Endpoint.IsSpecified;
    }

    /// <inheritdoc/>
    public void NoteRelayed(in RelayHeader header)
    {
        if (!Log.IsEnabled(LogLevel.Debug) || !_relayLogLimiter.TryTake(_node.Now))
            return;
        if (_roster.Members.Find(header.Source) is { } source && _roster.Members.Find(header.Destination) is { } target)
            Log.Relaying(source.Route.Owned[0].Network.ToIPAddress(), target.Route.Owned[0].Network.ToIPAddress());
    }

    /// <inheritdoc/>
    public void FinishState()
    {
        _leases.SeeOnline(Time.GetUtcNow());
        _admission.Finish();
    }

    /// <inheritdoc/>
    public void SayGoodbye()
    {
        foreach (ServedClient peer in _roster.All)
        {
            if (peer is { Online: true, Session.Registered: true })
                peer.Session.Send(new LeaveMessage { Reason = LeaveReason.Stopped });
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _addressWatch.Dispose();
        _observer.Dispose();
    }

    /// <inheritdoc/>
    public void OnProbe(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        if (!source.IsRelayed && ProbeCodec.TryReadSender(datagram, out uint sender) && _roster.FindMember(sender) is { } member)
            _observer.OnProbe(member, datagram, source, _node.Now);
    }

    /// <inheritdoc/>
    public Peer? OnLinkUp(Link link)
    {
        if (link.Owner is ServedClient { IsPlain: true } plain)
            return OnPlainLinkUp(plain, link);
        if (link.Owner is ServedClient known)
        {
            NoteKey(known, link);
            return known;
        }

        if (_leases.Blocked.Contains(link.Peer))
        {
            _node.Links.Remove(link); // Its handshake was under way.
            return null;
        }

        ServedClient peer = _roster.Meet(link.Peer);
        peer.Link = link;
        peer.LinkedAt = _node.Now;
        link.Owner = peer;
        return peer;
    }

    /// <summary>A member's handshake shows that it has a later key of the network's than was known.</summary>
    private void NoteKey(ServedClient peer, Link link)
    {
        if (peer.MemberId != 0 && link.AgreedKeyNumber > peer.KeyNumber)
            _roster.NoteKey(peer, link.AgreedKeyNumber);
    }

    /// <summary>
    /// Whether there is a place for a plain WireGuard client, and an address, which the network may have others of by now.
    /// </summary>
    private bool MayTakePart(ServedClient peer) => peer.Addresses.Length > 0 && !_admission.IsFullFor(peer);

    /// <summary>A plain WireGuard client has keys, and with them takes part: it registers nowhere.</summary>
    private ServedClient? OnPlainLinkUp(ServedClient peer, Link link)
    {
        NoteKey(peer, link);
        if (!MayTakePart(peer))
        {
            Log.Security(
                SecurityEvent.Refused, peer.Key.ToString(),
                $"The plain WireGuard client {peer.Name} from {link.Path.Endpoint} was refused: "
                    + (peer.Addresses.Length == 0
                        ? "it has no address of the network any more"
                        : $"{_options.MaxClients} clients are online"));
            _node.Links.Remove(link);
            return null;
        }

        peer.Link = link;
        if (peer.Online)
            return peer;
        peer.LinkedAt = _node.Now;
        _roster.SetOnline(peer);
        Log.Information(
            "Client {Client} ({Address}) {Event} from {Endpoint}", peer.Name, peer.Addresses[0], "joined with plain WireGuard",
            peer.Path.Endpoint);
        return peer;
    }

    /// <inheritdoc/>
    void INodeRole.OnLinkLost(Peer peer) => OnLinkLost((ServedClient)peer);

    /// <inheritdoc/>
    void INodeRole.OnLinkWanted(Peer peer) => OnLinkWanted((ServedClient)peer);

    /// <inheritdoc/>
    void INodeRole.OnFrame(Peer peer, in ControlFrame frame) => OnFrame((ServedClient)peer, frame);

    /// <inheritdoc/>
    void INodeRole.OnPinged(Peer peer) => OnPinged((ServedClient)peer);

    /// <inheritdoc/>
    Timestamp INodeRole.RunTimers(Peer peer, Timestamp now) => RunTimers((ServedClient)peer, now);

    /// <inheritdoc/>
    PeerDiagnosis INodeRole.Diagnose(Peer peer) => Diagnose((ServedClient)peer);

    /// <summary>
    /// A server asks nobody whether he is there, as clients do that; but those who could carry what another one does.
    /// </summary>
    bool INodeRole.IsProbed(Peer peer, Timestamp now) => peer is { Monitor.IsUrgent: true, IsPlain: false };

    private void OnLinkLost(ServedClient peer) => _roster.Unlink(peer);

    private static void OnLinkWanted(ServedClient peer)
    {
        // A server cannot reach a client whose endpoint it does not know; the client comes back by itself.
        if (peer.Link is { } link && link.Path.Endpoint.IsSpecified)
            link.RequestHandshake();
        else
            Node.DropStaged(peer);
    }

    private void OnFrame(ServedClient peer, in ControlFrame frame)
    {
        if (frame.Kind == ControlFrameKind.Reset || peer.Link is not { } link)
            return;

        ClientSession? session = peer.Session;
        if (peer.IsBlocked)
        {
            // Only whether it has taken why.
            if (session?.Conversation == frame.Conversation)
                session.OnFrame(frame);
            _node.Hurry(peer);
            return;
        }

        if (session is null || session.Conversation != frame.Conversation)
        {
            if (frame.Kind != ControlFrameKind.Data || frame.Number != 1)
            {
                _roster.SendReset(link, frame.Conversation);
                return;
            }

            // Who registers in a loop is told nothing: its next attempt is in some seconds, as for a frame that was lost.
            if (!peer.MayRegister())
            {
                _admission.NoteRegistrationFlood(peer);
                return;
            }

            _roster.EndSession(peer);
            session = peer.Session = new ClientSession(frame.Conversation, _node, peer);
        }

        session.OnFrame(frame);
        while (peer.Session == session && session.TryTakeMessage(out ControlMessage? message))
            OnMessage(peer, message);
        _rules.OnReady(peer);
        _directory.OnReady(peer);
        _node.Hurry(peer);
    }

    private void OnPinged(ServedClient peer)
    {
        if (peer.IsBlocked)
            return;
        // Who was away for a while may find its place taken, which only a new registration can tell it.
        if (peer.Session is not { Registered: true } || _admission.IsFullFor(peer))
            _roster.SendReset(peer.Link!, 0);
        else if (!peer.Online)
            _roster.SetOnline(peer);
        _rules.OnReady(peer);
    }

    private Timestamp RunTimers(ServedClient peer, Timestamp now)
    {
        if (peer.Link is not { } link)
            return Timestamp.Never;
        if (peer.IsPlain)
        {
            // Who has its key pair and another pre-shared key is heard, and has no session.
            Timestamp silent = link.LastReceivedTimestamp + PlainOfflineAfter;
            if (silent > now && link.HasSession)
                return Timestamp.Earliest(silent, now + PlainLookInterval);
            _roster.Unlink(peer);
            return Timestamp.Never;
        }

        if (peer.IsBlocked && (peer.Session is not { IsIdle: false, IsBroken: false } || now >= peer.LinkedAt + TellWithin))
        {
            _roster.Unlink(peer);
            return Timestamp.Never;
        }

        if (peer.IsBlocked)
            return Timestamp.Earliest(peer.LinkedAt + TellWithin, peer.Session!.RunTimers(now));
        if (peer.Session is { IsBroken: true } broken)
            Reset(peer, link, broken);

        if (peer.Online)
        {
            Timestamp offline = link.LastReceivedTimestamp + OfflineAfter;
            if (offline > now)
                return Timestamp.Earliest(offline, RunSessionAndLink(peer, now));
            _roster.SetOffline(peer, "says nothing any more");
        }
        else if (peer.Session is not { Registered: true })
        {
            Timestamp forget = peer.LinkedAt + (peer.IsApplicant ? AskWithin : RegisterWithin);
            if (forget > now)
                return Timestamp.Earliest(forget, RunSessionAndLink(peer, now));
            _roster.Unlink(peer);
        }

        return Timestamp.Never;
    }

    private Timestamp RunSessionAndLink(ServedClient peer, Timestamp now) =>
        Timestamp.Earliest(peer.Session?.RunTimers(now) ?? Timestamp.Never, _node.RunLink(peer, now));

    /// <inheritdoc/>
    public Timestamp FinishTurn(Timestamp now)
    {
        if (now >= _nextLeaseCheck)
        {
            _nextLeaseCheck = now + LeaseCheckInterval;
            _leases.SeeOnline(Time.GetUtcNow());
            foreach (Lease lease in _leases.RemoveOfflineSince(Time.GetUtcNow() - LeaseTime))
                _roster.Forget(lease, "it was away for too long");
        }

        if (now >= _nextUnusedCheck)
        {
            _nextUnusedCheck = now + UnusedCheckInterval;
            foreach (Lease lease in _leases.RemoveUnused(
                Time.GetUtcNow(), member => _roster.FindOnline(member) is { } peer && ClientRoster.HasTraffic(peer)))
            {
                _roster.Forget(lease, "it never used its address");
            }

            // Not before it could have come back after the server did.
            foreach (Lease lease in now < _started + KeepEphemeral ? [] : _leases.RemoveEphemeral(Time.GetUtcNow() - KeepEphemeral))
                _roster.Forget(lease, "it was to be a member only while it is here");
        }

        Timestamp nextExpiry = _admission.Expiry.Run(now);
        Timestamp nextCommit = _admission.Run(now);
        Administration.Enforce();
        Timestamp nextRoutes = Routes.Run(now);
        Timestamp nextRules = _rules.Tell(now, _hurry);
        Routes.Tell();
        Timestamp nextKeys = Timestamp.Earliest(NetworkKey.Run(now), _keys.Run(now));
        Timestamp nextListing = _directory.Tell(now, _hurry);
        _refusedHandshakes.Look(now);
        Timestamp nextCheck = Timestamp.Earliest(_nextLeaseCheck, _nextUnusedCheck);
        Timestamp nextTold = Timestamp.Earliest(nextListing, nextRules, nextKeys);
        return Timestamp.Earliest(Timestamp.Earliest(nextCheck, nextRoutes), nextTold, Timestamp.Earliest(nextCommit, nextExpiry));
    }

    /// <summary>What the member should have been told is lost: it has to begin anew, if it is there.</summary>
    private void Reset(ServedClient peer, Link link, ClientSession broken)
    {
        if (peer.Online)
            _roster.SetOffline(peer, "takes nothing of what it is told, and has to register again");
        _roster.SendReset(link, broken.Conversation);
        _roster.EndSession(peer);
        peer.LinkedAt = _node.Now;
    }

    private void OnMessage(ServedClient peer, ControlMessage message)
    {
        switch (message)
        {
            case RegisterMessage when peer.Session!.Registered && !peer.MayRegister():
                _admission.NoteRegistrationFlood(peer);
                break;
            case RegisterMessage register:
                _admission.Register(peer, register);
                break;
            case ReachabilityMessage reachability when peer.Session!.Registered:
                _introducer.OnReachability(peer, reachability.Reachability, Acquaintances(peer));
                break;
            case IntroduceMessage introduce when peer.Session!.Registered:
                if (_roster.FindMember(introduce.MemberId) is { } other && _introducer.OnAsked(peer, other, introduce))
                    _directory.Acquaint(peer, other);
                break;
            case RoutesMessage routes when peer.Session!.Registered:
                Routes.OnOffer(peer, routes);
                break;
            case FindMessage find:
                _directory.Find(peer, find.Subjects, _roster.Find);
                break;
            case NetworkKeyTakenMessage taken when peer.Session!.Registered:
                _keys.OnTaken(peer, taken);
                break;
            case ForgetMessage forget:
                _directory.Forget(peer, forget);
                break;
            case ListMessage list:
                _directory.List(peer, list);
                break;
            case SignMessage sign when peer.Session!.Registered:
                Signatures.OnBrought(peer, sign);
                break;
            case LeaveMessage leave:
                peer.Session!.HasLeft = true;
                if (!peer.Online)
                    break;
                _roster.SetOffline(peer, leave.Reason == LeaveReason.Unusable ? "cannot use its address, and left" : "left");
                peer.Session.Registered = false;
                if (leave.Reason == LeaveReason.Unusable && _leases.ByKey(peer.Key) is { Used: false } unused && _leases.Remove(peer.Key))
                    _roster.Forget(unused, "it never used its address");
                break;
        }
    }

    /// <summary>
    /// Whom a member that tells how it is reached may be introduced to now: everybody in a small network, otherwise those
    /// whom it was before.
    /// </summary>
    private IReadOnlyCollection<ServedClient> Acquaintances(ServedClient peer) =>
        !_directory.IsLarge && _roster.Online <= Introducer.EagerUpTo
            ? _directory.Told
            : [.. peer.Session!.IntroducedTo.Select(_roster.FindOnline).OfType<ServedClient>()];
}
