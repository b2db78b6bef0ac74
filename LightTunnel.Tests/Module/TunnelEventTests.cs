using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Engine.Control;
using LightTunnel.Lab.Shells;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The events of tunnel objects, in the way in which Register-ObjectEvent subscribes to them.</summary>
[SupportedOSPlatform("linux")]
public sealed class TunnelEventTests(PlainShell shared) : IClassFixture<PlainShell>
{
    /// <summary>What Register-ObjectEvent -Action does, and a way to wait for what the action wrote.</summary>
    private const string Register = """
        $seen = [Collections.Concurrent.BlockingCollection[object]]::new()
        function Register-Event($Source, $Name, [scriptblock] $Action) {
            $data = [pscustomobject]@{ Seen = $seen }
            $ExecutionContext.Events.SubscribeEvent($Source, $Name, [guid]::NewGuid().ToString(), $data, $Action, $false, $false)
        }
        function Receive-Seen {
            $item = $null
            for ($i = 0; $i -lt 300 -and -not $seen.TryTake([ref] $item, 100); $i++) { }
            $item
        }
        """;

    private static readonly RoutePath ByServer = new(PathType.Server, IPEndPoint.Parse("203.0.113.7:9000"), PathReason.NoAnswer);
    private static readonly RoutePath Direct = new(PathType.Direct, IPEndPoint.Parse("[2001:db8::7]:9000"), PathReason.DirectUp);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RouteChanged_CallsAScriptBlock()
    {
        FakeTunnel tunnel = await ServeAsync();
        await shared.Shell.RunAsync(Register + """
            $network = Get-LtNetwork home
            $job = Register-Event $network RouteChanged {
                $event.MessageData.Seen.Add("$($EventArgs.Change) $($EventArgs.Change.Reason) $($Sender.Name)")
            }
            """);
        await tunnel.WatchedAsync(Token);

        tunnel.Change("nas", "10.0.0.20/32", ByServer, Direct);

        Assert.Equal("10.0.0.20/32: Server -> Direct DirectUp home", (await shared.Shell.RunAsync("Receive-Seen")).Single().ToString());
    }

    [Fact]
    public async Task StateChanged_TellsWhatWentWrong_AndAtLastThatTheTunnelStopped()
    {
        FakeTunnel tunnel = await ServeAsync();
        await shared.Shell.RunAsync(Register + """
            $network = Get-LtNetwork home
            $job = Register-Event $network StateChanged {
                $event.MessageData.Seen.Add("$($EventArgs.OldState) -> $($EventArgs.State) $($EventArgs.Reason)")
            }
            """);
        await tunnel.WatchedAsync(Token);

        tunnel.Change(TunnelState.Up, TunnelState.Reconnecting, "no answer");
        Assert.Equal("Up -> Reconnecting no answer", (await shared.Shell.RunAsync("Receive-Seen")).Single().ToString());
        await tunnel.StopAsync(Token);
        Assert.Equal("Reconnecting -> Stopped ", (await shared.Shell.RunAsync("Receive-Seen")).Single().ToString());
    }

    [Fact]
    public async Task TunnelObject_ShowsNoTraceOfItsEvents()
    {
        await ServeAsync();

        // What "Format-List *" and ConvertTo-Json show.
        ShellResult shown = await shared.Shell.RunAsync(
            "(Get-LtNetwork).psobject.Properties | ForEach-Object { \"$($_.Name) $($_.TypeNameOfValue)\" }");
        Assert.NotEmpty(shown.Output);
        Assert.DoesNotContain(
            shown.Output, property => property.ToString().Contains("Changed", StringComparison.Ordinal)
                || property.ToString().Contains("Event", StringComparison.Ordinal));
        Assert.Equal(
            ["RouteChanged", "StateChanged"],
            (await shared.Shell.RunAsync("[LightTunnel.LtNetwork].GetEvents().Name | ForEach-Object { $_ }")).Output.Select(name =>
                name.ToString()).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task LastListenerGone_NobodyWaitsAtTheTunnel_AndALaterOneHearsAgain()
    {
        var tunnel = new FakeTunnel("home", TunnelRole.Client);
        LtTunnel network = await ObjectAsync(tunnel);
        var heard = new TaskCompletionSource<LtRouteChange>();
        EventHandler<LtRouteChangedEventArgs> first = (_, arguments) =>
            heard.TrySetException(new InvalidOperationException(arguments.Change.Peer));
        EventHandler<LtRouteChangedEventArgs> second = (_, arguments) => heard.TrySetResult(arguments.Change);

        network.RouteChanged += first;
        await tunnel.WatchedAsync(Token);
        network.RouteChanged -= first;
        await tunnel.UnwatchedAsync(Token);
        tunnel.Change("nobody", "10.0.0.20/32", ByServer, Direct);
        network.RouteChanged += second;
        await tunnel.WatchedAsync(Token);
        tunnel.Change("nas", "10.0.0.20/32", ByServer, Direct);

        Assert.Equal("nas", (await heard.Task.WaitAsync(TimeSpan.FromMinutes(2), Token)).Peer);
    }

    [Fact]
    public async Task ListenerThatThrows_HarmsNobody()
    {
        var tunnel = new FakeTunnel("home", TunnelRole.Client);
        LtTunnel network = await ObjectAsync(tunnel);
        var heard = new TaskCompletionSource<bool>();
        network.RouteChanged += (_, _) => throw new InvalidOperationException("a listener's fault");
        network.RouteChanged += (_, arguments) =>
        {
            if (arguments.Change.Peer == "second")
                heard.TrySetResult(Thread.CurrentThread.IsThreadPoolThread);
        };

        tunnel.Change("first", "10.0.0.20/32", ByServer, Direct);
        tunnel.Change("second", "10.0.0.20/32", ByServer, Direct);

        Assert.True(await heard.Task.WaitAsync(TimeSpan.FromMinutes(2), Token));
    }

    [Fact]
    public async Task TunnelThatVanishes_IsToldAsStopped()
    {
        var tunnel = new FakeTunnel("home", TunnelRole.Client);
        LtTunnel network = await ObjectAsync(tunnel);
        var states = new TaskCompletionSource<LtStateChangedEventArgs>();

        network.StateChanged += (_, arguments) => states.TrySetResult(arguments);
        await tunnel.StopAsync(Token);

        LtStateChangedEventArgs stopped = await states.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);
        Assert.Equal((LtTunnelState.Up, LtTunnelState.Stopped, "home"), (stopped.OldState, stopped.State, stopped.Network));
    }

    private static async Task<LtTunnel> ObjectAsync(FakeTunnel tunnel) =>
        new FoundTunnel(tunnel, await tunnel.GetStatusAsync(Token)).ToObject();

    private async Task<FakeTunnel> ServeAsync()
    {
        await shared.Shell.ResetAsync();
        FakeTunnel tunnel = FakeTunnel.SampleClient();
        shared.Shell.Serve(tunnel);
        return tunnel;
    }
}
