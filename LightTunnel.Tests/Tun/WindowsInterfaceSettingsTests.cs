using LightTunnel.Tun;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Tun;

/// <summary>What others change of an interface of Windows is seen and set again; the system and the driver are stand-ins.</summary>
public sealed class WindowsInterfaceSettingsTests : IDisposable
{
    private const ulong Own = 42, Foreign = 7;

    private readonly FakeWintun _driver = new();
    private readonly FakeIpHelper _system = new();
    private readonly WintunDevice _device;

    public WindowsInterfaceSettingsTests()
    {
        _device = WintunDevice.Create(null, _driver, _system);
    }

    public void Dispose()
    {
        _device.Dispose();
        _driver.Dispose();
    }

    [Fact]
    public void NothingSet_IsNotCompared()
    {
        Assert.Empty(_device.Check(restore: true).Differences);
        Assert.Empty(_system.Calls);
    }

    [Fact]
    public void Address_ThatIsGone_IsGivenBack()
    {
        Configure();
        _system.Addresses.Remove(Interface("fd00::1/64"));
        _system.Routes.Remove(Prefix("fd00::/64"));
        Assert.Equal(["address fd00::1/64 is gone"], _device.Check(restore: false).Differences);
        Assert.Empty(_system.Calls);
        AssertPutRight(["address fd00::1/64 is gone"], ["mtu6 1380", "+fd00::1/64"]);
    }

    [Theory]
    [InlineData(true, "its MTU of IPv4 is 9000 instead of 1380", "mtu4 1380")]
    [InlineData(false, "its MTU of IPv6 is 9000 instead of 1380", "mtu6 1380")]
    public void Mtu_OfOneFamily_IsSetAgain(bool isIPv4, string difference, string call)
    {
        Configure();
        _system.Mtus[isIPv4] = 9000;
        AssertPutRight([difference], [call]);
    }

    [Fact]
    public void Route_ThatIsGone_IsAddedAgain()
    {
        Configure();
        _system.Routes.Remove(Prefix("10.0.0.0/24"));
        AssertPutRight(["10.0.0.0/24 is not routed into it"], ["route 10.0.0.0/24"]);
    }

    [Fact]
    public void Route_ThatLeadsElsewhere_IsSaid_AndThatItStays()
    {
        Configure();
        _system.Routes[Prefix("10.0.0.0/24")] = Foreign;
        InterfaceCheck check = _device.Check(restore: true);
        Assert.Equal(["10.0.0.0/24 is not routed into it"], check.Differences);
        Assert.Equal("10.0.0.0/24 is not routed into it", check.Failure);
    }

    [Fact]
    public void WhatOthersAdd_IsTheirs()
    {
        Configure();
        _system.Addresses.Add(Interface("192.168.7.1/24"));
        _system.Routes[Prefix("10.0.0.0/30")] = Foreign;
        Assert.Empty(_device.Check(restore: true).Differences);
        Assert.Empty(_system.Calls);
    }

    [Fact]
    public void Family_ThatIsSwitchedOff_IsSaid()
    {
        Configure();
        _system.Mtus.Remove(false);
        _system.Addresses.Remove(Interface("fd00::1/64"));
        _system.MtuErrorIPv6 = WintunDevice.ErrorNotFound;
        InterfaceCheck check = _device.Check(restore: true);
        Assert.Equal(["IPv6 is switched off on it", "address fd00::1/64 is gone"], check.Differences);
        Assert.StartsWith("IPv6 is switched off on it", check.Failure, StringComparison.Ordinal);

        _system.MtuErrorIPv6 = 0;
        AssertPutRight(["IPv6 is switched off on it", "address fd00::1/64 is gone"], ["mtu6 1380", "+fd00::1/64"]);
    }

    [Fact]
    public void Address_ThatTheSystemRefuses_IsSaidWithItsError()
    {
        Configure();
        _system.Addresses.Clear();
        _system.AddressError = 5;
        InterfaceCheck check = _device.Check(restore: true);
        Assert.Equal(2, check.Differences.Count);
        Assert.Contains("10.0.0.1/24", check.Failure, StringComparison.Ordinal);
        Assert.Contains("error 5", check.Failure, StringComparison.Ordinal);
    }

    [Fact]
    public void Adapter_ThatIsGone_IsLeftToWhoReadsFromIt()
    {
        Configure();
        _system.Addresses.Clear();
        _system.IsThere = false;
        Assert.Empty(_device.Check(restore: true).Differences);
    }

    [Fact]
    public void MachineWithoutIPv6_IsNotAskedForIt()
    {
        _system.MtuErrorIPv6 = 87;
        Assert.NotNull(_device.Configure([Interface("10.0.0.1/24"), Interface("fd00::1/64")], 1380));
        Assert.Empty(_device.Check(restore: true).Differences);
    }

    [Fact]
    public void Watch_HearsOfChanges_UntilTheDeviceIsClosed()
    {
        Configure();
        int heard = 0;
        _device.Watch(() => heard++);
        _system.Change!();
        Assert.Equal(1, heard);
        Assert.Equal([Interface("10.0.0.1/24"), Interface("fd00::1/64")], _system.Networks!());
        _device.Close();
        Assert.Null(_system.Change);
    }

    [Fact]
    public void Watch_OnADeviceThatIsClosed_EndsAtOnce()
    {
        _device.Close();
        _device.Watch(() => { });
        Assert.Null(_system.Change);
    }

    [Fact]
    public void Watch_SystemThatTellsNothing_IsListenedToThroughTheFramework()
    {
        _system.Tells = false;
        _device.Watch(() => { });
        _device.Close();
    }

    [Theory]
    [InlineData(Own, "8.8.8.0/24", true)]
    [InlineData(Foreign, "10.0.0.0/24", true)] // In our network's place
    [InlineData(Foreign, "10.0.0.128/25", true)] // or in a part of it.
    [InlineData(Foreign, "fd00::20/128", true)]
    [InlineData(Foreign, "0.0.0.0/0", false)]
    [InlineData(Foreign, "10.0.0.0/8", false)]
    [InlineData(Foreign, "10.0.1.0/24", false)]
    [InlineData(Foreign, "fd00:1::/64", false)]
    public void Route_ThatChanges_ConcernsTheInterface_IfItIsItsOwnOrTakesFromItsNetworks(ulong luid, string prefix, bool expected)
    {
        var row = new ForwardRow
        {
            InterfaceLuid = luid, Destination = SocketAddressInet.From(Prefix(prefix).Network),
            DestinationLength = (byte)Prefix(prefix).Length,
        };
        Assert.Equal(expected, row.IsAbout(Own, [Interface("10.0.0.1/24"), Interface("fd00::1/64")]));
        row.Destination.Family = 99;
        Assert.Equal(luid == Own, row.IsAbout(Own, [Interface("10.0.0.1/24")]));
    }

    private void Configure()
    {
        Assert.Null(_device.Configure([Interface("10.0.0.1/24"), Interface("fd00::1/64")], 1380));
        Assert.Empty(_device.Check(restore: true).Differences);
        _system.Calls.Clear();
    }

    private void AssertPutRight(string[] differences, string[] calls)
    {
        InterfaceCheck check = _device.Check(restore: true);
        Assert.Equal(differences, check.Differences);
        Assert.Null(check.Failure);
        Assert.Equal(calls, _system.Calls);
        Assert.Empty(_device.Check(restore: true).Differences);
    }
}
