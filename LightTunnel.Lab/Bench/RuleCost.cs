using System.Globalization;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab.Bench;

/// <summary>
/// The "rules" command: what access rules cost a network's traffic. The same tunnel with and without them, in turns, so that nothing but
/// the rules differs.
/// </summary>
internal static class RuleCost
{
    /// <summary>What is measured when nobody says otherwise: both directions, relayed, many small packets, and the delay.</summary>
    private static readonly string[] Usual =
        ["TCP, one stream", "TCP, server to client", "TCP, relayed by the server", "UDP, 64 bytes, 200 kpps", "ping, flood"];

    /// <summary>Each rule is about a port that nothing uses, so that whatever begins is held against all of them.</summary>
    private const string SetScript = """
        param($Count)
        foreach ($i in 1..$Count) { $null = New-LtRule * * -Action Deny -Protocol ('Tcp', 'Udp')[$i % 2] -Port (1000 + $i) }
        """;

    private const string RemoveScript = "Get-LtRule | Remove-LtRule -Confirm:$false";

    /// <summary>A member is told a rule in which it is on both sides as two.</summary>
    private const string WaitScript = """
        param($Count)
        $deadline = [datetime]::UtcNow.AddSeconds(60)
        while (($here = @(Get-LtRule).Count) -lt $Count -or ($Count -eq 0 -and $here)) {
            if ([datetime]::UtcNow -gt $deadline) { throw "There are $here rules here, not $Count." }
        }
        """;

    /// <summary>Measures and prints a table.</summary>
    /// <param name="count">How many rules.</param>
    /// <param name="rounds">How often everything is measured, in either way.</param>
    /// <param name="seconds">How long each figure is measured.</param>
    /// <param name="only">Parts of the names of the rows that are wanted; none for the usual ones.</param>
    /// <param name="output">What is said goes here.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <returns>0 when it was measured.</returns>
    public static async Task<int> RunAsync(
        int count, int rounds, int seconds, IReadOnlyList<string> only, TextWriter output, CancellationToken cancellationToken)
    {
        if (count is < 2 or > 1000 || rounds < 1 || seconds < 1)
            throw new LabException("--count must be 2 to 1000, --rounds and --seconds at least 1.", "Give other numbers.");
        SetupCheck.Provide([.. SetupCheck.Essentials(), .. SetupCheck.ForTraffic()], output);
        string with = string.Create(CultureInfo.InvariantCulture, $"{count} rules");
        const string Without = "no rules";
        IReadOnlyList<string> wanted = only.Count > 0 ? only : Usual;
        var table = new BenchmarkTable();
        BenchNetwork network = await BenchNetwork.CreateAsync().ConfigureAwait(false);
        await using (network.ConfigureAwait(false))
        {
            Measurement[] measurements = [.. new TunnelMeasurements(network, seconds).All().Where(measurement =>
                measurement.Rows.Any(row => wanted.Any(part => row.Name.Contains(part, StringComparison.OrdinalIgnoreCase))))];
            LightTunnelTunnel tunnel = await LightTunnelTunnel.StartAsync(network, cancellationToken).ConfigureAwait(false);
            foreach (Measurement measurement in measurements)
                await measurement.TakeAsync(tunnel, cancellationToken).ConfigureAwait(false);
            for (int round = 1; round <= rounds; round++)
            {
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Round {round} of {rounds}"));
                foreach (bool ruled in round % 2 == 0 ? (bool[])[true, false] : [false, true])
                {
                    await SetAsync(network, ruled ? count : 0, cancellationToken).ConfigureAwait(false);
                    foreach (Measurement measurement in measurements)
                    {
                        double[] figures = await measurement.TakeAsync(tunnel, cancellationToken).ConfigureAwait(false);
                        foreach ((Row row, double figure) in measurement.Rows.Zip(figures))
                            table.Add(row, ruled ? with : Without, figure);
                    }
                }
            }
        }

        output.WriteLine();
        output.WriteLine(table.Render(with, Without));
        return 0;
    }

    /// <summary>Has the network have so many rules, and waits until they are in force everywhere.</summary>
    private static async Task SetAsync(BenchNetwork network, int count, CancellationToken cancellationToken)
    {
        ShellSession server = network.Server.Shell;
        await server.InvokeAsync(RemoveScript, cancellationToken: cancellationToken).ConfigureAwait(false);
        if (count > 0)
            await server.InvokeAsync(SetScript, new { Count = count }, cancellationToken: cancellationToken).ConfigureAwait(false);
        foreach (LabHost host in network.Hosts)
            await host.Shell.InvokeAsync(WaitScript, new { Count = count }, cancellationToken: cancellationToken).ConfigureAwait(false);
    }
}
