using LightTunnel.Timing;

namespace LightTunnel.Packets;

/// <summary>So many events at once, and then so many per second. A value of its owner's, for one thread; the default is full.</summary>
internal struct TokenBucket
{
    private double _taken;
    private Timestamp _countedAt;

    /// <summary>Takes one token; false when there is none.</summary>
    /// <param name="now">The present.</param>
    /// <param name="ratePerSecond">Tokens that come back in a second.</param>
    /// <param name="burst">Tokens of a full bucket.</param>
    public bool TryTake(Timestamp now, double ratePerSecond, int burst)
    {
        Refill(now, ratePerSecond);
        if (_taken > burst - 1)
            return false;
        _taken++;
        return true;
    }

    /// <summary>True when <see cref="TryTake"/> would succeed.</summary>
    public bool HasToken(Timestamp now, double ratePerSecond, int burst)
    {
        Refill(now, ratePerSecond);
        return _taken <= burst - 1;
    }

    private void Refill(Timestamp now, double ratePerSecond)
    {
        _taken = Math.Max(0, _taken - ((now - _countedAt).TotalSeconds * ratePerSecond));
        _countedAt = now;
    }
}
