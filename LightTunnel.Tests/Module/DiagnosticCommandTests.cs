using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Shells;
using LightTunnel.Routing;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The commands that explain how peers are reached, and say how they may be, here with tunnels of another process.</summary>
[SupportedOSPlatform("linux")]
public sealed class DiagnosticCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("Test-LtP2P nas")]
    [InlineData("Test-LtP2P 10.0.0.20")]
    [InlineData("Test-LtP2P n*")]
    [InlineData("'nas' | Test-LtP2P")]
    [InlineData("Get-LtPeer nas | Test-LtP2P")]
    [InlineData("Get-LtRoute 10.0.0.20 | Test-LtP2P")]
    [InlineData("Get-LtRoute -Peer nas | Test-LtP2P")]
    [InlineData("[pscustomobject]@{ Address = [ipaddress]'10.0.0.20'; Network = 'office' } | Test-LtP2P")]
    [InlineData("[pscustomobject]@{ Peer = 'nas' } | Test-LtP2P")]
    [InlineData("[pscustomobject]@{ Name = 'nas'; Network = 'office' } | Test-LtP2P")]
    public async Task TestLtP2P_PeerByAnyOfItsNames_IsTestedOnce(string script)
    {
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleServer(), FakeTunnel.SampleClient());

        ShellObject result = (await shell.RunAsync(script)).Single();

        Assert.Contains("LightTunnel.LtP2PResult", result.Types);
        Assert.Equal(("nas", "office"), (result.Text("Peer"), result.Text("Network")));
    }

    [Fact]
    public async Task TestLtP2P_NotDirect_IsNoErrorAndSaysWhyAndWhatToDo()
    {
        FakeTunnel server = FakeTunnel.SampleServer();
        ModuleShell shell = await ServeAsync(server);

        ShellResult results = await shell.RunAsync("Test-LtP2P nas, laptop, phone -Count 3 -TimeoutSec 4");

        Assert.Equal(["False", "True", "False"], results.Output.Select(result => result.Text("P2P")));
        Assert.Equal(["Relayed", "Direct", "Unreachable"], results.Output.Select(result => result.Text("Result")));
        Assert.Equal(["BothNatsRandom", "DirectUp", "PeerOffline"], results.Output.Select(result => result.Text("Reason")));
        Assert.Equal([false, true, false], results.Output.Select(result => result.Text("RecommendedAction") is null));
        Assert.Equal((3, TimeSpan.FromSeconds(4)), (server.AskedForTest!.Count, server.AskedForTest.Timeout));
        ShellResult types = await shell.RunAsync(
            "$r = Test-LtP2P laptop; $r.RTTAvg.GetType().Name; $r.Loss.GetType().Name; $r.Candidates[0].GetType().FullName; "
                + "\"$($r.Candidates[0])\"");
        Assert.Equal(
            ["TimeSpan", "Double", "LightTunnel.LtP2PCandidate", "PeerReflexive [2001:db8::7]:9000: answered in 1.2 ms, in use"],
            types.Output.Select(item => item.ToString()));
    }

    [Fact]
    public async Task TestLtP2P_Quiet_IsTrueOnlyWhenDirect()
    {
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleServer());

        Assert.Equal(["False", "True", "False"], (await shell.RunAsync("Test-LtP2P * -Quiet")).Output.Select(item => item.ToString()));
    }

    [Theory]
    [InlineData("Test-LtP2P nobody", "NotFound,LightTunnel.TestLtP2PCommand", "ObjectNotFound", "nobody")]
    [InlineData("Test-LtP2P 10.0.0.99", "NotFound,LightTunnel.TestLtP2PCommand", "ObjectNotFound", "10.0.0.99")]
    [InlineData("Test-LtP2P nas -Network nowhere", "NotFound,LightTunnel.TestLtP2PCommand", "ObjectNotFound", "nowhere")]
    [InlineData("Test-LtP2P 10.0.0.2 -Network home", "InvalidOption,LightTunnel.TestLtP2PCommand", "InvalidArgument", "10.0.0.2")]
    [InlineData("Test-LtP2P home -Network home", "InvalidOption,LightTunnel.TestLtP2PCommand", "InvalidArgument", "home")]
    [InlineData("Test-LtNetwork nowhere", "NotFound,LightTunnel.TestLtNetworkCommand", "ObjectNotFound", "nowhere")]
    [InlineData("Set-LtPeer nobody -PathPolicy Auto", "NotFound,LightTunnel.SetLtPeerCommand", "ObjectNotFound", "nobody")]
    [InlineData("Set-LtPeer phone -PathPolicy Auto", "NotFound,LightTunnel.SetLtPeerCommand", "ObjectNotFound", "phone")]
    public async Task NoSuchPeer_IsAnErrorWithARemedy(string script, string errorId, string category, string culprit)
    {
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleServer(), FakeTunnel.SampleMember());

        ShellResult result = await shell.TryAsync(script);

        ShellError error = result.Errors[0];
        Assert.Equal((errorId, category, culprit), (error.ErrorId, error.Category, error.Target));
        Assert.NotEmpty(error.RecommendedAction!);
        Assert.Empty(result.Output);
    }

    [Theory]
    [InlineData("Test-LtP2P nas", "No tunnel runs on this machine.")]
    [InlineData("Watch-LtRoute", "No tunnel runs on this machine.")]
    [InlineData("Test-LtNetwork", "This machine has joined no network.")]
    [InlineData("Set-LtPeer nas -PathPolicy Auto", "This machine has joined no network.")]
    [InlineData("Remove-LtMember nas", "No server runs on this machine.")]
    public async Task NoTunnel_IsTheErrorAndNotThePeer(string script, string message)
    {
        ModuleShell shell = await ServeAsync();

        ShellError error = Assert.Single((await shell.TryAsync(script)).Errors);

        Assert.Equal(("NotFound", "ObjectNotFound", message), (error.ErrorId.Split(',')[0], error.Category, error.Message));
        Assert.Contains("Connect-LtNetwork", error.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TestLtP2P_UnknownNetwork_IsTheOnlyError()
    {
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleServer());

        Assert.Equal("nowhere", Assert.Single((await shell.TryAsync("Test-LtP2P nas -Network nowhere")).Errors).Target);
    }

    [Fact]
    public async Task TestLtP2P_TunnelThatStopsMeanwhile_IsAnErrorAndTheOthersAreTested()
    {
        var gone = new LightTunnelException(LightTunnelError.Stopped, "The tunnel has stopped.", "Start it again.");
        FakeTunnel broken = FakeTunnel.SampleMember("broken");
        broken.TestFailure = gone;
        ModuleShell shell = await ServeAsync(broken, FakeTunnel.SampleMember());

        ShellResult result = await shell.TryAsync("Test-LtP2P nas; Test-LtNetwork");

        Assert.Equal(["LightTunnel.LtP2PResult", "LightTunnel.LtNetworkTest"], result.Output.Select(item => item.Types[0].Split('#')[0]));
        Assert.Equal(
            ["Stopped,LightTunnel.TestLtP2PCommand", "Stopped,LightTunnel.TestLtNetworkCommand"],
            result.Errors.Select(error => error.ErrorId));
    }

    [Theory]
    [InlineData("'started'; Test-LtP2P nas")]
    [InlineData("'started'; Test-LtNetwork")]
    public async Task CtrlC_EndsTheTestThere(string script)
    {
        FakeTunnel tunnel = FakeTunnel.SampleMember();
        tunnel.TestsHang = true;
        ModuleShell shell = await ServeAsync(tunnel);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        _ = tunnel.TestStarted.Task.ContinueWith(_ => stop.Cancel(), TaskScheduler.Default);

        ShellResult result = await shell.Session.TryInvokeAsync(script, cancellationToken: stop.Token);

        Assert.Equal(ShellState.Stopped, result.State);
        await tunnel.TestCancelled.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);
    }

    [Fact]
    public async Task TestLtNetwork_ByNameOrObject_TellsEverythingInRawValues()
    {
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleServer(), FakeTunnel.SampleMember(), FakeTunnel.SampleMember("second"));

        Assert.Equal(["home", "second"], (await shell.RunAsync("Test-LtNetwork")).Output.Select(test => test.Text("Name")));
        Assert.Equal("second", (await shell.RunAsync("Get-LtNetwork s* | Test-LtNetwork")).Single().Text("Name"));
        ShellResult values = await shell.RunAsync("""
            $test = Test-LtNetwork home
            $test.Server.GetType().Name; $test.RTTMin.GetType().Name; $test.NatMapping.GetType().FullName
            $test.LargestPacket; $test.ClockOffset.TotalSeconds
            $test.Problems[0].Message; $test.Problems[0].RecommendedAction
            """);
        Assert.Equal(
            [
                "String", "TimeSpan", "LightTunnel.LtEndpointDependence", "1352", "-0.31",
                "Packets longer than 1352 bytes are lost, while the tunnel's MTU is 1400.", "Join with Connect-LtNetwork -Mtu 1352.",
            ],
            values.Output.Select(item => item.ToString()));
    }

    [Fact]
    public async Task SetLtPeer_Policy_IsSetForEachPeerAndShown()
    {
        FakeTunnel client = FakeTunnel.SampleMember();
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleServer(), client);

        Assert.Empty((await shell.RunAsync("Set-LtPeer nas -PathPolicy DirectOnly -WhatIf")).Output);
        Assert.Empty(client.Policies);
        Assert.Empty((await shell.RunAsync("Set-LtPeer nas -PathPolicy DirectOnly")).Output);
        Assert.Equal("DirectOnly", (await shell.RunAsync("Get-LtPeer nas -Network home")).Single().Text("PathPolicy"));
        Assert.Equal(
            ["RelayOnly", "RelayOnly"],
            (await shell.RunAsync(
                "Get-LtPeer -Network home | Where-Object { -not $_.IsServer } | Set-LtPeer -PathPolicy RelayOnly -PassThru")).Output.Select(
                    peer => peer.Text("PathPolicy")));
        Assert.Equal("Auto", (await shell.RunAsync("Set-LtPeer 10.0.0.21 -PathPolicy Default -PassThru")).Single().Text("PathPolicy"));

        Assert.Equal(
            [("nas", PathPolicy.DirectOnly), ("nas", PathPolicy.RelayOnly), ("laptop", PathPolicy.RelayOnly), ("laptop", null)],
            client.Policies);
    }

    [Theory]
    [InlineData("Set-LtPeer 10.0.0.1 -PathPolicy Auto")]
    [InlineData("Set-LtPeer office -PathPolicy Auto")]
    public async Task SetLtPeer_ServerByAnyName_IsAskedFor_SoThatTheTunnelSaysNo(string script)
    {
        FakeTunnel client = FakeTunnel.SampleMember();
        ModuleShell shell = await ServeAsync(client);

        await shell.RunAsync(script);

        Assert.Equal("office", Assert.Single(client.Policies).Peer);
    }

    [Theory]
    [InlineData("Set-LtPeer * -PathPolicy Auto")]
    [InlineData("Get-LtPeer | Set-LtPeer -PathPolicy Auto")]
    public async Task SetLtPeer_PatternOrPipeline_LeavesTheServerOut(string script)
    {
        FakeTunnel client = FakeTunnel.SampleMember();
        ModuleShell shell = await ServeAsync(client);

        await shell.RunAsync(script);

        Assert.Equal(["nas", "laptop"], client.Policies.Select(set => set.Peer));
    }

    [Theory]
    [InlineData("Confirm-LtMember nas -PassThru")]
    [InlineData("Get-LtPeer | Where-Object PathReason -eq KeyChanged | Confirm-LtMember -PassThru")]
    [InlineData("Confirm-LtMember * -PassThru -Network home")]
    [InlineData("Confirm-LtMember 10.0.0.20 -PassThru -Fingerprint (Get-LtPeer nas).Fingerprint.Replace('-', ' ').ToLower()")]
    public async Task ConfirmLtMember_ChangedKey_IsBelieved(string script)
    {
        FakeTunnel client = FakeTunnel.SampleMember();
        client.ChangeKey("nas");
        ModuleShell shell = await ServeAsync(client);
        Assert.Empty((await shell.RunAsync("Confirm-LtMember nas -WhatIf")).Output);
        ShellObject before = (await shell.RunAsync("Get-LtPeer nas")).Single();
        Assert.Equal("KeyChanged", before.Text("PathReason"));
        Assert.Matches("^([0-9A-Z]{4}-){3}[0-9A-Z]{4}$", before.Text("Fingerprint"));

        ShellObject after = (await shell.RunAsync(script)).Single();

        Assert.Equal(("nas", "Unknown"), (after.Text("Name"), after.Text("PathReason")));
    }

    [Theory]
    [InlineData("Confirm-LtMember laptop", "InvalidOption", "laptop", "nothing to confirm")]
    [InlineData("Confirm-LtMember nobody", "NotFound", "nobody", "nobody")]
    [InlineData("Confirm-LtMember nas -Fingerprint 0000-0000-0000-0000", "InvalidOption", "nas", "not 0000-0000-0000-0000")]
    public async Task ConfirmLtMember_WhatIsNotToBeConfirmed_IsAnErrorWithARemedy(string script, string id, string culprit, string words)
    {
        FakeTunnel client = FakeTunnel.SampleMember();
        client.ChangeKey("nas");
        ModuleShell shell = await ServeAsync(client);

        ShellError error = Assert.Single((await shell.TryAsync(script)).Errors);

        Assert.Equal(($"{id},LightTunnel.ConfirmLtMemberCommand", culprit), (error.ErrorId, error.Target));
        Assert.Contains(words, error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(error.RecommendedAction!);
        Assert.Equal("KeyChanged", (await shell.RunAsync("Get-LtPeer nas")).Single().Text("PathReason"));
    }

    [Theory]
    [InlineData("Test-LtP2P la", "laptop")]
    [InlineData("Test-LtP2P 10.0.0.22", "10.0.0.22")]
    [InlineData("Set-LtPeer -Name la", "laptop")]
    [InlineData("Set-LtPeer nas -PathPolicy Direct", "DirectOnly")]
    [InlineData("Test-LtNetwork h", "home")]
    public async Task Completion_KnowsPeersAndPolicies(string line, string completion)
    {
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleServer(), FakeTunnel.SampleClient());
        await shell.RunAsync("Get-LtPeer; Get-LtNetwork");

        ShellResult result = await shell.RunAsync(
            "param($Line) [Management.Automation.CommandCompletion]::CompleteInput($Line, $Line.Length, "
                + "$null).CompletionMatches.CompletionText | ForEach-Object { $_ }", new { Line = line });

        Assert.Equal([completion], result.Output.Select(item => item.ToString()));
    }

    [Theory]
    [InlineData("Test-LtP2P nas -Count 0", "ParameterArgumentValidationError,LightTunnel.TestLtP2PCommand", "Count")]
    [InlineData("Test-LtP2P nas -TimeoutSec 0", "ParameterArgumentValidationError,LightTunnel.TestLtP2PCommand", "TimeoutSec")]
    [InlineData(
        "Set-LtPeer nas -PathPolicy Straight", "CannotConvertArgumentNoMessage,LightTunnel.SetLtPeerCommand",
        "Default, Auto, DirectOnly, RelayOnly")]
    public async Task Binding_MistypedParameter_SaysWhichAndWhatIsAllowed(string script, string errorId, string message)
    {
        ModuleShell shell = await ServeAsync();

        ShellError error = await shell.FailAsync(script);

        Assert.Equal(errorId, error.ErrorId);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    private async Task<ModuleShell> ServeAsync(params FakeTunnel[] tunnels)
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(tunnels);
        return shared.Shell;
    }
}
