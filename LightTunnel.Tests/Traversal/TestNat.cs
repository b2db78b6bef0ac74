using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using Xunit;

namespace LightTunnel.Tests.Traversal;

/// <summary>A NAT at a moment that does not pass: mappings and permissions never expire.</summary>
internal sealed class TestNat
{
    /// <summary>Where another machine behind it sends to.</summary>
    private static readonly UdpEndpoint Remote = UdpEndpoint.FromIPv4(0xCB007180, 443);

    private readonly Nat _nat;
    private ushort _othersPort;

    public TestNat(NatSettings settings, uint publicAddress, Random random)
    {
        var outside = UdpEndpoint.FromIPv4(publicAddress, 1);
        _nat = new Nat(settings with { Capacity = int.MaxValue }, outside.Address, random.Next());
        Behaviour = settings.Behaviour with { PublicAddress = outside.Address };
        PublicAddress = publicAddress;
    }

    /// <summary>What a node behind it tells of it.</summary>
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
