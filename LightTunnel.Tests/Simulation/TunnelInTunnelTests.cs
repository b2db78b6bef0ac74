using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Data;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>Another overlay runs over the network, and its addresses look like those of a local network.</summary>
public sealed class TunnelInTunnelTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void CandidateThatTheSystemRoutesIntoATunnel_IsNotAsked(bool isTunnelled)
    {
        using var scene = new Scene(1, new WireConditions { Delay = TimeSpan.FromMilliseconds(5) });
        scene.Internet.AddLan("home", NatKind.PortRestrictedCone, "alice", "bob");
        scene.Network.StartServer();
        SimulatedNode alice = scene.Join("alice");
        IPAddress another = scene.Internet.Hosts["bob"].Address;
        if (isTunnelled)
            alice.Addresses.Tunnelled.Add(another);
        SimulatedNode bob = scene.Join("bob");
        scene.Network.Run(TimeSpan.FromSeconds(5));

        var endpoint = new UdpEndpoint(another, (ushort)bob.Transport.LocalPort);
        Assert.Equal(!isTunnelled, alice.Member("bob").Traversal!.Paths.Any(path => path.IsProven && path.Key.Endpoint == endpoint));
        // Nor is it answered there: neither side takes what the tunnel may carry for a way.
        Assert.Equal(!isTunnelled, bob.Member("alice").Traversal!.Paths.Any(path => path.IsProven && path.Key.Endpoint.IsLocal));
    }

    [Fact]
    public void OwnDatagramFromTheTun_IsDropped_WithAWarning_AndOthersWithThatPortPass()
    {
        using var scene = new Scene(1, new WireConditions { Delay = TimeSpan.FromMilliseconds(5) });
        scene.Internet.AddHost("alice");
        scene.Internet.AddHost("bob");
        scene.Network.StartServer();
        SimulatedNode alice = scene.Join("alice"), bob = scene.Join("bob");
        scene.Network.Run(TimeSpan.FromSeconds(2));
        bob.TakeReceived();

        for (int i = 0; i < 20; i++)
            alice.Tun.Inject(Udp(alice.Address, bob.Address, (ushort)alice.Transport.LocalPort, 9));
        alice.Tun.Inject(Udp(alice.Address, bob.Address, 9, (ushort)alice.Transport.LocalPort));
        scene.Network.Run(TimeSpan.FromSeconds(1));

        Assert.Single(bob.TakeReceived());
        Assert.Equal(20, alice.Outbound.Dropped(DropReason.OwnDatagram));
        Assert.Single(alice.LogLines, line => line.Contains("own datagrams", StringComparison.Ordinal));
    }

    private static byte[] Udp(TunnelAddress source, TunnelAddress destination, ushort from, ushort to) =>
        Packets.TestPackets.Udp(source.ToString(), destination.ToString(), from, to, "loop"u8);
}
