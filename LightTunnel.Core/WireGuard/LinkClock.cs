namespace LightTunnel.WireGuard;

/// <summary>The time source in the unit that data threads compare: timestamps, with durations converted once.</summary>
internal sealed class LinkClock
{
    private readonly TimeProvider _time;

    public LinkClock(TimeProvider time)
    {
        _time = time;
        RekeyAfter = Ticks(LinkTimers.RekeyAfterTime);
        RejectAfter = Ticks(LinkTimers.RejectAfterTime);
        RekeyTimeout = Ticks(LinkTimers.RekeyTimeout);
        RekeyAttempt = Ticks(LinkTimers.RekeyAttemptTime);
        KeepAlive = Ticks(LinkTimers.KeepAliveTimeout);
    }

    public long Now => _time.GetTimestamp();

    public DateTimeOffset UtcNow => _time.GetUtcNow();

    public long RekeyAfter { get; }

    public long RejectAfter { get; }

    public long RekeyTimeout { get; }

    public long RekeyAttempt { get; }

    public long KeepAlive { get; }

    /// <summary>The duration as a difference of timestamps.</summary>
    public long Ticks(TimeSpan duration) => (long)(duration.TotalSeconds * _time.TimestampFrequency);
}
