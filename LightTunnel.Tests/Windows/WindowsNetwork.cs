using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using LightTunnel.Tests.Lab;
using Xunit;

namespace LightTunnel.Tests.Windows;

/// <summary>The classes that share one network with a Windows machine; they run one after the other.</summary>
[CollectionDefinition(nameof(WindowsNetwork))]
public sealed class WindowsNetworkSet : ICollectionFixture<WindowsNetwork>;

/// <summary>
/// A server 10.0.0.1 and a client "alice" 10.0.0.10 on Linux, and a client "windows" 10.0.0.30 on Windows, all of which can reach each
/// other; and a host "guest" that has nothing yet. Set up at the first use.
/// </summary>
public sealed class WindowsNetwork : IAsyncLifetime
{
    private Task? _joining;
    private Laboratory? _laboratory;
    private WindowsMachine? _machine;
    private Task<WindowsMachine>? _guest;
    private ShellSession? _shell;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    internal LabNode this[string name] => _laboratory![name];

    internal WindowsMachine Machine => _machine!;

    /// <summary>The shell of the Windows client.</summary>
    internal ShellSession Windows => _shell!;

    /// <summary>The line that members join with.</summary>
    internal string Invitation { get; private set; } = string.Empty;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    /// <summary>Skips the test where there can be no Windows machine.</summary>
    internal Task JoinAsync()
    {
        Prerequisites.SkipUnlessWindows();
        return _joining ??= JoinOnceAsync();
    }

    /// <summary>A Windows machine on the host "guest", without a tunnel but those that a test starts and ends.</summary>
    internal Task<WindowsMachine> GuestAsync() => _guest ??= WindowsMachine.InstallAsync(this["guest"]);

    private async Task JoinOnceAsync()
    {
        _laboratory = await Laboratory.StartAsync(
            Topology.OpenHosts(TimeSpan.FromMilliseconds(2), "server", "alice", "windows", "guest"), shells: false, Token);
        string[] imports = [LabPaths.ModuleManifest()];
        await this["server"].StartShellAsync(imports, Token);
        await this["alice"].StartShellAsync(imports, Token);
        await RunningNetwork.StartServerAsync(_laboratory);
        Invitation = (await this["server"].Shell.InvokeAsync("\"$(New-LtInvitation)\"", cancellationToken: Token)).Single().ToString();
        await this["alice"].Shell.InvokeAsync(
            "param($text) Connect-LtNetwork -Invitation $text -Address 10.0.0.10, fd00:9::10", new { text = Invitation },
            cancellationToken: Token);
        _machine = await WindowsMachine.InstallAsync(this["windows"]);
        _shell = await _machine.StartShellAsync("windows");
        await _shell.InvokeAsync(
            "param($text) Connect-LtNetwork -Name windows -Invitation $text -Address 10.0.0.30, fd00:9::30", new { text = Invitation },
            cancellationToken: Token);
    }

    public async ValueTask DisposeAsync()
    {
        if (_shell is not null)
            await _shell.DisposeAsync();
        if (_laboratory is not null)
            await _laboratory.DisposeAsync();
    }
}
