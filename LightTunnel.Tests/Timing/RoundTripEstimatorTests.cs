using FsCheck;
using FsCheck.Xunit;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Timing;

public sealed class RoundTripEstimatorTests
{
    private static readonly TimeSpan Initial = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Minimum = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Maximum = TimeSpan.FromSeconds(4);

    private RoundTripEstimator _estimator;

    [Fact]
    public void Unmeasured_WaitsAsItIsTold()
    {
        Assert.Null(_estimator.SmoothedRoundTrip);
        Assert.Equal(Initial, Timeout());
        Assert.Equal(Minimum, _estimator.Timeout(TimeSpan.FromMilliseconds(1), Minimum, Maximum));
    }

    /// <summary>The numbers follow from RFC 6298 section 2 (2.2 and 2.3), by hand.</summary>
    [Fact]
    public void Measurements_AreSmoothedAsTheRfcSays()
    {
        _estimator.Add(TimeSpan.FromMilliseconds(80));
        Assert.Equal((TimeSpan.FromMilliseconds(80), TimeSpan.FromMilliseconds(40)), (_estimator.SmoothedRoundTrip, _estimator.Variation));
        Assert.Equal(TimeSpan.FromMilliseconds(240), Timeout());

        // RTTVAR = 3/4 * 40 + 1/4 * |80 - 160|, SRTT = 7/8 * 80 + 1/8 * 160.
        _estimator.Add(TimeSpan.FromMilliseconds(160));
        Assert.Equal((TimeSpan.FromMilliseconds(90), TimeSpan.FromMilliseconds(50)), (_estimator.SmoothedRoundTrip, _estimator.Variation));
        Assert.Equal(TimeSpan.FromMilliseconds(290), Timeout());

        _estimator.Add(TimeSpan.FromMilliseconds(10));
        Assert.Equal(
            (TimeSpan.FromMilliseconds(80), TimeSpan.FromMilliseconds(57.5)), (_estimator.SmoothedRoundTrip, _estimator.Variation));
    }

    [Fact]
    public void Timeout_StaysWithinItsBounds()
    {
        _estimator.Add(TimeSpan.FromMilliseconds(1));
        Assert.Equal(Minimum, Timeout());
        _estimator.Reset();
        _estimator.Add(TimeSpan.FromSeconds(2));
        Assert.Equal(Maximum, Timeout());
    }

    [Fact]
    public void Reset_ForgetsEverything()
    {
        _estimator.Add(TimeSpan.FromSeconds(2));
        _estimator.Reset();
        Assert.Equal((null, TimeSpan.Zero, Initial), (_estimator.SmoothedRoundTrip, _estimator.Variation, Timeout()));
    }

    [Property]
    public bool Estimate_LiesAmongWhatWasMeasured(NonEmptyArray<ushort> milliseconds)
    {
        RoundTripEstimator estimator = default;
        foreach (ushort each in milliseconds.Get)
            estimator.Add(TimeSpan.FromMilliseconds(each));
        TimeSpan smoothed = estimator.SmoothedRoundTrip!.Value, timeout = estimator.Timeout(Initial, TimeSpan.Zero, TimeSpan.MaxValue);
        return smoothed >= TimeSpan.FromMilliseconds(milliseconds.Get.Min())
            && smoothed <= TimeSpan.FromMilliseconds(milliseconds.Get.Max())
            && estimator.Variation >= TimeSpan.Zero && timeout >= smoothed;
    }

    private TimeSpan Timeout() => _estimator.Timeout(Initial, Minimum, Maximum);
}
