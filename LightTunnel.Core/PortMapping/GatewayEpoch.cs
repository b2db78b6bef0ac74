using LightTunnel.Timing;

namespace LightTunnel.PortMapping;

/// <summary>
/// A gateway's count of the seconds since it lost its mappings: when it does not go with our own clock, the gateway has lost them again
/// (RFC 6887 section 8.5, RFC 6886 section 3.6).
/// </summary>
/// <param name="time">Our own clock.</param>
internal sealed class GatewayEpoch(TimeProvider time)
{
    private (uint Seconds, Timestamp At)? _last;

    /// <summary>Takes what the gateway says now.</summary>
    /// <returns>False when it has lost its mappings since it last said something.</returns>
    public bool Continues(uint seconds)
    {
        Timestamp now = time.Now();
        bool continues = _last is not { } last || Continues(seconds, last.Seconds, (long)(now - last.At).TotalSeconds);
        _last = (seconds, now);
        return continues;
    }

    private static bool Continues(uint seconds, uint lastSeconds, long ours)
    {
        if ((long)seconds + 1 < lastSeconds)
            return false;
        long theirs = Math.Max((long)seconds - lastSeconds, 0);
        return ours + 2 >= theirs - (theirs / 16) && theirs + 2 >= ours - (ours / 16);
    }
}
