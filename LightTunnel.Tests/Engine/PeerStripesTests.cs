using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>When stripes are asked for, and what answers do.</summary>
public sealed class PeerStripesTests
{
    private const int OwnPort = 9000;
    private static readonly int[] Ports = [0, 40_001, 40_002, 0];
    private static readonly PathAddress Path = new(new UdpEndpoint(IPAddress.Parse("192.0.2.7"), 9000));
    private static readonly UdpEndpoint Own = new(IPAddress.Parse("192.0.2.1"), OwnPort);

    private readonly FakeTimeProvider _time = new();
    private readonly PeerStripes _stripes;
    private int _opened;
    private long _sent;

    public PeerStripesTests() => _stripes = new PeerStripes(new Random(1), OwnPort, () =>
    {
        _opened++;
        return Ports;
    });

    [Fact]
    public void Data_TellsFirst_ThenAsksByEachStripeThatIsOpen()
    {
        Assert.Equal(0, _opened);
        StripeQuestion telling = Assert.Single(Run());
        Assert.Equal(0, telling.Queue);
        Assert.Equal(1, _opened);
        Assert.Equal(0u, _stripes.Proven);

        Answer(telling);
        List<StripeQuestion> asked = RunNow();
        Assert.Equal([1, 2], asked.Select(question => question.Queue));
        Answer(asked[1]);
        Assert.Equal(0b100u, _stripes.Proven);
        Answer(asked[0]);
        Assert.Equal(0b110u, _stripes.Proven);
    }

    [Theory]
    [InlineData(10, 3, 3 * 15)]
    [InlineData(2 * PeerStripes.BusyRate, 3 * 60, 3 * 60 * 5)]
    public void WhileProven_AskedSeldomForLittleData_AndCloselyForMuch(double perSecond, int least, int most)
    {
        foreach (StripeQuestion question in Tell())
            Answer(question);
        int asked = 0;
        for (int tenth = 0; tenth < 600; tenth++)
        {
            Advance(TimeSpan.FromMilliseconds(100), perSecond);
            foreach (StripeQuestion question in RunNow())
            {
                Answer(question);
                asked++;
            }

            Assert.Equal(0b110u, _stripes.Proven);
        }

        Assert.InRange(asked, least, most);
    }

    [Theory]
    [InlineData("198.51.100.1", OwnPort, 4, false)]
    [InlineData("192.0.2.1", OwnPort + 1, 4, true)]
    [InlineData("192.0.2.1", OwnPort, 1, true)]
    [InlineData("0.0.0.0", 0, 4, false)]
    public void SeenElsewhere_OrOneQueueThere_AsksNoFurther(string seenAddress, int seenPort, int queues, bool isOwn)
    {
        _stripes.OnAnswer(Run().Single().Number, new UdpEndpoint(IPAddress.Parse(seenAddress), seenPort), isOwn, queues, Now);

        Assert.Equal(0, Enumerable.Range(0, 59).Sum(_ => Run().Count));
        Assert.Equal(1, Enumerable.Range(0, 1).Sum(_ => Run().Count));
        Assert.Equal(0u, _stripes.Proven);
    }

    [Fact]
    public void StripeThatIsTranslated_EndsAll()
    {
        List<StripeQuestion> asked = Tell();
        Answer(asked[0]);
        _stripes.OnAnswer(asked[1].Number, new UdpEndpoint(Own.MappedAddress, 1234), isOwnAddress: true, 4, Now);
        Assert.Equal(0u, _stripes.Proven);
    }

    [Fact]
    public void AnswerToNothing_OrTwice_ProvesNothing()
    {
        List<StripeQuestion> asked = Tell();
        var random = new Random(Fuzz.Seed(2));
        for (int i = 0; i < Fuzz.Count(10_000); i++)
            _stripes.OnAnswer((uint)random.NextInt64(1L << 32), new UdpEndpoint(Own.MappedAddress, 40_001), isOwnAddress: true, 4, Now);
        Assert.Equal(0u, _stripes.Proven);

        Answer(asked[0]);
        _stripes.Restart(Now);
        Answer(asked[0]);
        Answer(asked[1]);
        Assert.Equal(0u, _stripes.Proven);
    }

    [Fact]
    public void StripeFallsSilent_IsLeftWithinASecond_AndOthersStay()
    {
        foreach (StripeQuestion question in Tell())
            Answer(question);
        foreach (StripeQuestion question in Run())
            Answer(question);
        TimeSpan silent = TimeSpan.Zero;
        while (_stripes.Proven == 0b110 && silent < TimeSpan.FromSeconds(5))
        {
            Advance(TimeSpan.FromMilliseconds(10));
            silent += TimeSpan.FromMilliseconds(10);
            foreach (StripeQuestion question in RunNow().Where(question => question.Queue != 2))
                Answer(question);
        }

        Assert.Equal(0b010u, _stripes.Proven);
        Assert.InRange(silent.TotalSeconds, 0.4, 1.2);
    }

    [Fact]
    public void StripeThatIsNeverAnswered_IsAskedEverMoreSeldom()
    {
        Tell();
        int asked = 0;
        for (int second = 0; second < 3600; second++)
        {
            foreach (StripeQuestion question in Run())
            {
                if (question.Queue == 0)
                    Answer(question);
                else
                    asked++;
            }
        }

        Assert.InRange(asked, 2 * 50, 2 * 75);
    }

    [Fact]
    public void TellingThatIsNoLongerAnswered_EndsAll()
    {
        foreach (StripeQuestion question in Tell())
            Answer(question);
        for (int tenth = 0; tenth < 60; tenth++)
        {
            Advance(TimeSpan.FromMilliseconds(100));
            foreach (StripeQuestion question in RunNow().Where(question => question.Queue != 0))
                Answer(question);
        }

        Assert.Equal(0u, _stripes.Proven);
    }

    [Fact]
    public void TellAgain_IsDoneAtOnce_AndNothingElseChanges()
    {
        foreach (StripeQuestion question in Tell())
            Answer(question);
        Assert.Empty(RunNow());
        _stripes.TellAgain();
        Assert.Equal([0], RunNow().Select(question => question.Queue));
        Assert.Empty(RunNow());
        Assert.Equal(0b110u, _stripes.Proven);
    }

    /// <summary>A peer decides where its link leads, and may change that with each of its datagrams.</summary>
    [Fact]
    public void PathThatChangesAllTheTime_IsToldNowAndThen()
    {
        var output = new List<StripeQuestion>();
        for (int i = 0; i < 2000; i++)
        {
            Advance(TimeSpan.FromMilliseconds(1));
            _stripes.Run(Now, new PathAddress(new UdpEndpoint(Path.Endpoint.MappedAddress, (ushort)(1 + i))), _sent, output);
        }

        Assert.All(output, question => Assert.Equal(0, question.Queue));
        Assert.InRange(output.Count, 1, 9);
    }

    [Fact]
    public void AnotherPath_ProvesNothing_AndIsToldAtOnce()
    {
        foreach (StripeQuestion question in Tell())
            Answer(question);
        Advance(TimeSpan.FromSeconds(1));
        var output = new List<StripeQuestion>();
        _stripes.Run(Now, new PathAddress(new UdpEndpoint(Path.Endpoint.MappedAddress, 9001)), _sent, output);
        Assert.Equal([0], output.Select(question => question.Queue));
        Assert.Equal(0u, _stripes.Proven);
    }

    [Theory]
    [InlineData(1, false, false)]
    [InlineData(0, true, false)]
    [InlineData(0, false, true)]
    public void RelayedPath_OneOfAnotherSocket_OrUnproven_HasNone(uint relayed, bool isFurther, bool isUnproven)
    {
        PathAddress path = Path.By(isFurther ? LocalEnd.Further(5) : default) with { RelayedMember = relayed, IsUnproven = isUnproven };
        for (int second = 0; second < 10; second++)
        {
            Advance(TimeSpan.FromSeconds(1));
            var output = new List<StripeQuestion>();
            _stripes.Run(Now, path, _sent, output);
            Assert.Empty(output);
        }
    }

    [Fact]
    public void Frames_AsTheyAreWritten_AreRead()
    {
        Assert.True(ControlFrame.TryRead(StripeFrames.Ports(7, Ports), out ControlFrame frame));
        Assert.Equal((ControlFrameKind.Ports, 7u), (frame.Kind, frame.Number));
        Assert.True(StripeFrames.TryReadPorts(frame.Body, out ushort[] ports));
        Assert.Equal([40_001, 40_002], ports.Select(port => (int)port));

        Assert.True(ControlFrame.TryRead(StripeFrames.Taken(8, new PathAddress(Own), 4), out frame));
        Assert.Equal((ControlFrameKind.PortsTaken, 8u), (frame.Kind, frame.Number));
        Assert.True(StripeFrames.TryReadTaken([.. frame.Body, 1, 2, 3], out UdpEndpoint seen, out int queues));
        Assert.Equal((Own, 4), (seen, queues));
        Assert.True(ControlFrame.TryRead(StripeFrames.Taken(8, new PathAddress(Own, relayedMember: 3), 4), out frame));
        Assert.True(StripeFrames.TryReadTaken(frame.Body, out seen, out _));
        Assert.False(seen.IsSpecified);
    }

    [Fact]
    public void Frames_OfAnyBytes_AreReadOrNot()
    {
        var random = new Random(Fuzz.Seed(1));
        for (int i = 0; i < Fuzz.Count(20_000); i++)
        {
            byte[] body = new byte[random.Next(64)];
            random.NextBytes(body);
            Assert.Equal(
                body.Length is > 0 and <= 2 * PeerStripes.Maximum && body.Length % 2 == 0 && !body.Chunk(2).Any(port => port is [0, 0]),
                StripeFrames.TryReadPorts(body, out ushort[] ports));
            Assert.InRange(ports.Length, 0, PeerStripes.Maximum);
            Assert.Equal(body.Length >= 19, StripeFrames.TryReadTaken(body, out _, out _));
        }
    }

    private Timestamp Now => _time.Now();

    private void Advance(TimeSpan duration, double perSecond = 2 * PeerStripes.BusyRate)
    {
        _time.Advance(duration);
        _sent += (long)(duration.TotalSeconds * perSecond);
    }

    /// <summary>A second later.</summary>
    private List<StripeQuestion> Run(double perSecond = 2 * PeerStripes.BusyRate)
    {
        Advance(TimeSpan.FromSeconds(1), perSecond);
        return RunNow();
    }

    private List<StripeQuestion> RunNow()
    {
        var output = new List<StripeQuestion>();
        Assert.True(_stripes.Run(Now, Path, _sent, output) > Now);
        return output;
    }

    /// <summary>Data flows, and the peer was told of the ports and has answered: the questions by the stripes.</summary>
    private List<StripeQuestion> Tell()
    {
        Answer(Run().Single());
        return RunNow();
    }

    private void Answer(StripeQuestion question) => _stripes.OnAnswer(
        question.Number, question.Queue == 0 ? Own : new UdpEndpoint(Own.MappedAddress, (ushort)Ports[question.Queue]),
        isOwnAddress: true, 4, Now);
}
