using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class ReplayWindowTests
{
    /// <summary>
    /// Steps forwards and backwards of every size that matters: within a word, within the window, around its edge, far beyond.
    /// </summary>
    public static Arbitrary<long[]> Steps()
    {
        Gen<long> step = Gen.OneOf(
            Gen.Choose(-70, 70).Select(i => (long)i),
            Gen.Choose(-9000, 9000).Select(i => (long)i),
            Gen.Choose(-(ReplayWindow.Size + 2), -(ReplayWindow.Size - 2)).Select(i => (long)i),
            Gen.Choose(0, 40_000).Select(i => (long)i));
        return Gen.ListOf(step, 300).Select(l => l.ToArray()).ToArbitrary();
    }

    [Property(Arbitrary = [typeof(ReplayWindowTests)], MaxTest = 300)]
    public void TryAccept_AnyOrder_IsWhatTheNaiveModelSays(long[] steps)
    {
        var window = new ReplayWindow();
        var seen = new HashSet<ulong>();
        ulong highest = 0;
        long position = 10_000;
        foreach (long step in steps)
        {
            position = Math.Max(0, position + step);
            ulong counter = (ulong)position;
            bool expected = counter + ReplayWindow.Size > highest && seen.Add(counter);
            highest = Math.Max(highest, counter);
            Assert.Equal(expected, window.TryAccept(counter));
        }
    }

    [Property(Arbitrary = [typeof(ReplayWindowTests)], MaxTest = 300)]
    public void Widen_AtAnyTime_RefusesWhatWasForgottenBefore_AndForgetsLaterFromThenOn(long[] steps)
    {
        var window = new ReplayWindow();
        var seen = new HashSet<ulong>();
        ulong highest = 0, lowest = 0, size = ReplayWindow.Size;
        long position = 10_000;
        for (int i = 0; i < steps.Length; i++)
        {
            if (i == steps.Length / 3)
            {
                window.Widen();
                (lowest, size) = (highest < ReplayWindow.Size ? 0 : highest - ReplayWindow.Size + 1, ReplayWindow.WideSize);
            }

            position = Math.Max(0, position + steps[i]);
            ulong counter = (ulong)position;
            bool expected = counter + size > highest && counter >= lowest && seen.Add(counter);
            highest = Math.Max(highest, counter);
            Assert.Equal(expected, window.TryAccept(counter));
        }
    }

    [Fact]
    public void Widen_Twice_ForgetsNothing_AndItsEdgeIsExact()
    {
        var window = new ReplayWindow();
        window.Widen();
        Assert.True(window.TryAccept(0));
        Assert.True(window.TryAccept(ReplayWindow.WideSize));
        window.Widen();
        Assert.False(window.TryAccept(0));
        Assert.True(window.TryAccept(1));
        Assert.False(window.TryAccept(1));
        Assert.False(window.TryAccept(ReplayWindow.WideSize));
    }

    [Fact]
    public void TryAccept_CounterZero_IsAcceptedOnce()
    {
        var window = new ReplayWindow();
        Assert.True(window.TryAccept(0));
        Assert.False(window.TryAccept(0));
    }

    [Fact]
    public void TryAccept_EdgeOfTheWindow_IsExact()
    {
        var window = new ReplayWindow();
        Assert.True(window.TryAccept(ReplayWindow.Size));
        Assert.False(window.TryAccept(0));
        Assert.True(window.TryAccept(1));
        Assert.False(window.TryAccept(1));
    }

    [Fact]
    public void TryAccept_LargestCounters_DoNotOverflow()
    {
        var window = new ReplayWindow();
        Assert.True(window.TryAccept(ulong.MaxValue - 1));
        Assert.True(window.TryAccept(ulong.MaxValue));
        Assert.False(window.TryAccept(ulong.MaxValue));
        Assert.True(window.TryAccept(ulong.MaxValue - ReplayWindow.Size + 1));
        Assert.False(window.TryAccept(ulong.MaxValue - ReplayWindow.Size));
    }

    [Fact]
    public void TryAccept_SeveralThreads_AcceptEachCounterOnce()
    {
        const int Counters = 200_000;
        var window = new ReplayWindow();
        long accepted = 0;
        using var together = new Barrier(2);
        var threads = Enumerable.Range(0, 2).Select(_ => new Thread(() =>
        {
            long mine = 0;
            for (ulong start = 0; start < Counters; start += 1000)
            {
                together.SignalAndWait(TestContext.Current.CancellationToken);
                for (ulong counter = start; counter < start + 1000; counter++)
                {
                    if (window.TryAccept(counter))
                        mine++;
                }
            }

            Interlocked.Add(ref accepted, mine);
        })).ToArray();
        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();
        Assert.Equal(Counters, accepted);
    }
}
