using LightTunnel.WireGuard;

namespace LightTunnel.Tests.WireGuard;

/// <summary>
/// Feeds a node mutated messages of all four types, real ones as the seed: thousands in the tests, as many as one likes from a bench.
/// Throws what the node throws, which must be nothing, and reports growth.
/// </summary>
internal static class FuzzTargets
{
    /// <summary>Feeds mutated messages to both sides of a live pair; returns how many were still taken for authentic.</summary>
    /// <param name="count">How many.</param>
    /// <param name="seed">Same seed, same mutations; the keys differ from run to run.</param>
    /// <param name="suite">What both sides' sessions are sealed with.</param>
    public static FuzzReport Links(int count, int seed, CipherSuite suite)
    {
        using var world = new LinkWorld();
        var random = new Random(seed);
        (LinkNode a, LinkNode b) = world.AddPair();
        a.Suite = b.Suite = suite;
        b.Strangers = (true, null);
        a.Send(b, new byte[40]);
        world.Deliver();
        b.Send(a, new byte[100]);
        world.Deliver();
        Datagram cookie = MakeCookieReply(world, a, b);
        Datagram[] corpus = [.. world.Log.GroupBy(d => (d.Type, d.To)).Select(g => g.First()), cookie];
        int sessions = a.Table.Indexes.Sessions + b.Table.Indexes.Sessions;
        a.Forget();
        b.Forget();

        var report = new FuzzReport();
        for (int i = 0; i < count; i++)
        {
            Datagram original = corpus[random.Next(corpus.Length)];
            byte[] bytes = Mutate(random, original.Bytes, corpus);
            LinkNode target = original.To == a.Address ? a : b;
            report.Fed++;
            if (bytes.AsSpan().SequenceEqual(original.Bytes))
                continue;
            target.Handle(bytes, LinkWorld.Endpoint(1 + random.Next(200)));
            OpenResult result = target.Table.Open(bytes, LinkWorld.Endpoint(9), out _, out _, out _);
            if (result is OpenResult.Packet or OpenResult.KeepAlive)
                report.Accepted++;
            target.Table.RunTimers();
            world.UnderWay.Clear();
            world.Log.Clear();
            if (i % 64 == 0)
                world.Time.Advance(TimeSpan.FromMilliseconds(random.Next(30)));
        }

        report.NewSessions = a.Table.Indexes.Sessions + b.Table.Indexes.Sessions - sessions;
        report.NewLinks = a.Table.Links.Count + b.Table.Links.Count - 2;
        a.Send(b, 0x77);
        world.Deliver();
        report.StillWorks = b.Received.Count == 1 && b.Received[0][0] == 0x77;
        return report;
    }

    private static Datagram MakeCookieReply(LinkWorld world, LinkNode a, LinkNode b)
    {
        using var checker = new CookieChecker(b.Key, world.Time);
        byte[] reply = new byte[Messages.CookieReplySize];
        checker.WriteReply(world.Log.First(d => d.Type == Messages.InitiationType).Bytes, a.Address, reply);
        return new Datagram(b.Address, a.Address, reply);
    }

    private static byte[] Mutate(Random random, byte[] original, Datagram[] corpus)
    {
        byte[] bytes = [.. original];
        switch (random.Next(8))
        {
            case 0:
                return bytes[..random.Next(bytes.Length)];
            case 1:
                return [.. bytes, .. new byte[random.Next(64)]];
            case 2:
                random.NextBytes(bytes.AsSpan(4));
                return bytes;
            case 3:
                bytes[0] = (byte)random.Next(6);
                return bytes;
            case 4:
                byte[] other = corpus[random.Next(corpus.Length)].Bytes;
                int cut = random.Next(Math.Min(other.Length, bytes.Length));
                other.AsSpan(0, cut).CopyTo(bytes);
                return bytes;
            default:
                for (int flips = 1 + random.Next(4); flips > 0; flips--)
                    bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                return bytes;
        }
    }
}

/// <summary>What <see cref="FuzzTargets.Links"/> saw.</summary>
internal sealed class FuzzReport
{
    public int Fed { get; set; }

    /// <summary>Mutated transport messages that were taken for authentic: must be 0.</summary>
    public int Accepted { get; set; }

    /// <summary>Sessions that came to be: must be 0.</summary>
    public int NewSessions { get; set; }

    /// <summary>Links that came to be: must be 0.</summary>
    public int NewLinks { get; set; }

    /// <summary>Whether the pair could still talk afterwards.</summary>
    public bool StillWorks { get; set; }
}
