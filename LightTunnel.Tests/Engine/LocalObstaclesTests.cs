using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Client;
using LightTunnel.Transport;
using LightTunnel.Traversal;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Engine;

/// <summary>What is wrong on the machine itself is said in its own words, and the server is not blamed.</summary>
public sealed class LocalObstaclesTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private static readonly UdpEndpoint FourA = new(IPAddress.Parse("203.0.113.1"), 9000),
        FourB = new(IPAddress.Parse("203.0.113.2"), 9000), Six = new(IPAddress.Parse("2001:db8::1"), 9000);

    [Theory]
    [InlineData(
        "IPv4 addresses only (203.0.113.1:9000, 203.0.113.2:9000), and this machine has IPv6 only", "2001:db8::77", "fe80::1", "127.0.0.1")]
    [InlineData("no route to 203.0.113.1:9000, 203.0.113.2:9000", "192.0.2.7")]
    [InlineData("in no network", "127.0.0.1", "::1", "fe80::1")]
    [InlineData("in no network")]
    public void Explain_NoRouteToAnyEndpoint_NamesTheCause(string words, params string[] own)
    {
        LocalAddressInfo[] addresses = With(own);
        var obstacles = new LocalObstacles("lt0");
        obstacles.Note(FourA, SendObstacle.NoRoute);
        Assert.Null(obstacles.Explain([FourA, FourB], addresses)); // The other one was not tried yet.
        obstacles.Note(FourB, SendObstacle.NoFamily);

        LightTunnelException found = obstacles.Explain([FourA, FourB], addresses)!;
        Assert.Equal(LightTunnelError.NetworkUnavailable, found.Error);
        Assert.Contains(words, found.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Explain_IPv6EndpointOnAMachineWithIPv4_SaysSo()
    {
        LocalAddressInfo[] addresses = With("192.0.2.7");
        var obstacles = new LocalObstacles("lt0");
        obstacles.Note(Six, SendObstacle.NoFamily);
        Assert.Contains(
            "IPv6 addresses only ([2001:db8::1]:9000), and this machine has IPv4 only", obstacles.Explain([Six], addresses)!.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Explain_FirewallRefuses_IsSaidWhateverElse()
    {
        LocalAddressInfo[] addresses = With("192.0.2.7");
        var obstacles = new LocalObstacles("lt0");
        obstacles.Note(FourA, SendObstacle.Refused);
        obstacles.Note(Six, SendObstacle.NoRoute);
        Assert.Contains("own firewall refuses", obstacles.Explain([FourA, Six], addresses)!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Explain_OneEndpointIsSentTo_SaysNothingOfThisMachine()
    {
        LocalAddressInfo[] addresses = With("192.0.2.7");
        var obstacles = new LocalObstacles("lt0");
        obstacles.Note(FourA, SendObstacle.NoRoute);
        obstacles.Note(Six, SendObstacle.None);
        obstacles.Note(Six, null); // Its budget was used up: that says nothing.
        Assert.Null(obstacles.Explain([FourA, Six], addresses));
        obstacles.Keep([FourA]);
        Assert.NotNull(obstacles.Explain([FourA], addresses));
        obstacles.Note(FourA, SendObstacle.None);
        Assert.Null(obstacles.Explain([FourA], addresses));
    }

    [Fact]
    public void Explain_NoEndpointYet_BlamesOnlyAMachineWithoutNetwork()
    {
        Assert.Null(new LocalObstacles("lt0").Explain([], With("192.0.2.7")));
        Assert.NotNull(new LocalObstacles("lt0").Explain([], With("127.0.0.1")));
    }

    [Fact]
    public void Join_OwnFirewallRefuses_IsSaidOnceAndForgottenWhenItDoesNotAnyMore()
    {
        using var network = new SimulatedNetwork();
        network.StartServer();
        SimulatedNode alice = network.AddClient("alice");
        alice.Transport.Obstacle = SendObstacle.Refused;
        network.Run(Soon);

        LightTunnelException reason = alice.Client.Unreachable();
        Assert.Equal(LightTunnelError.NetworkUnavailable, reason.Error);
        Assert.Contains("own firewall refuses to send to 203.0.113.1:", reason.Message, StringComparison.Ordinal);
        Assert.Equal(reason.Message, alice.Node.LastError);
        Assert.Single(alice.LogLines, line => line.Contains("own firewall", StringComparison.Ordinal));

        alice.Transport.Obstacle = SendObstacle.None;
        Assert.True(network.RunUntil(() => alice.IsUp, Soon));
        Assert.Null(alice.Node.LastError);
    }

    [Fact]
    public void Network_LostWhileUp_IsSaidInsteadOfTheServersSilence()
    {
        using var network = new SimulatedNetwork();
        network.StartServer();
        SimulatedNode alice = network.AddClient("alice");
        Assert.True(network.RunUntil(() => alice.IsUp, Soon));
        alice.Transport.Obstacle = SendObstacle.NoRoute;
        Assert.True(network.RunUntil(() => !alice.IsUp, TimeSpan.FromMinutes(2)));
        network.Run(Soon);
        Assert.Contains("no route to", alice.Node.LastError, StringComparison.Ordinal);
        alice.Transport.Obstacle = SendObstacle.None;
        Assert.True(network.RunUntil(() => alice.IsUp, Soon));
    }

    [Fact]
    public void Join_ServerIsSilent_BlamesTheServer()
    {
        using var network = new SimulatedNetwork();
        SimulatedNode alice = network.AddClient("alice");
        network.Run(Soon);
        Assert.Equal(LightTunnelError.ServerUnreachable, alice.Client.Unreachable().Error);
    }

    private static LocalAddressInfo[] With(params string[] own) =>
    [
        .. own.Select(address => new LocalAddressInfo("eth0", Address(address))),
        new LocalAddressInfo("lt0", Address("10.0.0.5")),
    ];
}
