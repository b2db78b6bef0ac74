namespace LightTunnel.Routing;

/// <summary>
/// Measures one path by probes: when to send the next, what the answers say of round trip and loss, and when the path counts as dead.
/// No I/O; owned by the control loop. Times are <see cref="TimeProvider.GetTimestamp"/> values.
/// </summary>
internal sealed class PathMonitor(TimeProvider time)
{
    /// <summary>Probes in a row that must stay unanswered before the path counts as dead.</summary>
    public const int MissesUntilDead = 3;

    /// <summary>Results that the loss is taken over.</summary>
    private const int Window = 32;

    /// <summary>Weight of a new round trip in the smoothed one is 1/8, as in RFC 6298.</summary>
    private const int Smoothing = 8;

    private static readonly TimeSpan ActiveInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan IdleInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan MinimumWait = TimeSpan.FromMilliseconds(1000);
    private static readonly TimeSpan MaximumWait = TimeSpan.FromSeconds(4);

    /// <summary>Traffic within this time makes a path active.</summary>
    private static readonly TimeSpan ActiveFor = TimeSpan.FromSeconds(3);

    private readonly Dictionary<uint, long> _waiting = [];
    private uint _results;
    private int _resultCount;
    private uint _nextTransaction = 1;
    private long _lastProbe = long.MinValue;

    /// <summary>Smoothed round trip, null until a probe was answered.</summary>
    public TimeSpan? RoundTrip { get; private set; }

    /// <summary>Probes in a row that were not answered.</summary>
    public int Misses { get; private set; }

    /// <summary>True when a probe was answered, and since then fewer than <see cref="MissesUntilDead"/> in a row were not.</summary>
    public bool IsProven { get; private set; }

    /// <summary>True when <see cref="MissesUntilDead"/> probes in a row were not answered.</summary>
    public bool IsDead => Misses >= MissesUntilDead;

    /// <summary>Share of the last up to 32 probes that were not answered, 0..1; null before the first result.</summary>
    public double? Loss => _resultCount == 0 ? null : (double)uint.PopCount(_results) / _resultCount;

    /// <summary>Does what is due: counts unanswered probes, and says whether to send one now.</summary>
    /// <param name="now">The present.</param>
    /// <param name="lastTraffic">When data last went over the path, <see cref="long.MinValue"/> for never.</param>
    /// <param name="transaction">Id of the probe to send; its answer goes to <see cref="OnAnswer"/>.</param>
    /// <param name="next">When to call again.</param>
    /// <returns>True when a probe is to be sent.</returns>
    public bool RunTimers(long now, long lastTraffic, out uint transaction, out long next)
    {
        transaction = 0;
        ExpireWaiting(now);

        long due = NextProbe(now, lastTraffic);
        bool send = due <= now;
        if (send)
        {
            transaction = _nextTransaction++;
            _waiting[transaction] = now;
            _lastProbe = now;
            due = NextProbe(now, lastTraffic);
        }

        next = due;
        foreach (long sent in _waiting.Values)
            next = Math.Min(next, sent + Ticks(Wait));
        return send;
    }

    /// <summary>Takes an answer; unknown and repeated ones are ignored.</summary>
    /// <returns>True when it was the answer to a probe that was waited for.</returns>
    public bool OnAnswer(uint transaction, long now)
    {
        if (!_waiting.Remove(transaction, out long sent))
            return false;

        TimeSpan sample = time.GetElapsedTime(sent, now);
        RoundTrip = RoundTrip is { } smoothed ? smoothed + ((sample - smoothed) / Smoothing) : sample;
        Record(lost: false);
        Misses = 0;
        IsProven = true;
        return true;
    }

    /// <summary>The path may have become another one without a sign: asks at once.</summary>
    public void Hurry() => _lastProbe = long.MinValue;

    /// <summary>Forgets all measurements: the path became another one.</summary>
    public void Reset()
    {
        _waiting.Clear();
        _results = 0;
        _resultCount = 0;
        _lastProbe = long.MinValue;
        RoundTrip = null;
        Misses = 0;
        IsProven = false;
    }

    private TimeSpan Wait
    {
        get
        {
            TimeSpan wait = (RoundTrip ?? TimeSpan.Zero) * 3;
            return wait < MinimumWait ? MinimumWait : wait > MaximumWait ? MaximumWait : wait;
        }
    }

    private long NextProbe(long now, long lastTraffic)
    {
        if (_lastProbe == long.MinValue)
            return now;
        bool hurry = Misses > 0 || !IsProven || (lastTraffic != long.MinValue && now - lastTraffic <= Ticks(ActiveFor));
        return _lastProbe + Ticks(hurry ? ActiveInterval : IdleInterval);
    }

    private void ExpireWaiting(long now)
    {
        long wait = Ticks(Wait);
        foreach ((uint transaction, long sent) in _waiting)
        {
            if (now - sent < wait)
                continue;
            _waiting.Remove(transaction);
            Record(lost: true);
            if (++Misses >= MissesUntilDead)
                IsProven = false;
        }
    }

    private void Record(bool lost)
    {
        _results = (_results << 1) | (lost ? 1u : 0u);
        _resultCount = Math.Min(_resultCount + 1, Window);
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);
}
