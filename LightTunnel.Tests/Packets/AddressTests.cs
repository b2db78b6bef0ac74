using FsCheck.Xunit;
using LightTunnel.Addressing;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Packets;

public sealed class AddressTests
{
    [Property]
    public void TunnelAddress_IPv4_RoundTrips(uint value)
    {
        TunnelAddress address = TunnelAddress.FromIPv4(value);
        Assert.True(TunnelAddress.TryParse(address.ToString(), out TunnelAddress parsed));
        Assert.Equal(address, parsed);
        AssertBytes(address, 4);
    }

    [Property]
    public void TunnelAddress_IPv6_RoundTrips(ulong high, ulong low, bool zeroHigh)
    {
        TunnelAddress address = TunnelAddress.FromIPv6(new UInt128(zeroHigh ? 0 : high, low));
        Assert.True(TunnelAddress.TryParse(address.ToString(), out TunnelAddress parsed));
        Assert.Equal(address, parsed);
        AssertBytes(address, 16);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("10")]
    [InlineData("10.1")]
    [InlineData("0x0a000001")]
    [InlineData("10.0.0.256")]
    [InlineData("10.0.0.1/24")]
    [InlineData("[fd00::1]")]
    [InlineData("[fd00::1]:80")]
    [InlineData("fe80::1%3")]
    [InlineData("::ffff:10.0.0.1")]
    [InlineData("host")]
    [InlineData(" 10.0.0.1")]
    [InlineData("012.0.0.1")]
    [InlineData("0x0a.0.0.1")]
    public void TryParse_NotAPlainAddress_IsRefused(string? text) => Assert.False(TunnelAddress.TryParse(text, out _));

    [Fact]
    public void Comparison_FamiliesAndValues_IPv4First()
    {
        string[] ordered = ["0.0.0.0", "9.255.255.255", "10.0.0.0", "255.0.0.0", "::", "::1", "fd00::"];
        Assert.Equal(ordered, ordered.Reverse().Select(Address).Order().Select(a => a.ToString()));
        Assert.NotEqual(Address("0.0.0.0"), Address("::"));
    }

    [Property]
    public void IpPrefix_TextOfAnyPrefix_RoundTrips(uint v4, ulong high, ulong low, byte length)
    {
        foreach (TunnelAddress address in (TunnelAddress[])[TunnelAddress.FromIPv4(v4), TunnelAddress.FromIPv6(new UInt128(high, low))])
        {
            var prefix = new IpPrefix(address, length % (address.BitLength + 1));
            Assert.True(IpPrefix.TryParse(prefix.ToString(), out IpPrefix parsed));
            Assert.Equal(prefix, parsed);
            Assert.True(prefix.Contains(address));
            var own = new InterfaceAddress(address, prefix.Length);
            Assert.True(InterfaceAddress.TryParse(own.ToString(), out InterfaceAddress again));
            Assert.Equal(own, again);
            Assert.Equal(prefix, own.Prefix);
        }
    }

    [Theory]
    [InlineData("10.0.0.1/24")]
    [InlineData("10.0.0.0/33")]
    [InlineData("10.0.0.0/-1")]
    [InlineData("10.0.0.0/")]
    [InlineData("10.0.0.0/+8")]
    [InlineData("10.0.0.0/ 8")]
    [InlineData("10.0.0.0/8/8")]
    [InlineData("/8")]
    [InlineData("fd00::/129")]
    [InlineData("fd00::1/64")]
    [InlineData(null)]
    public void IpPrefix_Wrong_IsRefused(string? text) => Assert.False(IpPrefix.TryParse(text, out _));

    [Fact]
    public void InterfaceAddress_WithoutLength_IsRefused()
    {
        Assert.False(InterfaceAddress.TryParse("10.0.0.1", out _));
        Assert.True(InterfaceAddress.TryParse("10.0.0.1/24", out InterfaceAddress address));
        Assert.Equal(("10.0.0.1", "10.0.0.0/24"), (address.Address.ToString(), address.Prefix.ToString()));
    }

    [Theory]
    [InlineData("10.0.0.0/8", "10.1.0.0/16", true)]
    [InlineData("10.1.0.0/16", "10.0.0.0/8", true)]
    [InlineData("10.0.0.0/24", "10.0.1.0/24", false)]
    [InlineData("0.0.0.0/0", "::/0", false)]
    [InlineData("fd00::/64", "fd00::1/128", true)]
    public void Overlaps_TwoPrefixes_IsSymmetric(string first, string second, bool expected)
    {
        Assert.Equal(expected, Prefix(first).Overlaps(Prefix(second)));
        Assert.Equal(expected, Prefix(second).Overlaps(Prefix(first)));
    }

    private static void AssertBytes(TunnelAddress address, int length)
    {
        Span<byte> bytes = stackalloc byte[16];
        Assert.Equal(length, address.WriteTo(bytes));
        Assert.Equal(address, TunnelAddress.FromBytes(bytes[..length]));
        Assert.Equal(address, TunnelAddress.FromIPAddress(address.ToIPAddress()));
        Assert.Equal(address, TunnelAddress.FromBits(address.Bits, address.IsIPv4));
    }
}
