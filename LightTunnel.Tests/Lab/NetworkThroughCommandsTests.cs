using System.Text.RegularExpressions;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>A real network of three machines, looked at through the commands only, as its users do.</summary>
[Collection(nameof(RunningNetwork))]
public sealed partial class NetworkThroughCommandsTests(RunningNetwork network)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task DefaultViews_FitIn80Columns()
    {
        await network.JoinAsync();
        foreach (string command in new[] { "Get-LtPeer", "Get-LtRoute", "Get-LtNetwork", "Get-LtLog -Tail 5" })
        {
            ShellResult result = await network.Alice.Shell.TryInvokeAsync(command, render: true, cancellationToken: Token);
            Assert.Empty(result.Errors);
            Assert.All(result.Text.Split('\n'), line => Assert.True(line.TrimEnd().Length <= 80, line));
        }

        ShellResult peers = await network.Alice.Shell.TryInvokeAsync("Get-LtPeer", render: true, cancellationToken: Token);
        Assert.Contains("bob", peers.Text, StringComparison.Ordinal);
        Assert.Contains("10.0.0.20", peers.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AddressNobodyHas_IsUnreachable_NotSilent()
    {
        await network.JoinAsync();
        CommandResult ping = await network.Alice.PingAsync("10.0.0.77", 1, TimeSpan.FromSeconds(1), Token, "-w", "60");
        Assert.Contains("Destination Host Unreachable", ping.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ServersOwnPackets_ComingFromItsTun_AreDropped_WithTheContractsWarning()
    {
        await network.JoinAsync();

        // A routing loop by hand: the server's own address is taken from the local table, so that it is routed into the tunnel.
        string server = network.Server.Namespace;
        NetworkNamespace.Execute(server, "ip", ["route", "del", "local", "10.0.0.1", "dev", "lt0", "table", "local"]);
        try
        {
            await network.Server.PingAsync("10.0.0.1", 1, TimeSpan.FromSeconds(1), Token, "-I", "203.0.113.1", "-W", "1");
            const string Warning =
                "WARNING: Unexpected packet from TUN destined for server itself (dstIP=10.0.0.1). This might indicate a routing loop.";
            await network.Server.Shell.InvokeAsync(
                """
                param($Message)
                $null = Get-LtLog -Level Warning -Follow | Where-Object Message -eq $Message | Select-Object -First 1
                """,
                new { Message = Warning }, cancellationToken: Token);
        }
        finally
        {
            NetworkNamespace.Execute(
                server, "ip", ["route", "add", "local", "10.0.0.1", "dev", "lt0", "src", "10.0.0.1", "scope", "host", "table", "local"]);
        }
    }

    [Fact]
    public async Task AnotherSessionOfTheMachine_SeesAndStopsTunnels_OfItsOwnMachineOnly()
    {
        await network.JoinAsync();
        await using ShellSession other = await ShellSession.StartAsync(network.Bob.ShellOptions([LabPaths.ModuleManifest()]), Token);

        ShellResult networks = await other.InvokeAsync("Get-LtNetwork", cancellationToken: Token);
        Assert.Equal("bob", networks.Single().Text("Name"));
        Assert.Equal(
            ["server", "alice"],
            (await other.InvokeAsync("(Get-LtPeer | Where Path -ne Offline).Name", cancellationToken: Token)).Output.Select(name =>
                name.ToString()));
        Assert.Empty((await other.InvokeAsync("Get-LtServer", cancellationToken: Token)).Output);

        await other.InvokeAsync("Disconnect-LtNetwork bob", cancellationToken: Token);
        Assert.Empty((await network.Bob.Shell.InvokeAsync("Get-LtNetwork", cancellationToken: Token)).Output);
        await network.Bob.Shell.InvokeAsync(
            "param($text) Connect-LtNetwork -Invitation $text", new { text = network.Invitation }, cancellationToken: Token);
        Assert.Equal("10.0.0.20", await AddressOf(network.Bob, family: 0));
    }

    [Fact]
    public async Task Log_CanBeFollowed_AndFollowingEndsWithCtrlC()
    {
        await network.JoinAsync();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var seen = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<ShellResult> following = network.Server.Shell.TryInvokeAsync(
            "Get-LtLog -Follow -Tail 1", runspace: "follower", onOutput: entry => seen.TrySetResult(entry.Text("Message")!),
            cancellationToken: cancel.Token);

        Assert.NotEmpty(await seen.Task.WaitAsync(TimeSpan.FromMinutes(2), Token));
        await cancel.CancelAsync();
        ShellResult result = await following.WaitAsync(TimeSpan.FromMinutes(2), Token);
        Assert.Equal(ShellState.Stopped, result.State);
    }

    private static async Task<string> AddressOf(LabNode node, int family)
    {
        ShellResult result = await node.Shell.InvokeAsync($"(Get-LtNetwork).Addresses[{family}].ToString()", cancellationToken: Token);
        return AddressPattern().Match(result.Single().ToString()).Value;
    }

    [GeneratedRegex("^[^/]+")]
    private static partial Regex AddressPattern();
}
