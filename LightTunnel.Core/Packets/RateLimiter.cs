namespace LightTunnel.Packets;

/// <summary>
/// Lets through so many events per time, and counts the others: for log lines and ICMP errors, which hostile packets would otherwise
/// multiply. Any thread, no lock, no allocation. A token bucket in the form of its "theoretical arrival time" (ITU-T I.371's
/// generic cell rate algorithm): one number is all the state.
/// </summary>
internal sealed class RateLimiter
{
    private readonly TimeProvider _time;
    private readonly long _interval;
    private readonly long _tolerance;
    private long _nextFree;
    private long _suppressed;
    private long _totalSuppressed;

    /// <param name="time">Clock.</param>
    /// <param name="interval">One event per this time, on average.</param>
    /// <param name="burst">Events that may come at once after silence.</param>
    public RateLimiter(TimeProvider time, TimeSpan interval, int burst = 1)
    {
        ArgumentNullException.ThrowIfNull(time);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(interval, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(burst);
        _time = time;
        _interval = Math.Max(1, (long)(interval.TotalSeconds * time.TimestampFrequency));
        _tolerance = _interval * (burst - 1);
        _nextFree = long.MinValue;
    }

    /// <summary>Events that were not let through, ever.</summary>
    public long TotalSuppressed => Interlocked.Read(ref _totalSuppressed);

    /// <summary>Asks for one event now.</summary>
    public bool TryTake() => TryTake(_time.GetTimestamp());

    /// <summary>Asks for one event.</summary>
    /// <param name="now">The clock's timestamp (<see cref="TimeProvider.GetTimestamp"/>), for callers that have it at hand.</param>
    /// <returns>False when it comes too soon; it is then counted.</returns>
    public bool TryTake(long now)
    {
        long seen = Volatile.Read(ref _nextFree);
        while (true)
        {
            long arrival = Math.Max(seen, now);
            if (arrival - now > _tolerance)
            {
                Interlocked.Increment(ref _suppressed);
                Interlocked.Increment(ref _totalSuppressed);
                return false;
            }

            long before = Interlocked.CompareExchange(ref _nextFree, arrival + _interval, seen);
            if (before == seen)
                return true;
            seen = before;
        }
    }

    /// <summary>Events suppressed since this was last asked; for "and 37 more like it" in the next log line.</summary>
    public long TakeSuppressed() => Interlocked.Exchange(ref _suppressed, 0);
}
