using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.Traversal;

/// <summary>A punch plan being carried out: says which of its probes are due. Owned by the control loop.</summary>
internal sealed class PunchRun
{
    private readonly PunchPlan _plan;
    private readonly uint _seed;
    private int _nextShot;
    private int _nextSpray;

    /// <param name="plan">What to do.</param>
    /// <param name="startAt">The common start.</param>
    /// <param name="seed">Chooses the order of random ports.</param>
    public PunchRun(PunchPlan plan, Timestamp startAt, uint seed)
    {
        _plan = plan;
        _seed = seed;
        StartAt = startAt;
    }

    /// <summary>The plan.</summary>
    public PunchPlan Plan => _plan;

    /// <summary>The common start.</summary>
    public Timestamp StartAt { get; }

    /// <summary>True once nothing is left to send.</summary>
    public bool IsDone => _nextShot >= _plan.Shots.Count && (_plan.Spray is not { } spray || _nextSpray >= spray.Total || IsGuessingOver);

    /// <summary>True once a path was found: known endpoints are still tried, as one may be better, guesses are not.</summary>
    public bool IsGuessingOver { get; set; }

    /// <summary>When <see cref="TryTake"/> has something.</summary>
    public Timestamp Next
    {
        get
        {
            Timestamp next = _nextShot < _plan.Shots.Count ? StartAt + _plan.Shots[_nextShot].Delay : Timestamp.Never;
            return Timestamp.Earliest(next, NextSpray);
        }
    }

    private Timestamp NextSpray => _plan.Spray is { } spray && !IsGuessingOver && _nextSpray < spray.Total
        ? StartAt + spray.Delay + (spray.Interval * _nextSpray)
        : Timestamp.Never;

    /// <summary>The next probe that is due.</summary>
    public bool TryTake(Timestamp now, out PunchShot shot)
    {
        while (_nextShot < _plan.Shots.Count && StartAt + _plan.Shots[_nextShot].Delay <= now)
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
