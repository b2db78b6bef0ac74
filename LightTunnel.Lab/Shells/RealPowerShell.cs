using System.Diagnostics;
using System.Text.Json;

namespace LightTunnel.Lab.Shells;

/// <summary>
/// The real pwsh, of the version in .config/dotnet-tools.json: restored by "dotnet tool restore" when it is asked for first, and run
/// without the tool's shim, which would keep signals to itself.
/// </summary>
internal static class RealPowerShell
{
    private static readonly Lazy<(string Assembly, string? Failure)> Found = new(Provide);

    /// <summary>Why pwsh cannot be had; null when it can.</summary>
    public static string? Failure => Found.Value.Failure;

    /// <summary>pwsh.dll, for "dotnet".</summary>
    /// <exception cref="LabException">It cannot be had.</exception>
    public static string Assembly => Failure is null
        ? Found.Value.Assembly
        : throw new LabException(
            $"The laboratory needs pwsh, and it cannot be had: {Failure}", "In the repository's folder, run: dotnet tool restore");

    /// <summary>Program and arguments that start it without anything of the user's; more arguments may follow.</summary>
    /// <exception cref="LabException">It cannot be had.</exception>
    public static string[] Command => [LabPaths.DotNet, Assembly, "-NoLogo", "-NoProfile"];

    /// <summary>Variables that keep it from calling home.</summary>
    public static IReadOnlyDictionary<string, string> Environment { get; } =
        new Dictionary<string, string> { ["POWERSHELL_TELEMETRY_OPTOUT"] = "1", ["POWERSHELL_UPDATECHECK"] = "Off" };

    /// <summary>A string as a script says it.</summary>
    public static string Quote(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    private static (string Assembly, string? Failure) Provide()
    {
        string manifest = Path.Combine(LabPaths.RepositoryRoot, ".config", "dotnet-tools.json");
        using var tools = JsonDocument.Parse(File.ReadAllText(manifest));
        string version = tools.RootElement.GetProperty("tools").GetProperty("powershell").GetProperty("version").GetString()!;
        string packages = System.Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(System.Environment.GetFolderPath(System.Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        string assembly = Path.Combine(
            packages, "powershell", version, "tools", "net10.0", "any", OperatingSystem.IsWindows() ? "win" : "unix", "pwsh.dll");
        if (File.Exists(assembly))
            return (assembly, null);

        var start = new ProcessStartInfo(LabPaths.DotNet, ["tool", "restore"])
        {
            WorkingDirectory = LabPaths.RepositoryRoot,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process restore = Process.Start(start)!;
        Task<string> errors = restore.StandardError.ReadToEndAsync();
        string output = restore.StandardOutput.ReadToEnd();
        restore.WaitForExit();
        return (assembly, File.Exists(assembly)
            ? null
            : $"'dotnet tool restore' ended with {restore.ExitCode}: {output} {errors.GetAwaiter().GetResult()}");
    }
}
