using System.Runtime.CompilerServices;
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
            Assert.Equal(UdpEndpoint.FromIPv4(i, 9), batch[i].Path.Endpoint);
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
        batch.CommitPlace(1, 0, default);
        batch.CommitPlace(0, 0, default);
        PathHandle there = UdpEndpoint.FromIPv4(1, 9).By(LocalEnd.Further(7)) with { Asked = new AskedAddress(2) };
        batch.CommitPlace(1, 0, there);
        Assert.Equal([0], batch.Packet(1).ToArray());
        Assert.Equal([2], batch.Packet(3).ToArray());
        Assert.Equal(there, batch[3].Path);
        Assert.Equal((UdpEndpoint.FromIPv4(1, 9), LocalEnd.Further(7)), (batch[3].Path.Endpoint, batch[3].Path.Local));
    }

    [Fact]
    public void Append_SameWayAndSize_MakesOneTrain_EndedByAShorterOne()
    {
        var batch = new PacketBatch(16, 60_000, longestPackets: 2);
        PathHandle there = new(UdpEndpoint.FromIPv4(1, 9)), elsewhere = new(UdpEndpoint.FromIPv4(2, 9));
        byte appended = 0;
        Append(100, there);
        Append(100, there);
        Append(40, there);
        Append(100, there);
        Append(101, there);
        Append(100, elsewhere);
        Append(100, elsewhere with { Local = LocalEnd.Further(3) });
        Append(100, elsewhere with { Local = LocalEnd.Stripe(3) });
        Append(100, elsewhere with { Asked = new AskedAddress(1) });
        Append(100, elsewhere with { IsUnproven = true });
        Append(100, elsewhere with { IsUnproven = true });

        Assert.Equal(
            [(240, 100), (100, 100), (101, 101), (100, 100), (100, 100), (100, 100), (100, 100), (200, 100)],
            Enumerable.Range(0, batch.Count).Select(i => (batch[i].Length, batch[i].SegmentSize)));
        byte segment = 0;
        foreach (Span<byte> datagram in batch.Segments(0))
            Assert.Equal(Enumerable.Repeat(segment++, datagram.Length), datagram.ToArray());
        Assert.Equal(3, segment);

        void Append(int length, in PathHandle path)
        {
            batch.NextDatagram()[..length].Fill(appended++);
            batch.Append(length, path);
        }
    }

    [Fact]
    public void Append_TrainsAreBounded_ByNumberAndBytes()
    {
        var batch = new PacketBatch(16, 65_535, longestPackets: 4);
        for (int i = 0; i < 70; i++)
            batch.Append(10, default);
        Assert.Equal([640, 60], Enumerable.Range(0, batch.Count).Select(i => batch[i].Length));
        batch.Clear();
        for (int i = 0; i < 50; i++)
            batch.Append(1444, default);
        Assert.Equal([45 * 1444, 5 * 1444], Enumerable.Range(0, batch.Count).Select(i => batch[i].Length));
    }

    [Fact]
    public void Rewind_ForgetsWhatWasAppended()
    {
        var batch = new PacketBatch(16, 1000);
        batch.NextDatagram()[0] = 1;
        batch.Append(10, default);
        (int, int, int) mark = batch.Mark();
        batch.Append(10, default);
        batch.Append(20, default);
        batch.Rewind(mark);
        Assert.Equal((1, 10), (batch.Count, batch[0].Length));
        batch.NextDatagram()[0] = 2;
        batch.Append(10, default);
        Assert.Equal([1, 2], new[] { batch.Packet(0)[0], batch.Packet(0)[10] });
    }

    /// <summary>A batch has a slot for each of up to a thousand packets, which the data threads walk through.</summary>
    [Fact]
    public void Slot_IsNoLongerThanACacheLine() => Assert.InRange(Unsafe.SizeOf<PacketSlot>(), 1, 64);

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
