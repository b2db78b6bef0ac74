using System.Buffers.Binary;
using LightTunnel.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;
using static LightTunnel.Tests.Packets.TransportPackets;

namespace LightTunnel.Tests.Packets;

public sealed class VirtioNetHeaderTests
{
    [Fact]
    public void Write_EachKind_IsReadBack()
    {
        foreach (SegmentationKind kind in Enum.GetValues<SegmentationKind>())
        {
            var offload = new PacketOffload
            {
                Kind = kind, NeedsChecksum = true, HeaderLength = 52, SegmentSize = 1368, ChecksumStart = 20, ChecksumOffset = 16,
            };
            byte[] header = new byte[VirtioNetHeader.Size];
            VirtioNetHeader.Write(header, offload);
            Assert.True(VirtioNetHeader.TryRead(header, out PacketOffload read));
            Assert.Equal(offload, read);
        }
    }

    /// <summary>The numbers of the virtio specification.</summary>
    [Theory]
    [InlineData(SegmentationKind.None, 0)]
    [InlineData(SegmentationKind.TcpIPv4, 1)]
    [InlineData(SegmentationKind.TcpIPv6, 4)]
    [InlineData(SegmentationKind.Udp, 5)]
    internal void Write_Fields_StandWhereTheSystemLooks(SegmentationKind kind, byte type)
    {
        Assert.SkipUnless(BitConverter.IsLittleEndian, "The bytes are those of a little-endian machine.");
        byte[] header = new byte[VirtioNetHeader.Size];
        VirtioNetHeader.Write(header, new PacketOffload
        {
            Kind = kind, NeedsChecksum = true, HeaderLength = 0x0102, SegmentSize = 0x0304, ChecksumStart = 0x0506, ChecksumOffset = 0x0708,
        });
        Assert.Equal([1, type, 2, 1, 4, 3, 6, 5, 8, 7], header);
    }

    [Fact]
    public void Write_PlainPacket_IsAllZero()
    {
        byte[] header = [.. Enumerable.Repeat((byte)0xEE, VirtioNetHeader.Size)];
        VirtioNetHeader.Write(header, default);
        Assert.Equal(new byte[VirtioNetHeader.Size], header);
    }

    [Theory]
    [InlineData(0x81, SegmentationKind.TcpIPv4)]
    [InlineData(0x84, SegmentationKind.TcpIPv6)]
    internal void TryRead_TcpWithEcn_IsTcp(byte type, SegmentationKind kind)
    {
        Assert.True(VirtioNetHeader.TryRead([1, type, 0, 0, 0, 1, 0, 0, 0, 0], out PacketOffload offload));
        Assert.Equal(kind, offload.Kind);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)] // The system has verified the checksum: nothing to do.
    public void TryRead_CompletePacket_IsDefault(byte flags)
    {
        Assert.True(VirtioNetHeader.TryRead([flags, 0, 1, 1, 1, 1, 1, 1, 1, 1], out PacketOffload offload));
        Assert.Equal(default, offload);
    }

    [Fact]
    public void TryRead_EveryTypeAndLength_AcceptsTheKnownOnly()
    {
        byte[] known = [0, 1, 4, 5, 0x81, 0x84];
        for (int type = 0; type < 256; type++)
            Assert.Equal(known.Contains((byte)type), VirtioNetHeader.TryRead([1, (byte)type, 0, 0, 0, 1, 0, 0, 0, 0], out _));
        for (int length = 0; length < VirtioNetHeader.Size; length++)
            Assert.False(VirtioNetHeader.TryRead(new byte[length], out _));
    }

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.1")]
    [InlineData("fd00::20", "fd00::1")]
    public void TryComplete_OpenChecksum_IsThatOfTheWholePacket(string source, string destination)
    {
        foreach (byte[] whole in (byte[][])[Tcp(source, destination, 1, [1, 2, 3]), Udp(source, destination, 7, 8, [1, 2, 3])])
        {
            byte[] packet = (byte[])whole.Clone();
            PacketOffload offload = LeaveOpen(packet, 0) with { Kind = SegmentationKind.None };
            Assert.NotEqual(whole, packet);
            Assert.True(PacketChecksums.TryComplete(packet, offload));
            Assert.Equal(whole, packet);
        }
    }

    [Fact]
    public void TryComplete_SumOfOnes_IsSentAsOnes()
    {
        byte[] packet = Udp("10.0.0.20", "10.0.0.1", 7, 8, [0, 0]);
        packet = Udp("10.0.0.20", "10.0.0.1", 7, 8, packet.AsSpan(26, 2));
        Assert.Equal(0xFFFF, BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(26)));
        PacketOffload offload = LeaveOpen(packet, 0);
        Assert.True(PacketChecksums.TryComplete(packet, offload));
        Assert.Equal(0xFFFF, BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(26)));
    }

    [Fact]
    public void TryComplete_FieldOutsideThePacket_IsRefused()
    {
        byte[] packet = new byte[30];
        Assert.True(
            PacketChecksums.TryComplete(packet, new PacketOffload { NeedsChecksum = true, ChecksumStart = 20, ChecksumOffset = 8 }));
        packet.AsSpan().Clear();
        (ushort, ushort)[] outside =
            [(20, 9), (29, 0), (30, 0), (31, 0), (0, 29), (ushort.MaxValue, ushort.MaxValue), (0, ushort.MaxValue)];
        foreach ((ushort start, ushort offset) in outside)
        {
            var offload = new PacketOffload { NeedsChecksum = true, ChecksumStart = start, ChecksumOffset = offset };
            Assert.False(PacketChecksums.TryComplete(packet, offload), $"{start} + {offset}");
        }

        Assert.Equal(new byte[30], packet);
        Assert.False(PacketChecksums.TryComplete([], new PacketOffload { NeedsChecksum = true }));
        Assert.True(PacketChecksums.TryComplete([], default));
    }
}
