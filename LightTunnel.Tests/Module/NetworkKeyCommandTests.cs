using System.Runtime.Versioning;
using LightTunnel.Engine.Server;
using LightTunnel.Lab.Shells;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>Update-LtNetworkKey: what it says before and after, and what it asks of the server.</summary>
[SupportedOSPlatform("linux")]
public sealed class NetworkKeyCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private readonly FakeTunnel _server = FakeTunnel.SampleServer();

    [Fact]
    public async Task Update_HandsOnWhatWasSaid_AndSaysWhatIsLeftToDo()
    {
        ModuleShell shell = await ServedAsync();
        _server.KeyReport = FakeTunnel.SampleKeyReport with { IsKeyConfigured = true };

        ShellResult result = await shell.RunAsync(
            "Update-LtNetworkKey office -GracePeriod 7.00:00 -Confirm:$false -WarningVariable said -WarningAction SilentlyContinue; "
                + "$said | ForEach-Object { \"$_\" }");

        NetworkKeyRequest asked = Assert.Single(_server.KeyChanges);
        Assert.Equal(TimeSpan.FromDays(7), asked.GracePeriod);
        Assert.StartsWith(Environment.UserName, asked.By, StringComparison.Ordinal);
        ShellObject change = result.Output[0];
        Assert.Equal("LightTunnel.LtNetworkKeyChange", change.Types[0]);
        Assert.Equal(
            ("office", "[\"laptop\",\"nas\"]", "[\"5a6b7c8d\"]", "[\"phone\"]"),
            (change.Text("Network"), change.Text("MembersFollowed"), change.Text("InvitationsEnded"), change.Text("WireGuardClients")));
        string[] warnings = [.. result.Output.Skip(1).Select(item => item.ToString())];
        Assert.Equal(4, warnings.Length);
        Assert.Contains(warnings, text => text.Contains("5a6b7c8d", StringComparison.Ordinal)
            && text.Contains("New-LtInvitation", StringComparison.Ordinal));
        Assert.Contains(warnings, text => text.Contains("phone", StringComparison.Ordinal)
            && text.Contains("New-LtWireGuardClient", StringComparison.Ordinal));
        Assert.Contains(warnings, text => text.Contains("old-box", StringComparison.Ordinal));
        Assert.Contains(warnings, text => text.Contains("networkKey", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Update_ByItself_HasAMonth_AndWarnsOfNothingThatIsNot()
    {
        ModuleShell shell = await ServedAsync();
        _server.KeyReport = new NetworkKeyReport { Tunnel = "office", Changed = FakeTunnel.SampleKeyReport.Changed };
        ShellResult result = await shell.RunAsync(
            "Update-LtNetworkKey -Confirm:$false -WarningVariable said -WarningAction SilentlyContinue; \"$($said.Count)\"");
        Assert.Equal("0", result.Output[1].ToString());
        Assert.Equal(TimeSpan.FromDays(30), Assert.Single(_server.KeyChanges).GracePeriod);
        await shell.RunAsync("Update-LtNetworkKey -GracePeriod 0 -Confirm:$false -WarningAction Ignore");
        Assert.Equal(TimeSpan.Zero, _server.KeyChanges[1].GracePeriod);
    }

    /// <summary>An admin sees what ends before it does.</summary>
    [Fact]
    public async Task WhatIf_SaysWhatWillEnd_AndChangesNothing()
    {
        ModuleShell shell = await ServedAsync();
        _server.Members =
        [
            .. _server.Members,
            _server.Members[0] with { Name = "phone", PublicKey = "phone", IsPlain = true, State = MemberState.Online },
            _server.Members[0] with { Name = "tablet", PublicKey = "tablet", IsPlain = false, State = MemberState.Offline },
        ];
        string said = await shell.ShowAsync("Update-LtNetworkKey -GracePeriod 7.00:00 -WhatIf *>&1");
        Assert.Empty(_server.KeyChanges);
        foreach (string expected in new[] { "tablet", "7.00:00:00", "5a6b7c8d", "phone" })
            Assert.Contains(expected, said.ReplaceLineEndings(string.Empty), StringComparison.Ordinal);
        Assert.DoesNotContain("1f2e3d4c", said, StringComparison.Ordinal); // It was used up before.
    }

    /// <summary>It asks by itself: its impact is high.</summary>
    [Fact]
    public async Task Impact_IsHigh()
    {
        ModuleShell shell = await ServedAsync();
        ShellResult impact = await shell.RunAsync(
            "[Management.Automation.CommandMetadata]::new((Get-Command Update-LtNetworkKey)).ConfirmImpact.ToString()");
        Assert.Equal("High", impact.Output.Single().ToString());
    }

    [Fact]
    public async Task Member_ShowsWhetherItHasTheKey()
    {
        ModuleShell shell = await ServedAsync();
        _server.Members = [_server.Members[0] with { HasNetworkKey = false }, _server.Members[1] with { HasNetworkKey = true }];
        ShellResult waiting = await shell.RunAsync("(Get-LtMember | Where-Object HasNetworkKey -eq $false).Name");
        Assert.Equal([_server.Members[0].Name], waiting.Output.Select(item => item.ToString()));
        Assert.Contains("HasNetworkKey", await shell.ShowAsync("Get-LtMember | Format-List"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Update_WithoutAServer_SaysSo()
    {
        await shared.Shell.ResetAsync();
        Assert.Equal(
            "No server runs on this machine.", (await shared.Shell.FailAsync("Update-LtNetworkKey -Confirm:$false")).Message);
    }

    private async Task<ModuleShell> ServedAsync()
    {
        await shared.Shell.ResetAsync();
        _server.Invitations = FakeTunnel.SampleInvitations;
        shared.Shell.Serve(_server);
        return shared.Shell;
    }
}
