using LightTunnel.Timing;

namespace LightTunnel.Packets;

/// <summary>
/// Lets through so many events per time, and counts the others: for log lines and ICMP errors, which hostile packets would otherwise
/// multiply. Any thread, no lock, no allocation. A token bucket in the form of its "theoretical arrival time" (ITU-T I.371's
/// generic cell rate algorithm): one number is all the state.
/// </summary>
internal sealed class RateLimiter
{
    private readonly TimeProvider _time;
    private readonly TimeSpan _interval;
    private readonly TimeSpan _tolerance;
    private SharedTimestamp _nextFree;
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
        _interval = interval;
        _tolerance = interval * (burst - 1);
    }

    /// <summary>Events that were not let through, ever.</summary>
    public long TotalSuppressed => Interlocked.Read(ref _totalSuppressed);

    /// <summary>Asks for one event now.</summary>
    public bool TryTake() => TryTake(_time.Now());

    /// <summary>Asks for one event.</summary>
    /// <param name="now">The present, for callers that have it at hand.</param>
    /// <returns>False when it comes too soon; it is then counted.</returns>
    public bool TryTake(Timestamp now)
    {
        Timestamp seen = _nextFree.Value;
        while (true)
        {
            Timestamp arrival = Timestamp.Latest(seen, now);
            if (arrival - now > _tolerance)
            {
                Interlocked.Increment(ref _suppressed);
                Interlocked.Increment(ref _totalSuppressed);
                return false;
            }

            if (_nextFree.TryReplace(arrival + _interval, ref seen))
                return true;
        }
    }

    /// <summary>Events suppressed since this was last asked; for "and 37 more like it" in the next log line.</summary>
    public long TakeSuppressed() => Interlocked.Exchange(ref _suppressed, 0);
}
