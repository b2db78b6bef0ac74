using System.Diagnostics;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Tests.Windows;

/// <summary>
/// What all Windows machines of the tests share, in obj/windows, made when it is needed first and kept: .NET for Windows with stand-ins for
/// what Wine lacks, and an installed Windows (Wine calls it a prefix), of which each machine gets a copy.
/// </summary>
internal static class WindowsSystem
{
    /// <summary>Only so that what hangs is named.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private static readonly Lazy<Task> Made = new(MakeAsync);

    private static readonly string Folder = Path.Combine(LabPaths.RepositoryRoot, "LightTunnel.Tests", "obj", "windows");
    private static readonly string Installed = Path.Combine(Folder, "installed");

    /// <summary>dotnet.exe.</summary>
    public static string DotNet { get; } = Path.Combine(Folder, "dotnet", "dotnet.exe");

    /// <summary>What pwsh needs beside .NET.</summary>
    public static string MoreAssemblies { get; } = Path.Combine(Folder, "assemblies");

    /// <summary>The stand-in for Wintun.</summary>
    public static string Wintun { get; } = Path.Combine(Folder, "driver", "wintun.dll");

    /// <summary>PowerShell for Windows, of which the engine is used.</summary>
    public static string PowerShell { get; } =
        Path.Combine(Path.GetDirectoryName(Path.GetDirectoryName(RealPowerShell.Assembly)!)!, "win", "pwsh.dll");

    /// <summary>Makes what is not there yet.</summary>
    public static Task MakeOnceAsync() => Made.Value;

    /// <summary>A path of this machine as Windows programs name it.</summary>
    public static string PathOf(string path) => "Z:" + path.Replace('/', '\\');

    /// <summary>Variables for every program of a Windows machine.</summary>
    /// <param name="prefix">Where it is installed.</param>
    public static Dictionary<string, string> Environment(string prefix) => new()
    {
        ["WINEPREFIX"] = prefix,
        ["WINEDEBUG"] = "-all",
        ["WINEDLLOVERRIDES"] = "iphlpapi,ws2_32=n,b;winemenubuilder.exe=",
        ["DISPLAY"] = string.Empty,
        // With it .NET maps its code twice, and dies of what Wine makes of that.
        ["DOTNET_EnableWriteXorExecute"] = "0",
        ["PSExecutionPolicyPreference"] = "Bypass",
    };

    /// <summary>Installs a Windows of its own into a folder: by links to the files of the shared one, which nothing writes to.</summary>
    public static async Task InstallAsync(string prefix)
    {
        await MakeOnceAsync();
        Directory.CreateDirectory(prefix);
        foreach (string file in Directory.EnumerateFiles(Installed))
            File.Copy(file, Path.Combine(prefix, Path.GetFileName(file)));
        string drives = Path.Combine(prefix, "dosdevices");
        Directory.CreateDirectory(drives);
        File.CreateSymbolicLink(Path.Combine(drives, "c:"), "../drive_c");
        File.CreateSymbolicLink(Path.Combine(drives, "z:"), "/");
        await RunAsync("cp", ["-as", Path.Combine(Installed, "drive_c"), prefix]);

        // The stand-ins go where Windows has such libraries; what they leave to Wine's own they find where those were moved.
        string system = Path.Combine(prefix, "drive_c", "windows", "system32");
        string moved = Path.Combine(prefix, "drive_c", "windows", "wine");
        Directory.CreateDirectory(moved);
        foreach (string library in Directory.EnumerateFiles(Path.Combine(Folder, "system32")))
        {
            string name = Path.GetFileName(library);
            File.Move(Path.Combine(system, name), Path.Combine(moved, name));
            File.CreateSymbolicLink(Path.Combine(system, name), library);
        }
    }

    private static async Task MakeAsync()
    {
        await RunAsync(
            LabPaths.DotNet, ["build", Path.Combine(LabPaths.RepositoryRoot, "LightTunnel.Tests", "Windows", "StandIns"), "-v", "q"]);
        if (Directory.Exists(Installed))
            return;
        string unfinished = Installed + ".new";
        if (Directory.Exists(unfinished))
            Directory.Delete(unfinished, recursive: true);
        Directory.CreateDirectory(unfinished);
        await RunAsync(SetupCheck.Wine!, ["wineboot", "--init"], unfinished);
        await RunAsync(SetupCheck.Wine!, ["reg", "add", @"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f"], unfinished);
        // The registry is in its files when the server has ended.
        await RunAsync(Path.Combine(Path.GetDirectoryName(SetupCheck.Wine)!, "wineserver"), ["-k", "-w"], unfinished);
        // Its links lead to all of this machine: whatever looks through the repository's folders would follow them.
        await RunAsync("find", [unfinished, "-type", "l", "-delete"]);
        Directory.Delete(Path.Combine(unfinished, "dosdevices"), recursive: true);
        Directory.Move(unfinished, Installed);
    }

    private static async Task RunAsync(string command, IEnumerable<string> arguments, string? prefix = null)
    {
        // Wine's server inherits what a program writes to and outlives it: only without one an end of the output can be waited for.
        var start = new ProcessStartInfo(command, arguments);
        foreach ((string name, string value) in prefix is null ? [] : Environment(prefix))
            start.Environment[name] = value;
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.RedirectStandardOutput = start.RedirectStandardError = prefix is null;
        using Process process = Process.Start(start)!;
        Task<string> output = prefix is null ? process.StandardOutput.ReadToEndAsync() : Task.FromResult(string.Empty);
        Task<string> errors = prefix is null ? process.StandardError.ReadToEndAsync() : Task.FromResult(string.Empty);
        try
        {
            await process.WaitForExitAsync().WaitAsync(Patience);
        }
        catch (TimeoutException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        if (process.ExitCode != 0)
        {
            throw new LabException(
                $"'{command} {string.Join(' ', arguments)}' ended with {process.ExitCode}: {await output} {await errors}",
                "Run it by hand.");
        }
    }
}
