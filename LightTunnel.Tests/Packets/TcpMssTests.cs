using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using Xunit;

namespace LightTunnel.Tests.Packets;

public sealed class TcpMssTests
{
    private const byte Synchronize = 2, Acknowledge = 16;

    [Theory]
    [InlineData("10.0.0.1", "10.0.0.2", 1240 - 40)]
    [InlineData("fd00::1", "fd00::2", 1240 - 60)]
    public void Clamp_Syn_HasWhatFits_AndAValidChecksum(string from, string to, int expected)
    {
        foreach (byte flags in (byte[])[Synchronize, Synchronize | Acknowledge])
        {
            byte[] packet = Segment(from, to, flags, [2, 4, 0x05, 0xB4, 1, 3, 3, 7]);

            Assert.True(Clamp(packet, 1240));

            Assert.Equal(expected, Mss(packet, 2));
            Assert.True(HasValidChecksum(packet));
            Assert.False(Clamp(packet, 1240));
        }
    }

    [Fact]
    public void Clamp_OptionAtAnOddPlace_KeepsTheChecksumValid()
    {
        byte[] packet = Segment("10.0.0.1", "10.0.0.2", Synchronize, [1, 2, 4, 0x05, 0xB4, 0, 0, 0]);

        Assert.True(Clamp(packet, 1000));

        Assert.Equal(960, Mss(packet, 3));
        Assert.True(HasValidChecksum(packet));
    }

    [Theory]
    [InlineData(Acknowledge, new byte[] { 2, 4, 0x05, 0xB4 })] // No beginning of a connection.
    [InlineData(Synchronize, new byte[] { 2, 4, 0x04, 0x00 })] // Small enough.
    [InlineData(Synchronize, new byte[] { 1, 1, 1, 1 })] // No such option.
    [InlineData(Synchronize, new byte[] { 0, 2, 4, 0x05, 0xB4, 0, 0, 0 })] // Behind the end of the options.
    [InlineData(Synchronize, new byte[] { 2, 3, 0x05, 0xB4 })] // Damaged: every length that cannot be.
    [InlineData(Synchronize, new byte[] { 2, 0, 0x05, 0xB4 })]
    [InlineData(Synchronize, new byte[] { 3, 1, 2, 4, 0x05, 0xB4, 1, 1 })]
    [InlineData(Synchronize, new byte[] { 1, 1, 1, 2 })]
    [InlineData(Synchronize, new byte[] { 1, 2, 4, 0x05 })]
    [InlineData(Synchronize, new byte[] { 8, 200, 2, 4 })]
    public void Clamp_NothingToDo_LeavesThePacketAlone(byte flags, byte[] options)
    {
        byte[] packet = Segment("10.0.0.1", "10.0.0.2", flags, options);
        byte[] before = [.. packet];

        Assert.False(Clamp(packet, 1240));

        Assert.Equal(before, packet);
    }

    [Fact]
    public void Clamp_OtherProtocolsAndFragments_AreLeftAlone()
    {
        Assert.False(Clamp(TestPackets.Udp("10.0.0.1", "10.0.0.2", 1, 2, new byte[40]), 600));
        byte[] fragment = Segment("10.0.0.1", "10.0.0.2", Synchronize, [2, 4, 0x05, 0xB4]);
        fragment[7] = 1;
        Assert.False(Clamp(fragment, 600));
    }

    [Property(MaxTest = 2000)]
    public Property Clamp_AnyOptions_ChangesNothingButTheValueAndTheChecksum() => Prop.ForAll(
        Gen.ArrayOf(Gen.OneOf(Gen.Choose(0, 5), Gen.Choose(0, 255)).Select(value => (byte)value)).ToArbitrary(),
        Gen.Choose(576, 1400).ToArbitrary(),
        (options, mtu) =>
        {
            Array.Resize(ref options, Math.Min(40, (options.Length + 3) & ~3));
            byte[] packet = Segment("10.0.0.1", "10.0.0.2", Synchronize, options);
            byte[] before = [.. packet];
            bool changed = Clamp(packet, mtu);
            Assert.True(HasValidChecksum(packet));
            int differences = packet.Zip(before).Count(pair => pair.First != pair.Second);
            Assert.InRange(differences, changed ? 1 : 0, changed ? 4 : 0);
        });

    private static bool Clamp(byte[] packet, int mtu)
    {
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        return TcpMss.Clamp(packet, info, mtu);
    }

    private static byte[] Segment(string from, string to, byte flags, byte[] options)
    {
        byte[] segment = new byte[20 + options.Length + 5];
        BinaryPrimitives.WriteUInt16BigEndian(segment, 40000);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), 443);
        BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(4), 0x12345678);
        segment[12] = (byte)((20 + options.Length) / 4 << 4);
        segment[13] = flags;
        options.CopyTo(segment, 20);
        "hello"u8.CopyTo(segment.AsSpan(20 + options.Length));
        uint pseudo = InternetChecksum.PseudoHeaderSum(Address(from), Address(to), IpPacket.ProtocolTcp, segment.Length);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(16), InternetChecksum.Compute(segment, pseudo));
        return TestPackets.Ip(from, to, IpPacket.ProtocolTcp, segment);
    }

    private static int Mss(byte[] packet, int offset)
    {
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        return BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(info.HeaderLength + 20 + offset));
    }

    private static bool HasValidChecksum(byte[] packet)
    {
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        ReadOnlySpan<byte> segment = packet.AsSpan(info.HeaderLength);
        return InternetChecksum.IsValid(
            segment, InternetChecksum.PseudoHeaderSum(info.Source, info.Destination, IpPacket.ProtocolTcp, segment.Length));
    }

    private static TunnelAddress Address(string text) => TunnelAddress.FromIPAddress(System.Net.IPAddress.Parse(text));
}
