using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab.Bench;

/// <summary>How much to measure.</summary>
/// <param name="Rounds">How often everything is measured; medians are shown.</param>
/// <param name="Seconds">How long each TCP stream runs.</param>
/// <param name="WireGuardGo">The program to compare with.</param>
internal sealed record BenchmarkOptions(int Rounds, int Seconds, string WireGuardGo);

/// <summary>The "bench" command: LightTunnel beside wireguard-go, on the same cables in the same run, in turns.</summary>
internal sealed partial class Benchmark
{
    private static readonly TimeSpan StreamAllowance = TimeSpan.FromSeconds(20);

    private readonly BenchmarkOptions _options;
    private readonly TextWriter _output;
    private readonly CancellationToken _cancellationToken;
    private readonly BenchmarkTable _table;

    private Benchmark(BenchmarkOptions options, TextWriter output, CancellationToken cancellationToken)
    {
        _options = options;
        _output = output;
        _cancellationToken = cancellationToken;
        _table = new BenchmarkTable();
    }

    /// <returns>0 when everything was measured.</returns>
    public static async Task<int> RunAsync(BenchmarkOptions options, TextWriter output, CancellationToken cancellationToken)
    {
        if (options.Rounds < 1 || options.Seconds < 1)
            throw new LabException("--rounds and --seconds must be at least 1.", "Give larger numbers.");
        SetupCheck.Provide([.. SetupCheck.Essentials(), .. SetupCheck.ForBench(options.WireGuardGo)], output);
        await new Benchmark(options, output, cancellationToken).RunAsync().ConfigureAwait(false);
        return 0;
    }

    private async Task RunAsync()
    {
        long bareShell = await MeasureShellsAsync().ConfigureAwait(false);
        var network = new BenchNetwork();
        await using (network.ConfigureAwait(false))
        {
            Say("Starting wireguard-go and LightTunnel ...");
            WireGuardTunnel wireGuard = await WireGuardTunnel.StartAsync(network, _options.WireGuardGo, _cancellationToken).ConfigureAwait(false);
            await using (wireGuard.ConfigureAwait(false))
            {
                LightTunnelTunnel lightTunnel = await LightTunnelTunnel.StartAsync(network, _cancellationToken).ConfigureAwait(false);
                for (int round = 1; round <= _options.Rounds; round++)
                {
                    // Who goes first changes, so that what one leaves behind in caches and clocks speeds does not always meet the same other.
                    IBenchTunnel[] order = round % 2 == 1 ? [lightTunnel, wireGuard] : [wireGuard, lightTunnel];
                    foreach (IBenchTunnel tunnel in order)
                        await MeasureAsync(network, tunnel, round).ConfigureAwait(false);
                }

                _table.Add("memory after the streams, the client's process", lightTunnel.Name, ProcessMemory.Resident(lightTunnel.FirstProcesses) / 1e6, "MB");
                _table.Add("memory after the streams, the client's process", wireGuard.Name, ProcessMemory.Resident(wireGuard.FirstProcesses) / 1e6, "MB");
                _table.Add("of that above a bare PowerShell host", lightTunnel.Name, (ProcessMemory.Resident(lightTunnel.FirstProcesses) - bareShell) / 1e6, "MB");
                for (int round = 1; round <= _options.Rounds; round++)
                    _table.Add("Connect-LtNetwork to first pong", lightTunnel.Name, await lightTunnel.RejoinFirstAsync(_cancellationToken).ConfigureAwait(false), "ms");
            }
        }

        _output.WriteLine();
        _output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"Medians of {_options.Rounds} rounds, {_options.Seconds} s per stream, {Environment.ProcessorCount} processors, everything on one machine."));
        _output.WriteLine();
        _output.Write(_table.Render("LightTunnel", "wireguard-go"));
    }

    /// <summary>Starts shells with and without the module.</summary>
    /// <returns>Resident memory of one without, bytes.</returns>
    private async Task<long> MeasureShellsAsync()
    {
        Say("Starting PowerShell hosts with and without the module ...");
        long memory = 0;
        string module = LabPaths.ModuleManifest();
        for (int round = 0; round < _options.Rounds; round++)
        {
            TimeSpan bareTime;
            ShellSession bare = await ShellSession.StartAsync(cancellationToken: _cancellationToken).ConfigureAwait(false);
            await using (bare.ConfigureAwait(false))
            {
                memory = ProcessMemory.Resident([bare.ProcessId]);
                bareTime = bare.OpenTime;
            }

            ShellSession full = await ShellSession.StartAsync(new ShellOptions { Imports = [module] }, _cancellationToken).ConfigureAwait(false);
            await using (full.ConfigureAwait(false))
                _table.Add("Import-Module", "LightTunnel", (full.OpenTime - bareTime).TotalMilliseconds, "ms");
        }

        return memory;
    }

    private async Task MeasureAsync(BenchNetwork network, IBenchTunnel tunnel, int round)
    {
        Say(string.Create(CultureInfo.InvariantCulture, $"Round {round} of {_options.Rounds}: {tunnel.Name}"));
        _table.Add("ping client to server, average", tunnel.Name, await PingAsync(network.First, tunnel.ServerAddress).ConfigureAwait(false), "ms");
        _table.Add("ping client to client, average", tunnel.Name, await PingAsync(network.First, tunnel.SecondAddress).ConfigureAwait(false), "ms");
        _table.Add("TCP client to server", tunnel.Name, await StreamAsync(network.First, network.Server, tunnel.ServerAddress).ConfigureAwait(false), "Gbit/s");
        _table.Add("TCP server to client", tunnel.Name, await StreamAsync(network.Server, network.First, tunnel.FirstAddress).ConfigureAwait(false), "Gbit/s");
        _table.Add("TCP client to client", tunnel.Name, await StreamAsync(network.First, network.Second, tunnel.SecondAddress).ConfigureAwait(false), "Gbit/s");
    }

    private async Task<double> PingAsync(LabHost from, string address)
    {
        CommandResult result = await from.PingAsync(address, count: 100, TimeSpan.FromMilliseconds(10), _cancellationToken).ConfigureAwait(false);
        return RoundTripPattern().Match(result.Output) is { Success: true } match
            ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)
            : throw new LabException($"{from.Name} got no answer from {address}: {result.Output}{result.Errors}", "Run the demo; it shows more.");
    }

    /// <summary>One TCP stream; Gbit/s as the receiver counts.</summary>
    private async Task<double> StreamAsync(LabHost from, LabHost to, string address)
    {
        string seconds = _options.Seconds.ToString(CultureInfo.InvariantCulture);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(_cancellationToken);
        deadline.CancelAfter(TimeSpan.FromSeconds(_options.Seconds) + StreamAllowance);
        Task<CommandResult> server = to.ExecuteAsync("iperf3", ["-s", "-1", "-B", address], deadline.Token);
        CommandResult client;
        do
        {
            // The server needs a moment to listen, and does not say when it does.
            await Task.Delay(100, deadline.Token).ConfigureAwait(false);
            client = await from.ExecuteAsync("iperf3", ["-c", address, "-t", seconds, "-J"], deadline.Token).ConfigureAwait(false);
        }
        while (client.ExitCode != 0 && client.Output.Contains("Connection refused", StringComparison.Ordinal));

        if (client.ExitCode != 0)
            throw new LabException($"iperf3 from {from.Name} to {address} failed: {client.Output}{client.Errors}", "Run the demo; it shows more.");
        await server.ConfigureAwait(false);
        using var document = JsonDocument.Parse(client.Output);
        return document.RootElement.GetProperty("end").GetProperty("sum_received").GetProperty("bits_per_second").GetDouble() / 1e9;
    }

    private void Say(string text) => _output.WriteLine(text);

    [GeneratedRegex(@"= [\d.]+/([\d.]+)/")]
    private static partial Regex RoundTripPattern();
}
