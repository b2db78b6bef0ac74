namespace LightTunnel.Routing;

/// <summary>One number for how good a path is, 0..150, for people and for comparing paths of one kind.</summary>
internal static class PathQuality
{
    private const int Base = 100;
    private const int DirectBonus = 20;
    private const int LocalBonus = 30;
    private const int ServerPenalty = 30;
    private const int PenaltyPerTenMilliseconds = 5;
    private const int PenaltyPerPercentLost = 10;
    private const int Best = 150;

    /// <summary>
    /// 100, less 5 per full 10 ms of round trip, less 10 per 1 % of loss, +20 direct, +30 more when local, -30 through the server;
    /// an offline peer has 0. What was not measured yet costs nothing.
    /// </summary>
    /// <param name="path">The kind of path.</param>
    /// <param name="roundTrip">Smoothed round trip, null until measured.</param>
    /// <param name="loss">Share of probes lost, 0..1, null until measured.</param>
    public static int Of(PathType path, TimeSpan? roundTrip, double? loss)
    {
        if (path == PathType.Offline)
            return 0;

        int quality = Base + path switch
        {
            PathType.Lan => DirectBonus + LocalBonus,
            PathType.Direct => DirectBonus,
            PathType.Server => -ServerPenalty,
            _ => 0,
        };
        if (roundTrip is { } rtt)
            quality -= PenaltyPerTenMilliseconds * (int)Math.Min(rtt.TotalMilliseconds / 10, Best);
        if (loss is { } share)
            quality -= (int)Math.Round(PenaltyPerPercentLost * share * 100);
        return Math.Clamp(quality, 0, Best);
    }
}
