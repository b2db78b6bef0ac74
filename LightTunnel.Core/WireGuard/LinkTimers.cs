using LightTunnel.Timing;

namespace LightTunnel.WireGuard;

/// <summary>
/// A link's timers (paper section 6): what data threads note down, what follows from it, and when. Data threads only write timestamps; the
/// control loop is woken when one of them means that something is due before the link's next visit, so a busy link costs a visit every
/// ten seconds and an idle one nothing.
/// </summary>
internal sealed class LinkTimers(Link link, TimeProvider time, Random jitter)
{
    /// <summary>The initiator asks for new keys when it sends under keys this old.</summary>
    public static readonly TimeSpan RekeyAfterTime = TimeSpan.FromSeconds(120);

    /// <summary>Keys this old neither seal nor open.</summary>
    public static readonly TimeSpan RejectAfterTime = TimeSpan.FromSeconds(180);

    /// <summary>A handshake is tried again after this long, and some jitter.</summary>
    public static readonly TimeSpan RekeyTimeout = TimeSpan.FromSeconds(5);

    /// <summary>A handshake is given up after this long.</summary>
    public static readonly TimeSpan RekeyAttemptTime = TimeSpan.FromSeconds(90);

    /// <summary>Who has received and has nothing to say for this long sends a keepalive.</summary>
    public static readonly TimeSpan KeepAliveTimeout = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Who has sent and hears nothing for this long asks for new keys: the peer should have sent a keepalive at the least.
    /// </summary>
    private static readonly TimeSpan AnswerTimeout = KeepAliveTimeout + RekeyTimeout;

    /// <summary>Most that is added to <see cref="RekeyTimeout"/>.</summary>
    public static readonly TimeSpan MaximumJitter = TimeSpan.FromMilliseconds(333);

    // Written by data threads; since "never" is what is not armed.
    private SharedTimestamp _awaitingAnswerSince = new(Timestamp.Never);
    private SharedTimestamp _owingAnswerSince = new(Timestamp.Never);
    private SharedTimestamp _lastSent;
    private SharedTimestamp _lastReceived;

    // Control loop only.
    private Timestamp _handshakeAt = Timestamp.Never;
    private Timestamp _attemptStarted;
    private Timestamp _lastInitiation;
    private TimeSpan? _persistentInterval;
    private Timestamp _persistentBase;
    private Timestamp _zeroAt = Timestamp.Never;
    private bool _lossReported = true;

    /// <summary>When the last authenticated message came from the peer.</summary>
    public Timestamp LastReceived => _lastReceived.Value;

    /// <summary>When the last message went to the peer.</summary>
    public Timestamp LastSent => _lastSent.Value;

    /// <summary>When a stranger that has not confirmed its session is forgotten; never for a known peer.</summary>
    public Timestamp ExpireAt { get; set; } = Timestamp.Never;

    /// <summary>True between the first initiation and its success or end.</summary>
    public bool HandshakeInProgress => _attemptStarted != Timestamp.NotYet;

    /// <summary>Any thread: a message was sealed. True when that armed a timer that the control loop must hear of.</summary>
    public bool Sent(Timestamp now, bool isData)
    {
        _lastSent.Value = now;
        if (_owingAnswerSince.Value != Timestamp.Never)
            _owingAnswerSince.Value = Timestamp.Never;
        if (!isData || _awaitingAnswerSince.Value != Timestamp.Never)
            return false;
        _awaitingAnswerSince.Value = now;
        return IsBeforeNextVisit(now + AnswerTimeout);
    }

    /// <summary>Any thread: a message was authenticated. True when that armed a timer that the control loop must hear of.</summary>
    public bool Received(Timestamp now, bool isData)
    {
        _lastReceived.Value = now;
        if (_awaitingAnswerSince.Value != Timestamp.Never)
            _awaitingAnswerSince.Value = Timestamp.Never;
        if (!isData || _owingAnswerSince.Value != Timestamp.Never)
            return false;
        _owingAnswerSince.Value = now;
        return IsBeforeNextVisit(now + KeepAliveTimeout);
    }

    /// <summary>Sets the persistent keepalive; the first is due at once when nothing was exchanged for so long.</summary>
    public void SetPersistent(TimeSpan? interval)
    {
        _persistentInterval = interval;
        _persistentBase = Timestamp.NotYet;
    }

    /// <summary>See <see cref="Link.RequestHandshake"/>.</summary>
    public void RequestHandshake(bool force)
    {
        Timestamp now = time.Now();
        if (force)
        {
            // Forcing must not put off the end of an attempt for ever.
            if (!EndAttemptInTime(now) || !(link.IsRemoved || HandshakeInProgress))
                SendInitiation(now);
            return;
        }

        if (_handshakeAt != Timestamp.Never)
            return;
        Timestamp earliest = _lastInitiation + RekeyTimeout;
        // Having just answered the peer's initiation, give it the time to confirm before starting another.
        if (link.Sessions.Next is { } next)
            earliest = Timestamp.Latest(earliest, next.Created + RekeyTimeout);
        if (earliest <= now)
            SendInitiation(now);
        else
            _handshakeAt = earliest + Jitter();
    }

    /// <summary>New keys were derived, as initiator or responder: the time after which they are zeroed starts anew.</summary>
    public void SessionDerived(Timestamp now) => _zeroAt = now + (3 * RejectAfterTime);

    /// <summary>New keys are in use: no handshake is wanted any more.</summary>
    public void HandshakeComplete()
    {
        _handshakeAt = Timestamp.Never;
        _attemptStarted = Timestamp.NotYet;
        _lossReported = false;
    }

    /// <summary>When the next thing is due.</summary>
    public Timestamp NextDeadline()
    {
        Timestamp deadline = Timestamp.Earliest(_handshakeAt, _zeroAt, ExpireAt);
        deadline = Timestamp.Earliest(deadline, _awaitingAnswerSince.Value + AnswerTimeout, _owingAnswerSince.Value + KeepAliveTimeout);
        return Timestamp.Earliest(deadline, PersistentDeadline());
    }

    /// <summary>Does everything that is due; each thing done moves its own deadline on.</summary>
    public void Run(Timestamp now)
    {
        if (now >= ExpireAt)
        {
            link.ExpireStranger();
            return;
        }

        if (now >= _zeroAt)
            ZeroKeys();
        if (now >= _handshakeAt && !link.IsRemoved)
            RetryHandshake(now);
        if (IsDue(ref _awaitingAnswerSince, AnswerTimeout, now) && !link.IsRemoved)
            RequestHandshake(force: false);
        if (IsDue(ref _owingAnswerSince, KeepAliveTimeout, now) && !link.IsRemoved)
            link.SendKeepAlive();
        if (now >= PersistentDeadline() && !link.IsRemoved)
        {
            _persistentBase = now;
            if (!link.SendKeepAlive())
                RequestHandshake(force: false);
        }
    }

    private Timestamp PersistentDeadline() => _persistentInterval is { } interval
        ? Timestamp.Latest(Timestamp.Latest(LastSent, LastReceived), _persistentBase) + interval
        : Timestamp.Never;

    private static bool IsDue(ref SharedTimestamp since, TimeSpan after, Timestamp now)
    {
        if (now < since.Value + after)
            return false;
        since.Value = Timestamp.Never;
        return true;
    }

    private void RetryHandshake(Timestamp now)
    {
        if (!EndAttemptInTime(now))
            SendInitiation(now);
    }

    private bool EndAttemptInTime(Timestamp now)
    {
        if (_attemptStarted == Timestamp.NotYet || now - _attemptStarted < RekeyAttemptTime)
            return false;
        _handshakeAt = Timestamp.Never;
        _attemptStarted = Timestamp.NotYet;
        _owingAnswerSince.Value = Timestamp.Never;
        link.AbandonHandshake();
        _lossReported = true;
        link.ReportLost(givenUp: true);
        return true;
    }

    private void SendInitiation(Timestamp now)
    {
        if (_attemptStarted == Timestamp.NotYet)
            _attemptStarted = now;
        _lastInitiation = now;
        _handshakeAt = now + RekeyTimeout + Jitter();
        link.SendInitiation();
    }

    private void ZeroKeys()
    {
        _zeroAt = Timestamp.Never;
        link.Sessions.Clear();
        if (_lossReported)
            return;
        _lossReported = true;
        link.ReportLost(givenUp: false);
    }

    private TimeSpan Jitter() => jitter.NextDouble() * MaximumJitter;

    // The fence pairs with the one in LinkTable.Schedule: either this thread sees the deadline just set, or the loop sees what this
    // thread just armed.
    private bool IsBeforeNextVisit(Timestamp deadline)
    {
        Interlocked.MemoryBarrier();
        return deadline < link.Deadline;
    }
}
