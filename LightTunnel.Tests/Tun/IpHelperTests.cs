using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Tun;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Tun;

/// <summary>The structures must lie in memory as netioapi.h and ws2ipdef.h say for 64-bit Windows.</summary>
public sealed class IpHelperTests
{
    [Theory]
    [InlineData(nameof(UnicastAddressRow.Address), 0)]
    [InlineData(nameof(UnicastAddressRow.InterfaceLuid), 32)]
    [InlineData(nameof(UnicastAddressRow.InterfaceIndex), 40)]
    [InlineData(nameof(UnicastAddressRow.PrefixOrigin), 44)]
    [InlineData(nameof(UnicastAddressRow.SuffixOrigin), 48)]
    [InlineData(nameof(UnicastAddressRow.ValidLifetime), 52)]
    [InlineData(nameof(UnicastAddressRow.PreferredLifetime), 56)]
    [InlineData(nameof(UnicastAddressRow.OnLinkPrefixLength), 60)]
    [InlineData(nameof(UnicastAddressRow.SkipAsSource), 61)]
    [InlineData(nameof(UnicastAddressRow.DadState), 64)]
    [InlineData(nameof(UnicastAddressRow.ScopeId), 68)]
    [InlineData(nameof(UnicastAddressRow.CreationTimeStamp), 72)]
    public void UnicastAddressRow_Field_LiesWhereWindowsHasIt(string field, int offset) =>
        Assert.Equal(offset, (int)Marshal.OffsetOf<UnicastAddressRow>(field));

    [Theory]
    [InlineData(nameof(IpInterfaceRow.Family), 0)]
    [InlineData(nameof(IpInterfaceRow.InterfaceLuid), 8)]
    [InlineData(nameof(IpInterfaceRow.InterfaceIndex), 16)]
    [InlineData(nameof(IpInterfaceRow.InterfaceIdentifier), 24)]
    [InlineData(nameof(IpInterfaceRow.AdvertisingEnabled), 40)]
    [InlineData(nameof(IpInterfaceRow.AdvertiseDefaultRoute), 48)]
    [InlineData(nameof(IpInterfaceRow.RouterDiscoveryBehavior), 52)]
    [InlineData(nameof(IpInterfaceRow.DadTransmits), 56)]
    [InlineData(nameof(IpInterfaceRow.LinkLocalAddressBehavior), 72)]
    [InlineData(nameof(IpInterfaceRow.ZoneIndices), 80)]
    [InlineData(nameof(IpInterfaceRow.SitePrefixLength), 144)]
    [InlineData(nameof(IpInterfaceRow.Metric), 148)]
    [InlineData(nameof(IpInterfaceRow.NlMtu), 152)]
    [InlineData(nameof(IpInterfaceRow.Connected), 156)]
    [InlineData(nameof(IpInterfaceRow.ReachableTime), 160)]
    [InlineData(nameof(IpInterfaceRow.TransmitOffload), 164)]
    [InlineData(nameof(IpInterfaceRow.DisableDefaultRoutes), 166)]
    public void IpInterfaceRow_Field_LiesWhereWindowsHasIt(string field, int offset) =>
        Assert.Equal(offset, (int)Marshal.OffsetOf<IpInterfaceRow>(field));

    [Theory]
    [InlineData(nameof(ForwardRow.InterfaceLuid), 0)]
    [InlineData(nameof(ForwardRow.InterfaceIndex), 8)]
    [InlineData(nameof(ForwardRow.Destination), 12)]
    [InlineData(nameof(ForwardRow.DestinationLength), 40)]
    [InlineData(nameof(ForwardRow.NextHop), 44)]
    [InlineData(nameof(ForwardRow.SitePrefixLength), 72)]
    [InlineData(nameof(ForwardRow.ValidLifetime), 76)]
    [InlineData(nameof(ForwardRow.PreferredLifetime), 80)]
    [InlineData(nameof(ForwardRow.Metric), 84)]
    [InlineData(nameof(ForwardRow.Protocol), 88)]
    [InlineData(nameof(ForwardRow.Loopback), 92)]
    [InlineData(nameof(ForwardRow.Immortal), 95)]
    [InlineData(nameof(ForwardRow.Age), 96)]
    [InlineData(nameof(ForwardRow.Origin), 100)]
    public void ForwardRow_Field_LiesWhereWindowsHasIt(string field, int offset) =>
        Assert.Equal(offset, (int)Marshal.OffsetOf<ForwardRow>(field));

    [Fact]
    public void Structures_HaveWindowsSizes() => Assert.Equal(
        (28, 80, 168, 104, 1352),
        (Unsafe.SizeOf<SocketAddressInet>(), Unsafe.SizeOf<UnicastAddressRow>(), Unsafe.SizeOf<IpInterfaceRow>(),
            Unsafe.SizeOf<ForwardRow>(), Unsafe.SizeOf<InterfaceRow>()));

    /// <summary>Written as bytes, where mingw-w64's netioapi.h has the fields of MIB_IF_ROW2.</summary>
    [Theory]
    [InlineData(0b0000_0001, false)]
    [InlineData(0b0000_0010, true)]
    [SupportedOSPlatform("windows")]
    public void InterfaceRow_IsReadWhereWindowsHasIt(byte flags, bool isFilter)
    {
        var id = new Guid("00112233-4455-6677-8899-aabbccddeeff");
        byte[] bytes = new byte[1352];
        bytes[0] = 42;
        Assert.True(id.TryWriteBytes(bytes.AsSpan(12)));
        Encoding.Unicode.GetBytes("Ethernet 7", bytes.AsSpan(28));
        Encoding.Unicode.GetBytes(new string('x', 256), bytes.AsSpan(542));
        bytes[1128] = 53;
        bytes[1152] = flags;
        bytes[1156] = 1;

        WindowsInterface read = WindowsSurroundingsReader.ToInterface(
            in MemoryMarshal.AsRef<InterfaceRow>(bytes), new() { [(42, true)] = 25, [(43, false)] = 5 });

        Assert.Equal(
            new WindowsInterface(
                42, id, "Ethernet 7", new string('x', 256), InterfaceKind.Tunnel, IsUp: true, isFilter, MetricIPv4: 25, MetricIPv6: null),
            read);
    }

    [Fact]
    [SupportedOSPlatform("windows")]
    public void Routes_AreRead_WithoutThoseToThisMachineItself()
    {
        var row = new ForwardRow
        {
            InterfaceLuid = 42, Destination = SocketAddressInet.From(Address("10.0.0.0")), DestinationLength = 24, Metric = 256,
        };
        ForwardRow loopback = row, wrong = row;
        loopback.Loopback = 1;
        wrong.DestinationLength = 33;
        List<WindowsRoute> routes = [];

        WindowsSurroundingsReader.Add(routes, in row);
        WindowsSurroundingsReader.Add(routes, in loopback);
        WindowsSurroundingsReader.Add(routes, in wrong);

        Assert.Equal([new WindowsRoute(42, Prefix("10.0.0.0/24"), 256)], routes);
    }

    [Theory]
    [InlineData("10.1.2.3", "0200000000000000", 4, "0a010203")]
    [InlineData("fd00::20", "1700000000000000", 8, "fd000000000000000000000000000020")]
    public void SocketAddressInet_Address_HasItsBytes(string text, string start, int offset, string address)
    {
        SocketAddressInet value = SocketAddressInet.From(Address(text));
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<SocketAddressInet>(in value));
        Assert.Equal(start[..8], Convert.ToHexStringLower(bytes[..4]));
        Assert.Equal(address, Convert.ToHexStringLower(bytes.Slice(offset, address.Length / 2)));
        Assert.True(value.TryGetAddress(out TunnelAddress read));
        Assert.Equal(Address(text), read);
        value.Family = 1;
        Assert.False(value.TryGetAddress(out _));
    }

    [Fact]
    [SupportedOSPlatform("windows")]
    public void Fill_Rows_SetsWhatWindowsAsksFor()
    {
        var address = default(UnicastAddressRow);
        IpHelper.Fill(ref address, 42, Interface("10.0.0.1/24"));
        Assert.Equal((42ul, (byte)24, 4), (address.InterfaceLuid, address.OnLinkPrefixLength, address.DadState));
        var route = default(ForwardRow);
        IpHelper.Fill(ref route, 42, Prefix("fd00::/64"));
        Assert.Equal((42ul, (byte)64, SocketAddressInet.FamilyIPv6), (route.InterfaceLuid, route.DestinationLength, route.NextHop.Family));
        var v4 = new IpInterfaceRow { SitePrefixLength = 64, DadTransmits = 3, RouterDiscoveryBehavior = 1 };
        IpInterfaceRow v6 = v4;
        IpHelper.Fill(ref v4, isIPv4: true, 1380);
        IpHelper.Fill(ref v6, isIPv4: false, 1380);
        Assert.Equal((1380u, 0u, 0, 0u), (v4.NlMtu, v4.DadTransmits, v4.RouterDiscoveryBehavior, v4.SitePrefixLength));
        Assert.Equal(64u, v6.SitePrefixLength);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [SupportedOSPlatform("windows")]
    public void Metric_IsWorseThanAnyThatWindowsMakes_UnlessAPersonChoseOne(bool isIPv4)
    {
        const uint worstAutomatic = 85;
        var automatic = new IpInterfaceRow { UseAutomaticMetric = 1, Metric = 5 };
        var chosen = new IpInterfaceRow { UseAutomaticMetric = 0, Metric = 3 };

        IpHelper.Fill(ref automatic, isIPv4, 1380);
        IpHelper.Fill(ref chosen, isIPv4, 1380);

        Assert.Equal(0, automatic.UseAutomaticMetric);
        Assert.True(automatic.Metric > worstAutomatic);
        Assert.Equal((0, 3u), (chosen.UseAutomaticMetric, chosen.Metric));
    }

    [Fact]
    [SupportedOSPlatform("windows")]
    public void WintunMissing_NamesItsPlace_AndThatTheVariableCountsNoMore()
    {
        LightTunnel.Diagnostics.LightTunnelException plain = Wintun.Missing("/engine/wintun.dll", isPresent: false, variable: null);
        Assert.DoesNotContain(Wintun.PathVariable, plain.Message + plain.RecommendedAction, StringComparison.Ordinal);
        Assert.Contains("'/engine/wintun.dll'", plain.RecommendedAction, StringComparison.Ordinal);
        Assert.Contains(
            "LIGHTTUNNEL_WINTUN is not looked at",
            Wintun.Missing("/engine/wintun.dll", isPresent: false, "C:\\Users\\me\\wintun.dll").Message, StringComparison.Ordinal);
    }

    [Fact]
    [SupportedOSPlatform("windows")]
    public void Wintun_LibraryMissing_SaysWhereToPutIt()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the library may be there");
        var error = Assert.Throws<LightTunnel.Diagnostics.LightTunnelException>(() => Wintun.Instance);
        Assert.Equal(LightTunnel.Diagnostics.LightTunnelError.TunUnavailable, error.Error);
        Assert.Contains("wintun.net", error.RecommendedAction, StringComparison.Ordinal);
    }
}
