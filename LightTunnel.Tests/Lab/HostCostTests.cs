using LightTunnel.Lab.Bench;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>The figures of the program of services are of what they say.</summary>
public sealed class HostCostTests
{
    [Fact]
    public async Task Measure_TellsOfAServerWithItsMembers_AndOfEachStart()
    {
        Prerequisites.SkipUnlessLaboratory();
        HostCostReport report = await HostCost.MeasureAsync(
            members: 2, starts: 2, HostNetwork.ProgramOfTheModule(), TestContext.Current.CancellationToken);

        Assert.Equal((2, 2), (report.Members, report.Starts.Count));
        Assert.InRange(report.ServerOwnMegabytes, 1, report.ServerMegabytes);
        Assert.All(report.Starts, start => Assert.NotEqual(TimeSpan.Zero, start));
        Assert.Equal(report.Starts[1], report.MedianStart);
    }

    [Fact]
    public async Task Block_IsMeasured_AtAllOthers()
    {
        Prerequisites.SkipUnlessLaboratory();
        BlockSilenceReport report = await BlockSilence.MeasureAsync(
            members: 3, HostNetwork.ProgramOfTheModule(), TestContext.Current.CancellationToken);

        Assert.Equal(2, report.Silent.Count);
        Assert.NotEqual(TimeSpan.Zero, report.Command);
        Assert.Equal(report.Silent.Max(), report.Last);
    }
}
