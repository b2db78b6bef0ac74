using System.Runtime.Versioning;
using LightTunnel.Engine.Server;
using LightTunnel.Lab.Shells;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The commands with which an admin sees members and keeps them out, here of a server in another process.</summary>
[SupportedOSPlatform("linux")]
public sealed class MemberCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private readonly FakeTunnel _server = FakeTunnel.SampleServer();

    [Theory]
    [InlineData("Get-LtMember", "nas laptop phone")]
    [InlineData("Get-LtMember la*", "laptop")]
    [InlineData("Get-LtMember -State Blocked, Offline", "laptop phone")]
    [InlineData("Get-LtMember -Address 10.0.0.2[01]", "nas laptop")]
    [InlineData("Get-LtServer | Get-LtMember -Name phone", "phone")]
    [InlineData("Get-LtPeer nas -Network office | Get-LtMember", "nas")]
    [InlineData("Get-LtMember nas | Get-LtMember", "nas")]
    [InlineData("Get-LtMember (Get-LtMember phone).PublicKey", "phone")]
    [InlineData("Get-LtMember phone | Get-LtPeer", "phone")]
    public async Task GetLtMember_FindsThemByAllThatNamesThem(string script, string names)
    {
        ModuleShell shell = await ServeAsync();

        Assert.Equal(names.Split(' '), (await shell.RunAsync(script)).Output.Select(member => member.Text("Name")));
    }

    [Fact]
    public async Task GetLtMember_Properties_CarryRawValues()
    {
        ModuleShell shell = await ServeAsync();

        ShellResult types = await shell.RunAsync("""
            $member = Get-LtMember phone
            $member.State.GetType().Name; $member.FirstSeen.GetType().Name; $member.LastSeen.GetType().Name; $member.BlockedBy
            $null -eq $member.Version; (Get-LtMember nas).Endpoint; (Get-LtMember laptop).System
            (Get-LtMember nas).Groups -join ' '; (Get-LtMember phone).Groups.Count
            """);

        Assert.Equal(
            [
                "LtMemberState", "DateTimeOffset", "DateTimeOffset", "root", "True", "[2001:db8::7]:9000", "Windows X64", "office servers",
                "0",
            ],
            types.Output.Select(item => item.ToString()));
    }

    [Fact]
    public async Task Members_AreBlockedUnblockedAndRemoved_AsTheyAreNamed()
    {
        ModuleShell shell = await ServeAsync();

        Assert.Empty(
            (await shell.RunAsync("Block-LtMember nas -WhatIf; Remove-LtMember * -WhatIf; Unblock-LtMember phone -WhatIf")).Output);
        Assert.Empty(_server.MemberChanges);
        ShellObject blocked = (await shell.RunAsync("Block-LtMember nas -PassThru")).Single();
        Assert.Equal(("nas", "Blocked"), (blocked.Text("Name"), blocked.Text("State")));
        await shell.RunAsync("Get-LtMember -State Blocked | Unblock-LtMember");
        await shell.RunAsync("Block-LtMember 10.0.0.21; Get-LtPeer phone | Block-LtMember; Remove-LtMember (Get-LtMember phone).PublicKey");

        string[] names = [.. _server.Peers.Select(peer => peer.PublicKey)];
        Assert.Equal(
            [
                (MemberChangeKind.Block, names[0]), (MemberChangeKind.Unblock, names[0]), (MemberChangeKind.Unblock, names[2]),
                (MemberChangeKind.Block, names[1]), (MemberChangeKind.Block, names[2]), (MemberChangeKind.Remove, names[2]),
            ],
            _server.MemberChanges.Select(change => (change.Kind, change.PublicKey)));
        Assert.All(_server.MemberChanges, change => Assert.StartsWith(Environment.UserName, change.By, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Members_GetGroupsAddressesAndNames()
    {
        ModuleShell shell = await ServeAsync();

        Assert.Empty((await shell.RunAsync("Set-LtMember nas -Group a -WhatIf; Rename-LtMember nas store -WhatIf")).Output);
        Assert.Empty(_server.MemberChanges);
        ShellObject set = (await shell.RunAsync("Get-LtMember nas | Set-LtMember -Group Office, b -Address 10.0.0.50 -PassThru")).Single();
        Assert.Equal(("nas", "10.0.0.50"), (set.Text("Name"), set.Text("Address")));
        ShellObject renamed = (await shell.RunAsync("Rename-LtMember 10.0.0.50 store -PassThru")).Single();
        Assert.Equal("store", renamed.Text("Name"));
        await shell.RunAsync("Get-LtMember -State Offline, Blocked | Set-LtMember -Group @()");

        Assert.Equal(
            ["nas//10.0.0.50/Office b", "nas/store//-", "laptop///", "phone///"],
            _server.MemberChanges.Select(change => string.Join(
                '/', _server.Peers.Single(peer => peer.PublicKey == change.PublicKey).Name, change.Name,
                string.Join(' ', change.Addresses ?? []), change.Groups is null ? "-" : string.Join(' ', change.Groups))));
        Assert.All(_server.MemberChanges, change => Assert.StartsWith(Environment.UserName, change.By, StringComparison.Ordinal));
        Assert.All(_server.MemberChanges, change => Assert.Equal(MemberChangeKind.Set, change.Kind));
    }

    [Theory]
    [InlineData("-ExpiresIn 30.00:00", 30)]
    [InlineData("-ExpiresIn 0", 0)]
    public async Task Memberships_GetAnEnd(string parameters, int days)
    {
        ModuleShell shell = await ServeAsync();
        await shell.RunAsync($"Set-LtMember nas {parameters}");
        MemberChange change = Assert.Single(_server.MemberChanges);
        Assert.Equal((TimeSpan.FromDays(days), null, null), (change.ExpiresIn, change.Groups, change.Addresses));
        Assert.Equal("2030-01-01", (await shell.RunAsync("(Get-LtMember laptop).Expires.ToString('yyyy-MM-dd')")).Single().ToString());
    }

    [Fact]
    public async Task WhoAsks_IsApprovedOrDenied_AndMeantByNoOtherCommandThatNamesAMember()
    {
        ModuleShell shell = await ServeAsync();
        _server.Members =
        [
            .. _server.Members, FakeTunnel.Applicant("tablet", MemberState.Pending, "k1"),
            FakeTunnel.Applicant("nas", MemberState.Pending, "k2"),
            FakeTunnel.Applicant("old", MemberState.Denied, "k3"),
        ];
        string[] keys = [.. _server.Members.Select(member => member.PublicKey)];

        Assert.Equal(
            ["tablet", "nas", "old"],
            (await shell.RunAsync("Get-LtMember -State Pending, Denied")).Output.Select(member => member.Text("Name")));
        await shell.RunAsync("Block-LtMember nas; Approve-LtMember * -WhatIf");
        ShellObject denied = (await shell.RunAsync("Deny-LtMember nas -PassThru")).Single();
        Assert.Equal("Denied", denied.Text("State"));
        await shell.RunAsync("Get-LtMember -State Pending | Approve-LtMember; Approve-LtMember old");
        await shell.RunAsync("Get-LtMember -State Denied | Remove-LtMember");

        Assert.Equal(
            [
                (MemberChangeKind.Block, keys[0]), (MemberChangeKind.Deny, keys[4]), (MemberChangeKind.Approve, keys[3]),
                (MemberChangeKind.Approve, keys[5]), (MemberChangeKind.Remove, keys[4]),
            ],
            _server.MemberChanges.Select(change => (change.Kind, change.PublicKey)));
    }

    [Fact]
    public async Task TwoThatAskUnderOneName_AreNotApprovedTogether()
    {
        ModuleShell shell = await ServeAsync();
        _server.Members =
        [
            FakeTunnel.Applicant("tablet", MemberState.Pending, "k1"), FakeTunnel.Applicant("tablet", MemberState.Pending, "k2"),
        ];

        ShellError error = Assert.Single((await shell.TryAsync("Approve-LtMember tablet")).Errors);
        Assert.Contains("2 machines ask to become members under the name 'tablet'", error.Message, StringComparison.Ordinal);
        Assert.Empty(_server.MemberChanges);
        await shell.RunAsync($"Approve-LtMember {_server.Members[1].PublicKey}");
        Assert.Equal(_server.Members[1].PublicKey, Assert.Single(_server.MemberChanges).PublicKey);
    }

    [Theory]
    [InlineData("Approve-LtMember laptop", "NotFound,LightTunnel.ApproveLtMemberCommand", "Get-LtMember")]
    [InlineData("Deny-LtMember laptop", "NotFound,LightTunnel.DenyLtMemberCommand", "Get-LtMember")]
    [InlineData("Set-LtMember nobody -Group a", "NotFound,LightTunnel.SetLtMemberCommand", "Get-LtMember")]
    [InlineData("Set-LtMember nas", "InvalidOption,LightTunnel.SetLtMemberCommand", "-Group, -Address or -ExpiresIn")]
    [InlineData("Set-LtMember * -Address 10.0.0.50", "InvalidOption,LightTunnel.SetLtMemberCommand", "Name one of them")]
    [InlineData("Rename-LtMember nobody a", "NotFound,LightTunnel.RenameLtMemberCommand", "Get-LtMember")]
    [InlineData("Rename-LtMember * a", "InvalidOption,LightTunnel.RenameLtMemberCommand", "Name one of them")]
    [InlineData("Block-LtMember nobody", "NotFound,LightTunnel.BlockLtMemberCommand", "Get-LtMember")]
    [InlineData("Unblock-LtMember nobody", "NotFound,LightTunnel.UnblockLtMemberCommand", "Get-LtMember")]
    [InlineData("Remove-LtMember nobody", "NotFound,LightTunnel.RemoveLtMemberCommand", "Get-LtMember")]
    [InlineData("Get-LtMember nobody", "NotFound,LightTunnel.GetLtMemberCommand", "Get-LtMember")]
    [InlineData("Block-LtMember office", "InvalidOption,LightTunnel.BlockLtMemberCommand", "Name another member")]
    [InlineData("Block-LtMember nas -Network nowhere", "NotFound,LightTunnel.BlockLtMemberCommand", "Get-LtServer")]
    public async Task WhatNamesNobody_IsAnErrorWithARemedy(string script, string id, string remedy)
    {
        ModuleShell shell = await ServeAsync();

        ShellError error = Assert.Single((await shell.TryAsync(script)).Errors);

        Assert.Equal(id, error.ErrorId);
        Assert.Contains(remedy, error.RecommendedAction, StringComparison.Ordinal);
        Assert.Empty(_server.MemberChanges);
    }

    [Fact]
    public async Task OnAClientAlone_NoServerIsFound()
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(FakeTunnel.SampleMember());

        ShellError error = Assert.Single((await shared.Shell.TryAsync("Block-LtMember nas")).Errors);
        Assert.Equal("No server runs on this machine.", error.Message);
        Assert.Empty((await shared.Shell.RunAsync("Get-LtMember")).Output);
    }

    [Theory]
    [InlineData("Block-LtMember la", "laptop")]
    [InlineData("Unblock-LtMember -Name 10.0.0.22", "10.0.0.22")]
    [InlineData("Get-LtMember -State Bl", "Blocked")]
    [InlineData("Remove-LtMember nas -Network of", "office")]
    [InlineData("Set-LtMember nas -Group se", "servers")]
    [InlineData("Rename-LtMember la", "laptop")]
    public async Task Completion_KnowsMembers(string typed, string completed)
    {
        ModuleShell shell = await ServeAsync();

        ShellResult found = await shell.RunAsync(
            "param($t) (TabExpansion2 $t $t.Length).CompletionMatches.ListItemText", new { t = typed });

        Assert.Contains(completed, found.Output.Select(item => item.ToString()));
    }

    private async Task<ModuleShell> ServeAsync()
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(_server);
        return shared.Shell;
    }
}
