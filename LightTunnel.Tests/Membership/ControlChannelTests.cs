using System.Buffers.Binary;
using FsCheck.Xunit;
using LightTunnel.Membership;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Membership;

public sealed class ControlChannelTests
{
    private readonly FakeTimeProvider _time = new();

    /// <summary>What a channel's owner does: after each call it takes what there is to send and what was received.</summary>
    private sealed class Host
    {
        public List<byte[]> Frames { get; } = [];

        public List<byte[]> Messages { get; } = [];

        public Action<ReadOnlyMemory<byte>>? OnMessage { get; set; }

        public void Take(ControlChannel channel)
        {
            while (channel.TryTakeFrame(out byte[]? frame))
                Frames.Add(frame);
            while (channel.TryTakeMessage(out byte[]? message))
            {
                Messages.Add(message);
                OnMessage?.Invoke(message);
            }
        }

        public byte[][] TakeFrames()
        {
            byte[][] frames = [.. Frames];
            Frames.Clear();
            return frames;
        }
    }

    /// <summary>A channel with its owner.</summary>
    private sealed class OwnedChannel(uint conversation, Host host, int queueLimit = ControlChannel.DefaultQueueLimit)
    {
        private readonly ControlChannel _channel = new(conversation, queueLimit);

        public bool HasRoom => _channel.HasRoom;

        public int Pending => _channel.Pending;

        public TimeSpan? RoundTrip => _channel.RoundTrip;

        public bool IsStalled(Timestamp now) => _channel.IsStalled(now);

        public bool TrySend(ReadOnlySpan<byte> message, Timestamp now)
        {
            bool isTaken = _channel.TrySend(message, now);
            host.Take(_channel);
            return isTaken;
        }

        public bool OnFrame(in ControlFrame frame, Timestamp now)
        {
            bool isTaken = _channel.OnFrame(frame, now);
            host.Take(_channel);
            return isTaken;
        }

        public Timestamp RunTimers(Timestamp now)
        {
            Timestamp next = _channel.RunTimers(now);
            host.Take(_channel);
            return next;
        }
    }

    private Timestamp Now => _time.Now();

    private static ControlFrame Frame(byte[] bytes)
    {
        Assert.True(ControlFrame.TryRead(bytes, out ControlFrame frame));
        return frame;
    }

    private static byte[] Message(int number)
    {
        byte[] message = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(message, number);
        return message;
    }

    /// <summary>Lets time pass and timers run as an owner would.</summary>
    private void RunFor(TimeSpan duration, params OwnedChannel[] channels)
    {
        Timestamp end = Now + duration;
        while (true)
        {
            Timestamp next = channels.Min(channel => channel.RunTimers(Now));
            if (next > end)
                break;
            _time.Advance(Timestamp.Latest(next, Now.Following) - Now);
        }

        _time.Advance(end - Now);
    }

    [Fact]
    public void TrySend_Message_IsFramedAndAcknowledgedAtOnce()
    {
        var clientHost = new Host();
        var serverHost = new Host();
        var client = new OwnedChannel(9, clientHost);
        var server = new OwnedChannel(9, serverHost);

        Assert.True(client.TrySend("hello"u8, Now));
        ControlFrame data = Frame(Assert.Single(clientHost.TakeFrames()));
        Assert.Equal((ControlFrameKind.Data, 9u, 1u), (data.Kind, data.Conversation, data.Number));
        Assert.True(server.OnFrame(data, Now));
        Assert.Equal("hello"u8.ToArray(), Assert.Single(serverHost.Messages));

        _time.Advance(TimeSpan.FromMilliseconds(40));
        ControlFrame acknowledgement = Frame(Assert.Single(serverHost.TakeFrames()));
        Assert.Equal((ControlFrameKind.Acknowledgement, 1u), (acknowledgement.Kind, acknowledgement.Number));
        Assert.True(client.OnFrame(acknowledgement, Now));
        Assert.Equal(0, client.Pending);
        Assert.Equal(40, client.RoundTrip!.Value.TotalMilliseconds, 0.1);
        Assert.Equal(Timestamp.Never, client.RunTimers(Now));
    }

    [Fact]
    public void OnFrame_OtherConversationOrKind_IsNotTaken()
    {
        var host = new Host();
        var channel = new OwnedChannel(9, host);
        Assert.False(channel.OnFrame(new ControlFrame(ControlFrameKind.Data, 8, 1, "x"u8), Now));
        Assert.False(channel.OnFrame(new ControlFrame(ControlFrameKind.Reset, 9, 0), Now));
        Assert.Empty(host.Frames);
        Assert.Empty(host.Messages);
    }

    [Fact]
    public void OnFrame_Duplicate_IsAcknowledgedAgainAndDeliveredOnce()
    {
        var host = new Host();
        var channel = new OwnedChannel(9, host);
        for (int i = 0; i < 3; i++)
            channel.OnFrame(new ControlFrame(ControlFrameKind.Data, 9, 1, "x"u8), Now);
        Assert.Single(host.Messages);
        Assert.Equal(3, host.Frames.Count);
        Assert.All(host.Frames, frame => Assert.Equal(1u, Frame(frame).Number));
    }

    [Fact]
    public void OnFrame_OutOfOrder_IsDeliveredInOrder()
    {
        var host = new Host();
        var channel = new OwnedChannel(9, host);
        foreach (uint number in new uint[] { 3, 2, 4 })
            channel.OnFrame(new ControlFrame(ControlFrameKind.Data, 9, number, Message((int)number)), Now);
        Assert.Empty(host.Messages);
        Assert.All(host.TakeFrames(), frame => Assert.Equal(0u, Frame(frame).Number));
        channel.OnFrame(new ControlFrame(ControlFrameKind.Data, 9, 1, Message(1)), Now);
        Assert.Equal(Enumerable.Range(1, 4).Select(Message), host.Messages);
        Assert.Equal(4u, Frame(Assert.Single(host.Frames)).Number);
    }

    [Fact]
    public void OnFrame_FullWindowOutOfOrder_IsDeliveredInOrder()
    {
        var host = new Host();
        var channel = new OwnedChannel(9, host);
        for (uint number = ControlChannel.WindowSize; number >= 1; number--)
            channel.OnFrame(new ControlFrame(ControlFrameKind.Data, 9, number, Message((int)number)), Now);
        Assert.Equal(Enumerable.Range(1, ControlChannel.WindowSize).Select(Message), host.Messages);
        channel.OnFrame(new ControlFrame(ControlFrameKind.Data, 9, ControlChannel.WindowSize + 1, Message(17)), Now);
        Assert.Equal(Message(17), host.Messages[^1]);
    }

    [Fact]
    public void OnFrame_BeyondTheWindow_IsIgnored()
    {
        var host = new Host();
        var channel = new OwnedChannel(9, host);
        channel.OnFrame(new ControlFrame(ControlFrameKind.Data, 9, ControlChannel.WindowSize + 1, "x"u8), Now);
        channel.OnFrame(new ControlFrame(ControlFrameKind.Data, 9, 0x7000_0000, "x"u8), Now);
        Assert.Empty(host.Frames);
        Assert.Empty(host.Messages);
    }

    [Fact]
    public void TrySend_MoreThanTheWindow_WaitsForAcknowledgementsThenRefuses()
    {
        var host = new Host();
        var channel = new OwnedChannel(9, host, queueLimit: 20);
        for (int i = 1; i <= 20; i++)
        {
            Assert.Equal(i <= ControlChannel.WindowSize, channel.HasRoom);
            Assert.True(channel.TrySend(Message(i), Now));
        }

        Assert.False(channel.TrySend(Message(21), Now));
        Assert.Equal(ControlChannel.WindowSize, host.TakeFrames().Length);
        channel.OnFrame(new ControlFrame(ControlFrameKind.Acknowledgement, 9, 3), Now);
        Assert.Equal([17u, 18u, 19u], host.TakeFrames().Select(frame => Frame(frame).Number));
        Assert.True(channel.TrySend(Message(21), Now));
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(3u)]
    [InlineData(uint.MaxValue)]
    [InlineData(0x8000_0000u)]
    public void OnFrame_AcknowledgementOfWhatWasNeverSent_ChangesNothing(uint number)
    {
        var channel = new OwnedChannel(9, new Host());
        channel.TrySend("a"u8, Now);
        channel.TrySend("b"u8, Now);
        channel.OnFrame(new ControlFrame(ControlFrameKind.Acknowledgement, 9, number), Now);
        Assert.Equal(2, channel.Pending);
    }

    [Fact]
    public void RunTimers_NoAnswer_BacksOffToFourSecondsAndStallsAfterTen()
    {
        var host = new Host();
        var channel = new OwnedChannel(9, host);
        Timestamp start = Now;
        channel.TrySend("x"u8, Now);
        host.Frames.Clear();
        var times = new List<double>();
        while (times.Count < 8)
        {
            Timestamp next = channel.RunTimers(Now);
            Assert.True(next > Now);
            _time.Advance(next - Now);
            Assert.Equal(Now - start > TimeSpan.FromSeconds(10), channel.IsStalled(Now));
            channel.RunTimers(Now);
            Assert.Single(host.TakeFrames());
            times.Add((Now - start).TotalSeconds);
        }

        Assert.Equal([0.25, 0.75, 1.75, 3.75, 7.75, 11.75, 15.75, 19.75], times.Select(time => Math.Round(time, 3)));
        channel.OnFrame(new ControlFrame(ControlFrameKind.Acknowledgement, 9, 1), Now);
        Assert.False(channel.IsStalled(Now));
        Assert.Null(channel.RoundTrip);
    }

    [Fact]
    public void RunTimers_WholeWindowLost_IsSentAgainTogether()
    {
        var host = new Host();
        var channel = new OwnedChannel(9, host);
        for (int i = 0; i < ControlChannel.WindowSize; i++)
        {
            channel.TrySend(Message(i), Now);
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        host.Frames.Clear();
        _time.Advance(TimeSpan.FromMilliseconds(250));
        channel.RunTimers(Now);
        Assert.Equal(ControlChannel.WindowSize, host.TakeFrames().Length);
        _time.Advance(TimeSpan.FromSeconds(4));
        channel.RunTimers(Now);
        Assert.Equal(1u, Frame(Assert.Single(host.TakeFrames())).Number);
    }

    [Fact]
    public void OnFrame_ThreeRepeatedAcknowledgements_ResendsWithoutWaiting()
    {
        var host = new Host();
        var channel = new OwnedChannel(9, host);
        for (int i = 0; i < 6; i++)
            channel.TrySend(Message(i), Now);
        channel.OnFrame(new ControlFrame(ControlFrameKind.Acknowledgement, 9, 1), Now);
        host.Frames.Clear();
        for (int i = 0; i < 2; i++)
            channel.OnFrame(new ControlFrame(ControlFrameKind.Acknowledgement, 9, 1), Now);
        Assert.Empty(host.Frames);
        channel.OnFrame(new ControlFrame(ControlFrameKind.Acknowledgement, 9, 1), Now);
        Assert.Equal(2u, Frame(Assert.Single(host.TakeFrames())).Number);
    }

    [Fact]
    public void Deliver_OwnerAnswersFromWithin_AnswerGoesOut()
    {
        var host = new Host();
        var channel = new OwnedChannel(9, host);
        host.OnMessage = _ => channel.TrySend("answer"u8, Now);
        channel.OnFrame(new ControlFrame(ControlFrameKind.Data, 9, 2, "second"u8), Now);
        host.Frames.Clear();
        channel.OnFrame(new ControlFrame(ControlFrameKind.Data, 9, 1, "first"u8), Now);
        Assert.Equal(2, host.Messages.Count);
        Assert.Equal(
            [ControlFrameKind.Acknowledgement, ControlFrameKind.Data, ControlFrameKind.Data],
            host.Frames.Select(frame => Frame(frame).Kind));
    }

    [Property(MaxTest = 60)]
    public void Conversation_LossReorderAndDuplicates_DeliversEverythingOnceInOrder(int seed)
    {
        var random = new Random(seed);
        double loss = random.NextDouble() * 0.4;
        double duplicate = random.NextDouble() * 0.2;
        int count = random.Next(1, 120);
        Host[] hosts = [new(), new()];
        OwnedChannel[] channels = [.. hosts.Select(host => new OwnedChannel(5, host))];
        var network = new PriorityQueue<(int To, byte[] Bytes), Timestamp>();
        int[] sent = [0, 0];
        Timestamp deadline = Now + TimeSpan.FromMinutes(10);
        while (hosts.Any(host => host.Messages.Count < count) && Now < deadline)
        {
            for (int side = 0; side < 2; side++)
            {
                while (sent[side] < count && channels[side].HasRoom)
                    Assert.True(channels[side].TrySend(Message(++sent[side]), Now));
                channels[side].RunTimers(Now);
                foreach (byte[] bytes in hosts[side].TakeFrames())
                {
                    for (int copy = random.NextDouble() < duplicate ? 2 : 1; copy > 0; copy--)
                    {
                        if (random.NextDouble() >= loss)
                            network.Enqueue((1 - side, bytes), Now + TimeSpan.FromMilliseconds(random.Next(5, 200)));
                    }
                }
            }

            _time.Advance(TimeSpan.FromMilliseconds(1));
            while (network.TryPeek(out (int To, byte[] Bytes) item, out Timestamp at) && at <= Now)
            {
                network.Dequeue();
                channels[item.To].OnFrame(Frame(item.Bytes), Now);
            }
        }

        Assert.All(hosts, host => Assert.Equal(Enumerable.Range(1, count).Select(Message), host.Messages));
        RunFor(TimeSpan.Zero, channels);
    }

    [Fact]
    public void OnFrame_HostileFrames_NeverThrowsAndDeliversAtMostOncePerNumber()
    {
        var host = new Host();
        var channel = new OwnedChannel(5, host);
        var random = new Random(4);
        for (int i = 0; i < 20_000; i++)
        {
            var kind = (ControlFrameKind)random.Next(2);
            uint number = random.Next(3) == 0 ? (uint)random.NextInt64(uint.MaxValue) : (uint)random.Next(2000);
            channel.OnFrame(new ControlFrame(kind, 5, number, BitConverter.GetBytes(number)), Now);
            if (random.Next(10) == 0)
                channel.TrySend("x"u8, Now);
        }

        Assert.Equal(
            Enumerable.Range(1, host.Messages.Count).Select(number => (uint)number), host.Messages.Select(m => BitConverter.ToUInt32(m)));
        Assert.InRange(channel.Pending, 0, ControlChannel.DefaultQueueLimit);
    }
}
