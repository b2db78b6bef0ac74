using System.Runtime.Versioning;
using LightTunnel.Configuration;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using LightTunnel.QrCodes;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>New-LtInvitation with its limits, Get-LtInvitation and Remove-LtInvitation.</summary>
[SupportedOSPlatform("linux")]
public sealed class InvitationCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private readonly FakeTunnel _server = FakeTunnel.SampleServer();

    [Fact]
    public async Task New_HandsOnWhatWasSaid()
    {
        ModuleShell shell = await ServedAsync();

        ShellObject made = (await shell.RunAsync(
            "New-LtInvitation -Name 'laptop of Ann' -MaxUses 2 -ExpiresIn 7.00:00")).Single();

        Assert.Equal(("1f2e3d4c", "laptop of Ann", "2"), (made.Text("Id"), made.Text("Name"), made.Text("MaxUses")));
        InvitationRequest asked = _server.AskedForInvitation!;
        Assert.Equal(("laptop of Ann", 2), (asked.Name, asked.MaxUses));
        Assert.StartsWith(Environment.UserName, asked.MadeBy, StringComparison.Ordinal);
        Assert.InRange(asked.Expires!.Value, DateTimeOffset.UtcNow.AddDays(6.9), DateTimeOffset.UtcNow.AddDays(7));

        await shell.RunAsync("New-LtInvitation -Group Build, a -Address 10.0.0.50 -Ephemeral");
        asked = _server.AskedForInvitation!;
        Assert.Equal(("Build a", "10.0.0.50", true), (string.Join(' ', asked.Groups), asked.Addresses.Single(), asked.IsEphemeral));

        await shell.RunAsync("New-LtInvitation");
        asked = _server.AskedForInvitation!;
        Assert.Equal((0, string.Empty, null), (asked.MaxUses, asked.Name, asked.Expires));
        Assert.Equal((0, 0, false), (asked.Groups.Count, asked.Addresses.Count, asked.IsEphemeral));
    }

    [Theory]
    [InlineData("-ExpiresIn 7", "-ExpiresIn")]
    [InlineData("-ExpiresIn -1:00", "-ExpiresIn")]
    [InlineData("-ExpiresIn 10000000.00:00", "-ExpiresIn")]
    [InlineData("-ExpiresIn 1:00 -Expires 2100-01-01", "both")]
    [InlineData("-MaxUses 0", "MaxUses")]
    [InlineData("-Name ''", "Name")]
    [InlineData("-OutFile code.jpg", "neither a PNG nor an SVG")]
    [InlineData("-OutFile code", "neither a PNG nor an SVG")]
    [InlineData("-OutFile env:code.png", "no path of the file system")]
    public async Task New_ThatMakesNoSense_SaysSo(string parameters, string culprit)
    {
        ModuleShell shell = await ServedAsync();
        Assert.Contains(culprit, (await shell.FailAsync($"New-LtInvitation {parameters}")).Message, StringComparison.Ordinal);
        Assert.Null(_server.AskedForInvitation);
    }

    [Fact]
    public async Task New_AsQRCode_IsTheCodeOfTheLine()
    {
        ModuleShell shell = await ServedAsync();

        string code = (await shell.RunAsync("New-LtInvitation -AsQRCode")).Single().ToString();

        Assert.Equal(QrCode.Of(new Secret(FakeTunnel.InvitationSecret)).ToTerminalText(), code);
    }

    [Fact]
    public async Task New_OutFile_WritesAPictureForItsOwner_AndReturnsTheInvitation()
    {
        ModuleShell shell = await ServedAsync();
        string folder = Directory.CreateTempSubdirectory("lt-qr").FullName;
        try
        {
            ShellResult made = await shell.RunAsync(
                "param($F) Push-Location $F; New-LtInvitation -OutFile a.svg; New-LtInvitation -OutFile $F/a.png; Pop-Location",
                new { F = folder });

            Assert.Equal(["1f2e3d4c", "1f2e3d4c"], made.Output.Select(item => item.Text("Id")));
            var code = QrCode.Of(new Secret(FakeTunnel.InvitationSecret));
            CancellationToken cancellation = TestContext.Current.CancellationToken;
            Assert.Equal(code.ToSvg(), await File.ReadAllTextAsync(Path.Combine(folder, "a.svg"), cancellation));
            Assert.Equal(code.ToPng(), await File.ReadAllBytesAsync(Path.Combine(folder, "a.png"), cancellation));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(folder, "a.png")));

            ShellResult failed = await shell.TryAsync($"New-LtInvitation -OutFile {folder}/nowhere/a.png");
            Assert.Equal("FileAccess,LightTunnel.NewLtInvitationCommand", Assert.Single(failed.Errors).ErrorId);
            Assert.Equal("1f2e3d4c", Assert.Single(failed.Output).Text("Id"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("", "1f2e3d4c 5a6b7c8d 9e8f7a6b")]
    [InlineData("1f2e3d4c", "1f2e3d4c")]
    [InlineData("laptop*", "1f2e3d4c")]
    [InlineData("*e*", "1f2e3d4c 9e8f7a6b")]
    [InlineData("-Network off*", "1f2e3d4c 5a6b7c8d 9e8f7a6b")]
    public async Task Get_ShowsThoseThatAreNamed(string parameters, string expected)
    {
        ModuleShell shell = await ServedAsync();
        ShellResult found = await shell.RunAsync($"Get-LtInvitation {parameters}");
        Assert.Equal(expected, string.Join(' ', found.Output.Select(item => item.Text("Id"))));
        Assert.All(found.Output, item => Assert.Equal("LightTunnel.LtInvitationRecord", item.Types[0]));
    }

    [Fact]
    public async Task Get_WhereNoServerRuns_IsNone_AndAnErrorForWhoMeansOne()
    {
        await shared.Shell.ResetAsync();
        Assert.Empty((await shared.Shell.RunAsync("Get-LtInvitation")).Output);
        Assert.Equal("No server runs on this machine.", (await shared.Shell.FailAsync("Get-LtInvitation 1f2e3d4c")).Message);
    }

    [Fact]
    public async Task Get_TellsAll_ButNoSecret()
    {
        ModuleShell shell = await ServedAsync();
        ShellObject first = (await shell.RunAsync("Get-LtInvitation 1f2e3d4c")).Single();
        Assert.Equal(
            ("office", "UsedUp", "1", "1", "root", "[\"laptop\"]"),
            (first.Text("Network"), first.Text("State"), first.Text("Uses"), first.Text("MaxUses"), first.Text("MadeBy"),
                first.Text("Members")));
        Assert.Equal(
            "NotFound,LightTunnel.GetLtInvitationCommand", (await shell.FailAsync("Get-LtInvitation 00000000")).ErrorId);
        Assert.DoesNotContain(
            FakeTunnel.InvitationSecret, await shell.ShowAsync("Get-LtInvitation | Format-List *"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Remove-LtInvitation 1f2e3d4c", "1f2e3d4c")]
    [InlineData("Get-LtInvitation | Where-Object State -eq Active | Remove-LtInvitation", "5a6b7c8d")]
    [InlineData("New-LtInvitation | Remove-LtInvitation", "1f2e3d4c")]
    [InlineData("'5a6b7c8d', '9e8f7a6b' | Remove-LtInvitation -Network office", "5a6b7c8d 9e8f7a6b")]
    [InlineData("Remove-LtInvitation *", "1f2e3d4c 5a6b7c8d 9e8f7a6b")]
    [InlineData("Remove-LtInvitation * -WhatIf", "")]
    public async Task Remove_TakesBackThoseThatAreNamed(string script, string expected)
    {
        ModuleShell shell = await ServedAsync();
        await shell.RunAsync(script);
        Assert.Equal(expected, string.Join(' ', _server.RemovedInvitations));
    }

    [Fact]
    public async Task Remove_OfNone_SaysSo()
    {
        ModuleShell shell = await ServedAsync();
        ShellError error = await shell.FailAsync("Remove-LtInvitation 00000000");
        Assert.Equal("NotFound,LightTunnel.RemoveLtInvitationCommand", error.ErrorId);
        Assert.Empty(_server.RemovedInvitations);
    }

    [Fact]
    public async Task Tab_CompletesIds()
    {
        ModuleShell shell = await ServedAsync();
        ShellResult completed = await shell.RunAsync(
            "param($Line) [Management.Automation.CommandCompletion]::CompleteInput($Line, $Line.Length, "
                + "$null).CompletionMatches.CompletionText | ForEach-Object { $_ }", new { Line = "Remove-LtInvitation 5a" });
        Assert.Equal(["5a6b7c8d"], completed.Output.Select(item => item.ToString()));
    }

    private async Task<ModuleShell> ServedAsync()
    {
        await shared.Shell.ResetAsync();
        _server.Invitations = FakeTunnel.SampleInvitations;
        shared.Shell.Serve(_server);
        return shared.Shell;
    }
}
