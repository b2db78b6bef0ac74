using System.Diagnostics;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Shells;
using LightTunnel.Membership;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The commands that look at tunnels, here tunnels of another process: the one that runs the test.</summary>
[SupportedOSPlatform("linux")]
public sealed class InspectCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Get_ServersAndNetworks_AreThoseOfTheirKind()
    {
        ModuleShell shell = await SampleAsync();

        Assert.Equal("office", (await shell.RunAsync("Get-LtServer")).Single().Text("Name"));
        ShellObject network = (await shell.RunAsync("Get-LtNetwork ho*")).Single();
        Assert.Equal("home", network.Text("Name"));
        Assert.Equal("10.0.0.2/24", network.Text("Address"));
        Assert.Equal("198.51.100.4:40000", (await shell.RunAsync("(Get-LtNetwork home).PublicEndpoint.ToString()")).Single().ToString());
        Assert.Empty((await shell.RunAsync("Get-LtServer x*")).Output);
    }

    [Fact]
    public async Task GetLtRoute_FilterByTypeAsWrittenInTheContract_Works()
    {
        ModuleShell shell = await SampleAsync();

        Assert.Equal("10.0.0.20/32", (await shell.RunAsync("Get-LtRoute | Where Type -eq Server")).Single().Text("Destination"));
        Assert.Equal(
            "10.0.0.20/32", (await shell.RunAsync("Get-LtRoute | Where-Object Type -eq ([LightTunnel.LtRouteType]::Server)")).Single()
                .Text("Destination"));
        Assert.Equal("10.0.0.21/32", (await shell.RunAsync("Get-LtRoute -Type Direct")).Single().Text("Destination"));
        ShellObject offline = (await shell.RunAsync("Get-LtRoute | Where Type -eq Offline")).Single();
        Assert.Equal(("10.0.0.22/32", "Offline"), (offline.Text("Destination"), offline.Text("State")));
        Assert.Equal((null, null, null), (offline.Text("NextHop"), offline.Text("Hops"), offline.Text("Quality")));
    }

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.20/32")]
    [InlineData("10.0.0.20/32", "10.0.0.20/32")]
    [InlineData("192.168.7.33", "192.168.7.0/24")]
    [InlineData("192.168.*", "192.168.7.0/24")]
    public async Task GetLtRoute_Destination_MayBeAnAddressAPrefixOrAPattern(string destination, string found)
    {
        ModuleShell shell = await SampleAsync();

        Assert.Equal(found, (await shell.RunAsync("param($d) Get-LtRoute $d", new { d = destination })).Single().Text("Destination"));
    }

    [Theory]
    [InlineData("Get-LtPeer stranger1 -Network plant", 1)]
    [InlineData("Get-LtPeer -Address 10.0.0.32", 1)]
    [InlineData("Get-LtPeer stranger[12]", 2)]
    [InlineData("Get-LtPeer -All | Where-Object Name -like stranger*", 2)]
    [InlineData("Get-LtPeer | Where-Object Name -like stranger*", 0)]
    [InlineData("Get-LtPeer known, stranger1", 2)]
    public async Task GetLtPeer_OfALargeNetwork_AsksForWhoIsNamed(string command, int found)
    {
        ModuleShell shell = await EmptyAsync();
        shell.Serve(FakeTunnel.SampleMemberOfMany());

        Assert.Equal(found, (await shell.RunAsync(command)).Output.Count);
    }

    [Fact]
    public async Task Properties_CarryRawValues()
    {
        ModuleShell shell = await SampleAsync();

        ShellResult types = await shell.RunAsync("""
            $peer = Get-LtPeer laptop; $route = Get-LtRoute 10.0.0.21; $server = Get-LtServer
            $peer.RTT.GetType().Name; $peer.Rx.GetType().Name; $peer.Address.GetType().Name
            $peer.Seen.GetType().Name; $peer.Path.GetType().Name
            $route.RTT.TotalMilliseconds; $route.Destination.GetType().Name; $route.Type.GetType().FullName; $route.NextHop.GetType().Name
            $server.Uptime.GetType().Name
            """);

        Assert.Equal(
            ["TimeSpan", "Int64", "String", "DateTimeOffset", "LtPathType", "1.24", "String", "LightTunnel.LtRouteType", "String",
                "TimeSpan"],
            types.Output.Select(item => item.ToString()));
    }

    [Theory]
    [InlineData("Get-LtRoute 10.0.0.20 | Get-LtPeer", "nas")]
    [InlineData("Get-LtServer | Get-LtPeer -Name lap*", "laptop")]
    [InlineData("Get-LtPeer -Address 10.0.0.2[0] -Network office", "nas")]
    [InlineData("Get-LtServer | Get-LtRoute 10.0.0.21 | Get-LtPeer", "laptop")]
    [InlineData("'nas' | Get-LtPeer", "nas")]
    [InlineData("Get-LtPeer nas | Get-LtPeer", "nas")]
    [InlineData("[pscustomobject]@{ Name = 'nas'; Network = 'office' } | Get-LtPeer", "nas")]
    [InlineData("Get-LtPeer nas | Get-LtRoute | Get-LtPeer", "nas")]
    public async Task Pipeline_FindsThePeer(string script, string peer)
    {
        ModuleShell shell = await SampleAsync();

        Assert.Equal(peer, (await shell.RunAsync(script)).Single().Text("Name"));
    }

    [Theory]
    [InlineData("Get-LtPeer nas | Get-LtRoute", "10.0.0.20/32")]
    [InlineData("Get-LtRoute -Destination (Get-LtPeer nas, laptop)", "10.0.0.20/32 10.0.0.21/32")]
    [InlineData("Get-LtPeer | Get-LtRoute", "10.0.0.20/32 10.0.0.21/32 10.0.0.22/32")]
    [InlineData("Get-LtRoute 10.0.0.21 | Get-LtRoute", "10.0.0.21/32")]
    [InlineData("[pscustomobject]@{ Name = 'nas'; Routes = '10.0.0.20/32, 192.168.7.0/24' } | Get-LtRoute", "10.0.0.20/32 192.168.7.0/24")]
    [InlineData("'10.0.0.20', '10.0.0.21' | Get-LtRoute", "10.0.0.20/32 10.0.0.21/32")]
    public async Task Pipeline_FindsTheRoutes(string script, string destinations)
    {
        ModuleShell shell = await SampleAsync();

        Assert.Equal(destinations.Split(' '), (await shell.RunAsync(script)).Output.Select(route => route.Text("Destination")));
    }

    [Theory]
    [InlineData("Get-LtServer offfice", "NotFound,LightTunnel.GetLtServerCommand", "offfice")]
    [InlineData("Get-LtNetwork nohome", "NotFound,LightTunnel.GetLtNetworkCommand", "nohome")]
    [InlineData("Get-LtPeer nobody", "NotFound,LightTunnel.GetLtPeerCommand", "nobody")]
    [InlineData("Get-LtPeer -Network nowhere", "NotFound,LightTunnel.GetLtPeerCommand", "nowhere")]
    [InlineData("Get-LtPeer -Address 10.0.0.99", "NotFound,LightTunnel.GetLtPeerCommand", "10.0.0.99")]
    [InlineData("Get-LtRoute 10.9.9.9", "NotFound,LightTunnel.GetLtRouteCommand", "10.9.9.9")]
    [InlineData("Get-LtRoute -Peer nobody", "NotFound,LightTunnel.GetLtRouteCommand", "nobody")]
    [InlineData("Get-LtLog nothing", "NotFound,LightTunnel.GetLtLogCommand", "nothing")]
    [InlineData("Stop-LtServer offfice", "NotFound,LightTunnel.StopLtServerCommand", "offfice")]
    [InlineData("Disconnect-LtNetwork nohome", "NotFound,LightTunnel.DisconnectLtNetworkCommand", "nohome")]
    [InlineData("New-LtInvitation offfice", "NotFound,LightTunnel.NewLtInvitationCommand", "offfice")]
    public async Task UnknownName_IsNotFoundWithARemedy(string script, string errorId, string culprit)
    {
        ModuleShell shell = await SampleAsync();

        ShellError error = await shell.FailAsync(script);

        Assert.Equal((errorId, "ObjectNotFound", culprit), (error.ErrorId, error.Category, error.Target));
        Assert.Contains(culprit, error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(error.RecommendedAction!);
    }

    [Theory]
    [InlineData("Install-LtDriver")]
    [InlineData("Install-LtDriver ./wintun.zip -WhatIf")]
    public async Task InstallLtDriver_OnLinux_SaysThatNoneIsNeeded(string script)
    {
        ModuleShell shell = await SampleAsync();

        ShellError error = await shell.FailAsync(script);

        Assert.Equal(("NotNeeded,LightTunnel.InstallLtDriverCommand", "InvalidOperation"), (error.ErrorId, error.Category));
        Assert.Contains("needs no driver", error.Message, StringComparison.Ordinal);
        Assert.Contains("Start-LtServer", error.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GetLtRoute_NeitherAddressNorPrefix_IsInvalidAddress()
    {
        ModuleShell shell = await SampleAsync();

        ShellError error = await shell.FailAsync("Get-LtRoute 10.0.0.x/24");

        Assert.Equal(("InvalidAddress,LightTunnel.GetLtRouteCommand", "InvalidArgument"), (error.ErrorId, error.Category));
    }

    [Fact]
    public async Task Stop_OfAnotherProcess_ByObjectOrName_Works()
    {
        FakeTunnel server = FakeTunnel.SampleServer();
        FakeTunnel client = FakeTunnel.SampleClient();
        ModuleShell shell = await EmptyAsync();
        shell.Serve(server, client);

        Assert.Empty((await shell.RunAsync("$old = Get-LtServer; $old | Stop-LtServer -WhatIf")).Output);
        Assert.False(server.IsStopped);
        ShellObject stopped = (await shell.RunAsync("$old | Stop-LtServer -PassThru")).Single();
        Assert.Equal(("office", "Stopped"), (stopped.Text("Name"), stopped.Text("State")));
        Assert.True(server.IsStopped);
        Assert.Empty((await shell.RunAsync("Disconnect-LtNetwork ho*")).Output);
        Assert.True(client.IsStopped);
        Assert.Equal("NotFound,LightTunnel.StopLtServerCommand", (await shell.FailAsync("$old | Stop-LtServer")).ErrorId);
    }

    [Fact]
    public async Task Stop_WrongKindOfObject_IsRefusedByBinding()
    {
        ModuleShell shell = await SampleAsync();

        ShellResult result = await shell.TryAsync("Get-LtNetwork | Stop-LtServer");

        ShellError error = Assert.Single(result.Errors);
        Assert.Contains("StopLtServerCommand", error.ErrorId, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NewLtInvitation_TextIsTheLineAndNoViewShowsIt()
    {
        FakeTunnel server = FakeTunnel.SampleServer();
        ModuleShell shell = await EmptyAsync();
        shell.Serve(server);

        ShellResult texts = await shell.RunAsync(
            "$i = New-LtInvitation -Endpoint a.example:9000 -Expires ([DateTime]::Now.AddDays(7)); \"$i\"; [string]$i; $i.Network");
        Assert.Equal([FakeTunnel.InvitationSecret, FakeTunnel.InvitationSecret, "office"], texts.Output.Select(item => item.ToString()));
        Assert.Equal((string[])["a.example:9000"], server.AskedForInvitation?.Endpoints);
        Assert.InRange(
            server.AskedForInvitation!.Expires!.Value, DateTimeOffset.UtcNow.AddDays(6.9), DateTimeOffset.UtcNow.AddDays(7.1));

        Assert.DoesNotContain(FakeTunnel.InvitationSecret, await shell.ShowAsync("$i"), StringComparison.Ordinal);
        // Behind an object of another type PowerShell shows all properties instead of the view.
        string mixed = await shell.ShowAsync("Get-LtServer; $i");
        Assert.DoesNotContain(FakeTunnel.InvitationSecret, mixed, StringComparison.Ordinal);
        Assert.Contains("a.example:9000", mixed, StringComparison.Ordinal);
        Assert.DoesNotContain(
            (await shell.RunAsync("$i.psobject.Properties | ForEach-Object { $_.Name }")).Output, item => item.ToString() == "Text");
        Assert.Contains("(hidden: \"$inv\")", await shell.ShowAsync("$i"), StringComparison.Ordinal);
        Assert.Equal("office", (await shell.RunAsync("Get-LtServer | New-LtInvitation")).Single().Text("Network"));
    }

    [Fact]
    public async Task NewLtInvitation_NoServerOrSeveral_SaysWhatToDo()
    {
        ModuleShell shell = await EmptyAsync();
        Assert.Equal("NotFound,LightTunnel.NewLtInvitationCommand", (await shell.FailAsync("New-LtInvitation")).ErrorId);

        shell.Serve(FakeTunnel.SampleServer("a"), FakeTunnel.SampleServer("b"));
        ShellError error = await shell.FailAsync("New-LtInvitation");
        Assert.Equal("InvalidOption,LightTunnel.NewLtInvitationCommand", error.ErrorId);
        Assert.Contains("a, b", error.Message, StringComparison.Ordinal);
        Assert.Equal(
            "InvalidOption,LightTunnel.NewLtInvitationCommand", (await shell.FailAsync("New-LtInvitation a -Expires 2020-01-01")).ErrorId);
    }

    [Fact]
    public async Task GetLtLog_TailAndLevel_Select()
    {
        FakeTunnel server = FakeTunnel.SampleServer();
        FakeTunnel client = FakeTunnel.SampleClient();
        server.Log(LogLevel.Information, "one");
        server.Log(LogLevel.Warning, "two");
        client.Log(LogLevel.Debug, "three");
        ModuleShell shell = await EmptyAsync();
        shell.Serve(server, client);

        Assert.Equal(["one", "three", "two"], Messages(await shell.RunAsync("Get-LtLog")).Order(StringComparer.Ordinal));
        Assert.Equal(["two"], Messages(await shell.RunAsync("Get-LtLog -Tail 1")));
        Assert.Equal(["two"], Messages(await shell.RunAsync("Get-LtLog -Level Warning")));
        Assert.Equal(["three"], Messages(await shell.RunAsync("Get-LtLog home")));
        Assert.Equal(["one", "two"], Messages(await shell.RunAsync("Get-LtServer | Get-LtLog")));
        Assert.Empty(Messages(await shell.RunAsync("Get-LtLog -Tail 0")));
    }

    [Fact]
    public async Task GetLtLog_Follow_ShowsNewEntriesUntilTheTunnelStops()
    {
        FakeTunnel server = FakeTunnel.SampleServer();
        server.Log(LogLevel.Information, "old");
        ModuleShell shell = await EmptyAsync();
        shell.Serve(server);
        TaskCompletionSource first = new(), last = new();

        Task<ShellResult> following = shell.Session.TryInvokeAsync(
            "Get-LtLog -Tail 1 -Follow",
            onOutput: item => (item.Text("Message") == "old" ? first : item.Text("Message") == "newer" ? last : new()).TrySetResult(),
            cancellationToken: Token);
        await first.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);
        server.Log(LogLevel.Information, "new");
        server.Log(LogLevel.Information, "newer");
        await last.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);
        await server.StopAsync(Token);

        Assert.Equal(["old", "new", "newer"], Messages(await following));
    }

    [Theory]
    [InlineData(1, "Flood: new", "Flood: old", "Flood: new")]
    [InlineData(0, "Flood: new", "Flood: new")]
    public async Task GetLtLog_SecurityFollow_ShowsNewEntriesOfThatKindAlone(int tail, string awaited, params string[] expected)
    {
        FakeTunnel server = FakeTunnel.SampleServer();
        server.Log(LogLevel.Warning, "Flood: older");
        server.Log(LogLevel.Warning, "Flood: old");
        server.Log(LogLevel.Warning, "another warning");
        ModuleShell shell = await EmptyAsync();
        shell.Serve(server);
        TaskCompletionSource seen = new();

        Task<ShellResult> following = shell.Session.TryInvokeAsync(
            $"Get-LtLog -Category Security -Follow -Tail {tail}",
            onOutput: item => (item.Text("Message") == awaited ? seen : new()).TrySetResult(),
            cancellationToken: Token);
        await server.WaitUntilLogIsFollowedAsync().WaitAsync(TimeSpan.FromMinutes(2), Token);
        server.Log(LogLevel.Warning, "and another");
        server.Log(LogLevel.Warning, "Flood: new");
        await seen.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);

        await server.StopAsync(Token);

        Assert.Equal(expected, Messages(await following.WaitAsync(TimeSpan.FromMinutes(2), Token)));
    }

    [Fact]
    public async Task GetLtLog_Audit_ShowsWhoDidWhat_AndFollowGoesOn()
    {
        FakeTunnel server = FakeTunnel.SampleServer();
        server.Audit(AuditAction.Joined, null, "laptop", "laptop became a member");
        server.Audit(AuditAction.Blocked, "root", "laptop", "laptop was blocked");
        ModuleShell shell = await EmptyAsync();
        shell.Serve(server);
        TaskCompletionSource seen = new();

        Task<ShellResult> following = shell.Session.TryInvokeAsync(
            "Get-LtLog -Category Audit -Tail 1 -Follow",
            onOutput: item => (item.Text("Action") == "Unblocked" ? seen : new()).TrySetResult(),
            cancellationToken: Token);
        await server.WaitUntilLogIsFollowedAsync().WaitAsync(TimeSpan.FromMinutes(2), Token);
        server.Audit(AuditAction.Unblocked, "root (sudo of anna)", "laptop", "laptop was unblocked");
        await seen.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);
        await server.StopAsync(Token);

        ShellResult result = await following.WaitAsync(TimeSpan.FromMinutes(2), Token);
        Assert.Equal(
            ["Blocked laptop root", "Unblocked laptop root (sudo of anna)"],
            result.Output.Select(item => $"{item.Text("Action")} {item.Text("Subject")} {item.Text("By")}"));
    }

    [Fact]
    public async Task GetLtLog_FollowUntilCtrlC_Returns()
    {
        FakeTunnel server = FakeTunnel.SampleServer();
        server.Log(LogLevel.Information, "old");
        ModuleShell shell = await EmptyAsync();
        shell.Serve(server);

        Assert.Equal(ShellState.Stopped, await StopAsync(shell, "Get-LtLog -Follow"));
    }

    [Theory]
    [InlineData("Get-LtServer -Name o", "office")]
    [InlineData("Get-LtNetwork -Name h", "home")]
    [InlineData("Get-LtPeer -Name la", "laptop")]
    [InlineData("Get-LtPeer -Address 10.0.0.22", "10.0.0.22")]
    [InlineData("Get-LtRoute -Destination 192", "192.168.7.0/24")]
    [InlineData("Get-LtRoute -Type Serv", "Server")]
    [InlineData("Connect-LtNetwork -PathPolicy Dir", "DirectOnly")]
    public async Task Completion_KnowsWhatTheSessionHasSeen(string line, string completion)
    {
        ModuleShell shell = await SampleAsync();
        await shell.RunAsync("Get-LtServer; Get-LtNetwork; Get-LtPeer; Get-LtRoute");

        ShellResult result = await shell.RunAsync(
            "param($Line) [Management.Automation.CommandCompletion]::CompleteInput($Line, $Line.Length, "
                + "$null).CompletionMatches.CompletionText | ForEach-Object { $_ }", new { Line = line });

        Assert.Equal([completion], result.Output.Select(item => item.ToString()));
    }

    [Theory]
    [InlineData("Get-LtServer -Name unsh", "unshown-server")]
    [InlineData("Get-LtPeer -Name unsh", "unshown-peer")]
    [InlineData("Test-LtP2P 10.77.", "10.77.0.30")]
    [InlineData("Get-LtRoute 10.77.", "10.77.0.30/32")]
    public async Task Completion_AsksTheTunnels_WhenNothingWasShown(string line, string completion)
    {
        ModuleShell shell = await EmptyAsync();
        shell.Serve(FakeTunnel.Sample("unshown-server", "unshown-peer", "10.77.0.30"));

        // On a busy machine the first Tab does not wait for the answer, and for some seconds the last answer counts.
        ShellResult result;
        var limit = Stopwatch.StartNew();
        do
        {
            await Task.Delay(200, Token);
            result = await shell.RunAsync(
                "param($Line) [Management.Automation.CommandCompletion]::CompleteInput($Line, $Line.Length, "
                    + "$null).CompletionMatches.CompletionText | ForEach-Object { $_ }", new { Line = line });
        }
        while (!result.Output.Any(item => item.ToString() == completion) && limit.Elapsed < TimeSpan.FromMinutes(2));

        Assert.Equal([completion], result.Output.Select(item => item.ToString()));
    }

    [Fact]
    public async Task ProcessThatFails_DoesNotHideTheOthers()
    {
        ModuleShell shell = await EmptyAsync();
        var broken = new FakeTunnel("broken", TunnelRole.Server) { Failure = new InvalidOperationException("no answer") };
        shell.Serve(broken, FakeTunnel.SampleServer());

        ShellResult result = await shell.TryAsync("Get-LtServer");

        Assert.Equal("office", result.Single().Text("Name"));
        Assert.Equal("Internal,LightTunnel.GetLtServerCommand", Assert.Single(result.Errors).ErrorId);
    }

    /// <summary>Ctrl+C after the first output.</summary>
    private static async Task<ShellState> StopAsync(ModuleShell shell, string script)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        ShellResult result = await shell.Session.TryInvokeAsync(script, onOutput: _ => stop.Cancel(), cancellationToken: stop.Token);
        return result.State;
    }

    private static IEnumerable<string?> Messages(ShellResult result) =>
        result.Output.Where(item => item.Types.Contains("LightTunnel.LtLogEntry")).Select(item => item.Text("Message"));

    private async Task<ModuleShell> EmptyAsync()
    {
        await shared.Shell.ResetAsync();
        return shared.Shell;
    }

    private async Task<ModuleShell> SampleAsync()
    {
        ModuleShell shell = await EmptyAsync();
        shell.Serve(FakeTunnel.SampleServer(), FakeTunnel.SampleClient());
        return shell;
    }
}
