using LightTunnel.Packets;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Packets;

public sealed class RateLimiterTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void TryTake_BurstThenSteadyRate_LetsThroughBoth()
    {
        var limiter = new RateLimiter(_time, TimeSpan.FromSeconds(1), burst: 3);
        Assert.Equal([true, true, true, false, false], Take(limiter, 5));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal([true, false], Take(limiter, 2));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal([true, true, true, false], Take(limiter, 4));
    }

    [Fact]
    public void TakeSuppressed_AfterSuppression_CountsOnce()
    {
        var limiter = new RateLimiter(_time, TimeSpan.FromSeconds(10));
        Take(limiter, 8);
        Assert.Equal((7, 0), (limiter.TakeSuppressed(), limiter.TakeSuppressed()));
        Assert.Equal(7, limiter.TotalSuppressed);
    }

    [Fact]
    public async Task TryTake_ManyThreadsAtOnce_NeverLetsThroughMore()
    {
        var limiter = new RateLimiter(_time, TimeSpan.FromSeconds(1), burst: 100);
        int[] taken = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Take(limiter, 1000).Count(t => t))));
        Assert.Equal(100, taken.Sum());
        Assert.Equal(3900, limiter.TotalSuppressed);
    }

    [Fact]
    public void Constructor_SenselessLimits_Throws()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new RateLimiter(_time, TimeSpan.Zero));
        Assert.Throws<ArgumentOutOfRangeException>(() => new RateLimiter(_time, TimeSpan.FromSeconds(1), burst: 0));
    }

    private static bool[] Take(RateLimiter limiter, int count) => [.. Enumerable.Range(0, count).Select(_ => limiter.TryTake())];
}
