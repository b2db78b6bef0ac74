using LightTunnel.Addressing;

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
/// What probes say of one path, direct or through another member: proven only by answers to our own probes, and only as long as they keep coming. Owned by the
/// control loop; times are <see cref="TimeProvider.GetTimestamp"/> values.
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

    /// <summary>A path is not given up sooner after the first probe that stayed unanswered.</summary>
    private static readonly TimeSpan LeastSilenceBusy = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LeastSilenceIdle = TimeSpan.FromSeconds(2);

    /// <summary>An answer proves a path for this long at most.</summary>
    private static readonly TimeSpan ProofLifetime = TimeSpan.FromSeconds(20);

    /// <summary>Probes that must have stayed unanswered; two suffice when each takes long to be sure of.</summary>
    private const int MissesUntilLost = 3;
    private const int MissesUntilLostSlow = 2;

    private const int LossWindow = 32;
    private const int MaximumWaiting = 32;

    private readonly TimeProvider _time;
    private readonly List<(uint Transaction, long Sent)> _waiting = [];
    private long _firstUnanswered = long.MaxValue;
    private long _lastSent = long.MinValue;
    private uint _results;
    private int _resultCount;
    private TimeSpan _variation;

    public ProbedPath(TimeProvider time, PathAddress key)
    {
        _time = time;
        Key = key;
    }

    /// <summary>Which path this is.</summary>
    public PathAddress Key { get; }

    /// <summary>True while our probes on it are answered.</summary>
    public bool IsProven { get; private set; }

    /// <summary>Smoothed round trip (RFC 6298), null until measured.</summary>
    public TimeSpan? RoundTrip { get; private set; }

    /// <summary>Share of the last 32 probes that were not answered, 0..1; null before the first result.</summary>
    public double? Loss => _resultCount == 0 ? null : (double)uint.PopCount(_results) / _resultCount;

    /// <summary>When the last answer came, <see cref="long.MinValue"/> for never.</summary>
    public long LastAnswer { get; private set; } = long.MinValue;

    /// <summary>When the peer's last probe came on it, <see cref="long.MinValue"/> for never.</summary>
    public long LastHeard { get; private set; } = long.MinValue;

    /// <summary>Probes in a row that were not answered in time.</summary>
    public int Misses { get; private set; }

    /// <summary>True when the peer said in its last probe that it sends its data over this path.</summary>
    public bool PeerUses { get; private set; }

    /// <summary>True from a <see cref="Doubt"/> until the next answer.</summary>
    public bool IsDoubted { get; private set; }

    /// <summary>When the last probe was sent, <see cref="long.MinValue"/> for never.</summary>
    public long LastSent => _lastSent;

    /// <summary>True while a probe is out that may still be answered in time.</summary>
    public bool IsWaiting => _waiting.Count > 0;

    /// <summary>A probe was sent on it.</summary>
    public void OnSent(uint transaction, long now)
    {
        if (_waiting.Count == MaximumWaiting)
            _waiting.RemoveAt(0);
        _waiting.Add((transaction, now));
        _lastSent = now;
        _firstUnanswered = Math.Min(_firstUnanswered, now);
    }

    /// <summary>One of its probes was answered, in time or late.</summary>
    /// <returns>True when that made it proven.</returns>
    public bool OnAnswer(uint transaction, long sent, long now)
    {
        TimeSpan sample = _time.GetElapsedTime(sent, now);
        if (RoundTrip is { } smoothed)
        {
            _variation += ((smoothed - sample).Duration() - _variation) / 4;
            RoundTrip = smoothed + ((sample - smoothed) / 8);
        }
        else
        {
            RoundTrip = sample;
            _variation = sample / 2;
        }

        if (!IsProven)
            ForgetLosses(sent);
        int index = _waiting.FindIndex(waiting => waiting.Transaction == transaction);
        if (index >= 0)
        {
            _waiting.RemoveAt(index);
            Record(lost: false);
        }
        else if (_resultCount == 0)
        {
            Record(lost: false);
        }
        else if (_results != 0)
        {
            // It was counted as lost: the most recent such mark was a mistake.
            _results &= _results - 1;
        }

        Misses = 0;
        IsDoubted = false;
        LastAnswer = now;
        // What was sent before the probe that is now answered is lost or late, and no sign of silence any more.
        _firstUnanswered = long.MaxValue;
        foreach ((_, long other) in _waiting)
        {
            if (other > sent)
                _firstUnanswered = Math.Min(_firstUnanswered, other);
        }

        bool proved = !IsProven;
        IsProven = true;
        return proved;
    }

    /// <summary>A probe of the peer came on it.</summary>
    public void OnHeard(ProbeFlags flags, long now)
    {
        LastHeard = now;
        PeerUses = flags.HasFlag(ProbeFlags.PathInUse);
    }

    /// <summary>Counts what was not answered in time.</summary>
    /// <returns>True when the path was proven and is lost now.</returns>
    public bool Expire(long now, ProbePace pace)
    {
        TimeSpan wait = Wait(pace);
        long limit = _time.Ticks(wait);
        for (int i = _waiting.Count - 1; i >= 0; i--)
        {
            if (now - _waiting[i].Sent < limit)
                continue;
            _waiting.RemoveAt(i);
            Misses++;
            Record(lost: true);
        }

        if (!IsProven)
            return false;
        bool silent = Misses >= MissesNeeded(wait, pace) && now - _firstUnanswered >= _time.Ticks(LeastSilence(pace));
        if (!silent && now - LastAnswer < _time.Ticks(ProofLifetime))
            return false;
        IsProven = IsDoubted = false;
        return true;
    }

    /// <summary>When the next probe of a proven path is due.</summary>
    public long NextProbe(ProbePace pace)
    {
        if (pace == ProbePace.Rest)
            return long.MaxValue;
        if (_lastSent == long.MinValue)
            return long.MinValue;
        TimeSpan interval = (pace, Misses) switch
        {
            (ProbePace.Busy, 0) => BusyInterval,
            (ProbePace.Busy, _) => HurryBusy,
            (_, > 0) => HurryIdle,
            (ProbePace.Standby, _) => StandbyInterval,
            _ => KeepAliveInterval,
        };
        long due = _lastSent + _time.Ticks(interval);
        return interval == KeepAliveInterval ? Together(due) : due;
    }

    /// <summary>
    /// A node with many idle peers wakes up once for those that are due at about the same time, and asks back when it is asked, as it is awake then.
    /// </summary>
    private long Together(long due)
    {
        if (LastHeard != long.MinValue && LastHeard - _lastSent >= _time.Ticks(KeepAliveInterval / 2))
            return LastHeard;
        return due - (due % _time.Ticks(KeepAliveSlack));
    }

    /// <summary>When <see cref="Expire"/> has something to do.</summary>
    public long NextExpiry(ProbePace pace)
    {
        long next = IsProven ? LastAnswer + _time.Ticks(ProofLifetime) : long.MaxValue;
        foreach ((_, long sent) in _waiting)
            next = Math.Min(next, sent + _time.Ticks(Wait(pace)));
        if (IsProven && Misses >= MissesNeeded(Wait(pace), pace) && _firstUnanswered != long.MaxValue)
            next = Math.Min(next, _firstUnanswered + _time.Ticks(LeastSilence(pace)));
        return next;
    }

    /// <summary>Something says that it may be dead: what was proven is asked for as closely as if data flowed.</summary>
    public void Doubt() => IsDoubted = IsProven;

    /// <summary>The network changed: what was proven is so no more, what was measured counts for nothing.</summary>
    public void Reset()
    {
        _waiting.Clear();
        _firstUnanswered = long.MaxValue;
        _lastSent = long.MinValue;
        _results = 0;
        _resultCount = 0;
        Misses = 0;
        RoundTrip = null;
        IsProven = IsDoubted = false;
        PeerUses = false;
    }

    /// <summary>How long an answer is waited for: RFC 6298's timeout, with a floor for schedulers' and radios' pauses.</summary>
    private TimeSpan Wait(ProbePace pace)
    {
        TimeSpan wait = (RoundTrip ?? TimeSpan.FromMilliseconds(300)) + (4 * _variation);
        TimeSpan least = TimeSpan.FromMilliseconds(pace == ProbePace.Busy ? 120 : 500);
        // Never longer than 1.25 round trips and a little while data flows: a second is all there is.
        if (pace == ProbePace.Busy && RoundTrip is { } smoothed)
        {
            TimeSpan most = (smoothed * 1.25) + TimeSpan.FromMilliseconds(150);
            wait = wait < most ? wait : most;
        }

        TimeSpan ceiling = TimeSpan.FromSeconds(2);
        return wait < least ? least : wait > ceiling ? ceiling : wait;
    }

    private static int MissesNeeded(TimeSpan wait, ProbePace pace) =>
        pace == ProbePace.Busy && wait >= TimeSpan.FromMilliseconds(300) ? MissesUntilLostSlow : MissesUntilLost;

    private static TimeSpan LeastSilence(ProbePace pace) => pace == ProbePace.Busy ? LeastSilenceBusy : LeastSilenceIdle;

    /// <summary>What was sent before the way was open, to NATs that had yet to be opened or while it was cut, says nothing of how much it loses.</summary>
    private void ForgetLosses(long before)
    {
        _results = 0;
        _resultCount = 0;
        _waiting.RemoveAll(waiting => waiting.Sent < before);
    }

    private void Record(bool lost)
    {
        _results = (_results << 1) | (lost ? 1u : 0u);
        _resultCount = Math.Min(_resultCount + 1, LossWindow);
    }
}
