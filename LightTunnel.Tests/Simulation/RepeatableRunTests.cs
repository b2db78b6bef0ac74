using System.Diagnostics;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// A seed does the same again in another process, where strings have other hashes and secrets are others: everything that is sent, and all
/// that nodes say in their logs.
/// </summary>
public sealed class RepeatableRunTests : IDisposable
{
    /// <summary>Of 20 members, in networks of all kinds.</summary>
    private const string Seed = "100";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly string _folder = Directory.CreateTempSubdirectory("lt").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Storm_InTwoProcesses_IsTheSame()
    {
        string[] traces = [Path.Combine(_folder, "first"), Path.Combine(_folder, "second")];
        await Task.WhenAll(traces.Select(RunStormAsync));

        int number = 0;
        foreach ((string first, string second) in File.ReadLines(traces[0]).Zip(File.ReadLines(traces[1])))
            Assert.True(first == second, $"Line {++number} differs: \"{first}\" and \"{second}\".");
        Assert.Equal(new FileInfo(traces[0]).Length, new FileInfo(traces[1]).Length);
        Assert.NotEqual(0, new FileInfo(traces[0]).Length);
    }

    private static async Task RunStormAsync(string trace)
    {
        const string Storms = $"*.{nameof(NetworkStormTests)}.{nameof(NetworkStormTests.Storms_LeaveNothingUndone)}";
        var start = new ProcessStartInfo("dotnet", [typeof(RepeatableRunTests).Assembly.Location, "-method", Storms])
        {
            RedirectStandardOutput = true,
            Environment = { ["LIGHTTUNNEL_SEED"] = Seed, ["LIGHTTUNNEL_TRACE"] = trace },
        };
        using Process storm = Process.Start(start)!;
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            string output = await storm.StandardOutput.ReadToEndAsync(patience.Token);
            await storm.WaitForExitAsync(patience.Token);
            Assert.True(storm.ExitCode == 0, output);
        }
        finally
        {
            if (!storm.HasExited)
                storm.Kill(entireProcessTree: true);
        }
    }
}
