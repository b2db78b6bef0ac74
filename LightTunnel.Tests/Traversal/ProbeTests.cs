using LightTunnel.Addressing;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Traversal;

public sealed class ProbeTests : IDisposable
{
    private static readonly UdpEndpoint Somewhere = UdpEndpoint.FromIPv4(0xC6336401, 4242);

    private readonly PrivateKey _first = PrivateKey.Generate();
    private readonly PrivateKey _second = PrivateKey.Generate();
    private readonly PresharedKey _network = PresharedKey.Generate();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
        _network.Dispose();
    }

    private static ProbeKey Derive(PrivateKey own, PrivateKey peer, PresharedKey network)
    {
        Assert.True(ProbeKey.TryDerive(own, peer.PublicKey, network, out ProbeKey? key));
        return key;
    }

    private ProbeChannel Channel(bool first) => Channel(first, PresharedKeys.Of(_network));

    private ProbeChannel Channel(bool first, PresharedKeys network)
    {
        (PrivateKey own, PrivateKey peer) = first ? (_first, _second) : (_second, _first);
        Assert.True(ProbeKeys.TryMake(own, peer.PublicKey, network, out ProbeKeys? keys));
        return new ProbeChannel(keys, first ? 7u : 8u, _time.GetUtcNow());
    }

    /// <summary>One side has the network's next key already, the other only the one before: they understand each other.</summary>
    [Fact]
    public void TwoKeys_WhoeverHasWhich_AreUnderstood_AsLongAsOneIsCommon()
    {
        var before = new NetworkKeySet { Key = _network.Bytes.ToArray() };
        DateTimeOffset now = _time.GetUtcNow();
        using PresharedKey next = PresharedKey.Generate();
        using var ring = new PresharedKeyRing(before.Follow(next.Bytes, 5, now, TimeSpan.FromDays(1)));
        using var old = new PresharedKeyRing(before);
        using ProbeChannel first = Channel(first: true, ring);
        using ProbeChannel second = Channel(first: false, old);
        Assert.True(Passes(first, second));
        Assert.True(Passes(second, first));

        old.Take(ring.Set);
        second.PeerKeyNumber = 5;
        Assert.True(Passes(second, first));
        Assert.Equal(5, first.PeerKeyNumber); // By which it knows.
        ring.Take(ring.Set.At(now + TimeSpan.FromDays(2)));
        Assert.True(Passes(first, second));

        second.PeerKeyNumber = 0;
        Assert.False(Passes(second, first)); // What was sealed with the former key is worth nothing now.
    }

    private static bool Passes(ProbeChannel from, ProbeChannel to)
    {
        byte[] datagram = new byte[ProbeCodec.Size];
        from.SealProbe(1, ProbeFlags.None, datagram);
        return to.TryOpen(datagram, out _);
    }

    [Fact]
    public void Derive_BothSides_GetTheSameTwoKeysCrossed()
    {
        using ProbeKey first = Derive(_first, _second, _network);
        using ProbeKey second = Derive(_second, _first, _network);
        Assert.True(first.Sending.SequenceEqual(second.Receiving));
        Assert.True(first.Receiving.SequenceEqual(second.Sending));
        Assert.False(first.Sending.SequenceEqual(first.Receiving));
    }

    [Fact]
    public void Derive_FixedKeys_GiveTheSameEveryTime()
    {
        // The derivation is part of the protocol; the value was computed with another implementation (Python's hashlib).
        byte[] bytes = new byte[32];
        Array.Fill(bytes, (byte)1);
        using var first = new PrivateKey(bytes);
        Array.Fill(bytes, (byte)2);
        using var second = new PrivateKey(bytes);
        Array.Fill(bytes, (byte)3);
        using var network = new PresharedKey(bytes);
        using ProbeKey key = Derive(first, second, network);
        Assert.Equal(ExpectedKey, Convert.ToHexStringLower(key.Sending));
    }

    private const string ExpectedKey = "bea50732edccfefd5f907c06d827aee7248973fc43ca919c61d352e7108fbf00";

    [Fact]
    public void Derive_OtherNetworkKeyOrMember_GivesOtherKeys()
    {
        using ProbeKey key = Derive(_first, _second, _network);
        using PresharedKey otherNetwork = PresharedKey.Generate();
        using PrivateKey third = PrivateKey.Generate();
        using ProbeKey other = Derive(_first, _second, otherNetwork);
        using ProbeKey another = Derive(_first, third, _network);
        Assert.False(key.Sending.SequenceEqual(other.Sending));
        Assert.False(key.Sending.SequenceEqual(another.Sending));
        Assert.False(key.Sending.SequenceEqual(another.Receiving));
    }

    [Fact]
    public void Derive_KeyOfLowOrderOrOurOwn_IsRefused()
    {
        Assert.False(ProbeKey.TryDerive(_first, default, _network, out _));
        Assert.False(ProbeKey.TryDerive(_first, _first.PublicKey, _network, out _));
    }

    [Fact]
    public void Dispose_ZeroesTheKeyAndNothingShowsIt()
    {
        ProbeKey key = Derive(_first, _second, _network);
        Assert.False(key.IsZeroed);
        Assert.Equal("(probe key)", key.ToString());
        key.Dispose();
        Assert.True(key.IsZeroed);
    }

    [Fact]
    public void SealAndOpen_ProbeAndAnswer_SayTheSameAndHaveOneSize()
    {
        using ProbeChannel first = Channel(true), second = Channel(false);
        byte[] datagram = new byte[ProbeCodec.Size];
        first.SealProbe(0xDEADBEEF, ProbeFlags.PathInUse | ProbeFlags.WillingToRelay, datagram);
        Assert.Equal(96, datagram.Length);
        Assert.Equal([0x11, 0, 0, 0, 0, 0, 0, 7], datagram[..8]);
        Assert.True(ProbeCodec.TryReadSender(datagram, out uint sender));
        Assert.Equal(7u, sender);
        Assert.True(second.TryOpen(datagram, out Probe probe));
        Assert.Equal(
            (false, 7u, 0xDEADBEEFu, ProbeFlags.PathInUse | ProbeFlags.WillingToRelay),
            (probe.IsAnswer, probe.Sender, probe.Transaction, probe.Flags));
        Assert.False(probe.SeenFrom.IsSpecified);

        foreach (UdpEndpoint seen in (UdpEndpoint[])[Somewhere, new UdpEndpoint(System.Net.IPAddress.Parse("2001:db8::5"), 65535)])
        {
            second.SealAnswer(probe, seen, ProbeFlags.None, datagram);
            Assert.Equal(0x12, datagram[0]);
            Assert.True(first.TryOpen(datagram, out Probe answer));
            Assert.Equal((true, 8u, 0xDEADBEEFu, seen), (answer.IsAnswer, answer.Sender, answer.Transaction, answer.SeenFrom));
        }
    }

    [Fact]
    public void TryOpen_Again_IsRefused()
    {
        using ProbeChannel first = Channel(true), second = Channel(false);
        byte[] datagram = new byte[ProbeCodec.Size];
        first.SealProbe(1, ProbeFlags.None, datagram);
        Assert.True(second.TryOpen(datagram, out _));
        Assert.False(second.TryOpen(datagram, out _));
    }

    [Fact]
    public void TryOpen_BackAtTheSender_IsRefused()
    {
        using ProbeChannel first = Channel(true);
        byte[] datagram = new byte[ProbeCodec.Size];
        first.SealProbe(1, ProbeFlags.None, datagram);
        Assert.False(first.TryOpen(datagram, out _));
    }

    [Fact]
    public void Sequence_AfterARestart_IsAboveAllBefore()
    {
        using ProbeChannel second = Channel(false);
        byte[] datagram = new byte[ProbeCodec.Size];
        for (int restart = 0; restart < 5; restart++)
        {
            using ProbeChannel first = Channel(true);
            for (int i = 0; i < 1000; i++)
            {
                first.SealProbe(1, ProbeFlags.None, datagram);
                Assert.True(second.TryOpen(datagram, out _));
            }

            _time.Advance(TimeSpan.FromSeconds(1));
        }
    }

    [Fact]
    public void TryOpen_AnyByteChanged_IsRefused()
    {
        using ProbeKey sender = Derive(_first, _second, _network), receiver = Derive(_second, _first, _network);
        byte[] datagram = new byte[ProbeCodec.Size];
        ProbeCodec.Seal(sender, new Probe(false, 7, 1, 2, ProbeFlags.None, default), datagram);
        Assert.True(ProbeCodec.TryOpen(receiver, datagram, out _));
        for (int i = 0; i < datagram.Length * 8; i++)
        {
            datagram[i / 8] ^= (byte)(1 << (i % 8));
            Assert.False(ProbeCodec.TryOpen(receiver, datagram, out _));
            datagram[i / 8] ^= (byte)(1 << (i % 8));
        }

        Assert.True(ProbeCodec.TryOpen(receiver, datagram, out _));
    }

    [Fact]
    public void TryOpen_AnyLengthAndBytes_NeverThrows()
    {
        using ProbeKey key = Derive(_first, _second, _network);
        var random = new Random(1);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = new byte[random.Next(4) == 0 ? ProbeCodec.Size : random.Next(0, 300)];
            random.NextBytes(bytes);
            if (bytes.Length >= 4 && i % 2 == 0)
                (bytes[0], bytes[1], bytes[2], bytes[3]) = (0x11, 0, 0, 0);
            Assert.False(ProbeCodec.TryOpen(key, bytes, out _));
        }
    }

    [Fact]
    public void Responder_AnswersOnceFromThePortAskedFor()
    {
        using ProbeChannel member = Channel(true);
        using var server = new ProbeResponder(Channel(false), _time);
        byte[] probe = new byte[ProbeCodec.Size], answer = new byte[ProbeCodec.Size];
        foreach (ProbeFlags flags in (ProbeFlags[])[ProbeFlags.None, ProbeFlags.AnswerFromElsewhere])
        {
            member.SealProbe(5, flags, probe);
            Assert.True(server.TryAnswer(probe, Somewhere, _time.Now(), answer, out bool fromElsewhere));
            Assert.Equal(flags == ProbeFlags.AnswerFromElsewhere, fromElsewhere);
            Assert.False(server.TryAnswer(probe, Somewhere, _time.Now(), answer, out _));
            Assert.False(server.TryAnswer(answer, Somewhere, _time.Now(), new byte[ProbeCodec.Size], out _));
            Assert.True(member.TryOpen(answer, out Probe opened));
            Assert.Equal(Somewhere, opened.SeenFrom);
        }
    }

    [Fact]
    public void Responder_Flooded_AnswersAtALimitedRate()
    {
        using ProbeChannel member = Channel(true);
        using var server = new ProbeResponder(Channel(false), _time);
        byte[] probe = new byte[ProbeCodec.Size], answer = new byte[ProbeCodec.Size];
        int answered = 0;
        for (int i = 0; i < 1000; i++)
        {
            member.SealProbe(5, ProbeFlags.None, probe);
            answered += server.TryAnswer(probe, Somewhere, _time.Now(), answer, out _) ? 1 : 0;
        }

        Assert.Equal(100, answered);
    }
}
