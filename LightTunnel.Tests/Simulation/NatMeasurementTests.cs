using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>What a member finds out about its own NAT, with a server of one address and without other members.</summary>
public sealed class NatMeasurementTests
{
    private static readonly WireConditions Conditions = new() { Delay = TimeSpan.FromMilliseconds(20) };

    [Theory]
    [InlineData(nameof(NatKind.Open), "None (Public IP)", nameof(PortAssignment.Preserving))]
    [InlineData(nameof(NatKind.FullCone), "Restricted Cone", nameof(PortAssignment.Preserving))]
    [InlineData(nameof(NatKind.RestrictedCone), "Restricted Cone", nameof(PortAssignment.Preserving))]
    [InlineData(nameof(NatKind.PortRestrictedCone), "Port-Restricted Cone", nameof(PortAssignment.Preserving))]
    [InlineData(nameof(NatKind.CarrierGrade), "Port-Restricted Cone", nameof(PortAssignment.Unknown))]
    [InlineData(nameof(NatKind.SymmetricSequential), "Symmetric", nameof(PortAssignment.Sequential))]
    [InlineData(nameof(NatKind.SymmetricRandom), "Symmetric", nameof(PortAssignment.Random))]
    public void Member_FindsItsNat_WithinASecond(string kind, string name, string assignment)
    {
        using Scene scene = Start(kind, out SimulatedNode alice);
        Assert.True(
            scene.Network.RunUntil(
                () => alice.Client.Nat.ClassicName == name && alice.Client.Nat.Assignment.ToString() == assignment,
                TimeSpan.FromSeconds(1)),
            $"{alice.Client.Nat}");
    }

    /// <summary>
    /// With one server address alone, "lets in by address" and "lets everybody in" look alike; other members tell them apart.
    /// </summary>
    [Fact]
    public void FullCone_AnotherMemberComesUnasked_IsKnownAsSuch()
    {
        using Scene scene = Start(nameof(NatKind.FullCone), out SimulatedNode alice);
        scene.Network.Run(TimeSpan.FromSeconds(2));
        scene.Internet.AddLan("away", NatKind.Open, "bob");
        scene.Network.AddClient("bob", host: "bob");
        // Bob is nearer to the server: its probe is there before alice has sent one.
        scene.Internet.Hosts["bob"].Uplink.Conditions = WireConditions.Perfect;
        Assert.True(scene.Network.RunUntil(() => alice.Client.Nat.Filtering != EndpointDependence.Unknown, TimeSpan.FromSeconds(5)));
        Assert.Contains(alice.Client.Nat.ClassicName, (string[])["Full Cone", "Restricted Cone"]);
    }

    [Fact]
    public void MemberMovesBehindAnotherNat_MeasuresAgain_AndIsReachedThere()
    {
        using Scene scene = Start(nameof(NatKind.PortRestrictedCone), out SimulatedNode alice);
        scene.Internet.AddLan("away", NatKind.PortRestrictedCone, "bob");
        SimulatedNode bob = scene.Network.AddClient("bob", host: "bob");
        scene.Clients.Add(bob);
        Assert.True(scene.Network.RunUntil(
            () => bob.IsUp && bob.Members.Any(member => member is { Name: "alice", DirectPath: not null }), TimeSpan.FromSeconds(5)));

        SimulatedNat hotel = scene.Internet.AddNat(
            "hotel", new NatSettings { Mapping = EndpointDependence.AddressAndPortDependent, Assignment = PortAssignment.Random });
        scene.Internet.Hosts["alice"].MoveTo(hotel);
        alice.Addresses.Changed();
        alice.Send(bob.Address, "alice bob hello");
        Assert.True(scene.Network.RunUntil(() => alice.Client.Nat.IsRandom, TimeSpan.FromSeconds(2)), alice.Client.Nat.ClassicName);
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(2));
        Assert.True(scene.Network.RunUntil(
            () => alice.Member("bob").DirectPath is not null && bob.Member("alice").DirectPath is not null, TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public void WakeFromSleep_EverythingIsProvenAnewAtOnce()
    {
        using Scene scene = Start(nameof(NatKind.PortRestrictedCone), out SimulatedNode alice);
        scene.Internet.AddLan("away", NatKind.PortRestrictedCone, "bob");
        SimulatedNode bob = scene.Network.AddClient("bob", host: "bob");
        scene.Clients.Add(bob);
        Assert.True(scene.Network.RunUntil(
            () => bob.IsUp && bob.Members.Any(member => member is { Name: "alice", DirectPath: not null }), TimeSpan.FromSeconds(5)));

        // While alice slept her router forgot her. The clocks of all jump, as they are one; only hers lost its mappings.
        foreach (SimulatedNat nat in scene.Internet.Nats.Values.Where(nat => nat.Name == "left"))
            nat.Reboot();
        scene.Time.JumpWallClock(TimeSpan.FromHours(8));
        alice.MarkReady();
        bob.MarkReady();
        scene.AssertAllReachEachOther(TimeSpan.FromSeconds(2));
        Assert.True(scene.Network.RunUntil(
            () => alice.Member("bob").DirectPath is not null && bob.Member("alice").DirectPath is not null, TimeSpan.FromSeconds(5)));
        Assert.Contains(alice.LogLines, line => line.Contains("clock jumped", StringComparison.Ordinal));
    }

    private static Scene Start(string kind, out SimulatedNode alice)
    {
        var scene = new Scene(1, Conditions);
        scene.Internet.AddLan("left", Enum.Parse<NatKind>(kind), "alice");
        scene.Network.StartServer();
        SimulatedNode node = alice = scene.Network.AddClient("alice", host: "alice");
        scene.Clients.Add(alice);
        Assert.True(scene.Network.RunUntil(() => node.IsUp, TimeSpan.FromSeconds(5)));
        return scene;
    }
}
