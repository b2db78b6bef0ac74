using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Timing;

public sealed class TimestampTests
{
    private static readonly Timestamp Noon = Timestamp.FromTicks(12 * TimeSpan.TicksPerHour);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Property]
    public bool Order_IsThatOfTheTicks(long one, long other)
    {
        (Timestamp first, Timestamp second) = (Timestamp.FromTicks(one), Timestamp.FromTicks(other));
        return first < second == one < other && first <= second == one <= other && first > second == one > other
            && first >= second == one >= other
            && first == second == (one == other) && first.CompareTo(second) == one.CompareTo(other)
            && Timestamp.Earliest(first, second) == Timestamp.FromTicks(Math.Min(one, other))
            && Timestamp.Latest(first, second) == Timestamp.FromTicks(Math.Max(one, other));
    }

    [Property]
    public bool EveryReading_LiesBetweenNotYetAndNever(int ticks)
    {
        var reading = Timestamp.FromTicks(ticks);
        return Timestamp.NotYet < reading && reading < Timestamp.Never
            && Timestamp.Latest(Timestamp.NotYet, reading) == reading && Timestamp.Earliest(Timestamp.Never, reading) == reading;
    }

    [Property]
    public bool WhatIsAdded_IsTheDifference(int ticks, long duration)
    {
        var start = Timestamp.FromTicks(ticks);
        TimeSpan span = new(duration / 2);
        return start + span - start == span && start - span == start + -span && start - (start + span) == -span;
    }

    /// <summary>The sum of 128 bits, cut off at the ends, is what every sum is, negative and enormous ones too.</summary>
    [Property(MaxTest = 1000)]
    public Property Sums_StopAtTheEnds() => Prop.ForAll(Extremes, Extremes, (ticks, duration) =>
    {
        var start = Timestamp.FromTicks(ticks);
        bool isEnd = start == Timestamp.NotYet || start == Timestamp.Never;
        return start + new TimeSpan(duration) == (isEnd ? start : Clamped((Int128)ticks + duration))
            && start - new TimeSpan(duration) == (isEnd ? start : Clamped((Int128)ticks - duration));
    });

    [Property(MaxTest = 1000)]
    public Property Differences_StopAtTheEnds() => Prop.ForAll(Extremes, Extremes, (one, other) =>
    {
        bool hasEnd = one is long.MinValue or long.MaxValue || other is long.MinValue or long.MaxValue;
        Int128 exact = (Int128)one - other;
        TimeSpan expected = exact == 0 ? TimeSpan.Zero
            : hasEnd ? (exact > 0 ? TimeSpan.MaxValue : TimeSpan.MinValue)
            : exact > long.MaxValue ? TimeSpan.MaxValue : exact < -long.MaxValue ? TimeSpan.MinValue : new TimeSpan((long)exact);
        return Timestamp.FromTicks(one) - Timestamp.FromTicks(other) == expected;
    });

    [Fact]
    public void TheEnds_AbsorbWhatIsAdded()
    {
        foreach (TimeSpan span in (TimeSpan[])[TimeSpan.Zero, Second, -Second, TimeSpan.MaxValue, TimeSpan.MinValue])
        {
            Assert.Equal(Timestamp.Never, Timestamp.Never + span);
            Assert.Equal(Timestamp.Never, Timestamp.Never - span);
            Assert.Equal(Timestamp.NotYet, Timestamp.NotYet + span);
            Assert.Equal(Timestamp.NotYet, Timestamp.NotYet - span);
        }

        Assert.Equal(Timestamp.Never, Timestamp.Never.Following);
    }

    [Fact]
    public void WhatNeverHappened_WasNotWithinAnyTime_AndWhatIsNeverDue_IsNotWithinAnyTimeEither()
    {
        Assert.Equal(TimeSpan.MaxValue, Noon - Timestamp.NotYet);
        Assert.Equal(TimeSpan.MinValue, Timestamp.NotYet - Noon);
        Assert.Equal(TimeSpan.MaxValue, Timestamp.Never - Noon);
        Assert.Equal(TimeSpan.MinValue, Noon - Timestamp.Never);
        Assert.Equal(TimeSpan.Zero, Timestamp.Never - Timestamp.Never);
        Assert.Equal(TimeSpan.Zero, Timestamp.NotYet - Timestamp.NotYet);
    }

    [Fact]
    public void Default_IsNotYet_AndDueAtOnce()
    {
        Assert.Equal(Timestamp.NotYet, default);
        Assert.Equal(Timestamp.AtOnce, default);
        Assert.Equal(Timestamp.NotYet, default(SharedTimestamp).Value);
    }

    [Property]
    public bool RoundDown_GivesAMultiple_LessThanAStepBefore(uint ticks, PositiveInt step)
    {
        Timestamp moment = Timestamp.FromTicks(ticks), rounded = moment.RoundDown(new TimeSpan(step.Get));
        return rounded <= moment && moment - rounded < new TimeSpan(step.Get) && (rounded - Timestamp.FromTicks(0)).Ticks % step.Get == 0;
    }

    [Fact]
    public void RoundDown_LeavesTheEndsAlone()
    {
        Assert.Equal(Timestamp.Never, Timestamp.Never.RoundDown(Second));
        Assert.Equal(Timestamp.NotYet, Timestamp.NotYet.RoundDown(Second));
    }

    [Fact]
    public void ToString_SaysWhatItIs() =>
        Assert.Equal(
            ("not yet", "never", "43200.0000001"), (Timestamp.NotYet.ToString(), Timestamp.Never.ToString(), Noon.Following.ToString()));

    [Theory]
    [InlineData(10_000_000)] // Windows, and simulations
    [InlineData(1_000_000_000)] // Linux
    [InlineData(24_000_000)] // macOS
    [InlineData(3_579_545)] // ACPI
    public void Now_IsTheSameInEveryUnit(long frequency)
    {
        var clock = new CountingClock(frequency);
        foreach (long seconds in (long[])[1, 60, 86_400, 40L * 365 * 86_400])
        {
            clock.Count = (seconds * frequency) + (frequency / 2);
            TimeSpan shown = clock.Now() - Timestamp.FromTicks(0);
            Assert.InRange((shown - TimeSpan.FromSeconds(seconds + 0.5)).Duration().Ticks, 0, 3);
        }
    }

    [Fact]
    public void Now_GoesWithTheClock()
    {
        var time = new FakeTimeProvider();
        Timestamp before = time.Now();
        time.Advance(Second);
        Assert.Equal(Second, time.Now() - before);
        Timestamp real = TimeProvider.System.Now();
        Assert.True(real > Timestamp.NotYet && TimeProvider.System.Now() >= real);
    }

    [Fact]
    public void Shared_IsReplacedOnlyByWhoSawIt()
    {
        var shared = new SharedTimestamp(Noon);
        Timestamp seen = Noon - Second;
        Assert.False(shared.TryReplace(Noon + Second, ref seen));
        Assert.Equal((Noon, Noon), (seen, shared.Value));
        Assert.True(shared.TryReplace(Noon + Second, ref seen));
        Assert.Equal(Noon + Second, shared.Value);
        shared.Value = Timestamp.Never;
        Assert.Equal(Timestamp.Never, shared.Value);
    }

    [Fact]
    public void Arithmetic_DoesNotAllocate()
    {
        SharedTimestamp shared = default;
        bool isBusy = false;
        Allocation.AssertNone(100, 10_000, () =>
        {
            Timestamp now = TimeProvider.System.Now();
            isBusy |= now - shared.Value < Second;
            shared.Value = Timestamp.Earliest(now + Second, Timestamp.Never);
        });
        Assert.True(isBusy);
    }

    private static Arbitrary<long> Extremes => Gen.OneOf(
        Gen.Elements(long.MinValue, long.MinValue + 1, -1L, 0L, 1L, long.MaxValue - 1, long.MaxValue),
        ArbMap.Default.GeneratorFor<long>(),
        ArbMap.Default.GeneratorFor<int>().Select(value => (long)value)).ToArbitrary();

    private static Timestamp Clamped(Int128 ticks) =>
        ticks <= long.MinValue ? Timestamp.NotYet : ticks >= long.MaxValue ? Timestamp.Never : Timestamp.FromTicks((long)ticks);

    private sealed class CountingClock(long frequency) : TimeProvider
    {
        public long Count { get; set; }

        public override long TimestampFrequency => frequency;

        public override long GetTimestamp() => Count;
    }
}
