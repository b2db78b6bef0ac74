using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Packets;

public sealed class IpPacketTests
{
    [Theory]
    [InlineData("10.0.0.20", "10.0.0.1", 20)]
    [InlineData("fd00::20", "fd00::1", 40)]
    public void TryParse_UdpPacket_ReadsHeader(string source, string destination, int headerLength)
    {
        byte[] packet = Udp(source, destination, 1000, 2000, new byte[100]);
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        Assert.Equal(Address(source), info.Source);
        Assert.Equal(Address(destination), info.Destination);
        Assert.Equal(IpPacket.ProtocolUdp, info.Protocol);
        Assert.Equal(headerLength, info.HeaderLength);
        Assert.Equal(packet.Length, info.TotalLength);
        Assert.True(info.DontFragment);
        Assert.False(info.IsFragment);
        Assert.Equal(headerLength == 20, info.IsIPv4);
    }

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.1")]
    [InlineData("fd00::20", "fd00::1")]
    public void TryParse_PaddedPacket_TrimsToHeadersLength(string source, string destination)
    {
        byte[] packet = Udp(source, destination, 1, 2, [1, 2, 3]);
        Assert.True(IpPacket.TryParse([.. packet, .. new byte[13]], out IpPacketInfo info));
        Assert.Equal(packet.Length, info.TotalLength);
    }

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.1")]
    [InlineData("fd00::20", "fd00::1")]
    public void TryParse_EveryTruncation_IsRefused(string source, string destination)
    {
        byte[] packet = Udp(source, destination, 1, 2, [1, 2, 3]);
        for (int length = 0; length < packet.Length; length++)
            Assert.False(IpPacket.TryParse(packet.AsSpan(0, length), out _), $"{length} bytes");
    }

    [Theory]
    [InlineData(0x44)] // header of 16 bytes
    [InlineData(0x40)]
    [InlineData(0x4F)] // header of 60 bytes, longer than the packet
    [InlineData(0x15)]
    [InlineData(0x75)]
    [InlineData(0x05)]
    public void TryParse_BadFirstByte_IsRefused(byte first)
    {
        byte[] packet = Udp("10.0.0.20", "10.0.0.1", 1, 2, [1, 2, 3]);
        packet[0] = first;
        Assert.False(IpPacket.TryParse(packet, out _));
    }

    [Fact]
    public void TryParse_TotalLengthBelowHeader_IsRefused()
    {
        byte[] packet = Udp("10.0.0.20", "10.0.0.1", 1, 2, [1, 2, 3]);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), 19);
        Assert.False(IpPacket.TryParse(packet, out _));
    }

    [Fact]
    public void TryParse_IPv4Options_CountInHeader()
    {
        byte[] packet = new byte[24 + 8];
        Udp("10.0.0.20", "10.0.0.1", 1, 2, []).AsSpan(0, 20).CopyTo(packet);
        packet[0] = 0x46;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        Assert.Equal(24, info.HeaderLength);
    }

    [Theory]
    [InlineData(0x4000, true, false, 0)]
    [InlineData(0x2000, false, true, 0)]
    [InlineData(0x2010, false, true, 128)]
    [InlineData(0x1FFF, false, false, 65528)]
    public void TryParse_IPv4FragmentField_IsRead(ushort field, bool dontFragment, bool more, int offset)
    {
        byte[] packet = Udp("10.0.0.20", "10.0.0.1", 1, 2, [1, 2, 3]);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), field);
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        Assert.Equal((dontFragment, more, offset), (info.DontFragment, info.MoreFragments, info.FragmentOffset));
        Assert.Equal(more || offset != 0, info.IsFragment);
    }

    [Fact]
    public void TryParse_IPv6ExtensionHeaders_AreSkipped()
    {
        // Hop-by-hop (8 bytes), destination options (16), first fragment (8), authentication (12), UDP.
        byte[] payload =
        [
            60, 0, 0, 0, 0, 0, 0, 0,
            44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            51, 0, 0, 1, 0, 0, 0, 9,
            17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 1, 0, 2, 0, 8, 0, 0,
        ];
        Assert.True(IpPacket.TryParse(Ip("fd00::20", "fd00::1", 0, payload), out IpPacketInfo info));
        Assert.Equal(17, info.Protocol);
        Assert.Equal(40 + 44, info.HeaderLength);
        Assert.True(info.MoreFragments);
        Assert.Equal(0, info.FragmentOffset);
    }

    [Fact]
    public void TryParse_IPv6LaterFragment_DoesNotReadPayloadAsHeader()
    {
        // The fragment's payload begins with what would be an endless hop-by-hop header.
        byte[] payload = [0, 0, 0x05, 0xA8, 0, 0, 0, 9, 0, 255, 0, 0, 0, 0, 0, 0];
        Assert.True(IpPacket.TryParse(Ip("fd00::20", "fd00::1", 44, payload), out IpPacketInfo info));
        Assert.Equal(1448, info.FragmentOffset);
        Assert.Equal(48, info.HeaderLength);
    }

    [Fact]
    public void TryParse_ExtensionHeaderBeyondPacket_IsRefused()
    {
        byte[] payload = [17, 255, 0, 0, 0, 0, 0, 0];
        Assert.False(IpPacket.TryParse(Ip("fd00::20", "fd00::1", 0, payload), out _));
    }

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.1", 20)]
    [InlineData("fd00::20", "fd00::1", 40)]
    public void TryReadDestinationAndSource_FixedHeader_IsAllThatIsNeeded(string source, string destination, int needed)
    {
        byte[] packet = Udp(source, destination, 1, 2, [1]);
        Assert.True(IpPacket.TryReadDestination(packet.AsSpan(0, needed), out TunnelAddress to));
        Assert.True(IpPacket.TryReadSource(packet.AsSpan(0, needed), out TunnelAddress from));
        Assert.Equal((Address(source), Address(destination)), (from, to));
        Assert.False(IpPacket.TryReadDestination(packet.AsSpan(0, needed - 1), out _));
        Assert.False(IpPacket.TryReadSource(packet.AsSpan(0, needed - 1), out _));
    }

    [Fact]
    public void Fuzz_MutatedPackets_NeverThrowAndStayInsideTheBuffer()
    {
        var random = new Random(Fuzz.Seed(20260101));
        byte[][] seeds =
        [
            Udp("10.0.0.20", "10.0.0.1", 1, 2, new byte[64]),
            Udp("fd00::20", "fd00::1", 1, 2, new byte[64]),
            Ip(
                "fd00::20", "fd00::1", 0,
                [60, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 9, 0, 1, 0, 2, 0, 8, 0, 0]),
            Icmp("10.0.0.20", "10.0.0.1"),
        ];
        byte[] error = new byte[IcmpErrors.MaximumLength];
        int accepted = 0;
        for (int i = 0; i < Fuzz.Count(50_000); i++)
        {
            byte[] packet = (byte[])seeds[random.Next(seeds.Length)].Clone();
            for (int changes = random.Next(4); changes >= 0; changes--)
                packet[random.Next(random.Next(3) == 0 ? packet.Length : 48)] = (byte)random.Next(256);
            ReadOnlySpan<byte> cut = packet.AsSpan(0, random.Next(4) == 0 ? random.Next(packet.Length + 1) : packet.Length);
            if (IpPacket.TryParse(cut, out IpPacketInfo info))
            {
                accepted++;
                Assert.InRange(info.TotalLength, info.HeaderLength, cut.Length);
                Assert.True(IpPacket.TryReadDestination(cut, out TunnelAddress destination) && destination == info.Destination);
                Assert.True(IpPacket.TryReadSource(cut, out TunnelAddress source) && source == info.Source);
            }

            foreach (string own in (string[])["10.0.0.1", "fd00::1"])
            {
                AssertValidOrNothing(error, IcmpErrors.WriteUnreachable(cut, UnreachableReason.NoRoute, Address(own), error));
                AssertValidOrNothing(error, IcmpErrors.WriteTooBig(cut, 1280, Address(own), error));
            }
        }

        Assert.InRange(accepted, Fuzz.Count(1000), Fuzz.Count(49_000));
    }

    private static void AssertValidOrNothing(byte[] memory, int length)
    {
        if (length != 0)
            Assert.True(IpPacket.TryParse(memory.AsSpan(0, length), out IpPacketInfo info) && info.TotalLength == length);
    }
}
