using System.Net;
using System.Text.RegularExpressions;
using LightTunnel.Lab;
using LightTunnel.Lab.Demo;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Windows;

/// <summary>The Windows half of the engine, run in a network with Linux machines.</summary>
[Collection(nameof(WindowsNetwork))]
public sealed partial class WindowsNodeTests(WindowsNetwork network)
{
    /// <summary>Only so that what hangs is named: a busy machine takes its time.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Join_GivesTheInterfaceItsAddressesAndTheNetworksMtu()
    {
        await network.JoinAsync();

        ShellObject joined = (await network.Windows.InvokeAsync(
            "Get-LtNetwork windows", cancellationToken: Token)).Single();
        CommandResult shown = await network["windows"].ExecuteAsync("ip", ["addr", "show", joined.Text("Interface")!], Token);

        Assert.Equal("Up", joined.Text("State"));
        Assert.Contains("inet 10.0.0.30/24", shown.Output);
        Assert.Contains("inet6 fd00:9::30/64", shown.Output);
        Assert.Contains($"mtu {joined.Text("Mtu")} ", shown.Output);
    }

    [Theory]
    [InlineData("windows", "10.0.0.1")]
    [InlineData("server", "10.0.0.30")]
    [InlineData("windows", "10.0.0.10")]
    [InlineData("alice", "10.0.0.30")]
    [InlineData("windows", "fd00:9::1")]
    [InlineData("alice", "fd00:9::30")]
    public async Task Ping_IsAnswered(string from, string to)
    {
        await network.JoinAsync();

        CommandResult ping = await network[from].PingAsync(to, count: 3, TimeSpan.FromMilliseconds(20), Token, "-w", "60");

        Assert.True(ping.ExitCode == 0, ping.Output + ping.Errors);
    }

    [Theory]
    [InlineData("windows", "server", "10.0.0.1")]
    [InlineData("server", "windows", "10.0.0.30")]
    public async Task Tcp_ArrivesIntact(string from, string to, string address)
    {
        await network.JoinAsync();

        TcpTransfer.Result result = await TcpTransfer.RunAsync(
            network[from], network[to], IPAddress.Parse(address), 1 << 20, Token).WaitAsync(Patience, Token);

        Assert.True(result.IsIntact);
    }

    [Fact]
    public async Task TcpOfBothWays_GoesAsTrains_ByTheRealDeclarationsOfWinsock()
    {
        await network.JoinAsync();
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);

        string told;
        do
        {
            await TcpTransfer.RunAsync(network["windows"], network["alice"], IPAddress.Parse("10.0.0.10"), 1 << 20, deadline.Token);
            await TcpTransfer.RunAsync(network["alice"], network["windows"], IPAddress.Parse("10.0.0.30"), 1 << 20, deadline.Token);
            told = File.Exists(network.Machine.SegmentsFile)
                ? await File.ReadAllTextAsync(network.Machine.SegmentsFile, deadline.Token)
                : string.Empty;
        }
        while (!SegmentsInBothWays().IsMatch(told));

        Assert.EndsWith("wrong control messages 0", told.Trim());
    }

    [Fact]
    public async Task Member_OnLinux_IsDirect()
    {
        await network.JoinAsync();
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);

        ShellResult route;
        do
        {
            await network["windows"].PingAsync("10.0.0.10", count: 1, TimeSpan.FromMilliseconds(20), deadline.Token);
            route = await network.Windows.InvokeAsync(
                "Get-LtRoute 10.0.0.10/32", cancellationToken: deadline.Token);
        }
        while (route.Single().Text("Type") != "Direct");

        Assert.Equal("alice", route.Single().Text("Peer"));
    }

    [Fact]
    public async Task SecondTunnel_IsAServer_BesideTheFirst()
    {
        await network.JoinAsync();
        ShellSession alice = network["alice"].Shell;
        await network.Windows.InvokeAsync(
            "Start-LtServer -Name second -Address 10.1.0.1/24 -ListenPort 9001 -Endpoint 203.0.113.3:9001 "
                + "-StatePath 'C:\\LightTunnel\\second'",
            cancellationToken: Token);
        ShellResult invitation = await network.Windows.InvokeAsync("\"$(New-LtInvitation)\"", cancellationToken: Token);
        await alice.InvokeAsync(
            "param($Invitation, $StatePath) Connect-LtNetwork -Name second -Invitation $Invitation "
                + "-StatePath $StatePath -Address 10.1.0.10",
            new { Invitation = invitation.Single().ToString(), StatePath = Path.Combine(network["alice"].Folder, "second") },
            cancellationToken: Token);

        foreach ((string from, string to) in new[]
        {
            ("windows", "10.1.0.10"), ("alice", "10.1.0.1"), ("windows", "10.0.0.1"), ("server", "10.0.0.30"),
        })
        {
            CommandResult ping = await network[from].PingAsync(to, count: 2, TimeSpan.FromMilliseconds(20), Token, "-w", "60");
            Assert.True(ping.ExitCode == 0, ping.Output + ping.Errors);
        }

        await alice.InvokeAsync("Disconnect-LtNetwork second", cancellationToken: Token);
        await network.Windows.InvokeAsync("Stop-LtServer second", cancellationToken: Token);
        CommandResult links = await network["windows"].ExecuteAsync("ip", ["-br", "link", "show"], Token);
        Assert.DoesNotContain("lt1", links.Output);
    }

    [Fact]
    public async Task EndOfTheProcess_SaysGoodbye_AndOneThatWasKilledHasItsAddressAgain()
    {
        await network.JoinAsync();
        WindowsMachine machine = await network.GuestAsync();
        const string Join = "param($text) \"$((Connect-LtNetwork -Name guest -Invitation $text).Addresses[0])\"";
        var line = new { text = network.Invitation };
        string address;
        await using (ShellSession killed = await machine.StartShellAsync("guest"))
        {
            address = (await killed.InvokeAsync(Join, line, cancellationToken: Token)).Single().ToString();
            killed.Kill();
        }

        await using (ShellSession again = await machine.StartShellAsync("guest"))
        {
            Assert.Equal(address, (await again.InvokeAsync(Join, line, cancellationToken: Token)).Single().ToString());
            CommandResult ping = await network["server"].PingAsync(
                address.Split('/')[0], count: 2, TimeSpan.FromMilliseconds(20), Token, "-w", "60");
            Assert.True(ping.ExitCode == 0, ping.Output + ping.Errors);
            // Who has lost its server for a moment, on a busy machine, has nobody to say goodbye to.
            await again.InvokeAsync("Wait-LtNetwork guest -TimeoutSec 90 -ErrorAction Stop", cancellationToken: Token);
        }

        await LeftAsync("guest");
    }

    [Fact]
    public async Task AnotherProcess_SeesTheTunnel_AndEndsIt_WithAGoodbye()
    {
        await network.JoinAsync();
        WindowsMachine machine = await network.GuestAsync();
        await using ShellSession first = await machine.StartShellAsync("seen");
        await first.InvokeAsync(
            "param($text) Connect-LtNetwork -Name seen -Invitation $text", new { text = network.Invitation }, cancellationToken: Token);
        string process = (await first.InvokeAsync("\"$PID\"", cancellationToken: Token)).Single().ToString();
        await using ShellSession second = await machine.StartShellAsync("other");

        ShellObject found = (await second.InvokeAsync("Get-LtNetwork", cancellationToken: Token)).Single();
        // A machine that is busy for seconds loses its server, and finds it again.
        await second.InvokeAsync("Wait-LtNetwork seen -TimeoutSec 90 -ErrorAction Stop", cancellationToken: Token);
        await second.InvokeAsync("Disconnect-LtNetwork seen", cancellationToken: Token);

        Assert.Equal(("seen", process), (found.Text("Name"), found.Text("ProcessId")));
        Assert.Empty((await first.InvokeAsync("Get-LtNetwork", cancellationToken: Token)).Output);
        Assert.Empty((await second.InvokeAsync("Get-LtNetwork", cancellationToken: Token)).Output);
        await LeftAsync("seen");
    }

    [Fact]
    public async Task NetworkTest_NamesTheAdapterThatTakesAPartOfTheTunnelsNetwork()
    {
        await network.JoinAsync();
        const string Part = "10.0.0.192/26";
        string uplink = (await network["windows"].ExecuteAsync("ip", ["-br", "link", "show", "up"], Token)).Output.Split('\n')
            .Select(line => line.Split(['@', ' '])[0])
            .First(name => name.Length > 0 && name != "lo" && !name.StartsWith("lt", StringComparison.Ordinal));
        CommandResult routed = await network["windows"].ExecuteAsync("ip", ["route", "add", Part, "dev", uplink], Token);
        Assert.True(routed.ExitCode == 0, routed.Errors);
        ShellResult told;
        try
        {
            told = await network.Windows.InvokeAsync(
                "(Test-LtNetwork windows -TimeoutSec 90).Problems | ForEach-Object Message", cancellationToken: Token);
        }
        finally
        {
            await network["windows"].ExecuteAsync("ip", ["route", "del", Part, "dev", uplink], Token);
        }

        Assert.Contains(
            told.Output, message => message.ToString().Contains($"'{uplink}'", StringComparison.Ordinal)
                && message.ToString().EndsWith($": {Part}.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task WhatTheDriverSays_IsInTheLog()
    {
        await network.JoinAsync();

        ShellResult told = await network.Windows.InvokeAsync(
            "(Get-LtLog windows).Message -like 'Wintun: *'", cancellationToken: Token);

        Assert.NotEmpty(told.Output);
    }

    /// <summary>Wine has the interfaces of the firewall and implements next to nothing of them.</summary>
    [Fact]
    public async Task FirewallThatDoesNotAnswer_IsAWarning_AndTheTunnelGoesOn()
    {
        await network.JoinAsync();
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);

        ShellResult told;
        do
        {
            told = await network.Windows.InvokeAsync(
                "(Get-LtLog windows).Message -like 'The Windows Firewall was not told of UDP port *: This Windows *'",
                cancellationToken: deadline.Token);
        }
        while (told.Output.Count == 0);
    }

    [Fact]
    public async Task WintunDll_IsNotThere_TheErrorSaysWhereToGetItAndWhereToPutIt()
    {
        await network.JoinAsync();
        await using ShellSession shell = await network.Machine.StartShellAsync("bare", driver: false);

        ShellResult result = await shell.TryInvokeAsync(
            "param($text) Connect-LtNetwork -Name bare -Invitation $text", new { text = network.Invitation }, cancellationToken: Token);

        ShellError error = Assert.Single(result.Errors);
        Assert.Contains("wintun.dll", error.Message);
        Assert.Contains("https://www.wintun.net", error.RecommendedAction);
        Assert.Contains(@"\Engine\wintun.dll", error.RecommendedAction);
    }

    /// <summary>Waits until the server knows that a member left, which it does not by itself for minutes.</summary>
    private async Task LeftAsync(string member)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        ShellResult left;
        do
        {
            left = await network["server"].Shell.InvokeAsync(
                "param($name) (Get-LtLog).Message | Where-Object { $_ -like \"Client $name (*) left\" }", new { name = member },
                cancellationToken: deadline.Token);
        }
        while (left.Output.Count == 0);
    }

    [GeneratedRegex("^trains sent [1-9].*merged receives [1-9]")]
    private static partial Regex SegmentsInBothWays();
}
