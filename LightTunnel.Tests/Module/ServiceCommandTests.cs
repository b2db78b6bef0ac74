using System.Runtime.Versioning;
using LightTunnel.Configuration;
using LightTunnel.Lab.Shells;
using LightTunnel.Routing;
using LightTunnel.Tests.Management;
using LightTunnel.Tests.Membership;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The commands of services, with <see cref="FakeServices"/> in the shell's process.</summary>
[SupportedOSPlatform("linux")]
public sealed class ServiceCommandTests(FakeEngineShell shared) : IClassFixture<FakeEngineShell>
{
    private ModuleShell _shell = null!;

    private string Settings => Path.Combine(_shell.Folder, "etc", "office.yaml");

    [Fact]
    public async Task Register_MakesAServer_AndStartsIt()
    {
        await ResetAsync();
        FakeTunnel server = FakeTunnel.SampleServer();
        _shell.Serve(server);

        ShellObject service = (await _shell.RunAsync(
            $"Register-LtService -Name {server.Name} -Address 10.0.0.1/24 -Endpoint a.example:9000 -ListenPort 9001 "
                + $"-NetworkKey {StartCommandTests.Key} -MaxClients 3 -ClientIsolation -StatePath /srv/lt")).Single();

        Assert.Equal("LightTunnel.LtService", service.Types[0]);
        Assert.Equal(
            ("office", "Server", "Running", "True", "0.1.0", "0.1.0"),
            (service.Text("Name"), service.Text("Role"), service.Text("State"), service.Text("Enabled"), service.Text("Version"),
                service.Text("HostVersion")));
        Assert.Equal("Up", (await _shell.RunAsync("(Get-LtService office).Tunnel.State")).Single().ToString());
        Assert.Equal(["register office", "start office"], await CallsAsync());
        ServerSettings written = ConfigurationFile.LoadServer(Settings);
        Assert.Equal(
            ("office", "10.0.0.1/24", "a.example:9000", 9001, StartCommandTests.Key, 3, true, "/srv/lt"),
            (written.Name, written.Address![0], written.Endpoint![0], written.ListenPort, written.NetworkKey!.Reveal(), written.MaxClients,
                written.ClientIsolation, written.StatePath));
    }

    [Fact]
    public async Task Register_MakesAClient_OfAnInvitation_AndDoesNotStartIt()
    {
        await ResetAsync();
        string invitation = InvitationTests.Sample().Reveal();
        File.WriteAllText(Path.Combine(_shell.Folder, "invitation.txt"), invitation);

        ShellObject service = (await _shell.RunAsync(
            "Register-LtService -Name office -InvitationPath invitation.txt -PathPolicy DirectOnly -NoStart -WarningAction Ignore"))
            .Single();

        Assert.Equal(("Client", "Stopped"), (service.Text("Role"), service.Text("State")));
        Assert.Equal(["register office"], await CallsAsync());
        // Taken apart, so that the service starts when the invitation's time is over.
        ClientSettings written = ConfigurationFile.LoadClient(Settings);
        Assert.Null(written.Invitation);
        ClientOptions options = SettingsResolver.Resolve(written, TimeProvider.System);
        Assert.Equal(
            InvitationTests.Sample().Endpoints.Select(endpoint => $"{endpoint}"), options.Servers.Select(server => $"{server}"));
        Assert.Equal(InvitationTests.Sample().ServerKey, options.ServerKey);
        Assert.Equal(InvitationTests.Sample().NetworkKey, options.NetworkKey);
        Assert.Equal(InvitationTests.Sample().Prefixes, options.AgreedPrefixes);
        Assert.Equal(PathPolicy.DirectOnly, options.PathPolicy);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Settings));
    }

    [Fact]
    public async Task Register_TakesAFile_WithParametersOverIt()
    {
        await ResetAsync();
        File.WriteAllText(Path.Combine(_shell.Folder, "server.yaml"), "role: server\nname: office\naddress: 10.0.0.1/24\nmtu: 1400\n");

        await _shell.RunAsync("Register-LtService -ConfigurationPath server.yaml -Mtu 1380");

        ServerSettings written = ConfigurationFile.LoadServer(Settings);
        Assert.Equal(("10.0.0.1/24", 1380), (written.Address![0], written.Mtu));
    }

    [Theory]
    [InlineData("-Address 10.0.0.1", "InvalidAddress")]
    [InlineData("-Address 10.0.0.1/24 -Endpoint a:1 -AcceptPrefix 10.0.0.0/24", "InvalidOption")]
    [InlineData("-Address 10.0.0.1/24 -Name ../x", "InvalidName")]
    [InlineData("-ConfigurationPath bad.yaml", "InvalidConfiguration")]
    [InlineData("-ConfigurationPath client.yaml -MaxClients 3", "InvalidOption")]
    [InlineData("-Name alone", "InvalidOption")]
    public async Task Register_SaysWhatIsWrong_AndChangesNothing(string parameters, string error)
    {
        await ResetAsync();
        File.WriteAllText(Path.Combine(_shell.Folder, "bad.yaml"), "role: server\naddress: 10.0.0.1/24\nlistenPrt: 1\n");
        File.WriteAllText(
            Path.Combine(_shell.Folder, "client.yaml"), $"role: client\ninvitation: {InvitationTests.Sample().Reveal()}\n");

        ShellError failure = await _shell.FailAsync($"Register-LtService {parameters}");

        Assert.StartsWith(error, failure.ErrorId, StringComparison.Ordinal);
        Assert.Empty(await CallsAsync());
        Assert.False(Directory.Exists(Path.Combine(_shell.Folder, "etc")));
        Assert.False(Directory.Exists(Path.Combine(_shell.Folder, "lib")));
        if (error == "InvalidConfiguration")
            Assert.Contains("line 3, column 1", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Register_WithWhatIf_OrWhereNobodyRunsServices_ChangesNothing()
    {
        await ResetAsync();
        await _shell.RunAsync("Register-LtService -Name office -Address 10.0.0.1/24 -WhatIf");
        Assert.False(Directory.Exists(Path.Combine(_shell.Folder, "lib")));

        File.WriteAllText(Path.Combine(_shell.Folder, "no systemd"), string.Empty);
        ShellError failure = await _shell.FailAsync("Register-LtService -Name office -Address 10.0.0.1/24");
        Assert.StartsWith("ServiceManagerUnavailable", failure.ErrorId, StringComparison.Ordinal);
        Assert.Empty(await CallsAsync());
    }

    [Fact]
    public async Task Register_OfANameThatIsTaken_WantsForce()
    {
        await ResetAsync();
        await _shell.RunAsync("Register-LtService -Name office -Address 10.0.0.1/24");
        ShellError failure = await _shell.FailAsync("Register-LtService -Name office -Address 10.0.0.2/24");
        Assert.StartsWith("NameInUse", failure.ErrorId, StringComparison.Ordinal);

        await _shell.RunAsync("Register-LtService -Name office -Address 10.0.0.2/24 -Force");

        Assert.Equal("10.0.0.2/24", ConfigurationFile.LoadServer(Settings).Address![0]);
        Assert.Equal(["register office", "start office", "stop office", "register office", "start office"], await CallsAsync());
    }

    [Fact]
    public async Task ServiceThatEndsWithAnError_IsToldWithItsLastWords()
    {
        await ResetAsync();
        ShellResult result = await _shell.TryAsync("Register-LtService -Name broken -Address 10.0.0.1/24");
        ShellError failure = Assert.Single(result.Errors);
        Assert.StartsWith("ServiceFailed", failure.ErrorId, StringComparison.Ordinal);
        Assert.Contains("The port is taken.", failure.Message, StringComparison.Ordinal);
        Assert.Equal("Failed", (await _shell.RunAsync("Get-LtService broken")).Single().Text("State"));
    }

    [Fact]
    public async Task NamesWithWildcards_AndThePipeline_NameServices()
    {
        await ResetAsync();
        await _shell.RunAsync(
            "'office', 'outpost', 'home' | ForEach-Object { Register-LtService -Name $_ -Address 10.0.0.1/24 -NoStart }");
        await _shell.RunAsync("Get-LtService o* | Start-LtService; [pscustomobject]@{ Name = 'home' } | Start-LtService -PassThru");
        await _shell.RunAsync("Restart-LtService *ce; Stop-LtService home -WhatIf; Get-LtService home | Stop-LtService -PassThru");
        Assert.Equal(
            ["start office", "start outpost", "start home", "restart office", "stop home"], (await CallsAsync()).Skip(3));
        Assert.StartsWith("NotFound", (await _shell.FailAsync("Get-LtService nowhere")).ErrorId, StringComparison.Ordinal);

        ShellResult completed = await _shell.RunAsync(
            "(TabExpansion2 'Stop-LtService o' -cursorColumn 16).CompletionMatches.CompletionText -join ','");
        Assert.Equal("office,outpost", completed.Single().ToString());
    }

    [Fact]
    public async Task Unregister_RemovesItWithItsSecrets_AndTheProgramWithTheLast()
    {
        await ResetAsync();
        await _shell.RunAsync("'office', 'home' | ForEach-Object { Register-LtService -Name $_ -Address 10.0.0.1/24 -NoStart }");
        await _shell.RunAsync("Unregister-LtService office -Confirm:$false");
        Assert.False(File.Exists(Settings));
        Assert.True(Directory.Exists(Path.Combine(_shell.Folder, "lib")));

        await _shell.RunAsync("Get-LtService | Unregister-LtService -Confirm:$false");
        Assert.False(Directory.Exists(Path.Combine(_shell.Folder, "lib")));
        Assert.Equal(["stop office", "unregister office", "stop home", "unregister home"], (await CallsAsync()).Skip(2));
    }

    private async Task ResetAsync() => _shell = await FakeServices.InstallAsync(shared);

    private Task<string[]> CallsAsync() => FakeServices.CallsAsync(_shell);
}
