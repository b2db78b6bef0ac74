using LightTunnel.Internet.Nats;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using LightTunnel.Tests.Lab;
using Xunit;

namespace LightTunnel.Tests.Interop;

/// <summary>
/// A network of a server, a client "alice", and two machines that have wireguard-go only: a phone behind a NAT and a tablet. Made through
/// the commands.
/// </summary>
public sealed class WireGuardAppNetwork : IAsyncLifetime
{
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(10);

    private readonly Dictionary<string, WireGuardApp> _apps = [];
    private Laboratory? _laboratory;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    internal Laboratory Laboratory
    {
        get
        {
            Prerequisites.SkipUnlessInterop();
            return _laboratory!;
        }
    }

    internal LabNode Server => Laboratory["server"];

    internal LabNode Alice => Laboratory["alice"];

    internal WireGuardApp Phone => App("phone");

    internal WireGuardApp Tablet => App("tablet");

    /// <summary>A member's tunnel address.</summary>
    internal string AddressOf(string name) => name switch
    {
        "server" => "10.0.0.1",
        "alice" => "10.0.0.10",
        _ => App(name).Address,
    };

    public async ValueTask InitializeAsync()
    {
        if (Prerequisites.FirstMissing([.. SetupCheck.ForDemo(), .. SetupCheck.ForInterop()]) is not null)
            return;
        _laboratory = await Laboratory.StartAsync(
            Topology.OpenHosts(Delay, "server", "alice", "tablet").WithLan("home", NatKind.PortRestrictedCone, Delay, "phone"),
            shells: false, Token);
        string[] imports = [LabPaths.ModuleManifest()];
        await Task.WhenAll(Server.StartShellAsync(imports, Token), Alice.StartShellAsync(imports, Token));
        await RunningNetwork.StartServerAsync(_laboratory);
        string invitation =
            (await Server.Shell.InvokeAsync("\"$(New-LtInvitation)\"", cancellationToken: Token)).Single().ToString();
        await Alice.Shell.InvokeAsync(
            "param($Invitation) Connect-LtNetwork -Invitation $Invitation -Address 10.0.0.10, fd00:9::10",
            new { Invitation = invitation }, cancellationToken: Token);
        foreach (string name in new[] { "phone", "tablet" })
            await AddAsync(name);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (WireGuardApp app in _apps.Values)
            await app.DisposeAsync();
        if (_laboratory is not null)
            await _laboratory.DisposeAsync();
    }

    /// <summary>The server's process dies, and another one takes its place.</summary>
    internal async Task RestartServerAsync()
    {
        await Server.StopShellAsync(crash: true);
        await Server.StartShellAsync([LabPaths.ModuleManifest()], Token);
        await RunningNetwork.StartServerAsync(Laboratory);
    }

    private WireGuardApp App(string name)
    {
        Prerequisites.SkipUnlessInterop();
        return _apps[name];
    }

    private async Task AddAsync(string name)
    {
        ShellResult made = await Server.Shell.InvokeAsync(
            "param($Name) \"$(New-LtWireGuardClient $Name)\"", new { Name = name }, cancellationToken: Token);
        _apps[name] = await WireGuardApp.StartAsync(Laboratory[name], made.Single().ToString(), Token);
    }
}
