using LightTunnel.Lab;
using LightTunnel.Lab.Demo;
using LightTunnel.Lab.Internet;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>Two members behind real NATs of the laboratory, through the commands.</summary>
public sealed class NattedNetworkTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task MembersBehindNats_AreDirect_AndRelayedOnlyWhileTheirPathIsCut()
    {
        TimeSpan delay = TimeSpan.FromMilliseconds(10);
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(delay, "server")
            .WithLan("left", NatKind.PortRestrictedCone, delay, "alice").WithLan("right", NatKind.PortRestrictedCone, delay, "bob"));
        await RunningNetwork.JoinAllAsync(laboratory);
        LabNode alice = laboratory["alice"];
        await using Heartbeat heartbeat = await Heartbeat.StartAsync(alice, laboratory["bob"], RunningNetwork.BobAddress, Token);
        await heartbeat.WaitForAnswerAsync(Patience, Token);

        await BecomesAsync(alice, "Direct", "DirectUp");
        laboratory.CutBetween("alice", "bob");
        await BecomesAsync(alice, "Server", "PathLost", "NoAnswer", "Punching");
        await heartbeat.WaitForAnswerAsync(Patience, Token);
        laboratory.HealBetween("alice", "bob");
        await BecomesAsync(alice, "Direct", "DirectUp");
        await heartbeat.WaitForAnswerAsync(Patience, Token);
    }

    /// <summary>Waits until alice's route to bob is of a type, and looks at the reason that the peer then has.</summary>
    private static async Task BecomesAsync(LabNode alice, string type, params string[] reasons)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        ShellResult route;
        do
            route = await alice.Shell.InvokeAsync($"Get-LtRoute -Destination {RunningNetwork.BobAddress}/32 | Where Type -eq {type}", cancellationToken: deadline.Token);
        while (route.Output.Count == 0);
        ShellResult peer = await alice.Shell.InvokeAsync("Get-LtPeer bob", cancellationToken: deadline.Token);
        Assert.Contains(peer.Single().Text("PathReason"), reasons);
    }
}
