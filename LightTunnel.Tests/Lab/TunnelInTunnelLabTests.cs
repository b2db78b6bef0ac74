using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>Another overlay, as a cluster's network is one, over the network.</summary>
public sealed class TunnelInTunnelLabTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Vxlan_OverTheNetwork_IsNoWayToTheMemberBehindIt()
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(
            Topology.OpenHosts(TimeSpan.FromMilliseconds(4), "server", "alice", "bob"));
        await RunningNetwork.JoinAllAsync(laboratory);
        LabNode alice = laboratory["alice"], bob = laboratory["bob"];
        await AddVxlanAsync(alice, "10.0.0.10", "10.0.0.20", "10.244.0.1/24");
        await AddVxlanAsync(bob, "10.0.0.20", "10.0.0.10", "10.244.0.2/24");
        await PingAsync(alice, "10.244.0.2");

        // An ordinary address that came later is known to bob: so would be the overlay's.
        await IpAsync(alice, "address", "add", "192.0.2.77/32", "dev", "wan");
        string[] candidates;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        do
        {
            ShellResult test = await bob.Shell.InvokeAsync(
                "(Test-LtP2P alice -Count 1).Candidates | ForEach-Object { \"$($_.Endpoint)\" }", cancellationToken: deadline.Token);
            candidates = [.. test.Output.Select(candidate => candidate.ToString())];
        }
        while (!candidates.Any(candidate => candidate.StartsWith("192.0.2.77:", StringComparison.Ordinal)));

        Assert.DoesNotContain(candidates, candidate => candidate.StartsWith("10.244.", StringComparison.Ordinal));
        ShellResult route = await bob.Shell.InvokeAsync("Get-LtRoute 10.0.0.10/32", cancellationToken: Token);
        Assert.DoesNotContain("10.244.", route.Single().Text("Endpoint"), StringComparison.Ordinal);
        await PingAsync(bob, "10.244.0.1");
    }

    private static async Task AddVxlanAsync(LabNode node, string local, string remote, string address)
    {
        CommandResult added = await node.ExecuteAsync(
            "ip", ["link", "add", "pods", "type", "vxlan", "id", "7", "local", local, "remote", remote, "dstport", "4789"], Token);
        Assert.SkipUnless(added.ExitCode == 0, "needs a kernel with VXLAN");
        await IpAsync(node, "link", "set", "pods", "mtu", "1300", "up");
        await IpAsync(node, "address", "add", address, "dev", "pods");
    }

    private static async Task IpAsync(LabNode node, params string[] arguments) =>
        Assert.Equal(0, (await node.ExecuteAsync("ip", arguments, Token)).ExitCode);

    private static async Task PingAsync(LabNode node, string address)
    {
        long started = TimeProvider.System.GetTimestamp();
        while ((await node.ExecuteAsync("ping", ["-c", "1", "-W", "5", address], Token)).ExitCode != 0)
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Patience, $"{address} does not answer.");
    }
}
