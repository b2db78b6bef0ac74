namespace LightTunnel.WireGuard;

/// <summary>
/// A link's timers (paper section 6): what data threads note down, what follows from it, and when. Data threads only write timestamps; the
/// control loop is woken when one of them means that something is due before the link's next visit, so a busy link costs a visit every
/// ten seconds and an idle one nothing.
/// </summary>
internal sealed class LinkTimers(Link link, LinkClock clock, Random jitter)
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

    /// <summary>Most that is added to <see cref="RekeyTimeout"/>.</summary>
    public static readonly TimeSpan MaximumJitter = TimeSpan.FromMilliseconds(333);

    private const long Never = long.MaxValue;

    // Written by data threads; 0 is "not armed" or "never".
    private long _awaitingAnswerSince;
    private long _owingAnswerSince;
    private long _lastSent;
    private long _lastReceived;

    // Control loop only.
    private long _handshakeAt = Never;
    private long _attemptStarted;
    private long _lastInitiation;
    private long _persistentBase;
    private long _zeroAt = Never;
    private bool _lossReported = true;

    /// <summary>Timestamp of the last authenticated message from the peer; 0 for none.</summary>
    public long LastReceived => Volatile.Read(ref _lastReceived);

    /// <summary>Timestamp of the last message to the peer; 0 for none.</summary>
    public long LastSent => Volatile.Read(ref _lastSent);

    /// <summary>Interval of the persistent keepalive in timestamp units, 0 for none.</summary>
    public long PersistentInterval { get; private set; }

    /// <summary>When a stranger that has not confirmed its session is forgotten; never for a known peer.</summary>
    public long ExpireAt { get; set; } = Never;

    /// <summary>True between the first initiation and its success or end.</summary>
    public bool HandshakeInProgress => _attemptStarted != 0;

    /// <summary>Any thread: a message was sealed. True when that armed a timer that the control loop must hear of.</summary>
    public bool Sent(long now, bool isData)
    {
        Volatile.Write(ref _lastSent, now);
        if (Volatile.Read(ref _owingAnswerSince) != 0)
            Volatile.Write(ref _owingAnswerSince, 0);
        if (!isData || Volatile.Read(ref _awaitingAnswerSince) != 0)
            return false;
        Volatile.Write(ref _awaitingAnswerSince, now);
        return IsBeforeNextVisit(now + clock.KeepAlive + clock.RekeyTimeout);
    }

    /// <summary>Any thread: a message was authenticated. True when that armed a timer that the control loop must hear of.</summary>
    public bool Received(long now, bool isData)
    {
        Volatile.Write(ref _lastReceived, now);
        if (Volatile.Read(ref _awaitingAnswerSince) != 0)
            Volatile.Write(ref _awaitingAnswerSince, 0);
        if (!isData || Volatile.Read(ref _owingAnswerSince) != 0)
            return false;
        Volatile.Write(ref _owingAnswerSince, now);
        return IsBeforeNextVisit(now + clock.KeepAlive);
    }

    /// <summary>Sets the persistent keepalive; the first is due at once when nothing was exchanged for so long.</summary>
    public void SetPersistent(TimeSpan? interval)
    {
        PersistentInterval = interval is { } value ? clock.Ticks(value) : 0;
        _persistentBase = 0;
    }

    /// <summary>See <see cref="Link.RequestHandshake"/>.</summary>
    public void RequestHandshake(bool force)
    {
        long now = clock.Now;
        if (force)
        {
            // Forcing must not put off the end of an attempt for ever.
            if (!EndAttemptInTime(now) || !(link.IsRemoved || HandshakeInProgress))
                SendInitiation(now);
            return;
        }

        if (_handshakeAt != Never)
            return;
        long earliest = _lastInitiation == 0 ? now : _lastInitiation + clock.RekeyTimeout;
        // Having just answered the peer's initiation, give it the time to confirm before starting another.
        if (link.Sessions.Next is { } next)
            earliest = Math.Max(earliest, next.Created + clock.RekeyTimeout);
        if (earliest <= now)
            SendInitiation(now);
        else
            _handshakeAt = earliest + Jitter();
    }

    /// <summary>New keys were derived, as initiator or responder: the time after which they are zeroed starts anew.</summary>
    public void SessionDerived(long now) => _zeroAt = now + (3 * clock.RejectAfter);

    /// <summary>New keys are in use: no handshake is wanted any more.</summary>
    public void HandshakeComplete()
    {
        _handshakeAt = Never;
        _attemptStarted = 0;
        _lossReported = false;
    }

    /// <summary>When the next thing is due.</summary>
    public long NextDeadline()
    {
        long deadline = Math.Min(Math.Min(_handshakeAt, _zeroAt), ExpireAt);
        long awaiting = Volatile.Read(ref _awaitingAnswerSince);
        if (awaiting != 0)
            deadline = Math.Min(deadline, awaiting + clock.KeepAlive + clock.RekeyTimeout);
        long owing = Volatile.Read(ref _owingAnswerSince);
        if (owing != 0)
            deadline = Math.Min(deadline, owing + clock.KeepAlive);
        if (PersistentInterval != 0)
            deadline = Math.Min(deadline, PersistentDeadline());
        return deadline;
    }

    /// <summary>Does everything that is due; each thing done moves its own deadline on.</summary>
    public void Run(long now)
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
        if (IsDue(ref _awaitingAnswerSince, clock.KeepAlive + clock.RekeyTimeout, now) && !link.IsRemoved)
            RequestHandshake(force: false);
        if (IsDue(ref _owingAnswerSince, clock.KeepAlive, now) && !link.IsRemoved)
            link.SendKeepAlive();
        if (PersistentInterval != 0 && now >= PersistentDeadline() && !link.IsRemoved)
        {
            _persistentBase = now;
            if (!link.SendKeepAlive())
                RequestHandshake(force: false);
        }
    }

    private long PersistentDeadline()
    {
        long last = Math.Max(Math.Max(LastSent, LastReceived), _persistentBase);
        return last == 0 ? 0 : last + PersistentInterval;
    }

    private static bool IsDue(ref long since, long after, long now)
    {
        long armed = Volatile.Read(ref since);
        if (armed == 0 || now < armed + after)
            return false;
        Volatile.Write(ref since, 0);
        return true;
    }

    private void RetryHandshake(long now)
    {
        if (!EndAttemptInTime(now))
            SendInitiation(now);
    }

    private bool EndAttemptInTime(long now)
    {
        if (_attemptStarted == 0 || now - _attemptStarted < clock.RekeyAttempt)
            return false;
        _handshakeAt = Never;
        _attemptStarted = 0;
        Volatile.Write(ref _owingAnswerSince, 0);
        link.AbandonHandshake();
        _lossReported = true;
        link.ReportLost(givenUp: true);
        return true;
    }

    private void SendInitiation(long now)
    {
        if (_attemptStarted == 0)
            _attemptStarted = now;
        _lastInitiation = now;
        _handshakeAt = now + clock.RekeyTimeout + Jitter();
        link.SendInitiation();
    }

    private void ZeroKeys()
    {
        _zeroAt = Never;
        link.Sessions.Clear();
        if (_lossReported)
            return;
        _lossReported = true;
        link.ReportLost(givenUp: false);
    }

    private long Jitter() => (long)(jitter.NextDouble() * clock.Ticks(MaximumJitter));

    // The fence pairs with the one in LinkTable.Schedule: either this thread sees the deadline just set, or the loop sees what this thread just armed.
    private bool IsBeforeNextVisit(long deadline)
    {
        Interlocked.MemoryBarrier();
        return deadline < link.Deadline;
    }
}
