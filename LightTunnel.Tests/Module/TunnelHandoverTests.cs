using System.Runtime.Versioning;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Shells;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Tests.Management;
using LightTunnel.Tests.Membership;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>Tunnels that run become services: of another process (the test's) and of the shell's own.</summary>
[SupportedOSPlatform("linux")]
public sealed class TunnelHandoverTests(FakeEngineShell shared) : IClassFixture<FakeEngineShell>
{
    private ModuleShell _shell = null!;

    /// <summary>Nothing of it is what the tunnel's object says, so that nothing can have come from there.</summary>
    private static ServerSettings Office => new()
    {
        Name = "office",
        Address = ["10.9.0.1/16"],
        Endpoint = ["b.example:9001"],
        ListenPort = 9001,
        MaxClients = 3,
        NetworkKey = new Secret(StartCommandTests.Key),
        StatePath = "/srv/office",
    };

    [Fact]
    public async Task TunnelOfAnotherProcess_BecomesAService_AndIsStoppedWhenThatIsInstalled()
    {
        await ResetAsync();
        (bool Settings, bool Program)? installed = null;
        var tunnel = new FakeTunnel("office", TunnelRole.Server)
        {
            Settings = Office,
            OnStop = _ => installed = (File.Exists(FileOf("office")), Directory.Exists(Path.Combine(_shell.Folder, "lib", "0.1.0"))),
        };
        _shell.Serve(tunnel);

        ShellObject service = (await _shell.RunAsync("Get-LtServer office | Register-LtService")).Single();

        Assert.Equal(("office", "Server", "Running"), (service.Text("Name"), service.Text("Role"), service.Text("State")));
        Assert.Equal(["register office", "start office"], await CallsAsync());
        Assert.Equal((true, true), installed);
        ServerSettings written = ConfigurationFile.LoadServer(FileOf("office"));
        Assert.Equal(
            ("office", "10.9.0.1/16", "b.example:9001", 9001, 3, StartCommandTests.Key, "/srv/office"),
            (written.Name, written.Address![0], written.Endpoint![0], written.ListenPort, written.MaxClients, written.NetworkKey!.Reveal(),
                written.StatePath));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(FileOf("office")));
    }

    [Fact]
    public async Task NetworkOfTheSession_BecomesAService_WithWhatItsInvitationSays()
    {
        await ResetAsync();
        File.WriteAllText(Path.Combine(_shell.Folder, "invitation.txt"), InvitationTests.Sample().Reveal());
        await _shell.RunAsync(
            "Connect-LtNetwork -Name home -InvitationPath invitation.txt -StatePath /srv/home -PathPolicy DirectOnly "
                + "-WarningAction Ignore");

        ShellResult result = await _shell.RunAsync("Get-LtNetwork home | Register-LtService; @(Get-LtNetwork).Count");

        Assert.Equal("0", result.Output[^1].ToString());
        ClientSettings written = ConfigurationFile.LoadClient(FileOf("home"));
        Assert.Null(written.Invitation);
        Assert.Equal(InvitationTests.Token.Reveal(), written.InvitationSecret!.Reveal());
        ClientOptions options = SettingsResolver.Resolve(written, TimeProvider.System);
        Assert.Equal(
            ("home", "/srv/home", InvitationTests.Sample().ServerKey, InvitationTests.Sample().NetworkKey, PathPolicy.DirectOnly),
            (options.Name, options.StatePath, options.ServerKey, options.NetworkKey, options.PathPolicy));
    }

    [Fact]
    public async Task SeveralTunnels_BecomeServices_EachByItself()
    {
        await ResetAsync();
        FakeTunnel[] tunnels = [Tunnel("one"), Tunnel("passing", "/tmp/passing"), Tunnel("two")];
        _shell.Serve(tunnels);

        ShellResult result = await _shell.TryAsync("Get-LtServer | Register-LtService");

        ShellError failure = Assert.Single(result.Errors);
        Assert.StartsWith("InvalidOption", failure.ErrorId, StringComparison.Ordinal);
        Assert.Contains("/tmp/passing", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["one", "two"], result.Output.Select(service => ((ShellObject)service!).Text("Name")));
        Assert.Equal([true, false, true], tunnels.Select(tunnel => tunnel.IsStopped));
    }

    [Fact]
    public async Task NoStart_LeavesTheTunnelToItself_UntilTheSystemStarts()
    {
        await ResetAsync();
        FakeTunnel tunnel = Tunnel("office");
        _shell.Serve(tunnel);

        ShellObject service = (await _shell.RunAsync("Get-LtServer | Register-LtService -NoStart")).Single();

        Assert.Equal(("Stopped", "True"), (service.Text("State"), service.Text("Enabled")));
        Assert.Equal(["register office"], await CallsAsync());
        Assert.False(tunnel.IsStopped);
    }

    [Theory]
    [InlineData("-WhatIf", null)]
    [InlineData("-Name other", "InvalidOption")]
    [InlineData("-MaxClients 7 -NoStart", "InvalidOption")]
    [InlineData("-ConfigurationPath server.yaml", "InvalidOption")]
    public async Task WhatIf_AndWhatContradictsTheTunnel_ChangeNothing(string parameters, string? error)
    {
        await ResetAsync();
        FakeTunnel tunnel = Tunnel("office");
        _shell.Serve(tunnel);

        ShellResult result = await _shell.TryAsync($"Get-LtServer | Register-LtService {parameters}");

        if (error is null)
            Assert.Empty(result.Errors);
        else
            Assert.StartsWith(error, Assert.Single(result.Errors).ErrorId, StringComparison.Ordinal);
        Assert.Empty(await CallsAsync());
        Assert.False(File.Exists(FileOf("office")));
        Assert.False(tunnel.IsStopped);
    }

    [Fact]
    public async Task TunnelOfAService_IsOneAlready()
    {
        await ResetAsync();
        FakeTunnel tunnel = Tunnel("office");
        _shell.Serve(tunnel);
        await _shell.RunAsync("Register-LtService -Name office -Address 10.0.0.1/24");

        ShellError failure = await _shell.FailAsync("Get-LtServer office | Register-LtService -Force");

        Assert.StartsWith("NameInUse", failure.ErrorId, StringComparison.Ordinal);
        Assert.Contains("is a service already", failure.Message, StringComparison.Ordinal);
        Assert.False(tunnel.IsStopped);
        Assert.Equal(["register office", "start office"], await CallsAsync());
    }

    [Fact]
    public async Task TunnelThatIsGone_OrIsNone_IsNotRegistered()
    {
        await ResetAsync();
        FakeTunnel tunnel = Tunnel("office");
        _shell.Serve(tunnel);
        await _shell.RunAsync("$global:gone = Get-LtServer office");
        _shell.Serve();

        Assert.StartsWith("NotFound", (await _shell.FailAsync("$gone | Register-LtService")).ErrorId, StringComparison.Ordinal);
        Assert.StartsWith(
            "InputObjectNotBound", (await _shell.FailAsync("[pscustomobject]@{ Name = 'office' } | Register-LtService")).ErrorId,
            StringComparison.Ordinal);
        Assert.Empty(await CallsAsync());
    }

    [Fact]
    public async Task TunnelThatCannotBeStopped_KeepsItsPlace_AndItsServiceIsNotStarted()
    {
        await ResetAsync();
        _shell.Serve(new FakeTunnel("office", TunnelRole.Server)
        {
            Settings = Office,
            OnStop = _ => throw new LightTunnelException(LightTunnelError.NotAnswering, "It is busy.", "Wait."),
        });

        ShellError failure = await _shell.FailAsync("Get-LtServer | Register-LtService");

        Assert.StartsWith("NotAnswering", failure.ErrorId, StringComparison.Ordinal);
        Assert.Contains("made but not started", failure.Message, StringComparison.Ordinal);
        Assert.Contains("Stop-LtServer office", failure.RecommendedAction, StringComparison.Ordinal);
        Assert.Equal(["register office"], await CallsAsync());
    }

    [Fact]
    public async Task ServiceThatDoesNotComeUp_SaysThatTheTunnelIsStopped_AndWhatToDo()
    {
        await ResetAsync();
        FakeTunnel tunnel = Tunnel("broken");
        _shell.Serve(tunnel);

        ShellResult result = await _shell.TryAsync("Get-LtServer | Register-LtService");

        ShellError failure = Assert.Single(result.Errors);
        Assert.StartsWith("ServiceFailed", failure.ErrorId, StringComparison.Ordinal);
        Assert.Contains(
            $"the tunnel 'broken' of process {Environment.ProcessId} was stopped, did not come up: The port is taken.", failure.Message,
            StringComparison.Ordinal);
        Assert.Contains("Start-LtService broken", failure.RecommendedAction, StringComparison.Ordinal);
        Assert.True(tunnel.IsStopped);
    }

    private static FakeTunnel Tunnel(string name, string? state = null) => new(name, TunnelRole.Server)
    {
        Settings = Office with { Name = name, StatePath = state ?? $"/srv/{name}" },
    };

    private string FileOf(string name) => Path.Combine(_shell.Folder, "etc", $"{name}.yaml");

    private async Task ResetAsync() => _shell = await FakeServices.InstallAsync(shared);

    private Task<string[]> CallsAsync() => FakeServices.CallsAsync(_shell);
}
