using System.Runtime.Versioning;
using System.Security.Cryptography;
using LightTunnel.Addressing;
using LightTunnel.Lab.Shells;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>ConvertFrom-LtInvitation looks into an invitation and never shows its key.</summary>
[SupportedOSPlatform("linux")]
public sealed class InvitationContentTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private static readonly byte[] Key = RandomNumberGenerator.GetBytes(32);

    [Theory]
    [InlineData("ConvertFrom-LtInvitation $text")]
    [InlineData("$text | ConvertFrom-LtInvitation")]
    [InlineData("ConvertFrom-LtInvitation ([Net.NetworkCredential]::new('', $text).SecurePassword)")]
    [InlineData("[IO.File]::WriteAllText(\"$folder/i.txt\", $text); ConvertFrom-LtInvitation -InvitationPath \"$folder/i.txt\" 3>$null")]
    public async Task Invitation_ThatHasEnded_SaysEverythingButTheKey(string script)
    {
        await shared.Shell.ResetAsync();
        string text = Make(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

        ShellResult result = await shared.Shell.RunAsync(
            $$"""
            param($text, $folder)
            $content = $({{script}})
            $content
            [Management.Automation.PSSerializer]::Serialize($content)
            """,
            new { text, folder = shared.Shell.Folder });

        ShellObject content = result.Output[0];
        Assert.Equal(
            ("LightTunnel.LtInvitationContent", "office", "True"), (content.Types[0], content.Text("Network"), content.Text("IsExpired")));
        string everything = result.Output[1].ToString();
        Assert.Contains("vpn.example.org:9000", everything, StringComparison.Ordinal);
        Assert.Contains("10.0.0.0/24", everything, StringComparison.Ordinal);
        Assert.DoesNotContain(Convert.ToBase64String(Key), everything, StringComparison.Ordinal);
        Assert.DoesNotContain("lt1:", everything, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Invitation_Valid_ShowsIt()
    {
        await shared.Shell.ResetAsync();

        Assert.Equal(
            """
            Network          Prefixes         Endpoints                Expires
            -------          --------         ---------                -------
            office           {10.0.0.0/24}    {vpn.example.org:9000}   never
            """,
            await shared.Shell.ShowAsync($"ConvertFrom-LtInvitation '{Make(null)}'"));
    }

    [Fact]
    public async Task Text_ThatIsNone_IsRefusedWithoutBeingShown()
    {
        await shared.Shell.ResetAsync();
        string text = Make(null)[..^9];

        ShellError error = await shared.Shell.FailAsync($"ConvertFrom-LtInvitation '{text}'");

        Assert.Equal(("InvalidInvitation,LightTunnel.ConvertFromLtInvitationCommand", "InvalidArgument"), (error.ErrorId, error.Category));
        Assert.DoesNotContain(text[4..], error.Message + error.Target, StringComparison.Ordinal);
        Assert.Equal(
            "NotFound,LightTunnel.ConvertFromLtInvitationCommand",
            (await shared.Shell.FailAsync("ConvertFrom-LtInvitation -InvitationPath nothing.txt")).ErrorId);
    }

    internal static string Make(DateTimeOffset? expires)
    {
        Assert.True(ServerEndpoint.TryParse("vpn.example.org:9000", 0, out ServerEndpoint endpoint));
        Assert.True(IpPrefix.TryParse("10.0.0.0/24", out IpPrefix prefix));
        using var server = new PrivateKey([.. Enumerable.Repeat((byte)7, 32)]);
        using var key = new PresharedKey(Key);
        return new Invitation
        {
            Endpoints = [endpoint], ServerKey = server.PublicKey, NetworkKey = key, NetworkName = "office", Prefixes = [prefix],
            Expires = expires,
        }.Reveal();
    }
}
