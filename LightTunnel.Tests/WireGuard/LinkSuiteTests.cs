using LightTunnel.WireGuard;
using LightTunnel.WireGuard.Noise;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>What a link's packets are sealed with, and that nobody but the initiator has a say in it.</summary>
public sealed class LinkSuiteTests : IDisposable
{
    private readonly LinkWorld _world = new();

    public static TheoryData<CipherSuite> Suites => [.. Enum.GetValues<CipherSuite>()];

    public void Dispose() => _world.Dispose();

    [Theory]
    [InlineData(CipherSuite.WireGuard, 32)]
    [InlineData(CipherSuite.Aegis256, 48)]
    public void Handshake_SuiteOfTheInitiator_IsTheSessionsOnBothSides_AndHandshakesStayAsLong(CipherSuite suite, int overhead)
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        a.Suite = suite;
        Assert.Null(a.LinkTo(b).Suite);

        a.Send(b, 0x45, 1, 2, 3);
        _world.Deliver();
        b.Send(a, 0x46);
        _world.Deliver();

        Assert.Equal([148, 92, overhead + 16, overhead + 16], _world.Log.Select(datagram => datagram.Bytes.Length));
        Assert.Equal((suite, suite), (a.LinkTo(b).Suite, b.LinkTo(a).Suite));
        Assert.Equal(0x45, Assert.Single(b.Received)[0]);
        Assert.Equal(0x46, Assert.Single(a.Received)[0]);
    }

    [Theory]
    [InlineData(CipherSuite.WireGuard, 32)]
    [InlineData(CipherSuite.Aegis256, 48)]
    public void KeepAlive_OfEitherSuite_IsNoPacket(CipherSuite suite, int size)
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        a.Suite = suite;
        a.LinkTo(b).RequestHandshake();
        _world.Deliver();
        Assert.Equal(size, _world.Log[^1].Bytes.Length);
        Assert.Equal([OpenResult.KeepAlive], b.Results);
        Assert.Equal(0, b.LinkTo(a).ReceivedPackets);
    }

    [Theory]
    [MemberData(nameof(Suites))]
    public void Initiation_AlteredAnywhere_IsReadInNoSuite(CipherSuite suite)
    {
        using var identity = PrivateKey.Generate();
        using var responder = PrivateKey.Generate();
        byte[] message = Initiation(identity, responder.PublicKey, suite);
        using (HandshakeState read = Read(responder, message, out CipherSuite told)!)
            Assert.Equal((suite, identity.PublicKey), (told, read.RemoteStatic));

        // Two bits of a Curve25519 point do not count (RFC 7748 section 5), but the hash has them too.
        for (int at = Messages.InitiationNoiseOffset; at < Messages.InitiationSize - (2 * Messages.MacSize); at++)
        {
            byte[] altered = [.. message];
            altered[at] ^= 0x80;
            Assert.Null(Read(responder, altered, out _));
        }
    }

    [Fact]
    public void Initiation_WithAegis_ToWhoSpeaksWireGuardOnly_IsNeverAnswered_AndTheInitiatorNeverFallsBack()
    {
        LinkNode a = _world.AddNode();
        LinkNode b = _world.AddNode(speaks: [CipherSuite.WireGuard]);
        a.Table.Add(b.Key, null).Path = b.Address;
        b.Table.Add(a.Key, null).Path = a.Address;
        a.Suite = CipherSuite.Aegis256;

        a.Send(b, 0x45);
        _world.Advance(100);

        Assert.Equal(1, a.Lost);
        Assert.Null(a.LinkTo(b).Suite);
        Assert.True(b.Table.Counters[LinkEvent.InitiationForged] > 10);
        Assert.Equal(0, b.Table.Counters[LinkEvent.InitiationAccepted]);
        Assert.All(_world.Log, datagram => Assert.Equal(a.Address, datagram.From));

        a.Suite = CipherSuite.WireGuard;
        a.LinkTo(b).RequestHandshake();
        _world.Deliver();
        Assert.Equal(CipherSuite.WireGuard, b.LinkTo(a).Suite);
    }

    [Theory]
    [InlineData(CipherSuite.WireGuard, CipherSuite.Aegis256)]
    [InlineData(CipherSuite.Aegis256, CipherSuite.WireGuard)]
    public void Rekey_WithTheOtherSuite_ChangesIt_AndWhatWasUnderWayStillOpens(CipherSuite before, CipherSuite after)
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair(before);
        a.Send(b, 0x41);
        b.Send(a, 0x42);
        List<Datagram> late = [.. _world.UnderWay];
        _world.UnderWay.Clear();

        _world.Advance(1);
        a.Suite = after;
        a.LinkTo(b).RequestHandshake(force: true);
        _world.Deliver();
        Assert.Equal((after, after), (a.LinkTo(b).Suite, b.LinkTo(a).Suite));

        _world.UnderWay.AddRange(late);
        a.Send(b, 0x43);
        b.Send(a, 0x44);
        _world.Deliver();
        Assert.Equal([0x41, 0x43], b.Received.Select(packet => (int)packet[0]));
        Assert.Equal([0x42, 0x44], a.Received.Select(packet => (int)packet[0]));
    }

    [Fact]
    public void BothInitiateAtOnce_WithDifferentSuites_EndWithOneThatBothCanRead()
    {
        (LinkNode a, LinkNode b) = _world.AddPair();
        a.Suite = CipherSuite.Aegis256;
        a.Send(b, 0x41);
        b.Send(a, 0x42);
        _world.Deliver();
        a.Send(b, 0x43);
        b.Send(a, 0x44);
        _world.Deliver();
        Assert.Equal([0x41, 0x43], b.Received.Select(packet => (int)packet[0]));
        Assert.Equal([0x42, 0x44], a.Received.Select(packet => (int)packet[0]));
    }

    [Theory]
    [InlineData(16)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(47)]
    public void Open_DatagramTooShortForTheSessionsTag_IsDropped(int length)
    {
        (LinkNode a, LinkNode b) = _world.AddConnectedPair(CipherSuite.Aegis256);
        a.Send(b, 0x41);
        byte[] cut = _world.UnderWay.Single().Bytes[..length];
        _world.UnderWay.Clear();
        OpenResult result = b.Table.Open(cut, a.Address, out Link? link, out _, out _);
        Assert.Equal(OpenResult.Malformed, result);
        Assert.Null(link);
    }

    private static HandshakeState? Read(PrivateKey responder, byte[] message, out CipherSuite suite) =>
        Handshake.TryReadInitiation(responder, [CipherSuite.Aegis256, CipherSuite.WireGuard], message, out suite, out _);

    private static byte[] Initiation(PrivateKey identity, PublicKey responder, CipherSuite suite)
    {
        byte[] message = new byte[Messages.InitiationSize];
        Handshake.TryCreateInitiation(
            identity, responder, suite, 7, Tai64n.Next(DateTimeOffset.UnixEpoch.AddYears(56), default), message)!.Dispose();
        return message;
    }
}
