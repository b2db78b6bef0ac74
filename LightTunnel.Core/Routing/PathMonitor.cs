using LightTunnel.Timing;

namespace LightTunnel.Routing;

/// <summary>
/// Measures one path by probes: when to send the next, what the answers say of round trip and loss, and when the path counts as dead.
/// No I/O; owned by the control loop.
/// </summary>
internal sealed class PathMonitor
{
    /// <summary>Probes in a row that must stay unanswered before the path counts as dead.</summary>
    public const int MissesUntilDead = 3;

    private static readonly TimeSpan ActiveInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan IdleInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan UrgentInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan MinimumWait = TimeSpan.FromMilliseconds(1000);
    private static readonly TimeSpan MinimumUrgentWait = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan FirstUrgentWait = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan MaximumWait = TimeSpan.FromSeconds(4);

    /// <summary>Traffic within this time makes a path active.</summary>
    private static readonly TimeSpan ActiveFor = TimeSpan.FromSeconds(3);

    private readonly Dictionary<uint, Timestamp> _waiting = [];
    private RoundTripEstimator _roundTrip;
    private LossWindow _losses;
    private uint _nextTransaction = 1;
    private Timestamp _lastProbe;
    private Timestamp _unansweredSince;

    /// <summary>Smoothed round trip, null until a probe was answered.</summary>
    public TimeSpan? RoundTrip => _roundTrip.SmoothedRoundTrip;

    /// <summary>
    /// True while somebody else stands by who could take over: then it is asked several times a second whether the path still works.
    /// </summary>
    public bool IsUrgent { get; set; }

    /// <summary>Probes in a row that were not answered.</summary>
    public int Misses { get; private set; }

    /// <summary>True when a probe was answered, and since then fewer than <see cref="MissesUntilDead"/> in a row were not.</summary>
    public bool IsProven { get; private set; }

    /// <summary>True when <see cref="MissesUntilDead"/> probes in a row were not answered.</summary>
    public bool IsDead => Misses >= MissesUntilDead;

    /// <summary>
    /// True when the path is dead for good, not for a moment: who asks several times a second (<see cref="IsUrgent"/>) knows soon that it
    /// should take another way, and takes as long as everybody else to give up what it has there.
    /// </summary>
    public bool IsLost(Timestamp now) => IsDead && (!IsUrgent || now - _unansweredSince >= MinimumWait * MissesUntilDead);

    /// <summary>Share of the last up to 32 probes that were not answered, 0..1; null before the first result.</summary>
    public double? Loss => _losses.Share;

    /// <summary>Does what is due: counts unanswered probes, and says whether to send one now.</summary>
    /// <param name="now">The present.</param>
    /// <param name="lastTraffic">When data last went over the path.</param>
    /// <param name="transaction">Id of the probe to send; its answer goes to <see cref="OnAnswer"/>.</param>
    /// <param name="next">When to call again.</param>
    /// <returns>True when a probe is to be sent.</returns>
    public bool RunTimers(Timestamp now, Timestamp lastTraffic, out uint transaction, out Timestamp next)
    {
        transaction = 0;
        ExpireWaiting(now);

        Timestamp due = NextProbe(now, lastTraffic);
        bool send = due <= now;
        if (send)
        {
            transaction = _nextTransaction++;
            _waiting[transaction] = now;
            _lastProbe = now;
            due = NextProbe(now, lastTraffic);
        }

        next = due;
        foreach (Timestamp sent in _waiting.Values)
            next = Timestamp.Earliest(next, sent + Wait);
        return send;
    }

    /// <summary>Takes an answer; unknown and repeated ones are ignored.</summary>
    /// <returns>True when it was the answer to a probe that was waited for.</returns>
    public bool OnAnswer(uint transaction, Timestamp now)
    {
        if (!_waiting.Remove(transaction, out Timestamp sent))
            return false;

        _roundTrip.Add(now - sent);
        _losses.Add(isLost: false);
        Misses = 0;
        IsProven = true;
        return true;
    }

    /// <summary>The path may have become another one without a sign: asks at once.</summary>
    public void Hurry() => _lastProbe = Timestamp.NotYet;

    /// <summary>Forgets all measurements: the path became another one.</summary>
    public void Reset()
    {
        _waiting.Clear();
        _losses.Reset();
        _roundTrip.Reset();
        _lastProbe = Timestamp.NotYet;
        Misses = 0;
        IsProven = false;
    }

    private TimeSpan Wait
    {
        get
        {
            // Who does not know how far it is doubts the first answer's time, and waits longer for each further one.
            TimeSpan wait = RoundTrip is { } roundTrip ? roundTrip * 3 : IsUrgent ? FirstUrgentWait * (1 << Math.Min(Misses, 4)) : default;
            TimeSpan least = !IsUrgent ? MinimumWait : RoundTrip is null ? FirstUrgentWait : MinimumUrgentWait;
            return wait < least ? least : wait > MaximumWait ? MaximumWait : wait;
        }
    }

    private Timestamp NextProbe(Timestamp now, Timestamp lastTraffic)
    {
        bool hurry = Misses > 0 || !IsProven || now - lastTraffic <= ActiveFor;
        return _lastProbe + (!hurry ? IdleInterval : IsUrgent ? UrgentInterval : ActiveInterval);
    }

    private void ExpireWaiting(Timestamp now)
    {
        TimeSpan wait = Wait;
        foreach ((uint transaction, Timestamp sent) in _waiting)
        {
            if (now - sent < wait)
                continue;
            _waiting.Remove(transaction);
            _losses.Add(isLost: true);
            _unansweredSince = Misses == 0 ? sent : Timestamp.Earliest(_unansweredSince, sent);
            if (++Misses >= MissesUntilDead)
                IsProven = false;
        }
    }

}
