using System.Globalization;

namespace LightTunnel.Lab.Bench;

/// <summary>What the program of services costs.</summary>
/// <param name="Members">Members that the server has.</param>
/// <param name="ServerMegabytes">The server's resident memory.</param>
/// <param name="ServerOwnMegabytes">What of that is no file's.</param>
/// <param name="Starts">How long a member took from the start of its program to the server's first pong, ordered.</param>
internal sealed record HostCostReport(
    int Members, double ServerMegabytes, double ServerOwnMegabytes, IReadOnlyList<TimeSpan> Starts)
{
    /// <summary>The middle one of the starts.</summary>
    public TimeSpan MedianStart => Starts[Starts.Count / 2];
}

/// <summary>Measures LightTunnel.Host as services run it. Needs root.</summary>
internal static class HostCost
{
    /// <summary>The "host" command.</summary>
    /// <returns>0 when it was measured.</returns>
    public static async Task<int> RunAsync(
        int members, int starts, string? program, TextWriter output, CancellationToken cancellationToken)
    {
        if (members is < 1 or > 100 || starts < 1)
            throw new LabException("--members must be 1 to 100, --starts at least 1.", "Give other numbers.");
        SetupCheck.Provide(SetupCheck.Essentials(), output);
        program ??= HostNetwork.ProgramOfTheModule();
        output.WriteLine($"Starting a server and {members} members, {program} ...");
        HostCostReport report = await MeasureAsync(members, starts, program, cancellationToken).ConfigureAwait(false);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"A server with {report.Members} members: {report.ServerMegabytes:F1} MB resident, {report.ServerOwnMegabytes:F1} MB of it "
                + $"its own."));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"A member, from its program's start to the first pong: {report.MedianStart.TotalMilliseconds:F0} ms, median of "
                + $"{report.Starts.Count} ({report.Starts[0].TotalMilliseconds:F0}..{report.Starts[^1].TotalMilliseconds:F0})."));
        return 0;
    }

    /// <summary>Starts a network, measures its server, and starts its last member anew and anew.</summary>
    public static async Task<HostCostReport> MeasureAsync(int members, int starts, string program, CancellationToken cancellationToken)
    {
        HostNetwork network = await HostNetwork.StartAsync(members, program, cancellationToken).ConfigureAwait(false);
        await using (network.ConfigureAwait(false))
        {
            int process = network.ServerProcess;
            (double resident, double own) = (ProcessFigures.ResidentMegabytes(process), ProcessFigures.AnonymousMegabytes(process));
            var taken = new List<TimeSpan>();
            for (int start = 0; start < starts; start++)
            {
                await network.StopAsync(network.Members[^1], cancellationToken).ConfigureAwait(false);
                taken.Add(await network.JoinAsync(network.Members[^1], cancellationToken).ConfigureAwait(false));
            }

            return new HostCostReport(members, resident, own, [.. taken.Order()]);
        }
    }
}
