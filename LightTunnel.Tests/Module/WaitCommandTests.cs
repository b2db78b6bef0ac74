using System.Runtime.Versioning;
using LightTunnel.Engine.Control;
using LightTunnel.Lab.Shells;
using LightTunnel.Routing;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The commands with which a script waits, here for tunnels of another process: the one that runs the test.</summary>
[SupportedOSPlatform("linux")]
public sealed class WaitCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task WaitLtNetwork_StateComesLater_ReturnsTheNetworkThen()
    {
        FakeTunnel client = FakeTunnel.SampleClient();
        client.State = TunnelState.Connecting;
        ModuleShell shell = await ServeAsync(client, FakeTunnel.SampleServer());

        Task<ShellResult> waiting = shell.RunAsync("Wait-LtNetwork home -TimeoutSec 300");
        await client.WatchedAsync(Token);
        Assert.False(waiting.IsCompleted);
        client.State = TunnelState.Up;
        client.Change(TunnelState.Connecting, TunnelState.Up);

        ShellObject network = (await waiting.WaitAsync(Patience, Token)).Single();
        Assert.Equal(("LightTunnel.LtNetwork", "home", "Up"), (network.Types[0], network.Text("Name"), network.Text("State")));
    }

    [Fact]
    public async Task WaitLtNetwork_JoinedLater_IsWaitedFor()
    {
        ModuleShell shell = await ServeAsync();

        Task<ShellResult> waiting = shell.RunAsync("Wait-LtNetwork -TimeoutSec 300");
        shell.Serve(FakeTunnel.SampleClient());

        Assert.Equal("home", (await waiting.WaitAsync(Patience, Token)).Single().Text("Name"));
    }

    [Theory]
    [InlineData(
        "Wait-LtNetwork home -TimeoutSec $seconds", "TimedOut,LightTunnel.WaitLtNetworkCommand",
        "is Reconnecting, not Up, after $seconds s: nobody answers")]
    [InlineData(
        "Wait-LtNetwork home -State Connecting, Failed -TimeoutSec $seconds", "TimedOut,LightTunnel.WaitLtNetworkCommand",
        "not Connecting or Failed")]
    [InlineData(
        "Wait-LtNetwork elsewhere -TimeoutSec $seconds", "TimedOut,LightTunnel.WaitLtNetworkCommand",
        "'elsewhere' was not joined within $seconds s")]
    [InlineData(
        "Wait-LtPeer nas -Path Direct -Network office -TimeoutSec $seconds", "TimedOut,LightTunnel.WaitLtPeerCommand",
        "'nas' is Server, not Direct, after $seconds s.")]
    [InlineData("Wait-LtPeer phone -TimeoutSec $seconds", "TimedOut,LightTunnel.WaitLtPeerCommand", "'phone' is Offline")]
    [InlineData("Wait-LtPeer nobody -TimeoutSec $seconds", "TimedOut,LightTunnel.WaitLtPeerCommand", "No peer 'nobody' was seen")]
    [InlineData(
        "Wait-LtPeer nas -Network elsewhere -TimeoutSec $seconds", "TimedOut,LightTunnel.WaitLtPeerCommand",
        "No tunnel that could see 'nas' ran")]
    public async Task Wait_TimeIsOver_FailsAndSaysHowThingsStand(string script, string errorId, string message)
    {
        var client = new FakeTunnel(
            "home", LightTunnel.Membership.TunnelRole.Client) { State = TunnelState.Reconnecting, LastError = "nobody answers" };
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleServer(), client);
        await shell.RunAsync("Get-LtPeer nas"); // The first question of a process takes much longer than all others.

        // What it says depends on what it could learn in the time: on a busy machine it gets more.
        ShellError error;
        int seconds = 1;
        string Said(string text) => text.Replace("$seconds", $"{seconds}", StringComparison.Ordinal);
        while (!(error = await shell.FailAsync(Said(script))).Message.Contains(Said(message), StringComparison.Ordinal) && seconds < 60)
            seconds *= 2;

        Assert.Equal((errorId, "OperationTimeout"), (error.ErrorId, error.Category));
        Assert.Contains(Said(message), error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(error.RecommendedAction!);
    }

    [Fact]
    public async Task WaitLtNetwork_Stopped_ReturnsWhenItIsLeft_AndAtOnceWhenNoneIsThere()
    {
        FakeTunnel client = FakeTunnel.SampleClient();
        ModuleShell shell = await ServeAsync(client);

        Task<ShellResult> waiting = shell.RunAsync("Wait-LtNetwork home -State Stopped -TimeoutSec 300; 'gone'");
        await client.WatchedAsync(Token);
        Assert.False(waiting.IsCompleted);
        await client.StopAsync(Token);

        Assert.Equal("gone", (await waiting.WaitAsync(Patience, Token)).Single().ToString());
        Assert.Equal(
            "gone", (await shell.RunAsync("Wait-LtNetwork home -State Stopped -TimeoutSec 300; 'gone'")
                .WaitAsync(Patience, Token)).Single().ToString());
    }

    [Fact]
    public async Task WaitLtPeer_BecomesDirect_ReturnsThePeerThen_AndLanIsDirect()
    {
        FakeTunnel server = FakeTunnel.SampleServer();
        ModuleShell shell = await ServeAsync(server);

        Task<ShellResult> waiting = shell.RunAsync("Wait-LtPeer nas -Path Direct -TimeoutSec 300");
        await server.WatchedAsync(Token);
        server.Reach("laptop", PathType.Relay);
        await server.WatchedAsync(Token);
        Assert.False(waiting.IsCompleted);
        server.Reach("nas", PathType.Lan);

        ShellObject peer = (await waiting.WaitAsync(Patience, Token)).Single();
        Assert.Equal(("LightTunnel.LtPeer", "nas", "Lan"), (peer.Types[0], peer.Text("Name"), peer.Text("Path")));
    }

    [Theory]
    [InlineData("Wait-LtPeer laptop", "laptop")]
    [InlineData("Wait-LtPeer 10.0.0.20", "nas")]
    [InlineData("Get-LtPeer nas | Wait-LtPeer -Path Server, Relay", "nas")]
    [InlineData("Get-LtRoute 10.0.0.21 | Wait-LtPeer", "laptop")]
    [InlineData("Wait-LtPeer phone -Path Offline", "phone")]
    public async Task WaitLtPeer_AsItIsAlready_ReturnsAtOnce(string script, string peer)
    {
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleServer());

        Assert.Equal(peer, (await shell.RunAsync(script).WaitAsync(Patience, Token)).Single().Text("Name"));
    }

    [Fact]
    public async Task WaitLtPeer_OfALargeNetwork_AsksForWhoIsNamed()
    {
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleMemberOfMany());

        Assert.Equal("stranger1", (await shell.RunAsync("Wait-LtPeer stranger1").WaitAsync(Patience, Token)).Single().Text("Name"));
    }

    private async Task<ModuleShell> ServeAsync(params FakeTunnel[] tunnels)
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(tunnels);
        return shared.Shell;
    }
}
