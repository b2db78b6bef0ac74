namespace LightTunnel.Packets;

/// <summary>So many events at once, and then so many per second. A value of its owner's, for one thread; all zero is full.</summary>
internal struct TokenBucket
{
    private double _taken;
    private long _countedAt;

    /// <summary>Takes one token; false when there is none.</summary>
    /// <param name="now">Timestamp.</param>
    /// <param name="ticksPerSecond">Timestamps per second.</param>
    /// <param name="ratePerSecond">Tokens that come back in a second.</param>
    /// <param name="burst">Tokens of a full bucket.</param>
    public bool TryTake(long now, long ticksPerSecond, double ratePerSecond, int burst)
    {
        Refill(now, ticksPerSecond, ratePerSecond);
        if (_taken > burst - 1)
            return false;
        _taken++;
        return true;
    }

    /// <summary>True when <see cref="TryTake"/> would succeed.</summary>
    public bool HasToken(long now, long ticksPerSecond, double ratePerSecond, int burst)
    {
        Refill(now, ticksPerSecond, ratePerSecond);
        return _taken <= burst - 1;
    }

    private void Refill(long now, long ticksPerSecond, double ratePerSecond)
    {
        _taken = Math.Max(0, _taken - ((now - _countedAt) * ratePerSecond / ticksPerSecond));
        _countedAt = now;
    }
}
