using LightTunnel.Timing;

namespace LightTunnel.Membership;

/// <summary>
/// How many new members one source may bring in an hour once addresses run short, so that who holds an invitation cannot take all of them
/// for itself by making up keys. Owned by the control loop.
/// </summary>
/// <param name="time">The clock.</param>
internal sealed class NewcomerQuota(TimeProvider time)
{
    /// <summary>So many may come from one source in any case: a household, a small office behind one address.</summary>
    public const int Least = 16;

    /// <summary>Sources that are counted; with more of them at once each brings few.</summary>
    private const int MostSources = 4096;

    private static readonly TimeSpan Window = TimeSpan.FromHours(1);

    private readonly Dictionary<UInt128, (Timestamp Since, int Count)> _sources = [];

    /// <summary>
    /// Counts a new member; false when its source has brought a quarter of what there is, and half of that is gone already.
    /// </summary>
    /// <param name="source">Where it comes from: an IPv4 address, an IPv6 /64.</param>
    /// <param name="leases">What there is.</param>
    public bool TryTake(UInt128 source, Leases leases)
    {
        Timestamp now = time.Now();
        if (!_sources.TryGetValue(source, out (Timestamp Since, int Count) taken) || now - taken.Since >= Window)
            taken = (now, 0);
        if (leases.Count >= leases.Capacity / 2 && taken.Count >= Math.Max(Least, leases.Capacity / 4))
            return false;
        if (_sources.Count >= MostSources && !_sources.ContainsKey(source))
            Sweep(now);
        if (_sources.Count < MostSources || _sources.ContainsKey(source))
            _sources[source] = (taken.Since, taken.Count + 1);
        return true;
    }

    private void Sweep(Timestamp now)
    {
        foreach ((UInt128 source, (Timestamp since, _)) in _sources)
        {
            if (now - since >= Window)
                _sources.Remove(source);
        }
    }
}
