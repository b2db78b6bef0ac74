using LightTunnel.Addressing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>What a link sends by several ports, and what comes to it from several.</summary>
public sealed class LinkStripeTests : IDisposable
{
    private const ushort Told = 40_001;

    private readonly LinkWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public void HeardFromAPortThatThePeerToldOf_PathStays_AndIsNotDoubted()
    {
        (LinkNode a, LinkNode b) = Pair(Told);
        PathAddress before = b.LinkTo(a).Path;

        a.Address = At(before, Told);
        a.Send(b, 2);
        _world.Deliver();

        Assert.Equal([[2]], b.Received.Select(packet => packet[..1]));
        Assert.Equal(before, b.LinkTo(a).Path);
        Assert.False(b.LinkTo(a).Path.IsUnproven);
        Assert.Equal(0, b.Doubted);
    }

    [Fact]
    public void HeardFromAPortThatNobodyToldOf_PathFollows_AsEver()
    {
        (LinkNode a, LinkNode b) = Pair(Told);

        a.Address = At(a.Address, Told + 1);
        a.Send(b, 2);
        _world.Deliver();

        Assert.Equal(a.Address, b.LinkTo(a).Path);
        Assert.Equal([Told], b.LinkTo(a).PeerPorts);
    }

    [Fact]
    public void HeardFromThePortAtAnotherAddress_PathFollowsOnlyThePeersOwnPort_AndIsDoubtedThere()
    {
        (LinkNode a, LinkNode b) = Pair(Told);
        PathAddress before = b.LinkTo(a).Path;
        PathAddress moved = LinkWorld.Endpoint(9);

        a.Address = At(moved, Told);
        a.Send(b, 2);
        _world.Deliver();
        Assert.Equal(before, b.LinkTo(a).Path);
        a.Address = moved;
        a.Send(b, 3);
        _world.Deliver();

        Assert.Equal(moved, b.LinkTo(a).Path);
        Assert.True(b.LinkTo(a).Path.IsUnproven);
        Assert.Equal(1, b.Doubted);
    }

    [Fact]
    public void PortsOfOnePeer_AreNothingToAnothersLink()
    {
        (LinkNode a, LinkNode b) = Pair(Told);
        LinkNode mallory = _world.AddNode();
        mallory.Table.Add(b.Key, null).Path = b.Address;
        b.Table.Add(mallory.Key, null).Path = mallory.Address;
        mallory.Send(b, 1);
        _world.Deliver();
        b.LinkTo(mallory).TakePeerPorts([(ushort)(a.Address.Endpoint.Port + 1), Told, a.Address.Endpoint.Port]);

        a.Address = At(a.Address, a.Address.Endpoint.Port + 1);
        a.Send(b, 2);
        _world.Deliver();

        Assert.Equal(a.Address, b.LinkTo(a).Path);
        Assert.Equal(mallory.Address, b.LinkTo(mallory).Path);
    }

    [Fact]
    public void HandshakeFromThePort_PathFollows_AndWhatWasToldIsForgotten()
    {
        (LinkNode a, LinkNode b) = Pair(Told);

        // Another process of the same machine, whose own port it is now.
        a.Address = At(a.Address, Told);
        a.LinkTo(b).RequestHandshake(force: true);
        _world.Advance(1);

        Assert.Equal(a.Address, b.LinkTo(a).Path);
        Assert.Empty(b.LinkTo(a).PeerPorts);
    }

    [Fact]
    public void PathOf_QueueWhoseStripeIsUsed_LeavesFromIt()
    {
        (LinkNode a, LinkNode b) = Pair();
        Link link = a.LinkTo(b);
        link.UseStripes(link.Path, 0b1010);

        Assert.Equal(link.Path, link.PathOf(0));
        Assert.Equal(link.Path.By(LocalEnd.Stripe(1)), link.PathOf(1));
        Assert.Equal(link.Path, link.PathOf(2));
        Assert.Equal(link.Path.By(LocalEnd.Stripe(3)), link.PathOf(3));
    }

    [Fact]
    public void UseStripes_OfAnotherPath_OrOneThatIsUnproven_AreNone()
    {
        (LinkNode a, LinkNode b) = Pair();
        Link link = a.LinkTo(b);
        link.UseStripes(LinkWorld.Endpoint(9), 0b10);
        Assert.Equal(0u, link.Stripes);
        link.Path = link.Path with { IsUnproven = true };
        link.UseStripes(link.Path, 0b10);
        Assert.Equal(0u, link.Stripes);
    }

    [Fact]
    public void PathChanges_StripesEndWithIt_ByWhomeverItIsChanged()
    {
        (LinkNode a, LinkNode b) = Pair();
        Link link = b.LinkTo(a);
        link.UseStripes(link.Path, 0b10);
        link.Path = link.Path;
        Assert.Equal(0b10u, link.Stripes);
        link.Path = LinkWorld.Endpoint(9);
        Assert.Equal(0u, link.Stripes);

        link.UseStripes(link.Path, 0b10);
        a.Address = LinkWorld.Endpoint(7);
        a.Send(b, 2);
        _world.Deliver();
        Assert.Equal(a.Address, link.Path);
        Assert.Equal(0u, link.Stripes);
    }

    [Fact]
    public void NewSession_LeavesStripesAndPortsAsTheyAre()
    {
        (LinkNode a, LinkNode b) = Pair();
        a.LinkTo(b).UseStripes(a.LinkTo(b).Path, 0b10);
        b.LinkTo(a).UseStripes(b.LinkTo(a).Path, 0b10);
        b.LinkTo(a).TakePeerPorts([Told]);

        a.LinkTo(b).RequestHandshake(force: true);
        _world.Advance(1);
        a.Send(b, 2);
        _world.Deliver();

        Assert.Equal(1, b.Established);
        Assert.Equal(0b10u, a.LinkTo(b).Stripes);
        Assert.Equal(0b10u, b.LinkTo(a).Stripes);
        Assert.Equal([Told], b.LinkTo(a).PeerPorts);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void OneWayFarBehindTheOthers_LosesNothing_OnceThePortsAreTold(bool isRekeyed)
    {
        (LinkNode a, LinkNode b) = Pair(Told);
        if (isRekeyed)
        {
            a.LinkTo(b).RequestHandshake(force: true);
            _world.Advance(1);
        }

        a.Send(b, 100);
        Datagram late = _world.UnderWay.Single();
        _world.UnderWay.Clear();
        b.Forget();
        byte[] datagram = new byte[64];
        for (int i = 0; i < 3 * ReplayWindow.Size; i++)
            a.LinkTo(b).SealCopy([1], datagram, LinkNode.Mtu, out _);
        a.Send(b, 101);
        _world.Deliver();
        _world.Deliver(late);
        _world.Deliver(late);

        Assert.Equal([OpenResult.Packet, OpenResult.Packet, OpenResult.Replayed], b.Results);
    }

    private static PathAddress At(PathAddress path, int port) =>
        new(new UdpEndpoint(path.Endpoint.MappedAddress, (ushort)port), path.RelayedMember);

    /// <summary>Two nodes with a session, of which the second was told of ports of the first.</summary>
    private (LinkNode A, LinkNode B) Pair(params ushort[] told)
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        _world.Advance(1);
        b.Table.DoubtsNewAddresses = true;
        b.LinkTo(a).TakePeerPorts(told);
        return (a, b);
    }
}
