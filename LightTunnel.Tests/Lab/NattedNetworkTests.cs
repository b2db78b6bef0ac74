using LightTunnel.Internet.Nats;
using LightTunnel.Lab;
using LightTunnel.Lab.Demo;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>Two members behind real NATs of the laboratory, through the commands.</summary>
public sealed class NattedNetworkTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

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
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var begun = new TaskCompletionSource();
        Task<ShellResult> watching = alice.Shell.TryInvokeAsync(
            $"Watch-LtRoute {RunningNetwork.BobAddress}", runspace: "watch", onOutput: _ => begun.TrySetResult(),
            cancellationToken: stop.Token);
        await begun.Task.WaitAsync(Patience, Token);
        laboratory.CutBetween("alice", "bob");
        await BecomesAsync(alice, "Server", "PathLost", "NoAnswer", "Punching");
        await heartbeat.WaitForAnswerAsync(Patience, Token);
        laboratory.HealBetween("alice", "bob");
        await BecomesAsync(alice, "Direct", "DirectUp");
        await heartbeat.WaitForAnswerAsync(Patience, Token);

        await stop.CancelAsync();
        string?[] paths = [.. (await watching).Output.Select(change => change.Text("Type"))];
        Assert.Contains("Server", paths);
        Assert.Equal(("Direct", "Direct"), (paths[0], paths[^1]));
    }

    [Fact]
    public async Task TestLtP2P_DirectPair_IsMeasuredDirectlyAndByTheServer()
    {
        TimeSpan delay = TimeSpan.FromMilliseconds(10);
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(delay, "server")
            .WithLan("left", NatKind.PortRestrictedCone, delay, "alice").WithLan("right", NatKind.FullCone, delay, "bob"));
        await RunningNetwork.JoinAllAsync(laboratory);
        LabNode alice = laboratory["alice"];

        ShellObject result = (await alice.Shell.InvokeAsync("Get-LtPeer bob | Test-LtP2P", cancellationToken: Token)).Single();

        Assert.Equal(("True", "Direct", "DirectUp"), (result.Text("P2P"), result.Text("Type"), result.Text("Reason")));
        Assert.Equal(("PortRestrictedCone", "198.51.100.2"), (result.Text("LocalNat"), result.Text("Endpoint")!.Split(':')[0]));
        Assert.Null(result.Text("RecommendedAction"));
        TimeSpan direct = Span(result, "RTTAvg"), byServer = Span(result, "ServerRTT");
        // A busy machine makes round trips longer, never shorter than the wires are.
        Assert.True(direct >= 2 * delay && byServer >= 4 * delay, $"{direct}, by the server {byServer}");
        Assert.Equal(
            "True", (await alice.Shell.InvokeAsync("Test-LtP2P 10.0.0.20 -Quiet -Count 2", cancellationToken: Token)).Single().ToString());
        // The server is one of alice's peers, and the other way round.
        Assert.Equal(
            "IsServer", (await alice.Shell.InvokeAsync("Test-LtP2P 10.0.0.1 -Count 2", cancellationToken: Token)).Single().Text("Reason"));
        Assert.Equal(
            "True",
            (await laboratory["server"].Shell.InvokeAsync(
                "Test-LtP2P alice -Quiet -Count 2", cancellationToken: Token)).Single().ToString());

        ShellObject network = (await alice.Shell.InvokeAsync("Test-LtNetwork", cancellationToken: Token)).Single();
        Assert.Equal(("True", "1400", "1400"), (network.Text("ServerReachable"), network.Text("Mtu"), network.Text("LargestPacket")));
        Assert.Equal(("EndpointIndependent", "PortRestrictedCone"), (network.Text("NatMapping"), network.Text("Nat")));
        Assert.Empty(network["Problems"].EnumerateArray());
        // Half a round trip goes into it, whatever that is on a busy machine.
        Assert.InRange(Span(network, "ClockOffset").Duration(), TimeSpan.Zero, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task TestLtP2P_TwoRandomNats_SaysWhyAndWhatToDo()
    {
        TimeSpan delay = TimeSpan.FromMilliseconds(10);
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(delay, "server")
            .WithLan("left", NatKind.SymmetricRandom, delay, "alice").WithLan("right", NatKind.SymmetricRandom, delay, "bob"));
        await RunningNetwork.JoinAllAsync(laboratory);
        LabNode alice = laboratory["alice"];

        // Until it was tried to the end, the reason is that it is being tried.
        ShellObject result;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        do
            result = (await alice.Shell.InvokeAsync("Get-LtRoute 10.0.0.20 | Test-LtP2P", cancellationToken: deadline.Token)).Single();
        while (result.Text("Reason") == "Punching");

        Assert.Equal(("False", "Server", "BothNatsRandom"), (result.Text("P2P"), result.Text("Type"), result.Text("Reason")));
        Assert.Equal(("Symmetric", "Symmetric"), (result.Text("LocalNat"), result.Text("PeerNat")));
        Assert.Contains("-AdvertiseEndpoint", result.Text("RecommendedAction"), StringComparison.Ordinal);
        Assert.Contains(result["Candidates"].EnumerateArray(), candidate => candidate.GetProperty("Result").GetString() == "NoAnswer");
        Assert.True(Span(result, "ServerRTT") >= 3 * delay, $"{Span(result, "ServerRTT")}");
        Assert.Equal(
            "False", (await alice.Shell.InvokeAsync("Test-LtP2P bob -Quiet -Count 2", cancellationToken: Token)).Single().ToString());
        Assert.Contains(
            "random port",
            (await alice.Shell.InvokeAsync("(Test-LtNetwork).Problems.Message", cancellationToken: Token)).Single().ToString(),
            StringComparison.Ordinal);

        await alice.Shell.InvokeAsync("Set-LtPeer bob -PathPolicy DirectOnly", cancellationToken: Token);
        Assert.Equal(
            "Policy", (await alice.Shell.InvokeAsync("Test-LtP2P bob -Count 2", cancellationToken: Token)).Single().Text("Reason"));
    }

    private static TimeSpan Span(ShellObject result, string property) =>
        TimeSpan.ParseExact(result.Text(property)!, "c", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Waits until alice reaches bob in a way, for one of these reasons.</summary>
    private static async Task BecomesAsync(LabNode alice, string type, params string[] reasons)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        ShellObject peer;
        do
            peer = (await alice.Shell.InvokeAsync("Get-LtPeer bob", cancellationToken: deadline.Token)).Single();
        while (peer.Text("Path") != type || !reasons.Contains(peer.Text("PathReason")));
    }
}
