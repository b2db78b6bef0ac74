using LightTunnel.Timing;

namespace LightTunnel.Routing;

/// <summary>
/// Finds out how long an inner packet may be to pass whole by one path, by asking with packets of that length (RFC 8899): no ICMP is
/// needed, and none is believed. A length passes when its question was answered. One that is not answered, while a shorter one is, does not
/// pass. No I/O; owned by the control loop.
/// </summary>
/// <remarks>
/// Data begins to flow: one question as long as the network's MTU, which nearly always is answered, and that is all. If it is not: the
/// usual lengths from <see cref="Floor"/> inside up to it at once, each twice, then <see cref="Fan"/> lengths in the remaining gap at once,
/// until <see cref="Precision"/> bytes are left. A third of a second after the first loss (and one and a half round trips) what is known by
/// then holds. Silence alone says nothing. While data flows, what was found is asked for again, so that a path which becomes narrower
/// swallows long packets for three seconds at most, and, more and more seldom, whether more passes. Idle: nothing.
/// </remarks>
/// <param name="overhead">Bytes that stand around an inner packet on this path, the outer IP header included.</param>
/// <param name="largest">Longest inner packet that is wanted, bytes.</param>
internal sealed class PathMtu(int overhead, int largest)
{
    /// <summary>Nothing shorter is asked for: every IPv4 host takes as much (RFC 791 section 3.1).</summary>
    public const int Floor = 576;

    /// <summary>Bytes that are not worth another question.</summary>
    private const int Precision = 8;

    /// <summary>Lengths that a gap is searched by at once.</summary>
    private const int Fan = 4;

    /// <summary>
    /// Outer lengths that networks have: IPv6's least, tunnels and mobile networks, PPPoE, Ethernet, and the large ones (RFC
    /// 1191 section 7.1).
    /// </summary>
    private static readonly int[] Plateaus =
        [1280, 1300, 1340, 1380, 1400, 1420, 1440, 1460, 1480, 1492, 1500, 2002, 4352, 8166, 9000, 17914, 32000];

    /// <summary>
    /// While data flows, what was found is looked at this often: a path that got narrower swallows long packets for no longer than
    /// this and a search.
    /// </summary>
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(2);

    /// <summary>Whether longer packets pass by now is asked after this time, then after twice as long each time.</summary>
    private static readonly TimeSpan FirstRaise = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LastRaise = TimeSpan.FromMinutes(10);

    /// <summary>
    /// After a search that nothing was answered in, the next one waits so long, then twice as long each time, up to this: who never
    /// answered may not know how to, while a path that is dead now may be another one when it comes back.
    /// </summary>
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    /// <summary>What was asked for in this round and neither answered nor outdone nor refused, ascending.</summary>
    private readonly List<int> _round = [];
    private bool _isFirstRound;
    private bool _isSilent;
    private int _wavesLeft;
    private Timestamp _waveEnds;
    private int _ceiling;

    /// <summary>What is known to pass in this search, 0 for nothing; and what is known not to.</summary>
    private int _low;
    private int _high;
    private int _presumed;
    private Timestamp _due;
    private TimeSpan _pause = FirstPause;
    private TimeSpan _longestPause = LongestPause;
    private TimeSpan _raiseInterval;
    private Timestamp _raiseAt;

    /// <summary>Longest inner packet that is known to pass whole, bytes; null until one was answered.</summary>
    public int? Size { get; private set; }

    /// <summary>True while answers are waited for.</summary>
    public bool IsSearching { get; private set; }

    /// <summary>Does what is due.</summary>
    /// <param name="now">The present.</param>
    /// <param name="roundTrip">Round trip of the path, null when it was not measured.</param>
    /// <param name="busy">True while data flows: only then is a search begun.</param>
    /// <param name="answers">True when the peer has answered by some path before.</param>
    /// <param name="output">Receives the lengths to ask for now.</param>
    /// <returns>When to call again.</returns>
    public Timestamp Run(Timestamp now, TimeSpan? roundTrip, bool busy, bool answers, List<int> output)
    {
        _longestPause = answers ? CheckInterval : LongestPause;
        if (!IsSearching)
        {
            if (!busy || now < _due)
                return busy ? _due : Timestamp.Never;
            Begin(now);
        }

        while (IsSearching)
        {
            if (_round.Count > 0 && _waveEnds > now)
                return _waveEnds;
            if (_round.Count > 0 && _wavesLeft > 0)
            {
                _wavesLeft--;
                output.AddRange(_round);
                _waveEnds = now + Wait(roundTrip);
                return _waveEnds;
            }

            EndRound(now);
        }

        return busy ? _due : Timestamp.Never;
    }

    /// <summary>A question of that length was answered, in time or late. Run afterwards.</summary>
    public void OnAnswer(int size)
    {
        if (size > largest)
            return;
        if (!IsSearching)
        {
            // So late that the search has ended without it.
            if (Size < size)
                Size = size;
            return;
        }

        _low = Math.Max(_low, size);
        _high = Math.Max(_high, size + 1);
        _round.RemoveAll(asked => asked <= size);
    }

    /// <summary>A question of that length is too long for the first wire already. Run afterwards.</summary>
    public void OnTooLong(int size)
    {
        _high = Math.Min(_high, size);
        _round.RemoveAll(asked => asked >= size);
    }

    private void Begin(Timestamp now)
    {
        bool raise = Size < largest && now >= _raiseAt;
        IsSearching = true;
        _ceiling = raise ? largest : Size ?? largest;
        _low = _presumed = raise ? Size!.Value : 0;
        _high = _ceiling + 1;
        _isFirstRound = true;
        // In most cases this question and its answer are all there is to it. After silence, whether there is anybody is the first question.
        BeginRound(_isSilent ? [Floor, _ceiling] : [_ceiling], waves: 1);
    }

    private void BeginRound(IEnumerable<int> sizes, int waves)
    {
        _round.Clear();
        _round.AddRange(sizes);
        _wavesLeft = waves;
        _waveEnds = Timestamp.AtOnce;
    }

    private void EndRound(Timestamp now)
    {
        bool isStillSilent = _isSilent && _low == 0;
        if (_isFirstRound && _low < _ceiling && !isStillSilent)
        {
            _isFirstRound = false;
            BeginRound(Ladder(), waves: 2);
            return;
        }

        if (_low == 0)
        {
            // Silence says nothing of lengths: the path is dead, or who is at its end does not answer.
            IsSearching = false;
            _isSilent = true;
            _due = now + (_pause < _longestPause ? _pause : _longestPause);
            _pause = Double(_pause, LongestPause);
            return;
        }

        if (_round.Count > 0)
            _high = Math.Min(_high, _round[0]);
        bool isFound = _high - _low <= Precision || (_presumed != 0 && _low == _presumed);
        ScheduleRaise(now, isNarrower: Size is null || _low < Size);
        // What is known by now holds at once: long packets are being lost.
        Size = _low;
        if (!isFound)
        {
            BeginRound(Enumerable.Range(1, Fan).Select(step => _low + ((_high - _low) * step / (Fan + 1))), waves: 2);
            return;
        }

        IsSearching = _isSilent = false;
        _pause = FirstPause;
        _due = now + CheckInterval;
    }

    /// <summary>
    /// The usual lengths in between, the shortest to know that questions are answered at all, and the one that was not answered so far.
    /// </summary>
    private IEnumerable<int> Ladder()
    {
        if (_low == 0)
            yield return Floor;
        foreach (int plateau in Plateaus)
        {
            int size = plateau - overhead;
            if (size > Math.Max(_low, Floor) && size < Math.Min(_high, _ceiling))
                yield return size;
        }

        if (_high > _ceiling)
            yield return _ceiling;
    }

    private void ScheduleRaise(Timestamp now, bool isNarrower)
    {
        if (isNarrower)
            _raiseInterval = FirstRaise;
        else if (now >= _raiseAt)
            _raiseInterval = Double(_raiseInterval, LastRaise);
        else
            return;
        _raiseAt = now + _raiseInterval;
    }

    /// <summary>How long answers are waited for; long packets wait behind others on slow links.</summary>
    private static TimeSpan Wait(TimeSpan? roundTrip)
    {
        TimeSpan wait = roundTrip is { } known ? (known * 1.25) + TimeSpan.FromMilliseconds(150) : TimeSpan.FromMilliseconds(500);
        TimeSpan most = TimeSpan.FromSeconds(2);
        return wait < most ? wait : most;
    }

    private static TimeSpan Double(TimeSpan span, TimeSpan most) => span * 2 < most ? span * 2 : most;
}
