namespace LightTunnel.Routing;

/// <summary>What is known of the way to a node that has a network behind it.</summary>
internal enum GatewayHealth
{
    /// <summary>It does not answer.</summary>
    Failing,

    /// <summary>Nobody has asked lately.</summary>
    Unknown,

    /// <summary>It answers.</summary>
    Proven,
}

/// <summary>A node that has a network behind it, as one that could carry it.</summary>
/// <param name="IsThere">True while it takes part.</param>
/// <param name="Health">Whether it answers.</param>
/// <param name="RoundTrip">How far it is away; null when it was not measured.</param>
internal readonly record struct Gateway(bool IsThere, GatewayHealth Health, TimeSpan? RoundTrip);

/// <summary>
/// Which of several nodes that have the same network behind them carries it: the nearest that answers. The one that does stays it as long
/// as it answers, unless another is clearly nearer: connections through one are seldom known to another. A pure function.
/// </summary>
internal static class GatewayChoice
{
    /// <summary>So much nearer another one has to be.</summary>
    private const double NearerFactor = 0.75;

    private static readonly TimeSpan NearerBy = TimeSpan.FromMilliseconds(5);

    /// <param name="gateways">The nodes, always in the same order; at least one.</param>
    /// <param name="current">Which of them carries the network; -1 for none.</param>
    /// <param name="mayImprove">True when the one that carries it, and answers, may be left for a nearer one.</param>
    /// <returns>Which of them is to carry it from now on.</returns>
    public static int Choose(ReadOnlySpan<Gateway> gateways, int current, bool mayImprove)
    {
        int best = 0;
        for (int i = 1; i < gateways.Length; i++)
        {
            if (Compare(gateways[i], gateways[best]) > 0)
                best = i;
        }

        if (current < 0)
            return best;
        Gateway now = gateways[current], other = gateways[best];
        if (!now.IsThere || now.Health == GatewayHealth.Failing)
            return Standing(other) > Standing(now) ? best : current;
        return mayImprove && other is { IsThere: true, Health: GatewayHealth.Proven } && IsClearlyNearer(other, now) ? best : current;
    }

    private static int Standing(in Gateway gateway) => gateway.IsThere ? 1 + (int)gateway.Health : 0;

    private static int Compare(in Gateway one, in Gateway other)
    {
        int standing = Standing(one).CompareTo(Standing(other));
        return standing != 0 ? standing : -(one.RoundTrip ?? TimeSpan.MaxValue).CompareTo(other.RoundTrip ?? TimeSpan.MaxValue);
    }

    private static bool IsClearlyNearer(in Gateway one, in Gateway other) =>
        one.RoundTrip is { } near && other.RoundTrip is { } far && near + NearerBy < far && near < far * NearerFactor;
}
