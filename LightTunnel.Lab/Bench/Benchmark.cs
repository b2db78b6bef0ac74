using System.Globalization;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab.Bench;

/// <summary>What to measure, and how often.</summary>
/// <param name="Rounds">How often everything is measured; medians are shown.</param>
/// <param name="Seconds">How long each measurement runs.</param>
/// <param name="WireGuardGo">The program to compare with.</param>
internal sealed record BenchmarkOptions(int Rounds, int Seconds, string WireGuardGo)
{
    /// <summary>Parts of the names of the rows that are wanted; none for all.</summary>
    public IReadOnlyList<string> Only { get; init; } = [];

    /// <summary>Other settings of LightTunnel to measure besides.</summary>
    public IReadOnlyList<Variant> Variants { get; init; } = [];

    /// <summary>The document that the figures are written into; null for none.</summary>
    public string? Output { get; init; }

    /// <summary>True when somebody asked for this row.</summary>
    public bool Wants(Row row) => Only.Count == 0 || Only.Any(part => row.Name.Contains(part, StringComparison.OrdinalIgnoreCase));
}

/// <summary>The "bench" command: LightTunnel beside wireguard-go, on the same cables in the same run, in turns.</summary>
internal sealed class Benchmark
{
    private const string LightTunnel = "LightTunnel";

    private static readonly Row Memory = new("memory after the streams, the client's process", "MB", Better.Less);
    private static readonly Row OwnMemory = new("above a PowerShell host without the module", "MB", Better.Less);
    private static readonly Row Joining = new("Connect-LtNetwork to first pong", "ms", Better.Less);
    private static readonly Row Importing = new("Import-Module", "ms", Better.Less);
    private static readonly Row ImportingCpu = new("Import-Module: CPU", "ms", Better.Less);

    private readonly BenchmarkOptions _options;
    private readonly TextWriter _output;
    private readonly CancellationToken _cancellationToken;
    private readonly BenchmarkTable _table = new();

    private Benchmark(BenchmarkOptions options, TextWriter output, CancellationToken cancellationToken)
    {
        _options = options;
        _output = output;
        _cancellationToken = cancellationToken;
    }

    /// <returns>0 when everything was measured.</returns>
    /// <exception cref="LabException">The options are wrong, something is missing, or something could not be measured.</exception>
    public static async Task<int> RunAsync(BenchmarkOptions options, TextWriter output, CancellationToken cancellationToken)
    {
        if (options.Rounds < 1 || options.Seconds < 1)
            throw new LabException("--rounds and --seconds must be at least 1.", "Give larger numbers.");
        if (options is { Output: not null, Only.Count: > 0 })
            throw new LabException("--output is for the figures of all measurements.", "Leave --only or --output out.");
        if (options.Output is { } path)
            FiguresFile.Check(path);
        SetupCheck.Provide([.. SetupCheck.Essentials(), .. SetupCheck.ForBench(options.WireGuardGo)], output);
        await new Benchmark(options, output, cancellationToken).RunAsync().ConfigureAwait(false);
        return 0;
    }

    private async Task RunAsync()
    {
        BenchNetwork network = await BenchNetwork.CreateAsync().ConfigureAwait(false);
        await using (network.ConfigureAwait(false))
        {
            Measurement[] measurements =
                [.. new TunnelMeasurements(network, _options.Seconds).All().Where(measurement => measurement.Rows.Any(_options.Wants))];
            _output.WriteLine("Starting wireguard-go and LightTunnel ...");
            WireGuardTunnel wireGuard = await WireGuardTunnel.StartAsync(
                network, _options.WireGuardGo, _cancellationToken).ConfigureAwait(false);
            await using (wireGuard.ConfigureAwait(false))
            {
                LightTunnelTunnel lightTunnel = await LightTunnelTunnel.StartAsync(network, _cancellationToken).ConfigureAwait(false);
                await WarmUpAsync(network, lightTunnel, wireGuard).ConfigureAwait(false);
                await MeasureRoundsAsync(measurements, null, lightTunnel, wireGuard).ConfigureAwait(false);
                await MeasureMemoryAsync(network, lightTunnel, wireGuard).ConfigureAwait(false);
                foreach (Variant variant in _options.Variants)
                {
                    await lightTunnel.RestartAsync(variant.Arguments, _cancellationToken).ConfigureAwait(false);
                    await MeasureRoundsAsync(
                        [.. measurements.Where(measurement => measurement.AlsoOfVariants)], variant, lightTunnel,
                        wireGuard).ConfigureAwait(false);
                }

                await lightTunnel.RestartAsync(string.Empty, _cancellationToken).ConfigureAwait(false);
                for (int round = 1; round <= _options.Rounds && _options.Wants(Joining); round++)
                    Add(Joining, LightTunnel, await lightTunnel.RejoinFirstAsync(_cancellationToken).ConfigureAwait(false));
                for (int round = 1; round <= _options.Rounds && (_options.Wants(Importing) || _options.Wants(ImportingCpu)); round++)
                {
                    (double time, double cpu) = await ImportCost.MeasureAsync(_cancellationToken).ConfigureAwait(false);
                    Add(Importing, LightTunnel, time);
                    Add(ImportingCpu, LightTunnel, cpu);
                }
            }

            Report(wireGuard.Name);
        }
    }

    /// <summary>Compiled code, kernel caches and clock speeds are what they will be afterwards.</summary>
    private async Task WarmUpAsync(BenchNetwork network, params IBenchTunnel[] tunnels)
    {
        foreach (IBenchTunnel tunnel in tunnels)
        {
            await Iperf.RunAsync(
                network.First, network.Server, tunnel.ServerAddress, 1, ["--bidir"], null, _cancellationToken).ConfigureAwait(false);
            await Iperf.RunAsync(
                network.First, network.Second, tunnel.SecondAddress, 1, ["--bidir"], null, _cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task MeasureRoundsAsync(
        Measurement[] measurements, Variant? variant, LightTunnelTunnel lightTunnel, WireGuardTunnel wireGuard)
    {
        for (int round = 1; round <= _options.Rounds; round++)
        {
            _output.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Round {round} of {_options.Rounds}{(variant is null ? string.Empty : ", ")}{variant?.Name}"));
            // Who goes first changes from round to round, so that what one leaves behind in caches and clock speeds does not always meet
            // the same other.
            IBenchTunnel[] tunnels = round % 2 == 0 ? [wireGuard, lightTunnel] : [lightTunnel, wireGuard];
            foreach (Measurement measurement in measurements)
            {
                foreach (IBenchTunnel tunnel in tunnels)
                {
                    double[] figures = await measurement.TakeAsync(tunnel, _cancellationToken).ConfigureAwait(false);
                    foreach ((Row row, double figure) in measurement.Rows.Zip(figures))
                        Add(row.Of(variant), tunnel.Name, figure);
                }
            }
        }
    }

    private async Task MeasureMemoryAsync(BenchNetwork network, LightTunnelTunnel lightTunnel, WireGuardTunnel wireGuard)
    {
        double memory = ProcessFigures.ResidentMegabytes(lightTunnel.ProcessOn(network.First));
        Add(Memory, LightTunnel, memory);
        Add(Memory, wireGuard.Name, ProcessFigures.ResidentMegabytes(wireGuard.ProcessOn(network.First)));
        ShellSession bare = await ShellSession.StartAsync(cancellationToken: _cancellationToken).ConfigureAwait(false);
        await using (bare.ConfigureAwait(false))
        {
            await lightTunnel.LevelAsync(bare, _cancellationToken).ConfigureAwait(false);
            Add(OwnMemory, LightTunnel,
                ProcessFigures.ResidentMegabytes(lightTunnel.ProcessOn(network.First)) - ProcessFigures.ResidentMegabytes(bare.ProcessId));
        }
    }

    private void Add(Row row, string column, double figure)
    {
        if (!_options.Wants(row))
            return;
        _table.Add(row, column, figure);
        _output.WriteLine($"  {row.Name}: {column} {BenchmarkTable.Show(figure, row.Unit)}");
    }

    private void Report(string wireGuard)
    {
        string version = Path.GetFileName(Path.GetDirectoryName(LabPaths.ModuleManifest())!);
        string linux = Environment.OSVersion.Version.ToString(2);
        const string Spread = "medians (smallest..largest)";
        string figures = string.Create(CultureInfo.InvariantCulture, $"""
            LightTunnel {version} beside {wireGuard}; rounds: {_options.Rounds}, {_options.Seconds} s for each figure, {Spread}.
            Everything on one machine: {Processors.Allowed.Count} processors ({Processors.Model}), Linux {linux}.

            {_table.Render(LightTunnel, wireGuard)}
            """);
        _output.WriteLine();
        _output.WriteLine(figures);
        if (_options.Output is not { } path)
            return;
        FiguresFile.Write(path, figures);
        _output.WriteLine($"The figures are in {path} now.");
    }
}
