using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Transport;

namespace LightTunnel.WireGuard;

/// <summary>
/// Says when initiations come faster than this node wants to compute answers, and limits each subscriber's address then. Fixed memory,
/// however many sources there are.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="salt">Where sources are counted; seeded in simulations.</param>
internal sealed class HandshakeLoad(TimeProvider time, Random salt)
{
    /// <summary>
    /// Initiations per second that are answered without asking for a cookie. A forged one costs one agreement of X25519: all together about
    /// one percent of a core by the slowest implementation; genuine ones five times as much.
    /// </summary>
    public const int RatePerSecond = 100;

    /// <summary>
    /// Initiations per second and source that are answered under load; one IPv6 subscriber is one source, whose addresses are countless.
    /// </summary>
    public const int SourceRatePerSecond = 20;

    /// <summary>The same for all networks of one IPv6 site: one attacker may have all of them.</summary>
    public const int SiteRatePerSecond = 10 * SourceRatePerSecond;

    private const int SourceBurst = 20;

    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);

    private readonly AddressBuckets _sources = new(salt, SourceRatePerSecond, SourceBurst);
    private readonly AddressBuckets _sites = new(salt, SiteRatePerSecond, SiteRatePerSecond);
    private TokenBucket _all;
    private Timestamp _loadedUntil;

    /// <summary>Counts one initiation; true while there are too many, and for a second afterwards.</summary>
    public bool IsUnderLoad()
    {
        Timestamp now = time.Now();
        if (!_all.TryTake(now, RatePerSecond, RatePerSecond))
            _loadedUntil = now + Linger;
        return now < _loadedUntil;
    }

    /// <summary>Counts one initiation of a source whose address is proven; false when it sent too many.</summary>
    public bool TryAdmit(in PathAddress source)
    {
        Timestamp now = time.Now();
        return _sources.TryTake(source.Endpoint.Subscriber ^ ((UInt128)source.RelayedMember << 96), now)
            && (source.Endpoint.IsIPv4 || _sites.TryTake(source.Endpoint.Site, now));
    }
}
