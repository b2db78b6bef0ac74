using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>
/// One node: the control loop's turn, and what a server and a client have in common of it. There are no threads in here and nothing is
/// sent, so a test can run a whole network by hand. What is a server's or a client's own is its <see cref="Role"/>.
/// <para>
/// Data threads meet it in <see cref="Plane"/> alone, others by <see cref="Post"/> and <see cref="AskAsync"/>. All else belongs to the
/// control loop, whose turn (<see cref="RunTurn"/>) is, in this order:
/// </para>
/// <list type="number">
/// <item>What came of the last turn's outputs: of datagrams (<see cref="INodeRole.OnSendReport"/>), and sockets.</item>
/// <item>The clock: <see cref="INodeRole.OnClockJump"/> when the machine slept.</item>
/// <item>Links do what is due and tell of themselves (<see cref="LinkOutput"/>): handshakes to send; new keys,
/// <see cref="INodeRole.OnLinkUp"/>, then the packets that waited for them; keys that are lost,
/// <see cref="INodeRole.OnLinkLost"/>.</item>
/// <item>Commands: what was posted, answers of the system and of the store among them.</item>
/// <item>The inbox: handshakes (<see cref="INodeRole.OnHandshake"/>), probes (<see cref="INodeRole.OnProbe"/>), control frames
/// (pings here, others <see cref="INodeRole.OnFrame"/>), packets that wait for a link (<see cref="INodeRole.OnLinkWanted"/>). When more
/// waits than one turn takes, the next turn follows at once.</item>
/// <item>Links once more, then the timers of peers that are due: <see cref="INodeRole.RunTimers"/>, and in it <see cref="RunLink"/>; what
/// changed of a peer is published to the data threads.</item>
/// <item>Tests, then <see cref="INodeRole.FinishTurn"/>, networks behind nodes, the interface, the journal.</item>
/// </list>
/// <para>Then whoever runs the turn carries out what it wants done: <see cref="Outputs"/>.</para>
/// </summary>
internal sealed class Node : IDisposable
{
    /// <summary>Things that one turn takes out of the inbox, so that what is sent because of them does not wait for all of them.</summary>
    private const int MaximumTaken = 256;

    /// <summary>The wall clock is off the other one by more than this: the machine slept, or somebody set the clock.</summary>
    private static readonly TimeSpan ClockJump = TimeSpan.FromSeconds(5);

    private IReadOnlyList<PrefixPair> _mapped = [];
    private readonly ConcurrentQueue<Action> _commands = new();
    private readonly DeadlineQueue _timers = new();
    private readonly InterfaceUpkeep _interface;
    private readonly LinkUpkeep _upkeep;
    private readonly NodeTests _tests = new();
    private readonly Timestamp _started;
    private DateTimeOffset _wallAtStart;
    private volatile Action? _wake;

    /// <param name="identity">The node's key pair; not owned.</param>
    /// <param name="networkKeys">The network's keys; not owned.</param>
    /// <param name="cipher">Which suites are used.</param>
    /// <param name="services">What the node stands on.</param>
    /// <param name="role">Makes it a server or a client.</param>
    public Node(PrivateKey identity, PresharedKeyRing networkKeys, CipherPolicy cipher, NodeServices services, Func<Node, INodeRole> role)
    {
        Services = services;
        NetworkKeys = networkKeys;
        _started = services.Time.Now();
        _wallAtStart = services.Time.GetUtcNow();
        Unproven = new UnprovenBudget(services.Time, services.Jitter);
        Links = new LinkTable(identity, services.Time, Wake, services.Jitter)
        {
            PreferredSuite = cipher == CipherPolicy.Auto && services.HasAesInstructions ? CipherSuite.Aegis256 : CipherSuite.WireGuard,
            Proven = Unproven.Proven,
            LastUsed = services.LastUsed is { } used ? Tai64n.Next(used, default) : default,
        };
        Plane = new DataPlane(services.Time, services.Log, Links, Wake);
        Plane.PublishOuterPorts([services.Transport.LocalPort]);
        Rules = new NodeAccessRules(services.Time, () => (ulong)services.Jitter.NextInt64());
        Sender = new ControlSender(Plane, Unproven, Outputs, Thread);
        _upkeep = new LinkUpkeep(services, Plane, Sender, Outputs, Unproven, _tests);
        _interface = new InterfaceUpkeep(services, Outputs, Post);
        Subnets = new SubnetRoutes(this);
        Journal = new RouteJournal(services.Log.Tunnel, services.Time, peer => Role?.Via(peer));
        Role = role(this);
        Plane.Relay = Role;
        _interface.Begin();
    }

    /// <summary>Who owns all this.</summary>
    public ControlThread Thread { get; } = new();

    /// <summary>Server or client.</summary>
    public INodeRole Role { get; }

    /// <summary>The border to the data threads.</summary>
    public DataPlane Plane { get; }

    /// <summary>What the turn wants done.</summary>
    public TurnOutputs Outputs { get; } = new();

    /// <summary>All that is sent.</summary>
    public ControlSender Sender { get; }

    /// <summary>All links, and the way to open what they carry.</summary>
    public LinkTable Links { get; }

    /// <summary>What changed, for whoever watches.</summary>
    public RouteJournal Journal { get; }

    /// <summary>How much may go to whom may not exist, and who has shown to be where.</summary>
    public UnprovenBudget Unproven { get; }

    /// <summary>Networks behind nodes.</summary>
    public SubnetRoutes Subnets { get; }

    /// <summary>The access rules in effect here.</summary>
    public NodeAccessRules Rules { get; }

    /// <summary>What this node stands on.</summary>
    public NodeServices Services { get; }

    /// <summary>The network's keys, of which one is mixed into every handshake.</summary>
    public PresharedKeyRing NetworkKeys { get; }

    /// <summary>The suite that this node uses with nodes that prefer it too; with all others it uses WireGuard's.</summary>
    public CipherSuite PreferredSuite => Links.PreferredSuite;

    /// <summary>The clock.</summary>
    public TimeProvider Time => Services.Time;

    /// <summary>The present.</summary>
    public Timestamp Now => Time.Now();

    /// <summary>The tunnel's log.</summary>
    public TunnelLog Log => Services.Log;

    /// <summary>Every peer that is known, the server included.</summary>
    public IEnumerable<Peer> Peers => Role.Peers;

    /// <summary>What data threads place inner packets by.</summary>
    public ForwardingTable Forwarding
    {
        get => Plane.Forwarding;
        set
        {
            Thread.Assert();
            bool isElsewhere = value.OwnAddresses != Plane.Forwarding.OwnAddresses;
            Plane.Forwarding = value;
            if (isElsewhere && _mapped.Count > 0)
                MapNetworks(_mapped);
        }
    }

    /// <summary>
    /// Has networks behind this node be others to members, but for those that have addresses of the tunnel's own network: what is for this
    /// node itself would be mapped with them.
    /// </summary>
    public void MapNetworks(IReadOnlyList<PrefixPair> pairs)
    {
        _mapped = pairs;
        Plane.Mapping = PrefixMapping.Create(pairs.Where(pair =>
            !Forwarding.OwnAddresses.Any(own => own.Prefix.Overlaps(pair.Real) || own.Prefix.Overlaps(pair.As))));
    }

    /// <summary>This node's id in relay headers, 0 until the server gave one.</summary>
    public uint MemberId
    {
        get => Plane.MemberId;
        set => Plane.MemberId = value;
    }

    /// <summary>Where the node stands in its network. Its role's to change.</summary>
    public TunnelState State { get; set; } = TunnelState.Up;

    /// <summary>Where the node stands, for people: what the system does with its interface included.</summary>
    public TunnelState ShownState => State == TunnelState.Up && _interface.Problem is not null ? TunnelState.Impaired : State;

    /// <summary>The last thing that went wrong in the network, or null. Its role's to change.</summary>
    public string? LastError { get; set; }

    /// <summary>The last thing that went wrong, for people, or null.</summary>
    public string? ShownError => State == TunnelState.Up ? _interface.Problem ?? LastError : LastError ?? _interface.Problem;

    /// <summary>Called, from any thread, when <see cref="RunTurn"/> has something to do.</summary>
    public Action? Woken
    {
        get => _wake;
        set => _wake = value;
    }

    /// <summary>Runs an action on the control loop; any thread.</summary>
    public void Post(Action command)
    {
        _commands.Enqueue(command);
        Wake();
    }

    /// <summary>
    /// Runs a function on the control loop and gives its result once all that it led to is under way; any thread but the control loop's.
    /// </summary>
    public Task<T> AskAsync<T>(Func<T> question)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(() =>
        {
            try
            {
                T result = question();
                Outputs.Answer(() => answer.SetResult(result));
            }
            catch (Exception exception) when (exception is not OutOfMemoryException)
            {
                Outputs.Answer(() => answer.SetException(exception));
            }
        });
        return answer.Task;
    }

    /// <summary>
    /// Has something asked that may wait for the system, beside the control loop, which is given the answer. An exception ends the loop.
    /// </summary>
    public void Ask<T>(Func<T> question, Action<T> then) => Outputs.Ask(() =>
    {
        try
        {
            T answer = question();
            Post(() => then(answer));
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            var failure = ExceptionDispatchInfo.Capture(exception);
            Post(failure.Throw);
        }
    });

    /// <summary>Does everything that waits or is due. The order is said above.</summary>
    /// <returns>When to call again at the latest, once <see cref="Outputs"/> are carried out.</returns>
    public Timestamp RunTurn()
    {
        Thread.Assert();
        TakeReports();
        Outputs.TakeNews();
        LookAtClock();
        // First, as a link must have its owner before what came through it is looked at.
        RunLinks();
        while (_commands.TryDequeue(out Action? command))
            command();

        bool hasMore = true;
        for (int budget = MaximumTaken; budget > 0 && hasMore; budget--)
        {
            hasMore = Plane.Inbox.TryTake(out InboxItem item);
            if (!hasMore)
                break;
            Handle(item);
            TakeLinkOutputs();
            Plane.Inbox.Return(item);
        }

        Timestamp next = RunLinks();
        Timestamp now = Now;
        while (_timers.Earliest <= now)
        {
            var peer = (Peer)_timers.Peek();
            _timers.Remove(peer);
            Journal.NoteIfKnown(peer);
            Schedule(peer, Role.RunTimers(peer, now));
            peer.Publish();
        }

        next = Timestamp.Earliest(next, _tests.Run(now));
        next = Timestamp.Earliest(next, Role.FinishTurn(now));
        next = Timestamp.Earliest(next, Subnets.Run(now));
        next = Timestamp.Earliest(next, _interface.Run(now));
        hasMore |= TakeLinkOutputs();
        Journal.FinishTurn(ShownState, ShownError);
        next = Timestamp.Earliest(next, _timers.Earliest);
        return _commands.IsEmpty && !hasMore ? next : now;
    }

    /// <summary>Takes note of something that the node copes with and its admin should know.</summary>
    public void Notice(LightTunnelException notice)
    {
        LastError = $"{notice.Message} {notice.RecommendedAction}";
        Log.Warning("{Reason} {Remedy}", notice.Message, notice.RecommendedAction);
    }

    /// <summary>The machine's own addresses, as they were told last.</summary>
    public IReadOnlyList<LocalAddressInfo> OwnAddresses { get; private set; } = [];

    /// <summary>Takes note of the machine's own addresses.</summary>
    public void TakeOwnAddresses(IReadOnlyList<LocalAddressInfo> addresses)
    {
        if (!OwnAddresses.SequenceEqual(addresses))
            Subnets.Refresh();
        OwnAddresses = addresses;
        Unproven.Neighbourhood = HostCandidates.Networks(addresses);
        _upkeep.TakeOwnAddresses(addresses);
    }

    /// <summary>Has the peer's timers run at that time, or earlier if that was planned.</summary>
    public void Schedule(Peer peer, Timestamp due)
    {
        Thread.Assert();
        if (due < peer.Deadline)
            _timers.Set(peer, due);
    }

    /// <summary>Has the peer's timers run in this turn, or at once in the next.</summary>
    public void Hurry(Peer peer) => Schedule(peer, Now);

    /// <summary>
    /// What a link needs now and then, whoever is at its far end: pings, a measured MTU, stripes. Returns when to call again.
    /// </summary>
    public Timestamp RunLink(Peer peer, Timestamp now)
    {
        if (peer.Link is not { HasSession: true } link)
            return Timestamp.Never;
        Timestamp next = _upkeep.Run(peer, link, Role.IsProbed(peer, now), now, out bool missed);
        if (missed)
            Role.OnMissed(peer);
        return next;
    }

    /// <summary>Other access rules hold here from now on: the very next packet is held against them.</summary>
    public void TakeRules(NodeRules rules)
    {
        Thread.Assert();
        if (!Rules.Take(rules))
            return;
        foreach (Peer peer in Peers)
            peer.Publish();
    }

    /// <summary>Other networks lie behind this node from now on, as access rules see it.</summary>
    public void TakeBehind(IReadOnlyList<IpPrefix> behind)
    {
        Thread.Assert();
        if (!Rules.TakeBehind(behind, [.. Forwarding.OwnAddresses.Select(own => own.Prefix)]))
            return;
        foreach (Peer peer in Peers)
            peer.Publish();
    }

    /// <summary>True when a packet that was read before anybody knew whose it is may go to a peer.</summary>
    public bool MayPass(Peer peer, ReadOnlySpan<byte> packet)
    {
        FlowKey last = default;
        return peer.Route.Access is not { } access
            || (IpPacket.TryParse(packet, out IpPacketInfo info) && access.Admits(packet, info, isInbound: false, Now, ref last));
    }

    /// <summary>Publishes a route to each address of the peer.</summary>
    public void AddRoutes(Peer peer) => Forwarding = Forwarding.With(peer.Prefixes, peer);

    /// <summary>Takes the routes to the peer's addresses back.</summary>
    public void RemoveRoutes(Peer peer) => Forwarding = Forwarding.Without(peer.Prefixes, peer);

    /// <summary>Sends a packet to the peer, or keeps it until there is a link. A place for it was reserved.</summary>
    public void Stage(Peer peer, ReadOnlySpan<byte> packet)
    {
        if (!peer.Online)
        {
            peer.ReleaseStaged();
            return;
        }

        // Also what waits for keys is traffic: a path that swallows the handshake must not pass for idle.
        Plane.NoteTraffic(peer, Now);
        peer.Staged.Enqueue(packet.ToArray());
        if (peer.Link is { HasSession: true } link)
            FlushStaged(peer, link);
        else
            Role.OnLinkWanted(peer);
    }

    /// <summary>Forgets the packets that wait for the peer's link.</summary>
    public static void DropStaged(Peer peer)
    {
        while (peer.Staged.TryDequeue(out _))
            peer.ReleaseStaged();
    }

    /// <summary>Begins a test.</summary>
    public void Begin(NodeTest test)
    {
        _tests.Add(test);
        Wake();
    }

    /// <summary>Has the peer's link set up, if it is not.</summary>
    public void WantLink(Peer peer)
    {
        if (peer.Link is not { HasSession: true })
            Role.OnLinkWanted(peer);
    }

    /// <summary>Sends a ping of a test, by the path that the peer's link takes; lost when the link has no keys.</summary>
    /// <returns>What the pong is known by.</returns>
    public uint SendPing(Peer peer) => _upkeep.SendTestPing(peer);

    /// <summary>
    /// Sends a ping of a test that nobody on its way may cut in pieces, nor its pong. When it is too long for this machine's own network,
    /// the test is told (<see cref="NodeTest.OnTooLong"/>).
    /// </summary>
    /// <param name="peer">Whom to ask.</param>
    /// <param name="length">Length of the ping as an inner packet, bytes; the pong is as long, but no longer than a control frame.</param>
    /// <returns>What the pong is known by.</returns>
    public uint SendLongPing(Peer peer, int length) => _upkeep.SendLongTestPing(peer, length);

    /// <inheritdoc/>
    public void Dispose()
    {
        Role.Dispose();
        Links.Dispose();
    }

    /// <summary>Has <see cref="RunTurn"/> called soon; any thread.</summary>
    public void Wake() => _wake?.Invoke();

    /// <summary>Has links do what is due, until nothing comes of it; returns when to call again.</summary>
    private Timestamp RunLinks()
    {
        Timestamp next;
        do
            next = Links.RunTimers();
        while (TakeLinkOutputs());
        return next;
    }

    private bool TakeLinkOutputs()
    {
        bool any = false;
        while (Links.TryTakeOutput(out LinkOutput output))
        {
            any = true;
            switch (output.Kind)
            {
                case LinkOutputKind.Message when !Role.TrySend(output.Link!, output.Datagram):
                    PathAddress path = output.Link!.Path;
                    output.Link.NoteSent(output.Datagram, path);
                    Sender.Datagram(path, output.Datagram);
                    break;
                case LinkOutputKind.Reply:
                    Sender.Datagram(output.Destination, output.Datagram);
                    break;
                case LinkOutputKind.SessionEstablished:
                    OnSessionEstablished(output.Link!);
                    if (!output.Link!.IsRemoved)
                        output.Link.ConfirmKeys();
                    break;
                case LinkOutputKind.SessionLost when output.Link!.Owner is Peer peer:
                    DropStaged(peer);
                    Role.OnLinkLost(peer);
                    break;
                case LinkOutputKind.PathDoubted when output.Link!.Owner is Peer peer:
                    _upkeep.AskWhetherThere(peer, output.Link);
                    break;
            }
        }

        return any;
    }

    private void OnSessionEstablished(Link link)
    {
        if (link.ProvenEndpoint is { IsSpecified: true } proven)
            Unproven.Proven.Add(proven);
        if (Role.OnLinkUp(link) is not { } peer)
            return;
        FlushStaged(peer, link);
        peer.Stripes?.TellAgain();
        Hurry(peer);
    }

    private void TakeReports()
    {
        foreach (SendReport report in Outputs.Reports)
        {
            if (report.Question is { Kind: SendQuestionKind.Whole, Peer: { } peer } question)
            {
                if (_upkeep.OnTooLong(peer, question.Transaction))
                    Hurry(peer);
            }
            else
            {
                Role.OnSendReport(report);
            }
        }

        Outputs.ForgetReports();
    }

    /// <summary>The clock that timestamps come from stands still while the machine sleeps, the wall clock does not.</summary>
    private void LookAtClock()
    {
        TimeSpan jump = Time.GetUtcNow() - _wallAtStart - (Now - _started);
        if (jump.Duration() < ClockJump)
            return;
        _wallAtStart += jump;
        Role.OnClockJump(jump);
    }

    private void Handle(in InboxItem item)
    {
        switch (item.Kind)
        {
            case InboxKind.Handshake:
                Role.OnHandshake(item.Bytes, item.Source);
                break;
            case InboxKind.Probe:
                Role.OnProbe(item.Bytes, item.Source);
                break;
            case InboxKind.ControlFrame:
                HandleFrame(item.Link!, item.Bytes, item.Source);
                break;
            case InboxKind.Staged when item.Target is Peer peer:
                Stage(peer, item.Bytes);
                break;
            case InboxKind.Staged:
                Role.OnPacketForUnknown(item.Target!, item.Bytes);
                break;
            case InboxKind.UnknownSource:
                Role.OnPacketOfUnknown(item.Bytes);
                break;
            case InboxKind.TrafficStarted when item.Target is Peer peer:
                Hurry(peer);
                break;
        }
    }

    private void HandleFrame(Link link, ReadOnlySpan<byte> content, in PathAddress source)
    {
        if (link.Owner is null)
            RunLinks(); // Its first message under new keys: the link tells of itself there.
        if (link.IsRemoved || link.Owner is not Peer peer || !ControlFrame.TryRead(content, out ControlFrame frame))
            return;

        switch (_upkeep.Take(peer, link, frame, source))
        {
            case FrameOutcome.Pinged:
                Role.OnPinged(peer);
                break;
            case FrameOutcome.Answered:
                Role.OnAnswered(peer);
                break;
            case FrameOutcome.Due:
                Hurry(peer);
                break;
            case FrameOutcome.Unknown:
                Role.OnFrame(peer, frame);
                break;
        }
    }

    private void FlushStaged(Peer peer, Link link)
    {
        if (peer.Staged.Count == 0)
            return;
        Span<byte> datagram = new byte[peer.Staged.Max(packet => packet.Length) + PacketBatch.Headroom];
        while (peer.Staged.TryPeek(out byte[]? packet) && link.SealCopy(packet, datagram, peer.Mtu, out int written) == SealResult.Sealed)
        {
            peer.Staged.Dequeue();
            peer.ReleaseStaged();
            Sender.Datagram(link.Path, datagram[..written]);
            Plane.NoteTraffic(peer, Now);
        }
    }
}
