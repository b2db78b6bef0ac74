using LightTunnel.Engine.Data;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Engine;

public sealed class ControlledDelayTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);

    private readonly FakeTimeProvider _time = new();
    private readonly ControlledDelay _delay;

    public ControlledDelayTests() => _delay = new ControlledDelay();

    private Timestamp Now => _time.Now();

    [Fact]
    public void StandingQueue_IsLeftAloneForAnInterval_ThenDropsMoreAndMoreOften()
    {
        List<int> drops = [.. Enumerable.Range(0, 200).Where(_ => StandFor(Step) > 0)];

        Assert.Equal(11, drops[0]);
        int[] gaps = [.. drops.Zip(drops.Skip(1), (first, second) => second - first)];
        Assert.Equal(10, gaps[0]);
        // Interval / sqrt(n): after two seconds of it every 10 or 20 ms.
        Assert.All(gaps[^10..], gap => Assert.InRange(gap, 1, 2));
        Assert.All(gaps.Zip(gaps.Skip(1)), pair => Assert.True(pair.Second <= pair.First + 1));
    }

    [Theory]
    [InlineData(20, 100)]
    [InlineData(100, 200)]
    [InlineData(300, 600)]
    [InlineData(5000, 1000)]
    public void FarPeers_AreGivenTwoRoundTripsToNotice_ButNoMoreThanASecond(int roundTrip, int interval)
    {
        _delay.NoteRoundTrip(TimeSpan.FromMilliseconds(roundTrip));

        List<int> drops = [.. Enumerable.Range(0, 400).Where(_ => StandFor(Step) > 0)];

        Assert.Equal((interval / 10) + 1, drops[0]);
        Assert.Equal(interval / 10, drops[1] - drops[0]);
    }

    [Fact]
    public void PeerThatGetsFarther_WhileAQueueStands_IsNotBelieved()
    {
        StandFor(Step);
        _delay.NoteRoundTrip(TimeSpan.FromMilliseconds(400));

        List<int> drops = [.. Enumerable.Range(0, 40).Where(_ => StandFor(Step) > 0)];

        Assert.Equal(10, drops[0]);
    }

    [Fact]
    public void FarPeers_MayHaveMoreWaiting()
    {
        _delay.NoteRoundTrip(TimeSpan.FromMilliseconds(200));
        int drops = 0;
        for (int i = 0; i < 300; i++)
        {
            Timestamp read = Now;
            drops += _delay.TakeDrop(read) ? 1 : 0;
            _time.Advance(TimeSpan.FromMilliseconds(20));
            _delay.Note(waited: true, emptied: true, read, Now);
        }

        Assert.Equal(0, drops);
    }

    [Fact]
    public void SlowBatches_DropAllThatIsDue()
    {
        StandFor(TimeSpan.FromSeconds(1));
        int drops = Enumerable.Range(0, 20).Sum(_ => StandFor(TimeSpan.FromMilliseconds(80)));
        Assert.InRange(drops, 30, 120);
    }

    [Fact]
    public void QueueThatEmptiesNowAndThen_DropsNothing()
    {
        int drops = 0;
        for (int i = 0; i < 300; i++)
        {
            drops += StandFor(Step);
            if (i % 8 == 7)
                _delay.Note(waited: false, emptied: true, Now, Now);
        }

        Assert.Equal(0, drops);
    }

    [Fact]
    public void BusySender_WhoseNetworkTakesEverything_DropsNothing()
    {
        int drops = 0;
        for (int i = 0; i < 300; i++)
        {
            _time.Advance(Step);
            drops += _delay.TakeDrop(Now) ? 1 : 0;
            _delay.Note(waited: false, emptied: false, Now, Now);
        }

        Assert.Equal(0, drops);
    }

    [Fact]
    public void NetworkThatTakesEverythingAgain_EndsTheDrops_ThoughTheSenderStaysBusy()
    {
        for (int i = 0; i < 50; i++)
            StandFor(Step);

        for (int i = 0; i < 8; i++)
            _delay.Note(waited: false, emptied: false, Now, Now);

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(_delay.TakeDrop(Now));
    }

    [Fact]
    public void WaitWithinTheTarget_IsNoStandingQueue()
    {
        int drops = 0;
        for (int i = 0; i < 300; i++)
        {
            Timestamp read = Now;
            drops += _delay.TakeDrop(read) ? 1 : 0;
            _time.Advance(ControlledDelay.Target);
            _delay.Note(waited: true, emptied: true, read, Now);
        }

        Assert.Equal(0, drops);
    }

    [Fact]
    public void QueueThatStandsAgainSoon_NeedsFewerRoundsThanAtFirst()
    {
        for (int i = 0; i < 100; i++)
            StandFor(Step);
        _delay.Note(waited: false, emptied: true, Now, Now);

        List<int> drops = [.. Enumerable.Range(0, 40).Where(_ => StandFor(Step) > 0)];

        Assert.Equal(11, drops[0]);
        Assert.InRange(drops[1] - drops[0], 1, 4);
    }

    /// <summary>One batch that takes so long to send, and leaves more in the device.</summary>
    /// <returns>How many packets it lost.</returns>
    private int StandFor(TimeSpan duration)
    {
        Timestamp read = Now;
        int drops = 0;
        while (_delay.TakeDrop(read))
            drops++;
        _time.Advance(duration);
        _delay.Note(waited: true, emptied: false, read, Now);
        return drops;
    }
}
