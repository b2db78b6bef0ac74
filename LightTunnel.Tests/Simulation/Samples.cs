using System.Globalization;

namespace LightTunnel.Tests.Simulation;

/// <summary>What one thing measured came to over many seeds; null where it did not happen.</summary>
internal sealed class Samples(IEnumerable<TimeSpan?> all)
{
    private readonly TimeSpan?[] _all = [.. all.OrderBy(one => one ?? TimeSpan.MaxValue)];

    /// <summary>True when it happened each time.</summary>
    public bool Always => _all.Length > 0 && _all.All(one => one is not null);

    /// <summary>True when it never happened.</summary>
    public bool Never => _all.All(one => one is null);

    /// <summary>The one in the middle, the higher of two.</summary>
    public TimeSpan Median => _all[_all.Length / 2] ?? TimeSpan.MaxValue;

    /// <summary>The longest.</summary>
    public TimeSpan Worst => _all[^1] ?? TimeSpan.MaxValue;

    /// <summary>"median / worst" in milliseconds or seconds, or how often it happened.</summary>
    public override string ToString() =>
        Never ? "server" : Always ? $"{Text(Median)} / {Text(Worst)}" : $"{_all.Count(one => one is not null)} of {_all.Length}";

    private static string Text(TimeSpan time) => time < TimeSpan.FromSeconds(1)
        ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:F0} ms")
        : string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:F1} s");
}
