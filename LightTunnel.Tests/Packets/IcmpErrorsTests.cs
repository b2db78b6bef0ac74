using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Packets;

public sealed class IcmpErrorsTests
{
    private readonly byte[] _error = new byte[IcmpErrors.MaximumLength];

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.99", "10.0.0.1", UnreachableReason.NoRoute, 3, 0)]
    [InlineData("10.0.0.20", "10.0.0.99", "10.0.0.1", UnreachableReason.HostUnreachable, 3, 1)]
    [InlineData("10.0.0.20", "10.0.0.99", "10.0.0.1", UnreachableReason.Prohibited, 3, 13)]
    [InlineData("fd00::20", "fd00::99", "fd00::1", UnreachableReason.NoRoute, 1, 0)]
    [InlineData("fd00::20", "fd00::99", "fd00::1", UnreachableReason.HostUnreachable, 1, 3)]
    [InlineData("fd00::20", "fd00::99", "fd00::1", UnreachableReason.Prohibited, 1, 1)]
    internal void WriteUnreachable_Udp_QuotesIt(string from, string to, string own, UnreachableReason reason, byte type, byte code)
    {
        byte[] offender = Udp(from, to, 1000, 2000, new byte[100]);
        int length = IcmpErrors.WriteUnreachable([.. offender, 0, 0, 0], reason, Address(own), _error);
        ReadOnlySpan<byte> quote = AssertError(length, own, from, type, code, parameter: 0);
        Assert.Equal(offender, quote);
    }

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.99", "10.0.0.1", 3, 4, 576)]
    [InlineData("fd00::20", "fd00::99", "fd00::1", 2, 0, 1280)]
    public void WriteTooBig_LongPacket_TellsMtuAndQuotesWhatFits(string from, string to, string own, byte type, byte code, int longest)
    {
        byte[] offender = Udp(from, to, 1000, 2000, new byte[4000]);
        int length = IcmpErrors.WriteTooBig(offender, 1380, Address(own), _error);
        ReadOnlySpan<byte> quote = AssertError(length, own, from, type, code, parameter: 1380);
        Assert.Equal(longest, length);
        Assert.True(offender.AsSpan().StartsWith(quote));
    }

    [Fact]
    public void WriteTooBig_IPv4MayBeFragmented_WritesNothing()
    {
        byte[] offender = Udp("10.0.0.20", "10.0.0.99", 1, 2, new byte[2000]);
        offender[6] = 0;
        SealHeader(offender);
        Assert.Equal(0, IcmpErrors.WriteTooBig(offender, 1380, Address("10.0.0.1"), _error));
    }

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.99", 8, true)]
    [InlineData("10.0.0.20", "10.0.0.99", 0, true)]
    [InlineData("10.0.0.20", "10.0.0.99", 3, false)]
    [InlineData("10.0.0.20", "10.0.0.99", 4, false)]
    [InlineData("10.0.0.20", "10.0.0.99", 5, false)]
    [InlineData("10.0.0.20", "10.0.0.99", 11, false)]
    [InlineData("10.0.0.20", "10.0.0.99", 12, false)]
    [InlineData("fd00::20", "fd00::99", 128, true)]
    [InlineData("fd00::20", "fd00::99", 1, false)]
    [InlineData("fd00::20", "fd00::99", 4, false)]
    [InlineData("fd00::20", "fd00::99", 137, false)]
    [InlineData("0.0.0.0", "10.0.0.99", 8, false)]
    [InlineData("127.0.0.1", "10.0.0.99", 8, false)]
    [InlineData("224.0.0.1", "10.0.0.99", 8, false)]
    [InlineData("255.255.255.255", "10.0.0.99", 8, false)]
    [InlineData("10.0.0.20", "224.0.0.251", 8, false)]
    [InlineData("10.0.0.20", "255.255.255.255", 8, false)]
    [InlineData("::", "fd00::99", 128, false)]
    [InlineData("ff02::1", "fd00::99", 128, false)]
    [InlineData("fd00::20", "ff02::1", 128, false)]
    public void WriteUnreachable_IcmpOffender_AnswersOnlyWhatMayBeAnswered(string from, string to, int type, bool answered)
    {
        TunnelAddress own = Address(from.Contains(':', StringComparison.Ordinal) ? "fd00::1" : "10.0.0.1");
        Assert.Equal(answered, IcmpErrors.WriteUnreachable(Icmp(from, to, type), UnreachableReason.NoRoute, own, _error) > 0);
    }

    [Fact]
    public void WriteTooBig_IPv6Multicast_IsAnswered() =>
        Assert.NotEqual(0, IcmpErrors.WriteTooBig(Udp("fd00::20", "ff0e::1", 1, 2, new byte[1400]), 1280, Address("fd00::1"), _error));

    [Fact]
    public void WriteUnreachable_LaterFragment_WritesNothing()
    {
        byte[] v4 = Udp("10.0.0.20", "10.0.0.99", 1, 2, new byte[100]);
        v4[7] = 2;
        SealHeader(v4);
        Assert.Equal(0, IcmpErrors.WriteUnreachable(v4, UnreachableReason.NoRoute, Address("10.0.0.1"), _error));
        byte[] v6 = Ip("fd00::20", "fd00::99", 44, [17, 0, 0, 0x10, 0, 0, 0, 9, 1, 2, 3, 4]);
        Assert.Equal(0, IcmpErrors.WriteUnreachable(v6, UnreachableReason.NoRoute, Address("fd00::1"), _error));
    }

    [Fact]
    public void WriteUnreachable_FirstFragment_IsAnswered()
    {
        byte[] v4 = Udp("10.0.0.20", "10.0.0.99", 1, 2, new byte[100]);
        v4[6] = 0x20;
        SealHeader(v4);
        Assert.NotEqual(0, IcmpErrors.WriteUnreachable(v4, UnreachableReason.NoRoute, Address("10.0.0.1"), _error));
    }

    [Fact]
    public void WriteUnreachable_DamagedHeaderOrOtherFamily_WritesNothing()
    {
        byte[] offender = Udp("10.0.0.20", "10.0.0.99", 1, 2, [1]);
        Assert.Equal(0, IcmpErrors.WriteUnreachable(offender, UnreachableReason.NoRoute, Address("fd00::1"), _error));
        Assert.Equal(0, IcmpErrors.WriteUnreachable(offender, UnreachableReason.NoRoute, Address("224.0.0.1"), _error));
        Assert.NotEqual(0, IcmpErrors.WriteUnreachable(offender, UnreachableReason.NoRoute, Address("10.0.0.1"), _error));
        offender[8]--;
        Assert.Equal(0, IcmpErrors.WriteUnreachable(offender, UnreachableReason.NoRoute, Address("10.0.0.1"), _error));
        Assert.Equal(0, IcmpErrors.WriteUnreachable([0xC1, 2, 3], UnreachableReason.NoRoute, Address("10.0.0.1"), _error));
        Assert.Equal(0, IcmpErrors.WriteUnreachable([], UnreachableReason.NoRoute, Address("10.0.0.1"), _error));
    }

    [Fact]
    public void WriteUnreachable_LittleMemory_QuotesLessOrNothing()
    {
        byte[] offender = Udp("10.0.0.20", "10.0.0.99", 1, 2, new byte[100]);
        int length = IcmpErrors.WriteUnreachable(offender, UnreachableReason.NoRoute, Address("10.0.0.1"), _error.AsSpan(0, 60));
        AssertError(length, "10.0.0.1", "10.0.0.20", 3, 0, 0);
        Assert.Equal(60, length);
        Assert.Equal(0, IcmpErrors.WriteUnreachable(offender, UnreachableReason.NoRoute, Address("10.0.0.1"), _error.AsSpan(0, 55)));
        Assert.Equal(0, IcmpErrors.WriteUnreachable(offender, UnreachableReason.NoRoute, Address("10.0.0.1"), []));
    }

    private ReadOnlySpan<byte> AssertError(int length, string source, string destination, byte type, byte code, uint parameter)
    {
        ReadOnlySpan<byte> packet = _error.AsSpan(0, length);
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        Assert.Equal((Address(source), Address(destination), length), (info.Source, info.Destination, info.TotalLength));
        Assert.Equal(info.IsIPv4 ? IpPacket.ProtocolIcmp : IpPacket.ProtocolIcmpV6, info.Protocol);
        ReadOnlySpan<byte> icmp = packet[info.HeaderLength..];
        Assert.Equal((type, code, parameter), (icmp[0], icmp[1], BinaryPrimitives.ReadUInt32BigEndian(icmp[4..])));
        if (info.IsIPv4)
            Assert.True(InternetChecksum.IsValid(packet[..20]));
        uint pseudo = info.IsIPv4 ? 0 : InternetChecksum.PseudoHeaderSum(info.Source, info.Destination, info.Protocol, icmp.Length);
        Assert.True(InternetChecksum.IsValid(icmp, pseudo));
        return icmp[8..];
    }
}
