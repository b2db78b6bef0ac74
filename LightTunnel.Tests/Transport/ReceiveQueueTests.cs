using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

public sealed class ReceiveQueueTests
{
    private const uint Size = 16 * 1024 * 1024;
    private const int SegmentSize = 1432;

    private static readonly UdpEndpoint Somebody = new(IPAddress.Loopback, 9000);
    private static readonly TimeSpan Nearby = TimeSpan.FromMilliseconds(1);

    private readonly ReceiveQueue _queue = new();
    private readonly PacketBatch _batch = new(1, PacketBatch.LongestReceived);
    private Timestamp _now = Timestamp.FromTicks(TimeSpan.TicksPerHour);

    [Fact]
    public void Thin_StandingQueue_LeavesOutMoreTheFullerItIs()
    {
        Assert.Equal(0, Stand(0.37));
        double last = 0;
        foreach (double fill in (double[])[0.45, 0.55, 0.65, 0.75, 0.85, 1])
        {
            double share = Stand(fill);
            Assert.InRange(share, 1.5 * last, 0.501);
            last = share;
        }

        Assert.InRange(last, 0.49, 0.501);
        Assert.Equal(0, Stand(0.3));
    }

    [Fact]
    public void Thin_Burst_LeavesOutNothing()
    {
        // It filled up while the thread did not run, and is worked off in 14 ms.
        Look(0, TimeSpan.FromMilliseconds(1));
        Look(0.95, TimeSpan.FromMilliseconds(60));
        int leftOut = 0;
        for (double fill = 0.95; fill > 0; fill -= 1 / 16.0)
        {
            Look(fill, TimeSpan.FromMilliseconds(0.9));
            leftOut += Receive(Train(44, SegmentSize, last: SegmentSize)).LeftOut;
        }

        Assert.Equal(0, leftOut);
    }

    [Fact]
    public void Thin_Train_LosesFromItsFront_AndKeepsItsShortLastOne()
    {
        Stand(1);
        PacketBatch batch = Receive(Train(5, SegmentSize, last: 100));
        Assert.InRange(batch.LeftOut, 2, 3);
        Assert.Equal(((4 - batch.LeftOut) * SegmentSize) + 100, batch[0].Length);
        Assert.Equal(batch.LeftOut + 1, batch.Packet(0)[0]);
        Assert.Equal(5, batch.Packet(0)[^1]);
    }

    [Theory]
    [InlineData(ReceiveQueue.LongDatagram - 1, 0)]
    [InlineData(ReceiveQueue.LongDatagram, 50)]
    public void Thin_SingleDatagrams_LongOnesOnly(int length, int expected)
    {
        Stand(1);
        int leftOut = 0;
        for (int i = 0; i < 100; i++)
        {
            PacketBatch batch = Receive(Train(1, length, length));
            Assert.Equal(batch.LeftOut == 0 ? length : 0, batch[0].Length);
            leftOut += batch.LeftOut;
        }

        Assert.InRange(leftOut, expected - 1, expected);
    }

    [Fact]
    public void Thin_ShortDatagramsFillTheQueue_LongOnesDoNotSufferForThem()
    {
        for (int i = 0; i < 100; i++)
        {
            for (int j = 0; j < 40; j++)
                _queue.Count(Train(1, 60, 60), 0);
            _queue.Count(Train(8, SegmentSize, SegmentSize), 0);
            _now += TimeSpan.FromMilliseconds(10);
            _queue.Note(Size, Size, _now, Nearby);
        }

        Assert.Equal(0, Receive(Train(8, SegmentSize, SegmentSize)).LeftOut);
    }

    [Fact]
    public void Count_AsksForALookWhenAPartOfTheQueueWasReceived()
    {
        Look(0, Nearby);
        PacketBatch train = Train(44, SegmentSize, SegmentSize);
        int receives = 1;
        while (!_queue.Count(train, 0))
            receives++;
        Assert.InRange(receives, 10, 16);

        Look(0, Nearby);
        PacketBatch ping = Train(1, 100, 100);
        receives = 1;
        while (!_queue.Count(ping, 0))
            receives++;
        Assert.Equal(64, receives);
    }

    [Theory]
    [InlineData(1, 0)] // 1 GB/s from 1 ms away: a megabyte may be under way.
    [InlineData(12, 12_000_000)]
    [InlineData(100, ReceiveQueue.Largest)]
    [InlineData(100_000_000, ReceiveQueue.Largest)] // Whoever answers late does not get more than anybody.
    public void Note_StandingQueueFromFarAway_AsksForMoreRoom(double milliseconds, int expected)
    {
        PacketBatch train = Train(44, SegmentSize, SegmentSize);
        int wanted = 0;
        for (int i = 0; i < 1000; i++)
        {
            _queue.Count(train, 0);
            _now += TimeSpan.FromSeconds(ReceiveQueue.WeightOf(train[0]) / 1e9);
            wanted = Math.Max(wanted, _queue.Note(Size / 2, Size, _now, TimeSpan.FromMilliseconds(milliseconds)));
        }

        Assert.InRange(wanted, expected * 0.95, expected * 1.05);
        Assert.Equal(0, _queue.Note(Size / 4, Size, _now + TimeSpan.FromSeconds(1), TimeSpan.FromMilliseconds(milliseconds)));
    }

    [Fact]
    public void CountNoteThin_AllocateNothing()
    {
        PacketBatch train = Train(44, SegmentSize, SegmentSize);
        Allocation.AssertNone(warmUp: 100, count: 200, () =>
        {
            _queue.Count(train, 0);
            _queue.Note(Size, Size, _now += Nearby, Nearby);
            _queue.Thin(train, 0);
        });
    }

    /// <summary>Lets the queue stand for a second; answers what part of the long datagrams is left out then.</summary>
    private double Stand(double fill)
    {
        for (int i = 0; i < 100; i++)
            Look(fill, TimeSpan.FromMilliseconds(10));
        int leftOut = 0;
        for (int i = 0; i < 1000; i++)
            leftOut += Receive(Train(40, SegmentSize, SegmentSize)).LeftOut;
        Look(fill, Nearby);
        return leftOut / 40_000.0;
    }

    private void Look(double fill, TimeSpan after)
    {
        _queue.Count(Train(2, SegmentSize, SegmentSize), 0);
        _now += after;
        _queue.Note((uint)(fill * Size), Size, _now, Nearby);
    }

    private PacketBatch Receive(PacketBatch batch)
    {
        _queue.Thin(batch, 0);
        return batch;
    }

    /// <summary>A train that was received, in place of the one before; its datagrams are filled with their numbers from 1.</summary>
    private PacketBatch Train(int count, int length, int last)
    {
        _batch.Clear();
        Span<byte> place = _batch.FreePlace(0);
        for (int i = 0; i < count; i++)
            place.Slice(i * length, i == count - 1 ? last : length).Fill((byte)(i + 1));
        _batch.CommitPlace(((count - 1) * length) + last, count == 1 ? 0 : length, new PathHandle(Somebody));
        return _batch;
    }
}
