using LightTunnel.Addressing;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>What a hostile plain client tries, and what others try with the way that plain clients have through the server.</summary>
public sealed class PlainClientAttackTests : IAsyncLifetime
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new();
    private SimulatedNode _server = null!;
    private SimulatedNode _alice = null!;
    private SimulatedNode _bob = null!;
    private SimulatedNode _phone = null!;

    public async ValueTask InitializeAsync()
    {
        _server = _network.StartServer();
        _alice = _network.AddClient("alice");
        _bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => _alice.IsUp && _bob.IsUp, Soon));
        _phone = await _network.AddPlainAsync("phone");
        _network.AssertPasses(_phone, _alice);
        _network.AssertPasses(_phone, _server);
    }

    public ValueTask DisposeAsync()
    {
        _network.Dispose();
        return ValueTask.CompletedTask;
    }

    [Theory]
    [InlineData("10.0.0.1")]
    [InlineData("10.0.0.2")]
    [InlineData("10.0.0.3")]
    [InlineData("10.0.0.99")]
    [InlineData("8.8.8.8")]
    public void ForgedSource_IsDropped_AndCountedAsItsOwn(string source)
    {
        Assert.True(TunnelAddress.TryParse(source, out TunnelAddress forged));
        foreach (SimulatedNode victim in new[] { _server, _alice, _bob })
            Assert.True(_phone.Plain().SendSealed(TestPackets.Udp(forged, victim.Address, "forged"u8)));
        _network.Run(Soon);

        AssertNothingArrived("forged");
        Assert.Equal(3, _server.Inbound.Dropped(DropReason.WrongSource));
        Assert.Equal(3, _server.Peer("phone").WrongSourcePackets);
    }

    [Fact]
    public void ControlFrames_AreNone_AndNobodyAnswersThem()
    {
        uint registered = _server.Peer("alice").MemberId;
        long sent = _server.Peer("phone").Link!.SentPackets;
        foreach (ControlFrameKind kind in Enum.GetValues<ControlFrameKind>())
        {
            byte[] frame = new byte[200];
            new ControlFrame(kind, 1, 1).Write(frame);
            Assert.True(_phone.Plain().SendSealed(frame));
        }

        Assert.True(_phone.Plain().SendSealed([0xC0]));
        _network.Run(Soon);
        Assert.Equal(Enum.GetValues<ControlFrameKind>().Length + 1, _server.Inbound.Dropped(DropReason.Malformed));
        Assert.Equal(sent, _server.Peer("phone").Link!.SentPackets);
        Assert.Equal(registered, _server.Peer("alice").MemberId);
    }

    [Fact]
    public void RelayHeadersAndProbes_FromItAndForIt_GoNowhere()
    {
        uint own = _server.Peer("phone").MemberId;
        long received = _phone.Inbound.Dropped(DropReason.Malformed);
        byte[] relayed = new byte[200];
        relayed[RelayHeader.Size] = (byte)Messages.TransportType;
        UdpEndpoint server = _server.Endpoint;
        foreach (uint victim in new[] { _alice.Node.MemberId, _bob.Node.MemberId })
        {
            new RelayHeader(own, victim).Write(relayed);
            _phone.Transport.Send(relayed, new(server));
            new RelayHeader(victim, own).Write(relayed);
            _phone.Transport.Send(relayed, new(server));
        }

        new RelayHeader(_alice.Node.MemberId, own).Write(relayed);
        _alice.Transport.Send(relayed, new(server));
        byte[] probe = new byte[ProbeCodec.Size];
        Random.Shared.NextBytes(probe);
        probe[0] = 6;
        _phone.Transport.Send(probe, new(server));
        _network.Run(Soon);

        Assert.Equal(5, _server.Inbound.Dropped(DropReason.RelayRefused));
        Assert.Equal(received, _phone.Inbound.Dropped(DropReason.Malformed));
        _network.AssertPasses(_phone, _alice);
    }

    [Fact]
    public void Garbage_UnderItsKeys_HarmsNobody()
    {
        var random = new Random(Fuzz.Seed(5));
        for (int i = 0; i < Fuzz.Count(3000); i++)
        {
            TunnelAddress victim = random.Next(2) == 0 ? _alice.Address : _server.Address;
            byte[] inner = TestPackets.Udp(_phone.Address, victim, new byte[random.Next(60)]);
            for (int flips = random.Next(1, 8); flips > 0; flips--)
                inner[random.Next(inner.Length)] = (byte)random.Next(256);
            Assert.True(_phone.Plain().SendSealed(inner.AsSpan(0, random.Next(1, inner.Length + 1))));
            if (i % 64 == 0)
                _network.Settle();
        }

        _network.Run(Soon);
        _alice.Tun.TryCollect(out _);
        while (_alice.Tun.TryCollect(out _) || _server.Tun.TryCollect(out _) || _bob.Tun.TryCollect(out _) || _phone.Tun.TryCollect(out _))
        {
        }

        _network.AssertPasses(_phone, _alice);
        _network.AssertPasses(_alice, _phone);
        _network.AssertPasses(_phone, _server);
    }

    [Fact]
    public void UnknownDestination_IsAnsweredByIcmp_BroadcastByNobody()
    {
        Assert.True(TunnelAddress.TryParse("10.0.0.19", out TunnelAddress nobody));
        _phone.Send(nobody, "anybody?");
        Assert.True(_network.RunUntil(() => _phone.TakeReceived().Contains("icmp 3/1"), Soon));
        Assert.Equal(1, _server.Inbound.Dropped(DropReason.NoRoute));

        Assert.True(TunnelAddress.TryParse("10.0.0.255", out TunnelAddress everybody));
        Assert.True(_phone.Plain().SendSealed(TestPackets.Udp(_phone.Address, everybody, "all"u8)));
        Assert.True(_phone.Plain().SendSealed(TestPackets.Udp(_phone.Address, _phone.Address, "myself"u8)));
        _network.Run(Soon);
        AssertNothingArrived("all");
        Assert.DoesNotContain("myself", _phone.TakeReceived());
        Assert.Equal(1, _server.Inbound.Dropped(DropReason.Multicast));
        Assert.Equal(1, _server.Inbound.Dropped(DropReason.WrongDestination));
    }

    [Fact]
    public void PacketLongerThanTheNetworkCarries_IsAnsweredByIcmp()
    {
        Assert.True(_phone.Plain().SendSealed(TestPackets.Udp(_phone.Address, _alice.Address, new byte[1410])));
        Assert.True(_network.RunUntil(() => _phone.TakeReceived().Contains("icmp 3/4"), Soon));
        Assert.Equal(1, _server.Inbound.Dropped(DropReason.TooBig));
    }

    [Fact]
    public void MembersDoNotReachEachOther_ByWhatIsForPlainClients()
    {
        // A member sends by its link with the server what is for another member, which has to go by their own link.
        Send(_alice.Peer("hub").Link!, _alice, TestPackets.Udp(_alice.Address, _bob.Address, "detour"u8));
        _network.Run(Soon);
        AssertNothingArrived("detour");
        Assert.Equal(1, _server.Inbound.Dropped(DropReason.WrongDestination));

        // Nor does it send in a plain client's name, to whomever.
        foreach (TunnelAddress victim in new[] { _server.Address, _bob.Address, _phone.Address })
            Send(_alice.Peer("hub").Link!, _alice, TestPackets.Udp(_phone.Address, victim, "forged"u8));
        _network.Run(Soon);
        AssertNothingArrived("forged");
        Assert.DoesNotContain("forged", _phone.TakeReceived());
        Assert.Equal(3, _server.Inbound.Dropped(DropReason.WrongSource));
    }

    [Fact]
    public void Server_SpeaksForPlainClientsAlone()
    {
        Send(_server.Peer("bob").Link!, _server, TestPackets.Udp(_alice.Address, _bob.Address, "forged"u8));
        Send(_server.Peer("bob").Link!, _server, TestPackets.Udp(_phone.Address, _bob.Address, "its own"u8));
        _network.Run(Soon);
        Assert.Equal(["its own"], _bob.TakeReceived());
        Assert.Equal(1, _bob.Inbound.Dropped(DropReason.WrongSource));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhoLacksTheKeys_GetsNoLink(bool hasNetworkKey)
    {
        // The client's key pair without its pre-shared key, as from a copied app; and with the network's key in its place.
        using var another = PresharedKey.Generate();
        Assert.True(PrivateKey.TryParse(_phone.Node.Links.Identity.Reveal(), out PrivateKey? copy));
        SimulatedNode thief = _network.AddPlain(
            "thief", copy, _phone.Address, presharedKey: hasNetworkKey ? _network.NetworkKey : another);
        thief.Send(_server.Address, "stolen");
        _network.Run(Soon);
        Assert.Null(thief.Plain().Link.Suite);
        AssertNothingArrived("stolen");
        _network.AssertPasses(_phone, _alice);
    }

    [Fact]
    public void RegisteringUnderItsKey_ComesToNothing()
    {
        // Who has the client's key pair and the network's key is still no LightTunnel member.
        Assert.True(PrivateKey.TryParse(_phone.Node.Links.Identity.Reveal(), out PrivateKey? copy));
        _network.Kill(_phone);
        SimulatedNode pretender = _network.AddClient("pretender", identity: copy);
        _network.Run(TimeSpan.FromMinutes(1));
        Assert.False(pretender.IsUp);
        Assert.True(_server.Peer("phone").IsPlain);
    }

    private static void Send(Link link, SimulatedNode sender, byte[] inner)
    {
        Span<byte> datagram = new byte[inner.Length + 128];
        Assert.Equal(SealResult.Sealed, link.SealCopy(inner, datagram, inner.Length, out int written));
        sender.Transport.Send(datagram[..written], link.Path.Handle);
    }

    private void AssertNothingArrived(string body)
    {
        foreach (SimulatedNode node in new[] { _server, _alice, _bob })
            Assert.DoesNotContain(body, node.TakeReceived());
    }
}
