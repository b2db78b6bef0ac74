using System.Globalization;

namespace LightTunnel.Tests;

/// <summary>How much hostile input a fuzz test feeds: thousands as a rule, millions with LIGHTTUNNEL_FUZZ_FACTOR=100.</summary>
internal static class Fuzz
{
    private static readonly int Factor =
        int.TryParse(
            Environment.GetEnvironmentVariable("LIGHTTUNNEL_FUZZ_FACTOR"), NumberStyles.None, CultureInfo.InvariantCulture,
            out int factor) && factor > 0
            ? factor
            : 1;

    /// <summary>The number of inputs to feed where <paramref name="count"/> is enough as a rule.</summary>
    public static int Count(int count) => checked(count * Factor);

    /// <summary>A seed for the test's own: with a factor, another one than usual, so that the long run sees other input.</summary>
    public static int Seed(int seed) => Factor == 1 ? seed : HashCode.Combine(seed, Factor);
}
