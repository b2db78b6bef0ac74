using LightTunnel.Addressing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class LinkCookieTests : IDisposable
{
    private readonly LinkWorld _world = new();
    private readonly PrivateKey _stranger = PrivateKey.Generate();
    private Tai64n _last;

    public void Dispose()
    {
        _stranger.Dispose();
        _world.Dispose();
    }

    [Fact]
    public void UnderLoad_ClientGetsACookieAndConnectsWithItsNextTry()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        Flood(b, HandshakeLoad.RatePerSecond + 1);
        a.Send(b, 1);
        _world.Deliver();
        Assert.Equal(1, a.Table.Counters[LinkEvent.CookieAccepted]);
        Assert.Equal(0, b.Table.Counters[LinkEvent.InitiationAccepted]);
        Assert.Empty(b.Received);

        // Still flooded when the second try comes.
        for (int i = 0; i < 11; i++)
        {
            _world.Advance(0.5);
            Flood(b, 100);
        }

        Assert.Single(b.Received);
        Assert.Equal(1, b.Table.Counters[LinkEvent.InitiationAccepted]);
    }

    [Fact]
    public void LoadGone_CookiesAreNoLongerAsked()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        Flood(b, HandshakeLoad.RatePerSecond + 1);
        _world.Advance(2.5);
        a.Send(b, 1);
        _world.Deliver();
        Assert.Single(b.Received);
    }

    [Fact]
    public void InvalidMac1_IsNotAnsweredEvenUnderLoad()
    {
        LinkNode b = _world.AddNode();
        Flood(b, HandshakeLoad.RatePerSecond + 1);
        int answered = _world.Log.Count;
        byte[] initiation = Initiation(b);
        initiation[20] ^= 1;
        b.Receive(initiation, LinkWorld.Endpoint(9));
        Assert.Equal(answered, _world.Log.Count);
        Assert.Equal(1, b.Table.Counters[LinkEvent.InvalidMac1]);
    }

    [Fact]
    public void Cookie_OfAnotherSourceAddress_IsWorthNothing()
    {
        using var checker = new CookieChecker(_stranger.PublicKey, _world.Time);
        var jar = new CookieJar(_stranger.PublicKey, _world.Time);
        PathAddress source = LinkWorld.Endpoint(1);
        byte[] message = new byte[Messages.InitiationSize];
        byte[] reply = new byte[Messages.CookieReplySize];
        jar.Sign(message);
        Assert.True(checker.CheckMac1(message));
        Assert.False(checker.CheckMac2(message, source));
        checker.WriteReply(message, source, reply);
        Assert.True(jar.TryTakeReply(reply));
        jar.Sign(message);
        Assert.True(checker.CheckMac2(message, source));

        Assert.False(checker.CheckMac2(message, LinkWorld.Endpoint(2)));
        Assert.False(checker.CheckMac2(message, source with { RelayedMember = 5 }));
        Assert.False(checker.CheckMac2(message, new PathAddress(new UdpEndpoint(source.Endpoint.Address, 1))));
        message[10] ^= 1;
        Assert.False(checker.CheckMac2(message, source));
    }

    [Fact]
    public void Cookie_AfterTwoMinutes_IsNeitherSentNorTaken()
    {
        using var checker = new CookieChecker(_stranger.PublicKey, _world.Time);
        var jar = new CookieJar(_stranger.PublicKey, _world.Time);
        byte[] message = new byte[Messages.InitiationSize];
        byte[] reply = new byte[Messages.CookieReplySize];
        jar.Sign(message);
        checker.WriteReply(message, LinkWorld.Endpoint(1), reply);
        Assert.True(jar.TryTakeReply(reply));
        _world.Time.Advance(TimeSpan.FromSeconds(114));
        jar.Sign(message);
        byte[] inTime = [.. message];
        Assert.True(checker.CheckMac2(inTime, LinkWorld.Endpoint(1)));
        _world.Time.Advance(TimeSpan.FromSeconds(2));
        jar.Sign(message);
        Assert.Equal(new byte[16], message[^16..]);
        _world.Time.Advance(TimeSpan.FromSeconds(4));
        Assert.False(checker.CheckMac2(inTime, LinkWorld.Endpoint(1)));
    }

    [Fact]
    public void CookieReply_ForgedOrRepeated_IsRefused()
    {
        using var checker = new CookieChecker(_stranger.PublicKey, _world.Time);
        var jar = new CookieJar(_stranger.PublicKey, _world.Time);
        byte[] message = new byte[Messages.InitiationSize];
        byte[] reply = new byte[Messages.CookieReplySize];
        jar.Sign(message);
        checker.WriteReply(message, LinkWorld.Endpoint(1), reply);
        byte[] forged = [.. reply];
        forged[40] ^= 1;
        Assert.False(jar.TryTakeReply(forged));
        Assert.True(jar.TryTakeReply(reply));
        Assert.False(jar.TryTakeReply(reply));
    }

    [Fact]
    public void UnderLoad_OneSourceWithAGoodCookie_IsLimited()
    {
        LinkNode b = _world.AddNode();
        Flood(b, HandshakeLoad.RatePerSecond + 1);
        var jar = new CookieJar(b.Key, _world.Time);
        PathAddress source = LinkWorld.Endpoint(8);
        byte[] initiation = Initiation(b, jar);
        b.Receive(initiation, source);
        Assert.True(jar.TryTakeReply(_world.Log[^1].Bytes));
        long cookies = b.Table.Counters[LinkEvent.CookieSent];
        for (int i = 0; i < 50; i++)
            b.Receive(Initiation(b, jar), source);
        Assert.Equal(cookies, b.Table.Counters[LinkEvent.CookieSent]);
        Assert.Equal(50 - HandshakeLoad.SourceRatePerSecond, b.Table.Counters[LinkEvent.SourceLimited]);
        Assert.Equal(HandshakeLoad.RatePerSecond + HandshakeLoad.SourceRatePerSecond, b.Table.Counters[LinkEvent.PeerRefused]);
    }

    [Fact]
    public void Strangers_HalfTheTable_MeansCookies_AndTheyNeverExceedTheLimit()
    {
        LinkNode b = _world.AddNode();
        b.Strangers = (true, null);
        int sent = 0;
        while (b.Table.Strangers < LinkTable.MaximumStrangers / 2)
        {
            NewStranger(b, null);
            sent++;
            _world.Time.Advance(TimeSpan.FromMilliseconds(20));
        }

        Assert.Equal(LinkTable.MaximumStrangers / 2, sent);
        Assert.Equal(0, b.Table.Counters[LinkEvent.CookieSent]);
        NewStranger(b, null);
        Assert.Equal(1, b.Table.Counters[LinkEvent.CookieSent]);
        Assert.Equal(sent, b.Table.Strangers);

        // With cookies, from many addresses, it fills up, and the oldest give way.
        PublicKey oldest = b.Table.Links.First().Peer;
        for (int i = 0; i < 600; i++)
        {
            NewStranger(b, new PathAddress(new UdpEndpoint((UInt128)(ulong)i << 64, 7)));
            _world.Time.Advance(TimeSpan.FromMilliseconds(50));
        }

        Assert.Equal(LinkTable.MaximumStrangers, b.Table.Strangers);
        Assert.Null(b.Table.Find(oldest));
        Assert.Equal(LinkTable.MaximumStrangers, b.Table.Indexes.Sessions);
        _world.Time.Advance(TimeSpan.FromSeconds(100));
        b.Table.RunTimers();
        Assert.Empty(b.Table.Links);
        Assert.Equal(0, b.Table.Indexes.Sessions);
    }

    private void NewStranger(LinkNode target, PathAddress? proven)
    {
        using var identity = PrivateKey.Generate();
        var jar = new CookieJar(target.Key, _world.Time);
        byte[] message = new byte[Messages.InitiationSize];
        for (int attempt = 0; attempt < (proven is null ? 1 : 2); attempt++)
        {
            _last = Tai64n.Next(_world.Time.GetUtcNow(), _last);
            Handshake.TryCreateInitiation(identity, target.Key, CipherSuite.WireGuard, 77, _last, message)!.Dispose();
            jar.Sign(message);
            target.Handle(message, proven ?? LinkWorld.Endpoint(9));
            if (proven is not null && attempt == 0)
                Assert.True(jar.TryTakeReply(_world.Log[^1].Bytes));
        }

        _world.UnderWay.Clear();
    }

    private void Flood(LinkNode target, int count)
    {
        for (int i = 0; i < count; i++)
            target.Handle(Initiation(target), LinkWorld.Endpoint(200));
    }

    private byte[] Initiation(LinkNode target, CookieJar? jar = null)
    {
        byte[] message = new byte[Messages.InitiationSize];
        _last = Tai64n.Next(_world.Time.GetUtcNow(), _last);
        Handshake.TryCreateInitiation(_stranger, target.Key, CipherSuite.WireGuard, 1, _last, message)!.Dispose();
        (jar ?? new CookieJar(target.Key, _world.Time)).Sign(message);
        return message;
    }
}
