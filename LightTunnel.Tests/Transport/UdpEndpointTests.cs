using System.Net;
using FsCheck.Xunit;
using LightTunnel.Addressing;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

public sealed class UdpEndpointTests
{
    [Fact]
    public void Equality_MappedAndPlainIPv4_AreOneValue()
    {
        var plain = new UdpEndpoint(IPAddress.Parse("192.0.2.1"), 9000);
        var mapped = new UdpEndpoint(IPAddress.Parse("::ffff:192.0.2.1"), 9000);
        Assert.True(plain == mapped && plain.IsIPv4 && mapped.IsIPv4);
        Assert.Equal(plain.GetHashCode(), mapped.GetHashCode());
        Assert.Equal("192.0.2.1:9000", mapped.ToString());
        Assert.Equal(plain, UdpEndpoint.FromIPv4(0xC0000201, 9000));
    }

    [Fact]
    public void ScopeId_LinkLocal_IsKeptAndOthersIgnored()
    {
        var here = new UdpEndpoint(IPAddress.Parse("fe80::1%3"), 9000);
        var there = new UdpEndpoint(IPAddress.Parse("fe80::1%4"), 9000);
        Assert.NotEqual(here, there);
        Assert.Equal("[fe80::1%3]:9000", here.ToString());
        var global = new IPAddress(IPAddress.Parse("2001:db8::1").GetAddressBytes(), 5);
        Assert.Equal(new UdpEndpoint(IPAddress.Parse("2001:db8::1"), 1), new UdpEndpoint(global, 1));
    }

    [Fact]
    public void Default_NamesNobody()
    {
        Assert.False(default(UdpEndpoint).IsSpecified);
        Assert.False(default(UdpEndpoint).IsIPv4);
        Assert.Equal("(unknown)", default(UdpEndpoint).ToString());
        Assert.False(new UdpEndpoint(IPAddress.Loopback, 0).IsSpecified);
    }

    [Property]
    public void Framework_AnyIPv4_RoundTrips(uint address, ushort port)
    {
        UdpEndpoint endpoint = UdpEndpoint.FromIPv4(address, port);
        Assert.Equal(endpoint, endpoint.ToIPEndPoint());
        Assert.Equal(endpoint, Through(endpoint, dualMode: true));
        if (port != 0)
            Assert.Equal(endpoint, Through(endpoint, dualMode: false));
    }

    [Property]
    public void Framework_AnyIPv6_RoundTrips(ulong high, ulong low, ushort port, bool linkLocal, byte scope)
    {
        ulong upper = linkLocal ? 0xFE80_0000_0000_0000 : high;
        var endpoint = new UdpEndpoint(new UInt128(upper, low), port, linkLocal ? scope : 0u);
        Assert.Equal(endpoint, endpoint.ToIPEndPoint());
        if (endpoint.IsSpecified)
            Assert.Equal(endpoint, Through(endpoint, dualMode: true));
    }

    [Theory]
    [InlineData("192.0.2.1", false)]
    [InlineData("2001:db8::1", true)]
    [InlineData("fe80::1%3", true)]
    public void Codec_Sockaddr_IsWhatTheFrameworkWrites(string text, bool dualMode)
    {
        var address = new IPEndPoint(IPAddress.Parse(text), 9000);
        Span<byte> bytes = stackalloc byte[SocketAddressCodec.MaximumLength];
        int length = SocketAddressCodec.Write(address, dualMode, bytes);
        Assert.Equal(address.Serialize().Buffer[..length].ToArray(), bytes[..length].ToArray());
        Assert.Equal(new UdpEndpoint(address.Address, 9000), SocketAddressCodec.Read(address.Serialize().Buffer.Span));
    }

    [Fact]
    public void Codec_WhatTheSocketCannotReach_IsNotWritten()
    {
        byte[] bytes = new byte[SocketAddressCodec.MaximumLength];
        Assert.Equal(0, SocketAddressCodec.Write(new UdpEndpoint(IPAddress.Parse("2001:db8::1"), 9), dualMode: false, bytes));
        Assert.Equal(0, SocketAddressCodec.Write(default, dualMode: true, bytes));
    }

    [Fact]
    public void Codec_OtherFamilyOrCutShort_IsNobody()
    {
        byte[] bytes = new byte[SocketAddressCodec.MaximumLength];
        SocketAddressCodec.Write(new UdpEndpoint(IPAddress.Parse("2001:db8::1"), 9), dualMode: true, bytes);
        for (int length = 0; length < bytes.Length; length++)
            Assert.Equal(default, SocketAddressCodec.Read(bytes.AsSpan(0, length)));
        bytes[0] = 99;
        Assert.Equal(default, SocketAddressCodec.Read(bytes));
    }

    [Fact]
    public void PathAddress_TellsRelayedFromDirect()
    {
        var endpoint = new UdpEndpoint(IPAddress.Parse("192.0.2.1"), 9000);
        Assert.Equal("192.0.2.1:9000", new PathAddress(endpoint).ToString());
        Assert.Equal("member 7 by 192.0.2.1:9000", new PathAddress(endpoint, 7).ToString());
        Assert.True(new PathAddress(endpoint, 7).IsRelayed && !new PathAddress(endpoint).IsRelayed);
    }

    private static UdpEndpoint Through(UdpEndpoint endpoint, bool dualMode)
    {
        if (!endpoint.IsSpecified)
            return endpoint;
        Span<byte> bytes = stackalloc byte[SocketAddressCodec.MaximumLength];
        return SocketAddressCodec.Read(bytes[..SocketAddressCodec.Write(endpoint, dualMode, bytes)]);
    }
}
