using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Windows;

/// <summary>
/// A host of a laboratory that runs Windows programs, under Wine: the real .NET for Windows, PowerShell's real engine and the staged
/// module, over stand-ins for Wintun, IP Helper and what Winsock has newly. What removes the host's namespace ends its programs.
/// </summary>
internal sealed class WindowsMachine
{
    private readonly LabNode _node;
    private readonly string _prefix;
    private readonly string _module;

    private WindowsMachine(LabNode node)
    {
        _node = node;
        _prefix = Path.Combine(node.Folder, "windows");
        _module = Path.Combine(node.Folder, "LightTunnel");
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>What the stand-in for Winsock writes of segments that it cut and merged.</summary>
    public string SegmentsFile => Path.Combine(_node.Folder, "segments.txt");

    /// <summary>Installs Windows and the module, with the driver, on a host that has no shell.</summary>
    public static async Task<WindowsMachine> InstallAsync(LabNode node)
    {
        var machine = new WindowsMachine(node);
        await WindowsSystem.InstallAsync(machine._prefix);
        string staged = Path.GetDirectoryName(LabPaths.ModuleManifest())!;
        foreach (string file in Directory.EnumerateFiles(staged, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(machine._module, Path.GetRelativePath(staged, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        File.Copy(WindowsSystem.Wintun, Path.Combine(machine._module, "Engine", "wintun.dll"));
        return machine;
    }

    /// <summary>Starts a shell, whose state folder has the given name.</summary>
    /// <param name="state">The state folder's name.</param>
    /// <param name="driver">False for the module as it is before anybody has copied wintun.dll into it.</param>
    public async Task<ShellSession> StartShellAsync(string state, bool driver = true)
    {
        string manifest = driver ? Path.Combine(_module, "LightTunnel.psd1") : LabPaths.ModuleManifest();
        Dictionary<string, string> environment = WindowsSystem.Environment(_prefix);
        environment["STANDIN_SEGMENTS"] = WindowsSystem.PathOf(SegmentsFile);
        ShellSession shell = await ShellSession.StartAsync(
            new ShellOptions
            {
                Namespace = _node.Namespace,
                WorkingDirectory = _node.Folder,
                Environment = environment,
                Imports = [WindowsSystem.PathOf(manifest)],
                ServerCommand = [SetupCheck.Wine!, WindowsSystem.DotNet,
                    WindowsSystem.PathOf(LabPaths.ShellServerAssembly), WindowsSystem.PathOf(WindowsSystem.PowerShell),
                    WindowsSystem.PathOf(WindowsSystem.MoreAssemblies)],
            },
            Token);
        await shell.InvokeAsync(
            $$"""
            foreach ($command in 'Start-LtServer', 'Connect-LtNetwork') {
                $PSDefaultParameterValues["${command}:StatePath"] = 'C:\LightTunnel\{{state}}'
                $PSDefaultParameterValues["${command}:TimeoutSec"] = 90
            }
            """,
            cancellationToken: Token);
        return shell;
    }
    /// <summary>Runs a .NET program of this repository's as Windows does, and waits for its end.</summary>
    /// <param name="assembly">Its assembly.</param>
    /// <param name="arguments">What it is told.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public Task<CommandResult> ExecuteAsync(string assembly, IEnumerable<string> arguments, CancellationToken cancellationToken) =>
        _node.ExecuteAsync(
            "env",
            [.. WindowsSystem.Environment(_prefix).Select(variable => $"{variable.Key}={variable.Value}"), SetupCheck.Wine!,
                WindowsSystem.DotNet, WindowsSystem.PathOf(assembly), .. arguments],
            cancellationToken);
}
