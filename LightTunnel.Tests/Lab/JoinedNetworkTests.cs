using System.Net;
using LightTunnel.Lab;
using LightTunnel.Lab.Demo;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>A network of real processes, real interfaces and the real commands: a server and two clients that are 10 ms apart.</summary>
[Collection(nameof(RunningNetwork))]
public sealed class JoinedNetworkTests(RunningNetwork network)
{
    private static readonly IPAddress ServerAddress = IPAddress.Parse("10.0.0.1");
    private static readonly IPAddress AliceAddress = IPAddress.Parse("10.0.0.10");
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("alice", "10.0.0.1")]
    [InlineData("server", "10.0.0.10")]
    [InlineData("server", "10.0.0.20")]
    [InlineData("alice", "10.0.0.20")]
    [InlineData("bob", "10.0.0.10")]
    [InlineData("alice", "fd00:9::1")]
    [InlineData("bob", "fd00:9::10")]
    public async Task Ping_EveryMemberFromEveryOther_IsAnswered(string from, string to)
    {
        await network.JoinAsync();

        CommandResult ping = await network.Laboratory[from].PingAsync(to, count: 3, TimeSpan.FromMilliseconds(20), Token, "-w", "60");

        Assert.True(ping.ExitCode == 0, ping.Output + ping.Errors);
    }

    [Theory]
    [InlineData("alice", "server")]
    [InlineData("server", "alice")]
    [InlineData("alice", "bob")]
    [InlineData("bob", "alice")]
    public async Task Tcp_BetweenMembers_ArrivesIntact(string from, string to)
    {
        await network.JoinAsync();
        IPAddress address = to switch { "server" => ServerAddress, "alice" => AliceAddress, _ => RunningNetwork.BobAddress };

        TcpTransfer.Result result = await TcpTransfer.RunAsync(
            network.Laboratory[from], network.Laboratory[to], address, 2 << 20, Token).WaitAsync(Patience, Token);

        Assert.True(result.IsIntact);
    }

    [Fact]
    public async Task GetLtRoute_OfAClient_ShowsServerDirectAndClientThroughIt()
    {
        await network.JoinAsync();

        ShellResult all = await network.Alice.Shell.InvokeAsync("Get-LtRoute", cancellationToken: Token);
        ShellResult relayed = await network.Alice.Shell.InvokeAsync("Get-LtRoute | Where Type -eq Server", cancellationToken: Token);

        Assert.Equal("Direct", all.Output.Single(route => route.Text("Destination") == "10.0.0.1/32").Text("Type"));
        ShellObject bob = relayed.Output.Single(route => route.Text("Destination") == "10.0.0.20/32");
        Assert.Equal("10.0.0.1", bob.Text("NextHop"));
        Assert.Equal("bob", bob.Text("Peer"));
        Assert.Equal("LightTunnel.LtRoute", bob.Types[0]);
    }

    [Fact]
    public async Task ServerIsKilledAndStartedAgain_ConnectionsBetweenClientsLiveOn()
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(
            Topology.OpenHosts(TimeSpan.FromMilliseconds(10), "server", "alice", "bob"));
        await RunningNetwork.JoinAllAsync(laboratory);
        await using Heartbeat heartbeat = await Heartbeat.StartAsync(
            laboratory["alice"], laboratory["bob"], RunningNetwork.BobAddress, Token);
        await heartbeat.WaitForAnswerAsync(Patience, Token);

        await laboratory["server"].StopShellAsync(crash: true);
        await laboratory["server"].StartShellAsync([LabPaths.ModuleManifest()], Token);
        await RunningNetwork.StartServerAsync(laboratory);
        await heartbeat.WaitForAnswerAsync(Patience, Token);

        // The members' own path goes on by itself; the server has them back a moment later, and says so until then.
        CommandResult ping;
        long started = TimeProvider.System.GetTimestamp();
        do
            ping = await laboratory["server"].PingAsync("10.0.0.20", count: 1, TimeSpan.FromMilliseconds(200), Token);
        while (ping.ExitCode != 0 && TimeProvider.System.GetElapsedTime(started) < Patience);
        Assert.True(ping.ExitCode == 0, ping.Output + ping.Errors);
    }

    [Fact]
    public async Task StopOrEndOfEverySession_IsToldToTheServerAndLeavesNoInterface()
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(TimeSpan.Zero, "server", "alice", "bob"));
        await RunningNetwork.JoinAllAsync(laboratory);

        await laboratory["alice"].Shell.InvokeAsync("Get-LtNetwork | Disconnect-LtNetwork", cancellationToken: Token);
        await laboratory["bob"].StopShellAsync();
        ShellResult log = await laboratory["server"].Shell.InvokeAsync("(Get-LtLog).Message", cancellationToken: Token);
        Assert.Contains("Client alice (10.0.0.10) left", log.Output.Select(line => line.ToString()));
        Assert.Contains("Client bob (10.0.0.20) left", log.Output.Select(line => line.ToString()));
        await laboratory["server"].Shell.InvokeAsync("Stop-LtServer -Name *", cancellationToken: Token);

        foreach (LabNode node in laboratory.Nodes)
        {
            CommandResult links = await node.ExecuteAsync("ip", ["-br", "link", "show"], Token);
            Assert.Equal(
                ["lo", "wan"], links.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                    .Select(line => line.Split(' ', '@')[0])
                    .Order());
        }
    }
}
