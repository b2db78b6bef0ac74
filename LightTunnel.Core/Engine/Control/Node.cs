using System.Collections.Concurrent;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.PortMapping;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Tun;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>What a node stands on; replaced piece by piece in tests.</summary>
/// <param name="Time">The clock.</param>
/// <param name="Tun">The virtual interface.</param>
/// <param name="Transport">The UDP socket.</param>
/// <param name="Log">The tunnel's log.</param>
internal sealed record NodeServices(TimeProvider Time, ITunDevice Tun, IDatagramTransport Transport, TunnelLog Log)
{
    /// <summary>Clocks of files may be a little ahead.</summary>
    private static readonly TimeSpan ClockTolerance = TimeSpan.FromSeconds(2);

    private readonly Timestamp _made = Time.Now();
    private readonly DateTimeOffset _wallWhenMade = Time.GetUtcNow();

    /// <summary>What the jitter of waiting times comes from, never a secret; the control loop's alone when it is not the shared one.</summary>
    public Random Jitter { get; init; } = Random.Shared;

    /// <summary>Has the router forward a port to the node; a client's.</summary>
    public IPortMapper PortMapper { get; init; } = new NoPortMapper();

    /// <summary>When the node's identity was in use before, by the clock of that time; null when it was not, or nobody knows.</summary>
    public DateTimeOffset? LastUsed { get; init; }

    /// <summary>The time, but never earlier than before, wherever the clock is set: what tells others that something is new.</summary>
    public DateTimeOffset RisingNow
    {
        get
        {
            DateTimeOffset now = Time.GetUtcNow();
            DateTimeOffset rising = (LastUsed > _wallWhenMade ? LastUsed.Value : _wallWhenMade) + (Time.Now() - _made);
            return now > rising ? now : rising;
        }
    }

    /// <summary>True when the clock is behind the time at which the identity was in use already: it was set back, and others may take handshakes for old ones.</summary>
    public bool IsClockBehind => LastUsed - Time.GetUtcNow() > ClockTolerance;

    /// <summary>Runs what may wait for the system, beside the control loop.</summary>
    public Action<Action> Background { get; init; } = work => ThreadPool.UnsafeQueueUserWorkItem(static work => work(), work, preferLocal: false);

    /// <summary>True when this machine's processor is fast at AEGIS-256.</summary>
    public bool HasAesInstructions { get; init; } = Sodium.HasAesInstructions;
}

/// <summary>
/// What a server and a client have in common: links, peers, forwarding, timers. Three doors lead in: <see cref="OutboundPath"/> and
/// <see cref="InboundPath"/> for the data threads, and <see cref="RunControl"/> for the control loop, which owns everything mutable.
/// There are no threads in here, so a test can run a whole network by hand.
/// </summary>
internal abstract partial class Node : ILinkHost, IRelayRules, IDisposable
{
    /// <summary>The wall clock is off the other one by more than this: the machine slept, or somebody set the clock.</summary>
    private static readonly TimeSpan ClockJump = TimeSpan.FromSeconds(5);

    /// <summary>A client's link that carried nothing for this long is not probed any more.</summary>
    private static readonly TimeSpan LinkAsleepAfter = TimeSpan.FromSeconds(60);

    private readonly ConcurrentQueue<Action> _commands = new();
    private readonly DeadlineQueue _timers = new();
    private readonly InterfaceUpkeep _interface;
    private readonly Timestamp _started;
    private DateTimeOffset _wallAtStart;
    private volatile Action? _wake;

    protected Node(PrivateKey identity, PresharedKey networkKey, CipherPolicy cipher, NodeServices services)
    {
        Services = services;
        OuterPort = services.Transport.LocalPort;
        NetworkKey = networkKey;
        PreferredSuite = cipher == CipherPolicy.Auto && services.HasAesInstructions ? CipherSuite.Aegis256 : CipherSuite.WireGuard;
        _started = services.Time.Now();
        _wallAtStart = services.Time.GetUtcNow();
        Unproven = new UnprovenBudget(services.Time, services.Jitter);
        Journal = new RouteJournal(services.Log.Tunnel, services.Time, Via);
        Links = new LinkTable(identity, services.Time, this, services.Jitter) { LastUsed = services.LastUsed is { } used ? Tai64n.Next(used, default) : default };
        Plane = new DataPlane(services.Time, services.Log, Links, this, Wake) { OuterPorts = [services.Transport.LocalPort] };
        _interface = new InterfaceUpkeep(services, Post);
        _interface.Begin();
    }

    /// <summary>The border to the data threads.</summary>
    public DataPlane Plane { get; }

    /// <summary>The present.</summary>
    public Timestamp Now => Time.Now();

    /// <summary>What changed, for whoever watches.</summary>
    public RouteJournal Journal { get; }

    /// <summary>Where the node stands in its network.</summary>
    public TunnelState State { get; protected set; } = TunnelState.Up;

    /// <summary>Where the node stands, for people: what the system does with its interface included.</summary>
    public TunnelState ShownState => State == TunnelState.Up && _interface.Problem is not null ? TunnelState.Impaired : State;

    /// <summary>The last thing that went wrong in the network, or null.</summary>
    public string? LastError { get; protected set; }

    /// <summary>The last thing that went wrong, for people, or null.</summary>
    public string? ShownError => State == TunnelState.Up ? _interface.Problem ?? LastError : LastError ?? _interface.Problem;

    /// <summary>Takes note of something that the node copes with and its admin should know.</summary>
    public void Notice(LightTunnelException notice)
    {
        LastError = $"{notice.Message} {notice.RecommendedAction}";
        Log.Warning("{Reason} {Remedy}", notice.Message, notice.RecommendedAction);
    }

    /// <summary>All links, and the way to open what they carry.</summary>
    public LinkTable Links { get; }

    /// <summary>What data threads place inner packets by.</summary>
    public ForwardingTable Forwarding
    {
        get => Plane.Forwarding;
        protected set => Plane.Forwarding = value;
    }

    /// <summary>This node's id in relay headers, 0 until the server gave one.</summary>
    public uint MemberId
    {
        get => Plane.MemberId;
        protected set => Plane.MemberId = value;
    }

    /// <summary>The UDP port of this node's datagrams outside.</summary>
    public int OuterPort { get; }

    /// <summary>Called, from any thread, when <see cref="RunControl"/> has something to do.</summary>
    public Action? Woken
    {
        get => _wake;
        set => _wake = value;
    }

    /// <summary>How much may go to whom may not exist.</summary>
    protected UnprovenBudget Unproven { get; }

    /// <summary>What this node stands on.</summary>
    protected NodeServices Services { get; }

    /// <summary>The clock.</summary>
    public TimeProvider Time => Services.Time;

    /// <summary>The tunnel's log.</summary>
    protected TunnelLog Log => Services.Log;

    /// <summary>The network's key, mixed into every handshake.</summary>
    protected PresharedKey NetworkKey { get; }

    /// <summary>The suite that this node uses with nodes that prefer it too; with all others it uses WireGuard's.</summary>
    protected CipherSuite PreferredSuite { get; }

    /// <summary>Every peer that is known, the server included.</summary>
    public abstract IEnumerable<Peer> Peers { get; }

    /// <summary>Runs an action on the control loop; any thread.</summary>
    public void Post(Action command)
    {
        _commands.Enqueue(command);
        Wake();
    }

    /// <summary>Runs a function on the control loop and gives its result; any thread but the control loop's.</summary>
    public Task<T> AskAsync<T>(Func<T> question)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(() =>
        {
            try
            {
                answer.SetResult(question());
            }
            catch (Exception exception) when (exception is not OutOfMemoryException)
            {
                answer.SetException(exception);
            }
        });
        return answer.Task;
    }

    /// <summary>Does everything that waits or is due, and returns when to call again at the latest.</summary>
    public Timestamp RunControl()
    {
        LookAtClock();
        // First, as a link must have its owner before what came through it is looked at.
        Links.RunTimers();
        while (_commands.TryDequeue(out Action? command))
            command();

        for (int budget = DataPlane.InboxCapacity; budget > 0 && Plane.Inbox.TryTake(out InboxItem item); budget--)
        {
            Handle(item);
            Plane.Inbox.Return(item);
        }

        Timestamp next = Links.RunTimers();
        Timestamp now = Time.Now();
        while (_timers.Earliest <= now)
        {
            var peer = (Peer)_timers.Peek();
            _timers.Remove(peer);
            Journal.NoteIfKnown(peer);
            Schedule(peer, RunTimers(peer, now));
            peer.Publish();
        }

        next = Timestamp.Earliest(next, _tests.Run(now));
        next = Timestamp.Earliest(next, FinishTurn(now));
        next = Timestamp.Earliest(next, _interface.Run(now));
        Journal.FinishTurn(ShownState, ShownError);
        next = Timestamp.Earliest(next, _timers.Earliest);
        return _commands.IsEmpty ? next : now;
    }

    /// <inheritdoc/>
    public abstract bool IsRelay(in PathAddress sender);

    /// <inheritdoc/>
    public abstract bool TryFindTarget(in RelayHeader header, in PathAddress sender, out PathAddress destination);

    /// <inheritdoc/>
    public abstract void NoteRelayed(in RelayHeader header);

    /// <summary>Tells whoever should know that this node stops; control loop.</summary>
    public abstract void SayGoodbye();

    /// <summary>Hands out what is still to be saved; after the threads have ended.</summary>
    public virtual void FinishState()
    {
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        Links.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <inheritdoc/>
    public virtual void Send(Link link, ReadOnlySpan<byte> datagram) => SendBy(link.Path, datagram);

    /// <inheritdoc/>
    public void Reply(in PathAddress destination, ReadOnlySpan<byte> datagram) => SendBy(destination, datagram);

    /// <inheritdoc/>
    public bool IsProven(in PathAddress source) => source.IsRelayed || Unproven.Proven.Contains(source.Endpoint);

    /// <inheritdoc/>
    public void PathDoubted(Link link)
    {
        if (link.Owner is Peer peer)
            AskWhetherThere(peer, link);
    }

    /// <inheritdoc/>
    public abstract bool TryAdmit(in PublicKey initiator, in PathAddress source, out PresharedKey? presharedKey);

    /// <inheritdoc/>
    public CipherSuite SuiteFor(Link link) => link.Owner is Peer peer && peer.PreferredSuite == PreferredSuite ? PreferredSuite : CipherSuite.WireGuard;

    /// <inheritdoc/>
    public void SessionEstablished(Link link)
    {
        if (link.ProvenEndpoint is { IsSpecified: true } proven)
            Unproven.Proven.Add(proven);
        Peer? peer = OnLinkUp(link);
        if (peer is null)
            return;
        FlushStaged(peer, link);
        peer.Stripes?.TellAgain();
        Schedule(peer, Time.Now());
    }

    /// <inheritdoc/>
    public void SessionLost(Link link)
    {
        if (link.Owner is not Peer peer)
            return;
        DropStaged(peer);
        OnLinkLost(peer);
    }

    /// <inheritdoc/>
    public void Wake() => _wake?.Invoke();

    /// <summary>A link has (new) keys. Returns the peer at its far end, or null when the link was removed.</summary>
    protected abstract Peer? OnLinkUp(Link link);

    /// <summary>A link's handshake was given up, or its keys are too old.</summary>
    protected abstract void OnLinkLost(Peer peer);

    /// <summary>A control frame of a conversation arrived; ping and pong are dealt with already.</summary>
    protected abstract void OnFrame(Peer peer, in ControlFrame frame);

    /// <summary>A packet waits for a link to the peer: make one, and start its handshake.</summary>
    protected abstract void OnLinkWanted(Peer peer);

    /// <summary>A probe or answer arrived from somewhere; nothing about it is authenticated yet.</summary>
    protected virtual void OnProbe(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
    }

    /// <summary>The peer answered a ping: it is there.</summary>
    protected virtual void OnAnswered(Peer peer)
    {
    }

    /// <summary>The peer did not answer a ping in time.</summary>
    protected virtual void OnMissed(Peer peer)
    {
    }

    /// <summary>True when the peer's path is to be probed now and then.</summary>
    protected virtual bool IsProbed(Peer peer, Timestamp now) =>
        peer.Online && now - peer.LastTraffic <= LinkAsleepAfter;

    /// <summary>The member through which this peer is reached, or null.</summary>
    public virtual Peer? Via(Peer peer) => null;

    /// <summary>Everything of one peer that is due; returns when to call again.</summary>
    protected virtual Timestamp RunTimers(Peer peer, Timestamp now)
    {
        Timestamp next = Timestamp.Never;
        if (peer.Session is { } session)
            next = session.RunTimers(now);
        if (peer.Link is not { HasSession: true } link)
            return next;
        next = Timestamp.Earliest(next, MeasureMtu(peer, link, now), RunStripes(peer, link, now));
        if (!IsProbed(peer, now))
            return next;

        int misses = peer.Monitor.Misses;
        if (peer.Monitor.RunTimers(now, peer.LastTraffic, out uint transaction, out Timestamp nextProbe))
            SendFrame(link, ProbeReport.Ping(transaction, peer.Monitor));
        if (peer.Monitor.Misses > misses)
            OnMissed(peer);
        return Timestamp.Earliest(next, nextProbe);
    }

    /// <summary>A handshake message arrived.</summary>
    protected virtual void HandleHandshake(ReadOnlySpan<byte> datagram, in PathAddress source) => Links.HandleHandshake(datagram, source);

    /// <summary>The end of a turn of the control loop, after all events; returns when to call again.</summary>
    protected virtual Timestamp FinishTurn(Timestamp now) => Timestamp.Never;

    /// <summary>Has the peer's timers run at that time, or earlier if that was planned.</summary>
    protected void Schedule(Peer peer, Timestamp due)
    {
        if (due < peer.Deadline)
            _timers.Set(peer, due);
    }

    /// <summary>Publishes a route to each address of the peer.</summary>
    protected void AddRoutes(Peer peer) => Forwarding = Forwarding.With(peer.Prefixes, peer);

    /// <summary>Takes the routes to the peer's addresses back.</summary>
    protected void RemoveRoutes(Peer peer) => Forwarding = Forwarding.Without(peer.Prefixes, peer);

    /// <summary>Forgets the packets that wait for the peer's link.</summary>
    protected static void DropStaged(Peer peer)
    {
        while (peer.Staged.TryDequeue(out _))
            peer.ReleaseStaged();
    }

    /// <summary>The clock that timestamps come from stands still while the machine sleeps, the wall clock does not.</summary>
    private void LookAtClock()
    {
        TimeSpan jump = Time.GetUtcNow() - _wallAtStart - (Time.Now() - _started);
        if (jump.Duration() < ClockJump)
            return;
        _wallAtStart += jump;
        OnClockJump(jump);
    }

    private void Handle(in InboxItem item)
    {
        switch (item.Kind)
        {
            case InboxKind.Handshake:
                HandleHandshake(item.Bytes, item.Source);
                break;
            case InboxKind.Probe:
                OnProbe(item.Bytes, item.Source);
                break;
            case InboxKind.ControlFrame:
                HandleFrame(item.Link!, item.Bytes, item.Source);
                break;
            case InboxKind.Staged:
                Stage(item.Target!, item.Bytes);
                break;
            case InboxKind.TrafficStarted:
                Schedule((Peer)item.Target!, Time.Now());
                break;
        }
    }

    /// <summary>The machine slept for a while, or its clock was set.</summary>
    protected virtual void OnClockJump(TimeSpan jump)
    {
    }

    /// <summary>The peer asked whether this node is there.</summary>
    protected virtual void OnPinged(Peer peer)
    {
    }

    /// <summary>A packet waits for somebody who is no peer yet.</summary>
    protected virtual void StageUnknown(RouteTarget target, ReadOnlySpan<byte> packet) => target.ReleaseStaged();

    /// <summary>A packet waits for a link to the peer.</summary>
    protected void Stage(RouteTarget target, ReadOnlySpan<byte> packet)
    {
        if (target is not Peer peer)
        {
            StageUnknown(target, packet);
            return;
        }

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
            OnLinkWanted(peer);
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
            SendBy(link.Path, datagram[..written]);
            Plane.NoteTraffic(peer, Now);
        }
    }
}
