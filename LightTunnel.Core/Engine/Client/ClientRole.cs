using System.Security.Cryptography;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.PortMapping;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// A client's side of a network: finds the server, registers, keeps the directory, and has a link of its own with every member it talks to.
/// When the server is lost it tries again for ever, while interface, address and members' links stay.
/// </summary>
internal sealed partial class ClientRole : INodeRole
{
    private const int HandshakeInitiation = 1;

    /// <summary>Answers in a row that do not fit the network key; one alone could be somebody's mischief.</summary>
    private const int AnswersUntilKeyIsWrong = 2;

    /// <summary>A registration that is not answered within this time is begun anew.</summary>
    private static readonly TimeSpan RegistrationTimeout = TimeSpan.FromSeconds(5);

    private readonly Node _node;
    private readonly ClientOptions _options;
    private readonly ServerSearch _search;
    private readonly RouteLog _routeLog;
    private readonly DirectPaths _paths;
    private readonly ILocalAddressSource _addresses;
    private readonly IDisposable _addressWatch;
    private readonly Action<IReadOnlyList<InterfaceAddress>>? _save;
    private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Peer _server;
    private readonly MemberPeers _members;
    private readonly HeldHandshakes _held = new();
    private readonly NetworkPrefixes _prefixes;
    private readonly ulong _instance = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) | 1;
    private readonly LocalObstacles _obstacles;
    private IReadOnlyList<TunnelAddress> _requested;
    private Peer? _admitted;
    private LightTunnelException? _unset;
    private PublicKey _stranger;
    private bool _refusedStranger;
    private bool _mapsPort;
    private string? _locationFailure;
    private string? _obstacle;
    private Timestamp _registeredSince;

    /// <param name="node">The node that it makes a client of.</param>
    /// <param name="options">The network to join.</param>
    /// <param name="identity">The client's key pair.</param>
    /// <param name="lastAddresses">
    /// Addresses that the server leased last time; asked for again when nobody wants others. Their prefixes were agreed to.
    /// </param>
    /// <param name="save">Keeps leased addresses; called on the control loop, must not block it.</param>
    /// <param name="resolver">Looks up names.</param>
    /// <param name="addresses">The machine's own addresses.</param>
    public ClientRole(
        Node node, ClientOptions options, PrivateKey identity, IReadOnlyList<InterfaceAddress> lastAddresses, Action<IReadOnlyList<InterfaceAddress>>? save,
        INameResolver resolver, ILocalAddressSource addresses)
    {
        _node = node;
        NodeServices services = node.Services;
        _node.State = TunnelState.Connecting;
        _options = options;
        MemberName = options.Name;
        _addresses = addresses;
        _obstacles = new LocalObstacles(addresses, services.Tun.Name);
        _save = save;
        _requested = options.RequestedAddresses.Count > 0 ? options.RequestedAddresses : [.. lastAddresses.Select(last => last.Address)];
        _prefixes = new NetworkPrefixes([.. options.AgreedPrefixes, .. lastAddresses.Select(last => last.Prefix)]);
        _search = new ServerSearch(new ServerLocator(options.Servers, resolver, services.Transport.SupportsIPv6), Time, services.Jitter, node.Post, OnLocated);
        _routeLog = new RouteLog(Log);
        _noticeLimiter = new RateLimiter(Time, NoticeInterval, burst: 4);
        // Each server understands AEGIS-256, in software if need be; whether it prefers it, it tells in its first answer.
        _server = new Peer(options.ServerKey, Time) { IsServer = true, Frames = FrameIntake.ForServer(Time), Name = "server", PreferredSuite = CipherSuite.Aegis256 };
        _members = new MemberPeers(Time, _server);
        _memberSearch = new MemberSearch(Time);
        _lists = new MemberLists();
        _node.Plane.LongestPacket = options.Mtu ?? 0;
        _paths = new DirectPaths(options, identity, addresses, _members, services, this);
        node.Sender.IsSilentTowards = IsSilentTowards;
        _node.TakeOwnAddresses(addresses.Read());
        _addressWatch = addresses.Watch(() => _node.Post(() => OnNetworkChanged(isCertain: false)));
        Link link = _node.Links.Add(options.ServerKey, options.NetworkKey);
        link.Owner = _server;
        _server.Link = link;
    }

    /// <summary>Completes at the first registration; fails when the server refuses, or the interface cannot be set up.</summary>
    public Task Connected => _connected.Task;

    /// <summary>How often the server was lost and found again.</summary>
    public int Reconnects { get; private set; }

    /// <summary>When the client last registered, or null.</summary>
    public DateTimeOffset? Registered { get; private set; }

    /// <summary>Where the server sees this client; unspecified until it told.</summary>
    public UdpEndpoint PublicEndpoint => _paths.Own.PublicEndpoint;

    /// <summary>The endpoint that the router forwards to this node, unspecified for none.</summary>
    public UdpEndpoint PortMapping => _paths.Own.PortMapping;

    /// <summary>The NAT before this node, as far as it was measured.</summary>
    public NatBehaviour Nat => _paths.Own.Nat;

    /// <summary>This node's name in the network: the one that it asked for, unless that is another member's.</summary>
    public string MemberName { get; private set; }

    /// <summary>The network's name, null until registered.</summary>
    public string? NetworkName { get; private set; }

    /// <summary>The server as a peer.</summary>
    public Peer Server => _server;

    /// <inheritdoc/>
    public IEnumerable<Peer> Peers => _server.Addresses.Length == 0 ? _members.All : _members.All.Prepend(_server);

    private TunnelLog Log => _node.Log;

    private TimeProvider Time => _node.Time;

    private NodeServices Services => _node.Services;

    /// <summary>Begins to look for the server; control loop.</summary>
    public void Connect() => BeginSearch();

    /// <inheritdoc/>
    public void SayGoodbye()
    {
        if (_server.Session is { Registered: true } session)
            session.Send(new LeaveMessage { Reason = LeaveReason.Stopped });
    }

    /// <summary>A sentence for the person who waited too long for the server.</summary>
    public LightTunnelException Unreachable()
    {
        LightTunnelException reason = _search.Unreachable(
            isForged: _node.Links.Counters[LinkEvent.ResponseForged] > 0, _obstacles.Explain(_search.Candidates), _node.LastError);
        return reason.Error != LightTunnelError.ServerUnreachable || !Services.IsClockBehind
            ? reason
            : new LightTunnelException(
                LightTunnelError.ServerUnreachable,
                $"{reason.Message} This machine's clock says {Time.GetUtcNow():u}, but this tunnel ran at {Services.LastUsed:u} already: a server takes no handshake older than those it had.",
                "Set this machine's clock (Linux: timedatectl set-ntp true, Windows: w32tm /resync), and try again.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _addressWatch.Dispose();
        _search.Dispose();
        _paths.Dispose();
    }

    /// <inheritdoc/>
    public bool TrySend(Link link, ReadOnlySpan<byte> datagram)
    {
        // While the server is looked for, each handshake goes to all its endpoints: the first answer decides (and moves the link there).
        if (link != _server.Link || datagram[0] != HandshakeInitiation || _node.State == TunnelState.Up)
            return false;
        foreach (UdpEndpoint candidate in _search.Candidates)
            _node.Sender.Datagram(new PathAddress(candidate) { IsUnproven = true }, datagram, question: new SendQuestion(SendQuestionKind.Obstacle));
        return true;
    }

    /// <inheritdoc/>
    public void OnSendReport(SendReport report)
    {
        _obstacles.Note(report.Endpoint, report.Obstacle);
        NoteObstacle();
    }

    /// <summary>In a silence nothing goes to the server, nor through it: no answer, no probe for a member behind it.</summary>
    private bool IsSilentTowards(UdpEndpoint endpoint) => _search.IsSilent && _search.Candidates.Contains(endpoint);

    /// <inheritdoc/>
    public bool IsRelay(in PathAddress sender) => _server.Path.Endpoint == sender.Endpoint || _paths.Relays.IsMember(sender);

    /// <inheritdoc/>
    public bool TryFindTarget(in RelayHeader header, in PathAddress sender, out PathAddress destination) =>
        _paths.Relays.TryFindTarget(header, sender, out destination);

    /// <inheritdoc/>
    public void NoteRelayed(in RelayHeader header)
    {
    }

    /// <inheritdoc/>
    public Peer? Via(Peer peer) => peer.UsedPath is { } used ? _paths.Relays.RelayOf(used.Key) : null;

    /// <inheritdoc/>
    public bool IsProbed(Peer peer, Timestamp now) =>
        peer.IsServer ? peer.Session is { Registered: true } : peer.UsedPath is null && LinkUpkeep.IsAwake(peer, now);

    /// <inheritdoc/>
    public void OnProbe(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        _paths.OnDatagram(datagram, source);
    }

    /// <inheritdoc/>
    public void OnClockJump(TimeSpan jump)
    {
        Log.Information("The clock jumped by {Jump}: everything is tried anew", jump);
        OnNetworkChanged(isCertain: true);
    }

    /// <inheritdoc/>
    public Peer? OnLinkUp(Link link)
    {
        if (link.Owner == _server)
        {
            if (_node.State is not (TunnelState.Up or TunnelState.Failed))
                Register();
            return _server;
        }

        if (!_members.TryGet(link.Peer, out Peer? peer))
        {
            _node.Links.Remove(link);
            return null;
        }

        if (peer.LinkedAt == Timestamp.NotYet)
        {
            peer.LinkedAt = _node.Now;
            peer.Link = link;
            link.RoamingEnabled = false; // Paths are chosen by probes, not by where a packet last came from.
            TakePath(peer, link);
            _routeLog.NoteChange();
        }

        return peer;
    }

    /// <inheritdoc/>
    public void OnLinkLost(Peer peer)
    {
        if (peer.IsServer)
        {
            if (_node.State == TunnelState.Up)
                LoseServer("The server did not answer the handshake.");
            return;
        }

        Unlink(peer);
    }

    /// <inheritdoc/>
    public void OnFrame(Peer peer, in ControlFrame frame)
    {
        if (!peer.IsServer)
            return;

        ControlSession? session = peer.Session;
        if (frame.Kind == ControlFrameKind.Reset)
        {
            if (session is not { Registered: true } || (frame.Conversation != session.Conversation && frame.Conversation != 0))
                return;

            // It may refuse this node now, or fall silent: until it has admitted it again, it counts as lost.
            LoseServer("The server does not know this node any more.");
            Register();
            return;
        }

        if (session is null || session.Conversation != frame.Conversation)
            return;
        session.OnFrame(frame);
        _node.Hurry(peer);
    }

    /// <inheritdoc/>
    public void OnAnswered(Peer peer)
    {
        if (peer.IsServer && _node.State == TunnelState.Reconnecting && peer.Session is { Registered: true })
            FindServer();
    }

    /// <inheritdoc/>
    public void OnMissed(Peer peer)
    {
        if (peer.IsServer && _node.State == TunnelState.Up && peer.Monitor.IsDead)
            LoseServer("The server does not answer any more.");
    }

    /// <inheritdoc/>
    public Timestamp RunTimers(Peer peer, Timestamp now)
    {
        if (!peer.IsServer)
            return Timestamp.Earliest(RunSessionAndLink(peer, now), _paths.RunTimers(peer, now));
        if (_node.State == TunnelState.Connecting && _node.Links.Counters[LinkEvent.ResponseForged] >= AnswersUntilKeyIsWrong)
            Fail(Unreachable());
        if (_server.Session is { IsBroken: true })
        {
            LoseServer("The server takes nothing of what it is told.");
            Register();
        }

        if (now >= _search.NextAttempt)
        {
            bool registering = _server.Session is { Registered: false } && now - _registeredSince < RegistrationTimeout;
            _search.Attempt(now, lookUp: !registering);
            if (_search.IsSilent)
                FallSilent();
        }
        else if (_search.IsSilent)
        {
            // Whatever was heard of the server meanwhile: data threads, too, send nothing to where it is.
            _server.Link!.Path = default;
        }

        return Timestamp.Earliest(RunSessionAndLink(peer, now), _search.NextAttempt);
    }

    private Timestamp RunSessionAndLink(Peer peer, Timestamp now) =>
        Timestamp.Earliest(peer.Session?.RunTimers(now) ?? Timestamp.Never, _node.RunLink(peer, now));

    /// <inheritdoc/>
    public Timestamp FinishTurn(Timestamp now) =>
        Timestamp.Earliest(RunSearch(now), _routeLog.Run(now, _members.All), _paths.RunTimers(now));

    /// <summary>The machine is in another network, or woke up: the server is asked at once, whether it still sees this node.</summary>
    private void OnNetworkChanged(bool isCertain)
    {
        _node.TakeOwnAddresses(_addresses.Read());
        bool isElsewhere = _paths.OnNetworkChanged(isCertain);
        Services.PortMapper.Refresh();
        _server.Monitor.Hurry();
        _node.Hurry(_server);
        if (!isElsewhere)
            return;
        _server.PathMtu.Forget();
        if (isCertain && !_search.IsResting)
            _server.Link!.RequestHandshake(force: true);
        if (_search.IsActive)
            BeginSearch();
    }

    private void BeginSearch()
    {
        _search.Begin();
        _node.Hurry(_server);
    }

    /// <summary>Whatever would go to the server, data for members behind it included, goes nowhere until the next attempt gives its link an endpoint again.</summary>
    private void FallSilent()
    {
        Log.Debug("Nothing is sent to the server for {Silence}, so that routers forget what they know of the way there", ServerSearch.Silence);
        _server.Link!.Path = default;
        foreach (Peer peer in _members.All)
            RenewPath(peer);
    }

    private void OnLocated(ServerLocation location)
    {
        if (location.Failure is { } failure && failure != _locationFailure)
        {
            _node.LastError = failure;
            Log.Warning("{Failure}", failure);
        }

        _locationFailure = location.Failure;

        _search.Candidates = [.. location.Endpoints.Where(endpoint => FindAround(endpoint, _node.Forwarding.OwnAddresses) is null)];
        _obstacles.Keep(_search.Candidates);
        if (_search.Candidates.Count < location.Endpoints.Count && _search.Candidates.Count == 0)
            _node.LastError = "Every endpoint of the server lies inside the tunnel's own network.";
        if (_search.Candidates.Count == 0)
        {
            if (location.Failure is not null)
                NoteObstacle(); // Without a network nobody looks names up either.
            return;
        }

        if (!_server.Path.Endpoint.IsSpecified)
            _server.Link!.Path = new PathAddress(_search.Candidates[0]);
        _server.Link!.RequestHandshake(force: true);
        _node.Wake();
    }

    /// <summary>What keeps this machine from sending at all is said once, until it is something else.</summary>
    private void NoteObstacle()
    {
        LightTunnelException? found = _obstacles.Explain(_search.Candidates);
        if (found is not null && found.Message != _obstacle)
        {
            _node.LastError = found.Message;
            Log.Warning("{Reason} {Remedy} Trying again until it works", found.Message, found.RecommendedAction);
        }

        _obstacle = found?.Message;
    }

    /// <summary>The tunnel never carries itself: an endpoint inside the network's prefix cannot be a way to the server.</summary>
    private static InterfaceAddress? FindAround(UdpEndpoint endpoint, IEnumerable<InterfaceAddress> addresses)
    {
        var address = TunnelAddress.FromIPAddress(endpoint.Address);
        foreach (InterfaceAddress own in addresses)
        {
            if (own.Prefix.Contains(address))
                return own;
        }

        return null;
    }

    private void Register()
    {
        uint conversation = BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(4)) | 1;
        var session = new ControlSession(conversation, Time, frame => _node.Sender.Frame(_server.Link!, frame), message => OnMessage(conversation, message));
        _server.Session = session;
        _registeredSince = _node.Now;
        session.Send(new RegisterMessage
        {
            Name = _options.Name,
            RequestedAddresses = _requested,
            SoftwareVersion = SoftwareVersion.Text,
            PreferredSuite = _node.PreferredSuite,
            AsksForMembers = true,
            Instance = _instance,
        });
        _node.Schedule(_server, _registeredSince);
    }

    private void OnMessage(uint conversation, ControlMessage message)
    {
        if (_server.Session?.Conversation != conversation)
            return; // A message before this one ended the conversation.
        switch (message)
        {
            case RegisteredMessage registered:
                OnRegistered(registered);
                break;
            case RefusedMessage refused:
                OnRefused(refused);
                break;
            case DirectoryMessage page:
                OnDirectory(page);
                break;
            case IntroductionMessage introduction:
                _paths.OnIntroduction(introduction);
                break;
            case ListingMessage listing:
                _lists.OnListing(listing, _node.Now);
                break;
            case NoticeMessage notice:
                OnNotice(notice);
                break;
            case LeaveMessage { Reason: LeaveReason.Replaced }:
                OnReplaced();
                break;
            case LeaveMessage leave:
                // It has forgotten this conversation: what was true of it, and answers that are still under way, say nothing of the server any more.
                _server.Session = null;
                _server.Monitor.Reset();
                LoseServer($"The server said goodbye ({leave.Reason}).");
                break;
        }
    }

    private void OnRegistered(RegisteredMessage registered)
    {
        if (_server.Session!.Registered)
            return;
        if (registered.CheckProtocol() is { } unspoken)
        {
            Fail(unspoken, LeaveReason.Unusable);
            return;
        }

        if (FindAround(_server.Path.Endpoint, registered.Addresses) is { } around)
        {
            Fail(new LightTunnelException(
                LightTunnelError.InvalidAddress,
                $"The server is reached at {_server.Path.Endpoint}, which lies inside the tunnel's own network {around.Prefix}: the tunnel would have to carry itself.",
                "Give the network another prefix (Start-LtServer -Address), or the server another endpoint."), LeaveReason.Unusable);
            return;
        }

        if (_prefixes.Take(registered) is { } refusal)
        {
            Log.Security(SecurityEvent.PrefixRefused, _server.Key.ToString(), refusal.Message);
            Fail(refusal, LeaveReason.Unusable);
            return;
        }

        _server.Session.Registered = true;
        _server.Monitor.Reset(); // Probes that the old path swallowed say nothing of the new one.
        int mtu = Math.Min(_options.Mtu ?? registered.Mtu, registered.Mtu);
        if (_options.Mtu > mtu)
            Log.Warning("An MTU of {Requested} was asked for; the network carries {Mtu} at most", _options.Mtu, mtu);
        try
        {
            if (!_node.Forwarding.OwnAddresses.SequenceEqual(registered.Addresses) || Services.Tun.Mtu != mtu)
                _unset = Services.Tun.Configure(registered.Addresses, mtu);
        }
        catch (LightTunnelException exception)
        {
            Fail(exception, LeaveReason.Unusable);
            return;
        }

        _node.Plane.LongestPacket = registered.Mtu; // Others may send what is longer than this node's own MTU.
        _node.MemberId = registered.MemberId;
        NetworkName = registered.NetworkName;
        Registered = Time.GetUtcNow();
        _node.RemoveRoutes(_server);
        _server.MemberId = Leases.ServerMemberId;
        _server.Name = registered.ServerName;
        _server.Version = registered.SoftwareVersion;
        _server.PreferredSuite = registered.PreferredSuite;
        _server.Addresses = [.. registered.ServerAddresses];
        foreach (Peer peer in _members.All.Append(_server))
            peer.NetworkMtu = mtu;
        _server.Online = true;
        _node.Forwarding = _node.Forwarding.WithOwn(registered.Addresses);
        _node.AddRoutes(_server);
        PublishSearch();
        _lists.AskAgain();
        _node.Journal.Note(_server);
        _requested = [.. registered.Addresses.Select(own => own.Address)];
        _save?.Invoke(registered.Addresses);

        TakeName(registered);
        Log.Information(
            "Joined {Network} as {Name} ({Address}); the server sees this node at {Endpoint}",
            NetworkName, MemberName, string.Join(", ", registered.Addresses), registered.ObservedEndpoint);
        FindServer();
        if (_unset is not null)
            _node.Notice(_unset);
        if (_server.Link!.Suite is { } suite && suite != _node.SuiteFor(_server.Link))
            _server.Link.RequestHandshake(); // In some seconds, as the last one was just now; its keys are good until then.
        MapPort();
        _paths.OnRegistered(registered, _server.Path.Endpoint, [.. registered.Addresses.Select(own => own.Prefix)]);
        _connected.TrySetResult();
    }

    /// <summary>Once admitted, the router is asked to forward a port: who cannot join needs none.</summary>
    private void MapPort()
    {
        if (_mapsPort || !_options.PortMapping)
            return;
        _mapsPort = true;
        IPortMapper mapper = Services.PortMapper;
        mapper.Start((ushort)Services.Transport.LocalPort, () => _node.Post(() => _paths.Own.OnPortMapped(mapper.Status)));
    }

    private void OnRefused(RefusedMessage refused)
    {
        if (refused.Reason is RefusalReason.AddressTaken or RefusalReason.AddressUnusable && _options.RequestedAddresses.Count == 0 && _requested.Count > 0)
        {
            // Only what it had last time is gone: any other address will do.
            _requested = [];
            Register();
        }
        else
        {
            Fail(refused.ToException());
        }
    }

    private void FindServer()
    {
        if (_node.State == TunnelState.Reconnecting)
        {
            Reconnects++;
            Log.Information("The server is back at {Endpoint}", _server.Path.Endpoint);
        }

        _node.State = TunnelState.Up;
        _node.LastError = _locationFailure = _obstacle = null;
        _search.End();
        _server.Updated = Time.GetUtcNow();
        foreach (Peer peer in _members.All)
            RenewPath(peer);

        _paths.Own.OnServerFound(_node.Now);
        _node.Hurry(_server);
    }

    private void LoseServer(string why)
    {
        if (_node.State != TunnelState.Up)
            return;
        _node.State = TunnelState.Reconnecting;
        _node.LastError = why;
        _server.Updated = Time.GetUtcNow();
        Log.Warning("{Reason} Trying again until it does", why);
        BeginSearch();
    }

    /// <summary>Not admitted. Whoever waits to join is told; a node that was in the network goes on trying, and says so once.</summary>
    private void Fail(LightTunnelException exception, LeaveReason reason = LeaveReason.Stopped)
    {
        // A server that has admitted this node would list it as online until it misses it, and keep addresses for it that it cannot use.
        _server.Session?.Send(new LeaveMessage { Reason = reason });
        _server.Session = null;
        if (_node.State == TunnelState.Connecting)
        {
            _node.State = TunnelState.Failed;
            _search.End();
            Log.Error(null, "{Reason}", exception.Message);
            _connected.TrySetException(exception);
        }
        else if (exception.Message != _node.LastError)
        {
            Log.Warning("{Reason} {Remedy} Trying again until it works", exception.Message, exception.RecommendedAction);
        }

        _node.LastError = exception.Message;
    }
}
