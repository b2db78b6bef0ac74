using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using LightTunnel.Membership.Signing;
using LightTunnel.Routing;
using LightTunnel.Tests.Management;
using LightTunnel.Tests.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The commands by which an admin makes a signing key and signs members, here of tunnels of another process.</summary>
[SupportedOSPlatform("linux")]
public sealed class SigningCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private static readonly PublicKey Server = SigningSamples.Server;
    private readonly FakeTunnel _member = FakeTunnel.SampleMember();

    [Fact]
    public async Task NewLtSigningKey_WritesAKeyThatItsOwnerAloneCanRead_AndShowsThePublicHalf()
    {
        ModuleShell shell = await ServeAsync();

        Assert.Empty((await shell.RunAsync("New-LtSigningKey new.key -WhatIf")).Output);
        ShellResult result = await shell.RunAsync("$key = New-LtSigningKey new.key; $key; \"$key\"");
        ShellObject made = result.Output[0];

        string path = Path.Combine(shell.Folder, "new.key");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.True(SigningKey.TryParse(await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken), out SigningKey? key));
        Assert.Equal(
            (path, key.PublicKey.ToString(), key.PublicKey.Fingerprint, key.PublicKey.ToString()),
            (made.Text("Path"), made.Text("PublicKey"), made.Text("Fingerprint"), result.Output[1].ToString()));

        ShellError exists = await shell.FailAsync("New-LtSigningKey new.key");
        Assert.Equal("FileAccess,LightTunnel.NewLtSigningKeyCommand", exists.ErrorId);
        Assert.Contains("-Force", exists.RecommendedAction, StringComparison.Ordinal);
        ShellObject another = (await shell.RunAsync("New-LtSigningKey new.key -Force")).Single();
        Assert.NotEqual(made.Text("PublicKey"), another.Text("PublicKey"));
    }

    [Theory]
    [InlineData("Confirm-LtMember laptop -SigningKeyPath admin.key", "laptop")]
    [InlineData("Confirm-LtMember 10.0.0.21 -SigningKeyPath admin.key", "laptop")]
    [InlineData("Confirm-LtMember * -SigningKeyPath admin.key", "laptop")]
    [InlineData("Get-LtPeer | Where-Object PathReason -eq NotSigned | Confirm-LtMember -SigningKeyPath admin.key", "laptop")]
    [InlineData("Confirm-LtMember nas -SigningKeyPath admin.key -ExpiresIn 10.00:00", "nas")]
    public async Task ConfirmLtMember_SigningKey_SignsWhatWasShown(string script, string name)
    {
        ModuleShell shell = await ServeAsync();
        Assert.Empty((await shell.RunAsync(script + " -WhatIf")).Output);
        Assert.Empty(_member.Signatures);

        ShellObject signed = (await shell.RunAsync(script + " -PassThru")).Single();

        Assert.Equal((name, "Valid"), (signed.Text("Name"), signed.Text("Signature")));
        (string key, string text) = Assert.Single(_member.Signatures);
        PeerStatus peer = _member.Peers.Single(one => one.Name == name);
        Assert.True(MemberSignature.TryParse(text, out MemberSignature? signature));
        Assert.Equal(peer.PublicKey, key);
        Assert.True(PublicKey.TryParse(key, out PublicKey member));
        var trust = new SigningTrust(Server, [SigningSamples.AdminsKey()]);
        Assert.Equal(
            SignatureState.Valid,
            trust.Check(member, name, [TunnelAddress.FromIPAddress(peer.Addresses[0])], false, signature, DateTimeOffset.UtcNow));
        Assert.Equal(script.Contains("ExpiresIn", StringComparison.Ordinal), signature.Expires is not null);
    }

    [Fact]
    public async Task ConfirmLtMember_OwnName_SignsThisMachine()
    {
        ModuleShell shell = await ServeAsync();

        Assert.Equal("home", (await shell.RunAsync("Confirm-LtMember alice -SigningKeyPath admin.key -PassThru")).Single().Text("Name"));

        Assert.Equal(ControlMessageTests.Key(3).ToString(), Assert.Single(_member.Signatures).PublicKey);
    }

    [Fact]
    public async Task ConfirmLtMember_OnTheServer_SignsItsMembers()
    {
        FakeTunnel server = FakeTunnel.SampleServer();
        ModuleShell shell = await ServeAsync(server);

        ShellObject signed = (await shell.RunAsync("Confirm-LtMember nas -SigningKeyPath admin.key -Network office -PassThru")).Single();

        Assert.Equal(("LightTunnel.LtMember", "nas", "Valid"), (signed.Types[0], signed.Text("Name"), signed.Text("Signature")));
        Assert.Single(server.Signatures);

        // Another name is not what was signed.
        ShellResult renamed = await shell.TryAsync("Rename-LtMember nas store -WarningVariable warning; \"$warning\"");
        Assert.Contains("Confirm-LtMember store -SigningKeyPath", renamed.Output[^1].ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Confirm-LtMember nobody -SigningKeyPath admin.key", "NotFound", "nobody")]
    [InlineData("Confirm-LtMember nas -SigningKeyPath other.key", "InvalidSignature", "signed by another key")]
    [InlineData("Confirm-LtMember nas -SigningKeyPath public.key", "InvalidKey", "holds no signing key")]
    [InlineData("Confirm-LtMember nas -SigningKeyPath none.key", "NotFound", "There is no file")]
    [InlineData("Confirm-LtMember nas -SigningKeyPath open.key", "FileAccess", "Everybody on this machine may write")]
    [InlineData("Confirm-LtMember nas -SigningKeyPath admin.key -ExpiresIn 42", "InvalidOption", "no time that a signature")]
    [InlineData("Confirm-LtMember nas -SigningKeyPath admin.key -Fingerprint 0000-0000-0000-0000", "InvalidOption", "not 0000-")]
    [InlineData("Confirm-LtMember laptop", "NotSigned", "nobody else can")]
    [InlineData("Confirm-LtMember nas -ExpiresIn 1.00:00", "AmbiguousParameterSet", "")]
    public async Task ConfirmLtMember_WhatCannotBeSigned_IsAnErrorWithARemedy(string script, string id, string words)
    {
        ModuleShell shell = await ServeAsync();

        ShellError error = await shell.FailAsync(script);

        if (id != "AmbiguousParameterSet")
        {
            Assert.Equal($"{id},LightTunnel.ConfirmLtMemberCommand", error.ErrorId);
            Assert.NotEmpty(error.RecommendedAction!);
        }

        Assert.Contains(words, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("ltsign1:", error.Message, StringComparison.Ordinal);
        Assert.Empty(_member.Signatures);
    }

    [Fact]
    public async Task Key_InThePlaceOfItsPublicHalf_IsInNoError()
    {
        ModuleShell shell = await ServeAsync();

        ShellError error = await shell.FailAsync(
            "Start-LtServer 10.0.0.1/24 -SigningKey (Get-Content admin.key | Select-Object -Last 1)");

        Assert.Contains("not the public half", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("ltsign1:", $"{error.Message} {error.RecommendedAction} {error.Target}", StringComparison.Ordinal);
    }

    private async Task<ModuleShell> ServeAsync(params FakeTunnel[] others)
    {
        await shared.Shell.ResetAsync();
        string[] keys = [SigningSamples.AdminsKey().ToString()];
        foreach (FakeTunnel server in others)
            server.StatusOf = status => status with { PublicKey = Server.ToString(), SigningKeys = keys };
        _member.StatusOf = status => status with
        {
            ServerKey = Server.ToString(), MemberName = "alice", Addresses = ["10.0.0.10/24"], SigningKeys = keys,
            PublicKey = ControlMessageTests.Key(3).ToString(), Signature = SignatureState.Valid,
        };
        _member.Peers =
        [
            .. _member.Peers.Select(peer => peer.Name == "laptop"
                ? peer with { PathReason = PathReason.NotSigned, Path = PathType.Offline, Signature = SignatureState.Missing }
                : peer with { Signature = SignatureState.Valid }),
        ];
        string folder = shared.Shell.Folder;
        Write("admin.key", SigningSamples.Admin().Reveal());
        Write("other.key", SigningSamples.Admin(2).Reveal());
        Write("public.key", System.Text.Encoding.ASCII.GetBytes(keys[0]));
        Write("open.key", SigningSamples.Admin().Reveal(), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherWrite);
        shared.Shell.Serve([_member, .. others]);
        return shared.Shell;

        void Write(string name, byte[] content, UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite)
        {
            File.WriteAllBytes(Path.Combine(folder, name), content);
            File.SetUnixFileMode(Path.Combine(folder, name), mode);
        }
    }
}
