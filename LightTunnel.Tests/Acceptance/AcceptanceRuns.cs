using System.Collections.Concurrent;
using System.Reflection;
using System.Text.Json;
using LightTunnel.Internet.Nats;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Acceptance;

/// <summary>One test that Pester ran.</summary>
/// <param name="Name">What stands behind It; empty for what failed outside of tests.</param>
/// <param name="Result">Passed, Failed, Skipped or NotRun.</param>
/// <param name="Message">Why.</param>
public sealed record PesterTest(string Name, string Result, string Message);

/// <summary>
/// Pester in a real pwsh with the staged module: once for each file, when one of its tests is asked for first, and in a laboratory of its
/// own if it needs other machines.
/// </summary>
public sealed class AcceptanceRuns
{
    /// <summary>Less than what ends a test run that hangs, and much more than even a busy machine takes.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3.5);

    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(10);

    private readonly ConcurrentDictionary<string, Lazy<Task<IReadOnlyList<PesterTest>>>> _runs = new(StringComparer.Ordinal);

    /// <summary>The test files, by name.</summary>
    internal static IReadOnlyDictionary<string, string> Files { get; } = Directory.EnumerateFiles(Folder, "*.Tests.ps1")
        .ToDictionary(file => Path.GetFileName(file)!, File.ReadAllText);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static string Folder => Path.Combine(LabPaths.RepositoryRoot, "LightTunnel.Tests", "Acceptance");

    /// <summary>What came of a file's tests; skips the test where they cannot run.</summary>
    internal Task<IReadOnlyList<PesterTest>> RunAsync(string file)
    {
        // A file that asks for machines gets some.
        bool needsMachines = Files[file].StartsWith("param($Machines)", StringComparison.Ordinal);
        if (needsMachines)
            Prerequisites.SkipUnlessLaboratory();
        return _runs.GetOrAdd(file, _ => new(() => needsMachines ? RunInLaboratoryAsync(file) : RunAloneAsync(file))).Value;
    }

    private static async Task<IReadOnlyList<PesterTest>> RunAloneAsync(string file)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lt-acceptance");
        try
        {
            return await InvokeAsync(folder.FullName, file, Environment(Path.Combine(folder.FullName, "run")));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<IReadOnlyList<PesterTest>> RunInLaboratoryAsync(string file)
    {
        await using Laboratory laboratory = await Laboratory.StartAsync(
            Topology.OpenHosts(Delay, "server").WithLan("left", NatKind.PortRestrictedCone, Delay, "alice")
                .WithLan("right", NatKind.PortRestrictedCone, Delay, "bob"),
            shells: false,
            Token);
        LabNode alice = laboratory["alice"];
        await using RealShellProcess server = await StartAsync(laboratory["server"]), bob = await StartAsync(laboratory["bob"]);
        return await InvokeAsync(
            alice.Folder, file, Environment(alice.RuntimeFolder), alice, (laboratory["server"], server), (laboratory["bob"], bob));
    }

    /// <summary>A pwsh that does nothing but be there for sessions.</summary>
    private static async Task<RealShellProcess> StartAsync(LabNode node)
    {
        RealShellProcess shell = RealShell.Start(
            "'ready'; $null = [Console]::In.ReadLine()", node.Namespace, Environment(node.RuntimeFolder));
        await shell.WaitForOutputAsync("ready");
        return shell;
    }

    private static async Task<IReadOnlyList<PesterTest>> InvokeAsync(
        string folder,
        string file,
        IReadOnlyDictionary<string, string> environment,
        LabNode? here = null,
        params (LabNode Node, RealShellProcess Shell)[] machines)
    {
        string results = Path.Combine(folder, "results.json");
        IEnumerable<string> others = machines.Select(machine =>
            $"@{{ Name = '{machine.Node.Name}'; ProcessId = {machine.Shell.Id}; Preset = "
                + $"{RealPowerShell.Quote(Preset(machine.Node.Folder, machine.Node))} }}");
        string script = $"""
            {Preset(folder, here)}
            & {RealPowerShell.Quote(Path.Combine(Folder, "Invoke-Acceptance.ps1"))} -PesterPath {RealPowerShell.Quote(PesterManifest)} `
                -Path {RealPowerShell.Quote(Path.Combine(Folder, file))} `
                -ModulePath {RealPowerShell.Quote(LabPaths.ModuleManifest())} -ResultPath {RealPowerShell.Quote(results)} `
                -Machine @({string.Join(", ", others)})
            """;
        await using RealShellProcess pester = RealShell.Start(script, here?.Namespace, environment);
        try
        {
            RealShellResult result = await pester.EndAsync(Patience);
            Assert.True(result.ExitCode == 0 && File.Exists(results), $"Pester did not run: {result}");
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException($"Pester did not end. What it said:\n{pester.Output}", exception);
        }

        return JsonSerializer.Deserialize<PesterTest[]>(await File.ReadAllTextAsync(results, Token))!;
    }

    /// <summary>What a session begins with: where it is, and the defaults of its machine.</summary>
    private static string Preset(string folder, LabNode? node) => $"Set-Location {RealPowerShell.Quote(folder)}\n{node?.PresetScript}";

    private static Dictionary<string, string> Environment(string runtimeFolder) =>
        new() { ["LIGHTTUNNEL_RUNTIME_DIRECTORY"] = runtimeFolder };

    private static string PesterManifest => typeof(AcceptanceRuns).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == "Pester").Value!;
}
