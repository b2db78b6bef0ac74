using System.Globalization;
using System.Text.Json;

namespace LightTunnel.Lab.Bench;

/// <summary>What TCP streams carried, counted where it arrived and summed over all streams and both directions.</summary>
/// <param name="Gigabits">Gbit/s.</param>
/// <param name="Gigabytes">GB in all.</param>
internal sealed record StreamResult(double Gigabits, double Gigabytes);

/// <summary>TCP streams, made by iperf3.</summary>
internal static class Iperf
{
    private static readonly TimeSpan Allowance = TimeSpan.FromSeconds(20);

    /// <summary>Runs streams from one host to another.</summary>
    /// <param name="from">Who sends, unless an argument says otherwise.</param>
    /// <param name="to">Who listens.</param>
    /// <param name="address">Where.</param>
    /// <param name="seconds">How long.</param>
    /// <param name="arguments">Further arguments of the client, such as "-P 4" for four streams.</param>
    /// <param name="processor">The processor that both ends share; null for no such limit.</param>
    /// <param name="cancellationToken">Ends both.</param>
    /// <param name="listenAt">The address that the listener has itself, where others call it otherwise; null for the same.</param>
    /// <exception cref="LabException">iperf3 failed.</exception>
    public static async Task<StreamResult> RunAsync(
        LabHost from, LabHost to, string address, int seconds, string[] arguments, int? processor, CancellationToken cancellationToken,
        string? listenAt = null)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(TimeSpan.FromSeconds(seconds) + Allowance);
        Task<CommandResult> server = ExecuteAsync(to, ["-s", "-1", "-B", listenAt ?? address], processor, deadline.Token);
        try
        {
            string[] wanted = ["-c", address, "-t", seconds.ToString(CultureInfo.InvariantCulture), "-J", .. arguments];
            CommandResult client;
            do
            {
                // The server needs a moment to listen, and does not say when it does.
                await Task.Delay(50, deadline.Token).ConfigureAwait(false);
                client = await ExecuteAsync(from, wanted, processor, deadline.Token).ConfigureAwait(false);
            }
            while (client.ExitCode != 0 && client.Output.Contains("Connection refused", StringComparison.Ordinal));
            return client.ExitCode == 0
                ? Read(client.Output)
                : throw new LabException(
                    $"iperf3 from {from.Name} to {address} failed: {client.Output}{client.Errors}", "Run the demo; it shows more.");
        }
        catch (Exception exception)
        {
            await deadline.CancelAsync().ConfigureAwait(false);
            if (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                throw new LabException(
                    $"iperf3 from {from.Name} to {address} did not end in time.", "Run the demo; it shows more.", exception);
            }
            throw;
        }
        finally
        {
            await ((Task)server).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Reads the client's report.</summary>
    public static StreamResult Read(string json)
    {
        using var document = JsonDocument.Parse(json);
        JsonElement end = document.RootElement.GetProperty("end");
        var sum = new StreamResult(0, 0);
        foreach (string direction in (string[])["sum_received", "sum_received_bidir_reverse"])
        {
            if (end.TryGetProperty(direction, out JsonElement part))
            {
                sum = new StreamResult(
                    sum.Gigabits + (part.GetProperty("bits_per_second").GetDouble() / 1e9),
                    sum.Gigabytes + (part.GetProperty("bytes").GetDouble() / 1e9));
            }
        }

        return sum;
    }

    private static Task<CommandResult> ExecuteAsync(
        LabHost host, string[] arguments, int? processor, CancellationToken cancellationToken) => processor is { } number
            ? host.ExecuteAsync("taskset", ["-c", number.ToString(CultureInfo.InvariantCulture), "iperf3", .. arguments], cancellationToken)
            : host.ExecuteAsync("iperf3", arguments, cancellationToken);
}
