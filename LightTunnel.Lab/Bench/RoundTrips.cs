using System.Globalization;
using System.Text.RegularExpressions;

namespace LightTunnel.Lab.Bench;

/// <summary>How long pings took, microseconds.</summary>
internal sealed partial record RoundTrips(double Median, double Average)
{
    private const double MicrosecondsPerMillisecond = 1000;

    /// <summary>Sends pings 10 ms apart.</summary>
    /// <exception cref="LabException">Not one was answered.</exception>
    public static async Task<RoundTrips> MeasureAsync(LabHost from, string address, int count, CancellationToken cancellationToken)
    {
        CommandResult result = await from.PingAsync(address, count, TimeSpan.FromMilliseconds(10), cancellationToken).ConfigureAwait(false);
        return TryRead(result.Output) ?? throw NoAnswer(from, address, result);
    }

    /// <summary>Sends each ping as soon as the one before is answered, and at least a hundred per second; their average.</summary>
    /// <exception cref="LabException">Not one was answered.</exception>
    public static async Task<double> FloodAsync(LabHost from, string address, int seconds, CancellationToken cancellationToken)
    {
        CommandResult result = await from.ExecuteAsync(
            "ping", ["-n", "-q", "-f", "-w", seconds.ToString(CultureInfo.InvariantCulture), address],
            cancellationToken).ConfigureAwait(false);
        return SummaryPattern().Match(result.Output) is { Success: true } match ? Number(match) : throw NoAnswer(from, address, result);
    }

    /// <summary>Reads what ping printed; null when no answer is in it.</summary>
    public static RoundTrips? TryRead(string output)
    {
        double[] times = [.. AnswerPattern().Matches(output).Select(Number).Order()];
        return times.Length == 0 ? null : new RoundTrips(times[times.Length / 2], times.Average());
    }

    private static double Number(Match match) =>
        double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) * MicrosecondsPerMillisecond;

    private static LabException NoAnswer(LabHost from, string address, CommandResult result) =>
        new($"{from.Name} got no answer from {address}: {result.Output}{result.Errors}", "Run the demo; it shows more.");

    [GeneratedRegex(@"time=([\d.]+) ms")]
    private static partial Regex AnswerPattern();

    [GeneratedRegex(@"= [\d.]+/([\d.]+)/")]
    private static partial Regex SummaryPattern();
}
