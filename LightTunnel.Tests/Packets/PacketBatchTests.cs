using LightTunnel.Addressing;
using LightTunnel.Packets;
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
    public void HeadAndTailRoom_BelongToThePacketAlone()
    {
        var batch = new PacketBatch(3, 100);
        for (int i = 0; i < 3; i++)
            batch.TryAdd(new byte[100]);
        batch.Before(1, PacketBatch.Headroom).Fill(0xEE);
        batch.WithTail(1, PacketBatch.Tailroom).Fill(0xEE);
        Assert.Equal(new byte[100], batch.Packet(0).ToArray());
        Assert.Equal(new byte[100], batch.Packet(2).ToArray());
    }

    [Fact]
    public void ShortPackets_TakeLessOfTheMemory()
    {
        var batch = new PacketBatch(100, 1000, longestPackets: 2);
        Assert.Equal(2, batch.FreePlaces);
        for (int i = 0; i < 5; i++)
            Assert.True(batch.TryAdd([(byte)i]));
        Assert.False(batch.IsFull);
        while (!batch.IsFull)
            batch.Commit(1);
        Assert.False(batch.TryAdd([1]));
        Assert.InRange(batch.Count, 6, 12);
        Assert.Equal([4], batch.Packet(4).ToArray());
    }

    [Fact]
    public void Places_LieWhereTheyWereAnnounced_ThoughWhatCameIsShort()
    {
        var batch = new PacketBatch(4, 100);
        batch.TryAdd([9]);
        Assert.Equal(3, batch.FreePlaces);
        for (byte i = 0; i < 3; i++)
            batch.FreePlace(i)[0] = i;
        batch.CommitPlace(1, 0, default, 0);
        batch.CommitPlace(0, 0, default, 0);
        batch.CommitPlace(1, 0, default, 7);
        Assert.Equal([0], batch.Packet(1).ToArray());
        Assert.Equal([2], batch.Packet(3).ToArray());
        Assert.Equal(7, batch[3].Socket);
    }

    [Fact]
    public void Append_SameWayAndSize_MakesOneTrain_EndedByAShorterOne()
    {
        var batch = new PacketBatch(16, 60_000, longestPackets: 2);
        UdpEndpoint there = UdpEndpoint.FromIPv4(1, 9), elsewhere = UdpEndpoint.FromIPv4(2, 9);
        byte appended = 0;
        Append(100, there);
        Append(100, there);
        Append(40, there);
        Append(100, there);
        Append(101, there);
        Append(100, elsewhere);
        Append(100, elsewhere, socket: 3);

        Assert.Equal([(240, 100), (100, 100), (101, 101), (100, 100), (100, 100)], Enumerable.Range(0, batch.Count).Select(i => (batch[i].Length, batch[i].SegmentSize)));
        byte segment = 0;
        foreach (Span<byte> datagram in batch.Segments(0))
            Assert.Equal(Enumerable.Repeat(segment++, datagram.Length), datagram.ToArray());
        Assert.Equal(3, segment);

        void Append(int length, in UdpEndpoint endpoint, int socket = 0)
        {
            batch.NextDatagram()[..length].Fill(appended++);
            batch.Append(length, endpoint, socket);
        }
    }

    [Fact]
    public void Append_TrainsAreBounded_ByNumberAndBytes()
    {
        var batch = new PacketBatch(16, 65_535, longestPackets: 4);
        for (int i = 0; i < 70; i++)
            batch.Append(10, default, 0);
        Assert.Equal([640, 60], Enumerable.Range(0, batch.Count).Select(i => batch[i].Length));
        batch.Clear();
        for (int i = 0; i < 50; i++)
            batch.Append(1444, default, 0);
        Assert.Equal([45 * 1444, 5 * 1444], Enumerable.Range(0, batch.Count).Select(i => batch[i].Length));
    }

    [Fact]
    public void Rewind_ForgetsWhatWasAppended()
    {
        var batch = new PacketBatch(16, 1000);
        batch.NextDatagram()[0] = 1;
        batch.Append(10, default, 0);
        (int, int, int) mark = batch.Mark();
        batch.Append(10, default, 0);
        batch.Append(20, default, 0);
        batch.Rewind(mark);
        Assert.Equal((1, 10), (batch.Count, batch[0].Length));
        batch.NextDatagram()[0] = 2;
        batch.Append(10, default, 0);
        Assert.Equal([1, 2], new[] { batch.Packet(0)[0], batch.Packet(0)[10] });
    }

    [Fact]
    public void View_SharesTheMemory_NotTheSlots()
    {
        var batch = new PacketBatch(2, 100);
        batch.TryAdd([1, 2, 3, 4]);
        PacketBatch view = batch.CreateView(2);
        view.AddView(batch[0].Start + 1, 2);
        Assert.Equal([2, 3], view.Packet(0).ToArray());
        view.Packet(0)[0] = 9;
        Assert.Equal([1, 9, 3, 4], batch.Packet(0).ToArray());
        view.Clear();
        Assert.Equal((0, 1), (view.Count, batch.Count));
    }
}
