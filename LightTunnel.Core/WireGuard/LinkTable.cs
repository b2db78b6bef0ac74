using LightTunnel.Addressing;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.WireGuard.Noise;

namespace LightTunnel.WireGuard;

/// <summary>
/// All WireGuard links of one node: its identity, the messages that come in, and the clockwork. Belongs to the control loop, except
/// <see cref="Open(Span{byte}, int, int, in PathAddress, Span{OpenedMessage}, out Link?)"/> and <see cref="Link.TryBeginSeal"/>, which any
/// thread may call.
/// </summary>
internal sealed class LinkTable : IDisposable
{
    /// <summary>Most links that may exist for peers that were admitted and have not shown yet that they have the session's keys.</summary>
    public const int MaximumStrangers = 1024;

    /// <summary>A peer's initiations closer together than this are dropped.</summary>
    public static readonly TimeSpan InitiationInterval = TimeSpan.FromMilliseconds(20);

    private readonly Dictionary<PublicKey, Link> _links = [];
    private readonly LinkedList<Link> _strangers = new();
    private readonly DeadlineQueue _queue = new();
    private readonly CookieChecker _cookies;
    private readonly HandshakeLoad _load;
    private readonly Random _jitter;
    private readonly Queue<LinkOutput> _outputs = new();
    private readonly Action? _wake;
    private Link? _signalled;
    private int _wakePosted;
    private bool _running;
    private Timestamp _promised = Timestamp.Never;
    private bool _disposed;

    /// <param name="identity">This node's key; not owned.</param>
    /// <param name="time">All time comes from here.</param>
    /// <param name="wake">
    /// Called, from any thread, when <see cref="RunTimers"/> is to be called soon; at most once until that runs.
    /// </param>
    /// <param name="jitter">What the jitter of handshake retries comes from; null for a shared generator.</param>
    public LinkTable(PrivateKey identity, TimeProvider time, Action? wake = null, Random? jitter = null)
    {
        Identity = identity;
        _wake = wake;
        Time = time;
        _jitter = jitter ?? Random.Shared;
        _cookies = new CookieChecker(identity.PublicKey, time);
        _load = new HandshakeLoad(time, _jitter);
    }

    /// <summary>This node's identity.</summary>
    public PublicKey PublicKey => Identity.PublicKey;

    /// <summary>All links, strangers included.</summary>
    public IReadOnlyCollection<Link> Links => _links.Values;

    /// <summary>What has happened so far; any thread.</summary>
    public LinkCounters Counters { get; } = new();

    /// <summary>Links of peers that were admitted and have not confirmed yet.</summary>
    public int Strangers => _strangers.Count;

    /// <summary>The suites that initiations are answered in, the likeliest first.</summary>
    internal CipherSuite[] Suites { get; init; } = [CipherSuite.Aegis256, CipherSuite.WireGuard];

    /// <summary>
    /// True where a peer that is suddenly heard from another address counts as being there only when it has shown to receive something
    /// there: sources can be forged, by the peer itself too, and what is sent to nobody waits in the same queue as all else.
    /// </summary>
    public bool DoubtsNewAddresses { get; set; }

    /// <summary>
    /// The latest time that earlier initiations of this identity may have told: whoever got one takes no earlier one, so that each of these
    /// is later, wherever the clock was set meanwhile.
    /// </summary>
    public Tai64n LastUsed { get; set; }

    /// <summary>The suite that this node uses with peers that prefer it too; with all others it begins in WireGuard's.</summary>
    public CipherSuite PreferredSuite { get; set; }

    /// <summary>
    /// Where somebody with keys has shown not long ago to be: strangers who forge sources do not keep it from agreeing on new ones. Null
    /// for nowhere.
    /// </summary>
    public ProvenAddresses? Proven { get; init; }

    /// <summary>True where peers ask and this side answers: links then leave from the local address that the peer sends to.</summary>
    public bool IsAsked { get; set; }

    internal PrivateKey Identity { get; }

    internal TimeProvider Time { get; }

    internal SessionIndexTable Indexes { get; } = new();

    /// <summary>
    /// Makes a link, without starting a handshake. A stranger of that key becomes a known peer, and loses its session only when the
    /// pre-shared key is another.
    /// </summary>
    /// <param name="peer">The peer's key.</param>
    /// <param name="keys">One of them is mixed into each handshake; null for none. Not owned.</param>
    /// <exception cref="InvalidOperationException">There is a link with that peer already, or the key is this node's own.</exception>
    public Link Add(in PublicKey peer, PresharedKeys? keys)
    {
        keys ??= PresharedKeys.None;
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (peer == PublicKey)
            throw new InvalidOperationException("A node has no link with itself.");
        if (_links.TryGetValue(peer, out Link? known))
        {
            if (known.StrangerNode is null)
                throw new InvalidOperationException($"There is a link with {peer} already.");
            Confirmed(known);
            if (!known.Keys.Newest.Key.Equals(keys.Newest.Key))
            {
                known.AbandonHandshake();
                known.Sessions.Clear();
            }

            known.Keys = keys;
            Schedule(known);
            return known;
        }

        var link = new Link(this, peer, keys, _jitter);
        _links.Add(peer, link);
        return link;
    }

    /// <summary>The link with that peer, or null.</summary>
    public Link? Find(in PublicKey peer) => _links.GetValueOrDefault(peer);

    /// <summary>Ends a link without a word: keys zeroed, indexes freed. Does nothing for one that is removed already.</summary>
    public void Remove(Link link)
    {
        if (link.IsRemoved)
            return;
        Forget(link);
        _queue.Remove(link);
        _links.Remove(link.Peer);
        link.Destroy();
    }

    /// <summary>The next thing that links want done or have to tell, in order; nothing of a link that is removed.</summary>
    public bool TryTakeOutput(out LinkOutput output)
    {
        while (_outputs.TryDequeue(out output))
        {
            if (output.Link is not { IsRemoved: true })
                return true;
        }

        return false;
    }

    /// <summary>Takes a message of type 1, 2 or 3. Everything that is not right is counted and dropped.</summary>
    /// <param name="datagram">The message.</param>
    /// <param name="source">Where it came from.</param>
    /// <param name="admits">Says who may have a link besides those that have one; null for nobody.</param>
    public void HandleHandshake(ReadOnlySpan<byte> datagram, in PathAddress source, StrangerCheck? admits = null)
    {
        if (_disposed)
            return;
        switch (Messages.TypeOf(datagram))
        {
            case Messages.InitiationType when datagram.Length == Messages.InitiationSize:
                HandleInitiation(datagram, source, admits);
                break;
            case Messages.ResponseType when datagram.Length == Messages.ResponseSize:
                HandleResponse(datagram, source);
                break;
            case Messages.CookieReplyType when datagram.Length == Messages.CookieReplySize:
                HandleCookieReply(datagram);
                break;
            default:
                Counters.Increment(LinkEvent.Malformed);
                break;
        }
    }

    /// <summary>
    /// Any thread, no allocation: opens in place the transport messages at a train's beginning that belong to one session, mostly all.
    /// </summary>
    /// <param name="train">Datagrams of <paramref name="stride"/> bytes each, of which the last may be shorter.</param>
    /// <param name="stride">Bytes from one datagram to the next.</param>
    /// <param name="skip">Bytes of each datagram before the message.</param>
    /// <param name="source">Whence they came.</param>
    /// <param name="opened">Takes what became of each message looked at; bounds their number.</param>
    /// <param name="link">The link, when any of them was a packet or a keepalive.</param>
    /// <returns>How many datagrams were looked at, at least 1.</returns>
    public int Open(Span<byte> train, int stride, int skip, in PathAddress source, Span<OpenedMessage> opened, out Link? link)
    {
        link = null;
        KeyPair? session = null;
        uint receiver = 0;
        int count = 0;
        if (train.IsEmpty)
            return Refuse(opened, LinkEvent.Malformed, OpenResult.Malformed);

        for (int start = 0; start < train.Length && count < opened.Length; start += stride, count++)
        {
            ReadOnlySpan<byte> datagram = train[start..Math.Min(start + stride, train.Length)];
            if (datagram.Length < skip || !Messages.TryReadTransport(datagram[skip..], out uint index, out ulong counter))
            {
                if (count > 0)
                    break;
                return Refuse(opened, LinkEvent.Malformed, OpenResult.Malformed);
            }

            if (count == 0)
            {
                receiver = index;
                if (!Indexes.TryFindSession(receiver, out session))
                    return Refuse(opened, LinkEvent.UnknownSession, OpenResult.UnknownSession);
            }
            else if (index != receiver)
            {
                break;
            }

            int length = datagram.Length - skip - session!.Overhead;
            if (length < 0) // Not even a tag of this session's suite.
            {
                if (count > 0)
                    break;
                return Refuse(opened, LinkEvent.Malformed, OpenResult.Malformed);
            }

            opened[count] = new OpenedMessage { Counter = counter, Offset = start + skip + Messages.TransportHeaderSize, Length = length };
        }

        session!.Link.Open(session, train, opened[..count], source);
        foreach (ref readonly OpenedMessage message in opened[..count])
        {
            switch (message.Result)
            {
                case OpenResult.Packet:
                case OpenResult.KeepAlive:
                    link = session.Link;
                    break;
                case OpenResult.Replayed:
                    Counters.Increment(LinkEvent.DataReplayed);
                    break;
                case OpenResult.Expired:
                    Counters.Increment(LinkEvent.DataExpired);
                    break;
                default:
                    Counters.Increment(LinkEvent.DataForged);
                    break;
            }
        }

        return count;
    }

    /// <summary>
    /// The same for a single message. For <see cref="OpenResult.Packet"/> the packet (with up to 15 bytes of padding, to be cut by its own
    /// length field) lies at offset and length within the datagram; the link is set for packets and keepalives.
    /// </summary>
    public OpenResult Open(Span<byte> datagram, in PathAddress source, out Link? link, out int offset, out int length)
    {
        OpenedMessage opened = default;
        Open(datagram, Math.Max(datagram.Length, 1), 0, source, new Span<OpenedMessage>(ref opened), out link);
        offset = opened.Offset;
        length = opened.Result == OpenResult.Packet ? opened.Length : 0;
        return opened.Result;
    }

    /// <summary>
    /// Does everything that is due, and nothing for links that wait for nothing. Call it when the returned time has come, after
    /// it was asked for, or at any other time; then look at <see cref="TryTakeOutput"/>.
    /// </summary>
    /// <returns>The next deadline; <see cref="Timestamp.Never"/> when there is none.</returns>
    public Timestamp RunTimers()
    {
        if (_disposed)
            return Timestamp.Never;
        _running = true;
        try
        {
            Timestamp now = Time.Now();
            // Before looking at the list: who signals after this wakes us again.
            Interlocked.Exchange(ref _wakePosted, 0);
            Link? signalled = Interlocked.Exchange(ref _signalled, null);
            while (signalled is not null)
            {
                Link link = signalled;
                signalled = link.NextSignalled;
                link.NextSignalled = null;
                link.ServeSignals();
                // Timers of a busy link are armed and cleared with every packet: one visit in ten seconds serves all armed until then.
                Schedule(link, notAfter: now + LinkTimers.KeepAliveTimeout);
            }

            while (_queue.Earliest <= now)
            {
                var link = (Link)_queue.Peek();
                link.Timers.Run(now);
                Schedule(link);
            }
        }
        finally
        {
            _running = false;
            _promised = _queue.Earliest;
        }

        return _promised;
    }

    /// <summary>Removes all links and zeroes all keys but the identity, which its owner disposes.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        foreach (Link link in _links.Values.ToArray())
            Remove(link);
        _disposed = true;
        _cookies.Dispose();
    }

    /// <summary>Puts the link's next deadline into the queue.</summary>
    internal void Schedule(Link link, Timestamp? notAfter = null)
    {
        if (link.IsRemoved)
            return;
        Timestamp deadline;
        do
        {
            deadline = Timestamp.Earliest(link.Timers.NextDeadline(), notAfter ?? Timestamp.Never);
            _queue.Set(link, deadline);
            // A data thread may have armed something in between and seen the old deadline; see LinkTimers.IsBeforeNextVisit.
            Interlocked.MemoryBarrier();
        }
        while (link.Timers.NextDeadline() < deadline);
        if (!_running && deadline < _promised)
            Wake();
    }

    /// <summary>Any thread: has the control loop look at the link.</summary>
    internal void Post(Link link)
    {
        Link? head = Volatile.Read(ref _signalled);
        while (true)
        {
            link.NextSignalled = head;
            Link? seen = Interlocked.CompareExchange(ref _signalled, link, head);
            if (seen == head)
                break;
            head = seen;
        }

        Wake();
    }

    /// <summary>The peer has the session's keys: it is no stranger any more.</summary>
    internal void Confirmed(Link link)
    {
        Forget(link);
        link.Timers.ExpireAt = Timestamp.Never;
    }

    /// <summary>Has a message sent to the link's peer.</summary>
    internal void Send(Link link, ReadOnlySpan<byte> datagram) =>
        _outputs.Enqueue(new LinkOutput(LinkOutputKind.Message, link, default, datagram.ToArray()));

    /// <summary>Has the owner told something of the link.</summary>
    internal void Tell(LinkOutputKind kind, Link link) => _outputs.Enqueue(new LinkOutput(kind, link, default, []));

    internal void RemoveStranger(Link link)
    {
        Counters.Increment(LinkEvent.StrangerRemoved);
        Remove(link);
    }

    private void Reply(in PathAddress destination, ReadOnlySpan<byte> datagram) =>
        _outputs.Enqueue(new LinkOutput(LinkOutputKind.Reply, null, destination, datagram.ToArray()));

    private void Forget(Link link)
    {
        if (link.StrangerNode is not { } node)
            return;
        _strangers.Remove(node);
        link.StrangerNode = null;
    }

    private void HandleInitiation(ReadOnlySpan<byte> datagram, in PathAddress source, StrangerCheck? admits)
    {
        if (!_cookies.CheckMac1(datagram))
        {
            Counters.Increment(LinkEvent.InvalidMac1);
            return;
        }

        if ((_load.IsUnderLoad() || _strangers.Count >= MaximumStrangers / 2) && !IsWelcomeUnderLoad(datagram, source))
            return;

        using HandshakeState? state = Handshake.TryReadInitiation(Identity, Suites, datagram, out CipherSuite suite, out Tai64n timestamp);
        if (state is null)
        {
            Counters.Increment(LinkEvent.InitiationForged);
            return;
        }

        Timestamp now = Time.Now();
        if (FindOrAdmit(state.RemoteStatic, source, admits, now) is not { } link || !IsFresh(link, timestamp, now))
            return;

        link.GreatestTimestamp = timestamp;
        link.LastInitiationReceived = now;
        link.HandshakeReceived(datagram.Length, source, now);
        Span<byte> response = stackalloc byte[Messages.ResponseSize];
        if (Handshake.TryCreateResponse(state, suite, link, datagram, Indexes.NextFree(), now, response) is not { } session)
        {
            Counters.Increment(LinkEvent.InitiationForged);
            return;
        }

        Counters.Increment(LinkEvent.InitiationAccepted);
        link.Cookies.Sign(response);
        session.RespondedTo = source;
        bool isKnownThere = source.IsRelayed || (link.HasSession && link.Path is { IsUnproven: false } path && path == source);
        link.InstallResponded(session);
        link.HandshakeSent(response.Length, now);
        Reply(source with { IsUnproven = !isKnownThere }, response);
        Schedule(link);
    }

    private bool IsWelcomeUnderLoad(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        if (Proven is { } proven && (source.IsRelayed || proven.Contains(source.Endpoint)) && _load.TryAdmit(source))
            return true;
        if (!_cookies.CheckMac2(datagram, source))
        {
            Span<byte> reply = stackalloc byte[Messages.CookieReplySize];
            _cookies.WriteReply(datagram, source, reply);
            Counters.Increment(LinkEvent.CookieSent);
            Reply(source with { IsUnproven = !source.IsRelayed }, reply);
            return false;
        }

        if (_load.TryAdmit(source))
            return true;
        Counters.Increment(LinkEvent.SourceLimited);
        return false;
    }

    private Link? FindOrAdmit(in PublicKey initiator, in PathAddress source, StrangerCheck? admits, Timestamp now)
    {
        if (_links.TryGetValue(initiator, out Link? known))
            return known;
        LinkKeys keys = default;
        if (initiator == PublicKey || admits?.Invoke(initiator, source, out keys) != true)
        {
            Counters.Increment(LinkEvent.PeerRefused);
            return null;
        }

        // Whoever was asked may have added it.
        if (_links.TryGetValue(initiator, out known))
            return known;
        if (_strangers.Count >= MaximumStrangers)
            RemoveStranger(_strangers.First!.Value);
        Link link = Add(initiator, keys.Keys);
        link.PeerKeyNumber = keys.PeerNumber;
        link.Path = source with { IsUnproven = !source.IsRelayed };
        link.StrangerNode = _strangers.AddLast(link);
        link.Timers.ExpireAt = now + LinkTimers.RekeyAttemptTime;
        return link;
    }

    private bool IsFresh(Link link, Tai64n timestamp, Timestamp now)
    {
        if (timestamp.CompareTo(link.GreatestTimestamp) <= 0)
        {
            Counters.Increment(LinkEvent.InitiationReplayed);
            return false;
        }

        if (now - link.LastInitiationReceived < InitiationInterval)
        {
            Counters.Increment(LinkEvent.InitiationFlood);
            return false;
        }

        return true;
    }

    private void HandleResponse(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        if (!_cookies.CheckMac1(datagram))
        {
            Counters.Increment(LinkEvent.InvalidMac1);
            return;
        }

        if (!Indexes.TryFindHandshake(Messages.ResponseReceiver(datagram), out Link? link))
        {
            Counters.Increment(LinkEvent.UnknownHandshake);
            return;
        }

        if (link.TryAcceptResponse(datagram) is not { } session)
        {
            Counters.Increment(LinkEvent.ResponseForged);
            return;
        }

        Counters.Increment(LinkEvent.ResponseAccepted);
        link.HandshakeReceived(datagram.Length, source, session.Created);
        link.InstallInitiated(session, source);
        Schedule(link);
    }

    private void HandleCookieReply(ReadOnlySpan<byte> datagram)
    {
        uint receiver = Messages.FirstIndex(datagram);
        Link? link = Indexes.TryFindHandshake(receiver, out Link? initiator) ? initiator
            : Indexes.TryFindSession(receiver, out KeyPair? session) ? session.Link
            : null;
        if (link is null)
            Counters.Increment(LinkEvent.UnknownHandshake);
        else
            Counters.Increment(link.Cookies.TryTakeReply(datagram) ? LinkEvent.CookieAccepted : LinkEvent.CookieForged);
    }

    /// <summary>The first of the messages to be opened is none, and what follows is not looked at.</summary>
    private int Refuse(Span<OpenedMessage> opened, LinkEvent kind, OpenResult result)
    {
        Counters.Increment(kind);
        opened[0] = new OpenedMessage { Result = result };
        return 1;
    }

    private void Wake()
    {
        if (Interlocked.Exchange(ref _wakePosted, 1) == 0)
            _wake?.Invoke();
    }
}
