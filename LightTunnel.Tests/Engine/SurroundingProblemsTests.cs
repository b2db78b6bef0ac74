using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Probing;
using LightTunnel.Tun;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Engine;

/// <summary>What Windows has beside a tunnel, judged: who takes its packets, and what is switched off.</summary>
public sealed class SurroundingProblemsTests
{
    private const ulong TunnelLuid = 1, CardLuid = 2, VpnLuid = 3, FilterLuid = 4;

    private static readonly Guid Adapter = new("11111111-2222-3333-4444-555555555555");

    private static readonly WindowsInterface Tunnel =
        new(TunnelLuid, Adapter, "lt0", "LightTunnel Tunnel", InterfaceKind.Tunnel, MetricIPv4: 100, MetricIPv6: 100);

    private static readonly WindowsInterface Card =
        new(CardLuid, Guid.Empty, "Ethernet", "Some Card", InterfaceKind.Ordinary, MetricIPv4: 25, MetricIPv6: 25);

    private static readonly WindowsInterface Vpn =
        new(VpnLuid, Guid.Empty, "Corp", "Corp VPN Adapter", InterfaceKind.Tunnel, MetricIPv4: 5, MetricIPv6: 5);

    private static readonly NetworkTestReport Fine = new()
    {
        Server = new IPEndPoint(IPAddress.Parse("203.0.113.7"), 9000), Mtu = 1400, LargestPacket = 1400,
        Pings = new PingResult(10, 10, TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero),
    };

    private static readonly NetworkTestReport Silent = Fine with
    {
        Pings = new PingResult(10, 0, null, null, null), LargestPacket = null,
    };

    private static readonly InterfaceAddress[] Addresses = [Interface("10.0.0.30/24"), Interface("fd00:9::30/64")];

    /// <summary>The tunnel's networks and the card's default route.</summary>
    private static readonly WindowsRoute[] Routes =
    [
        new(TunnelLuid, Prefix("10.0.0.0/24")), new(TunnelLuid, Prefix("fd00:9::/64")), new(CardLuid, Prefix("0.0.0.0/0")),
        new(CardLuid, Prefix("192.168.1.0/24"), 256),
    ];

    [Fact]
    public void NothingInTheWay_IsNoProblem() => Assert.Empty(Find([Tunnel, Card, Vpn], Routes));

    [Fact]
    public void AdapterThatIsGone_IsNoProblemOfItsSurroundings() =>
        Assert.Empty(Find([Card], [.. Routes, new(CardLuid, Prefix("10.0.0.0/25"))]));

    [Fact]
    public void PartOfTheNetwork_RoutedElsewhere_IsNamedWithTheInterface()
    {
        NetworkProblem problem = Assert.Single(Find(
            [Tunnel, Card, Vpn], [.. Routes, new(VpnLuid, Prefix("10.0.0.128/25")), new(VpnLuid, Prefix("10.0.0.7/32"))]));

        Assert.Equal(
            "A part of the tunnel's network 10.0.0.0/24 is routed into 'Corp' (Corp VPN Adapter): 10.0.0.128/25 and 1 more.",
            problem.Message);
        Assert.Contains("Get-NetRoute -InterfaceAlias 'Corp'", problem.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public void SameNetwork_WithTheBetterMetric_TakesThePackets()
    {
        NetworkProblem problem = Assert.Single(Find([Tunnel, Card], [.. Routes, new(CardLuid, Prefix("10.0.0.0/24"), 50)]));

        Assert.Equal(
            "Packets to the tunnel's network 10.0.0.0/24 leave by 'Ethernet' (Some Card): the metric of its route is 75, the tunnel's 100.",
            problem.Message);
        Assert.Contains("Set-NetIPInterface -InterfaceAlias 'Ethernet'", problem.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public void SameNetwork_WithTheWorseMetric_IsHiddenByTheTunnel()
    {
        NetworkProblem problem = Assert.Single(Find([Tunnel, Card], [.. Routes, new(CardLuid, Prefix("10.0.0.0/24"), 256)]));

        Assert.StartsWith("The network 10.0.0.0/24 is that of 'Ethernet' (Some Card) as well", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OwnRouteGone_SaysWhereThePacketsGo()
    {
        NetworkProblem problem = Assert.Single(Find([Tunnel, Card, Vpn], [.. Routes[1..], new(VpnLuid, Prefix("10.0.0.0/8"))]));

        Assert.Equal(
            "The tunnel's network 10.0.0.0/24 is not routed into the tunnel: its packets leave by 'Corp' (Corp VPN Adapter).",
            problem.Message);
    }

    [Fact]
    public void ShorterPrefixOfAnother_AndOneThatIsDown_TakeNothing() => Assert.Empty(Find(
        [Tunnel, Card, Vpn with { IsUp = false }],
        [.. Routes, new(CardLuid, Prefix("10.0.0.0/8")), new(VpnLuid, Prefix("10.0.0.0/25")), new(VpnLuid, Prefix("0.0.0.0/1"))]));

    [Theory]
    [InlineData("0.0.0.0/0")] // With the better metric.
    [InlineData("128.0.0.0/1")] // One half of everything, as many do it.
    public void WayToTheServer_ThroughAnotherTunnel_IsNamed(string route)
    {
        NetworkProblem problem = Assert.Single(Find([Tunnel, Card, Vpn], [.. Routes, new(VpnLuid, Prefix(route))]));

        Assert.StartsWith(
            "The way to the server leads through another tunnel, 'Corp' (Corp VPN Adapter)", problem.Message, StringComparison.Ordinal);
        Assert.Contains("203.0.113.7", problem.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public void WayToTheServer_LeftOutByTheOtherTunnel_IsNoProblem() => Assert.Empty(Find(
        [Tunnel, Card, Vpn], [.. Routes, new(VpnLuid, Prefix("128.0.0.0/1")), new(CardLuid, Prefix("203.0.113.7/32"))]));

    [Fact]
    public void WayToTheServer_IntoTheTunnelItself_IsNamed()
    {
        NetworkProblem problem = Assert.Single(Find([Tunnel, Card], [.. Routes, new(TunnelLuid, Prefix("203.0.113.0/24"))]));

        Assert.StartsWith("The way to the server leads into the tunnel itself", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(24, true)]
    [InlineData(25, false)]
    public void TunnelWithABetterMetricThanTheUplink_IsNamed(int metric, bool isProblem)
    {
        NetworkProblem[] found = Find([Tunnel with { MetricIPv4 = (uint)metric }, Card], Routes);

        if (!isProblem)
        {
            Assert.Empty(found);
            return;
        }

        Assert.StartsWith(
            "Windows prefers the tunnel, with the metric 24, to 'Ethernet'", Assert.Single(found).Message, StringComparison.Ordinal);
        Assert.Equal("Set-NetIPInterface -InterfaceAlias 'lt0' -InterfaceMetric 100", found[0].RecommendedAction);
    }

    [Theory]
    [InlineData(0u, "IPv6 is switched off on 'lt0'")]
    [InlineData(0x20u, "IPv6 is switched off on 'lt0'")] // That only prefers IPv4.
    [InlineData(0xFFu, "IPv6 is switched off on this machine, by DisabledComponents 0xFF in the registry")]
    [InlineData(0xFFFFFFFFu, "IPv6 is switched off on this machine, by DisabledComponents 0xFFFFFFFF in the registry")]
    public void IPv6Off_WhereTheTunnelHasAnAddress_IsToldWithItsCause(uint disabled, string told)
    {
        NetworkProblem problem = Assert.Single(Find(
            [Tunnel with { MetricIPv6 = null }, Card], [Routes[0], .. Routes[2..]], disabledComponents: disabled));

        Assert.StartsWith(told, problem.Message, StringComparison.Ordinal);
        Assert.NotEmpty(problem.RecommendedAction);
    }

    [Fact]
    public void IPv6Off_OfATunnelWithoutIPv6_IsNoProblem() => Assert.Empty(Find(
        [Tunnel with { MetricIPv6 = null }, Card with { MetricIPv6 = null }], Routes, addresses: Addresses[..1], disabledComponents: 0xFF));

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(null, false)]
    public void IPv6Off_OnTheUplink_IsAProblem_WhenTheServerIsNotReachedOverIt(bool? isReached, bool isProblem)
    {
        NetworkProblem[] found = Find(
            [Tunnel, Card with { MetricIPv6 = null }], Routes, Fine with { IsServerReachableByIPv6 = isReached });

        if (isProblem)
            Assert.StartsWith("IPv6 is switched off on 'Ethernet'", Assert.Single(found).Message, StringComparison.Ordinal);
        else
            Assert.Empty(found);
    }

    [Fact]
    public void ForeignFilters_AreNamed_WhereSomethingIsLost()
    {
        WindowsInterface[] interfaces =
        [
            Tunnel, Card, Filter("Ethernet-WFP Native MAC Layer LightWeight Filter-0000"), Filter("Ethernet-QoS Packet Scheduler-0000"),
            Filter("Ethernet-Acme Guard-0000"), Filter("Wi-Fi-Other-0000"),
        ];

        NetworkProblem problem = Assert.Single(Find(interfaces, Routes, Silent));

        Assert.Equal(
            "Drivers of other programs see what goes through 'Ethernet' (Some Card), and may keep it: Acme Guard.", problem.Message);
        Assert.Contains("Get-NetAdapterBinding -Name 'Ethernet'", problem.RecommendedAction, StringComparison.Ordinal);
        Assert.Empty(Find(interfaces, Routes));
    }

    private static WindowsInterface Filter(string name) =>
        new(FilterLuid, Guid.Empty, name, "Filter", InterfaceKind.Ordinary, IsFilter: true);

    private static NetworkProblem[] Find(
        WindowsInterface[] interfaces, WindowsRoute[] routes, NetworkTestReport? report = null, InterfaceAddress[]? addresses = null,
        uint disabledComponents = 0) =>
        [.. SurroundingProblems.Find(
            new WindowsSurroundings(interfaces, routes, disabledComponents), Adapter, addresses ?? Addresses, report ?? Fine)];
}
