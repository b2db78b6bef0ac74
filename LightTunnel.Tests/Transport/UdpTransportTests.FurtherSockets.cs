using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>Sockets beside the node's own.</summary>
public abstract partial class UdpTransportTests
{
    [Fact]
    public void TryOpenSocket_FreeNumber_HasAPortUntilItIsClosed()
    {
        using IDatagramTransport transport = Open(0);
        Assert.Equal(0, transport.PortOf(7));
        Assert.True(transport.TryOpenSocket(7));
        Assert.NotEqual(0, transport.PortOf(7));
        Assert.NotEqual(transport.LocalPort, transport.PortOf(7));
        Assert.Equal(transport.LocalPort, transport.PortOf(0));
        int port = transport.PortOf(7);
        transport.CloseSocket(7);
        transport.CloseSocket(7);
        transport.CloseSocket(0);
        Assert.Equal(0, transport.PortOf(7));
        Assert.Equal(transport.LocalPort, transport.PortOf(0));
        Assert.True(transport.TryOpenSocket(7, port));
        Assert.Equal(port, transport.PortOf(7));
    }

    [Fact]
    public void TryOpenSocket_WhatCannotBe_IsFalse()
    {
        using IDatagramTransport transport = Open(0), other = Open(0), v4 = OpenIPv4Only(0);
        Assert.True(transport.TryOpenSocket(1));
        int port = transport.PortOf(1);
        Assert.False(transport.TryOpenSocket(1), "number taken");
        Assert.False(transport.TryOpenSocket(0), "the node's own number");
        Assert.False(transport.TryOpenSocket(-1), "number too low");
        Assert.False(transport.TryOpenSocket(LocalSockets.MaximumFurther + 1), "number too high");
        Assert.False(transport.TryOpenSocket(2, other.LocalPort), "port taken");
        Assert.False(transport.TryOpenSocket(2, -1), "port too low");
        Assert.False(transport.TryOpenSocket(2, 65536), "port too high");
        Assert.False(transport.TryOpenSocket(2, 0, IPAddress.Parse("192.0.2.1")), "another machine's address");
        Assert.False(v4.TryOpenSocket(2, 0, IPAddress.IPv6Loopback), "IPv6 beside an IPv4 socket");
        Assert.Equal(0, transport.PortOf(2));
        Assert.Equal(port, transport.PortOf(1));
        Assert.True(transport.TryOpenSocket(LocalSockets.MaximumFurther));
        transport.Close();
        Assert.False(transport.TryOpenSocket(2), "closed");
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void SendAndReceive_OverSeveralSockets_TellWhichOne(string loopback)
    {
        using IDatagramTransport here = Open(0), there = Open(0);
        Assert.SkipUnless(here.SupportsIPv6 || loopback != "::1", "needs IPv6");
        int[] sockets = [0, 3, LocalSockets.MaximumFurther];
        Assert.All(sockets[1..], socket => Assert.True(here.TryOpenSocket(socket) && there.TryOpenSocket(socket)));
        // From each socket to each, the sockets alternating within the batch.
        var sent = new PacketBatch(18, 100);
        foreach (int round in new[] { 1, 2 })
        {
            foreach (int to in sockets)
            {
                foreach (int from in sockets)
                    sent.TryAdd([(byte)round], To(there, loopback, to), from);
            }
        }

        here.Send(sent);
        foreach (int socket in sockets)
            here.Send([3], To(there, loopback, socket), socket);
        List<(byte Value, UdpEndpoint From, int Socket)> received = ReceiveAll(there, 21);
        foreach (int socket in sockets)
        {
            Assert.Equal(7, received.Count(datagram => datagram.Socket == socket));
            Assert.Equal(7, received.Count(datagram => datagram.From == To(here, loopback, socket)));
            Assert.Equal([1, 2, 3], received.Where(d => d.Socket == socket && d.From == To(here, loopback, socket)).Select(d => d.Value));
        }

        Assert.Equal(0, here.SendErrors);
    }

    [Fact]
    public void Send_FromASocketThatIsNotOpen_IsCountedAndTheRestIsSent()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        Assert.True(sender.TryOpenSocket(5));
        sender.CloseSocket(5);
        UdpEndpoint to = To(receiver, "127.0.0.1");
        var batch = new PacketBatch(8, 100);
        batch.TryAdd([1], to);
        batch.TryAdd([2], to, 5);
        batch.TryAdd([3], to, -1);
        batch.TryAdd([4], to, int.MaxValue);
        batch.TryAdd([5], to);
        sender.Send(batch);
        sender.Send([6], to, 5);
        Assert.Equal(4, sender.SendErrors);
        Assert.Equal([1, 5], ReceiveBytes(receiver, 2));
    }

    [Fact]
    public async Task TryOpenSocket_WhileReceiveWaits_ReceivesOnIt()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        for (int round = 0; round < 20; round++)
        {
            Task<List<(byte Value, UdpEndpoint From, int Socket)>> received = OnThread(() => ReceiveAll(receiver, 1));
            // Opening before, while and after the thread begins to wait must all work.
            Thread.SpinWait(round * 20_000);
            Assert.True(receiver.TryOpenSocket(1));
            sender.Send([(byte)round], To(receiver, "127.0.0.1", 1));
            Assert.Equal([((byte)round, To(sender, "127.0.0.1"), 1)], await Within(received));
            receiver.CloseSocket(1);
        }
    }

    [Fact]
    public async Task CloseSocket_WhileReceiveWaits_LeavesTheOthers()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        for (int round = 0; round < 20; round++)
        {
            Assert.True(receiver.TryOpenSocket(1) && receiver.TryOpenSocket(2));
            UdpEndpoint closed = To(receiver, "127.0.0.1", 1);
            Task<List<(byte Value, UdpEndpoint From, int Socket)>> received = OnThread(() => ReceiveAll(receiver, 2));
            Thread.SpinWait(round * 20_000);
            receiver.CloseSocket(1);
            sender.Send([1], closed);
            sender.Send([2], To(receiver, "127.0.0.1", 2));
            sender.Send([3], To(receiver, "127.0.0.1"));
            List<(byte Value, UdpEndpoint From, int Socket)> datagrams = await Within(received);
            Assert.Equal([(2, 2), (3, 0)], datagrams.Select(datagram => ((int)datagram.Value, datagram.Socket)).Order());
            receiver.CloseSocket(2);
        }
    }

    [Fact]
    public async Task OpenAndClose_WhileOthersSendAndReceive_MixNothingUp()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        int wrong = 0, right = 0;
        bool done = false;
        var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<bool> receiving = OnThread(() =>
        {
            var batch = new PacketBatch(16, 100);
            while (receiver.Receive(batch))
            {
                for (int i = 0; i < batch.Count; i++)
                {
                    // The value names the socket that it was sent to, and from.
                    if (batch.Packet(i)[0] == batch[i].Socket)
                        right++;
                    else
                        wrong++;
                }

                if (right > 2000)
                    enough.TrySetResult();
            }

            return true;
        });
        Task<bool> sending = OnThread(() =>
        {
            var batch = new PacketBatch(8, 100);
            while (!Volatile.Read(ref done))
            {
                batch.Clear();
                for (int socket = 0; socket < 4; socket++)
                {
                    int port = receiver.PortOf(socket);
                    if (port != 0)
                        batch.TryAdd([(byte)socket], new UdpEndpoint(IPAddress.Loopback, port), socket);
                }

                sender.Send(batch);
            }

            return true;
        });
        // A port belongs to one number for ever, so that a datagram under way never finds it under another.
        int[] ports = new int[4];
        int rounds = 0;
        for (; rounds < 200 || !enough.Task.IsCompleted; rounds++)
        {
            int socket = 1 + (rounds % 3);
            if (ports[socket] != 0 && receiver.PortOf(socket) != 0)
            {
                receiver.CloseSocket(socket);
                sender.CloseSocket(socket);
            }
            else if (receiver.TryOpenSocket(socket, ports[socket]) && sender.TryOpenSocket(socket))
            {
                ports[socket] = receiver.PortOf(socket);
            }

            Thread.Yield();
        }

        Volatile.Write(ref done, true);
        await Within(sending);
        receiver.Close();
        await Within(receiving);
        Assert.Equal(0, wrong);
    }

    [Fact]
    public void TryOpenSocket_256Times_AllReceive()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        int[] sockets = [.. Enumerable.Range(1, 256)];
        Assert.All(sockets, socket => Assert.True(receiver.TryOpenSocket(socket)));
        foreach (int socket in sockets)
            sender.Send([(byte)socket], To(receiver, "127.0.0.1", socket));
        Assert.Equal(sockets, ReceiveAll(receiver, 256).Select(datagram => datagram.Socket).Order());
        Assert.All(sockets[1..], receiver.CloseSocket);
        sender.Send([9], To(receiver, "127.0.0.1", 1));
        Assert.Equal([1], ReceiveAll(receiver, 1).Select(datagram => datagram.Socket));
    }

    [Fact]
    public void Receive_OneSocketFull_OthersHaveTheirTurn()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        Assert.True(receiver.TryOpenSocket(1) && receiver.TryOpenSocket(2));
        var batch = new PacketBatch(4, 100);
        var seen = new HashSet<int>();
        for (int i = 0; i < 100; i++)
            sender.Send([0], To(receiver, "127.0.0.1", 1));
        sender.Send([0], To(receiver, "127.0.0.1", 0));
        sender.Send([0], To(receiver, "127.0.0.1", 2));
        for (int i = 0; i < 6; i++)
        {
            Assert.True(receiver.Receive(batch));
            for (int j = 0; j < batch.Count; j++)
                seen.Add(batch[j].Socket);
        }

        Assert.Equal([0, 1, 2], seen.Order());
    }

    [Fact]
    public void ReceiveAndTryTake_MainSocketFull_OthersHaveTheirTurn()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        Assert.True(receiver.TryOpenSocket(1));
        AssertTurns(batch => receiver.Receive(batch));
        if (receiver is IPollable pollable)
            AssertTurns(batch => pollable.TryTake(batch, 0));

        void AssertTurns(Func<PacketBatch, bool> take)
        {
            for (int i = 0; i < 200; i++)
                sender.Send([0], To(receiver, "127.0.0.1"));
            sender.Send([1], To(receiver, "127.0.0.1", 1));
            var batch = new PacketBatch(4, 100);
            var seen = new HashSet<int>();
            int received = 0;
            for (; received < 100; received += batch.Count)
            {
                Assert.True(take(batch));
                for (int i = 0; i < batch.Count; i++)
                    seen.Add(batch[i].Socket);
            }

            Assert.Equal([0, 1], seen.Order());
            for (; received < 201; received += batch.Count)
                Assert.True(take(batch));
        }
    }

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.2")]
    [InlineData("::1", "127.0.0.1")]
    public void TryOpenSocket_OneAddress_ReceivesThereOnly(string bound, string elsewhere)
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        Assert.SkipUnless(receiver.SupportsIPv6 || bound != "::1", "needs IPv6");
        Assert.True(receiver.TryOpenSocket(1, 0, IPAddress.Parse(bound)));
        sender.Send([1], To(receiver, elsewhere, 1));
        sender.Send([2], To(receiver, bound, 1));
        Assert.Equal([(2, To(sender, bound), 1)], ReceiveAll(receiver, 1));
        receiver.Send([3], To(sender, bound), 1);
        Assert.Equal([(3, To(receiver, bound, 1), 0)], ReceiveAll(sender, 1));
    }

    [Fact]
    public void TryOpenSocket_IPv4Only_Works()
    {
        using IDatagramTransport sender = OpenIPv4Only(0), receiver = OpenIPv4Only(0);
        Assert.True(receiver.TryOpenSocket(1) && receiver.TryOpenSocket(2, 0, IPAddress.Loopback));
        sender.Send([1], To(receiver, "127.0.0.1", 1));
        sender.Send([2], To(receiver, "127.0.0.1", 2));
        Assert.Equal([1, 2], ReceiveAll(receiver, 2).Select(datagram => datagram.Socket).Order());
    }

    [Fact]
    public async Task Close_WithFurtherSockets_UnblocksReceiveAndFreesTheirPorts()
    {
        int free = 0;
        for (int round = 0; round < 20; round++)
        {
            using IDatagramTransport transport = Open(0), other = Open(0);
            Assert.True(transport.TryOpenSocket(1));
            int port = transport.PortOf(1);
            Task<bool> receiving = OnThread(() => transport.Receive(new PacketBatch(4, 100)));
            Thread.SpinWait(round * 20_000);
            if (round % 2 == 0)
                transport.Close();
            else
                transport.Dispose();
            while (await Within(receiving))
                receiving = OnThread(() => transport.Receive(new PacketBatch(4, 100))); // Opening may have woken it.
            Assert.Equal(0, transport.PortOf(1));
            free += other.TryOpenSocket(1, port) ? 1 : 0;
        }

        // What the machine does beside may take one or another of them; a port that was not freed would be taken each time.
        Assert.InRange(free, 10, 20);
    }

    [Fact]
    public void SendAndReceive_OverFurtherSockets_AllocateNothing()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        var sent = new PacketBatch(30, 1500);
        // Above 80, the framework's select allocates its own list on Unix; the batched transport does not use it, and on Windows it is pooled.
        for (int socket = 1; socket <= 60; socket++)
            Assert.True(receiver.TryOpenSocket(socket) && sender.TryOpenSocket(socket));
        for (int i = 0; i < 30; i++)
            sent.TryAdd(new byte[100], To(receiver, "127.0.0.1", i), i / 2);
        var received = new PacketBatch(16, 1500);
        void Round()
        {
            sender.Send(sent);
            for (int count = 0; count < 30; count += received.Count)
                receiver.Receive(received);
        }

        Allocation.AssertNone(warmUp: 50, count: 200, Round);
        Assert.Equal(0, sender.SendErrors);
    }

    private static List<(byte Value, UdpEndpoint From, int Socket)> ReceiveAll(IDatagramTransport transport, int count)
    {
        var batch = new PacketBatch(16, 100);
        var result = new List<(byte, UdpEndpoint, int)>();
        while (result.Count < count && transport.Receive(batch))
        {
            for (int i = 0; i < batch.Count; i++)
                result.Add((batch.Packet(i)[0], batch[i].Endpoint, batch[i].Socket));
        }

        return result;
    }

    private static Task<T> OnThread<T>(Func<T> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static Task<T> Within<T>(Task<T> task) => task.WaitAsync(Patience, TestContext.Current.CancellationToken);

    private static UdpEndpoint To(IDatagramTransport transport, string address, int socket) => new(IPAddress.Parse(address), transport.PortOf(socket));
}
