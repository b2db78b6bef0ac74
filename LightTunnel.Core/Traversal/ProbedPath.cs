using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.Traversal;

/// <summary>How closely a path is watched.</summary>
internal enum ProbePace
{
    /// <summary>Not at all: another path is in use and nothing is sent.</summary>
    Rest,

    /// <summary>Just enough that NATs keep it open.</summary>
    KeepAlive,

    /// <summary>A second choice while data flows elsewhere.</summary>
    Standby,

    /// <summary>Data flows over it.</summary>
    Busy,
}

/// <summary>
/// What probes say of one path, direct or through another member: proven only by answers to our own probes, and only as long as they keep
/// coming. Owned by the control loop.
/// </summary>
internal sealed class ProbedPath
{
    /// <summary>While data flows.</summary>
    public static readonly TimeSpan BusyInterval = TimeSpan.FromMilliseconds(250);

    /// <summary>While nothing flows: NATs keep a mapping for 30 s at least in practice.</summary>
    public static readonly TimeSpan KeepAliveInterval = TimeSpan.FromSeconds(10);

    /// <summary>Due times of such probes are multiples of this.</summary>
    public static readonly TimeSpan KeepAliveSlack = TimeSpan.FromSeconds(2);

    /// <summary>A second choice stays proven, so that the first can be left for it at once.</summary>
    public static readonly TimeSpan StandbyInterval = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan HurryBusy = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan HurryIdle = TimeSpan.FromMilliseconds(500);

    /// <summary>How long an answer is waited for, the bounds of RFC 6298's timeout: schedulers and radios pause.</summary>
    private static readonly TimeSpan InitialWait = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan LeastWaitBusy = TimeSpan.FromMilliseconds(120);
    private static readonly TimeSpan LeastWaitIdle = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(2);

    /// <summary>A path is not given up sooner after the first probe that stayed unanswered.</summary>
    private static readonly TimeSpan LeastSilenceBusy = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LeastSilenceIdle = TimeSpan.FromSeconds(2);

    /// <summary>An answer proves a path for this long at most.</summary>
    private static readonly TimeSpan ProofLifetime = TimeSpan.FromSeconds(20);

    /// <summary>Probes that must have stayed unanswered; two suffice when each takes long to be sure of.</summary>
    private const int MissesUntilLost = 3;
    private const int MissesUntilLostSlow = 2;

    private const int MaximumWaiting = 32;

    private readonly List<(uint Transaction, Timestamp Sent)> _waiting = [];
    private Timestamp _firstUnanswered = Timestamp.Never;
    private RoundTripEstimator _roundTrip;
    private LossWindow _losses;

    public ProbedPath(PathAddress key) => Key = key;

    /// <summary>Which path this is.</summary>
    public PathAddress Key { get; }

    /// <summary>True while our probes on it are answered.</summary>
    public bool IsProven { get; private set; }

    /// <summary>Smoothed round trip, null until measured. Probes sent again are other probes, so that every answer measures.</summary>
    public TimeSpan? RoundTrip => _roundTrip.SmoothedRoundTrip;

    /// <summary>Share of the last 32 probes that were not answered, 0..1; null before the first result.</summary>
    public double? Loss => _losses.Share;

    /// <summary>When the last answer came.</summary>
    public Timestamp LastAnswer { get; private set; }

    /// <summary>When the peer's last probe came on it.</summary>
    public Timestamp LastHeard { get; private set; }

    /// <summary>Probes in a row that were not answered in time.</summary>
    public int Misses { get; private set; }

    /// <summary>True when the peer said in its last probe that it sends its data over this path.</summary>
    public bool PeerUses { get; private set; }

    /// <summary>True from a <see cref="Doubt"/> until the next answer.</summary>
    public bool IsDoubted { get; private set; }

    /// <summary>When the last probe was sent.</summary>
    public Timestamp LastSent { get; private set; }

    /// <summary>True while a probe is out that may still be answered in time.</summary>
    public bool IsWaiting => _waiting.Count > 0;

    /// <summary>A probe was sent on it.</summary>
    public void OnSent(uint transaction, Timestamp now)
    {
        if (_waiting.Count == MaximumWaiting)
            _waiting.RemoveAt(0);
        _waiting.Add((transaction, now));
        LastSent = now;
        _firstUnanswered = Timestamp.Earliest(_firstUnanswered, now);
    }

    /// <summary>One of its probes was answered, in time or late.</summary>
    /// <returns>True when that made it proven.</returns>
    public bool OnAnswer(uint transaction, Timestamp sent, Timestamp now)
    {
        _roundTrip.Add(now - sent);
        if (!IsProven)
            ForgetLosses(sent);
        int index = _waiting.FindIndex(waiting => waiting.Transaction == transaction);
        if (index >= 0)
        {
            _waiting.RemoveAt(index);
            _losses.Add(isLost: false);
        }
        else
        {
            _losses.AddLate();
        }

        Misses = 0;
        IsDoubted = false;
        LastAnswer = now;
        // What was sent before the probe that is now answered is lost or late, and no sign of silence any more.
        _firstUnanswered = Timestamp.Never;
        foreach ((_, Timestamp other) in _waiting)
        {
            if (other > sent)
                _firstUnanswered = Timestamp.Earliest(_firstUnanswered, other);
        }

        bool proved = !IsProven;
        IsProven = true;
        return proved;
    }

    /// <summary>A probe of the peer came on it.</summary>
    public void OnHeard(ProbeFlags flags, Timestamp now)
    {
        LastHeard = now;
        PeerUses = flags.HasFlag(ProbeFlags.PathInUse);
    }

    /// <summary>Counts what was not answered in time.</summary>
    /// <returns>True when the path was proven and is lost now.</returns>
    public bool Expire(Timestamp now, ProbePace pace)
    {
        TimeSpan wait = Wait(pace);
        for (int i = _waiting.Count - 1; i >= 0; i--)
        {
            if (now - _waiting[i].Sent < wait)
                continue;
            _waiting.RemoveAt(i);
            Misses++;
            _losses.Add(isLost: true);
        }

        if (!IsProven)
            return false;
        bool silent = Misses >= MissesNeeded(wait, pace) && now - _firstUnanswered >= LeastSilence(pace);
        if (!silent && now - LastAnswer < ProofLifetime)
            return false;
        IsProven = IsDoubted = false;
        return true;
    }

    /// <summary>When the next probe of a proven path is due.</summary>
    public Timestamp NextProbe(ProbePace pace)
    {
        if (pace == ProbePace.Rest)
            return Timestamp.Never;
        if (LastSent == Timestamp.NotYet)
            return Timestamp.AtOnce;
        TimeSpan interval = (pace, Misses) switch
        {
            (ProbePace.Busy, 0) => BusyInterval,
            (ProbePace.Busy, _) => HurryBusy,
            (_, > 0) => HurryIdle,
            (ProbePace.Standby, _) => StandbyInterval,
            _ => KeepAliveInterval,
        };
        Timestamp due = LastSent + interval;
        return interval == KeepAliveInterval ? Together(due) : due;
    }

    /// <summary>
    /// A node with many idle peers wakes up once for those that are due at about the same time, and asks back when it is asked, as
    /// it is awake then.
    /// </summary>
    private Timestamp Together(Timestamp due)
    {
        if (LastHeard - LastSent >= KeepAliveInterval / 2)
            return LastHeard;
        return due.RoundDown(KeepAliveSlack);
    }

    /// <summary>When <see cref="Expire"/> has something to do.</summary>
    public Timestamp NextExpiry(ProbePace pace)
    {
        Timestamp next = IsProven ? LastAnswer + ProofLifetime : Timestamp.Never;
        foreach ((_, Timestamp sent) in _waiting)
            next = Timestamp.Earliest(next, sent + Wait(pace));
        if (IsProven && Misses >= MissesNeeded(Wait(pace), pace))
            next = Timestamp.Earliest(next, _firstUnanswered + LeastSilence(pace));
        return next;
    }

    /// <summary>Something says that it may be dead: what was proven is asked for as closely as if data flowed.</summary>
    public void Doubt() => IsDoubted = IsProven;

    /// <summary>The network changed: what was proven is so no more, what was measured counts for nothing.</summary>
    public void Reset()
    {
        _waiting.Clear();
        _firstUnanswered = Timestamp.Never;
        LastSent = Timestamp.NotYet;
        _losses.Reset();
        _roundTrip.Reset();
        Misses = 0;
        IsProven = IsDoubted = false;
        PeerUses = false;
    }

    /// <summary>How long an answer is waited for.</summary>
    private TimeSpan Wait(ProbePace pace)
    {
        if (pace != ProbePace.Busy)
            return _roundTrip.Timeout(InitialWait, LeastWaitIdle, LongestWait);
        // Never longer than 1.25 round trips and a little while data flows: a second is all there is.
        TimeSpan most = RoundTrip is { } smoothed ? (smoothed * 1.25) + TimeSpan.FromMilliseconds(150) : LongestWait;
        return _roundTrip.Timeout(InitialWait, LeastWaitBusy, most < LongestWait ? most : LongestWait);
    }

    private static int MissesNeeded(TimeSpan wait, ProbePace pace) =>
        pace == ProbePace.Busy && wait >= TimeSpan.FromMilliseconds(300) ? MissesUntilLostSlow : MissesUntilLost;

    private static TimeSpan LeastSilence(ProbePace pace) => pace == ProbePace.Busy ? LeastSilenceBusy : LeastSilenceIdle;

    /// <summary>
    /// What was sent before the way was open, to NATs that had yet to be opened or while it was cut, says nothing of how much it loses.
    /// </summary>
    private void ForgetLosses(Timestamp before)
    {
        _losses.Reset();
        _waiting.RemoveAll(waiting => waiting.Sent < before);
    }
}
