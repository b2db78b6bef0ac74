using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Packets;

public sealed class PacketBatchTests
{
    [Fact]
    public void TryAdd_UntilFull_KeepsPacketsApart()
    {
        var batch = new PacketBatch(3, 100);
        for (byte i = 0; i < 3; i++)
            Assert.True(batch.TryAdd(Enumerable.Repeat(i, 100).ToArray(), UdpEndpoint.FromIPv4(i, 9)));
        Assert.True(batch.IsFull);
        Assert.False(batch.TryAdd([1]));
        for (byte i = 0; i < 3; i++)
        {
            Assert.Equal(Enumerable.Repeat(i, 100), batch.Packet(i).ToArray());
            Assert.Equal(UdpEndpoint.FromIPv4(i, 9), batch[i].Endpoint);
        }

        batch.Clear();
        Assert.Equal(0, batch.Count);
        Assert.False(batch.TryAdd(new byte[101]));
    }

    [Fact]
    public void Memory_HeadAndTailRoom_BelongToTheSlotAlone()
    {
        var batch = new PacketBatch(2, 100);
        batch.TryAdd(new byte[100]);
        batch.TryAdd(new byte[100]);
        batch.Memory(0).Fill(0xEE);
        Assert.Equal(new byte[100], batch.Packet(1).ToArray());
        batch[0].Start -= PacketBatch.Headroom;
        batch[0].Length += PacketBatch.Headroom + PacketBatch.Tailroom;
        Assert.Equal(PacketBatch.Headroom + 100 + PacketBatch.Tailroom, batch.Packet(0).Length);
    }
}
