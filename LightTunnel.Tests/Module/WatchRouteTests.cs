using System.Net;
using System.Runtime.Versioning;
using System.Threading.Channels;
using LightTunnel.Engine.Control;
using LightTunnel.Lab.Shells;
using LightTunnel.Routing;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>Changes of routes as a script sees them: streamed by Watch-LtRoute, of tunnels of another process.</summary>
[SupportedOSPlatform("linux")]
public sealed class WatchRouteTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private static readonly RoutePath ByServer = new(PathType.Server, IPEndPoint.Parse("203.0.113.7:9000"), PathReason.NoAnswer);
    private static readonly RoutePath Direct = new(PathType.Direct, IPEndPoint.Parse("[2001:db8::7]:9000"), PathReason.DirectUp);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RoutesAsTheyAre_ThenChanges_UntilTheTunnelStops()
    {
        (FakeTunnel server, Watch watch) = await WatchAsync("Watch-LtRoute");
        Assert.Equal(
            ["Current nas:  -> Server", "Current laptop:  -> Direct", "Current phone:  -> Offline"],
            [await watch.NextAsync(), await watch.NextAsync(), await watch.NextAsync()]);

        server.Change("nas", "10.0.0.20/32", ByServer, Direct);
        Assert.Equal("Changed nas: Server -> Direct", await watch.NextAsync());
        server.Change("tablet", "10.0.0.23/32", null, ByServer);
        Assert.Equal("Added tablet:  -> Server", await watch.NextAsync());
        server.Change("tablet", "10.0.0.23/32", ByServer, null);
        Assert.Equal("Removed tablet: Server -> Offline", await watch.NextAsync());
        await server.StopAsync(Token);

        ShellResult result = await watch.Result;
        Assert.Equal(ShellState.Completed, result.State);
        Assert.Equal(6, result.Output.Count);
        ShellObject change = result.Output[3];
        Assert.Equal("LightTunnel.LtRouteChange", change.Types[0]);
        Assert.Equal(
            ("office", "10.0.0.20/32", "Server", "Direct"),
            (change.Text("Network"), change.Text("Destination"), change.Text("OldType"), change.Text("Type")));
        Assert.Equal(
            ("DirectUp", "The peer is reached directly.", "55"),
            (change.Text("Reason"), change.Text("ReasonText"), change.Text("Quality")));
    }

    [Theory]
    [InlineData("Watch-LtRoute -ChangesOnly", "nas laptop tablet")]
    [InlineData("Watch-LtRoute 10.0.0.21 -ChangesOnly", "laptop")]
    [InlineData("Watch-LtRoute 10.0.0.2[13]* -ChangesOnly", "laptop tablet")]
    [InlineData("Watch-LtRoute -Peer t* -ChangesOnly", "tablet")]
    [InlineData("Watch-LtRoute -Type Server -ChangesOnly", "nas tablet")]
    [InlineData("Watch-LtRoute -Network off* -Peer nas -ChangesOnly", "nas")]
    [InlineData("Get-LtServer | Watch-LtRoute -Peer nas -ChangesOnly", "nas")]
    [InlineData("Get-LtRoute 10.0.0.20, 10.0.0.21 | Watch-LtRoute -ChangesOnly", "nas laptop")]
    [InlineData("Get-LtPeer nas | Watch-LtRoute -ChangesOnly", "nas")]
    public async Task Filters_ChooseWhatIsShown(string script, string peers)
    {
        (FakeTunnel server, Watch watch) = await WatchAsync(script);
        await server.WatchedAsync(Token);
        server.Change("nas", "10.0.0.20/32", Direct, ByServer);
        server.Change("laptop", "10.0.0.21/32", null, Direct);
        server.Change("tablet", "10.0.0.23/32", ByServer, null);
        await server.StopAsync(Token);

        Assert.Equal(peers, string.Join(' ', (await watch.Result).Output.Select(change => change.Text("Peer"))));
    }

    [Fact]
    public async Task PeerWithTwoAddresses_IsTwoRoutes()
    {
        (FakeTunnel server, Watch watch) = await WatchAsync("Watch-LtRoute -ChangesOnly");
        await server.WatchedAsync(Token);
        server.Change(new RouteChange { Peer = "nas", Destinations = ["10.0.0.20/32", "fd00::20/128"], Old = ByServer, New = Direct });
        server.Change(TunnelState.Up, TunnelState.Reconnecting, "why");
        await server.StopAsync(Token);

        Assert.Equal(["10.0.0.20/32", "fd00::20/128"], (await watch.Result).Output.Select(change => change.Text("Destination")));
    }

    [Fact]
    public async Task CtrlC_Returns()
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(FakeTunnel.SampleServer());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);

        ShellResult result = await shared.Shell.Session.TryInvokeAsync(
            "Watch-LtRoute", onOutput: _ => stop.Cancel(), cancellationToken: stop.Token);

        Assert.Equal(ShellState.Stopped, result.State);
    }

    [Theory]
    [InlineData("Watch-LtRoute -Network nowhere", "NotFound,LightTunnel.WatchLtRouteCommand")]
    [InlineData("Watch-LtRoute 10.0.0.x/24", "InvalidAddress,LightTunnel.WatchLtRouteCommand")]
    [InlineData("Watch-LtRoute -Type Indirect", "CannotConvertArgumentNoMessage,LightTunnel.WatchLtRouteCommand")]
    public async Task Mistyped_SaysSoAndEnds(string script, string errorId)
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(FakeTunnel.SampleServer());

        Assert.Equal(errorId, (await shared.Shell.FailAsync(script)).ErrorId);
    }

    private async Task<(FakeTunnel Server, Watch Watch)> WatchAsync(string script)
    {
        await shared.Shell.ResetAsync();
        FakeTunnel server = FakeTunnel.SampleServer();
        shared.Shell.Serve(server);
        return (server, new Watch(shared.Shell, script));
    }

    /// <summary>A script that goes on, and what it writes.</summary>
    private sealed class Watch
    {
        private readonly Channel<string> _written = Channel.CreateUnbounded<string>();

        public Watch(ModuleShell shell, string script) => Result = shell.Session.TryInvokeAsync(
            script,
            onOutput: change =>
                _written.Writer.TryWrite($"{change.Text("Kind")} {change.Text("Peer")}: {change.Text("OldPath")} -> {change.Text("Path")}"),
            cancellationToken: Token);

        public Task<ShellResult> Result { get; }

        public Task<string> NextAsync() => _written.Reader.ReadAsync(Token).AsTask().WaitAsync(TimeSpan.FromMinutes(2), Token);
    }
}
