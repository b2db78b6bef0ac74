using System.Runtime.InteropServices;
using LightTunnel.Engine;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Timing;

public sealed class SystemClockTests
{
    [Fact]
    public void UnbiasedClock_StandsStillDuringSleep_WhileTheWallClockGoesOn()
    {
        long awake = 3 * TimeSpan.TicksPerHour;
        var clock = new UnbiasedClock(() => awake);
        Timestamp before = clock.Now();
        DateTimeOffset wall = clock.GetUtcNow();

        Assert.Equal(before, clock.Now());
        awake += TimeSpan.TicksPerSecond;
        Assert.Equal(TimeSpan.FromSeconds(1), clock.Now() - before);
        Assert.Equal(TimeSpan.FromSeconds(1), clock.GetElapsedTime(3 * TimeSpan.TicksPerHour));
        Assert.True(clock.GetUtcNow() >= wall);
    }

    [Fact]
    public void Instance_GoesForwards_AndTunnelsGoByIt()
    {
        Timestamp before = SystemClock.Instance.Now();
        SpinWait.SpinUntil(() => SystemClock.Instance.Now() > before);

        Assert.Same(SystemClock.Instance, TunnelEnvironment.System.Time);
    }

    /// <summary>The framework's clock is the performance counter, which counts sleep.</summary>
    [Fact]
    public void Instance_OnWindows_IsNotTheFrameworks()
    {
        Assert.SkipUnless(OperatingSystem.IsWindowsVersionAtLeast(10), "The unbiased interrupt time is Windows's.");
        Assert.SkipWhen(
            NativeLibrary.TryGetExport(NativeLibrary.Load("ntdll.dll"), "wine_get_version", out _), "Wine has no precise unbiased time.");
        Assert.IsType<UnbiasedClock>(SystemClock.Instance);
    }
}
