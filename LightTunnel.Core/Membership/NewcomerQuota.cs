namespace LightTunnel.Membership;

/// <summary>
/// How many new members one source may bring in an hour once addresses run short, so that who holds an invitation cannot take all of them for itself
/// by making up keys. Owned by the control loop.
/// </summary>
/// <param name="time">The clock.</param>
internal sealed class NewcomerQuota(TimeProvider time)
{
    /// <summary>So many may come from one source in any case: a household, a small office behind one address.</summary>
    public const int Least = 16;

    /// <summary>Sources that are counted; with more of them at once each brings few.</summary>
    private const int MostSources = 4096;

    private static readonly TimeSpan Window = TimeSpan.FromHours(1);

    private readonly Dictionary<UInt128, (long Since, int Count)> _sources = [];

    /// <summary>Counts a new member; false when its source has brought a quarter of what there is, and half of that is gone already.</summary>
    /// <param name="source">Where it comes from: an IPv4 address, an IPv6 /64.</param>
    /// <param name="leases">What there is.</param>
    public bool TryTake(UInt128 source, Leases leases)
    {
        long now = time.GetTimestamp();
        if (!_sources.TryGetValue(source, out (long Since, int Count) taken) || time.GetElapsedTime(taken.Since, now) >= Window)
            taken = (now, 0);
        if (leases.Count >= leases.Capacity / 2 && taken.Count >= Math.Max(Least, leases.Capacity / 4))
            return false;
        if (_sources.Count >= MostSources && !_sources.ContainsKey(source))
            Sweep(now);
        if (_sources.Count < MostSources || _sources.ContainsKey(source))
            _sources[source] = (taken.Since, taken.Count + 1);
        return true;
    }

    private void Sweep(long now)
    {
        foreach ((UInt128 source, (long since, _)) in _sources)
        {
            if (time.GetElapsedTime(since, now) >= Window)
                _sources.Remove(source);
        }
    }
}
