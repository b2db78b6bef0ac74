using LightTunnel.Lab;
using LightTunnel.Lab.Bench;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>What the benchmark makes of what it has measured, and its small packets.</summary>
public sealed class BenchmarkTests
{
    private static readonly Row Streams = new("streams", "Gbit/s", Better.More);
    private static readonly Row Pings = new("pings", "µs", Better.Less);

    [Fact]
    public void Render_SeveralRounds_ShowsMediansSpreadAndTheMedianOfTheRoundsRatios()
    {
        var table = new BenchmarkTable();
        foreach ((double mine, double other) in new[] { (4.0, 1.0), (6.0, 3.0), (5.0, 2.0) })
        {
            table.Add(Streams, "mine", mine);
            table.Add(Streams, "other", other);
        }

        Assert.Equal(
            "| what | better | mine | other | ratio |\n|---|---|---|---|---|\n"
            + "| streams | more | 5.00 Gbit/s (4.00..6.00) | 2.00 Gbit/s (1.00..3.00) | 2.50 |\n",
            table.Render("mine", "other"));
    }

    [Fact]
    public void Render_OneRoundAndOneColumn_LeavesTheOthersEmpty()
    {
        var table = new BenchmarkTable();
        table.Add(Pings, "mine", 123.4);
        Assert.EndsWith("| pings | less | 123 µs |  |  |\n", table.Render("mine", "other"), StringComparison.Ordinal);
    }

    [Fact]
    public void Replace_DocumentWithMarkers_KeepsWhatIsAroundThem()
    {
        const string Document = $"before\n{FiguresFile.Begin}\nold\n{FiguresFile.End}\nafter\n";
        Assert.Equal($"before\n{FiguresFile.Begin}\nnew\n{FiguresFile.End}\nafter\n", FiguresFile.Replace(Document, "new\n"));
    }

    [Theory]
    [InlineData("no markers")]
    [InlineData($"{FiguresFile.Begin}\nno end")]
    [InlineData($"{FiguresFile.End}\n{FiguresFile.Begin}")]
    public void Replace_DocumentWithoutPlace_GivesNothing(string document) => Assert.Null(FiguresFile.Replace(document, "new"));

    [Fact]
    public void Performance_Document_HasAPlaceForFigures() =>
        FiguresFile.Check(Path.Combine(LabPaths.RepositoryRoot, "docs", "performance.md"));

    [Fact]
    public void Read_IperfReportOfBothDirections_AddsThem()
    {
        StreamResult result = Iperf.Read("""
            {"start": {}, "end": {"sum_sent": {"bits_per_second": 9e9, "bytes": 9e9},
             "sum_received": {"bits_per_second": 1e9, "bytes": 5e8},
             "sum_received_bidir_reverse": {"bits_per_second": 2e9, "bytes": 1e9}}}
            """);
        Assert.Equal(new StreamResult(3, 1.5), result);
    }

    [Fact]
    public void TryRead_Pings_GivesMedianAndAverage() => Assert.Equal(
        new RoundTrips(200, 400),
        RoundTrips.TryRead("""
            64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.100 ms
            64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=0.900 ms
            64 bytes from 10.0.0.1: icmp_seq=3 ttl=64 time=0.200 ms
            rtt min/avg/max/mdev = 0.100/0.400/0.900/0.1 ms
            """));

    [Fact]
    public void TryRead_NoAnswer_GivesNothing() => Assert.Null(RoundTrips.TryRead("3 packets transmitted, 0 received, 100% packet loss"));

    [Fact]
    public void Parse_ListOfProcessors_GivesEach() => Assert.Equal([0, 1, 2, 8], Processors.Parse("0-2,8"));

    [Fact]
    public void Difference_OneSlowStart_DoesNotMatter() =>
        Assert.Equal(20, ImportCost.Difference([120, 900, 121, 119, 120], [100, 100, 700, 99, 101], start => start));

    [Fact]
    public void Parse_Variant_SplitsAtTheFirstEqualSign() =>
        Assert.Equal(new Variant("small", "-Name a=b"), Variant.Parse("small = -Name a=b"));

    [Fact]
    public async Task PacketFlow_OverABareCable_LosesNothing()
    {
        Prerequisites.SkipUnlessLaboratory();
        await using BenchNetwork network = await BenchNetwork.CreateAsync();
        Assert.Equal(
            5.0,
            await PacketFlow.MeasureAsync(
                network.First, network.Server, BenchNetwork.ServerForFirst, packetsPerSecond: 5000, seconds: 1,
                TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task LengthenFirst_PingsTakeTheLongWay_UntilItIsTakenAway()
    {
        Prerequisites.SkipUnlessLaboratory();
        CancellationToken token = TestContext.Current.CancellationToken;
        await using BenchNetwork network = await BenchNetwork.CreateAsync();
        TimeSpan roundTrip = TimeSpan.FromMilliseconds(200);
        using (LongCable cable = network.LengthenFirst(roundTrip))
        {
            LongCable.Limit(network.First, "10mbit");
            RoundTrips found = await RoundTrips.MeasureAsync(network.First, BenchNetwork.ServerForFirst, 5, token);
            Assert.True(found.Median >= roundTrip.TotalMicroseconds, $"{found}");
        }

        Assert.Equal(
            0, (await network.First.PingAsync(BenchNetwork.ServerForFirst, 1, TimeSpan.FromSeconds(1), token, "-w", "60")).ExitCode);
        Assert.DoesNotContain("long0", (await network.First.ExecuteAsync("ip", ["link"], token)).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_OneMeasurement_GivesATableAndLeavesNothingBehind()
    {
        Prerequisites.SkipUnlessBench();
        var output = new StringWriter();
        var options = new BenchmarkOptions(
            Rounds: 1, Seconds: 1, "wireguard-go") { Only = ["network cards"], Variants = [new("small", "-Mtu 1280")] };
        Assert.Equal(0, await Benchmark.RunAsync(options, output, TestContext.Current.CancellationToken));
        Assert.Matches(@"\| TCP, [^|]* network cards \| more \| [\d.]+ Gbit/s \| [\d.]+ Gbit/s \| [\d.]+ \|", output.ToString());
        Assert.Matches(@"\| TCP, [^|]* network cards, small \| more \| [\d.]+ Gbit/s \| [\d.]+ Gbit/s \| [\d.]+ \|", output.ToString());
        Assert.DoesNotContain(
            LeftOvers.Namespaces($"lt{Environment.ProcessId}."), name => name.EndsWith("-second", StringComparison.Ordinal));
        Assert.Empty(LeftOvers.WireGuardSockets($"lt{Environment.ProcessId}."));
    }
}
