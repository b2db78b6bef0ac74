namespace LightTunnel.Traversal;

/// <summary>
/// When ports may be guessed again: guessing costs both sides' routers some thousand mappings and datagrams, so that failures make it rare. Owned by
/// the control loop.
/// </summary>
internal sealed class GuessAllowance(TimeProvider time)
{
    /// <summary>After the first failure this long, then twice that, up to an hour.</summary>
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);

    private TimeSpan _pause = FirstPause;
    private long _next = long.MinValue;

    /// <summary>True when ports may be guessed now.</summary>
    public bool IsGiven(long now) => now >= _next;

    /// <summary>A plan with guesses begins.</summary>
    public void Spend(long now, TimeSpan duration)
    {
        _next = now + time.Ticks(duration + _pause);
        _pause = _pause * 2 < LongestPause ? _pause * 2 : LongestPause;
    }

    /// <summary>One more attempt is worth it at once: a prediction is fresh.</summary>
    public void GiveOne() => _next = long.MinValue;

    /// <summary>Something changed: what failed before may succeed now.</summary>
    public void Reset()
    {
        _pause = FirstPause;
        _next = long.MinValue;
    }
}
