using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.PortMapping;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// A client's side of a network: a connection with its server, and a link of its own with every member it talks to. When the server is lost
/// it tries again for ever, while interface, address and members' links stay. Its parts, each of which knows only those before it:
/// <see cref="ServerConnection"/>, <see cref="MemberLinks"/>, <see cref="MemberPaths"/>, <see cref="DirectoryFollower"/>,
/// <see cref="MemberDiscovery"/>. This class hands each event to whom it concerns.
/// </summary>
internal sealed class ClientRole : INodeRole
{
    private readonly Node _node;
    private readonly ClientOptions _options;
    private readonly ServerConnection _connection;
    private readonly Members _members;
    private readonly MemberLinks _links;
    private readonly MemberPaths _paths;
    private readonly DirectoryFollower _directory;
    private readonly MemberDiscovery _discovery;
    private readonly Action<DirectoryMessage> _late;
    private readonly PathTester _tester;
    private readonly PeerPolicies _policies;
    private readonly PinnedKeys _pins;
    private readonly RouteLog _routeLog;
    private readonly OwnRoutes _routes;
    private readonly HeldHandshakes _held = new();
    private readonly RulesView _rules = new();
    private readonly NetworkKeyFollower _keys;
    private readonly OwnStanding _standing;
    private readonly AddressWatch _addresses;
    private readonly Action<IReadOnlyList<InterfaceAddress>>? _save;
    private bool _mapsPort;
    private bool _isConfiguring;
    private LightTunnelException? _unset;

    /// <param name="node">The node that it makes a client of.</param>
    /// <param name="options">The network to join.</param>
    /// <param name="identity">The client's key pair.</param>
    /// <param name="lastAddresses">
    /// Addresses that the server leased last time; asked for again when nobody wants others. Their prefixes were agreed to.
    /// </param>
    /// <param name="save">Keeps leased addresses; called on the control loop, must not block it.</param>
    /// <param name="resolver">Looks up names.</param>
    /// <param name="addresses">The machine's own addresses.</param>
    /// <param name="policies">The path policies of single members; null for none.</param>
    /// <param name="pins">The keys of members that this node knows; null for none.</param>
    /// <param name="signed">Which members are signed; null where nobody asks for that.</param>
    /// <param name="keepKeys">
    /// Keeps the network's keys that the server tells, and calls back on the control loop when they are kept; null for nowhere. Must not
    /// block.
    /// </param>
    public ClientRole(
        Node node, ClientOptions options, PrivateKey identity, IReadOnlyList<InterfaceAddress> lastAddresses,
        Action<IReadOnlyList<InterfaceAddress>>? save, INameResolver resolver, ILocalAddressSource addresses, PeerPolicies? policies = null,
        PinnedKeys? pins = null, SignedMembers? signed = null, Action<NetworkKeySet, Action>? keepKeys = null)
    {
        _node = node;
        _options = options;
        _save = save;
        _policies = policies ?? PeerPolicies.Forgotten();
        _routeLog = new RouteLog(node.Log);
        var prefixes = new NetworkPrefixes([.. options.AgreedPrefixes, .. lastAddresses.Select(last => last.Prefix)]);
        _connection = new ServerConnection(node, options, lastAddresses, prefixes, resolver);
        _standing = new OwnStanding(node, options, _connection, LetGo);
        _routes = new OwnRoutes(node, _connection);
        _routes.Offer(options.Routes);
        node.Subnets.Accept(options.AcceptedRoutes);
        node.Subnets.ChooseExit(options.Exit.Node);
        _members = new Members(node.Time, Server, node.Thread, node.Rules, node.Subnets);
        _pins = pins ?? PinnedKeys.Forgotten(options.KeyChange, node.Time);
        _links = new MemberLinks(node, _connection, _members, _pins, _routeLog);
        _paths = new MemberPaths(node, options, identity, addresses, _members, _connection, _links);
        Signed = signed ?? SignedMembers.NotRequired(options.ServerKey, node.Time);
        Signing = new OwnSigning(node, _connection, Signed.Trust);
        _directory = new DirectoryFollower(
            node, _connection, _members, _links, _paths, prefixes, Signed, _pins, _policies, _routeLog);
        _discovery = new MemberDiscovery(node, _connection, _members, _directory);
        _late = _discovery.OnPage;
        _tester = new PathTester(node, _connection, _paths);
        _keys = new NetworkKeyFollower(node, _connection, keepKeys);
        node.Plane.LongestPacket = options.Mtu ?? 0;
        _addresses = new AddressWatch(node, addresses, OnNetworkChanged);
    }

    /// <inheritdoc cref="ServerConnection.Connected"/>
    public Task Connected => _connection.Connected;

    /// <summary>How often the server was lost and found again.</summary>
    public int Reconnects => _connection.Reconnects;

    /// <summary>When the client last registered, or null.</summary>
    public DateTimeOffset? Registered => _standing.Registered;

    /// <summary>How this node may be reached.</summary>
    public OwnReachability Own => _paths.Own;

    /// <summary>Where the server sees this client; unspecified until it told.</summary>
    public UdpEndpoint PublicEndpoint => Own.PublicEndpoint;

    /// <summary>The endpoint that the router forwards to this node, unspecified for none.</summary>
    public UdpEndpoint PortMapping => Own.PortMapping;

    /// <summary>What came of asking the router to forward a port.</summary>
    public PortMappingStatus PortMappingStatus => _node.Services.PortMapper.Status;

    /// <summary>The NAT before this node, as far as it was measured.</summary>
    public NatBehaviour Nat => Own.Nat;

    /// <summary>This node's name in the network: the one that it asked for, unless that is another member's.</summary>
    public string MemberName => _standing.MemberName;

    /// <summary>The network's name, null until registered.</summary>
    public string? NetworkName => _standing.NetworkName;

    /// <summary>The server as a peer.</summary>
    public Peer Server => _connection.Server;

    /// <summary>The registration that the server has taken; null when there is none.</summary>
    public ControlSession? Session => _connection.Session;

    /// <summary>The server's endpoints that are known.</summary>
    public IReadOnlyList<UdpEndpoint> ServerEndpoints => _connection.Endpoints;

    /// <summary>The networks behind this node; control loop.</summary>
    public OwnRoutes Routes => _routes;

    /// <summary>True when there are members that this node does not know.</summary>
    public bool KnowsFew => _discovery.KnowsFew;

    /// <inheritdoc/>
    IReadOnlyList<UdpEndpoint> INodeRole.ServerEndpoints => [.. ServerEndpoints, Server.Path.Endpoint];

    /// <inheritdoc/>
    public IEnumerable<Peer> Peers => Server.Addresses.Length == 0 ? _members.All : _members.All.Prepend(Server);

    private TunnelLog Log => _node.Log;

    /// <summary>Begins to look for the server; control loop.</summary>
    public void Connect() => _connection.Connect();

    /// <summary>A sentence for the person who waited too long for the server; control loop.</summary>
    public LightTunnelException Unreachable() => _connection.Unreachable();

    /// <summary>Which paths to a member may be used; control loop.</summary>
    public PathPolicy PolicyOf(Member member) => _paths.PolicyOf(member);

    /// <summary>Members that are none here, as their keys are not those that this node knows; control loop.</summary>
    public IReadOnlyCollection<WithheldMember> Withheld => _pins.Withheld;

    /// <summary>Which members are signed, where that is asked for; control loop.</summary>
    public SignedMembers Signed { get; }

    /// <summary>Whether this node is signed itself, and signatures that are brought to the server; control loop.</summary>
    public OwnSigning Signing { get; }

    /// <summary>
    /// Believes that a member's key is the one that the server says; false when it is not another than before. Control loop.
    /// </summary>
    public bool Confirm(in PublicKey member) => _directory.Confirm(member);

    /// <summary>
    /// What a member's datagrams may take from now on, also after a restart; null for what the network says. Control loop.
    /// </summary>
    public void SetPolicy(Member member, PathPolicy? policy)
    {
        _policies.Set(member.Key, policy);
        member.Policy = policy;
        _paths.OnPolicyChanged(member);
    }

    /// <inheritdoc cref="MemberDiscovery.MeetAsync"/>
    public Task MeetAsync(MemberSubject subject) => _discovery.MeetAsync(subject);

    /// <inheritdoc cref="MemberDiscovery.ListAsync"/>
    public Task<IReadOnlyList<DirectoryEntry>> ListAsync(string pattern) => _discovery.ListAsync(pattern);

    /// <inheritdoc/>
    public void SayGoodbye() => _connection.SayGoodbye();

    /// <inheritdoc/>
    public void Dispose()
    {
        _addresses.Dispose();
        _connection.Dispose();
        _paths.Dispose();
    }

    /// <inheritdoc/>
    public bool TrySend(Link link, ReadOnlySpan<byte> datagram) => _connection.TrySend(link, datagram);

    /// <inheritdoc/>
    public void OnSendReport(SendReport report) => _connection.OnSendReport(report);

    /// <inheritdoc/>
    public bool IsRelay(in PathAddress sender) => Server.Path.Endpoint == sender.Endpoint || _paths.Relays.IsMember(sender);

    /// <inheritdoc/>
    public bool TryFindTarget(in RelayHeader header, in PathAddress sender, out PathAddress destination) =>
        _paths.Relays.TryFindTarget(header, sender, out destination);

    /// <inheritdoc/>
    public void NoteRelayed(in RelayHeader header)
    {
    }

    /// <inheritdoc/>
    public Peer? Via(Peer peer) => peer is Member { UsedPath: { } used } ? _paths.Relays.RelayOf(used.Key) : null;

    /// <inheritdoc/>
    public void OnHandshake(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        if (_connection.IsSilentTowards(source.Endpoint))
            return; // The answer would end the silence.
        Member? admitted = null;
        PublicKey? refused = null;
        _node.Links.HandleHandshake(datagram, source, (in PublicKey initiator, in PathAddress _, out LinkKeys keys) =>
        {
            bool isMember = _members.TryGet(initiator, out admitted);
            keys = new LinkKeys(_node.NetworkKeys, admitted?.KeyNumber ?? 0);
            refused = isMember ? null : initiator;
            return isMember && !admitted!.IsPlain; // Such a one has a link with the server alone.
        });

        // The first message under the new keys may carry a packet, and a packet is taken only from a link with an owner.
        if (admitted is { IsPlain: false } && _node.Links.Find(admitted.Key) is { } link)
            link.Owner = admitted;

        // The server passes on what members send only: this one is newer than the directory here, or was never asked for.
        if (refused is { } stranger && (_discovery.KnowsFew ? _discovery.Want(stranger) : source.IsRelayed))
            _held.Hold(datagram, source);
    }

    /// <inheritdoc/>
    public Peer? OnLinkUp(Link link)
    {
        if (link.Owner != Server)
            return _links.OnUp(link);
        _connection.OnLinkUp();
        return Server;
    }

    /// <inheritdoc/>
    public void OnLinkLost(Peer peer)
    {
        if (peer is Member member)
            _links.Unlink(member);
        else
            _connection.OnLinkLost();
    }

    /// <inheritdoc/>
    public void OnLinkWanted(Peer peer)
    {
        if (peer is Member { IsPlain: false } member)
            _links.Want(member);
        else
            Server.Link!.RequestHandshake();
    }

    /// <inheritdoc/>
    public void OnPacketForUnknown(RouteTarget target, ReadOnlySpan<byte> packet) => _discovery.OnPacket(packet);

    /// <inheritdoc/>
    public void OnPacketOfUnknown(ReadOnlySpan<byte> packet) => _discovery.OnPacketFrom(packet);

    /// <inheritdoc/>
    public void OnProbe(ReadOnlySpan<byte> datagram, in PathAddress source) => _paths.OnDatagram(datagram, source);

    /// <inheritdoc/>
    public void OnFrame(Peer peer, in ControlFrame frame)
    {
        if (!peer.IsServer)
            return;
        _connection.OnFrame(frame);
        TakeEvents();
    }

    /// <inheritdoc/>
    public void OnAnswered(Peer peer)
    {
        if (!peer.IsServer)
            return;
        _connection.OnAnswered();
        TakeEvents();
    }

    /// <inheritdoc/>
    public void OnMissed(Peer peer)
    {
        if (peer.IsServer)
            _connection.OnMissed();
    }

    /// <inheritdoc/>
    public void OnClockJump(TimeSpan jump)
    {
        Log.Information("The clock jumped by {Jump}: everything is tried anew", jump);
        _addresses.LookAnew();
    }

    /// <inheritdoc/>
    public bool IsProbed(Peer peer, Timestamp now) =>
        peer is Member member ? member.UsedPath is null && LinkUpkeep.IsAwake(member, now) : _connection.Session is not null;

    /// <inheritdoc/>
    public Timestamp RunTimers(Peer peer, Timestamp now)
    {
        if (peer is Member member)
            return Timestamp.Earliest(_node.RunLink(member, now), _paths.RunTimers(member, now));
        Timestamp next = _connection.RunTimers(now);
        TakeEvents();
        return next;
    }

    /// <inheritdoc/>
    public Timestamp FinishTurn(Timestamp now)
    {
        _connection.JudgeAnswers();
        if (!_connection.IsUp && now >= _addresses.NextLook)
            _addresses.Look(now);
        Timestamp untrusted = LetGoInTime(now);
        Timestamp next = Timestamp.Earliest(_discovery.Run(now), _routeLog.Run(now, _members.All), _paths.RunTimers(now));
        next = Timestamp.Earliest(next, _directory.Run(now, _late), Signing.Run(now));
        next = Timestamp.Earliest(next, _keys.Run(now));
        return _connection.IsUp ? next : Timestamp.Earliest(next, _addresses.NextLook, untrusted);
    }

    /// <summary>
    /// Whom the server has sent away meanwhile, it cannot tell while it is not reached: so what it told holds for so long and no longer.
    /// </summary>
    private Timestamp LetGoInTime(Timestamp now)
    {
        if (_connection.IsUp || _members.All.Count == 0)
            return Timestamp.Never;
        Timestamp until = Server.LastReceivedTimestamp + _options.TrustWithoutServer;
        if (until > now)
            return until;
        Log.Warning(
            "Nothing was heard of the server for {Hours} hours: what it told of other members does not hold any more, "
                + "and they are not reached until it is back",
            _options.TrustWithoutServer.TotalHours);
        _connection.ForgetRegistration();
        LetGo();
        return Timestamp.Never;
    }

    /// <summary>Nobody is a member to this node any more.</summary>
    private void LetGo() => _directory.Forget([.. _members.All.Select(peer => peer.MemberId)]);

    /// <inheritdoc/>
    public void TryDirect(Peer peer)
    {
        if (peer is Member member)
            _tester.TryDirect(member);
    }

    /// <inheritdoc/>
    public bool IsTryingDirect(Peer peer, Timestamp since) => peer is Member member && _tester.IsTryingDirect(member, since);

    /// <inheritdoc/>
    public bool MeasurePaths(Peer peer) => peer is Member member && _tester.MeasurePaths(member);

    /// <inheritdoc/>
    public PeerDiagnosis Diagnose(Peer peer) => _tester.Diagnose(peer as Member);

    /// <summary>
    /// What happened with the server is of account to others. It waits while the interface is set up, without which nothing of it holds.
    /// </summary>
    private void TakeEvents()
    {
        while (!_isConfiguring && _connection.TryTakeEvent(out ServerEvent happened))
        {
            switch (happened.Kind)
            {
                case ServerEventKind.Registered when _connection.Session is not null:
                    OnRegistered((RegisteredMessage)happened.Message!);
                    break;
                case ServerEventKind.Found:
                    OnFound();
                    break;
                case ServerEventKind.FellSilent:
                    _links.RenewAll();
                    break;
                case ServerEventKind.Replaced:
                    _standing.OnReplaced();
                    break;
                case ServerEventKind.Excluded:
                    _standing.OnExcluded(((LeaveMessage)happened.Message!).Reason);
                    break;
                case ServerEventKind.AwaitsApproval:
                    LetGo();
                    break;
                case ServerEventKind.Message when _connection.Session is not null:
                    OnMessage(happened.Message!);
                    break;
            }
        }
    }

    private void OnMessage(ControlMessage message)
    {
        switch (message)
        {
            case DirectoryMessage page:
                _discovery.OnPage(_directory.OnPage(page));
                foreach ((byte[] datagram, PathAddress source) in _held.TakeAll())
                    OnHandshake(datagram, source);
                break;
            case IntroductionMessage introduction:
                _paths.OnIntroduction(introduction);
                break;
            case ListingMessage listing:
                _discovery.OnListing(listing);
                break;
            case NoticeMessage notice:
                _standing.OnNotice(notice);
                break;
            case RulesMessage page:
                OnRules(page);
                break;
            case SignAnswerMessage answer:
                Signing.OnAnswer(answer);
                break;
            case SignatureMessage signature:
                Signing.OnSignature(signature);
                break;
            case NetworkKeyMessage told:
                _keys.OnTold(told);
                break;
            case RoutesMessage { Kind: RoutesKind.Approved } routes:
                _routes.TakeApproved(routes.Prefixes);
                break;
            case RoutesMessage { Kind: RoutesKind.Servers } routes:
                _node.Subnets.Tell(Server, routes.Prefixes);
                break;
        }
    }

    private void OnRegistered(RegisteredMessage registered)
    {
        int mtu = Math.Min(_options.Mtu ?? registered.Mtu, registered.Mtu);
        if (_options.Mtu > mtu)
            Log.Warning("An MTU of {Requested} was asked for; the network carries {Mtu} at most", _options.Mtu, mtu);
        if (_node.Forwarding.OwnAddresses.SequenceEqual(registered.Addresses) && _node.Services.Tun.Mtu == mtu)
        {
            Join(registered, mtu);
            return;
        }

        _isConfiguring = true;
        ControlSession? session = _connection.Session;
        _node.Ask(
            () => Configure(registered.Addresses, mtu),
            outcome =>
            {
                _isConfiguring = false;
                _unset = outcome.Unset;
                // Meanwhile another registration may have taken the place of this one; it waits behind it.
                if (session == _connection.Session)
                {
                    if (outcome.Failure is { } failure)
                        _connection.Fail(failure, LeaveReason.Unusable);
                    else
                        Join(registered, mtu);
                }

                TakeEvents();
            });
    }

    /// <summary>Beside the control loop: sets the interface up; what could not be set and can be done without is no failure.</summary>
    private (LightTunnelException? Unset, LightTunnelException? Failure) Configure(IReadOnlyList<InterfaceAddress> addresses, int mtu)
    {
        try
        {
            return (_node.Services.Tun.Configure(addresses, mtu), null);
        }
        catch (LightTunnelException exception)
        {
            return (null, exception);
        }
    }

    /// <summary>The interface is set up: the node takes part.</summary>
    private void Join(RegisteredMessage registered, int mtu)
    {
        _node.Plane.LongestPacket = registered.Mtu; // Others may send what is longer than this node's own MTU.
        _node.MemberId = registered.MemberId;
        TakeServer(registered, mtu);
        if (!registered.HasRules)
        {
            _rules.Clear();
            _node.TakeRules(NodeRules.None);
        }

        if (!registered.HasRoutes)
            _node.Subnets.Tell(Server, []);
        _node.Subnets.Refresh();
        _routes.OnRegistered();
        _discovery.OnRegistered();
        _node.Journal.Note(Server);
        _save?.Invoke(registered.Addresses);

        _standing.OnRegistered(registered);
        _connection.Find();
        OnFound();
        Signing.OnRegistered(registered, MemberName);
        if (_unset is not null)
            _node.Notice(_unset);
        if (Server.Link!.Suite is { } suite && suite != Server.Link.HandshakeSuite)
            Server.Link.RequestHandshake(); // In some seconds, as the last one was just now; its keys are good until then.
        MapPort();
        _addresses.Look(_node.Now);
        _paths.OnRegistered(registered, Server.Path.Endpoint, [.. registered.Addresses.Select(own => own.Prefix)]);
        _connection.Complete(registered);
    }

    /// <summary>What the server says of rules holds when all of it has come, and not in part.</summary>
    private void OnRules(RulesMessage page)
    {
        if (_rules.TryTake(page, out NodeRules rules))
        {
            _node.TakeRules(rules);
        }
        else if (_rules.IsTooMuch && !page.More)
        {
            Log.Warning("The server tells of more access rules than there can be: what it told before holds on");
        }
    }

    private void TakeServer(RegisteredMessage registered, int mtu)
    {
        _node.RemoveRoutes(Server);
        Server.MemberId = Leases.ServerMemberId;
        Server.Name = registered.ServerName;
        Server.Version = registered.SoftwareVersion;
        Server.PreferredSuite = registered.PreferredSuite;
        Server.Addresses = [.. registered.ServerAddresses.Where(address => !IsMembers(address))];
        foreach (Peer peer in _members.All.Append(Server))
            peer.NetworkMtu = mtu;
        Server.Online = true;
        _node.Forwarding = _node.Forwarding.WithOwn(registered.Addresses);
        _node.AddRoutes(Server);
    }

    /// <summary>
    /// True when a member is known by the address, or an admin has signed that it is one's: a server that says it is its own would be sent
    /// what is for that member.
    /// </summary>
    private bool IsMembers(TunnelAddress address)
    {
        PublicKey? owner = _pins.OwnerOf(address)
            ?? (Signed.Trust.IsRequired ? _members.All.FirstOrDefault(member => member.Addresses.Contains(address))?.Key : null);
        if (owner is null)
            return false;
        Log.Security(
            SecurityEvent.KeyChanged, Server.Key.ToString(),
            $"The server says that the address {address} is its own, which this machine knows as that of the key {owner}: it is not sent "
                + "there. Ask the server's admin; when it is right, connect anew with -KeyChange Accept.");
        return true;
    }

    private void OnFound()
    {
        _links.RenewAll();
        Own.OnServerFound(_node.Now);
    }

    /// <summary>Once admitted, the router is asked to forward a port: who cannot join needs none.</summary>
    private void MapPort()
    {
        if (_mapsPort || !_options.PortMapping)
            return;
        _mapsPort = true;
        IPortMapper mapper = _node.Services.PortMapper;
        mapper.Start((ushort)_node.Services.Transport.LocalPort, () => _node.Post(() => Own.OnPortMapped(mapper.Status)));
    }

    /// <summary>The machine is in another network, or woke up: the server is asked at once, whether it still sees this node.</summary>
    private void OnNetworkChanged(bool isCertain)
    {
        bool isElsewhere = _paths.OnNetworkChanged(isCertain);
        _node.Services.PortMapper.Refresh();
        _connection.Doubt();
        if (isElsewhere)
            _connection.OnElsewhere(isCertain);
    }
}
