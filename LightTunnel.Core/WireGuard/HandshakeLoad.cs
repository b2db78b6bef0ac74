using LightTunnel.Transport;

namespace LightTunnel.WireGuard;

/// <summary>
/// Says when initiations come faster than this node wants to compute answers, and limits each source address then. Fixed memory, however
/// many sources there are.
/// </summary>
internal sealed class HandshakeLoad(LinkClock clock)
{
    /// <summary>Initiations per second that are answered without asking for a cookie.</summary>
    public const int RatePerSecond = 100;

    /// <summary>Initiations per second and source address that are answered under load.</summary>
    public const int SourceRatePerSecond = 20;

    private const int SourceBurst = 20;
    private const int Buckets = 4096;

    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);

    private readonly TokenBucket[] _sources = new TokenBucket[Buckets];
    private TokenBucket _all;
    private long _loadedUntil;

    /// <summary>Counts one initiation; true while there are too many, and for a second afterwards.</summary>
    public bool IsUnderLoad()
    {
        long now = clock.Now;
        if (!_all.TryTake(now, clock.Ticks(TimeSpan.FromSeconds(1)), RatePerSecond, RatePerSecond))
            _loadedUntil = now + clock.Ticks(Linger);
        return now < _loadedUntil;
    }

    /// <summary>Counts one initiation of a proven source address; false when it sent too many. Addresses that share a bucket share its rate.</summary>
    public bool TryAdmit(in PathAddress source)
    {
        int bucket = HashCode.Combine(source.Endpoint.MappedAddress, source.RelayedMember) & (Buckets - 1);
        return _sources[bucket].TryTake(clock.Now, clock.Ticks(TimeSpan.FromSeconds(1)), SourceRatePerSecond, SourceBurst);
    }

    private struct TokenBucket
    {
        private double _tokens;
        private long _filled;

        public bool TryTake(long now, long ticksPerSecond, int rate, int capacity)
        {
            _tokens = _filled == 0 ? capacity : Math.Min(capacity, _tokens + ((now - _filled) * (double)rate / ticksPerSecond));
            _filled = now;
            if (_tokens < 1)
                return false;
            _tokens--;
            return true;
        }
    }
}
