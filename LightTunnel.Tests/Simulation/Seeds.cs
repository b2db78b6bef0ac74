using System.Globalization;
using Xunit.Sdk;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Runs a scenario for many seeds, and says which ones failed. LIGHTTUNNEL_SEED=17 runs that one alone, with the debugger's patience, and
/// LIGHTTUNNEL_TRACE=path writes what was sent in it; LIGHTTUNNEL_SEEDS=10000 runs more than the usual number.
/// </summary>
internal static class Seeds
{
    /// <summary>After so many failures there is enough to look at.</summary>
    private const int MostFailures = 25;

    /// <summary>Runs the scenario for seeds 1 to <paramref name="count"/>, several at once: scenarios must share nothing.</summary>
    public static void Run(int count, Action<int> scenario)
    {
        if (Number("LIGHTTUNNEL_SEED") is { } only)
        {
            scenario(only);
            return;
        }

        var failures = new SortedDictionary<int, Exception>();
        Parallel.For(
            1, 1 + (Number("LIGHTTUNNEL_SEEDS") ?? count), new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount },
            (seed, state) =>
            {
                try
                {
                    scenario(seed);
                }
                catch (Exception exception)
                {
                    lock (failures)
                    {
                        failures.Add(seed, exception);
                        if (failures.Count >= MostFailures)
                            state.Stop();
                    }
                }
            });
        if (failures.Count > 0)
        {
            (int seed, Exception exception) = failures.First();
            string others = string.Concat(
                failures.Skip(1).Select(failure => $"{Environment.NewLine}Seed {failure.Key}, too: {failure.Value.Message}"));
            throw new XunitException($"Seed {seed} failed (LIGHTTUNNEL_SEED={seed} runs it alone): {exception.Message}{others}", exception);
        }
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : null;
}
