using LightTunnel.Lab;
using LightTunnel.Tests.Lab;
using Xunit;

namespace LightTunnel.Tests.Services;

/// <summary>The program of services as systemd starts it and administrators see it, between machines of a laboratory.</summary>
public sealed class HostProcessTests
{
    private const int ConfigurationStatus = 78;

    private static readonly string[] Server =
    [
        "role: server", "name: hub", "address: 10.0.0.1/24", "listenPort: 9000", "endpoint: 203.0.113.1:9000",
    ];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Services_JoinEachOther_TellSystemdHowTheyAre_AnswerOtherSessions_AndLeaveInOrder()
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(TimeSpan.Zero, "server", "alice"));
        LabNode server = laboratory["server"];
        LabNode alice = laboratory["alice"];
        await using HostProcess hub = HostProcess.Start(server, Server);
        await hub.WaitForStateAsync("READY=1");
        Assert.Contains("<6>The tunnel hub has started", hub.Journal, StringComparison.Ordinal);
        string invitation = await ReadAsync(server, "\"$(New-LtInvitation hub)\"");

        await using HostProcess client = HostProcess.Start(alice, "role: client", "name: alice", $"invitation: {invitation}");
        await client.WaitForStateAsync("READY=1");
        Assert.Contains("10.0.0.2/24", await client.WaitForStateAsync("STATUS=Up"), StringComparison.Ordinal);
        await client.WaitForStateAsync("WATCHDOG=1");
        Assert.Equal("hub", await ReadAsync(alice, "(Wait-LtPeer hub -TimeoutSec 60).Name"));
        Assert.Equal("True", await ReadAsync(alice, "(Test-LtP2P hub).RTTAvg -gt 0"));
        Assert.Equal("True", await ReadAsync(alice, "(Test-LtNetwork alice).ServerReachable"));
        Assert.Equal("alice", await ReadAsync(server, "(Get-LtPeer alice).Name"));

        client.Terminate();
        await client.WaitForStateAsync("STOPPING=1");
        Assert.Equal(0, await client.EndAsync());
        Assert.Contains("<6>", client.Journal, StringComparison.Ordinal);
        Assert.DoesNotContain(invitation, client.Journal, StringComparison.Ordinal);
        await ReadAsync(
            server, "while (-not (Get-LtLog | Where-Object Message -like 'Client alice * left')) { Start-Sleep -Milliseconds 50 }; 1");

        await ReadAsync(server, "Stop-LtServer hub -Confirm:$false; 1");
        Assert.Equal(0, await hub.EndAsync());
    }

    [Fact]
    public async Task ClientWithoutANetwork_CountsAsStarted_AndJoinsWhenThereIsOne()
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(TimeSpan.Zero, "server", "alice"));
        LabNode server = laboratory["server"];
        LabNode alice = laboratory["alice"];
        await RunningNetwork.StartServerAsync(laboratory);
        string invitation = await ReadAsync(server, "\"$(New-LtInvitation)\"");
        string uplink = (await alice.ExecuteAsync("ip", ["-4", "route", "show", "default"], Token)).Output.Trim();
        await alice.ExecuteAsync("ip", ["route", "del", "default"], Token);

        await using HostProcess client = HostProcess.Start(alice, "role: client", "name: alice", $"invitation: {invitation}");
        await client.WaitForStateAsync("READY=1");
        Assert.DoesNotContain("STATUS=Up", await client.WaitForStateAsync("STATUS="), StringComparison.Ordinal);
        await alice.ExecuteAsync("ip", ["route", "add", .. uplink.Split(' ')], Token);
        await client.WaitForStateAsync("STATUS=Up");
    }

    [Fact]
    public async Task WrongConfiguration_EndsWithTheReason_AndAStatusOfItsOwn()
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(TimeSpan.Zero, "server"));
        await using HostProcess host = HostProcess.Start(laboratory["server"], [.. Server, "maxClient: 3", "networkKey: c2VjcmV0"]);

        Assert.Equal(ConfigurationStatus, await host.EndAsync());
        Assert.Contains("host.yaml(6,1): error: 'maxClient' is not a key of this file.", host.Journal, StringComparison.Ordinal);
        Assert.Contains("Write maxClients.", host.Journal, StringComparison.Ordinal);
        Assert.DoesNotContain("c2VjcmV0", host.Journal, StringComparison.Ordinal);
    }

    private static async Task<string> ReadAsync(LabNode node, string script) =>
        (await node.Shell.InvokeAsync(script, cancellationToken: Token)).Output[^1].ToString();
}
