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
    public void TryOpenSocket_HasAPortUntilItIsClosed()
    {
        using IDatagramTransport transport = Open(0);
        LocalEnd socket = transport.OpenSocket();
        Assert.False(socket.IsOwn);
        Assert.NotEqual(0, transport.PortOf(socket));
        Assert.NotEqual(transport.LocalPort, transport.PortOf(socket));
        Assert.Equal(transport.LocalPort, transport.PortOf(default));
        int port = transport.PortOf(socket);
        transport.CloseSocket(socket);
        transport.CloseSocket(socket);
        transport.CloseSocket(default);
        Assert.Equal(0, transport.PortOf(socket));
        Assert.Equal(transport.LocalPort, transport.PortOf(default));
        Assert.True(transport.TryOpenSocket(out LocalEnd another, port));
        Assert.NotEqual(socket, another);
        Assert.Equal((port, 0), (transport.PortOf(another), transport.PortOf(socket)));
    }

    [Fact]
    public void TryOpenSocket_WhatCannotBe_IsFalse()
    {
        using IDatagramTransport transport = Open(0), other = Open(0), v4 = OpenIPv4Only(0);
        LocalEnd first = transport.OpenSocket();
        int port = transport.PortOf(first);
        Assert.False(transport.TryOpenSocket(out LocalEnd none, other.LocalPort), "port taken");
        Assert.True(none.IsOwn);
        Assert.False(transport.TryOpenSocket(out _, -1), "port too low");
        Assert.False(transport.TryOpenSocket(out _, 65536), "port too high");
        Assert.False(transport.TryOpenSocket(out _, 0, IPAddress.Parse("192.0.2.1")), "another machine's address");
        Assert.False(v4.TryOpenSocket(out _, 0, IPAddress.IPv6Loopback), "IPv6 beside an IPv4 socket");
        Assert.Equal(port, transport.PortOf(first));
        LocalEnd second = transport.OpenSocket();
        Assert.NotEqual(port, transport.PortOf(second));
        transport.Close();
        Assert.False(transport.TryOpenSocket(out _), "closed");
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void SendAndReceive_OverSeveralSockets_TellWhichOne(string loopback)
    {
        using IDatagramTransport here = Open(0), there = Open(0);
        Assert.SkipUnless(here.SupportsIPv6 || loopback != "::1", "needs IPv6");
        LocalEnd[] sockets = [default, here.OpenSocket(), here.OpenSocket()];
        Assert.Equal(sockets[1..], new[] { there.OpenSocket(), there.OpenSocket() });
        // From each socket to each, the sockets alternating within the batch.
        var sent = new PacketBatch(18, 100);
        foreach (int round in new[] { 1, 2 })
        {
            foreach (LocalEnd to in sockets)
            {
                foreach (LocalEnd from in sockets)
                    sent.TryAdd([(byte)round], To(there, loopback, to).By(from));
            }
        }

        here.Send(sent);
        foreach (LocalEnd socket in sockets)
            here.Send([3], To(there, loopback, socket).By(socket));
        List<(byte Value, UdpEndpoint From, LocalEnd Socket)> received = ReceiveAll(there, 21);
        foreach (LocalEnd socket in sockets)
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
        LocalEnd closed = sender.OpenSocket();
        sender.CloseSocket(closed);
        UdpEndpoint to = To(receiver, "127.0.0.1");
        var batch = new PacketBatch(8, 100);
        batch.TryAdd([1], to);
        batch.TryAdd([2], to.By(closed));
        batch.TryAdd([3], to.By(LocalEnd.Stripe(15)));
        batch.TryAdd([4], to.By(LocalEnd.Further(ushort.MaxValue)));
        batch.TryAdd([5], to);
        sender.Send(batch);
        sender.Send([6], to.By(closed));
        Assert.Equal(4, sender.SendErrors);
        Assert.Equal([1, 5], ReceiveBytes(receiver, 2));
    }

    [Fact]
    public async Task TryOpenSocket_WhileReceiveWaits_ReceivesOnIt()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        for (int round = 0; round < 20; round++)
        {
            Task<List<(byte Value, UdpEndpoint From, LocalEnd Socket)>> received = OnThread(() => ReceiveAll(receiver, 1));
            // Opening before, while and after the thread begins to wait must all work.
            Thread.SpinWait(round * 20_000);
            LocalEnd socket = receiver.OpenSocket();
            sender.Send([(byte)round], To(receiver, "127.0.0.1", socket));
            Assert.Equal([((byte)round, To(sender, "127.0.0.1"), socket)], await Within(received));
            receiver.CloseSocket(socket);
        }
    }

    [Fact]
    public async Task CloseSocket_WhileReceiveWaits_LeavesTheOthers()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        for (int round = 0; round < 20; round++)
        {
            LocalEnd first = receiver.OpenSocket(), second = receiver.OpenSocket();
            UdpEndpoint closed = To(receiver, "127.0.0.1", first);
            Task<List<(byte Value, UdpEndpoint From, LocalEnd Socket)>> received = OnThread(() => ReceiveAll(receiver, 2));
            Thread.SpinWait(round * 20_000);
            receiver.CloseSocket(first);
            sender.Send([1], closed);
            sender.Send([2], To(receiver, "127.0.0.1", second));
            sender.Send([3], To(receiver, "127.0.0.1"));
            List<(byte Value, UdpEndpoint From, LocalEnd Socket)> datagrams = await Within(received);
            Assert.Equal([((byte)2, second), ((byte)3, default)], ByValue(datagrams));
            receiver.CloseSocket(second);
        }
    }

    [Fact]
    public async Task OpenAndClose_WhileOthersSendAndReceive_MixNothingUp()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        int wrong = 0, right = 0;
        bool done = false;
        // There are four ways, of which three come and go. A port belongs to one of them for ever, so that a datagram under way never finds
        // it as another's.
        var here = new LocalEnd[4];
        var there = new LocalEnd[4];
        int[] ports = new int[4];
        // The way that a socket belongs to is noted before it is opened.
        int[] wayOf = new int[LocalEnd.MaximumFurther + 1];
        var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<bool> receiving = OnThread(() =>
        {
            var batch = new PacketBatch(16, 100);
            while (receiver.Receive(batch))
            {
                for (int i = 0; i < batch.Count; i++)
                {
                    if (batch.Packet(i)[0] == Volatile.Read(ref wayOf[batch[i].Path.Local.Index]))
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
                for (int way = 0; way < 4; way++)
                {
                    int port = way == 0 ? receiver.LocalPort : Volatile.Read(ref ports[way]);
                    if (port != 0)
                        batch.TryAdd([(byte)way], new UdpEndpoint(IPAddress.Loopback, port).By(here[way]));
                }

                sender.Send(batch);
            }

            return true;
        });
        int next = 1;
        for (int round = 0; round < 200 || !enough.Task.IsCompleted; round++)
        {
            int way = 1 + (round % 3);
            if (!there[way].IsOwn)
            {
                receiver.CloseSocket(there[way]);
                sender.CloseSocket(here[way]);
                (here[way], there[way]) = (default, default);
            }
            else
            {
                Volatile.Write(ref wayOf[next], way);
                if (receiver.TryOpenSocket(out there[way], ports[way]))
                {
                    Assert.Equal(LocalEnd.Further(next), there[way]);
                    next = (next % LocalEnd.MaximumFurther) + 1;
                    here[way] = sender.OpenSocket();
                    Volatile.Write(ref ports[way], receiver.PortOf(there[way]));
                }
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
        LocalEnd[] sockets = [.. Enumerable.Range(0, 256).Select(_ => receiver.OpenSocket())];
        foreach (LocalEnd socket in sockets)
            sender.Send([0], To(receiver, "127.0.0.1", socket));
        Assert.Equal(sockets.ToHashSet(), ReceiveAll(receiver, 256).Select(datagram => datagram.Socket).ToHashSet());
        Assert.All(sockets[1..], receiver.CloseSocket);
        sender.Send([9], To(receiver, "127.0.0.1", sockets[0]));
        Assert.Equal([sockets[0]], ReceiveAll(receiver, 1).Select(datagram => datagram.Socket));
    }

    [Fact]
    public void Receive_OneSocketFull_OthersHaveTheirTurn()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        LocalEnd first = receiver.OpenSocket(), second = receiver.OpenSocket();
        var batch = new PacketBatch(4, 100);
        var seen = new HashSet<LocalEnd>();
        for (int i = 0; i < 100; i++)
            sender.Send([0], To(receiver, "127.0.0.1", first));
        sender.Send([0], To(receiver, "127.0.0.1"));
        sender.Send([0], To(receiver, "127.0.0.1", second));
        for (int i = 0; i < 6; i++)
        {
            Assert.True(receiver.Receive(batch));
            for (int j = 0; j < batch.Count; j++)
                seen.Add(batch[j].Path.Local);
        }

        Assert.Equal([default, first, second], seen);
    }

    [Fact]
    public void ReceiveAndTryTake_MainSocketFull_OthersHaveTheirTurn()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        LocalEnd further = receiver.OpenSocket();
        AssertTurns(batch => receiver.Receive(batch));
        if (receiver is IPollable pollable)
            AssertTurns(batch => pollable.TryTake(batch, 0));

        void AssertTurns(Func<PacketBatch, bool> take)
        {
            for (int i = 0; i < 200; i++)
                sender.Send([0], To(receiver, "127.0.0.1"));
            sender.Send([1], To(receiver, "127.0.0.1", further));
            var batch = new PacketBatch(4, 100);
            var seen = new HashSet<LocalEnd>();
            int received = 0;
            for (; received < 100; received += batch.Count)
            {
                Assert.True(take(batch));
                for (int i = 0; i < batch.Count; i++)
                    seen.Add(batch[i].Path.Local);
            }

            Assert.Equal([default, further], seen);
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
        Assert.True(receiver.TryOpenSocket(out LocalEnd further, 0, IPAddress.Parse(bound)));
        sender.Send([1], To(receiver, elsewhere, further));
        sender.Send([2], To(receiver, bound, further));
        Assert.Equal([(2, To(sender, bound), further)], ReceiveAll(receiver, 1));
        receiver.Send([3], To(sender, bound).By(further));
        Assert.Equal([(3, To(receiver, bound, further), default)], ReceiveAll(sender, 1));
    }

    [Fact]
    public void TryOpenSocket_IPv4Only_Works()
    {
        using IDatagramTransport sender = OpenIPv4Only(0), receiver = OpenIPv4Only(0);
        LocalEnd first = receiver.OpenSocket();
        Assert.True(receiver.TryOpenSocket(out LocalEnd second, 0, IPAddress.Loopback));
        sender.Send([1], To(receiver, "127.0.0.1", first));
        sender.Send([2], To(receiver, "127.0.0.1", second));
        Assert.Equal([((byte)1, first), ((byte)2, second)], ByValue(ReceiveAll(receiver, 2)));
    }

    [Fact]
    public async Task Close_WithFurtherSockets_UnblocksReceiveAndFreesTheirPorts()
    {
        int free = 0;
        for (int round = 0; round < 20; round++)
        {
            using IDatagramTransport transport = Open(0), other = Open(0);
            LocalEnd further = transport.OpenSocket();
            int port = transport.PortOf(further);
            Task<bool> receiving = OnThread(() => transport.Receive(new PacketBatch(4, 100)));
            Thread.SpinWait(round * 20_000);
            if (round % 2 == 0)
                transport.Close();
            else
                transport.Dispose();
            while (await Within(receiving))
                receiving = OnThread(() => transport.Receive(new PacketBatch(4, 100))); // Opening may have woken it.
            Assert.Equal(0, transport.PortOf(further));
            free += other.TryOpenSocket(out _, port) ? 1 : 0;
        }

        // What the machine does beside may take one or another of them; a port that was not freed would be taken each time.
        Assert.InRange(free, 10, 20);
    }

    [Fact]
    public void SendAndReceive_OverFurtherSockets_AllocateNothing()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        var sent = new PacketBatch(30, 1500);
        // Above 80, the framework's select allocates its own list on Unix; the batched transport does not use it, and on
        // Windows it is pooled.
        LocalEnd[] there = [default, .. Enumerable.Range(0, 60).Select(_ => receiver.OpenSocket())];
        LocalEnd[] here = [default, .. Enumerable.Range(0, 60).Select(_ => sender.OpenSocket())];
        for (int i = 0; i < 30; i++)
            sent.TryAdd(new byte[100], To(receiver, "127.0.0.1", there[i]).By(here[i / 2]));
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

    private static List<(byte Value, UdpEndpoint From, LocalEnd Socket)> ReceiveAll(IDatagramTransport transport, int count)
    {
        var batch = new PacketBatch(16, 100);
        var result = new List<(byte, UdpEndpoint, LocalEnd)>();
        while (result.Count < count && transport.Receive(batch))
        {
            for (int i = 0; i < batch.Count; i++)
                result.Add((batch.Packet(i)[0], batch[i].Path.Endpoint, batch[i].Path.Local));
        }

        return result;
    }

    private static IEnumerable<(byte Value, LocalEnd Socket)> ByValue(List<(byte Value, UdpEndpoint From, LocalEnd Socket)> datagrams) =>
        datagrams.Select(datagram => (datagram.Value, datagram.Socket)).OrderBy(datagram => datagram.Value);

    private static Task<T> OnThread<T>(Func<T> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static Task<T> Within<T>(Task<T> task) => task.WaitAsync(Patience, TestContext.Current.CancellationToken);

    private static UdpEndpoint To(IDatagramTransport transport, string address, LocalEnd socket) =>
        new(IPAddress.Parse(address), transport.PortOf(socket));
}
