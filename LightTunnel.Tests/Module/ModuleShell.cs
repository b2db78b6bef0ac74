using System.Runtime.Versioning;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>
/// PowerShell in a process of its own with the staged module imported, and control sockets in a folder of its own. The test's process
/// plays the other process with tunnels of this machine.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class ModuleShell : IAsyncDisposable
{
    private readonly DirectoryInfo _folder;
    private readonly ShellSession _session;
    private ControlSocketServer? _server;

    private ModuleShell(DirectoryInfo folder, ShellSession session)
    {
        _folder = folder;
        _session = session;
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ShellSession Session => _session;

    /// <summary>A folder that the shell and the test may write to; the shell's location.</summary>
    public string Folder => _folder.FullName;

    /// <param name="import">False starts without the module.</param>
    /// <param name="fakeEngine">True puts <see cref="FakeEngine"/> in place.</param>
    public static async Task<ModuleShell> StartAsync(bool import = true, bool fakeEngine = false)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The control socket's folder can be chosen on Linux only.");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lt-module");
        ShellSession session = await ShellSession.StartAsync(
            new ShellOptions
            {
                Imports = import ? [LabPaths.ModuleManifest()] : [],
                Environment = new Dictionary<string, string>
                {
                    [UnixControlTransport.FolderVariable] = Path.Combine(folder.FullName, "run"),
                },
                WorkingDirectory = folder.FullName,
            },
            Token);
        var shell = new ModuleShell(folder, session);
        if (fakeEngine)
        {
            await shell.RunAsync(
                """
                param($Path)
                Get-LtServer
                $context = [Runtime.Loader.AssemblyLoadContext]::All | Where-Object Name -eq LightTunnel
                $fake = $context.LoadFromAssemblyPath($Path).GetType('LightTunnel.Tests.PowerShellModule.FakeEngine')
                function Reset-FakeEngine { $fake.GetMethod('Install').Invoke($null, $null) }
                Reset-FakeEngine
                function Get-LastSettings { $fake.GetProperty('LastSettings').GetValue($null) }
                """,
                new { Path = typeof(FakeEngine).Assembly.Location });
        }

        return shell;
    }

    /// <summary>Lets the test's process be the other process, with these tunnels.</summary>
    public void Serve(params FakeTunnel[] tunnels)
    {
        _server?.Dispose();
        _server = ControlSocketServer.Start(Transport(), () => [.. tunnels.Where(tunnel => !tunnel.IsStopped)]);
    }

    /// <summary>The shell's tunnels as another process sees them.</summary>
    public Task<TunnelSearch> FindFromOutsideAsync() =>
        new ControlSocketClient(Transport(), TimeProvider.System).FindAsync(ControlSocketClient.CallTimeout, Token);

    /// <summary>Runs a script that must succeed.</summary>
    public Task<ShellResult> RunAsync(string script, object? arguments = null) =>
        _session.InvokeAsync(script, arguments, cancellationToken: Token);

    /// <summary>Runs a script that may fail.</summary>
    public Task<ShellResult> TryAsync(string script) => _session.TryInvokeAsync(script, cancellationToken: Token);

    /// <summary>What a console of 80 columns shows, without lines that are empty and spaces at the end.</summary>
    public async Task<string> ShowAsync(string script)
    {
        ShellResult result = await _session.TryInvokeAsync(script, render: true, cancellationToken: Token);
        Assert.Empty(result.Errors);
        return string.Join('\n', result.Text.Split('\n').Select(line => line.TrimEnd()).Where(line => line.Length > 0));
    }

    /// <summary>The one error of a script.</summary>
    public async Task<ShellError> FailAsync(string script)
    {
        ShellResult result = await TryAsync(script);
        return Assert.Single(result.Errors);
    }

    /// <summary>As after the start: no tunnels here or there, and the first location.</summary>
    public async Task ResetAsync()
    {
        Serve();
        await RunAsync(
            "param($Folder) $ExecutionContext.SessionState.Path.SetLocation($Folder); Get-LtServer | Stop-LtServer; "
                + "Get-LtNetwork | Disconnect-LtNetwork", new { Folder });
    }

    public async ValueTask DisposeAsync()
    {
        await _session.DisposeAsync();
        _server?.Dispose();
        _folder.Delete(recursive: true);
    }

    private UnixControlTransport Transport() => new(Path.Combine(Folder, "run"), UnixControlTransport.CurrentNamespace());
}

/// <summary>One shell for all tests of a class, for starting one takes a second.</summary>
[SupportedOSPlatform("linux")]
public abstract class SharedShell : IAsyncLifetime
{
    private readonly bool _fakeEngine;

    private protected SharedShell(bool fakeEngine) => _fakeEngine = fakeEngine;

    internal ModuleShell Shell { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Shell = await ModuleShell.StartAsync(fakeEngine: _fakeEngine);

    public async ValueTask DisposeAsync()
    {
        await Shell.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}

/// <summary>With the module as it is.</summary>
[SupportedOSPlatform("linux")]
public sealed class PlainShell() : SharedShell(fakeEngine: false);

/// <summary>With <see cref="FakeEngine"/> in it.</summary>
[SupportedOSPlatform("linux")]
public sealed class FakeEngineShell() : SharedShell(fakeEngine: true)
{
    /// <summary>The shell as it is at first: nothing runs, and the engine was told nothing.</summary>
    internal async Task<ModuleShell> ResetAsync()
    {
        await Shell.ResetAsync();
        await Shell.RunAsync("Reset-FakeEngine");
        return Shell;
    }

    /// <summary>What the engine was started with last, a line for each setting.</summary>
    internal async Task<string> LastSettingsAsync() =>
        (await Shell.RunAsync("Get-LastSettings")).Single().ToString();
}
