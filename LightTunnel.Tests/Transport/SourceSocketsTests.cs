using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>Sources that send more than the node works off, on the loopback interface.</summary>
[SupportedOSPlatform("linux")]
public sealed class SourceSocketsTests : IDisposable
{
    private const int FloodBatch = 64;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan BetweenOpenings = SourceSockets.BetweenOpenings;
    private static readonly UdpEndpoint Loopback = new(IPAddress.Loopback, 0);

    private readonly FakeTimeProvider _time = new();
    private readonly List<LinuxUdpTransport> _opened = [];

    public SourceSocketsTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only");

    public void Dispose() => _opened.ForEach(transport => transport.Dispose());

    [Theory]
    [InlineData("127.0.0.1", true, 1)]
    [InlineData("127.0.0.1", false, 1)]
    [InlineData("::1", true, 1)]
    [InlineData("127.0.0.1", true, 3)]
    [InlineData("::1", true, 3)]
    public void Flood_FillsTheSourcesOwnQueueOnly(string loopback, bool dualMode, int queues)
    {
        LinuxUdpTransport receiver = Open(dualMode, queues), heavy = Open();
        UdpEndpoint address = new(IPAddress.Parse(loopback), receiver.LocalPort);
        int queue = QueueOf(heavy, receiver, address);
        LinuxUdpTransport light = OpenForQueue(queue, receiver, address);
        Overrun(receiver, heavy, address, queue);

        // More than the queue that all share could take.
        const int Sent = 20_000;
        for (int i = 0; i < Sent; i += FloodBatch)
            heavy.Send(Flood(address));
        light.Send([42], address);

        var batch = new PacketBatch(4, 1500);
        int ofHeavy = 0, ofHeavyBefore = -1;
        while (ofHeavyBefore < 0 && receiver.Receive(batch, queue))
        {
            for (int i = 0; i < batch.Count; i++)
            {
                Assert.True(batch[i].Path.Local.IsOwn);
                if (batch[i].Path.Endpoint == SourceOf(heavy, address))
                {
                    ofHeavy++;
                    continue;
                }

                Assert.Equal(SourceOf(light, address), batch[i].Path.Endpoint);
                Assert.Equal([42], batch.Packet(i).ToArray());
                ofHeavyBefore = ofHeavy;
            }
        }

        Assert.InRange(ofHeavyBefore, 0, 100);
        ofHeavy += Drain(receiver, queue);
        Assert.InRange(ofHeavy, 200, Sent / 2); // The rest was lost: its own queue ran over, and nobody else's.
        Assert.Equal(1, receiver.SourcesOf(queue).Count);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void Reply_ToASourceWithItsOwnSocket_LeavesFromTheSamePort(string loopback)
    {
        LinuxUdpTransport receiver = Open(), heavy = Open();
        UdpEndpoint address = new(IPAddress.Parse(loopback), receiver.LocalPort);
        Overrun(receiver, heavy, address);

        receiver.Send([7], SourceOf(heavy, address));

        var batch = new PacketBatch(4, 1500);
        Assert.True(heavy.Receive(batch));
        Assert.Equal([7], batch.Packet(0).ToArray());
        Assert.Equal(address, batch[0].Path.Endpoint);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void IdleSocket_IsClosed_AndItsSourceComesToTheMainOneAgain(int queues)
    {
        LinuxUdpTransport receiver = Open(queues: queues), heavy = Open();
        UdpEndpoint address = new(IPAddress.Loopback, receiver.LocalPort);
        int queue = QueueOf(heavy, receiver, address);
        LinuxUdpTransport light = OpenForQueue(queue, receiver, address);
        Overrun(receiver, heavy, address, queue);

        _time.Advance(SourceSockets.LongestIdle);
        Look();
        Assert.Equal(1, receiver.SourcesOf(queue).Count);
        heavy.Send([1], address);
        TakeOne();
        _time.Advance(SourceSockets.LongestIdle);
        Look();
        Assert.Equal(1, receiver.SourcesOf(queue).Count);
        _time.Advance(TimeSpan.FromTicks(1));
        Look();
        Assert.Equal(0, receiver.SourcesOf(queue).Count);

        heavy.Send([2], address);
        Assert.Equal([2], TakeOne());

        byte[] TakeOne()
        {
            var one = new PacketBatch(1, 1500);
            Assert.True(receiver.Receive(one, queue));
            return one.Packet(0).ToArray();
        }

        void Look()
        {
            for (int i = 0; i < SourceSockets.ReceivesPerLook; i++)
            {
                light.Send([0], address);
                TakeOne();
            }
        }
    }

    [Fact]
    public void Source_AtAnotherAddressOfTheNode_StaysWithTheMainSocket_AndItsOwnIsClosed()
    {
        LinuxUdpTransport receiver = Open(), heavy = Open();
        // What leaves towards 127.0.0.1 leaves from 127.0.0.1, so that is where the socket is connected.
        UdpEndpoint other = new(IPAddress.Parse("127.0.0.2"), receiver.LocalPort);
        Overrun(receiver, heavy, other);
        _time.Advance(SourceSockets.LongestIdle + TimeSpan.FromTicks(1));
        var one = new PacketBatch(1, 1500);
        for (int i = 0; i < SourceSockets.ReceivesPerLook; i++)
        {
            heavy.Send([1], other);
            Assert.True(receiver.Receive(one));
            Assert.Equal(SourceOf(heavy, Loopback), one[0].Path.Endpoint);
        }

        Assert.Equal(0, receiver.SourcesOf(0).Count);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData(null)]
    public void Port_OfANodeWithOneQueue_IsSharedWithNobodyElse(string? address)
    {
        LinuxUdpTransport receiver = Open(), heavy = Open(), second = Open();
        UdpEndpoint to = new(IPAddress.Loopback, receiver.LocalPort);
        AssertTaken();
        Overrun(receiver, heavy, to);
        AssertTaken();
        _time.Advance(BetweenOpenings);
        Overrun(receiver, second, to);
        Assert.Equal(2, receiver.SourcesOf(0).Count);
        AssertTaken();

        void AssertTaken()
        {
            IPAddress? bound = address is null ? null : IPAddress.Parse(address);
            using LinuxUdpSocket? another = LinuxUdpSocket.TryOpen(
                bound, receiver.LocalPort, receiver.SupportsIPv6, PortUse.Shared, out int error);
            Assert.Null(another);
            Assert.Equal(LibC.EADDRINUSE, error);
        }
    }

    [Fact]
    public void TryOpenFor_WhomItCannotConnectTo_IsNullAndLeavesThePortUnshared()
    {
        using LinuxUdpSocket socket = LinuxUdpSocket.TryOpen(null, 0, dualMode: false, PortUse.Alone, out _)!;
        Assert.Null(socket.TryOpenFor(default, 10_000));
        Assert.Null(socket.TryOpenFor(new UdpEndpoint(IPAddress.IPv6Loopback, 9000), 10_000));
        Assert.Null(socket.TryOpenFor(new UdpEndpoint(IPAddress.Broadcast, 9000), 10_000));
        Assert.Null(LinuxUdpSocket.TryOpen(null, socket.Port, dualMode: false, PortUse.Shared, out int error));
        Assert.Equal(LibC.EADDRINUSE, error);
    }

    [Fact]
    public void ManyHeavySources_AreBounded_AndTheLightestGivesItsPlace()
    {
        LinuxUdpTransport receiver = Open(), first = Open();
        UdpEndpoint address = new(IPAddress.Loopback, receiver.LocalPort);
        Overrun(receiver, first, address);
        LinuxUdpTransport last = first;
        for (int i = 1; i < SourceSockets.Maximum + 4; i++)
        {
            _time.Advance(BetweenOpenings);
            // All others are silent.
            first.Send(Flood(address));
            last.Send(Flood(address));
            LinuxUdpTransport next = Open();
            Overrun(receiver, next, address);
            Assert.Equal(Math.Min(i + 1, SourceSockets.Maximum), receiver.SourcesOf(0).Count);
            Assert.True(receiver.SourcesOf(0).Has(SourceOf(first, address)));
            Assert.True(receiver.SourcesOf(0).Has(SourceOf(last, address)));
            last = next;
        }
    }

    [Fact]
    public void SecondHeavySource_SoonAfterTheFirst_Waits()
    {
        LinuxUdpTransport receiver = Open(), first = Open(), second = Open();
        UdpEndpoint address = new(IPAddress.Loopback, receiver.LocalPort);
        Overrun(receiver, first, address);
        _time.Advance(BetweenOpenings - TimeSpan.FromTicks(1));
        FloodFor(4 * SourceSockets.ReceivesPerLook, receiver, second, address);
        Assert.Equal(1, receiver.SourcesOf(0).Count);
        _time.Advance(TimeSpan.FromTicks(1));
        Overrun(receiver, second, address);
        Assert.Equal(2, receiver.SourcesOf(0).Count);
    }

    [Fact]
    public void ManyLightSources_TogetherTooMuch_GetNoSockets_AndAreWeighedWithoutAllocation()
    {
        LinuxUdpTransport receiver = Open();
        UdpEndpoint address = new(IPAddress.Loopback, receiver.LocalPort);
        LinuxUdpTransport[] many = [.. Enumerable.Range(0, 64).Select(_ => Open())];
        PacketBatch one = Flood(address, 1);
        var taken = new PacketBatch(4, 1500);
        void Round()
        {
            foreach (LinuxUdpTransport sender in many)
                sender.Send(one);
            receiver.TryTake(taken, 0);
        }

        Allocation.AssertNone(warmUp: 4 * SourceSockets.ReceivesPerLook, count: 2 * SourceSockets.ReceivesPerLook, Round);
        Assert.Equal(0, receiver.SourcesOf(0).Count);
    }

    [Fact]
    public void Burst_ThatIsWorkedOff_GetsNoSocket()
    {
        LinuxUdpTransport receiver = Open(), sender = Open();
        UdpEndpoint address = new(IPAddress.Loopback, receiver.LocalPort);
        Singles(SourceSockets.ReceivesPerLook - 4);
        for (int i = 0; i < 4000; i += FloodBatch)
            sender.Send(Flood(address));
        Singles(4); // The first look sees it.
        Assert.True(receiver.SourcesOf(0).IsWeighing);
        Drain(receiver);
        Singles(2 * SourceSockets.ReceivesPerLook);
        Assert.False(receiver.SourcesOf(0).IsWeighing);
        Assert.Equal(0, receiver.SourcesOf(0).Count);

        void Singles(int count)
        {
            var one = new PacketBatch(1, 1500);
            for (int i = 0; i < count; i++)
            {
                sender.Send([1], address);
                Assert.True(receiver.Receive(one));
            }
        }
    }

    [Fact]
    public void SendAndReceive_OverASourcesSocket_AllocateNothing()
    {
        LinuxUdpTransport receiver = Open(), heavy = Open(), light = Open();
        UdpEndpoint address = new(IPAddress.Loopback, receiver.LocalPort);
        Overrun(receiver, heavy, address);
        PacketBatch ofHeavy = Flood(address, 20), ofLight = Flood(address, 3);
        var taken = new PacketBatch(8, 1500);
        Allocation.AssertNone(warmUp: 100, count: 200, () =>
        {
            heavy.Send(ofHeavy);
            light.Send(ofLight);
            for (int count = 0; count < 23; count += taken.Count)
                receiver.Receive(taken);
        });
        Assert.Equal(1, receiver.SourcesOf(0).Count);
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 1)]
    [InlineData(true, 2)]
    [InlineData(false, 2)]
    public async Task Close_WithASourcesSocket_WakesWhoWaits_AndDisposeFreesThePort(bool closesFirst, int queues)
    {
        LinuxUdpTransport receiver = Open(queues: queues), heavy = Open();
        int port = receiver.LocalPort;
        UdpEndpoint address = new(IPAddress.Loopback, port);
        int queue = QueueOf(heavy, receiver, address);
        Overrun(receiver, heavy, address, queue);
        Task receiving = Task.Factory.StartNew(ReceiveAll, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        if (closesFirst)
            receiver.Close();
        else
            receiver.Dispose();
        await receiving.WaitAsync(Patience, TestContext.Current.CancellationToken);
        receiver.Dispose();
        // A process that another test just started has the descriptors until it runs its program.
        LinuxUdpSocket? again = null;
        Assert.True(SpinWait.SpinUntil(
            () => (again = LinuxUdpSocket.TryOpen(null, port, dualMode: true, PortUse.Alone, out _)) is not null, Patience));
        again?.Dispose();

        void ReceiveAll()
        {
            var batch = new PacketBatch(16, 1500);
            while (receiver.Receive(batch, queue))
            {
            }
        }
    }

    private LinuxUdpTransport Open(bool dualMode = true, int queues = 1)
    {
        LinuxUdpTransport? opened = LinuxUdpTransport.TryOpen(0, dualMode, new DataPathOptions { Queues = queues }, _time);
        Assert.SkipWhen(opened is null, "needs IPv6");
        _opened.Add(opened);
        return opened;
    }

    /// <summary>Opens a sender whose datagrams the kernel gives to this queue.</summary>
    private LinuxUdpTransport OpenForQueue(int queue, LinuxUdpTransport receiver, UdpEndpoint address)
    {
        while (true)
        {
            LinuxUdpTransport sender = Open();
            if (QueueOf(sender, receiver, address) == queue)
                return sender;
        }
    }

    private static int QueueOf(LinuxUdpTransport sender, LinuxUdpTransport receiver, UdpEndpoint address)
    {
        var batch = new PacketBatch(1, 1500);
        sender.Send([0], address);
        for (int queue = 0; ; queue = (queue + 1) % receiver.Queues)
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            receiver.TryTake(batch, queue);
            if (batch.Count > 0)
                return queue;
        }
    }

    /// <summary>Sends more than is worked off until the source has a socket of its own, then works it off.</summary>
    private static void Overrun(LinuxUdpTransport receiver, LinuxUdpTransport sender, UdpEndpoint address, int queue = 0)
    {
        UdpEndpoint source = SourceOf(sender, address);
        for (int looks = 0; !receiver.SourcesOf(queue).Has(source); looks++)
        {
            Assert.True(looks < 20, "no socket after 20 looks");
            FloodFor(SourceSockets.ReceivesPerLook, receiver, sender, address, queue);
        }

        Drain(receiver, queue);
    }

    private static void FloodFor(int receives, LinuxUdpTransport receiver, LinuxUdpTransport sender, UdpEndpoint address, int queue = 0)
    {
        PacketBatch flood = Flood(address);
        var taken = new PacketBatch(4, 1500);
        for (int i = 0; i < receives; i++)
        {
            sender.Send(flood);
            receiver.TryTake(taken, queue);
        }
    }

    private static PacketBatch Flood(UdpEndpoint address, int count = FloodBatch)
    {
        var batch = new PacketBatch(count, 1500);
        while (batch.TryAdd(new byte[1000], address))
        {
        }

        return batch;
    }

    /// <summary>Takes all that waits; answers how many datagrams that was.</summary>
    private static int Drain(LinuxUdpTransport receiver, int queue = 0)
    {
        var batch = new PacketBatch(64, 1500);
        int count = 0;
        while (receiver.TryTake(batch, queue) && batch.Count > 0)
            count += batch.Count;
        return count;
    }

    private static UdpEndpoint SourceOf(LinuxUdpTransport sender, UdpEndpoint address) =>
        new(address.IsIPv4 ? IPAddress.Loopback : IPAddress.IPv6Loopback, sender.LocalPort);
}
