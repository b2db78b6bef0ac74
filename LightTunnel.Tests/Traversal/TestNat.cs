using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using Xunit;

namespace LightTunnel.Tests.Traversal;

/// <summary>A NAT that behaves as a node would describe it, at a moment that does not pass: mappings and permissions never expire.</summary>
internal sealed class TestNat
{
    /// <summary>Where another machine behind it sends to.</summary>
    private static readonly UdpEndpoint Remote = UdpEndpoint.FromIPv4(0xCB007180, 443);

    private readonly Nat _nat;
    private ushort _othersPort;

    public TestNat(NatBehaviour behaviour, uint publicAddress, Random random)
    {
        var outside = UdpEndpoint.FromIPv4(publicAddress, 1);
        var settings = new NatSettings
        {
            Mapping = behaviour.Mapping,
            Filtering = behaviour.Filtering,
            Assignment = behaviour.Assignment,
            PortStep = behaviour.Assignment == PortAssignment.Sequential ? behaviour.Step : 1,
            Capacity = int.MaxValue,
        };
        _nat = new Nat(settings, outside.Address, random.Next());
        Behaviour = behaviour with { Presence = NatPresence.Translated, PublicAddress = outside.Address };
        PublicAddress = publicAddress;
    }

    public NatBehaviour Behaviour { get; }

    public uint PublicAddress { get; }

    /// <summary>What an inside endpoint becomes on its way out.</summary>
    public UdpEndpoint Out(UdpEndpoint inner, UdpEndpoint destination)
    {
        Assert.Equal(NatVerdict.Translated, _nat.Outbound(TimeSpan.Zero, NatProtocol.Udp, ref inner, ref destination));
        return inner;
    }

    /// <summary>Somebody else behind the NAT takes a port.</summary>
    public void TakePort() => Out(UdpEndpoint.FromIPv4(0xC0A801FA, ++_othersPort), Remote);

    /// <summary>Where something for one of its ports goes inside; false when it is dropped.</summary>
    public bool TryIn(UdpEndpoint from, ushort port, out UdpEndpoint inner)
    {
        inner = UdpEndpoint.FromIPv4(PublicAddress, port);
        return _nat.Inbound(TimeSpan.Zero, NatProtocol.Udp, from, ref inner) == NatVerdict.Translated;
    }
}
