using LightTunnel.Internet.Fakes;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Packets;
using LightTunnel.PortMapping;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Internet;

public sealed class SimulatedPortMapperTests
{
    private readonly VirtualTime _time = new();
    private readonly SimulatedInternet _internet;

    public SimulatedPortMapperTests() => _internet = new SimulatedInternet(_time, seed: 1);

    [Fact]
    public async Task Start_ForwardingNat_LetsStrangersIn_UntilItIsStopped()
    {
        NatSettings settings = NatKinds.Layers(NatKind.SymmetricRandom)[0] with { Forwarding = PortForwarding.Pcp };
        SimulatedSocket alice = _internet.AddLan("home", [settings], "alice")[0].Open(5000);
        SimulatedSocket stranger = _internet.AddHost("stranger").Open(9000);
        int changes = 0;
        using var mapper = new SimulatedPortMapper(alice.Host, _time);
        mapper.Start(5000, () => changes++);

        Assert.Equal((PortMappingState.Mapped, 1), (mapper.Status.State, changes));
        Assert.True(Arrives(stranger, alice, mapper.Status));

        PortMappingStatus before = mapper.Status;
        await mapper.StopAsync(TestContext.Current.CancellationToken);
        Assert.False(Arrives(stranger, alice, before));
    }

    [Fact]
    public void Start_NatThatForwardsNothing_IsNotAvailable()
    {
        using var mapper = new SimulatedPortMapper(_internet.AddLan("home", NatKind.FullCone, "alice")[0], _time);
        mapper.Start(5000, () => { });
        Assert.Equal(PortMappingState.NotAvailable, mapper.Status.State);
    }

    private bool Arrives(SimulatedSocket from, SimulatedSocket to, PortMappingStatus mapping)
    {
        from.Send("hello"u8, mapping.External);
        while (_internet.NextDue != Timestamp.Never)
        {
            _time.AdvanceTo(_internet.NextDue);
            _internet.Pump();
        }

        return to.TryReceive(new PacketBatch(4, 100));
    }
}
