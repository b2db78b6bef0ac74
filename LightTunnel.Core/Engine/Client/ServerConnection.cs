using System.Security.Cryptography;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// A client's server: finds it, registers, notices when it is lost, and tries again for ever. What follows from that for others is in
/// <see cref="TryTakeEvent"/>. Owned by the control loop.
/// </summary>
internal sealed class ServerConnection : IDisposable
{
    private const int HandshakeInitiation = 1;

    /// <summary>
    /// Answers in a row that do not fit the network key. One alone could be somebody's mischief, and a server tries the keys that a member
    /// may have, one after the other, when this one was put back to a backup.
    /// </summary>
    private const int AnswersUntilKeyIsWrong = NetworkKeySet.MostFormer + 1;

    /// <summary>What the server told and nobody has looked at yet, as the interface is being set up.</summary>
    private const int MostEvents = 4096;

    /// <summary>How often a node asks that waits for an admin's approval, if nobody calls it before, and one that is not let in.</summary>
    private static readonly TimeSpan AskInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan DeniedInterval = TimeSpan.FromMinutes(10);

    /// <summary>A registration that is not answered within this time is begun anew.</summary>
    private static readonly TimeSpan RegistrationTimeout = TimeSpan.FromSeconds(5);

    private readonly Node _node;
    private readonly ClientOptions _options;
    private readonly Peer _server;
    private readonly ServerSearch _search;
    private readonly LocalObstacles _obstacles;
    private readonly NetworkPrefixes _prefixes;
    private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<ServerEvent> _events = new();
    private readonly ulong _instance = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) | 1;
    private IReadOnlyList<TunnelAddress> _requested;
    private ControlSession? _session;
    private ControlSession? _joining;
    private string? _locationFailure;
    private string? _obstacle;
    private Timestamp _registeredSince;
    private long _forgedBefore;
    private bool _saidWrongKey;

    /// <param name="node">The node.</param>
    /// <param name="options">The network to join.</param>
    /// <param name="lastAddresses">Addresses that the server leased last time; asked for again when nobody wants others.</param>
    /// <param name="prefixes">What the server may set on this node.</param>
    /// <param name="resolver">Looks up names.</param>
    public ServerConnection(
        Node node, ClientOptions options, IReadOnlyList<InterfaceAddress> lastAddresses, NetworkPrefixes prefixes, INameResolver resolver)
    {
        _node = node;
        _options = options;
        _prefixes = prefixes;
        NodeServices services = node.Services;
        _requested = options.RequestedAddresses.Count > 0 ? options.RequestedAddresses : [.. lastAddresses.Select(last => last.Address)];
        _obstacles = new LocalObstacles(services.Tun.Name);
        var locator = new ServerLocator(options.Servers, resolver, services.Transport.SupportsIPv6);
        _search = new ServerSearch(locator, node.Time, services.Jitter, node.Post, OnLocated);
        // Each server understands AEGIS-256, in software if need be; whether it prefers it, it tells in its first answer.
        _server = new Peer(options.ServerKey, node.Time)
        {
            IsServer = true,
            Owner = node.Thread,
            Rules = node.Rules,
            Frames = ControlFrameQuota.ForServer(node.Time),
            Name = "server",
            PreferredSuite = CipherSuite.Aegis256,
            KeyNumber = int.MaxValue,
        };
        KeptKeyNumber = node.NetworkKeys.Number;
        Link link = node.Links.Add(options.ServerKey, node.NetworkKeys);
        link.Owner = _server;
        _server.Link = link;
        node.State = TunnelState.Connecting;
        node.Sender.IsSilentTowards = IsSilentTowards;
    }

    /// <summary>
    /// Completes at the first registration, or when an admin has to approve it; fails when the server refuses, or the interface cannot be
    /// set up.
    /// </summary>
    public Task Connected => _connected.Task;

    /// <summary>The newest of the network's keys that a restart of this node would find, by its number.</summary>
    public int KeptKeyNumber { get; set; }

    /// <summary>How often the server was lost and found again.</summary>
    public int Reconnects { get; private set; }

    /// <summary>The server as a peer.</summary>
    public Peer Server => _server;

    /// <summary>The server's endpoints that are known.</summary>
    public IReadOnlyList<UdpEndpoint> Endpoints => _search.Candidates;

    /// <summary>True when this node tells of networks behind it once it is admitted.</summary>
    public bool OffersRoutes { get; set; }

    /// <summary>True while this node is admitted, and the server answers.</summary>
    public bool IsUp => _node.State == TunnelState.Up;

    /// <summary>Round trip to the server, null when it was not measured or there is none now.</summary>
    public TimeSpan? RoundTrip => IsUp ? _server.Monitor.RoundTrip : null;

    /// <summary>The registration that the server has taken; null when there is none.</summary>
    public ControlSession? Session => _session is { Registered: true } session ? session : null;

    /// <summary>True when the server answers what goes through it without a miss.</summary>
    public bool IsAlive => IsUp && _server.Monitor is { IsProven: true, Misses: 0 };

    private TunnelLog Log => _node.Log;

    private NodeServices Services => _node.Services;

    /// <summary>True from the server's word that it admits this node until <see cref="Find"/> or <see cref="Fail"/>.</summary>
    private bool IsJoining => _joining is not null && _joining == _session;

    /// <summary>What happened since this was last asked, in order.</summary>
    public bool TryTakeEvent(out ServerEvent taken)
    {
        while (_events.TryDequeue(out taken))
        {
            if (taken.Session is null || taken.Session == _session)
                return true;
        }

        return false;
    }

    /// <summary>The path through the server to a member.</summary>
    public PathAddress PathTo(Peer member) => new(_server.Path.Endpoint, member.MemberId);

    /// <summary>Sends a message to the server, if this node is admitted.</summary>
    public void Tell(ControlMessage message)
    {
        Session?.Send(message);
        _node.Hurry(_server);
    }

    /// <summary>Begins to look for the server.</summary>
    public void Connect()
    {
        _search.Begin();
        _node.Hurry(_server);
    }

    /// <summary>Says that this node stops. The server may have admitted it, and its answer be still under way.</summary>
    public void SayGoodbye() => _session?.Send(new LeaveMessage { Reason = LeaveReason.Stopped });

    /// <summary>A sentence for the person who waited too long for the server.</summary>
    public LightTunnelException Unreachable()
    {
        LightTunnelException reason = _search.Unreachable(
            isForged: _node.Links.Counters[LinkEvent.ResponseForged] > 0, _obstacles.Explain(_search.Candidates, _node.OwnAddresses),
            _node.LastError);
        return reason.Error != LightTunnelError.ServerUnreachable || !Services.IsClockBehind
            ? reason
            : new LightTunnelException(
                LightTunnelError.ServerUnreachable,
                $"{reason.Message} This machine's clock says {_node.Time.GetUtcNow():u}, but this tunnel ran at {Services.LastUsed:u} "
                    + "already: a server takes no handshake older than those it had.",
                "Set this machine's clock (Linux: timedatectl set-ntp true, Windows: w32tm /resync), and try again.");
    }

    /// <summary>
    /// While the server is looked for, each handshake goes to all its endpoints: the first answer decides (and moves the link there).
    /// False for all else.
    /// </summary>
    public bool TrySend(Link link, ReadOnlySpan<byte> datagram)
    {
        if (link != _server.Link || datagram[0] != HandshakeInitiation || _node.State == TunnelState.Up)
            return false;
        foreach (UdpEndpoint candidate in _search.Candidates)
        {
            _node.Sender.Datagram(
                new PathAddress(candidate) { IsUnproven = true }, datagram, question: new SendQuestion(SendQuestionKind.Obstacle));
        }
        return true;
    }

    /// <summary>What came of a handshake that was sent.</summary>
    public void OnSendReport(in SendReport report)
    {
        _obstacles.Note(report.Endpoint, report.Obstacle);
        NoteObstacle();
    }

    /// <summary>In a silence nothing goes to the server, nor through it: no answer, no probe for a member behind it.</summary>
    public bool IsSilentTowards(UdpEndpoint endpoint) => _search.IsSilent && _search.Candidates.Contains(endpoint);

    /// <summary>The link with the server has new keys.</summary>
    public void OnLinkUp()
    {
        if (_node.State is not (TunnelState.Up or TunnelState.Failed) && !IsJoining)
            Register();
    }

    /// <summary>The server did not answer a handshake.</summary>
    public void OnLinkLost() => Lose("The server did not answer the handshake.");

    /// <summary>A control frame of a conversation arrived.</summary>
    public void OnFrame(in ControlFrame frame)
    {
        ControlSession? session = _session;
        if (frame.Kind == ControlFrameKind.Reset)
        {
            if (_node.State == TunnelState.AwaitingApproval && _search.IsResting)
            {
                // An admin has decided.
                _search.Rest(TimeSpan.Zero);
                _node.Hurry(_server);
                return;
            }

            if (session is not { Registered: true } || (frame.Conversation != session.Conversation && frame.Conversation != 0))
                return;

            // It may refuse this node now, or fall silent: until it has admitted it again, it counts as lost.
            Lose("The server does not know this node any more.");
            Register();
            return;
        }

        if (session is null || session.Conversation != frame.Conversation)
            return;
        session.OnFrame(frame);
        // A message may end the conversation.
        while (_session == session && session.TryTakeMessage(out ControlMessage? message))
            OnMessage(message);
        _node.Hurry(_server);
    }

    /// <summary>The server answered a ping.</summary>
    public void OnAnswered()
    {
        if (_node.State != TunnelState.Reconnecting || Session is null || IsJoining)
            return;
        Find();
        _events.Enqueue(new ServerEvent(ServerEventKind.Found));
    }

    /// <summary>The server did not answer a ping in time.</summary>
    public void OnMissed()
    {
        if (_server.Monitor.IsLost(_node.Now))
            Lose("The server does not answer any more.");
    }

    /// <summary>At the end of a turn: what the server answers may not fit the network key, time and again.</summary>
    public void JudgeAnswers()
    {
        long forged = _node.Links.Counters[LinkEvent.ResponseForged];
        if (_node.State == TunnelState.Connecting && forged >= AnswersUntilKeyIsWrong)
        {
            Fail(Unreachable());
        }
        else if (_node.State == TunnelState.Reconnecting && !_saidWrongKey && forged - _forgedBefore >= AnswersUntilKeyIsWrong)
        {
            _saidWrongKey = true;
            _node.Notice(_search.Unreachable(isForged: true, local: null, lastError: null));
        }
    }

    /// <summary>Does what is due; returns when to call again.</summary>
    public Timestamp RunTimers(Timestamp now)
    {
        if (_session is { IsBroken: true })
        {
            Lose("The server takes nothing of what it is told.");
            Register();
        }

        if (now >= _search.NextAttempt)
        {
            bool registering = IsJoining || _session is { Registered: false } && now - _registeredSince < RegistrationTimeout;
            _search.Attempt(now, lookUp: !registering);
            if (_search.IsSilent)
                FallSilent();
        }
        else if (_search.IsSilent)
        {
            // Whatever was heard of the server meanwhile: data threads, too, send nothing to where it is.
            _server.Link!.Path = default;
        }

        Timestamp session = _session?.RunTimers(now) ?? Timestamp.Never;
        return Timestamp.Earliest(session, _node.RunLink(_server, now), _search.NextAttempt);
    }

    /// <summary>The machine may be in another network, or woke up: the server is asked at once, whether it still sees this node.</summary>
    public void Doubt()
    {
        _server.Monitor.Hurry();
        _node.Hurry(_server);
    }

    /// <summary>The machine is in another network.</summary>
    /// <param name="isCertain">True when nothing is to be trusted in any case.</param>
    public void OnElsewhere(bool isCertain)
    {
        _server.PathMtu.Forget();
        if (isCertain && !_search.IsResting)
            _server.Link!.RequestHandshake(force: true);
        if (_search.IsActive)
            Connect();
    }

    /// <summary>The registration is taken: the server counts as found from now on.</summary>
    public void Find()
    {
        if (_node.State == TunnelState.Reconnecting)
        {
            Reconnects++;
            Log.Information("The server is back at {Endpoint}", _server.Path.Endpoint);
        }

        _joining = null;
        _node.State = TunnelState.Up;
        _node.LastError = _locationFailure = _obstacle = null;
        _search.End();
        _server.Updated = _node.Time.GetUtcNow();
        _node.Hurry(_server);
    }

    /// <summary>Nothing more went wrong with a registration: whoever waits for it is told.</summary>
    public void Complete(RegisteredMessage registered)
    {
        _requested = [.. registered.Addresses.Select(own => own.Address)];
        _connected.TrySetResult();
    }

    /// <summary>
    /// The server has sent this node away, which keeps still for a while. False when it was not admitted yet, and gives up.
    /// </summary>
    /// <param name="reason">Why, for people.</param>
    /// <param name="duration">How long nothing is sent to the server.</param>
    public bool Rest(LightTunnelException reason, TimeSpan duration)
    {
        _session = null;
        _server.Monitor.Reset();
        if (_node.State == TunnelState.Connecting)
        {
            Fail(reason);
            return false;
        }

        Lose(reason.Message);
        _node.LastError = $"{reason.Message} {reason.RecommendedAction}";
        _search.Rest(duration);
        _server.Link!.Path = default;
        _node.Hurry(_server);
        return true;
    }

    /// <summary>
    /// What the server has told is forgotten: when it is found, it is to tell everything anew, also if it still takes this node for
    /// registered.
    /// </summary>
    public void ForgetRegistration()
    {
        _session = null;
        _server.Monitor.Reset();
    }

    /// <inheritdoc/>
    public void Dispose() => _search.Dispose();

    /// <summary>
    /// Whatever would go to the server, data for members behind it included, goes nowhere until the next attempt gives its link an
    /// endpoint again.
    /// </summary>
    private void FallSilent()
    {
        Log.Debug(
            "Nothing is sent to the server for {Silence}, so that routers forget what they know of the way there", ServerSearch.Silence);
        _server.Link!.Path = default;
        _events.Enqueue(new ServerEvent(ServerEventKind.FellSilent));
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
        LightTunnelException? found = _obstacles.Explain(_search.Candidates, _node.OwnAddresses);
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
        var session = new ControlSession(conversation, _node, _server);
        _session = session;
        _registeredSince = _node.Now;
        session.Send(new RegisterMessage
        {
            Name = _options.Name,
            RequestedAddresses = _requested,
            SoftwareVersion = SoftwareVersion.Text,
            System = SoftwareVersion.System,
            PreferredSuite = _node.PreferredSuite,
            AsksForMembers = true,
            Instance = _instance,
            Invitation = _options.Invitation,
            KnowsRules = true,
            KeyNumber = KeptKeyNumber,
            TakesKeys = true,
            OffersRoutes = OffersRoutes,
        });
        _node.Schedule(_server, _registeredSince);
    }

    private void OnMessage(ControlMessage message)
    {
        switch (message)
        {
            case RegisteredMessage registered:
                OnRegistered(registered);
                break;
            case RefusedMessage refused:
                OnRefused(refused);
                break;
            case LeaveMessage { Reason: LeaveReason.Replaced }:
                _events.Enqueue(new ServerEvent(ServerEventKind.Replaced, Session: _session));
                break;
            case LeaveMessage { Reason: LeaveReason.Blocked or LeaveReason.Expired }:
                _events.Enqueue(new ServerEvent(ServerEventKind.Excluded, message, _session));
                break;
            case LeaveMessage leave:
                // It has forgotten this conversation: what was true of it, and answers that are still under way, say nothing of the
                // server any more.
                _session = null;
                _server.Monitor.Reset();
                Lose($"The server said goodbye ({leave.Reason}).");
                break;
            default:
                if (_events.Count >= MostEvents)
                {
                    // It tells more than this node takes while its interface is set up: from the beginning again.
                    _events.Clear();
                    Register();
                    break;
                }

                _events.Enqueue(new ServerEvent(ServerEventKind.Message, message, _session));
                break;
        }
    }

    private void OnRegistered(RegisteredMessage registered)
    {
        if (_session!.Registered)
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
                $"The server is reached at {_server.Path.Endpoint}, which lies inside the tunnel's own network {around.Prefix}: "
                + "the tunnel would have to carry itself.",
                "Give the network another prefix (Start-LtServer -Address), or the server another endpoint."), LeaveReason.Unusable);
            return;
        }

        if (_prefixes.Take(registered) is { } refusal)
        {
            Log.Security(SecurityEvent.PrefixRefused, _server.Key.ToString(), refusal.Message);
            Fail(refusal, LeaveReason.Unusable);
            return;
        }

        _session.Registered = true;
        _joining = _session;
        _server.Monitor.Reset(); // Probes that the old path swallowed say nothing of the new one.
        _events.Enqueue(new ServerEvent(ServerEventKind.Registered, registered, _session));
    }

    private void OnRefused(RefusedMessage refused)
    {
        if (refused.Reason is RefusalReason.AddressTaken or RefusalReason.AddressUnusable && _options.RequestedAddresses.Count == 0
            && _requested.Count > 0)
        {
            // Only what it had last time is gone: any other address will do.
            _requested = [];
            Register();
        }
        else if (refused.Reason == RefusalReason.MembershipExpired)
        {
            Rest(refused.ToException(), DeniedInterval);
        }
        else if (refused.Reason is RefusalReason.AwaitingApproval or RefusalReason.Denied)
        {
            Await(refused.ToException(), refused.Reason == RefusalReason.Denied ? DeniedInterval : AskInterval);
        }
        else
        {
            Fail(refused.ToException());
        }
    }

    /// <summary>An admin has to approve this node, or has denied it: it asks again, and is called when that has changed.</summary>
    private void Await(LightTunnelException reason, TimeSpan interval)
    {
        string text = $"{reason.Message} {reason.RecommendedAction}";
        if (_node.State is TunnelState.Up or TunnelState.Reconnecting)
            _events.Enqueue(new ServerEvent(ServerEventKind.AwaitsApproval));
        if (_node.LastError != text)
            Log.Warning("{Reason} {Remedy}", reason.Message, reason.RecommendedAction);
        _node.State = TunnelState.AwaitingApproval;
        _node.LastError = text;
        _session = _joining = null;
        _server.Monitor.Reset();
        _server.Updated = _node.Time.GetUtcNow();
        _search.Rest(interval);
        _server.Link!.Path = default;
        _node.Hurry(_server);
        _connected.TrySetResult(); // There is nothing that whoever waits for it could do but wait.
    }

    private void Lose(string why)
    {
        if (_node.State != TunnelState.Up)
            return;
        _node.State = TunnelState.Reconnecting;
        _node.LastError = why;
        (_forgedBefore, _saidWrongKey) = (_node.Links.Counters[LinkEvent.ResponseForged], false);
        _server.Updated = _node.Time.GetUtcNow();
        Log.Warning("{Reason} Trying again until it does", why);
        Connect();
    }

    /// <summary>Not admitted. Whoever waits to join is told; a node that was in the network goes on trying, and says so once.</summary>
    public void Fail(LightTunnelException exception, LeaveReason reason = LeaveReason.Stopped)
    {
        // A server that has admitted this node would list it as online until it misses it, and keep addresses for it that it cannot use.
        _session?.Send(new LeaveMessage { Reason = reason });
        _session = null;
        if (_node.State == TunnelState.Connecting)
        {
            _node.State = TunnelState.Failed;
            _search.End();
            Log.Error(null, "{Reason}", exception.Message);
            _connected.TrySetException(exception);
        }
        else if (exception.Message != _node.LastError)
        {
            if (_node.State == TunnelState.Up)
            {
                _node.State = TunnelState.Reconnecting;
                Connect();
            }

            Log.Warning("{Reason} {Remedy} Trying again until it works", exception.Message, exception.RecommendedAction);
        }

        _node.LastError = exception.Message;
    }
}
