using LightTunnel.Transport;

namespace LightTunnel.Traversal;

/// <summary>A probe to be sealed (<see cref="PeerTraversal.Seal"/>) and sent.</summary>
/// <param name="Destination">Where to.</param>
/// <param name="Socket">From which local socket, 0 for the node's own.</param>
/// <param name="Transaction">What its answer is known by.</param>
/// <param name="Flags">What it says.</param>
internal readonly record struct OutgoingProbe(UdpEndpoint Destination, int Socket, uint Transaction, ProbeFlags Flags);

/// <summary>What came of a datagram.</summary>
internal enum ProbeOutcome
{
    /// <summary>A forgery or a repetition: dropped without an answer.</summary>
    Rejected,

    /// <summary>A probe; its answer was written and goes back to where it came from, by the socket it came to.</summary>
    Answered,

    /// <summary>The answer to one of our probes.</summary>
    AnswerTaken,

    /// <summary>An answer that nothing waits for.</summary>
    Ignored,
}

/// <summary>How the attempt to reach a peer directly stands.</summary>
internal enum TraversalState
{
    /// <summary>The peer's endpoints are not known yet.</summary>
    WaitingForPeer,

    /// <summary>Neither side has an endpoint that the other could try.</summary>
    NoCandidates,

    /// <summary>Probes of a plan are on their way, or the common start is awaited.</summary>
    Punching,

    /// <summary>A direct path is proven.</summary>
    Proven,

    /// <summary>A direct path was proven and went silent; attempts go on.</summary>
    Lost,

    /// <summary>Nothing answered; attempts go on, more slowly each time.</summary>
    NoAnswer,

    /// <summary>As <see cref="NoAnswer"/>, and both NATs' ports are such that only luck would help.</summary>
    BothNatsRandom,
}

/// <summary>
/// Everything that is done to reach one peer directly: punching when the server introduces the two, probes to prove and keep paths, answers
/// to the peer's probes, retries for ever. No I/O; owned by the control loop. Times are <see cref="TimeProvider.GetTimestamp"/> values.
/// </summary>
internal sealed class PeerTraversal : IDisposable
{
    /// <summary>Paths that are remembered.</summary>
    public const int MaximumPaths = 32;

    /// <summary>Answers that are waited for.</summary>
    private const int MaximumWaiting = 2048;

    /// <summary>Data within this time makes a pair busy.</summary>
    private static readonly TimeSpan BusyFor = TimeSpan.FromSeconds(3);

    /// <summary>An answer this late is an answer still.</summary>
    private static readonly TimeSpan AnswerLifetime = TimeSpan.FromSeconds(5);

    /// <summary>Quick after an event, and then ever slower.</summary>
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan SlowestRetry = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan SlowestRetryBusy = TimeSpan.FromSeconds(5);

    /// <summary>While a direct path carries data, endpoints that may be as good or better are tried this often.</summary>
    private static readonly TimeSpan BetterPathInterval = TimeSpan.FromSeconds(30);

    /// <summary>Guessing ports again after it failed: this long, then twice that, up to an hour.</summary>
    private static readonly TimeSpan FirstGuessPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongestGuessPause = TimeSpan.FromHours(1);

    /// <summary>A silent path through an extra socket is remembered for this long, and the socket with it.</summary>
    private static readonly TimeSpan SocketMemory = TimeSpan.FromSeconds(60);

    /// <summary>The peer's probes make us probe back at most this often per path.</summary>
    private static readonly TimeSpan TriggeredInterval = TimeSpan.FromMilliseconds(100);

    private readonly TimeProvider _time;
    private readonly ProbeChannel _channel;
    private readonly Random _random;
    private readonly bool _leads;
    private readonly Dictionary<PathKey, ProbedPath> _paths = [];
    private readonly Dictionary<uint, (PathKey Key, long Sent)> _waiting = [];
    private readonly Queue<(uint Transaction, long Sent)> _waitingOrder = new();
    private readonly List<PathKey> _triggered = [];
    private PunchSide _local = new(CandidateList.Empty, default);
    private PunchSide _remote = new(CandidateList.Empty, default);
    private bool _hasRemote;
    private bool _wasProven;
    private PunchRun? _run;
    private long _socketsUntil;
    private TimeSpan _retry = FirstRetry;
    private long _nextRetry = long.MaxValue;
    private long _lastRound = long.MinValue;
    private TimeSpan _guessPause = FirstGuessPause;
    private long _nextGuess = long.MinValue;
    private bool _wantsIntroduction;

    /// <param name="time">The clock.</param>
    /// <param name="channel">The pair's probes; disposed of with this.</param>
    /// <param name="leads">True on exactly one of the two sides: the one with the smaller member id or key.</param>
    /// <param name="random">Transactions and guessed ports; seeded in simulations.</param>
    public PeerTraversal(TimeProvider time, ProbeChannel channel, bool leads, Random random)
    {
        _time = time;
        _channel = channel;
        _leads = leads;
        _random = random;
    }

    /// <summary>The paths that were proven once, or that the peer's probes came by.</summary>
    public IReadOnlyCollection<ProbedPath> Paths => _paths.Values;

    /// <summary>True while any path is proven.</summary>
    public bool IsProven => _paths.Values.Any(path => path.IsProven);

    /// <summary>True when the peer's last probe said that it passes on datagrams of others.</summary>
    public bool PeerWillingToRelay { get; private set; }

    /// <summary>Whether this node passes on datagrams of others; told in each probe and answer.</summary>
    public bool WillingToRelay { get; set; }

    /// <summary>How many sockets besides the node's own there must be now; their numbers are 1 to this. See <see cref="IsSocketNeeded"/>.</summary>
    public int SocketsWanted { get; private set; }

    /// <summary>The endpoint that the last answer says we were seen from; unspecified until there is one.</summary>
    public UdpEndpoint LastSeenFrom { get; private set; }

    /// <summary>True when a probe of the peer once came from an address that we had sent nothing to: our NAT filters nothing.</summary>
    public bool SawUnsolicited { get; private set; }

    /// <summary>How things stand.</summary>
    public TraversalState State
    {
        get
        {
            if (IsProven)
                return TraversalState.Proven;
            if (!_hasRemote)
                return TraversalState.WaitingForPeer;
            if (_remote.Candidates.Count == 0 && _paths.Count == 0)
                return TraversalState.NoCandidates;
            if (_run is not null)
                return TraversalState.Punching;
            if (_wasProven)
                return TraversalState.Lost;
            return PunchPlan.IsHopeless(_local.Nat, _remote.Nat) ? TraversalState.BothNatsRandom : TraversalState.NoAnswer;
        }
    }

    /// <summary>This node's own candidates and NAT.</summary>
    public void SetLocal(CandidateList candidates, NatBehaviour nat, long now)
    {
        bool changed = !_local.Candidates.Equals(candidates) || _local.Nat != nat;
        _local = new PunchSide(candidates, nat);
        if (changed)
            HurryUp(now);
    }

    /// <summary>The peer's candidates and NAT, as it told them.</summary>
    public void SetRemote(CandidateList candidates, NatBehaviour nat, long now)
    {
        bool changed = !_hasRemote || !_remote.Candidates.Equals(candidates) || _remote.Nat != nat;
        _hasRemote = true;
        _remote = new PunchSide(candidates, nat);
        if (changed)
            HurryUp(now);
    }

    /// <summary>The server introduces the two: both begin at the same time.</summary>
    /// <param name="startAt">When; the past means now.</param>
    /// <param name="now">The present.</param>
    public void Introduce(long startAt, long now)
    {
        bool guess = now >= _nextGuess && !IsProven;
        PunchPlan plan = PunchPlan.Create(_local, _remote, _leads, guess);
        _run = new PunchRun(_time, plan, Math.Max(startAt, now), (uint)_random.Next()) { IsGuessingOver = IsProven };
        SocketsWanted = IsProven ? 0 : plan.LocalSockets;
        _socketsUntil = _run.StartAt + _time.Ticks(plan.Duration + AnswerLifetime);
        _wantsIntroduction = false;
        if (!plan.UsesGuesses)
            return;
        _nextGuess = now + _time.Ticks(plan.Duration + _guessPause);
        _guessPause = Shorter(_guessPause * 2, LongestGuessPause);
    }

    /// <summary>The node's network changed or it woke from sleep: nothing that was proven is trusted, and everything is tried at once.</summary>
    public void OnNetworkChanged(long now)
    {
        foreach (ProbedPath path in _paths.Values)
            path.Reset();
        _waiting.Clear();
        _waitingOrder.Clear();
        _run = null;
        _wantsIntroduction = true;
        HurryUp(now);
    }

    /// <summary>True once when the server should be asked to introduce the two again: both NATs must be opened at the same time.</summary>
    public bool TakeIntroductionRequest()
    {
        bool wanted = _wantsIntroduction;
        _wantsIntroduction = false;
        return wanted;
    }

    /// <summary>False when an extra socket may be closed: the plan that wanted it is over, and no path leads through it.</summary>
    public bool IsSocketNeeded(int socket) => socket == 0 || socket <= SocketsWanted || _paths.Keys.Any(key => key.Socket == socket);

    /// <summary>Writes the datagram of a probe, <see cref="ProbeCodec.Size"/> bytes.</summary>
    public void Seal(in OutgoingProbe probe, Span<byte> datagram) => _channel.SealProbe(probe.Transaction, probe.Flags, datagram);

    /// <summary>Takes a probe or answer that came from the peer, or claims to.</summary>
    /// <param name="datagram">The bytes; anything is allowed.</param>
    /// <param name="from">Where they came from.</param>
    /// <param name="socket">The local socket that they came to.</param>
    /// <param name="now">The present.</param>
    /// <param name="answer">Receives the answer to a probe, <see cref="ProbeCodec.Size"/> bytes.</param>
    /// <param name="pathsChanged">True when a path was proven: choose anew. Timers are to be run after every datagram but rejected ones.</param>
    public ProbeOutcome OnDatagram(ReadOnlySpan<byte> datagram, in UdpEndpoint from, int socket, long now, Span<byte> answer, out bool pathsChanged)
    {
        pathsChanged = false;
        if (!_channel.TryOpen(datagram, out Probe probe))
            return ProbeOutcome.Rejected;
        PeerWillingToRelay = probe.Flags.HasFlag(ProbeFlags.WillingToRelay);
        var key = new PathKey(from, socket);
        if (probe.IsAnswer)
        {
            // RFC 8445 section 7.2.5.2.1: an answer from elsewhere than the probe went to proves no path.
            if (!_waiting.Remove(probe.Transaction, out (PathKey Key, long Sent) sent) || sent.Key != key || !TryGetPath(key, now, out ProbedPath? proven))
                return ProbeOutcome.Ignored;
            LastSeenFrom = probe.SeenFrom;
            pathsChanged = proven.OnAnswer(probe.Transaction, sent.Sent, now);
            if (pathsChanged)
                OnProven();
            return ProbeOutcome.AnswerTaken;
        }

        if (TryGetPath(key, now, out ProbedPath? path))
        {
            SawUnsolicited |= path is { LastSent: long.MinValue, LastHeard: long.MinValue } && !HasSentTo(from);
            path.OnHeard(probe.Flags, now);
            // What comes in may go out: ask back at once, unless it is known or being asked.
            bool isAsked = path.LastSent != long.MinValue && now - path.LastSent < _time.Ticks(TriggeredInterval);
            if (!path.IsProven && !isAsked && !_triggered.Contains(key))
                _triggered.Add(key);
        }

        _channel.SealAnswer(probe, from, OwnFlags, answer);
        return ProbeOutcome.Answered;
    }

    /// <summary>Does what is due.</summary>
    /// <param name="now">The present.</param>
    /// <param name="lastTraffic">When data last went to or came from the peer, by any path; <see cref="long.MinValue"/> for never.</param>
    /// <param name="inUse">The direct path that data is sent over, null for none.</param>
    /// <param name="output">Receives the probes to send.</param>
    /// <param name="pathsChanged">True when a path was lost: choose anew.</param>
    /// <returns>When to call again.</returns>
    public long RunTimers(long now, long lastTraffic, PathKey? inUse, List<OutgoingProbe> output, out bool pathsChanged)
    {
        pathsChanged = false;
        bool busy = lastTraffic != long.MinValue && now - lastTraffic <= _time.Ticks(BusyFor);
        ForgetLateAnswers(now);
        ForgetSockets(now);

        PathKey? kept = inUse is { } used && _paths.TryGetValue(used, out ProbedPath? usedPath) && usedPath.IsProven ? used : BestProven();
        foreach (ProbedPath path in _paths.Values)
        {
            if (!path.Expire(now, PaceOf(path, kept, inUse, busy)))
                continue;
            pathsChanged = true;
            // What else there is may be needed the next moment.
            HurryUp(now, guesses: false);
        }

        if (pathsChanged)
            kept = kept is { } one && _paths[one].IsProven ? kept : BestProven();
        foreach (PathKey key in _triggered)
        {
            if (IsSocketNeeded(key.Socket))
                Send(key, now, inUse, output);
        }

        _triggered.Clear();
        RunPlan(now, inUse, output);
        RunRetries(now, busy, inUse, output);

        long next = Math.Min(_run?.Next ?? long.MaxValue, _nextRetry);
        foreach (ProbedPath path in _paths.Values)
        {
            ProbePace pace = PaceOf(path, kept, inUse, busy);
            if (path.IsProven && path.NextProbe(pace) <= now)
                Send(path.Key, now, inUse, output);
            if (path.IsProven)
                next = Math.Min(next, path.NextProbe(pace));
            next = Math.Min(next, path.NextExpiry(pace));
        }

        return Math.Max(next, now + 1);
    }

    /// <summary>Zeroes the key.</summary>
    public void Dispose() => _channel.Dispose();

    private ProbeFlags OwnFlags => WillingToRelay ? ProbeFlags.WillingToRelay : ProbeFlags.None;

    private static ProbePace PaceOf(ProbedPath path, PathKey? kept, PathKey? inUse, bool busy)
    {
        if (path.Key == kept)
            return busy && path.Key == inUse ? ProbePace.Busy : busy ? ProbePace.Standby : ProbePace.KeepAlive;
        return busy ? ProbePace.Standby : ProbePace.Rest;
    }

    private void RunPlan(long now, PathKey? inUse, List<OutgoingProbe> output)
    {
        if (_run is null)
            return;
        while (_run.TryTake(now, out PunchShot shot))
        {
            var key = new PathKey(shot.Destination, shot.Socket);
            // A proven path has its own rhythm.
            if (!_paths.TryGetValue(key, out ProbedPath? path) || !path.IsProven)
                Send(key, now, inUse, output);
        }

        if (!_run.IsDone)
            return;
        _run = null;
        if (!IsProven)
            ScheduleRetry(now, busy: false);
    }

    /// <summary>Without a direct path: everything again, ever more slowly. With one, and only while data flows: what may be as good or better.</summary>
    private void RunRetries(long now, bool busy, PathKey? inUse, List<OutgoingProbe> output)
    {
        bool proven = IsProven;
        if (_nextRetry == long.MaxValue && _hasRemote && _run is null && (!proven || busy))
            _nextRetry = Math.Max(now, SoonestRound);
        // Data waits for a better path than the server's, or may need a second one: no time for an idle pair's long pauses.
        if (busy && !proven)
            _nextRetry = Math.Min(_nextRetry, Math.Max(now, SoonestRound));
        if (_nextRetry > now)
            return;
        if (proven && !busy)
        {
            // An idle pair exchanges what keeps its path open, and nothing else.
            _nextRetry = long.MaxValue;
            return;
        }

        if (!proven)
            _wantsIntroduction = true;
        _lastRound = now;
        int best = proven ? _paths.Values.Where(path => path.IsProven).Min(path => RankOf(path.Key)) : int.MaxValue;
        foreach (Candidate candidate in _remote.Candidates)
        {
            var key = new PathKey(candidate.Endpoint, 0);
            if (candidate.Kind != CandidateKind.Predicted && !IsProvenPath(key) && RankOf(key) <= best)
                Send(key, now, inUse, output);
        }

        foreach (ProbedPath path in _paths.Values)
        {
            // What worked once is the second choice when the first fails, whatever its rank.
            if (!path.IsProven && path.LastSent != now)
                Send(path.Key, now, inUse, output);
        }

        ScheduleRetry(now, busy);
    }

    private long SoonestRound => _lastRound == long.MinValue ? long.MinValue : _lastRound + _time.Ticks(SlowestRetryBusy);

    private void ScheduleRetry(long now, bool busy)
    {
        if (IsProven)
        {
            _nextRetry = now + _time.Ticks(BetterPathInterval);
            return;
        }

        TimeSpan wait = Shorter(_retry, busy ? SlowestRetryBusy : SlowestRetry);
        _nextRetry = now + _time.Ticks(wait);
        _retry = Shorter(_retry * 2, SlowestRetry);
    }

    /// <summary>Something changed: retry now, and quickly again for a while.</summary>
    private void HurryUp(long now, bool guesses = true)
    {
        _retry = FirstRetry;
        if (_hasRemote)
            _nextRetry = now;
        if (!guesses)
            return;
        _guessPause = FirstGuessPause;
        _nextGuess = long.MinValue;
    }

    private void OnProven()
    {
        _wasProven = true;
        _wantsIntroduction = false;
        _retry = FirstRetry;
        _guessPause = FirstGuessPause;
        SocketsWanted = 0;
        if (_run is not null)
            _run.IsGuessingOver = true;
    }

    private void Send(in PathKey key, long now, PathKey? inUse, List<OutgoingProbe> output)
    {
        if (_waiting.Count >= MaximumWaiting && _waitingOrder.TryDequeue(out (uint Transaction, long Sent) oldest))
            _waiting.Remove(oldest.Transaction);
        uint transaction;
        do
            transaction = (uint)_random.NextInt64(1L << 32);
        while (!_waiting.TryAdd(transaction, (key, now)));
        _waitingOrder.Enqueue((transaction, now));
        if (_paths.TryGetValue(key, out ProbedPath? path))
            path.OnSent(transaction, now);
        output.Add(new OutgoingProbe(key.Remote, key.Socket, transaction, OwnFlags | (inUse == key ? ProbeFlags.PathInUse : ProbeFlags.None)));
    }

    private void ForgetLateAnswers(long now)
    {
        long limit = now - _time.Ticks(AnswerLifetime);
        while (_waitingOrder.TryPeek(out (uint Transaction, long Sent) oldest) && oldest.Sent < limit)
        {
            _waitingOrder.Dequeue();
            _waiting.Remove(oldest.Transaction);
        }
    }

    /// <summary>Extra sockets live as long as their plan, or the path through them and a while beyond.</summary>
    private void ForgetSockets(long now)
    {
        if (now > _socketsUntil)
            SocketsWanted = 0;
        long limit = now - _time.Ticks(SocketMemory);
        foreach (ProbedPath path in _paths.Values)
        {
            if (path.Key.Socket != 0 && !path.IsProven && Math.Max(path.LastAnswer, path.LastHeard) < limit)
                _paths.Remove(path.Key);
        }
    }

    /// <summary>The path with this key, new or known; false when there are too many that are all worth more.</summary>
    private bool TryGetPath(in PathKey key, long now, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ProbedPath? path)
    {
        if (_paths.TryGetValue(key, out path))
            return true;
        if (!Candidate.IsUsable(key.Remote))
            return false;
        if (_paths.Count >= MaximumPaths)
        {
            ProbedPath? worst = _paths.Values
                .Where(known => !known.IsProven && known.LastHeard < now - _time.Ticks(AnswerLifetime))
                .MinBy(known => Math.Max(known.LastAnswer, known.LastHeard));
            if (worst is null)
                return false;
            _paths.Remove(worst.Key);
        }

        path = new ProbedPath(_time, key);
        _paths.Add(key, path);
        return true;
    }

    private bool HasSentTo(in UdpEndpoint endpoint)
    {
        foreach ((PathKey key, _) in _waiting.Values)
        {
            if (key.Remote.MappedAddress == endpoint.MappedAddress)
                return true;
        }

        return false;
    }

    private bool IsProvenPath(in PathKey key) => _paths.TryGetValue(key, out ProbedPath? path) && path.IsProven;

    /// <summary>The path that is kept open when none is in use, or the one in use failed.</summary>
    private PathKey? BestProven() => _paths.Values
        .Where(path => path.IsProven)
        .OrderBy(path => RankOf(path.Key))
        .ThenBy(path => path.RoundTrip)
        .Select(path => (PathKey?)path.Key)
        .FirstOrDefault();

    /// <summary>0 local network, 1 public.</summary>
    private int RankOf(in PathKey key) => IsLocalNetwork(key) ? 0 : 1;

    /// <summary>True for a path within a local network: private addresses, or one of a network of ours.</summary>
    public bool IsLocalNetwork(in PathKey key) => key.Remote.IsLocal || PunchPlan.IsNear(key.Remote, _local.Candidates);

    private static TimeSpan Shorter(TimeSpan first, TimeSpan second) => first < second ? first : second;
}
