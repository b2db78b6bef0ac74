using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;
using LightTunnel.Lab;
using LightTunnel.Lab.Demo;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>How members come to be direct, or relayed by one of them, with real sockets and through the commands.</summary>
public sealed class DirectThroughCommandsTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(10);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RandomPortsAgainstPortRestricted_AreGuessed_AndCarryData()
    {
        await using Laboratory laboratory = await StartAsync(
            NatKinds.Layers(NatKind.SymmetricRandom), NatKinds.Layers(NatKind.PortRestrictedCone));
        await RunningNetwork.JoinAllAsync(laboratory);
        await BecomesAsync(laboratory, "alice", "bob", "Direct");
        await BecomesAsync(laboratory, "bob", "alice", "Direct");
        TcpTransfer.Result result = await TcpTransfer.RunAsync(
            laboratory["alice"], laboratory["bob"], RunningNetwork.BobAddress, 4 << 20, Token).WaitAsync(Patience, Token);
        Assert.True(result.IsIntact);
        await BecomesAsync(laboratory, "alice", "bob", "Direct");
    }

    [Fact]
    public async Task RouterForwardsAPort_ByPcp_MembersBehindRandomPortsAreDirectByIt()
    {
        NatSettings random = NatKinds.Layers(NatKind.SymmetricRandom)[0];
        await using Laboratory laboratory = await StartAsync([random with { Forwarding = PortForwarding.Pcp }], [random]);
        await RunningNetwork.JoinAllAsync(laboratory);
        await BecomesAsync(laboratory, "bob", "alice", "Direct");
        ShellResult log = await laboratory["alice"].Shell.InvokeAsync(
            "Get-LtLog | Where-Object Message -like 'The router*'", cancellationToken: Token);
        Assert.Matches(@"^The router 192\.168\.1\.1 forwards 198\.51\.100\.1:\d+ to this node \(Pcp\)$", log.Output[0].Text("Message"));
    }

    [Fact]
    public async Task ThirdMember_NearerThanTheServer_Relays_AndTheServerTakesOverWhenItIsGone()
    {
        IReadOnlyList<NatSettings> random = NatKinds.Layers(NatKind.SymmetricRandom);
        Topology topology = Topology.OpenHosts(
            TimeSpan.FromMilliseconds(80), "server").WithLan("left", random, WireConditions.WithDelay(Delay / 2), "alice")
            .WithLan("right", random, WireConditions.WithDelay(Delay / 2), "bob").WithLan("middle", NatKind.Open, Delay, "carol");
        await using Laboratory laboratory = await LabFixture.StartAsync(topology);
        string invitation = await RunningNetwork.JoinAllAsync(laboratory);
        await laboratory["carol"].Shell.InvokeAsync(
            "param($text) Connect-LtNetwork -Invitation $text -Address 10.0.0.30", new { text = invitation }, cancellationToken: Token);
        await BecomesAsync(laboratory, "alice", "carol", "Direct");
        await BecomesAsync(laboratory, "bob", "carol", "Direct");

        await using Heartbeat heartbeat = await Heartbeat.StartAsync(
            laboratory["alice"], laboratory["bob"], RunningNetwork.BobAddress, Token);
        await heartbeat.WaitForAnswerAsync(Patience, Token);
        await BecomesAsync(laboratory, "alice", "bob", "Relay");
        ShellResult route = await laboratory["alice"].Shell.InvokeAsync("Get-LtRoute 10.0.0.20/32", cancellationToken: Token);
        Assert.Equal("10.0.0.30", route.Single().Text("NextHop"));
        Assert.Equal("1", route.Single().Text("Hops"));

        heartbeat.Forget();
        await laboratory["carol"].StopShellAsync(crash: true);
        await heartbeat.WaitForAnswerAsync(Patience, Token);
        await BecomesAsync(laboratory, "alice", "bob", "Server");
    }

    [Fact]
    public async Task RouterGetsAnotherAddress_UnderTraffic_MembersAreDirectAgain()
    {
        await using Laboratory laboratory = await StartAsync(
            NatKinds.Layers(NatKind.PortRestrictedCone), NatKinds.Layers(NatKind.PortRestrictedCone));
        await RunningNetwork.JoinAllAsync(laboratory);
        await using Heartbeat heartbeat = await Heartbeat.StartAsync(
            laboratory["alice"], laboratory["bob"], RunningNetwork.BobAddress, Token);
        await heartbeat.WaitForAnswerAsync(Patience, Token);
        await BecomesAsync(laboratory, "alice", "bob", "Direct");

        laboratory.ChangeOutsideAddress("left", "198.51.100.99");
        await heartbeat.WaitForAnswerAsync(Patience, Token);
        await BecomesAsync(laboratory, "bob", "alice", "Direct", endpoint: "198.51.100.99:");
        await heartbeat.WaitForAnswerAsync(Patience, Token);
    }

    [Fact]
    public async Task AnotherAddressOfTheMachine_IsToldToTheOthers_WithoutARestart()
    {
        await using Laboratory laboratory = await StartAsync(
            NatKinds.Layers(NatKind.PortRestrictedCone), NatKinds.Layers(NatKind.PortRestrictedCone));
        await RunningNetwork.JoinAllAsync(laboratory);
        await BecomesAsync(laboratory, "bob", "alice", "Direct");
        CommandResult added = await laboratory["alice"].ExecuteAsync("ip", ["address", "add", "192.168.1.77/24", "dev", "wan"], Token);
        Assert.Equal(0, added.ExitCode);

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        ShellResult told;
        do
        {
            told = await laboratory["bob"].Shell.InvokeAsync(
                "(Test-LtP2P alice -Count 1).Candidates | Where-Object { \"$($_.Endpoint)\".StartsWith('192.168.1.77:') }",
                cancellationToken: deadline.Token);
        }
        while (told.Output.Count == 0);
        Assert.Equal("Host", told.Output[0].Text("Kind"));
        await BecomesAsync(laboratory, "bob", "alice", "Direct");
    }

    private static Task<Laboratory> StartAsync(IReadOnlyList<NatSettings> left, IReadOnlyList<NatSettings> right) =>
        LabFixture.StartAsync(Topology.OpenHosts(Delay, "server")
            .WithLan("left", left, WireConditions.WithDelay(Delay / 2), "alice")
            .WithLan("right", right, WireConditions.WithDelay(Delay / 2), "bob"));

    /// <summary>Waits until a member's route to another is of a type.</summary>
    private static async Task BecomesAsync(Laboratory laboratory, string from, string to, string type, string endpoint = "")
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        ShellResult route;
        do
        {
            route = await laboratory[from].Shell.InvokeAsync(
                $"Get-LtRoute -ErrorAction Ignore | Where-Object {{ $_.Peer -eq '{to}' -and $_.Type -eq '{type}' -and "
                    + $"\"$($_.Endpoint)\".StartsWith('{endpoint}') }}",
                cancellationToken: deadline.Token);
        }
        while (route.Output.Count == 0);
    }
}
