using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Tests.Simulation;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>What a test of the network finds out, in virtual time.</summary>
public sealed class NetworkTestTests
{
    private const int DatagramOverhead = 16 + 32;

    [Fact]
    public async Task GoodNetwork_HasNoProblems()
    {
        using Scene scene = Start(NatKind.PortRestrictedCone, out SimulatedNode alice);

        NetworkTestReport report = await TestAsync(scene.Network, alice);

        Assert.Empty(report.Problems);
        Assert.Equal((10, 10, true), (report.Pings.Sent, report.Pings.Answered, report.IsServerReachable));
        Assert.Equal("203.0.113.1:9000", report.Server?.ToString());
        Assert.Equal(("Port-Restricted Cone", EndpointDependence.EndpointIndependent), (report.Nat, report.Mapping));
        Assert.Equal((EndpointDependence.AddressAndPortDependent, PortAssignment.Preserving), (report.Filtering, report.PortAssignment));
        Assert.Equal(alice.Client.PublicEndpoint.ToIPEndPoint(), report.PublicEndpoint);
        Assert.Equal((1400, 1400), (report.Mtu, report.LargestPacket));
        Assert.InRange(report.ClockOffset!.Value, TimeSpan.FromMilliseconds(-1), TimeSpan.FromMilliseconds(1));
        Assert.Equal(
            (null, null, "The router forwards no ports."),
            (report.PortMappingProtocol, report.PortMappingEndpoint, report.PortMappingFailure));
        Assert.Null(report.IPv6Address);
        Assert.Null(report.IsServerReachableByIPv6);
    }

    [Fact]
    public async Task RandomNat_IsAProblem_WithoutAMappedPort()
    {
        using Scene scene = Start(NatKind.SymmetricRandom, out SimulatedNode alice);

        NetworkTestReport report = await TestAsync(scene.Network, alice);

        Assert.Equal(("Symmetric", PortAssignment.Random), (report.Nat, report.PortAssignment));
        Assert.Contains("random port", Assert.Single(report.Problems).Message, StringComparison.Ordinal);
        Assert.Empty(NetworkTest.ProblemsOf(report with { PortMappingEndpoint = report.PublicEndpoint }));
    }

    [Theory]
    [InlineData(1400 + DatagramOverhead, 1400)]
    [InlineData(1399 + DatagramOverhead, 1399)]
    [InlineData(1300 + DatagramOverhead, 1300)]
    [InlineData(1279 + DatagramOverhead, 1279)]
    public async Task LongestPacketThatPasses_IsFound(int longestDatagram, int packet)
    {
        using var network = new SimulatedNetwork();
        network.StartServer();
        SimulatedNode alice = network.AddClient("alice");
        Assert.True(network.RunUntil(() => alice.IsUp, TimeSpan.FromSeconds(5)));
        network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram) => datagram.Length <= longestDatagram;

        NetworkTestReport report = await TestAsync(network, alice);

        Assert.InRange(report.LargestPacket!.Value, packet - 7, packet);
        Assert.Equal(packet == 1400 ? [] : ["MTU"], report.Problems.Select(_ => "MTU"));
        if (packet < 1280)
            Assert.StartsWith("No packet of 1280 bytes or more came through", report.Problems[0].Message, StringComparison.Ordinal);
        else if (packet < 1400)
            Assert.Equal($"Join with Connect-LtNetwork -Mtu {report.LargestPacket}.", report.Problems[0].RecommendedAction);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task IPv6_IsTriedBesideTheLink(bool hasIPv6)
    {
        using var scene = new Scene(1, new WireConditions { Delay = TimeSpan.FromMilliseconds(10) });
        SimulatedHost home = scene.Internet.AddLan("home", NatKind.PortRestrictedCone, "alice")[0];
        scene.Internet.AddAddressV6(scene.Internet.Hosts[SimulatedNetwork.ServerHost], "2001:db8::1");
        scene.Network.Resolver.Names["hub.example"] = [IPAddress.Parse(SimulatedNetwork.ServerHost), IPAddress.Parse("2001:db8::1")];
        scene.Network.StartServer();
        SimulatedNode alice = scene.Network.AddClient("alice", host: "alice", server: "hub.example");
        Assert.True(scene.Network.RunUntil(() => alice.IsUp, TimeSpan.FromSeconds(5)));
        if (hasIPv6)
        {
            scene.Internet.AddAddressV6(home, "2001:db8:1::a");
            alice.Addresses.Another = home.AddressV6;
            alice.Addresses.Changed();
        }

        NetworkTestReport report = await TestAsync(scene.Network, alice);

        Assert.Equal("203.0.113.1:9000", report.Server?.ToString());
        Assert.Equal(hasIPv6, report.IsServerReachableByIPv6);
        Assert.Equal(home.AddressV6, report.IPv6Address);
    }

    [Fact]
    public async Task ServerThatIsGone_IsTheOnlyProblem()
    {
        using var network = new SimulatedNetwork();
        network.StartServer();
        SimulatedNode alice = network.AddClient("alice");
        Assert.True(network.RunUntil(() => alice.IsUp, TimeSpan.FromSeconds(5)));
        network.Kill(network.Server);

        NetworkTestReport report = await TestAsync(network, alice);

        Assert.False(report.IsServerReachable);
        Assert.Equal(1, report.Pings.Loss);
        Assert.Contains("203.0.113.1:9000", Assert.Single(report.Problems).Message, StringComparison.Ordinal);
        Assert.Null(report.LargestPacket);
    }

    [Theory]
    [InlineData(61, true)]
    [InlineData(-61, true)]
    [InlineData(59, false)]
    public void Clock_ThatIsOffByAMinute_IsAProblem(int seconds, bool isProblem)
    {
        var report = new NetworkTestReport
        {
            Pings = new PingResult(10, 10, TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero), Mtu = 1400, LargestPacket = 1400,
            ClockOffset = TimeSpan.FromSeconds(seconds),
        };

        NetworkProblem[] problems = [.. NetworkTest.ProblemsOf(report)];

        Assert.Equal(isProblem, problems.Length == 1);
        if (isProblem)
            Assert.Contains(seconds > 0 ? "1.0 minutes behind" : "1.0 minutes ahead of", problems[0].Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Loss_IsAProblem_WhenItIsMoreThanOnePing()
    {
        NetworkTestReport Lossy(int answered) => new()
        {
            Pings = new PingResult(10, answered, TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero), Mtu = 1400, LargestPacket = 1400,
        };

        Assert.Empty(NetworkTest.ProblemsOf(Lossy(9)));
        Assert.StartsWith("20 % of the packets", Assert.Single(NetworkTest.ProblemsOf(Lossy(8))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pong_TellsTheTime_AndIsAsLongAsItsPing()
    {
        var clock = new DateTimeOffset(2026, 5, 1, 10, 0, 0, 123, TimeSpan.Zero);
        var monitor = new PathMonitor();
        Assert.True(monitor.RunTimers(Timestamp.FromTicks(1), Timestamp.NotYet, out uint transaction, out _));
        Assert.True(monitor.OnAnswer(transaction, Timestamp.FromTicks(1)));
        foreach (int length in (int[])[0, 18, 1280, 1400])
        {
            byte[] ping = ProbeReport.Ping(7, monitor, length);
            Assert.True(ControlFrame.TryRead(ping, out ControlFrame asked));
            byte[] pong = ProbeReport.Pong(asked, clock, 1340);

            Assert.Equal(Math.Max(22, ping.Length), pong.Length);
            Assert.Equal(length == 0 ? 18 : length, ping.Length);
            Assert.True(ControlFrame.TryRead(pong, out ControlFrame answer));
            Assert.Equal((ControlFrameKind.Pong, 7u), (answer.Kind, answer.Number));
            Assert.Equal((clock, 1340), (ProbeReport.ReadClock(answer.Body), ProbeReport.ReadMtu(answer.Body)));
        }
    }

    [Fact]
    public void ReadClock_OfAnOlderVersionOrNonsense_IsUnknown()
    {
        Assert.Null(ProbeReport.ReadMtu(new byte[8]));
        Assert.Null(ProbeReport.ReadMtu(new byte[10]));
        Assert.Null(ProbeReport.ReadClock([]));
        Assert.Null(ProbeReport.ReadClock([0xFF, 0, 0, 0, 0, 0, 0, 0]));
        Assert.Null(ProbeReport.ReadClock([0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]));
    }

    private static Scene Start(NatKind kind, out SimulatedNode alice)
    {
        var scene = new Scene(1, new WireConditions { Delay = TimeSpan.FromMilliseconds(10) });
        scene.Internet.AddLan("home", kind, "alice");
        scene.Network.StartServer();
        alice = scene.Join("alice");
        scene.Network.Run(TimeSpan.FromSeconds(3));
        return scene;
    }

    private static async Task<NetworkTestReport> TestAsync(SimulatedNetwork network, SimulatedNode node)
    {
        NetworkTest? test = null;
        node.Node.Post(() =>
        {
            test = new NetworkTest(node.Node, node.Client, TimeSpan.FromSeconds(1), network.Time, null);
            node.Node.Begin(test);
        });
        Assert.True(network.RunUntil(() => test is { IsDone: true }, TimeSpan.FromMinutes(1)), "The test never ended.");
        return await test!.Report;
    }
}
