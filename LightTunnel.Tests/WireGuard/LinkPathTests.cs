using System.Net;
using LightTunnel.Addressing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>Where a peer is, and where it only claims to be.</summary>
public sealed class LinkPathTests : IDisposable
{
    private readonly LinkWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public void HeardFromAnotherAddress_PathFollows_ButIsUnprovenUntilThePeerHasReceivedThere()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        b.Table.DoubtsNewAddresses = true;
        a.Send(b, 1);
        _world.Deliver();
        Link link = b.LinkTo(a);
        Assert.False(link.Path.IsUnproven);

        a.Address = LinkWorld.Endpoint(9);
        a.Send(b, 2);
        _world.Deliver();
        _world.RunTimers();

        Assert.Equal(LinkWorld.Endpoint(9), link.Path);
        Assert.True(link.Path.IsUnproven);
        Assert.Equal(1, b.Doubted);
        link.Prove(LinkWorld.Endpoint(8).Endpoint);
        Assert.True(link.Path.IsUnproven);
        link.Prove(LinkWorld.Endpoint(9).Endpoint);
        Assert.False(link.Path.IsUnproven);
    }

    [Theory]
    [InlineData(true, 2)]
    [InlineData(false, 0)]
    public void AskedAtAnotherAddressOfThisMachine_WhoIsAskedAnswersFromThere(bool isAsked, byte expected)
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        b.Table.IsAsked = isAsked;
        a.Send(b, 1);
        _world.Deliver();
        Assert.Equal(default, b.LinkTo(a).Path.Asked);

        a.Address = a.Address with { Asked = new AskedAddress(2) };
        a.Send(b, 2);
        _world.Deliver();
        Assert.Equal(new AskedAddress(expected), b.LinkTo(a).Path.Asked);
    }

    [Fact]
    public void Stranger_IsUnprovenUntilItUsesTheKeys_ThatWereSentToItsAddress()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        b.Table.Remove(b.LinkTo(a));
        b.Strangers = (true, null);
        b.Table.DoubtsNewAddresses = true;
        bool? wasUnproven = null;
        _world.Filter = _ =>
        {
            wasUnproven ??= b.Table.Find(a.Key)?.Path.IsUnproven;
            return true;
        };
        a.LinkTo(b).RequestHandshake();
        _world.Deliver();

        Assert.True(wasUnproven);
        Assert.False(b.LinkTo(a).Path.IsUnproven);
        Assert.Equal(a.Address.Endpoint, b.LinkTo(a).ProvenEndpoint);
    }

    [Fact]
    public void Load_CountsAnIPv6Site_HoweverManyNetworksItHas()
    {
        var load = new HandshakeLoad(_world.Time, new Random(1));
        int admitted = Enumerable.Range(0, 10_000)
            .Count(i => load.TryAdmit(new PathAddress(new UdpEndpoint(IPAddress.Parse($"2001:db8:1:{i:x}::1"), 1))));
        Assert.Equal(HandshakeLoad.SiteRatePerSecond, admitted);
        Assert.True(load.TryAdmit(new PathAddress(new UdpEndpoint(IPAddress.Parse("2001:db8:2::1"), 1))));
        // Subscribers of IPv4 have nothing in common.
        Assert.InRange(
            Enumerable.Range(1, 250)
                .Count(i => load.TryAdmit(new PathAddress(new UdpEndpoint(IPAddress.Parse($"192.0.2.{i}"), 1)))), 249, 250);
    }

    [Fact]
    public void Load_CountsAnIPv6SubscriberOnce_HoweverManyAddressesItHas()
    {
        var load = new HandshakeLoad(_world.Time, new Random(1));
        var prefix = new UdpEndpoint(IPAddress.Parse("2001:db8:1:2::"), 9);

        int admitted = Enumerable.Range(1, 10_000)
            .Count(host => load.TryAdmit(new PathAddress(new UdpEndpoint(prefix.MappedAddress | (UInt128)(ulong)host, (ushort)host))));

        Assert.Equal(HandshakeLoad.SourceRatePerSecond, admitted);
        Assert.True(load.TryAdmit(new PathAddress(new UdpEndpoint(IPAddress.Parse("2001:db8:1:3::1"), 9))));
    }
}
