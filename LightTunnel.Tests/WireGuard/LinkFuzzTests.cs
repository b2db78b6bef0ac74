using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class LinkFuzzTests
{
    [Theory]
    [InlineData(1, CipherSuite.WireGuard)]
    [InlineData(2, CipherSuite.WireGuard)]
    [InlineData(3, CipherSuite.Aegis256)]
    [InlineData(4, CipherSuite.Aegis256)]
    public void MutatedMessagesOfEveryType_AreDroppedWithoutExceptionOrGrowth(int seed, CipherSuite suite)
    {
        int count = Fuzz.Count(10_000);
        FuzzReport report = FuzzTargets.Links(count, Fuzz.Seed(seed), suite);
        Assert.Equal(count, report.Fed);
        Assert.Equal(0, report.Accepted);
        Assert.Equal(0, report.NewSessions);
        Assert.Equal(0, report.NewLinks);
        Assert.True(report.StillWorks);
    }

    [Fact]
    public void MutatedHandshakesWithAGoodMac1_AreRefusedByTheCryptographyBehindIt()
    {
        // Past the cheap check: each mutation is signed anew, as by somebody who knows the public key.
        using var world = new LinkWorld();
        (LinkNode a, LinkNode b) = world.AddPair();
        b.Strangers = (true, null);
        a.LinkTo(b).RequestHandshake();
        byte[] initiation = world.UnderWay.Single().Bytes;
        world.UnderWay.Clear();
        var toB = new CookieJar(b.Key, world.Time);
        var toA = new CookieJar(a.Key, world.Time);
        var random = new Random(5);
        for (int i = 0; i < 2_000; i++)
        {
            byte[] forged = [.. initiation];
            forged[random.Next(8, Messages.InitiationSize - 32)] ^= (byte)random.Next(1, 256);
            toB.Sign(forged);
            world.Time.Advance(TimeSpan.FromMilliseconds(20));
            b.Handle(forged, a.Address);
        }

        Assert.Equal(2_000, b.Table.Counters[LinkEvent.InitiationForged]);
        Assert.Empty(world.UnderWay);

        a.LinkTo(b).RequestHandshake(force: true);
        initiation = world.UnderWay.Single().Bytes;
        world.UnderWay.Clear();
        b.Receive(initiation, a.Address);
        byte[] response = world.UnderWay.Single().Bytes;
        world.UnderWay.Clear();
        for (int i = 0; i < 2_000; i++)
        {
            byte[] forged = [.. response];
            forged[random.Next(12, Messages.ResponseSize - 32)] ^= (byte)random.Next(1, 256);
            toA.Sign(forged);
            a.Handle(forged, b.Address);
        }

        Assert.Equal(2_000, a.Table.Counters[LinkEvent.ResponseForged]);
        Assert.False(a.LinkTo(b).HasSession);
        a.Receive(response, b.Address);
        Assert.True(a.LinkTo(b).HasSession);
    }
}
