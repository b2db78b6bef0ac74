using System.Runtime.InteropServices;

namespace LightTunnel.Lab;

/// <summary>Where the build puts things, found from the place of this assembly.</summary>
internal static class LabPaths
{
    /// <summary>The repository's root: the folder with the solution.</summary>
    public static string RepositoryRoot { get; } = FindRoot();

    /// <summary>The dotnet program that runs this process.</summary>
    public static string DotNet { get; } =
        Path.GetFullPath(Path.Combine(
            RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));

    /// <summary>LightTunnel.ShellServer, of the same build configuration as this assembly.</summary>
    public static string ShellServerAssembly { get; } =
        Path.Combine(RepositoryRoot, "LightTunnel.ShellServer", "bin", Configuration, "net10.0", "LightTunnel.ShellServer.dll");

    private static string Configuration =>
        AppContext.BaseDirectory.Split(Path.DirectorySeparatorChar).Contains("Release", StringComparer.OrdinalIgnoreCase)
            ? "Release"
            : "Debug";

    /// <summary>The staged module's manifest, of the highest version there is.</summary>
    /// <exception cref="LabException">The module was not built.</exception>
    public static string ModuleManifest()
    {
        string folder = Path.Combine(RepositoryRoot, "out", "LightTunnel");
        string? newest = !Directory.Exists(folder) ? null : Directory.EnumerateDirectories(folder)
            .Where(path => Version.TryParse(Path.GetFileName(path), out _) && File.Exists(Path.Combine(path, "LightTunnel.psd1")))
            .MaxBy(path => Version.Parse(Path.GetFileName(path)));
        return newest is null
            ? throw new LabException($"There is no module in {folder}.", "Build it with: dotnet build")
            : Path.Combine(newest, "LightTunnel.psd1");
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "LightTunnel.sln")))
                return folder.FullName;
        }

        throw new LabException(
            $"No folder above {AppContext.BaseDirectory} has LightTunnel.sln.", "Run the laboratory from the repository.");
    }
}
