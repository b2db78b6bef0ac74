using LightTunnel.Addressing;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using Xunit;

namespace LightTunnel.Tests.Traversal;

/// <summary>Datagrams that the peer sends from elsewhere, and those of anybody who would like to be taken for it.</summary>
public sealed class PeerTraversalDatagramTests
{
    [Fact]
    public void OnDatagram_RepetitionReflectionAndForgery_AreRejectedWithoutAnswer()
    {
        using TestInternet internet = PeerTraversalTests.ProvenPair();
        UdpEndpoint anywhere = UdpEndpoint.FromIPv4(0xC6336409, 7);
        int answers = internet.A.AnswersSent + internet.B.AnswersSent;
        foreach (byte[] datagram in internet.Captured.Take(20).ToArray())
        {
            if (datagram[0] == ProbeCodec.ProbeType)
            {
                byte[] forged = [.. datagram];
                forged[^1] ^= 1;
                Assert.Equal(ProbeOutcome.Rejected, internet.Inject(internet.A, forged, anywhere));
            }

            // Each was sent by one side, which must not take it back, and received by the other or refused by its NAT.
            ProbeOutcome first = internet.Inject(internet.A, datagram, anywhere);
            ProbeOutcome second = internet.Inject(internet.B, datagram, anywhere);
            Assert.Contains(ProbeOutcome.Rejected, (ProbeOutcome[])[first, second]);
            Assert.Equal(ProbeOutcome.Rejected, internet.Inject(internet.A, datagram, anywhere));
            Assert.Equal(ProbeOutcome.Rejected, internet.Inject(internet.B, datagram, anywhere));
        }

        Assert.InRange(internet.A.AnswersSent + internet.B.AnswersSent - answers, 0, 20);
    }

    [Fact]
    public void OnDatagram_ProbeFromANewEndpoint_IsAskedBackAtOnceAndOnce()
    {
        using TestInternet internet = PeerTraversalTests.ProvenPair();
        internet.Run(TimeSpan.FromSeconds(15));
        var moved = UdpEndpoint.FromIPv4(0xC6336433, 7);
        byte[] datagram = new byte[ProbeCodec.Size];
        for (int i = 0; i < 5; i++)
        {
            internet.B.Traversal.Seal(new OutgoingProbe(default, (uint)i, ProbeFlags.None), datagram);
            Assert.Equal(ProbeOutcome.Answered, internet.Inject(internet.A, datagram, moved));
        }

        var output = new List<OutgoingProbe>();
        internet.A.Traversal.RunTimers(internet.Now, Timestamp.NotYet, null, output, out _);
        Assert.Single(output, probe => probe.Path.Endpoint == moved);
    }

    [Fact]
    public void OnDatagram_AnswerFromElsewhere_ProvesNothing()
    {
        using TestInternet internet = PeerTraversalTests.Pair("Open", "Open");
        internet.Exchange();
        var output = new List<OutgoingProbe>();
        internet.A.Traversal.RunTimers(internet.Now, Timestamp.NotYet, null, output, out _);
        OutgoingProbe probe = output[0];
        byte[] datagram = new byte[ProbeCodec.Size], answer = new byte[ProbeCodec.Size];
        internet.A.Traversal.Seal(probe, datagram);
        var from = new PathAddress(internet.A.Endpoint());
        Assert.Equal(ProbeOutcome.Answered, internet.B.Traversal.OnDatagram(datagram, from, internet.Now, answer, out _, out _));
        Assert.Equal(ProbeOutcome.Ignored, internet.Inject(internet.A, answer, UdpEndpoint.FromIPv4(0xC6336433, 7)));
        Assert.False(internet.A.Traversal.IsProven);
    }

    [Fact]
    public void OnDatagram_RandomBytes_NeverThrowAndChangeNothing()
    {
        using TestInternet internet = PeerTraversalTests.ProvenPair();
        var random = new Random(5);
        for (int i = 0; i < 5000; i++)
        {
            byte[] bytes = new byte[random.Next(0, 200)];
            random.NextBytes(bytes);
            if (bytes.Length > 8 && i % 2 == 0)
                (bytes[0], bytes[1], bytes[2], bytes[3]) = ((byte)(0x11 + (i & 3)), 0, 0, 0);
            Assert.Equal(ProbeOutcome.Rejected, internet.Inject(internet.A, bytes, UdpEndpoint.FromIPv4((uint)i, 1)));
        }

        Assert.Single(internet.A.Traversal.Paths, path => path.IsProven);
    }

    [Fact]
    public void OnDatagram_PeerComesFromThousandsOfEndpoints_StaysBounded()
    {
        using TestInternet internet = PeerTraversalTests.ProvenPair();
        byte[] datagram = new byte[ProbeCodec.Size];
        for (int i = 0; i < 5000; i++)
        {
            internet.B.Traversal.Seal(new OutgoingProbe(default, (uint)i, ProbeFlags.None), datagram);
            Assert.Equal(ProbeOutcome.Answered, internet.Inject(internet.A, datagram, UdpEndpoint.FromIPv4(0xC6340000u + (uint)i, 7)));
            Assert.InRange(internet.A.Traversal.Paths.Count, 1, PathTable.MaximumCount);
        }

        Assert.True(internet.A.Traversal.IsProven);
    }
}
