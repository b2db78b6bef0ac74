using System.Globalization;
using LightTunnel.Lab.Internet;

namespace LightTunnel.Lab;

/// <summary>A host of a laboratory.</summary>
/// <param name="Name">Its name: letters and digits.</param>
/// <param name="Addresses">Its public addresses.</param>
/// <param name="Conditions">What its uplink does to packets.</param>
internal sealed record HostSpec(string Name, IReadOnlyList<string> Addresses, WireConditions Conditions);

/// <summary>Which hosts there are and how they are connected.</summary>
/// <param name="Hosts">The hosts, in the order that they are set up.</param>
internal sealed record Topology(IReadOnlyList<HostSpec> Hosts)
{
    /// <summary>Decides loss and jitter.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>
    /// Hosts that everybody can reach, the first as 203.0.113.1 and 2001:db8::1, the next as .2 and ::2, and so on.
    /// </summary>
    /// <param name="delay">Time from one host to another, one way.</param>
    /// <param name="names">The hosts' names.</param>
    public static Topology OpenHosts(TimeSpan delay, params string[] names) => OpenHosts(WireConditions.WithDelay(delay / 2), names);

    /// <summary>The same, with any conditions for each host's uplink.</summary>
    public static Topology OpenHosts(WireConditions uplinks, params string[] names) => new(
        [.. names.Select((name, index) => new HostSpec(
            name,
            [string.Create(CultureInfo.InvariantCulture, $"203.0.113.{index + 1}"), string.Create(CultureInfo.InvariantCulture, $"2001:db8::{index + 1:x}")],
            uplinks))]);
}
