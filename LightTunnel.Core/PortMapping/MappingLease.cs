namespace LightTunnel.PortMapping;

/// <summary>How long mappings are asked for, believed and left alone.</summary>
internal static class MappingLease
{
    // A gateway may grant what it likes. Less would mean constant traffic; more would outlive what anybody remembers (RFC 6887 section 15).
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(30), Longest = TimeSpan.FromDays(1);

    /// <summary>The lifetime that is asked for.</summary>
    public static TimeSpan Requested { get; } = TimeSpan.FromHours(1);

    /// <summary>What is believed of a lifetime that was granted.</summary>
    public static TimeSpan Limit(TimeSpan granted) => granted < Shortest ? Shortest : granted > Longest ? Longest : granted;

    /// <summary>
    /// How long after it was granted a lease is to be renewed: a half of it (RFC 6886 section 3.3) and up to an eighth more, so that those
    /// who began at one moment do not stay together (RFC 6887 section 11.2.1).
    /// </summary>
    /// <param name="lifetime">The lease.</param>
    /// <param name="chance">0 to 1.</param>
    public static TimeSpan RenewAfter(TimeSpan lifetime, double chance) => lifetime * (0.5 + (0.125 * chance));
}
