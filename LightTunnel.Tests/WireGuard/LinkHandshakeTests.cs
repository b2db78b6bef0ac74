using LightTunnel.Addressing;
using LightTunnel.Timing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class LinkHandshakeTests : IDisposable
{
    private readonly LinkWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public void FirstPacket_WithoutSession_ArrivesAfterOneRoundTripAndNoKeepalive()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        Assert.Equal(SealResult.NoSession, a.Send(b, 0x45, 1, 2, 3));
        Assert.False(a.LinkTo(b).HasSession);

        _world.Deliver();

        Assert.Equal(
            [Messages.InitiationSize, Messages.ResponseSize, Messages.MinimumTransportSize + 16], _world.Log.Select(d => d.Bytes.Length));
        Assert.Equal([0x45, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Assert.Single(b.Received));
        Assert.Equal(1, a.Established);
        Assert.Equal(1, b.Established);
        Assert.True(a.LinkTo(b).HasSession && b.LinkTo(a).HasSession);
        Assert.NotNull(a.LinkTo(b).LastHandshake);
        Assert.Equal(1, a.LinkTo(b).SentPackets);
        Assert.Equal(1, b.LinkTo(a).ReceivedPackets);
        Assert.Equal(a.LinkTo(b).SentBytes, b.LinkTo(a).ReceivedBytes);
    }

    [Fact]
    public void RequestHandshake_NothingStaged_SendsAKeepaliveSoThatTheResponderMaySpeak()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        a.LinkTo(b).RequestHandshake();
        _world.Deliver();
        Assert.Equal(Messages.MinimumTransportSize, _world.Log[^1].Bytes.Length);
        Assert.Equal(OpenResult.KeepAlive, Assert.Single(b.Results));
        Assert.Equal(SealResult.Sealed, b.Send(a, 0x45));
    }

    [Fact]
    public void Responder_BeforeTheFirstMessageUnderTheNewKeys_MayNotSeal()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        _world.Filter = d => d.Type != Messages.TransportType;
        a.LinkTo(b).RequestHandshake();
        _world.Deliver();
        Assert.True(a.LinkTo(b).HasSession);
        Assert.False(b.LinkTo(a).HasSession);
        Assert.Equal(0, b.Established);
    }

    [Fact]
    public void Confirmation_ByADataThread_TakesEffectBeforeTheControlLoopRuns()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        a.Send(b, 0x45);
        Datagram last = DeliverUntilTransport();
        byte[] bytes = [.. last.Bytes];
        int wakes = b.Wakes;

        Assert.Equal(OpenResult.Packet, b.Table.Open(bytes, a.Address, out Link? link, out _, out _));

        Assert.True(link!.HasSession);
        Assert.Equal(0, b.Established);
        Assert.Equal(wakes + 1, b.Wakes);
        b.Table.RunTimers();
        Assert.Equal(1, b.Established);
    }

    [Fact]
    public void BothInitiateAtOnce_DataFlowsBothWaysAtOnce()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        a.Send(b, 1);
        b.Send(a, 2);
        _world.Deliver();
        Assert.Equal(1, b.Received.Single()[0]);
        Assert.Equal(2, a.Received.Single()[0]);
        for (byte i = 0; i < 5; i++)
        {
            a.Send(b, i);
            b.Send(a, i);
            _world.Deliver();
        }

        Assert.Equal(6, a.Received.Count);
        Assert.Equal(6, b.Received.Count);
        Assert.DoesNotContain(a.Results.Concat(b.Results), r => r is not (OpenResult.Packet or OpenResult.KeepAlive));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void BothInitiateAtOnce_AnyOrderOfDelivery_NoDataIsLost(int seed)
    {
        var random = new Random(seed);
        for (int round = 0; round < 30; round++)
        {
            using var world = new LinkWorld();
            (LinkNode a, LinkNode b) = world.AddPair();
            a.Send(b, 1);
            b.Send(a, 2);
            while (world.UnderWay.Count != 0)
            {
                Datagram next = world.UnderWay[random.Next(world.UnderWay.Count)];
                world.UnderWay.Remove(next);
                world.Deliver(next);
            }

            world.Advance(20);
            Assert.Contains(b.Received, p => p[0] == 1);
            Assert.Contains(a.Received, p => p[0] == 2);
        }
    }

    [Fact]
    public void PresharedKey_SameOnBothSides_Connects()
    {
        using var key = PresharedKey.Generate();
        (LinkNode a, LinkNode b) = _world.AddPair(key, key);
        a.Send(b, 1);
        _world.Deliver();
        Assert.Single(b.Received);
    }

    [Fact]
    public void PresharedKey_Different_NeverConnectsAndSaysWhy()
    {
        using var one = PresharedKey.Generate();
        using var other = PresharedKey.Generate();
        (LinkNode a, LinkNode b) = _world.AddPair(one, other);
        a.Send(b, 1);
        _world.Advance(4);
        Assert.False(a.LinkTo(b).HasSession);
        Assert.False(b.LinkTo(a).HasSession);
        Assert.Equal(1, a.Table.Counters[LinkEvent.ResponseForged]);
        Assert.Empty(b.Received);
    }

    [Fact]
    public void UnknownPeer_NotAdmitted_IsCountedAndNotAnswered()
    {
        LinkNode a = _world.AddNode();
        LinkNode b = _world.AddNode();
        a.Table.Add(b.Key, null).Path = b.Address;
        a.Send(b, 1);
        _world.Deliver();
        Assert.Equal(1, b.Table.Counters[LinkEvent.PeerRefused]);
        Assert.Single(_world.Log);
        Assert.Empty(b.Table.Links);
    }

    [Fact]
    public void UnknownPeer_Admitted_IsAStrangerUntilItsFirstPacket()
    {
        using var key = PresharedKey.Generate();
        LinkNode a = _world.AddNode();
        LinkNode b = _world.AddNode();
        b.Strangers = (true, key);
        a.Table.Add(b.Key, PresharedKeys.Of(key)).Path = b.Address;
        a.Send(b, 7);
        Datagram first = DeliverUntilTransport();
        Assert.Equal(1, b.Table.Strangers);

        _world.Deliver(first);

        Assert.Equal(0, b.Table.Strangers);
        Assert.Equal(7, Assert.Single(b.Received)[0]);
        Assert.Equal(1, b.Established);
        _world.Advance(600);
        Assert.Single(b.Table.Links);
    }

    [Fact]
    public void Stranger_NeverConfirming_IsForgottenAfterTheAttemptTime()
    {
        LinkNode a = _world.AddNode();
        LinkNode b = _world.AddNode();
        b.Strangers = (true, null);
        a.Table.Add(b.Key, null).Path = b.Address;
        _world.Filter = d => d.Type == Messages.InitiationType;
        a.LinkTo(b).RequestHandshake();
        _world.Deliver();
        a.Table.Remove(a.LinkTo(b));
        _world.Advance(89);
        Assert.Single(b.Table.Links);
        _world.Advance(2);
        Assert.Empty(b.Table.Links);
        Assert.Equal(0, b.Table.Indexes.Sessions);
        Assert.Equal(1, b.Table.Counters[LinkEvent.StrangerRemoved]);
        Assert.Equal(0, b.Lost);
    }

    [Fact]
    public void Add_ForAStranger_AdoptsItsLinkAndSession()
    {
        LinkNode a = _world.AddNode();
        LinkNode b = _world.AddNode();
        b.Strangers = (true, null);
        a.Table.Add(b.Key, null).Path = b.Address;
        a.Send(b, 7);
        Datagram first = DeliverUntilTransport();
        Link stranger = b.LinkTo(a);

        Assert.Same(stranger, b.Table.Add(a.Key, null));

        Assert.Equal(0, b.Table.Strangers);
        _world.Deliver(first);
        Assert.Single(b.Received);
        Assert.Throws<InvalidOperationException>(() => b.Table.Add(a.Key, null));
    }

    [Fact]
    public void Initiation_Replayed_IsRefused()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        _world.Advance(30);
        a.LinkTo(b).RequestHandshake();
        Datagram initiation = _world.Log.Last(d => d.Type == Messages.InitiationType);
        _world.Deliver();
        int sent = _world.Log.Count;
        _world.Time.Advance(TimeSpan.FromSeconds(10));
        b.Receive([.. initiation.Bytes], LinkWorld.Endpoint(99));
        Assert.Equal(1, b.Table.Counters[LinkEvent.InitiationReplayed]);
        Assert.Equal(sent, _world.Log.Count);
        Assert.Equal(a.Address, b.LinkTo(a).Path);
    }

    [Fact]
    public void Initiations_LessThan20MillisecondsApart_AreDropped()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        for (int i = 0; i < 3; i++)
        {
            a.LinkTo(b).RequestHandshake(force: true);
            _world.Deliver();
        }

        Assert.Equal(1, b.Table.Counters[LinkEvent.InitiationAccepted]);
        Assert.Equal(2, b.Table.Counters[LinkEvent.InitiationFlood]);
    }

    [Fact]
    public void Initiation_AfterTheClockWasSetBack_IsStillNewer()
    {
        Tai64n first = Tai64n.Next(new DateTimeOffset(2026, 5, 1, 0, 0, 0, TimeSpan.Zero), default);
        Tai64n second = Tai64n.Next(new DateTimeOffset(2020, 5, 1, 0, 0, 0, TimeSpan.Zero), first);
        Assert.True(second.CompareTo(first) > 0);
        Span<byte> bytes = stackalloc byte[Tai64n.Size];
        second.Write(bytes);
        Assert.Equal(second, Tai64n.Read(bytes));
    }

    [Fact]
    public void Initiations_ToManyPeersAtOnce_DoNotRunAheadOfTheClock()
    {
        LinkNode a = _world.AddNode();
        for (int i = 0; i < 50; i++)
        {
            LinkNode b = _world.AddNode();
            b.Table.Add(a.Key, null).Path = a.Address;
            a.Table.Add(b.Key, null).Path = b.Address;
            a.LinkTo(b).RequestHandshake();
        }

        _world.Deliver();
        Tai64n now = Tai64n.Next(_world.Time.GetUtcNow(), default);
        Assert.Equal(50, a.Established);
        foreach (Datagram initiation in _world.Log.Where(d => d.Type == Messages.InitiationType))
        {
            LinkNode target = _world.NodeAt(initiation.To);
            Assert.Equal(now, target.LinkTo(a).GreatestTimestamp);
        }
    }

    [Fact]
    public void Tai64n_UnixEpoch_HasThePublishedLabel()
    {
        Span<byte> bytes = stackalloc byte[Tai64n.Size];
        Tai64n.Next(DateTimeOffset.UnixEpoch, default).Write(bytes);
        Assert.Equal("400000000000000A00000000", Convert.ToHexString(bytes));
    }

    [Fact]
    public void Response_ToAnEarlierInitiation_IsDropped()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        a.LinkTo(b).RequestHandshake();
        Datagram initiation = _world.UnderWay.Single();
        _world.UnderWay.Clear();
        b.Receive([.. initiation.Bytes], a.Address);
        Datagram response = _world.UnderWay.Single();
        _world.UnderWay.Clear();
        a.LinkTo(b).RequestHandshake(force: true);
        a.Receive([.. response.Bytes], b.Address);
        Assert.Equal(1, a.Table.Counters[LinkEvent.UnknownHandshake]);
        Assert.False(a.LinkTo(b).HasSession);
    }

    [Fact]
    public void Remove_ZeroesKeysAndFreesIndexes()
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair();
        Link link = a.LinkTo(b);
        KeyPair session = link.Sessions.Current!;
        link.RequestHandshake(force: true);
        a.Table.Remove(link);
        Assert.True(session.IsZeroed);
        Assert.False(link.HasSession);
        Assert.Equal(0, a.Table.Indexes.Sessions);
        Assert.Equal(0, a.Table.Indexes.Handshakes);
        Assert.Empty(a.Table.Links);
        Assert.Equal(Timestamp.Never, a.Table.RunTimers());
        byte[] buffer = new byte[100];
        Assert.Equal(SealResult.NoSession, link.SealCopy([1], buffer, 1400, out _));
    }

    [Fact]
    public void Relayed_SourceAddressWithMember_IsAnsweredTheSameWay()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        a.LinkTo(b).RequestHandshake();
        var relayed = new PathAddress(LinkWorld.Endpoint(50).Endpoint, 7);
        b.Receive([.. _world.UnderWay.Single().Bytes], relayed);
        Assert.Equal(relayed, _world.Log[^1].To);
        Assert.Equal(relayed, b.LinkTo(a).Path);
    }

    private Datagram DeliverUntilTransport()
    {
        while (_world.UnderWay[0].Type != Messages.TransportType)
        {
            Datagram next = _world.UnderWay[0];
            _world.UnderWay.RemoveAt(0);
            _world.Deliver(next);
        }

        Datagram first = _world.UnderWay[0];
        _world.UnderWay.RemoveAt(0);
        return first;
    }
}
