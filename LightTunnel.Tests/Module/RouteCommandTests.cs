using System.Runtime.Versioning;
using LightTunnel.Engine.Server;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>The commands with which people offer, approve and take networks behind members, here of a server in another process.</summary>
[SupportedOSPlatform("linux")]
public sealed class RouteCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    private readonly FakeTunnel _server = new("office", TunnelRole.Server)
    {
        Routes =
        [
            Route("10.0.0.20/32", "nas", RouteStanding.Active) with { IsSubnet = false },
            Route("192.168.7.0/24", "nas", RouteStanding.Offered), Route("192.168.7.0/24", "gateway", RouteStanding.Approved),
            Route("192.168.8.0/24", "gateway", RouteStanding.Denied),
            Route("192.168.1.0/24", "office", RouteStanding.Approved) with { Type = RouteType.Own },
        ],
    };

    private static RouteStatus Route(string destination, string peer, RouteStanding standing) => new()
    {
        Tunnel = "office", Destination = destination, Type = RouteType.Server, Peer = peer, PublicKey = $"key of {peer}", IsSubnet = true,
        State = RouteState.Up, Standing = standing, StandingReason = $"It is {standing}.", Updated = DateTimeOffset.UnixEpoch,
    };

    [Fact]
    public async Task Networks_AreApprovedAndDenied_AsTheyAreNamed()
    {
        ModuleShell shell = await ServeAsync();

        await shell.RunAsync("Approve-LtRoute 192.168.7.0/24 -Peer nas; Deny-LtRoute 192.168.7.0/24; Approve-LtRoute * -WhatIf");
        await shell.RunAsync("Get-LtRoute | Where-Object Standing -eq Denied | Approve-LtRoute");
        await shell.RunAsync("Approve-LtRoute 192.168.8.* -Peer gate*");

        Assert.Equal(
            [
                "key of nas +192.168.7.0/24 -", "key of nas + -192.168.7.0/24", "key of gateway + -192.168.7.0/24",
                "key of gateway +192.168.8.0/24 -", "key of gateway +192.168.8.0/24 -",
            ],
            _server.MemberChanges.Select(change =>
                $"{change.PublicKey} +{string.Join(',', change.ApproveRoutes ?? [])} -{string.Join(',', change.DenyRoutes ?? [])}"));
        Assert.All(_server.MemberChanges, change => Assert.Equal(MemberChangeKind.Set, change.Kind));
    }

    [Theory]
    [InlineData("Approve-LtRoute 10.0.0.20/32")]
    [InlineData("Deny-LtRoute 192.168.1.0/24")]
    [InlineData("Approve-LtRoute 172.16.0.0/12")]
    [InlineData("Approve-LtRoute 192.168.8.0/24 -Peer nas")]
    public async Task WhatNoMemberOffers_IsAnErrorWithARemedy(string script)
    {
        ModuleShell shell = await ServeAsync();

        ShellResult result = await shell.TryAsync(script);
        Assert.Contains("offers a network", Assert.Single(result.Errors).Message, StringComparison.Ordinal);
        Assert.Empty(_server.MemberChanges);
    }

    [Fact]
    public async Task Approve_NetworkThatSeveralOffer_AsksWhose()
    {
        ModuleShell shell = await ServeAsync();

        ShellResult result = await shell.TryAsync("Approve-LtRoute 192.168.7.0/24, 192.168.8.0/24");
        Assert.Equal(
            "Several members offer the network 192.168.7.0/24: nas, gateway.",
            Assert.Single(result.Errors).Message.Split(" Say whose")[0]);
        Assert.Equal("192.168.8.0/24", Assert.Single(Assert.Single(_server.MemberChanges).ApproveRoutes!));
        await shell.RunAsync("Approve-LtRoute 192.168.7.0/24 -Peer *");
        Assert.Equal(3, _server.MemberChanges.Count);
    }

    [Fact]
    public async Task GetLtRoute_SaysWhatBecameOfANetwork_AndWhy()
    {
        ModuleShell shell = await ServeAsync();

        ShellResult result = await shell.RunAsync(
            "Get-LtRoute | Where-Object IsSubnet | ForEach-Object { \"$($_.Destination) $($_.Peer) $($_.Standing) "
                + "$($_.StandingReason)\" }; @(Get-LtRoute | Where-Object Type -eq Server).Count; (Get-LtRoute -Type Own).Destination");
        Assert.Equal(
            [
                "192.168.7.0/24 nas Offered It is Offered.", "192.168.7.0/24 gateway Approved It is Approved.",
                "192.168.8.0/24 gateway Denied It is Denied.", "192.168.1.0/24 office Approved It is Approved.", "4", "192.168.1.0/24",
            ],
            result.Output.Select(item => item.ToString()));
    }

    [Fact]
    public async Task SetLtNetwork_AsksForWhatIsSaid_AndForNothingElse()
    {
        ModuleShell shell = await ServeAsync();

        await shell.RunAsync("Set-LtNetwork office -Route 192.168.7.0/24 -As 10.99.7.0/24 -NoSnat -WhatIf");
        Assert.Empty(_server.RouteChanges);
        await shell.RunAsync("Set-LtNetwork office -Route 192.168.7.0/24 -As 10.99.7.0/24 -NoSnat");
        await shell.RunAsync("Set-LtNetwork office -AcceptRoute 192.168.0.0/16 -Force; Set-LtNetwork office -Route @() -NoSnat:$false");
        ShellObject server = (await shell.RunAsync("Get-LtServer | Set-LtNetwork -AcceptRoute * -PassThru")).Single();

        Assert.Equal("office", server.Text("Name"));
        Assert.Equal(
            ["192.168.7.0/24|10.99.7.0/24|True||", "|||192.168.0.0/16|True", "-||False||", "|||*|False"],
            _server.RouteChanges.Select(change => string.Join(
                '|', Text(change.Route), Text(change.As), change.NoSnat, Text(change.AcceptRoute), change.ForceRoute)));

        static string? Text(IReadOnlyList<string>? list) => list is null ? null : list.Count == 0 ? "-" : string.Join(',', list);
    }

    [Fact]
    public async Task ExitNode_IsChosen_WithWhatBelongsToIt_AndLeftAgain()
    {
        ModuleShell shell = await ServeAsync();
        await shell.RunAsync(
            "Set-LtNetwork office -ExitNode far -AllowLan -KillSwitch; Set-LtNetwork office -KillSwitch:$false; "
                + "Set-LtNetwork office -ExitNode none; Set-LtNetwork office -OfferExitNode; Set-LtNetwork office -OfferExitNode -WhatIf");
        Assert.Equal(
            ["|far|True|True", "|||False", "|none||", "True|||"],
            _server.RouteChanges.Select(change => $"{change.OfferExitNode}|{change.ExitNode}|{change.AllowLan}|{change.KillSwitch}"));
    }

    [Theory]
    [InlineData("Set-LtNetwork office", "Nothing says what is to be set")]
    [InlineData("Set-LtNetwork office -Force", "Nothing says what is to be set")]
    public async Task SetLtNetwork_WithNothingToSet_SaysSo(string script, string message)
    {
        ModuleShell shell = await ServeAsync();

        ShellResult result = await shell.TryAsync(script);
        Assert.Contains(message, Assert.Single(result.Errors).Message, StringComparison.Ordinal);
        Assert.Empty(_server.RouteChanges);
    }

    private async Task<ModuleShell> ServeAsync()
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(_server);
        return shared.Shell;
    }
}
