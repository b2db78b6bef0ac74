using System.Globalization;

namespace LightTunnel.Lab.Bench;

/// <summary>
/// The "subnets" command: what it costs that a host runs no tunnel and is reached through a node that does. Streams to the host, beside
/// streams to the node itself, in turns; with source NAT, without, and with the network mapped one to one.
/// </summary>
internal static class SubnetCost
{
    private const string Network = "192.168.7.0/24";
    private const string Mapped = "10.99.7.0/24";
    private const string Host = "a host behind the node";
    private const string Node = "the node itself";

    private static readonly (string Name, string Offer, string Address)[] Ways =
    [
        ("source NAT", $"-Route {Network}", BenchNetwork.HostBehindServer),
        ("no source NAT", $"-Route {Network} -NoSnat", BenchNetwork.HostBehindServer),
        ("mapped one to one", $"-Route {Network} -As {Mapped}", "10.99.7.20"),
    ];

    private static readonly (string Name, string[] Arguments)[] Streams =
        [("TCP, one stream", []), ("TCP, one stream, the other way", ["-R"]), ("TCP, four streams", ["-P", "4"])];

    /// <summary>Measures and prints a table.</summary>
    /// <param name="rounds">How often everything is measured.</param>
    /// <param name="seconds">How long each figure is measured.</param>
    /// <param name="output">What is said goes here.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <returns>0 when it was measured.</returns>
    public static async Task<int> RunAsync(int rounds, int seconds, TextWriter output, CancellationToken cancellationToken)
    {
        if (rounds < 1 || seconds < 1)
            throw new LabException("--rounds and --seconds must be at least 1.", "Give larger numbers.");
        SetupCheck.Provide([.. SetupCheck.Essentials(), .. SetupCheck.ForTraffic(), .. SetupCheck.ForGateway()], output);
        var table = new BenchmarkTable();
        BenchNetwork network = await BenchNetwork.CreateAsync().ConfigureAwait(false);
        await using (network.ConfigureAwait(false))
        {
            LabHost behind = network.AddHostBehindServer();
            LightTunnelTunnel tunnel = await LightTunnelTunnel.StartAsync(network, cancellationToken).ConfigureAwait(false);
            await network.First.Shell.InvokeAsync("Set-LtNetwork * -AcceptRoute *", cancellationToken: cancellationToken)
                .ConfigureAwait(false);
            foreach ((string way, string offer, string address) in Ways)
            {
                await network.Server.Shell.InvokeAsync($"Set-LtNetwork * {offer}", cancellationToken: cancellationToken)
                    .ConfigureAwait(false);
                await UntilReachedAsync(network.First, address, cancellationToken).ConfigureAwait(false);
                (string, LabHost, string)[] ends = [(Host, behind, address), (Node, network.Server, tunnel.ServerAddress)];
                for (int round = 0; round <= rounds; round++)
                {
                    output.WriteLine(string.Create(
                        CultureInfo.InvariantCulture, $"{way}: {(round == 0 ? "warming up" : $"round {round} of {rounds}")}"));
                    foreach ((string name, string[] arguments) in Streams)
                    {
                        foreach ((string column, LabHost to, string at) in round % 2 == 0 ? ends : ends.Reverse())
                        {
                            // The host behind listens at its own address, whatever the others call it.
                            StreamResult stream = await Iperf.RunAsync(
                                network.First, to, at, round == 0 ? 1 : seconds, arguments, null, cancellationToken,
                                listenAt: to == behind ? BenchNetwork.HostBehindServer : at).ConfigureAwait(false);
                            if (round > 0)
                                table.Add(new Row($"{name}, {way}", "Gbit/s", Better.More), column, stream.Gigabits);
                        }
                    }
                }
            }
        }

        output.WriteLine();
        output.WriteLine(table.Render(Host, Node));
        return 0;
    }

    private static async Task UntilReachedAsync(LabHost from, string address, CancellationToken cancellationToken)
    {
        for (int attempt = 0; attempt < 100; attempt++)
        {
            CommandResult ping = await from.ExecuteAsync("ping", ["-n", "-c", "1", "-w", "1", address], cancellationToken)
                .ConfigureAwait(false);
            if (ping.ExitCode == 0)
                return;
            await Task.Delay(100, cancellationToken).ConfigureAwait(false);
        }

        throw new LabException($"{address} does not answer {from.Name}.", "Get-LtRoute shows what the network has of its routes.");
    }
}
