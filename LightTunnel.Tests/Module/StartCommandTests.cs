using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The commands that start and stop tunnels, with <see cref="FakeEngine"/> in the shell's process.</summary>
[SupportedOSPlatform("linux")]
public sealed class StartCommandTests(FakeEngineShell shared) : IClassFixture<FakeEngineShell>
{
    internal const string Key = "dGVzdCBrZXkgdGVzdCBrZXkgdGVzdCBrZXkgdGVzdCE=";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task StartLtServer_Parameters_ReachTheEngine()
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellObject server = (await shell.RunAsync(
            $"Start-LtServer -Address 10.0.0.1/24, fd00::1/64 -ListenPort 9001 -Name office -Endpoint a.example:9001, b.example:9001 "
                + $"-NetworkKey {Key} -StatePath state -LogPath ./logs/lt.log -LogLevel Debug -ObserverPort 0 -MaxClients 7 "
                + "-ClientIsolation -AllowKeyOnly:$false -RequireApproval -MemberExpiry 90d -RequireSignedMembers -SigningKey k1, k2 "
                + "-Mtu 1380 -Cipher WireGuard -InterfaceName lt5 -NetworkCategory Private -AllowInbound "
                + "-Route 192.168.7.0/24, 2001:db8:7::/64 -As 10.99.7.0/24, 2001:db8:7::/64 -NoSnat "
                + "-AcceptRoute 192.168.0.0/16 -ForceRoute -ExitNode far -AllowLan -KillSwitch -OfferExitNode:$false "
                + "-AutoApproveRoute gateways, office=192.168.0.0/16")).Single();

        Assert.Equal("LightTunnel.LtServer", server.Types[0]);
        Assert.Equal(("office", "Up"), (server.Text("Name"), server.Text("State")));
        Assert.Equal(
            $"""
            Name=office
            ListenPort=9001
            Mtu=1380
            Cipher=WireGuard
            InterfaceName=lt5
            NetworkCategory=Private
            AllowInbound=True
            Route=192.168.7.0/24,2001:db8:7::/64
            As=10.99.7.0/24,2001:db8:7::/64
            NoSnat=True
            AcceptRoute=192.168.0.0/16
            ForceRoute=True
            OfferExitNode=False
            ExitNode=far
            AllowLan=True
            KillSwitch=True
            StatePath={shell.Folder}/state
            LogPath={shell.Folder}/logs/lt.log
            LogLevel=Debug
            NetworkKey={Key}
            Address=10.0.0.1/24,fd00::1/64
            Endpoint=a.example:9001,b.example:9001
            ObserverPort=0
            MaxClients=7
            ClientIsolation=True
            AllowKeyOnly=False
            RequireApproval=True
            AutoApproveRoute=gateways,office=192.168.0.0/16
            MemberExpiry=90d
            RequireSignedMembers=True
            SigningKey=k1,k2
            """,
            await shared.LastSettingsAsync());
    }

    [Fact]
    public async Task StartLtServer_NothingSaid_LeavesEverythingToTheEngine()
    {
        ModuleShell shell = await shared.ResetAsync();

        await shell.RunAsync("Start-LtServer 10.0.0.1/24");

        Assert.Equal("Address=10.0.0.1/24", await shared.LastSettingsAsync());
    }

    [Fact]
    public async Task StartLtServer_Location_IsTheSessionsNotTheProcesss()
    {
        ModuleShell shell = await shared.ResetAsync();
        Directory.CreateDirectory(Path.Combine(shell.Folder, "sub"));

        await shell.RunAsync("$ExecutionContext.SessionState.Path.SetLocation('sub'); Start-LtServer 10.0.0.1/24 -StatePath ../state");

        Assert.Contains($"StatePath={shell.Folder}/state", await shared.LastSettingsAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Syntax_TellsOfNoParameterThatIsForNothing()
    {
        ModuleShell shell = await shared.ResetAsync();

        Assert.Empty(
            (await shell.RunAsync(
                "(Get-Command -Module LightTunnel).ParameterSets.Parameters | Where-Object { $_.ValueFromRemainingArguments }")).Output);
    }

    [Fact]
    public async Task ConnectLtNetwork_HowMembersAreReached_GoesToTheEngine()
    {
        ModuleShell shell = await shared.ResetAsync();

        await shell.RunAsync(
            "Connect-LtNetwork secret -AcceptPrefix 10.1.0.0/24, fd00:1::/64 -AdvertiseEndpoint 203.0.113.4:9000, [2001:db8::4]:9000 "
                + "-AllowRelay $false -PathPolicy RelayOnly -PortMapping $false -NetworkCategory Public "
                + "-AllowInbound:$false");

        Assert.Equal(
            "NetworkCategory=Public\nAllowInbound=False\n"
                + "Invitation=secret\nAcceptPrefix=10.1.0.0/24,fd00:1::/64\nAdvertiseEndpoint=203.0.113.4:9000,[2001:db8::4]:9000\n"
                + "AllowRelay=False\nPathPolicy=RelayOnly\nPortMapping=False", await shared.LastSettingsAsync());
    }

    [Fact]
    public async Task Configuration_ParametersWinOverTheFile()
    {
        ModuleShell shell = await shared.ResetAsync();
        await File.WriteAllTextAsync(
            Path.Combine(shell.Folder, "client.yaml"),
            "role: client\nname: fromfile\nlistenPort: 9100\nmtu: 1300\nserver: [a.example:9000]\nserverKey: "
                + "mKOqHxc0ggLcS6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg=\n", Token);

        await shell.RunAsync($"Connect-LtNetwork -ConfigurationPath client.yaml -ListenPort 0 -NetworkKey {Key}");
        string settings = await shared.LastSettingsAsync();
        Assert.Contains("Name=fromfile\nListenPort=0\nMtu=1300\n", settings, StringComparison.Ordinal);
        Assert.Contains($"NetworkKey={Key}\nServer=a.example:9000\n", settings, StringComparison.Ordinal);

        await shell.RunAsync("Connect-LtNetwork lt1-secret -ConfigurationPath client.yaml -Name other");
        settings = await shared.LastSettingsAsync();
        Assert.Contains("Invitation=lt1-secret", settings, StringComparison.Ordinal);
        Assert.DoesNotContain("Server", settings, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Start-LtServer -ConfigurationPath nothing.yaml", "NotFound,LightTunnel.StartLtServerCommand")]
    [InlineData("Connect-LtNetwork -ConfigurationPath nothing.yaml", "NotFound,LightTunnel.ConnectLtNetworkCommand")]
    [InlineData("Start-LtServer 10.0.0.1/24 -StatePath Env:somewhere", "FileAccess,LightTunnel.StartLtServerCommand")]
    [InlineData("Start-LtServer 10.0.0.1/24 -LogPath nodrive:/x", "FileAccess,LightTunnel.StartLtServerCommand")]
    public async Task Path_NotThereOrNoFile_SaysSo(string script, string errorId)
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellError error = await shell.FailAsync(script);

        Assert.Equal(errorId, error.ErrorId);
        Assert.NotEmpty(error.RecommendedAction!);
    }

    [Fact]
    public async Task Error_OfEveryKind_KeepsIdCategoryRemedyTargetAndException()
    {
        ModuleShell shell = await shared.ResetAsync();

        foreach (LightTunnelError kind in Enum.GetValues<LightTunnelError>())
        {
            ShellError error = await shell.FailAsync($"Start-LtServer 10.0.0.1/24 -Name fail-{kind}");

            Assert.Equal($"{kind},LightTunnel.StartLtServerCommand", error.ErrorId);
            Assert.NotEqual("NotSpecified", error.Category);
            Assert.Equal(kind == LightTunnelError.Internal, error.Category == "InvalidResult");
            Assert.Equal(($"It is {kind}.", $"Mend {kind}.", "the culprit"), (error.Message, error.RecommendedAction, error.Target));
            Assert.Equal("LightTunnel.Diagnostics.LightTunnelException", error.Exception);
        }
    }

    [Fact]
    public async Task Error_Unexpected_IsInternalAndKeepsTheException()
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellResult result = await shell.TryAsync(
            "try { Start-LtServer 10.0.0.1/24 -Name crash } catch { $_.FullyQualifiedErrorId; $_.Exception.InnerException.Message }");

        Assert.Equal(
            ["Internal,LightTunnel.StartLtServerCommand", "an exception nobody thought of"], result.Output.Select(item => item.ToString()));
    }

    [Theory]
    [InlineData("Start-LtServer 10.0.0.1/24")]
    [InlineData("Connect-LtNetwork lt1-secret")]
    public async Task TimeoutSec_BeginsWhenTheSystemHasMadeTheInterface(string command)
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellResult result = await shell.TryAsync($"({command} -Name late -TimeoutSec 3).Name");

        Assert.Equal(["late"], result.Output.Select(item => item.ToString()));
    }

    [Theory]
    [InlineData("unreachable", "ServerUnreachable")]
    [InlineData("hang", "TimedOut")]
    [InlineData("deaf", "TimedOut")]
    public async Task TimeoutSec_Over_FailsWithTheReason(string name, string errorId)
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellError error = await shell.FailAsync($"Connect-LtNetwork secret -Name {name} -TimeoutSec 1");

        Assert.Equal($"{errorId},LightTunnel.ConnectLtNetworkCommand", error.ErrorId);
    }

    [Theory]
    [InlineData("hang")]
    [InlineData("deaf")]
    public async Task CtrlC_WhileStarting_ReturnsAtOnce(string name)
    {
        ModuleShell shell = await shared.ResetAsync();

        // By itself it would give up much later than the session waits for a script that does not heed Ctrl+C.
        ShellResult result = await StopAsync(shell, $"'starting'; Connect-LtNetwork secret -Name {name} -TimeoutSec 3600");

        Assert.Equal(ShellState.Stopped, result.State);
    }

    [Fact]
    public async Task Wait_WhatIsLogged_IsShownByTheHostAndIsNoObject()
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellResult shown = await shell.RunAsync(
            "Start-LtServer 10.0.0.1/24 -Name talks -Wait 6>&1 | ForEach-Object { \"$($_.GetType().Name) $_\" }");

        string[] lines = [.. shown.Output.Select(item => item.ToString()).Distinct()];
        Assert.Equal(["LtServer talks", "InformationRecord talks: Warning: something happened"], lines);
    }

    [Fact]
    public async Task Verbose_WhileStarting_TellsTheLog()
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellResult shown = await shell.RunAsync("Connect-LtNetwork secret -Name chatty -Verbose 4>&1 | ForEach-Object { \"$_\" }");

        Assert.Contains("chatty is up", shown.Output.Select(item => item.ToString()));
    }

    [Fact]
    public async Task Wait_CtrlC_StopsTheTunnel()
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellResult result = await StopAsync(shell, "Start-LtServer 10.0.0.1/24 -Name waiting -Wait");

        Assert.Equal(ShellState.Stopped, result.State);
        Assert.Equal("waiting", result.Output[0].Text("Name"));
        Assert.Empty((await shell.RunAsync("Get-LtServer")).Output);
    }

    [Fact]
    public async Task Wait_StoppedByAnotherProcess_Returns()
    {
        ModuleShell shell = await shared.ResetAsync();
        var up = new TaskCompletionSource();
        Task<ShellResult> waiting = shell.Session.TryInvokeAsync(
            "Start-LtServer 10.0.0.1/24 -Name waiting -Wait; 'goes on'", onOutput: _ => up.TrySetResult(), cancellationToken: Token);
        await up.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);

        ITunnelHandle tunnel = Assert.Single((await shell.FindFromOutsideAsync()).Tunnels);
        Assert.Equal(("waiting", shell.Session.ProcessId, false), (tunnel.Name, tunnel.ProcessId, tunnel.IsLocal));
        await tunnel.StopAsync(Token);

        ShellResult result = await waiting;
        Assert.Equal("goes on", result.Output[^1].ToString());
        Assert.Empty((await shell.FindFromOutsideAsync()).Tunnels);
    }

    [Fact]
    public async Task Wait_StoppedByAnotherRunspace_Returns()
    {
        ModuleShell shell = await shared.ResetAsync();
        var up = new TaskCompletionSource();
        Task<ShellResult> waiting = shell.Session.TryInvokeAsync(
            "Connect-LtNetwork secret -Name waiting -Wait", onOutput: _ => up.TrySetResult(), cancellationToken: Token);
        await up.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);

        await shell.Session.InvokeAsync("Get-LtNetwork | Disconnect-LtNetwork", runspace: "second", cancellationToken: Token);

        Assert.Equal(ShellState.Completed, (await waiting).State);
    }

    [Fact]
    public async Task RemoveModule_RunningTunnel_StaysUp()
    {
        ModuleShell shell = await shared.ResetAsync();

        await shell.RunAsync("$null = Start-LtServer 10.0.0.1/24 -Name office; Remove-Module LightTunnel");
        Assert.Equal("office", Assert.Single((await shell.FindFromOutsideAsync()).Tunnels).Name);
        await shell.RunAsync("param($Path) Import-Module $Path", new { Path = LightTunnel.Lab.LabPaths.ModuleManifest() });

        Assert.Equal("office", (await shell.RunAsync("Get-LtServer")).Single().Text("Name"));
    }

    [Fact]
    public async Task SameNameTwice_IsNameInUse()
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellError error = await shell.FailAsync(
            "$null = Start-LtServer 10.0.0.1/24 -Name office; Start-LtServer 10.0.0.1/24 -Name OFFICE");

        Assert.Equal(("NameInUse,LightTunnel.StartLtServerCommand", "ResourceExists"), (error.ErrorId, error.Category));
    }

    [Fact]
    public async Task WhatIf_StartsNothing()
    {
        ModuleShell shell = await shared.ResetAsync();

        Assert.Empty((await shell.RunAsync("Start-LtServer 10.0.0.1/24 -WhatIf; Connect-LtNetwork secret -WhatIf")).Output);

        Assert.Empty(await shared.LastSettingsAsync());
    }

    [Theory]
    [InlineData("Start-LtServer 10.0.0.1/24 -ListenPort nine", "CannotConvertArgumentNoMessage,LightTunnel.StartLtServerCommand", "nine")]
    [InlineData(
        "Start-LtServer 10.0.0.1/24 -TimeoutSec 0", "ParameterArgumentValidationError,LightTunnel.StartLtServerCommand", "TimeoutSec")]
    [InlineData(
        "Start-LtServer 10.0.0.1/24 -LogLevel Loud", "CannotConvertArgumentNoMessage,LightTunnel.StartLtServerCommand",
        "Debug, Information, Warning, Error")]
    [InlineData(
        "Connect-LtNetwork secret -PathPolicy Best", "CannotConvertArgumentNoMessage,LightTunnel.ConnectLtNetworkCommand",
        "Auto, DirectOnly, RelayOnly")]
    [InlineData("Connect-LtNetwork secret -AllowRelay maybe", "CannotConvertArgument,LightTunnel.ConnectLtNetworkCommand", "AllowRelay")]
    [InlineData("Start-LtServer 10.0.0.1/24 -Nonsense 1", "InvalidOption,LightTunnel.StartLtServerCommand", "-Nonsense")]
    [InlineData("Start-LtServer ''", "ParameterArgumentValidationError,LightTunnel.StartLtServerCommand", "Address")]
    [InlineData("Connect-LtNetwork secret -Nonsense 1", "InvalidOption,LightTunnel.ConnectLtNetworkCommand", "-Nonsense")]
    [InlineData(
        "Start-LtServer 10.0.0.1/24 stray", "InvalidOption,LightTunnel.StartLtServerCommand", "a value too many, which is not shown")]
    [InlineData("Get-LtPeer bob carl", "InvalidOption,LightTunnel.GetLtPeerCommand", "a value too many: 'carl'")]
    [InlineData("Get-LtPeer bob -Nmae carl", "InvalidOption,LightTunnel.GetLtPeerCommand", "There is no parameter -Nmae.")]
    [InlineData("'bob' | Get-LtPeer -Nmae carl", "InvalidOption,LightTunnel.GetLtPeerCommand", "There is no parameter -Nmae.")]
    [InlineData(
        "Get-LtLog -Level Loud", "CannotConvertArgumentNoMessage,LightTunnel.GetLtLogCommand", "Debug, Information, Warning, Error")]
    [InlineData("Get-LtLog -Tail -1", "ParameterArgumentValidationError,LightTunnel.GetLtLogCommand", "Tail")]
    [InlineData("Get-LtRoute -Type Indirect", "CannotConvertArgumentNoMessage,LightTunnel.GetLtRouteCommand", "Direct, Relay, Server")]
    [InlineData("New-LtInvitation -Expires soon", "CannotConvertArgumentNoMessage,LightTunnel.NewLtInvitationCommand", "soon")]
    public async Task Binding_MistypedParameter_SaysWhichAndWhatIsAllowed(string script, string errorId, string message)
    {
        ModuleShell shell = await shared.ResetAsync();

        ShellError error = await shell.FailAsync(script);

        Assert.Equal(errorId, error.ErrorId);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TestLtConfiguration_ProblemsAreObjectsWithTheirPlace()
    {
        ModuleShell shell = await shared.ResetAsync();
        await File.WriteAllTextAsync(
            Path.Combine(shell.Folder, "bad.yaml"), "role: server\naddress: 10.0.0.1/24\nlistenPrt: 9000\n", Token);
        await File.WriteAllTextAsync(Path.Combine(shell.Folder, "good.yaml"), "role: server\naddress: 10.0.0.1/24\n", Token);

        ShellObject problem = (await shell.RunAsync("Test-LtConfiguration bad.yaml")).Single();
        Assert.Equal(
            ("3", "1", Path.Combine(shell.Folder, "bad.yaml")), (problem.Text("Line"), problem.Text("Column"), problem.Text("Path")));
        Assert.NotEmpty(problem.Text("RecommendedAction")!);
        Assert.Empty((await shell.RunAsync("Test-LtConfiguration good.yaml")).Output);
        Assert.Equal(
            ["False", "True"], (await shell.RunAsync("Test-LtConfiguration *d.yaml -Quiet")).Output.Select(item => item.ToString()));
        Assert.NotEmpty((await shell.RunAsync("Test-LtConfiguration nothing.yaml")).Single().Text("RecommendedAction")!);
        Assert.Equal(
            ["False", "True"],
            (await shell.RunAsync(
                "[IO.DirectoryInfo]::new($PWD).GetFiles('bad.yaml') + [IO.FileInfo]::new(\"$PWD/good.yaml\") | "
                    + "Test-LtConfiguration -Quiet")).Output.Select(item => item.ToString()));
    }

    /// <summary>Ctrl+C after the first output; fails when that does not end the script.</summary>
    private static async Task<ShellResult> StopAsync(ModuleShell shell, string script)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        return await shell.Session.TryInvokeAsync(script, onOutput: _ => stop.Cancel(), cancellationToken: stop.Token);
    }
}
