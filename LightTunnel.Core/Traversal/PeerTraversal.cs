using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.Traversal;

/// <summary>
/// Everything that is done to reach one peer without the server: punching when the server introduces the two, probes to prove and keep
/// paths, direct ones and those through other members, answers to the peer's probes, retries for ever. No I/O; owned by the control loop.
/// </summary>
internal sealed class PeerTraversal : IDisposable
{
    /// <summary>Data within this time makes a pair busy.</summary>
    private static readonly TimeSpan BusyFor = TimeSpan.FromSeconds(3);

    /// <summary>A silent path through an extra socket is remembered for this long, and the socket with it.</summary>
    private static readonly TimeSpan SocketMemory = TimeSpan.FromSeconds(60);

    /// <summary>Predictions for one peer are no closer together: its own should be fresh when ours is.</summary>
    private static readonly TimeSpan PredictionInterval = TimeSpan.FromSeconds(1.5);

    /// <summary>What takes longer may be a local network, but other paths may well be faster.</summary>
    private static readonly TimeSpan LongestLocal = TimeSpan.FromMilliseconds(5);

    /// <summary>The peer's probes make us probe back at most this often per path.</summary>
    private static readonly TimeSpan TriggeredInterval = TimeSpan.FromMilliseconds(100);

    private readonly ProbeChannel _channel;
    private readonly Random _random;
    private readonly PathTable _paths;
    private readonly OutstandingProbes _outstanding;
    private readonly ProbeTallies _tallies = new();
    private readonly GuessAllowance _guesses;
    private readonly RetryPace _retries;
    private readonly List<PathAddress> _triggered = [];
    private PunchSide _local = new(CandidateList.Empty, default);
    private PunchSide _remote = new(CandidateList.Empty, default);
    private bool _hasRemote;
    private bool _isDirectAllowed = true;
    private bool _wasProven;
    private PunchRun? _run;
    private Timestamp _lastPrediction;
    private RoundTripEstimator _serverRoundTrip;
    private bool _wantsIntroduction;
    private bool _isLost;

    /// <param name="channel">The pair's probes; disposed of with this.</param>
    /// <param name="leads">True on exactly one of the two sides, by something that both know alike.</param>
    /// <param name="random">Transactions and guessed ports; seeded in simulations.</param>
    public PeerTraversal(ProbeChannel channel, bool leads, Random random)
    {
        _channel = channel;
        Leads = leads;
        _random = random;
        _paths = new PathTable();
        _outstanding = new OutstandingProbes(random);
        _guesses = new GuessAllowance(random);
        _retries = new RetryPace();
    }

    /// <summary>True on exactly one of the two sides.</summary>
    public bool Leads { get; }

    /// <summary>The paths that were proven once, or that the peer's probes came by.</summary>
    public IReadOnlyCollection<ProbedPath> Paths => _paths.All;

    /// <summary>What was tried since the two were last introduced, by path.</summary>
    public IReadOnlyList<ProbeTally> Tallies => _tallies.All;

    /// <summary>The NAT before this node.</summary>
    public NatBehaviour LocalNat => _local.Nat;

    /// <summary>The NAT before the peer, as far as it told.</summary>
    public NatBehaviour RemoteNat => _remote.Nat;

    /// <summary>Probes whose answers are waited for.</summary>
    public int OutstandingProbes => _outstanding.Count;

    /// <summary>True while a direct path is proven.</summary>
    public bool IsProven => _paths.IsDirectProven;

    /// <summary>True when the peer's last probe said that it passes on datagrams of others.</summary>
    public bool PeerWillingToRelay { get; private set; }

    /// <summary>True when the peer's last probe said that it has keys of a link with this node.</summary>
    public bool PeerHasSession { get; private set; }

    /// <summary>Whether this node has keys of a link with the peer; told in each probe and answer.</summary>
    public bool HasSession { get; set; }

    /// <summary>Whether this node passes on datagrams of others; told in each probe and answer.</summary>
    public bool WillingToRelay { get; set; }

    /// <summary>False when no direct path may be used: none is tried or kept, and the peer's attempts are not answered.</summary>
    public bool IsDirectAllowed
    {
        get => _isDirectAllowed;
        set
        {
            _isDirectAllowed = value;
            if (value)
                return;
            _paths.RemoveDirect();
            _run = null;
        }
    }

    /// <summary>Finds paths through other members that are worth a try; asked while there is no direct one and data flows.</summary>
    public Func<IReadOnlyList<PathAddress>> FindRelays { get; set; } = static () => [];

    /// <summary>The path through the server, which is measured but never proven here; unspecified for none.</summary>
    public PathAddress ServerPath { get; set; }

    /// <summary>Smoothed round trip through the server, null until measured.</summary>
    public TimeSpan? ServerRoundTrip => _serverRoundTrip.SmoothedRoundTrip;

    /// <summary>
    /// The sockets beside the node's own that the attempt has; to be opened by the owner after <see cref="Introduce"/>. See
    /// <see cref="IsSocketNeeded"/>.
    /// </summary>
    public AttemptSockets Sockets { get; } = new();

    /// <summary>When the server last introduced the two.</summary>
    public Timestamp Introduced { get; private set; }

    /// <summary>True while ports are being guessed.</summary>
    public bool IsGuessing => _run is { Plan.UsesGuesses: true, IsGuessingOver: false };

    /// <summary>When an introduction with guesses was last asked for.</summary>
    public Timestamp GuessesAskedAt { get; set; }

    /// <summary>When new keys were asked for, as the member said that it has none. The owner's.</summary>
    public Timestamp RenewalAskedAt { get; set; }

    /// <summary>How things stand.</summary>
    public TraversalState State
    {
        get
        {
            if (IsProven)
                return TraversalState.Proven;
            if (!_hasRemote)
                return TraversalState.WaitingForPeer;
            if (_remote.Candidates.Count == 0 && _paths.All.Count == 0)
                return TraversalState.NoCandidates;
            if (_run is not null)
                return TraversalState.Punching;
            if (PunchPlan.IsHopeless(_local.Nat, _remote.Nat))
                return TraversalState.BothNatsRandom;
            return _wasProven ? TraversalState.Lost : TraversalState.NoAnswer;
        }
    }

    /// <summary>This node's own candidates and NAT.</summary>
    public void SetLocal(CandidateList candidates, NatBehaviour nat, Timestamp now)
    {
        PunchSide before = _local;
        _local = new PunchSide(candidates, nat);
        OnSideChanged(before, _local, now);
    }

    /// <summary>The peer's candidates and NAT, as it told them.</summary>
    /// <returns>True when its endpoints are others than before.</returns>
    public bool SetRemote(CandidateList candidates, NatBehaviour nat, Timestamp now)
    {
        PunchSide before = _remote;
        bool isFirst = !_hasRemote;
        _hasRemote = true;
        _remote = new PunchSide(candidates, nat);
        if (isFirst)
            HurryUp(now);
        else
            OnSideChanged(before, _remote, now);
        return isFirst || !before.Candidates.EqualsButPredictions(candidates);
    }

    /// <summary>
    /// True when this node's next port should be found out before the two are introduced (again), as it will be guessed; not too often.
    /// </summary>
    public bool TryPredict(Timestamp now)
    {
        if (!_local.Nat.IsPredictable || IsProven || !IsDirectAllowed || !_guesses.IsTolerated(now)
            || PunchPlan.IsHopeless(_local.Nat, _remote.Nat)
            || (now - _lastPrediction < PredictionInterval))
        {
            return false;
        }

        _lastPrediction = now;
        // What is still guessed would use up the ports that are predicted now, and stands on an older prediction.
        _run?.IsGuessingOver = true;
        return true;
    }

    /// <summary>True when an introduction may be asked for in which both guess ports.</summary>
    public bool MayAskForGuesses(Timestamp now, bool busy) => !IsProven && IsDirectAllowed && _guesses.IsGiven(now, busy);

    /// <summary>The server introduces the two: both begin at the same time.</summary>
    /// <param name="startAt">When; the past means now.</param>
    /// <param name="now">The present.</param>
    /// <param name="allowGuesses">True when both are to guess ports, and this node does not do so for too many others already.</param>
    /// <returns>False when nothing new begins.</returns>
    public bool Introduce(Timestamp startAt, Timestamp now, bool allowGuesses = true)
    {
        _wantsIntroduction = false;
        Introduced = now;
        if (!IsDirectAllowed)
            return false;
        // The peer may have lost the path that this node still takes for proven.
        Doubt();
        bool guess = allowGuesses && _guesses.IsTolerated(now) && !IsProven;
        PunchPlan plan = PunchPlan.Create(_local, _remote, Leads, guess);
        // The plan that has begun guessing does so to its end; a second introduction is of use only if it can guess better.
        if (IsGuessing && !plan.UsesGuesses)
            return false;
        if (_run is null)
            _tallies.Clear();
        _run = new PunchRun(plan, Timestamp.Latest(startAt, now), (uint)_random.Next()) { IsGuessingOver = IsProven };
        Sockets.Begin(IsProven ? 0 : plan.LocalSockets, _run.StartAt + plan.Duration + Traversal.OutstandingProbes.Lifetime);
        if (!plan.UsesGuesses)
            return true;
        _guesses.Spend(now, plan);
        _lastPrediction = Timestamp.NotYet;
        return true;
    }

    /// <summary>
    /// The node's network changed or it woke from sleep: nothing that was proven is trusted, and everything is tried at once.
    /// </summary>
    public void OnNetworkChanged(Timestamp now)
    {
        foreach (ProbedPath path in _paths.All)
            path.Reset();
        _outstanding.Clear();
        _run = null;
        Retry(now);
    }

    /// <summary>
    /// Something says that the peer is gone or has lost its paths: what was proven is proven anew or given up within a second.
    /// </summary>
    public void Doubt()
    {
        foreach (ProbedPath path in _paths.All)
            path.Doubt();
    }

    /// <summary>Everything is tried again at once, with an introduction.</summary>
    public void Retry(Timestamp now)
    {
        _tallies.Clear();
        _wantsIntroduction = true;
        HurryUp(now);
    }

    /// <summary>True once after a path that was in use, or kept for that, fell silent.</summary>
    public bool TakeLoss()
    {
        bool lost = _isLost;
        _isLost = false;
        return lost;
    }

    /// <summary>True once when the server should be asked to introduce the two again: both NATs must be opened at the same time.</summary>
    public bool TakeIntroductionRequest()
    {
        bool wanted = _wantsIntroduction && IsDirectAllowed;
        _wantsIntroduction = false;
        return wanted;
    }

    /// <summary>False when an extra socket may be closed: the plan that wanted it is over, and no path leads through it.</summary>
    public bool IsSocketNeeded(LocalEnd socket) =>
        socket.IsOwn || Sockets.Opened.Contains(socket) || _paths.All.Any(path => path.Key.Local == socket);

    /// <summary>Writes the datagram of a probe, <see cref="ProbeCodec.Size"/> bytes.</summary>
    public void Seal(in OutgoingProbe probe, Span<byte> datagram) => _channel.SealProbe(probe.Transaction, probe.Flags, datagram);

    /// <summary>A probe that only measures a path, whatever its state, to be sealed and sent.</summary>
    public OutgoingProbe Measure(in PathAddress path, Timestamp now)
    {
        var output = new List<OutgoingProbe>(1);
        Send(path, now, null, output);
        return output[0];
    }

    /// <summary>Takes a probe or answer that came from the peer, or claims to.</summary>
    /// <param name="datagram">The bytes; anything is allowed.</param>
    /// <param name="from">Where they came from, and to which local socket.</param>
    /// <param name="now">The present.</param>
    /// <param name="answer">Receives the answer to a probe, <see cref="ProbeCodec.Size"/> bytes.</param>
    /// <param name="seenFrom">Where the peer saw the probe that it answers come from; unspecified otherwise.</param>
    /// <param name="pathsChanged">True when a path was proven: choose anew. Timers are to be run after every datagram but
    /// rejected ones.</param>
    public ProbeOutcome OnDatagram(
        ReadOnlySpan<byte> datagram, in PathAddress from, Timestamp now, Span<byte> answer, out UdpEndpoint seenFrom, out bool pathsChanged)
    {
        pathsChanged = false;
        seenFrom = default;
        if ((!from.IsRelayed && !IsDirectAllowed) || !_channel.TryOpen(datagram, out Probe probe))
            return ProbeOutcome.Rejected;
        PeerWillingToRelay = probe.Flags.HasFlag(ProbeFlags.WillingToRelay);
        PeerHasSession = probe.Flags.HasFlag(ProbeFlags.HasSession);
        if (probe.IsAnswer)
        {
            seenFrom = probe.SeenFrom;
            return OnAnswer(probe, from, now, out pathsChanged);
        }

        _tallies.OnHeard(from);
        if (from != ServerPath && _paths.TryGetOrAdd(from, now, out ProbedPath? path))
        {
            path.OnHeard(probe.Flags, now);
            // What comes in may go out: ask back at once, unless it is known or being asked.
            bool isAsked = now - path.LastSent < TriggeredInterval;
            if (!path.IsProven && !isAsked && !_triggered.Contains(from))
                _triggered.Add(from);
        }

        _channel.SealAnswer(probe, from.Endpoint, OwnFlags, answer);
        return ProbeOutcome.Answered;
    }

    /// <summary>Does what is due.</summary>
    /// <param name="now">The present.</param>
    /// <param name="lastTraffic">When data last went to or came from the peer, by any path.</param>
    /// <param name="inUse">The path that data is sent over, null for the server's.</param>
    /// <param name="output">Receives the probes to send.</param>
    /// <param name="pathsChanged">True when a path was lost: choose anew.</param>
    /// <returns>When to call again.</returns>
    public Timestamp RunTimers(Timestamp now, Timestamp lastTraffic, PathAddress? inUse, List<OutgoingProbe> output, out bool pathsChanged)
    {
        pathsChanged = false;
        bool busy = now - lastTraffic <= BusyFor;
        _outstanding.ForgetLate(now);
        ForgetSockets(now);

        PathAddress? kept = KeptPath(inUse);
        foreach (ProbedPath path in _paths.All)
        {
            if (!path.Expire(now, PaceOf(path, kept, inUse, busy)))
                continue;
            pathsChanged = true;
            // What else there is may be needed the next moment.
            if (path.Key != kept && path.Key != inUse)
                continue; // Nobody asked: its time was over.
            _isLost = true;
            HurryUp(now, guesses: false);
        }

        if (pathsChanged)
            kept = KeptPath(inUse);
        foreach (PathAddress key in _triggered)
        {
            if (IsSocketNeeded(key.Local))
                Send(key, now, inUse, output);
        }

        _triggered.Clear();
        RunPlan(now, inUse, output);
        RunRetries(now, busy, inUse, output);

        Timestamp next = Timestamp.Earliest(_run?.Next ?? Timestamp.Never, _retries.Next);
        foreach (ProbedPath path in _paths.All)
        {
            ProbePace pace = PaceOf(path, kept, inUse, busy);
            if (path.IsProven && path.NextProbe(pace) <= now)
                Send(path.Key, now, inUse, output);
            if (path.IsProven)
                next = Timestamp.Earliest(next, path.NextProbe(pace));
            next = Timestamp.Earliest(next, path.NextExpiry(pace));
        }

        return Timestamp.Latest(next, now.Following);
    }

    /// <summary>True while the path is proven.</summary>
    public bool IsPathProven(in PathAddress path) => _paths.IsProven(path);

    /// <summary>True for an address at which the server sees the peer.</summary>
    public bool IsVouched(in UdpEndpoint endpoint)
    {
        foreach (Candidate candidate in _remote.Candidates)
        {
            if (candidate.Kind == CandidateKind.ServerReflexive && candidate.Endpoint.Subscriber == endpoint.Subscriber)
                return true;
        }

        return false;
    }

    /// <summary>True for a path within a local network: private addresses, or one of a network of ours.</summary>
    public bool IsLocalNetwork(in PathAddress key) =>
        !key.IsRelayed && (key.Endpoint.IsLocal || PunchPlan.IsNear(key.Endpoint, _local.Candidates));

    /// <summary>Zeroes the key.</summary>
    public void Dispose() => _channel.Dispose();

    private ProbeFlags OwnFlags =>
        (WillingToRelay ? ProbeFlags.WillingToRelay : ProbeFlags.None) | (HasSession ? ProbeFlags.HasSession : ProbeFlags.None);

    private ProbeOutcome OnAnswer(in Probe probe, in PathAddress from, Timestamp now, out bool pathsChanged)
    {
        pathsChanged = false;
        // RFC 8445 section 7.2.5.2.1: an answer from elsewhere than the probe went to proves no path.
        if (!_outstanding.TryTake(probe.Transaction, out PathAddress path, out Timestamp sent) || path != from)
            return ProbeOutcome.Ignored;
        TimeSpan roundTrip = now - sent;
        _tallies.OnAnswered(from, roundTrip);
        if (from == ServerPath)
        {
            _serverRoundTrip.Add(roundTrip);
            return ProbeOutcome.AnswerTaken;
        }

        if (!_paths.TryGetOrAdd(from, now, out ProbedPath? proven))
            return ProbeOutcome.Ignored;
        pathsChanged = proven.OnAnswer(probe.Transaction, sent, now);
        if (pathsChanged && !from.IsRelayed)
            OnProven();
        return ProbeOutcome.AnswerTaken;
    }

    /// <summary>Other endpoints or another NAT are a new beginning; another predicted port alone is not.</summary>
    private void OnSideChanged(in PunchSide before, in PunchSide after, Timestamp now)
    {
        if (before.Nat != after.Nat || !before.Candidates.EqualsButPredictions(after.Candidates))
            HurryUp(now);
    }

    /// <summary>The path in use while it is proven, otherwise the best direct one, which is kept open in any case.</summary>
    private PathAddress? KeptPath(PathAddress? inUse) => inUse is { } used && _paths.IsProven(used) ? used : BestDirect();

    private ProbePace PaceOf(ProbedPath path, PathAddress? kept, PathAddress? inUse, bool busy)
    {
        if (path.IsDoubted)
            return ProbePace.Busy;
        if (path.Key == kept)
            return busy && path.Key == inUse ? ProbePace.Busy : busy ? ProbePace.Standby : ProbePace.KeepAlive;
        // Other members are not troubled for a second choice while there is a direct path.
        if (!busy || (path.Key.IsRelayed && IsProven))
            return ProbePace.Rest;
        // What breaks the path in use may have broken the second choice too: that is to be known when it is needed, not a second later.
        return inUse is { } used && _paths.TryGet(used, out ProbedPath? first) && first.Misses > 0 ? ProbePace.Busy : ProbePace.Standby;
    }

    private void RunPlan(Timestamp now, PathAddress? inUse, List<OutgoingProbe> output)
    {
        if (_run is null || Sockets.IsOpening)
            return;
        while (_run.TryTake(now, out PunchShot shot))
        {
            if (!Sockets.TryFind(shot.Socket, out LocalEnd socket))
                continue;
            var key = new PathAddress(shot.Destination).By(socket);
            // A proven path has its own rhythm.
            if (!_paths.IsProven(key))
                Send(key, now, inUse, output, shot.IsGuess);
        }

        if (!_run.IsDone)
            return;
        _run = null;
        if (!IsProven)
            _retries.Schedule(now, isProven: false, busy: false);
    }

    /// <summary>
    /// Without a direct path: everything again, ever more slowly; a member that nobody introduced yet is asked for while data flows. With
    /// one, and only while data flows: what may be as good or better.
    /// </summary>
    private void RunRetries(Timestamp now, bool busy, PathAddress? inUse, List<OutgoingProbe> output)
    {
        bool proven = IsProven;
        bool isIdle = !busy && (proven || !_hasRemote);
        // Data waits for a better path than the server's, or may need a second one: no time for an idle pair's long pauses.
        if ((busy && !proven) || (_retries.Next == Timestamp.Never && _run is null && !isIdle))
            _retries.Want(now);
        if (_retries.Next > now)
            return;
        if (isIdle)
        {
            // An idle pair exchanges what keeps its path open, and nothing else.
            _retries.Rest();
            return;
        }

        if (!proven)
            _wantsIntroduction = true;
        _retries.OnRound(now);
        if (_run is null || now >= _run.StartAt + _run.Plan.Quiet)
            TryCandidates(now, proven, inUse, output);
        if (busy && !proven)
            TryRelays(now, inUse, output);
        foreach (ProbedPath path in _paths.All)
        {
            // What worked once is the second choice when the first fails, whatever its rank.
            if (!path.IsProven && !path.Key.IsRelayed && path.LastSent != now)
                Send(path.Key, now, inUse, output);
        }

        _retries.Schedule(now, IsProven, busy);
    }

    private void TryCandidates(Timestamp now, bool proven, PathAddress? inUse, List<OutgoingProbe> output)
    {
        if (!IsDirectAllowed)
            return;
        int best = proven ? _paths.All.Where(path => path.IsProven).Min(RankOf) : int.MaxValue;
        foreach (Candidate candidate in _remote.Candidates)
        {
            var key = new PathAddress(candidate.Endpoint);
            if (candidate.Kind != CandidateKind.Predicted && !_paths.IsProven(key) && RankOf(key) <= best)
                Send(key, now, inUse, output);
        }
    }

    /// <summary>Other members may be nearer than the server; what they are compared with must be known too.</summary>
    private void TryRelays(Timestamp now, PathAddress? inUse, List<OutgoingProbe> output)
    {
        IReadOnlyList<PathAddress> relays = FindRelays();
        if (relays.Count > 0 && ServerPath.Endpoint.IsSpecified)
            Send(ServerPath, now, inUse, output);
        foreach (PathAddress relay in relays)
        {
            if (!_paths.IsProven(relay))
                Send(relay, now, inUse, output);
        }
    }

    /// <summary>Something changed: retry now, and quickly again for a while.</summary>
    private void HurryUp(Timestamp now, bool guesses = true)
    {
        _retries.Reset();
        if (_hasRemote)
            _retries.Hurry(now);
        if (guesses)
            _guesses.Reset();
    }

    private void OnProven()
    {
        _wasProven = true;
        _wantsIntroduction = false;
        _retries.Reset();
        _guesses.Reset();
        Sockets.End();
        if (_run is not null)
            _run.IsGuessingOver = true;
    }

    private void Send(in PathAddress key, Timestamp now, PathAddress? inUse, List<OutgoingProbe> output, bool isGuess = false)
    {
        uint transaction = _outstanding.Add(key, now);
        if (_paths.TryGet(key, out ProbedPath? path))
            path.OnSent(transaction, now);
        if (isGuess)
            _tallies.OnGuess(key);
        else
            _tallies.OnSent(key, key.IsRelayed ? null : _remote.Candidates.KindOf(key.Endpoint) ?? CandidateKind.PeerReflexive);
        output.Add(new OutgoingProbe(key, transaction, OwnFlags | (inUse == key ? ProbeFlags.PathInUse : ProbeFlags.None)));
    }

    /// <summary>Extra sockets live as long as their plan, or the path through them and a while beyond.</summary>
    private void ForgetSockets(Timestamp now)
    {
        Sockets.Expire(now);
        Timestamp limit = now - SocketMemory;
        foreach (ProbedPath path in _paths.All)
        {
            if (!path.Key.Local.IsOwn && !path.IsProven && Timestamp.Latest(path.LastAnswer, path.LastHeard) < limit)
                _paths.Remove(path.Key);
        }
    }

    private PathAddress? BestDirect() => _paths.All
        .Where(path => path.IsProven && !path.Key.IsRelayed)
        .OrderBy(RankOf)
        .ThenBy(path => path.RoundTrip)
        .Select(path => (PathAddress?)path.Key)
        .FirstOrDefault();

    /// <summary>The same, as far as its round trip bears it out: a tunnel's addresses are private too.</summary>
    private int RankOf(ProbedPath path) => Math.Max(RankOf(path.Key), path.RoundTrip > LongestLocal ? 1 : 0);

    /// <summary>0 local network, 1 public, 2 through another member.</summary>
    private int RankOf(in PathAddress key) => key.IsRelayed ? 2 : IsLocalNetwork(key) ? 0 : 1;
}
