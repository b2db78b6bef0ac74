using LightTunnel.Configuration;
using LightTunnel.Routing;
using LightTunnel.Tests.Engine;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Scale;

/// <summary>A thousand networks behind members. The figures for docs/performance.md are put out.</summary>
public sealed class RouteTests(ITestOutputHelper output) : IDisposable
{
    private const int Gateways = 16, Each = 63;

    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    [Fact]
    public void Thousand_AreTakenWithinASecond_AndLeftAgain()
    {
        _network.StartServer(options => options with { AutoApprovedRoutes = [new AutoApprovedRoutes("sites", null)] });
        SimulatedNode taker = _network.AddClient("taker");
        var gateways = new List<SimulatedNode>();
        for (int i = 0; i < Gateways; i++)
        {
            int site = i;
            OfferedRoute[] routes =
                [.. Enumerable.Range(0, Each).Select(number => new OfferedRoute(Prefix($"172.{16 + site}.{number}.0/24"), null, true))];
            gateways.Add(_network.AddClient($"site{i}", change: options => options with { Routes = routes }));
        }

        Assert.True(_network.RunUntil(() => taker.IsUp && gateways.All(gateway => gateway.IsUp), Soon));
        foreach (SimulatedNode gateway in gateways)
            _network.SetGroups(gateway, "sites");
        Assert.True(_network.RunUntil(() => Count(taker) == Gateways * Each, Soon));
        Assert.Equal(0, CountActive(taker));

        TimeSpan busy = taker.Busy;
        DateTimeOffset began = _network.Time.GetUtcNow();
        Accept(isEverything: true);
        Assert.True(_network.RunUntil(() => CountActive(taker) == Gateways * Each, TimeSpan.FromSeconds(1)));
        output.WriteLine(
            $"{Gateways * Each} networks of {Gateways} members taken after {(_network.Time.GetUtcNow() - began).TotalMilliseconds:F0} ms, "
                + $"{(taker.Busy - busy).TotalMilliseconds:F0} ms of the taker's");

        taker.Tun.Inject(Udp(taker.Address.ToString(), $"172.{16 + Gateways - 1}.{Each - 1}.9", 1, 2, [1]));
        taker.MarkReady();
        Assert.True(_network.RunUntil(() => gateways[^1].Tun.WrittenCount > 0, Soon));

        Accept(isEverything: false);
        Assert.True(_network.RunUntil(() => CountActive(taker) == 0, TimeSpan.FromSeconds(1)));

        void Accept(bool isEverything)
        {
            taker.Node.Post(() => taker.Node.Subnets.Accept(new AcceptedRoutes(isEverything, [], false)));
            taker.MarkReady();
        }
    }

    private static int Count(SimulatedNode node) => node.Node.Subnets.Report().Count;

    private static int CountActive(SimulatedNode node) =>
        node.Node.Subnets.Report().Count(report => report.Standing == RouteStanding.Active);
}
