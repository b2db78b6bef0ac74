using LightTunnel.Timing;

namespace LightTunnel.Internet.Simulation;

/// <summary>
/// A clock that moves when it is told to, for one thread. It has no timers: nodes are asked for their deadlines, so whoever needs a timer
/// is at fault and hears of it.
/// </summary>
internal sealed class VirtualTime : TimeProvider
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private long _ticks = 1;
    private TimeSpan _wallClockOffset;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>Time since the beginning.</summary>
    public TimeSpan Elapsed => TimeSpan.FromTicks(_ticks);

    public override long GetTimestamp() => _ticks;

    public override DateTimeOffset GetUtcNow() => Start + Elapsed + _wallClockOffset;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        throw new NotSupportedException("What runs in a simulation tells its deadlines and has no timers.");

    public void Advance(TimeSpan time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(time, TimeSpan.Zero);
        _ticks += time.Ticks;
    }

    public void AdvanceTo(Timestamp moment) => _ticks += Math.Max(0, (moment - this.Now()).Ticks);

    /// <summary>Somebody sets the machine's clock: the date jumps, time that passes does not.</summary>
    public void JumpWallClock(TimeSpan by) => _wallClockOffset += by;
}

/// <summary>The clock of one machine: time passes for all alike but those asleep, the date is each one's own.</summary>
internal sealed class NodeClock(VirtualTime time) : TimeProvider
{
    private TimeSpan _offset;
    private TimeSpan _slept;
    private Timestamp? _asleepSince;

    public override long TimestampFrequency => time.TimestampFrequency;

    /// <summary>The time that passes for all.</summary>
    public VirtualTime Common => time;

    /// <summary>True while the machine sleeps: its processes do not run, and what timestamps come from stands still.</summary>
    public bool IsAsleep => _asleepSince is not null;

    public override long GetTimestamp() => ((_asleepSince ?? time.Now()) - _slept - Timestamp.FromTicks(0)).Ticks;

    public override DateTimeOffset GetUtcNow() => time.GetUtcNow() + _offset;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        time.CreateTimer(callback, state, dueTime, period);

    /// <summary>Everybody's time at which this clock will show so much, if it does not sleep again.</summary>
    public Timestamp CommonTime(Timestamp moment) => moment + _slept;

    /// <summary>Somebody sets this machine's clock.</summary>
    public void Jump(TimeSpan by) => _offset += by;

    public void FallAsleep() => _asleepSince ??= time.Now();

    public void WakeUp()
    {
        _slept += time.Now() - _asleepSince ?? TimeSpan.Zero;
        _asleepSince = null;
    }
}
