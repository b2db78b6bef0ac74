using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Services;
using LightTunnel.WindowsNetwork;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

public sealed class OutputTypeTests
{
    [Theory]
    [InlineData(typeof(TunnelState), typeof(LtTunnelState))]
    [InlineData(typeof(RouteType), typeof(LtRouteType))]
    [InlineData(typeof(PathType), typeof(LtPathType))]
    [InlineData(typeof(PathPolicy), typeof(LtPathPolicy))]
    [InlineData(typeof(PathReason), typeof(LtPathReason))]
    [InlineData(typeof(RouteState), typeof(LtRouteState))]
    [InlineData(typeof(LogLevel), typeof(LtLogLevel))]
    [InlineData(typeof(ConfigurationSeverity), typeof(LtConfigurationSeverity))]
    [InlineData(typeof(EndpointDependence), typeof(LtEndpointDependence))]
    [InlineData(typeof(PortAssignment), typeof(LtPortAssignment))]
    [InlineData(typeof(CandidateKind), typeof(LtCandidateKind))]
    [InlineData(typeof(ProbeResult), typeof(LtProbeResult))]
    [InlineData(typeof(CipherSuite), typeof(LtCipherSuite))]
    [InlineData(typeof(CipherPolicy), typeof(LtCipherPolicy))]
    [InlineData(typeof(NetworkCategory), typeof(LtNetworkCategory))]
    [InlineData(typeof(MemberState), typeof(LtMemberState))]
    [InlineData(typeof(TunnelRole), typeof(LtTunnelRole))]
    [InlineData(typeof(ServiceState), typeof(LtServiceState))]
    [InlineData(typeof(InvitationState), typeof(LtInvitationState))]
    public void Enumeration_OfTheModule_HasTheEnginesNamesAndValues(Type engine, Type module) => Assert.Equal(Pairs(engine), Pairs(module));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(1_000, "1.0 kB")]
    [InlineData(1_234_567, "1.2 MB")]
    [InlineData(999_949, "999.9 kB")]
    [InlineData(999_950, "1.0 MB")]
    [InlineData(long.MaxValue, "9.2 EB")]
    public void Bytes_AreRoundedToFourDigits(long bytes, string text) => Assert.Equal(text, LtUnits.Bytes(bytes));

    [Theory]
    [InlineData(null, "-")]
    [InlineData(0.04, "0.0 ms")]
    [InlineData(0.21, "0.2 ms")]
    [InlineData(1.24, "1.2 ms")]
    [InlineData(9.94, "9.9 ms")]
    [InlineData(9.96, "10 ms")]
    [InlineData(45.4, "45 ms")]
    [InlineData(999.4, "999 ms")]
    [InlineData(999.6, "1.0 s")]
    [InlineData(1234.0, "1.2 s")]
    public void RoundTrip_HasTheDigitsThatMatter(double? milliseconds, string text) =>
        Assert.Equal(text, LtUnits.RoundTrip(milliseconds is null ? null : TimeSpan.FromMilliseconds(milliseconds.Value)));

    [Theory]
    [InlineData(-5, "0 s")]
    [InlineData(59.9, "59 s")]
    [InlineData(60, "1 min")]
    [InlineData(3_599, "59 min")]
    [InlineData(3_600, "1 h")]
    [InlineData(86_400, "1 d")]
    [InlineData(864_000, "10 d")]
    public void Duration_IsOneNumberAndItsUnit(double seconds, string text) =>
        Assert.Equal(text, LtUnits.Duration(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData(null, "-")]
    [InlineData(0.0, "0 %")]
    [InlineData(0.025, "2.5 %")]
    [InlineData(1.0, "100 %")]
    public void Share_IsInPercent(double? share, string text) => Assert.Equal(text, LtUnits.Share(share));

    [Theory]
    [InlineData(null, "")]
    [InlineData("10.0.0.20/32", "10.0.0.20/32")]
    [InlineData("[2001:db8::7]:9000", "[2001:db8::7]:\n9000")]
    [InlineData("fd00:1234:5678:9abc:def0:1234:5678:9abc", "fd00:1234:5678:\n9abc:def0:1234:\n5678:9abc")]
    [InlineData("a-name-without-colons.example.org", "a-name-without-colons.example.org")]
    public void Address_LongerThanItsColumn_IsBrokenBehindColons(string? address, string text) =>
        Assert.Equal(text, LtUnits.Address(address, 15));

    [Fact]
    public void NatType_HasTheNamesThatTheEngineUses()
    {
        EndpointDependence[] all = Enum.GetValues<EndpointDependence>();
        string[] names = [.. all.SelectMany(mapping => all.Select(filtering => new NatBehaviour(mapping, filtering).ClassicName))
            .Append(new NatBehaviour(default, Presence: NatPresence.None).ClassicName).Distinct()];

        Assert.Equal(Enum.GetValues<LtNatType>(), names.Select(LtUnits.NatTypeOf).Order());
        Assert.All(names, name => Assert.Equal(name, LtUnits.NatType(LtUnits.NatTypeOf(name))));
        Assert.Equal(LtNatType.Unknown, LtUnits.NatTypeOf("something new"));
        Assert.Equal(
            "Unknown", new TunnelStatus
            {
                Name = "n",
                Role = default,
                State = default,
                Addresses = [],
                PublicKey = "k",
                Counters = new TunnelCounters(),
            }.NatType);
    }

    [Theory]
    [InlineData(null, "-")]
    [InlineData(0.04, "0.0 s")]
    [InlineData(-0.04, "0.0 s")]
    [InlineData(-12.34, "-12.3 s")]
    public void Seconds_HaveASign(double? seconds, string text) =>
        Assert.Equal(text, LtUnits.Seconds(seconds is null ? null : TimeSpan.FromSeconds(seconds.Value)));

    [Fact]
    public void EveryPathReason_ThatIsNotDirect_SaysWhatToDo()
    {
        foreach (PathReason reason in Enum.GetValues<PathReason>())
        {
            Assert.EndsWith(".", reason.Sentence(), StringComparison.Ordinal);
            Assert.Equal(reason is PathReason.DirectUp or PathReason.IsServer, reason.RecommendedAction() is null);
        }
    }

    [Fact]
    public void PeerPathPolicy_IsTheEnginesAndDefault() =>
        Assert.Equal(["Default", .. Enum.GetNames<PathPolicy>()], Enum.GetNames<LtPeerPathPolicy>());

    private static IEnumerable<(string, int)> Pairs(Type type) =>
        Enum.GetNames(type).Select(name => (name, Convert.ToInt32(Enum.Parse(type, name), null)));
}
