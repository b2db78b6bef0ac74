using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using LightTunnel.Addressing;
using LightTunnel.Routing;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Routing;

public sealed class PathMtuTests
{
    private const int Overhead = 60;

    [Fact]
    public void Run_CleanPath_IsKnownAfterOneQuestion()
    {
        var path = new Path(1400) { Limit = 1500 - Overhead };

        path.Run(TimeSpan.FromMilliseconds(40), until: () => path.Mtu.Size is not null);

        Assert.Equal((1400, 1), (path.Mtu.Size, path.Questions));
        Assert.False(path.Mtu.IsSearching);
    }

    [Theory]
    [InlineData(1492)]
    [InlineData(1400)]
    [InlineData(1300)]
    [InlineData(1280)]
    public void Run_UsualNarrowPath_IsFoundExactly_WithinASecond(int outer)
    {
        var path = new Path(1440) { Limit = outer - Overhead };

        path.Run(TimeSpan.FromSeconds(1.5), until: () => path.Mtu is { Size: not null, IsSearching: false });

        Assert.InRange(path.Mtu.Size!.Value, outer - Overhead, outer - Overhead);
        Assert.False(path.Mtu.IsSearching);
        Assert.InRange(path.Questions, 2, 50);
    }

    [Property]
    public Property Run_AnyPath_IsFoundWithinSevenBytes() => Prop.ForAll(
        Gen.Choose(PathMtu.Floor, 10_000).ToArbitrary(),
        limit =>
        {
            var path = new Path(9000) { Limit = limit };
            path.Run(TimeSpan.FromSeconds(5), until: () => path.Mtu is { Size: not null, IsSearching: false });
            Assert.InRange(path.Mtu.Size!.Value, Math.Min(limit, 9000) - 7, Math.Min(limit, 9000));
            Assert.InRange(path.Questions, 1, 100);
        });

    [Fact]
    public void Run_PathGetsNarrower_IsNoticedWithinSeconds_AndTheOldLengthComesBack()
    {
        var path = new Path(1400) { Limit = 1440 };
        path.Run(TimeSpan.FromSeconds(60));
        Assert.Equal(1400, path.Mtu.Size);

        path.Limit = 1240;
        TimeSpan blackHole = path.Run(TimeSpan.FromSeconds(10), until: () => path.Mtu.Size <= 1240);
        Assert.InRange(blackHole, TimeSpan.Zero, TimeSpan.FromSeconds(3));
        path.Run(TimeSpan.FromSeconds(60));
        Assert.Equal(1240, path.Mtu.Size);

        path.Limit = 1440;
        path.Run(TimeSpan.FromMinutes(11), until: () => path.Mtu.Size == 1400);
        Assert.Equal(1400, path.Mtu.Size);
    }

    [Fact]
    public void Run_NarrowPath_AsksForMoreEverMoreRarely()
    {
        var path = new Path(1400) { Limit = 1240 };
        path.Run(TimeSpan.FromMinutes(60));

        int before = path.Longer;
        path.Run(TimeSpan.FromMinutes(60));

        Assert.Equal(1240, path.Mtu.Size);
        Assert.InRange(path.Longer - before, 5, 7 * 20);
    }

    [Fact]
    public void Run_NobodyAnswers_SaysNothing_AndAsksEverMoreRarely()
    {
        var path = new Path(1400) { Limit = 0 };
        path.Run(TimeSpan.FromMinutes(10));
        int before = path.Questions;

        path.Run(TimeSpan.FromMinutes(60));

        Assert.Null(path.Mtu.Size);
        Assert.InRange(path.Questions - before, 60, 60 * 2);
    }

    [Fact]
    public void Run_PathComesBackNarrower_IsFoundWithinSeconds()
    {
        var path = new Path(1400) { Limit = 0, Answers = true };
        path.Run(TimeSpan.FromMinutes(10));
        int before = path.Questions;
        path.Run(TimeSpan.FromMinutes(1));
        Assert.InRange(path.Questions - before, 20, 60);

        path.Limit = 1240;
        path.Run(TimeSpan.FromSeconds(3), until: () => path.Mtu.Size <= 1240);

        Assert.True(path.Mtu.Size <= 1240);
    }

    [Fact]
    public void Run_PathDies_TakesTheSilenceForNoLength()
    {
        var path = new Path(1400) { Limit = 1440 };
        path.Run(TimeSpan.FromSeconds(10));

        path.Limit = 0;
        path.Run(TimeSpan.FromMinutes(2));

        Assert.Equal(1400, path.Mtu.Size);
    }

    [Fact]
    public void Run_Idle_AsksNothing()
    {
        var path = new Path(1400) { Limit = 1240 };
        path.Run(TimeSpan.FromSeconds(5));
        int before = path.Questions;

        path.IsBusy = false;
        path.Run(TimeSpan.FromHours(1));

        Assert.Equal(before, path.Questions);
    }

    [Fact]
    public void Run_OwnInterfaceIsNarrow_NoQuestionIsWaitedForThatCannotBeSent()
    {
        var path = new Path(1400) { Limit = 1440, FirstWire = 1340 };

        path.Run(TimeSpan.FromMilliseconds(500), until: () => path.Mtu is { Size: not null, IsSearching: false });

        Assert.InRange(path.Mtu.Size!.Value, 1333, 1340);
    }

    [Fact]
    public void Run_ManyAreLost_TheLengthIsRightMostOfTheTime()
    {
        var path = new Path(1400) { Limit = 1440, Loss = 0.1 };
        TimeSpan wrong = TimeSpan.Zero;
        for (int second = 0; second < 3600; second++)
        {
            path.Run(TimeSpan.FromSeconds(1));
            if (path.Mtu.Size is { } size && size < 1400)
                wrong += TimeSpan.FromSeconds(1);
        }

        Assert.InRange(wrong, TimeSpan.Zero, TimeSpan.FromMinutes(3));
    }

    [Fact]
    public void PeerMtu_PathsChange_EachKeepsWhatWasFound()
    {
        var time = new FakeTimeProvider();
        var peer = new PeerMtu(1400);
        var direct = new PathAddress(UdpEndpoint.FromIPv4(0xC0000201, 9000));
        var relayed = new PathAddress(UdpEndpoint.FromIPv4(0xC0000202, 9000), 7);

        Find(peer, direct, time, 1240);
        Assert.Equal(1240, peer.Current);
        Find(peer, relayed, time, 1400);
        Assert.Equal(1400, peer.Current);
        peer.Run(direct, time.Now(), null, Timestamp.NotYet, []);
        Assert.Equal(1240, peer.Current);

        // An answer to a question of the other path says nothing of this one.
        List<MtuProbe> probes = [];
        time.Advance(TimeSpan.FromSeconds(3));
        peer.Run(relayed, time.Now(), null, time.Now(), probes);
        peer.Run(direct, time.Now(), null, Timestamp.NotYet, []);
        peer.OnAnswer(Assert.Single(probes).Transaction, told: null);
        Assert.Equal(1240, peer.Measured);

        for (uint i = 0; i < 2 * PeerMtu.MaximumPaths; i++)
            peer.Run(direct with { RelayedMember = 8 + i }, time.Now(), null, Timestamp.NotYet, []);
        peer.Run(direct, time.Now(), null, Timestamp.NotYet, []);
        Assert.Equal((1400, null), (peer.Current, peer.Measured));
    }

    [Fact]
    public void PeerMtu_OfARelayedPath_IsNoLongerThanWhatThePeerFound()
    {
        var time = new FakeTimeProvider();
        var peer = new PeerMtu(1400);
        var direct = new PathAddress(UdpEndpoint.FromIPv4(0xC0000201, 9000));
        var relayed = new PathAddress(UdpEndpoint.FromIPv4(0xC0000202, 9000), 7);

        Find(peer, relayed, time, 1400, told: 1240);
        Assert.Equal(1240, peer.Current);
        Find(peer, direct, time, 1400, told: 1240);
        Assert.Equal(1400, peer.Current);
        Find(peer, relayed, time, 1400, told: 1);
        Assert.Equal(PathMtu.Floor, peer.Current);
        peer.Largest = 1300;
        Assert.Equal(1300, peer.Current);
    }

    [Theory]
    [InlineData("192.0.2.1", 0, 76)]
    [InlineData("192.0.2.1", 7, 88)]
    [InlineData("2001:db8::1", 0, 96)]
    [InlineData("2001:db8::1", 7, 108)]
    public void Overhead_IsWhatStandsAroundAPacket(string address, uint relayed, int bytes) =>
        Assert.Equal(bytes, Overheads.Of(new PathAddress(new UdpEndpoint(System.Net.IPAddress.Parse(address), 9000), relayed)));

    private static void Find(PeerMtu peer, in PathAddress path, FakeTimeProvider time, int limit, int? told = null)
    {
        for (int i = 0; i < 100; i++)
        {
            List<MtuProbe> probes = [];
            peer.Run(path, time.Now(), TimeSpan.Zero, time.Now(), probes);
            foreach (MtuProbe probe in probes)
            {
                Assert.True(PeerMtu.IsTransaction(probe.Transaction));
                if (probe.Size <= limit)
                    peer.OnAnswer(probe.Transaction, told);
            }

            time.Advance(TimeSpan.FromMilliseconds(50));
        }
    }

    /// <summary>A path of 20 ms of round trip that swallows what is too long without a word.</summary>
    private sealed class Path(int largest)
    {
        private static readonly TimeSpan RoundTrip = TimeSpan.FromMilliseconds(20);

        private readonly FakeTimeProvider _time = new();
        private readonly Queue<(Timestamp Due, int Size)> _answers = new();
        private readonly Random _random = new(1);
        private PathMtu? _mtu;

        public PathMtu Mtu => _mtu ??= new PathMtu(Overhead, largest);

        public int Limit { get; set; }

        public int FirstWire { get; init; } = int.MaxValue;

        public double Loss { get; init; }

        public bool IsBusy { get; set; } = true;

        /// <summary>True when the peer is known to answer.</summary>
        public bool Answers { get; init; }

        public int Questions { get; private set; }

        /// <summary>Questions that were too long.</summary>
        public int Longer { get; private set; }

        /// <summary>Lets time go by; returns how much.</summary>
        public TimeSpan Run(TimeSpan duration, Func<bool>? until = null)
        {
            Timestamp begin = _time.Now();
            Timestamp end = begin + duration;
            List<int> sizes = [];
            while (until?.Invoke() != true)
            {
                Timestamp now = _time.Now();
                while (_answers.TryPeek(out (Timestamp Due, int Size) answer) && answer.Due <= now)
                    Mtu.OnAnswer(_answers.Dequeue().Size);
                sizes.Clear();
                Timestamp next = Mtu.Run(now, RoundTrip, IsBusy, Answers, sizes);
                foreach (int size in sizes)
                {
                    if (size > FirstWire)
                    {
                        Mtu.OnTooLong(size);
                        next = now;
                        continue;
                    }

                    Questions++;
                    if (size > Limit)
                        Longer++;
                    else if (_random.NextDouble() >= 1 - ((1 - Loss) * (1 - Loss)))
                        _answers.Enqueue((now + RoundTrip, size));
                }

                if (next <= now)
                    continue;
                if (_answers.TryPeek(out (Timestamp Due, int Size) waiting))
                    next = Timestamp.Earliest(next, waiting.Due);
                if (Timestamp.Earliest(next, end) > now)
                    _time.Advance(Timestamp.Earliest(next, end) - now);
                if (_time.Now() >= end)
                    break;
            }

            return _time.Now() - begin;
        }
    }
}
