using System.Net;
using System.Net.Sockets;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>Both implementations on the loopback interface: the batched one is Linux's, the framework's runs everywhere.</summary>
public abstract partial class UdpTransportTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    internal abstract IDatagramTransport Open(int port);

    internal abstract IDatagramTransport OpenIPv4Only(int port);

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void Send_OneDatagram_ArrivesWithItsSender(string loopback)
    {
        using IDatagramTransport first = Open(0), second = Open(0);
        Assert.SkipUnless(first.SupportsIPv6 || loopback != "::1", "needs IPv6");
        first.Send([1, 2, 3], To(second, loopback));
        var batch = new PacketBatch(8, 1500);
        Assert.True(second.Receive(batch));
        Assert.Equal(1, batch.Count);
        Assert.Equal([1, 2, 3], batch.Packet(0).ToArray());
        Assert.Equal(To(first, loopback), batch[0].Path.Endpoint);
        Assert.Equal(PacketBatch.Headroom, batch[0].Start);
        Assert.Equal(0, first.SendErrors);
    }

    [Theory]
    [InlineData("127.0.0.1", 100)]
    [InlineData("::1", 200)]
    public void SendBatch_ManyDatagrams_AllArriveInOrder(string loopback, int count)
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        var sent = new PacketBatch(count, 1500);
        for (int i = 0; i < count; i++)
            sent.TryAdd(Enumerable.Repeat((byte)i, 10 + i).ToArray(), To(receiver, loopback));
        sent[3].Length = 0;
        sender.Send(sent);
        var received = new PacketBatch(32, 1500);
        for (int next = 0; next < count;)
        {
            Assert.True(receiver.Receive(received));
            Assert.InRange(received.Count, 1, 32);
            for (int i = 0; i < received.Count; i++, next++)
            {
                if (next == 3)
                    next++;
                Assert.Equal(Enumerable.Repeat((byte)next, 10 + next), received.Packet(i).ToArray());
            }
        }
    }

    [Fact]
    public void Receive_DatagramsTooLongOrEmpty_AreDroppedAndOthersKept()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        UdpEndpoint to = To(receiver, "127.0.0.1");
        sender.Send(new byte[101], to);
        sender.Send([], to);
        sender.Send(new byte[100], to);
        sender.Send(new byte[2000], to);
        sender.Send([7], to);
        var batch = new PacketBatch(8, 100);
        var lengths = new List<int>();
        while (lengths.Count < 2 && receiver.Receive(batch))
            lengths.AddRange(Enumerable.Range(0, batch.Count).Select(i => batch[i].Length).Where(length => length > 0));
        Assert.Equal([100, 1], lengths);
    }

    [Fact]
    public void Send_UnusableDestinations_AreCountedAndTheRestIsSent()
    {
        using IDatagramTransport sender = OpenIPv4Only(0), receiver = Open(0);
        var batch = new PacketBatch(8, 70_000);
        batch.TryAdd([1], To(receiver, "127.0.0.1"));
        batch.TryAdd([2], default);
        batch.TryAdd([3], To(receiver, "::1"));
        batch.TryAdd(new byte[66_000], To(receiver, "127.0.0.1"));
        batch.TryAdd([4], To(receiver, "127.0.0.1"));
        sender.Send(batch);
        sender.Send([5], To(receiver, "::1"));
        Assert.Equal(4, sender.SendErrors);
        Assert.Equal([1, 4], ReceiveBytes(receiver, 2));
    }

    [Fact]
    public void Receive_AfterSendToClosedPort_GoesOn()
    {
        using IDatagramTransport transport = Open(0);
        int closedPort;
        using (IDatagramTransport other = Open(0))
            closedPort = other.LocalPort;
        transport.Send([1], new UdpEndpoint(IPAddress.Loopback, closedPort));
        transport.Send([2], To(transport, "127.0.0.1"));
        Assert.Equal([2], ReceiveBytes(transport, 1));
    }

    [Fact]
    public async Task OpenIPv4Only_BothDirections_Work()
    {
        using IDatagramTransport v4 = OpenIPv4Only(0), dual = Open(0);
        Assert.False(v4.SupportsIPv6);
        v4.Send([9], To(dual, "127.0.0.1"));
        var batch = new PacketBatch(1, 100);
        Assert.True(dual.Receive(batch));
        Assert.Equal(To(v4, "127.0.0.1"), batch[0].Path.Endpoint);
        dual.Send([8], batch[0].Path.Endpoint);
        Assert.Equal([8], await Task.Run(() => ReceiveBytes(v4, 1)).WaitAsync(Patience, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Close_WhileReceiveWaits_UnblocksItAndStaysClosed()
    {
        for (int round = 0; round < 20; round++)
        {
            using IDatagramTransport transport = Open(0);
            using var started = new ManualResetEventSlim();
            bool result = true;
            var thread = new Thread(() =>
            {
                var batch = new PacketBatch(4, 100);
                started.Set();
                while (transport.Receive(batch))
                {
                }

                result = false;
            });
            thread.Start();
            started.Wait(Patience, TestContext.Current.CancellationToken);
            // Closing before, while and after the thread begins to wait must all work.
            Thread.SpinWait(round * 20_000);
            transport.Close();
            Assert.True(thread.Join(Patience), "Receive still waits after Close.");
            Assert.False(result);
            Assert.False(transport.Receive(new PacketBatch(4, 100)));
            transport.Close();
        }
    }

    [Fact]
    public void Dispose_WhileReceiveWaits_UnblocksItAndFreesThePort()
    {
        IDatagramTransport transport = OpenWhereNobodyIsPut();
        int port = transport.LocalPort;
        using var started = new ManualResetEventSlim();
        var thread = new Thread(() =>
        {
            started.Set();
            while (transport.Receive(new PacketBatch(4, 100)))
            {
            }
        });
        thread.Start();
        started.Wait(Patience, TestContext.Current.CancellationToken);
        transport.Dispose();
        Assert.True(thread.Join(Patience));
        transport.Send([1], new UdpEndpoint(IPAddress.Loopback, port)); // Lost, not thrown.
        Assert.NotEqual(0, transport.SendErrors);
        Assert.False(transport.Receive(new PacketBatch(4, 100)));
        using IDatagramTransport again = Open(port);
        Assert.Equal(port, again.LocalPort);
    }

    /// <summary>At a port that the system gives nobody who asks for any, so that none of the other tests has it in between.</summary>
    private IDatagramTransport OpenWhereNobodyIsPut()
    {
        for (int port = 20_000 + Random.Shared.Next(5_000); ; port++)
        {
            try
            {
                return Open(port);
            }
            catch (LightTunnelException exception) when (exception.Error == LightTunnelError.PortInUse && port < 30_000)
            {
                // The next one, then.
            }
        }
    }

    [Fact]
    public void Open_TakenPort_SaysSo()
    {
        using IDatagramTransport first = Open(0);
        LightTunnelException error = Assert.Throws<LightTunnelException>(() => Open(first.LocalPort));
        Assert.Equal(LightTunnelError.PortInUse, error.Error);
        Assert.Contains($"{first.LocalPort}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SendAndReceive_OfBatches_AllocateNothing()
    {
        using IDatagramTransport sender = Open(0), receiver = Open(0);
        var sent = new PacketBatch(16, 1500);
        for (int i = 0; i < 16; i++)
            sent.TryAdd(new byte[1000], To(receiver, i % 2 == 0 || !receiver.SupportsIPv6 ? "127.0.0.1" : "::1"));
        UdpEndpoint endpoint = sent[0].Path.Endpoint;
        var received = new PacketBatch(16, 1500);
        void Round()
        {
            sender.Send(sent);
            sender.Send(sent.Packet(0), endpoint);
            for (int count = 0; count < 17; count += received.Count)
                receiver.Receive(received);
        }

        Allocation.AssertNone(warmUp: 50, count: 200, Round);
    }

    private static byte[] ReceiveBytes(IDatagramTransport transport, int count)
    {
        var batch = new PacketBatch(16, 100);
        var result = new List<byte>();
        while (result.Count < count && transport.Receive(batch))
        {
            for (int i = 0; i < batch.Count; i++)
                result.AddRange(batch.Packet(i));
        }

        return [.. result];
    }

    private static UdpEndpoint To(IDatagramTransport transport, string address) => new(IPAddress.Parse(address), transport.LocalPort);
}

public sealed class SocketUdpTransportTests : UdpTransportTests
{
    internal override IDatagramTransport Open(int port) => SocketUdpTransport.Open(port);

    internal override IDatagramTransport OpenIPv4Only(int port) => SocketUdpTransport.Open(port, dualMode: false);
}

/// <summary>With the calls of Windows, where nothing comes together.</summary>
public sealed class SocketUdpTransportByWinsockTests : UdpTransportTests
{
    internal override IDatagramTransport Open(int port) =>
        SocketUdpTransport.Open(port, Socket.OSSupportsIPv6, options: null, new WinsockStandIn { Merges = false });

    internal override IDatagramTransport OpenIPv4Only(int port) =>
        SocketUdpTransport.Open(port, dualMode: false, options: null, new WinsockStandIn { Merges = false });
}

public sealed class LinuxUdpTransportTests : UdpTransportTests
{
    internal override IDatagramTransport Open(int port)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only");
        return OperatingSystem.IsLinux() ? LinuxUdpTransport.Open(port) : null!;
    }

    internal override IDatagramTransport OpenIPv4Only(int port)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only");
        return OperatingSystem.IsLinux() ? LinuxUdpTransport.TryOpen(port, dualMode: false)! : null!;
    }
}

public sealed class UdpTransportFactoryTests
{
    [Fact]
    public void Open_SystemWithoutIPv6_FallsBackToIPv4()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        string name = "ltxudp" + Environment.ProcessId;
        NetworkNamespace.Create(name);
        try
        {
            NetworkNamespace.Execute(name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
            byte[] received = NetworkNamespace.Run(name, () =>
            {
                using IDatagramTransport first = new UdpTransportFactory().Open(0), second = new UdpTransportFactory().Open(0);
                first.Send([42], new UdpEndpoint(IPAddress.Loopback, second.LocalPort));
                var batch = new PacketBatch(1, 100);
                second.Receive(batch);
                return batch.Packet(0).ToArray();
            });
            Assert.Equal([42], received);
        }
        finally
        {
            NetworkNamespace.Delete(name);
        }
    }

    [Theory]
    [InlineData("127.0.0.1", 1472)]
    [InlineData("::1", 1452)]
    public void TrySendWhole_OnlyWhatTheInterfaceTakes_WhileOthersGoInPieces(string loopback, int longest)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        string name = "ltxwhole" + Environment.ProcessId;
        NetworkNamespace.Create(name);
        try
        {
            NetworkNamespace.Ip("-n", name, "link", "set", "lo", "mtu", "1500", "up");
            List<int> received = NetworkNamespace.Run(name, () =>
            {
                using IDatagramTransport first = new UdpTransportFactory().Open(0), second = new UdpTransportFactory().Open(0);
                var destination = new UdpEndpoint(IPAddress.Parse(loopback), second.LocalPort);
                Assert.True(first.TrySendWhole(new byte[longest], destination));
                Assert.False(first.TrySendWhole(new byte[longest + 1], destination));
                first.Send(new byte[longest + 1], destination);
                Assert.Equal(0, first.SendErrors);
                var batch = new PacketBatch(2, 2000);
                List<int> lengths = [];
                while (lengths.Count < 2 && second.Receive(batch))
                    lengths.AddRange(Enumerable.Range(0, batch.Count).Select(i => batch[i].Length));
                return lengths;
            });
            Assert.Equal([longest, longest + 1], received);
        }
        finally
        {
            NetworkNamespace.Delete(name);
        }
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(65536)]
    public void Open_ImpossiblePort_Throws(int port) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new UdpTransportFactory().Open(port));
}
