using System.Runtime.CompilerServices;
using LightTunnel.Addressing;
using LightTunnel.Timing;
using LightTunnel.WireGuard.Noise;

namespace LightTunnel.WireGuard;

/// <summary>What became of a packet that was to be sealed.</summary>
internal enum SealResult
{
    /// <summary>It is a datagram now, to be sent to the link's path; one of length 0 is to be dropped.</summary>
    Sealed,

    /// <summary>There are no usable keys; the packet is as it was. Keep it and ask for a handshake.</summary>
    NoSession,
}

/// <summary>
/// The secure session with one peer, over all its rekeys. <see cref="TryBeginSeal"/>, <see cref="SealCopy"/> and the counters are for any
/// thread, everything else is for the control loop.
/// </summary>
internal sealed class Link : IScheduled
{
    private const int EventConfirmed = 1;
    private const int EventRekey = 2;
    private const int EventDoubted = 4;

    private readonly LinkTable _table;
    private readonly TimeProvider _time;
    private readonly PublicKey _peer;
    private volatile PathHolder _path = new(default, [], 0);
    private volatile bool _roaming = true;
    private SharedTimestamp _deadline = new(Timestamp.Never);
    private int _events;
    private int _rekeyWanted;
    private int _signalled;
    private long _receivedBytes;
    private long _sentBytes;
    private long _receivedPackets;
    private long _sentPackets;
    private HandshakeState? _handshake;
    private CipherSuite _handshakeSuite;
    private uint _handshakeIndex;
    private PathAddress _initiationPath;
    private Tai64n _lastTimestamp;
    private long _lastHandshake;
    private int _unconfirmed;

    internal Link(LinkTable table, in PublicKey peer, PresharedKeys keys, Random jitter)
    {
        _table = table;
        _time = table.Time;
        _peer = peer;
        Keys = keys;
        Sessions = new LinkSessions(table.Indexes);
        Timers = new LinkTimers(this, _time, jitter);
        Cookies = new CookieJar(peer, _time);
    }

    /// <summary>The peer's identity.</summary>
    public PublicKey Peer => _peer;

    /// <summary>For the table's owner.</summary>
    public object? Owner { get; set; }

    /// <summary>
    /// Where to send; any thread reads it untorn. Moves to the source of the last authenticated message while
    /// <see cref="RoamingEnabled"/>.
    /// </summary>
    public PathAddress Path
    {
        get => _path.Value;
        set => _path = _path.LeadingTo(value);
    }

    /// <summary>Where the thread of a queue sends: <see cref="Path"/>, from the queue's stripe if that is in use.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public PathAddress PathOf(int queue)
    {
        PathHolder held = _path;
        return (held.Stripes & (1u << queue)) == 0 ? held.Value : held.Value.By(LocalEnd.Stripe(queue));
    }

    /// <summary>The queues whose stripes are in use, a bit each. Whatever changes the path ends that.</summary>
    public uint Stripes => _path.Stripes;

    /// <summary>Has the stripes of these queues used as long as the path is this one.</summary>
    public void UseStripes(in PathAddress path, uint stripes)
    {
        PathHolder held = _path;
        while (held.Value == path && held.Stripes != stripes)
        {
            PathHolder seen = Interlocked.CompareExchange(
                ref _path!, new PathHolder(held.Value, held.PeerPorts, held.Value.IsUnproven ? 0 : stripes), held);
            if (seen == held)
                return;
            held = seen;
        }
    }

    /// <summary>
    /// The peer sends from these ports too, by several ways, of which one may be far behind the others: authentic messages from there say
    /// nothing of where it is. Until it tells others, or begins a session elsewhere.
    /// </summary>
    public void TakePeerPorts(ushort[] ports)
    {
        PathHolder held = _path;
        while (!held.PeerPorts.AsSpan().SequenceEqual(ports))
        {
            PathHolder seen = Interlocked.CompareExchange(ref _path!, new PathHolder(held.Value, ports, held.Stripes), held);
            if (seen == held)
                break;
            held = seen;
        }

        if (ports.Length > 0)
            Sessions.WidenWindows();
    }

    /// <summary>The ports that the peer told of last, beside that of its path.</summary>
    public IReadOnlyList<ushort> PeerPorts => _path.PeerPorts;

    /// <summary>Whether <see cref="Path"/> follows the peer; turned off where paths are chosen by other means.</summary>
    public bool RoamingEnabled
    {
        get => _roaming;
        set => _roaming = value;
    }

    /// <summary>
    /// The peer has shown to receive what is sent to that address: if the path still leads there, it is proven. Any thread.
    /// </summary>
    public void Prove(in UdpEndpoint endpoint)
    {
        PathHolder held = _path;
        while (held.Value.IsUnproven && held.Value.Endpoint.MappedAddress == endpoint.MappedAddress)
        {
            PathHolder seen = Interlocked.CompareExchange(
                ref _path!, new PathHolder(held.Value with { IsUnproven = false }, held.PeerPorts, held.Stripes), held);
            if (seen == held)
                return;
            held = seen;
        }
    }

    /// <summary>A handshake message of this link's was sent on that path, as its owner knows.</summary>
    public void NoteSent(ReadOnlySpan<byte> datagram, in PathAddress path)
    {
        if (Messages.TypeOf(datagram) == Messages.InitiationType)
            _initiationPath = path;
    }

    /// <summary>Where the peer showed to be when the keys in use were agreed on; unspecified when this node began.</summary>
    public UdpEndpoint ProvenEndpoint => Sessions.Current is { RespondedTo: { IsRelayed: false } path } ? path.Endpoint : default;

    /// <summary>True when <see cref="SealCopy"/> would succeed now.</summary>
    public bool HasSession => Suite is not null;

    /// <summary>What is sealed with now; null while there is no session.</summary>
    public CipherSuite? Suite => Sessions.Current is { } session && IsUsable(session, _time.Now()) ? session.Suite : null;

    /// <summary>The suite that the peer prefers, as far as it is known.</summary>
    public CipherSuite PeerPrefers { get; set; }

    /// <summary>The suite of the handshakes that this node begins.</summary>
    public CipherSuite HandshakeSuite => PeerPrefers == _table.PreferredSuite ? PeerPrefers : CipherSuite.WireGuard;

    /// <summary>
    /// The newest of the network's keys that the peer is known to have: as somebody told, or as it has shown. As responder this side uses
    /// it, as long as the peer does not seem to have another.
    /// </summary>
    public int PeerKeyNumber { get; set; }

    /// <summary>The number of the pre-shared key that the session's keys were agreed on with; 0 without a session.</summary>
    public int AgreedKeyNumber => Sessions.Current?.KeyNumber ?? 0;

    /// <summary>True after <see cref="LinkTable.Remove"/>.</summary>
    public bool IsRemoved { get; internal set; }

    /// <summary>How often to send a keepalive when nothing else was exchanged, for NATs; null for never.</summary>
    public TimeSpan? PersistentKeepalive
    {
        get;
        set
        {
            if (value is { } interval)
                ArgumentOutOfRangeException.ThrowIfLessThan(interval, TimeSpan.FromSeconds(1));
            field = value;
            Timers.SetPersistent(value);
            _table.Schedule(this);
        }
    }

    /// <summary>When the last authenticated message came, handshakes included.</summary>
    public Timestamp LastReceivedTimestamp => Timers.LastReceived;

    /// <summary>When the last message was sent, handshakes included.</summary>
    public Timestamp LastSentTimestamp => Timers.LastSent;

    /// <summary>When keys were last agreed upon; null for never.</summary>
    public DateTimeOffset? LastHandshake =>
        Volatile.Read(ref _lastHandshake) is var ticks && ticks == 0 ? null : new DateTimeOffset(ticks, TimeSpan.Zero);

    /// <summary>Bytes of authenticated datagrams received, headers and handshakes included.</summary>
    public long ReceivedBytes => Volatile.Read(ref _receivedBytes);

    /// <summary>Bytes of datagrams sent, headers and handshakes included.</summary>
    public long SentBytes => Volatile.Read(ref _sentBytes);

    /// <summary>Packets received, without keepalives and handshakes.</summary>
    public long ReceivedPackets => Volatile.Read(ref _receivedPackets);

    /// <summary>Packets sent, without keepalives and handshakes.</summary>
    public long SentPackets => Volatile.Read(ref _sentPackets);

    int IScheduled.QueuePosition { get; set; } = -1;

    Timestamp IScheduled.Deadline
    {
        get => _deadline.Value;
        set => _deadline.Value = value;
    }

    internal Timestamp Deadline => _deadline.Value;

    internal LinkSessions Sessions { get; }

    internal LinkTimers Timers { get; }

    internal CookieJar Cookies { get; }

    /// <summary>One of them is mixed into each handshake: the responder chooses, and an initiator takes any.</summary>
    internal PresharedKeys Keys { get; set; }

    /// <summary>The greatest time stamp of the peer's initiations: an older one is a replay.</summary>
    internal Tai64n GreatestTimestamp { get; set; }

    /// <summary>When the peer's last valid initiation came.</summary>
    internal Timestamp LastInitiationReceived { get; set; }

    /// <summary>This link's place among the strangers that have not confirmed yet; null for all others.</summary>
    internal LinkedListNode<Link>? StrangerNode { get; set; }

    /// <summary>Next in the table's list of links that data threads have signalled.</summary>
    internal Link? NextSignalled { get; set; }

    /// <summary>True while a response to this node's initiation could still be accepted.</summary>
    internal bool HasPendingHandshake => _handshake is not null;

    /// <summary>
    /// Any thread, no allocation: takes the counters for so many messages. Each is then sealed by <see cref="SealRun.Seal"/>, and
    /// <see cref="SealRun.Finish"/> says whether they may be sent.
    /// </summary>
    /// <returns>False when there are no usable keys: keep the packets and ask for a handshake.</returns>
    public bool TryBeginSeal(int count, out SealRun run)
    {
        KeyPair? session = Sessions.Current;
        Timestamp now = _time.Now();
        if (session is null || now - session.Created >= LinkTimers.RejectAfterTime || !session.TryClaimCounters(count, out ulong counter))
        {
            run = default;
            return false;
        }

        run = new SealRun(this, session, counter, now);
        return true;
    }

    /// <summary>
    /// Any thread, no allocation: seals one packet, an empty one for a keepalive; the datagram needs room for it and 63 bytes more.
    /// </summary>
    /// <param name="packet">The packet.</param>
    /// <param name="datagram">Where the datagram goes.</param>
    /// <param name="mtu">Padding never makes the packet longer than this.</param>
    /// <param name="written">Length of the datagram; 0 when it must be dropped because the keys vanished meanwhile.</param>
    public SealResult SealCopy(ReadOnlySpan<byte> packet, Span<byte> datagram, int mtu, out int written)
    {
        written = 0;
        if (!TryBeginSeal(1, out SealRun run))
            return SealResult.NoSession;
        Span<byte> padded = datagram.Slice(Messages.TransportHeaderSize, Messages.PaddedLength(packet.Length, mtu));
        packet.CopyTo(padded);
        written = run.Seal(padded, packet.Length, datagram);
        if (run.Finish())
            return SealResult.Sealed;
        datagram[..written].Clear();
        written = 0;
        return SealResult.Sealed;
    }

    /// <summary>
    /// Asks for new keys. While a handshake is under way, or the last initiation is less than <see cref="LinkTimers.RekeyTimeout"/> old,
    /// the request is kept and served by the timer; <paramref name="force"/> sends an initiation at once in any case. Each initiation makes
    /// answers to earlier ones worthless, so forcing faster than the round trip never succeeds.
    /// </summary>
    public void RequestHandshake(bool force = false)
    {
        if (IsRemoved)
            return;
        Timers.RequestHandshake(force);
        _table.Schedule(this);
    }

    /// <summary>
    /// The responder may not seal before it has heard from the initiator under the new keys: when that is this side, and nothing else has
    /// been sealed with them, a keepalive says so.
    /// </summary>
    public void ConfirmKeys()
    {
        if (Sessions.Current is { IsInitiator: true, NextCounter: 0 })
            SendKeepAlive();
    }

    /// <summary>The peer's key, never a secret.</summary>
    public override string ToString() => _peer.ToString();

    /// <summary>Notes what a run has sealed.</summary>
    internal void NoteSealed(KeyPair session, ulong lastCounter, int packets, int bytes, Timestamp now)
    {
        Interlocked.Add(ref _sentBytes, bytes);
        if (packets != 0)
            Interlocked.Add(ref _sentPackets, packets);
        bool wantsRekey = lastCounter >= KeyPair.RekeyAfterMessages
            || (session.IsInitiator && now - session.Created >= LinkTimers.RekeyAfterTime);
        Signal(wantsRekey, Timers.Sent(now, isData: packets != 0));
    }

    /// <summary>
    /// The second half of <c>LinkTable.Open</c>, any thread, no allocation: opens messages of one session in place. The entries say where
    /// the packets will lie and which counters the messages have; their results are written.
    /// </summary>
    internal void Open(KeyPair session, Span<byte> train, Span<OpenedMessage> opened, in PathAddress source)
    {
        Timestamp now = _time.Now();
        bool isExpired = session.IsDestroyed || now - session.Created >= LinkTimers.RejectAfterTime;
        for (int i = 0; i < opened.Length; i++)
        {
            ref OpenedMessage message = ref opened[i];
            if (isExpired || message.Counter >= KeyPair.RejectAfterMessages)
            {
                message.Result = OpenResult.Expired;
            }
            else if (session.PairsAreFaster && i + 1 < opened.Length && opened[i + 1].Length == message.Length
                && opened[i + 1].Counter < KeyPair.RejectAfterMessages)
            {
                ref OpenedMessage next = ref opened[++i];
                session.TryOpenPair(
                    message.Counter, next.Counter, DatagramOf(message, train, session), DatagramOf(next, train, session), out bool first,
                    out bool second);
                message.Result = ResultOf(message, first);
                next.Result = ResultOf(next, second);
            }
            else
            {
                message.Result = ResultOf(message, session.TryOpen(message.Counter, DatagramOf(message, train, session)));
            }
        }

        if (!session.IsIntact())
        {
            foreach (ref OpenedMessage message in opened)
                message.Result = OpenResult.Expired;
            return;
        }

        session.Accept(opened);
        int packets = 0, messages = 0, bytes = 0;
        foreach (ref readonly OpenedMessage message in opened)
        {
            if (message.Result is not (OpenResult.Packet or OpenResult.KeepAlive))
                continue;
            messages++;
            packets += message.Length != 0 ? 1 : 0;
            bytes += message.Length + session.Overhead;
        }

        if (messages != 0)
            NoteOpened(session, packets, bytes, source, now);
    }

    private static Span<byte> DatagramOf(in OpenedMessage message, Span<byte> train, KeyPair session) =>
        train.Slice(message.Offset - Messages.TransportHeaderSize, message.Length + session.Overhead);

    private static OpenResult ResultOf(in OpenedMessage message, bool isAuthentic) =>
        !isAuthentic ? OpenResult.Forged : message.Length != 0 ? OpenResult.Packet : OpenResult.KeepAlive;

    /// <summary>Control loop: serves what data threads have noted down.</summary>
    internal void ServeSignals()
    {
        Volatile.Write(ref _signalled, 0);
        int events = Interlocked.Exchange(ref _events, 0);
        if (IsRemoved)
            return;
        if ((events & EventConfirmed) != 0)
            CompleteHandshake();
        if ((events & EventDoubted) != 0 && !IsRemoved && Path.IsUnproven)
            _table.Tell(LinkOutputKind.PathDoubted, this);
        if ((events & EventRekey) != 0 && !IsRemoved && Volatile.Read(ref _rekeyWanted) != 0)
            Timers.RequestHandshake(force: false);
    }

    /// <summary>Notes an authenticated handshake message.</summary>
    internal void HandshakeReceived(int bytes, in PathAddress source, Timestamp now)
    {
        Interlocked.Add(ref _receivedBytes, bytes);
        Timers.Received(now, isData: false);
        Roam(source, isHandshake: true);
    }

    /// <summary>Notes a handshake message that goes out.</summary>
    internal void HandshakeSent(int bytes, Timestamp now)
    {
        Interlocked.Add(ref _sentBytes, bytes);
        Timers.Sent(now, isData: false);
    }

    /// <summary>As initiator: both sides have the new keys.</summary>
    internal void InstallInitiated(KeyPair session, in PathAddress source)
    {
        AbandonHandshake();
        PrepareWindow(session);
        Sessions.InstallInitiated(session);
        // Whoever answers an initiation has received it; where else the answer may seem to come from shows nothing.
        if (source.Endpoint.MappedAddress == _initiationPath.Endpoint.MappedAddress)
            Prove(source.Endpoint);
        Volatile.Write(ref _rekeyWanted, 0);
        Timers.SessionDerived(session.Created);
        CompleteHandshake();
    }

    /// <summary>As responder: the peer has yet to show that it has the new keys.</summary>
    internal void InstallResponded(KeyPair session)
    {
        _unconfirmed++;
        PrepareWindow(session);
        Sessions.InstallResponded(session);
        Timers.SessionDerived(session.Created);
    }

    /// <summary>
    /// The pre-shared key of this side's next response: the one that the peer is expected to have. While it does not show that it could
    /// read what it was answered, the others take turns: it may have been put back to what it had before.
    /// </summary>
    internal NumberedKey ChooseKey()
    {
        IReadOnlyList<NumberedKey> all = Keys.All;
        return all[(Keys.IndexFor(PeerKeyNumber) + _unconfirmed) % all.Count];
    }

    internal void SendInitiation()
    {
        AbandonHandshake();
        Span<byte> message = stackalloc byte[Messages.InitiationSize];
        _handshakeIndex = _table.Indexes.NextFree();
        // Only after the clock was set back do the others' time stamps matter: initiations to many peers at once would run ahead
        // of it otherwise.
        Tai64n floor = _table.LastUsed.CompareTo(Tai64n.Next(_time.GetUtcNow(), default)) > 0
            && _table.LastUsed.CompareTo(_lastTimestamp) > 0
            ? _table.LastUsed : _lastTimestamp;
        _lastTimestamp = Tai64n.Next(_time.GetUtcNow(), floor);
        if (_lastTimestamp.CompareTo(_table.LastUsed) > 0)
            _table.LastUsed = _lastTimestamp;
        _handshakeSuite = HandshakeSuite;
        _handshake = Handshake.TryCreateInitiation(_table.Identity, _peer, _handshakeSuite, _handshakeIndex, _lastTimestamp, message);
        if (_handshake is null)
            return;
        _table.Indexes.AddHandshake(_handshakeIndex, this);
        Cookies.Sign(message);
        HandshakeSent(message.Length, _time.Now());
        _table.Counters.Increment(LinkEvent.InitiationSent);
        _table.Send(this, message);
    }

    /// <summary>Reads the response to the last initiation; null when it is not one, and the handshake goes on.</summary>
    internal KeyPair? TryAcceptResponse(ReadOnlySpan<byte> message) =>
        _handshake is null ? null : Handshake.TryAcceptResponse(_handshake, _handshakeSuite, this, message, _handshakeIndex, _time.Now());

    /// <summary>Forgets the pending handshake and its ephemeral key.</summary>
    internal void AbandonHandshake()
    {
        if (_handshake is null)
            return;
        _table.Indexes.RemoveHandshake(_handshakeIndex);
        _handshake.Dispose();
        _handshake = null;
    }

    /// <summary>Sends an empty packet; false without a session.</summary>
    internal bool SendKeepAlive()
    {
        Span<byte> datagram = stackalloc byte[Messages.MaximumTransportOverhead];
        if (SealCopy(default, datagram, 0, out int written) != SealResult.Sealed || written == 0)
            return false;
        _table.Send(this, datagram[..written]);
        return true;
    }

    internal void ExpireStranger() => _table.RemoveStranger(this);

    internal void ReportLost(bool givenUp)
    {
        Volatile.Write(ref _rekeyWanted, 0);
        if (givenUp)
            _table.Counters.Increment(LinkEvent.HandshakeGivenUp);
        _table.Tell(LinkOutputKind.SessionLost, this);
    }

    /// <summary>Zeroes everything; the link is good for nothing afterwards.</summary>
    internal void Destroy()
    {
        IsRemoved = true;
        AbandonHandshake();
        Sessions.Clear();
    }

    private static bool IsUsable(KeyPair session, Timestamp now) =>
        !session.IsDestroyed && now - session.Created < LinkTimers.RejectAfterTime && session.NextCounter < KeyPair.RejectAfterMessages;

    private void NoteOpened(KeyPair session, int packets, int bytes, in PathAddress source, Timestamp now)
    {
        if (Sessions.TryConfirm(session))
        {
            Volatile.Write(ref _rekeyWanted, 0);
            Post(EventConfirmed);
        }

        Roam(source, isHandshake: false);
        Interlocked.Add(ref _receivedBytes, bytes);
        if (packets != 0)
            Interlocked.Add(ref _receivedPackets, packets);
        // A last chance to keep traffic going that only flows towards the initiator, whose sending never asks for new keys.
        bool wantsRekey = session.IsInitiator && session == Sessions.Current
            && now - session.Created >= LinkTimers.RejectAfterTime - LinkTimers.KeepAliveTimeout - LinkTimers.RekeyTimeout;
        Signal(wantsRekey, Timers.Received(now, isData: packets != 0));
    }

    private void CompleteHandshake()
    {
        AbandonHandshake();
        _unconfirmed = 0;
        PeerKeyNumber = Math.Max(PeerKeyNumber, AgreedKeyNumber);
        _table.Confirmed(this);
        // Whoever made use of a response has received it.
        Prove(ProvenEndpoint);
        Timers.HandshakeComplete();
        Volatile.Write(ref _lastHandshake, _time.GetUtcNow().UtcTicks);
        _table.Tell(LinkOutputKind.SessionEstablished, this);
    }

    private void PrepareWindow(KeyPair session)
    {
        if (_path.PeerPorts.Length > 0)
            session.WidenWindow();
    }

    private void Roam(in PathAddress source, bool isHandshake)
    {
        PathHolder held = _path;
        PathAddress before = held.Value;
        // Who is asked stays with the address. Who asks leaves by what way there is now: its addresses come and go.
        AskedAddress asked = _table.IsAsked ? source.Asked : default;
        if (!_roaming || (before == source && before.Asked == asked) || (!isHandshake && held.IsPeerPort(source)))
            return;
        bool isElsewhere = _table.DoubtsNewAddresses && !source.IsRelayed && before.Endpoint.MappedAddress != source.Endpoint.MappedAddress;
        bool isUnproven = isElsewhere || (before.IsUnproven && before.Endpoint.MappedAddress == source.Endpoint.MappedAddress);
        PathAddress path = source with { IsUnproven = isUnproven, Asked = asked };
        _path = isHandshake && before != source ? new PathHolder(path, [], 0) : held.LeadingTo(path);
        if (isElsewhere)
            Post(EventDoubted);
    }

    private void Signal(bool wantsRekey, bool armed)
    {
        if (wantsRekey && Volatile.Read(ref _rekeyWanted) == 0 && Interlocked.Exchange(ref _rekeyWanted, 1) == 0)
            Post(EventRekey);
        else if (armed)
            Post(0);
    }

    private void Post(int events)
    {
        if (events != 0)
            Interlocked.Or(ref _events, events);
        if (Interlocked.Exchange(ref _signalled, 1) == 0)
            _table.Post(this);
    }

    /// <summary>
    /// The path, with what is true of it alone: one reference, so that whoever changes the path leaves nothing of the one before.
    /// </summary>
    private sealed class PathHolder(PathAddress value, ushort[] peerPorts, uint stripes)
    {
        public readonly PathAddress Value = value;
        public readonly ushort[] PeerPorts = peerPorts;
        public readonly uint Stripes = stripes;

        public PathHolder LeadingTo(in PathAddress path) => new(path, PeerPorts, path == Value && !path.IsUnproven ? Stripes : 0);

        public bool IsPeerPort(in PathAddress source) =>
            PeerPorts.Length > 0 && !source.IsRelayed && PeerPorts.AsSpan().Contains(source.Endpoint.Port);
    }
}
