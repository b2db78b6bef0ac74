using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab.Bench;

/// <summary>
/// What importing the module costs: a PowerShell host that does, less one that does not. Each takes several times as long to start as
/// the import does, and no two starts take the same time, so what is subtracted are the medians of many, of which every second one is
/// with the module.
/// </summary>
internal static class ImportCost
{
    /// <summary>Starts of each kind for one figure.</summary>
    public const int Starts = 7;

    /// <summary>Measures once; milliseconds of time, and of the processors in user and kernel mode.</summary>
    public static async Task<(double Time, double Cpu)> MeasureAsync(CancellationToken cancellationToken)
    {
        var without = new (double Time, double Cpu)[Starts];
        var with = new (double Time, double Cpu)[Starts];
        for (int i = 0; i < Starts; i++)
        {
            without[i] = await StartAsync([], cancellationToken).ConfigureAwait(false);
            with[i] = await StartAsync([LabPaths.ModuleManifest()], cancellationToken).ConfigureAwait(false);
        }

        return (Difference(with, without, start => start.Time), Difference(with, without, start => start.Cpu));
    }

    /// <summary>By how much the median of the first is above that of the second.</summary>
    public static double Difference<T>(IEnumerable<T> first, IEnumerable<T> second, Func<T, double> figure) =>
        Median(first.Select(figure)) - Median(second.Select(figure));

    private static double Median(IEnumerable<double> figures)
    {
        double[] ordered = [.. figures.Order()];
        return ordered[ordered.Length / 2];
    }

    private static async Task<(double Time, double Cpu)> StartAsync(string[] imports, CancellationToken cancellationToken)
    {
        ShellSession shell = await ShellSession.StartAsync(new ShellOptions { Imports = imports }, cancellationToken).ConfigureAwait(false);
        await using (shell.ConfigureAwait(false))
            return (shell.OpenTime.TotalMilliseconds, ProcessFigures.ProcessorSeconds(shell.ProcessId) * 1000);
    }
}
