using LightTunnel.Addressing;

namespace LightTunnel.Traversal;

/// <summary>A punch plan being carried out: says which of its probes are due. Owned by the control loop.</summary>
internal sealed class PunchRun
{
    private readonly TimeProvider _time;
    private readonly PunchPlan _plan;
    private readonly uint _seed;
    private int _nextShot;
    private int _nextSpray;

    /// <param name="time">The clock.</param>
    /// <param name="plan">What to do.</param>
    /// <param name="startAt">The common start, a timestamp.</param>
    /// <param name="seed">Chooses the order of random ports.</param>
    public PunchRun(TimeProvider time, PunchPlan plan, long startAt, uint seed)
    {
        _time = time;
        _plan = plan;
        _seed = seed;
        StartAt = startAt;
    }

    /// <summary>The plan.</summary>
    public PunchPlan Plan => _plan;

    /// <summary>The common start.</summary>
    public long StartAt { get; }

    /// <summary>True once nothing is left to send.</summary>
    public bool IsDone => _nextShot >= _plan.Shots.Count && (_plan.Spray is not { } spray || _nextSpray >= spray.Total || IsGuessingOver);

    /// <summary>True once a path was found: known endpoints are still tried, as one may be better, guesses are not.</summary>
    public bool IsGuessingOver { get; set; }

    /// <summary>When <see cref="TryTake"/> has something, <see cref="long.MaxValue"/> for never.</summary>
    public long Next
    {
        get
        {
            long next = _nextShot < _plan.Shots.Count ? StartAt + _time.Ticks(_plan.Shots[_nextShot].Delay) : long.MaxValue;
            return Math.Min(next, NextSpray);
        }
    }

    private long NextSpray => _plan.Spray is { } spray && !IsGuessingOver && _nextSpray < spray.Total
        ? StartAt + _time.Ticks(spray.Delay + (spray.Interval * _nextSpray))
        : long.MaxValue;

    /// <summary>The next probe that is due.</summary>
    public bool TryTake(long now, out PunchShot shot)
    {
        while (_nextShot < _plan.Shots.Count && StartAt + _time.Ticks(_plan.Shots[_nextShot].Delay) <= now)
        {
            shot = _plan.Shots[_nextShot++];
            if (!shot.IsGuess || !IsGuessingOver)
                return true;
        }

        shot = default;
        if (NextSpray > now || _plan.Spray is not { } spray)
            return false;
        shot = new PunchShot(
            new UdpEndpoint(spray.Address.MappedAddress, PunchPlan.SprayPort(_seed, _nextSpray++)), TimeSpan.Zero, IsGuess: true);
        return true;
    }
}
