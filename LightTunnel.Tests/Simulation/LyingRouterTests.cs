using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Client;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>Whoever is the router of a local network says what it likes about the ports that it forwards.</summary>
public sealed class LyingRouterTests
{
    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("192.0.2.66", false)]   // Somebody else's address: others would send there.
    [InlineData("224.0.0.1", false)]
    [InlineData("10.0.0.1", false)]     // The tunnel's own prefix.
    [InlineData("192.168.77.2", true)]  // The router itself is behind another NAT.
    [InlineData("100.64.3.4", true)]
    [InlineData(null, true)]            // The truth: where the server sees the node.
    public void ForwardedPort_ElsewhereThanTheServerSeesTheNode_IsToldToNobody(string? claimed, bool isTold)
    {
        using var scene = new Scene(1, new WireConditions { Delay = TimeSpan.FromMilliseconds(5) });
        NatSettings settings = NatKinds.Layers(NatKind.PortRestrictedCone)[0] with { Forwarding = PortForwarding.Pcp };
        scene.Internet.AddLan("home", [settings], "alice");
        SimulatedNat router = scene.Internet.Nats["home"];
        router.Claims = claimed is null ? null : IPAddress.Parse(claimed);
        scene.Internet.AddHost("bob");
        scene.Network.StartServer();
        SimulatedNode alice = scene.Join("alice"), bob = scene.Join("bob");
        scene.Network.Run(TimeSpan.FromSeconds(3));

        var expected = new UdpEndpoint(router.Claims ?? router.Address, (ushort)alice.Transport.LocalPort);
        Assert.Equal(isTold, ((ClientRole)alice.Node.Role).PortMapping.IsSpecified);
        Assert.Equal(isTold, ((ClientRole)alice.Node.Role).PortMapping == expected);
        Assert.Equal(isTold, bob.Member("alice").Traversal!.Tallies.Any(tally => tally.Path.Endpoint == expected));
    }
}
