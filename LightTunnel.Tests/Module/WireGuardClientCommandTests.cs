using System.Runtime.Versioning;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.QrCodes;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>New-LtWireGuardClient: what it asks of the server, where it puts the secret, and where not.</summary>
[SupportedOSPlatform("linux")]
public sealed class WireGuardClientCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private readonly FakeTunnel _server = FakeTunnel.SampleServer();

    [Fact]
    public async Task WhatWasSaid_IsHandedOn()
    {
        ModuleShell shell = await ServedAsync();
        ShellObject made = (await shell.RunAsync(
            "New-LtWireGuardClient phone -Address 10.0.0.60, fd00::60 -PublicKey abc -Endpoint a.example:1 -Mtu 1300")).Single();

        Assert.Equal(("phone", "office", "10.0.0.60"), (made.Text("Name"), made.Text("Network"), made.Text("Address")));
        WireGuardClientRequest asked = _server.AskedForWireGuardClient!;
        Assert.Equal(
            ("phone", "abc", "a.example:1", 1300, Environment.UserName),
            (asked.Name, asked.PublicKey, asked.Endpoint, asked.Mtu, asked.MadeBy));
        Assert.Equal(["10.0.0.60", "fd00::60"], asked.Addresses);

        await shell.RunAsync("Get-LtServer | New-LtWireGuardClient -Name tablet");
        asked = _server.AskedForWireGuardClient!;
        Assert.Equal(("tablet", null, null, null, 0), (asked.Name, asked.PublicKey, asked.Endpoint, asked.Mtu, asked.Addresses.Count));
    }

    [Fact]
    public async Task Text_IsTheConfiguration_AndNothingElseShowsIt()
    {
        ModuleShell shell = await ServedAsync();
        ShellResult text = await shell.RunAsync("$c = New-LtWireGuardClient phone; \"$c\"");
        Assert.Contains(FakeTunnel.WireGuardSecret, text.Single().ToString(), StringComparison.Ordinal);

        foreach (string form in new[]
        {
            "$c", "Get-LtServer; $c", "$c | Format-List *", "$c | Format-Table *", "$c | ConvertTo-Json",
            "$c | Export-Clixml c.xml; Get-Content c.xml", "$c | Select-Object *", "$c | Get-Member",
        })
        {
            Assert.DoesNotContain(FakeTunnel.WireGuardSecret, await shell.ShowAsync(form), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task OutFile_IsItsOwnersOnly_AndNoOtherFileIsLost()
    {
        ModuleShell shell = await ServedAsync();
        await shell.RunAsync("New-LtWireGuardClient phone -OutFile phone.conf");
        string path = Path.Combine(shell.Folder, "phone.conf");
        Assert.Contains(FakeTunnel.WireGuardSecret, await ReadAsync(path), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));

        await File.WriteAllTextAsync(path, "mine", TestContext.Current.CancellationToken);
        ShellError error = await shell.FailAsync("New-LtWireGuardClient tablet -OutFile phone.conf");
        Assert.Equal("FileAccess,LightTunnel.NewLtWireGuardClientCommand", error.ErrorId);
        Assert.Equal("phone", _server.AskedForWireGuardClient!.Name);
        Assert.Equal("mine", await ReadAsync(path));

        await shell.RunAsync("New-LtWireGuardClient tablet -OutFile phone.conf -Force");
        Assert.StartsWith("# tablet", await ReadAsync(path), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal(
            "FileAccess,LightTunnel.NewLtWireGuardClientCommand",
            (await shell.FailAsync("New-LtWireGuardClient tablet -OutFile nowhere/phone.conf")).ErrorId);
    }

    [Fact]
    public async Task AsQRCode_AndPictures_SayWhatAnAppNeeds_AndNothingElse()
    {
        ModuleShell shell = await ServedAsync();
        var code = QrCode.Of(new Secret($"[Interface]\nPrivateKey = {FakeTunnel.WireGuardSecret}\n"));
        Assert.Equal(code.ToTerminalText(), (await shell.RunAsync("New-LtWireGuardClient phone -AsQRCode")).Single().ToString());

        await shell.RunAsync("New-LtWireGuardClient phone -OutFile p.png; New-LtWireGuardClient phone -OutFile p.svg");
        CancellationToken token = TestContext.Current.CancellationToken;
        Assert.Equal(code.ToSvg(), await ReadAsync(Path.Combine(shell.Folder, "p.svg")));
        Assert.Equal(code.ToPng(), await File.ReadAllBytesAsync(Path.Combine(shell.Folder, "p.png"), token));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(shell.Folder, "p.png")));

        foreach (string form in new[] { "-AsQRCode", "-OutFile q.png" })
        {
            ShellError error = await shell.FailAsync($"New-LtWireGuardClient tablet -PublicKey abc {form}");
            Assert.Equal("InvalidOption,LightTunnel.NewLtWireGuardClientCommand", error.ErrorId);
        }

        Assert.Equal("phone", _server.AskedForWireGuardClient!.Name);
    }

    [Fact]
    public async Task ServerThatRefuses_LeavesNoFileBehind()
    {
        ModuleShell shell = await EmptyAsync();
        shell.Serve(new FakeTunnel("office", TunnelRole.Server)
        {
            Failure = new LightTunnelException(LightTunnelError.InvalidName, "'phone' is taken.", "Choose another."),
        });
        ShellError error = await shell.FailAsync("New-LtWireGuardClient phone -OutFile refused.conf");
        Assert.Equal("InvalidName,LightTunnel.NewLtWireGuardClientCommand", error.ErrorId);
        Assert.Empty(Directory.EnumerateFiles(shell.Folder, "refused.conf*"));
    }

    [Fact]
    public async Task NoServerOrSeveral_SaysWhatToDo_AndWhatIfDoesNothing()
    {
        ModuleShell shell = await EmptyAsync();
        Assert.Equal(
            "NotFound,LightTunnel.NewLtWireGuardClientCommand", (await shell.FailAsync("New-LtWireGuardClient phone")).ErrorId);
        shell.Serve(FakeTunnel.SampleServer("a"), FakeTunnel.SampleServer("b"));
        ShellError error = await shell.FailAsync("New-LtWireGuardClient phone");
        Assert.Equal("InvalidOption,LightTunnel.NewLtWireGuardClientCommand", error.ErrorId);
        Assert.Contains("a, b", error.Message, StringComparison.Ordinal);

        shell.Serve(_server);
        await shell.RunAsync("New-LtWireGuardClient phone -OutFile whatif.conf -WhatIf");
        Assert.Null(_server.AskedForWireGuardClient);
        Assert.False(File.Exists(Path.Combine(shell.Folder, "whatif.conf")));
    }

    private static Task<string> ReadAsync(string path) => File.ReadAllTextAsync(path, TestContext.Current.CancellationToken);

    private async Task<ModuleShell> EmptyAsync()
    {
        await shared.Shell.ResetAsync();
        return shared.Shell;
    }

    private async Task<ModuleShell> ServedAsync()
    {
        ModuleShell shell = await EmptyAsync();
        shell.Serve(_server);
        return shell;
    }
}
