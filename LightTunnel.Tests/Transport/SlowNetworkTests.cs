using System.Buffers.Binary;
using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>
/// A loopback interface that takes a few megabits a second and lets the rest wait: what the socket's buffer does then. There is always a
/// receiver: refusals by ICMP would wait in the same queue, at the expense of sockets that the kernel has for those of the whole machine.
/// </summary>
public sealed class SlowNetworkTests : IDisposable
{
    private const int DatagramLength = 1000;

    private readonly string _namespace;

    public SlowNetworkTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        _namespace = "ltxslow" + Guid.NewGuid().ToString("N")[..8];
        NetworkNamespace.Create(_namespace);
        NetworkNamespace.Ip("-n", _namespace, "link", "set", "lo", "mtu", "1500", "up");
    }

    public void Dispose()
    {
        if (_namespace is null)
            return;
        // What waits keeps its socket, which keeps the namespace, in which it waits: for minutes, and each datagram that then finds nobody
        // costs an answer by ICMP.
        NetworkNamespace.Execute(_namespace, "tc", "qdisc", "delete", "dev", "lo", "root");
        NetworkNamespace.Delete(_namespace);
    }

    [Theory]
    [InlineData(Offloads.All)]
    [InlineData(Offloads.None)]
    public void TrySend_StopsWhileTheNetworkTakesNoMore_AndGoesOnWithoutLoss(Offloads offloads)
    {
        const int count = 2000;
        SlowDown("20mbit");
        (int stops, List<int> arrived) = InNamespace(() =>
        {
            var options = new DataPathOptions { Offloads = offloads };
            using IDatagramTransport sender = new UdpTransportFactory().Open(0, options),
                receiver = new UdpTransportFactory().Open(0, options);
            PacketBatch batch = Trains(count, To(receiver));
            Task<List<int>> arrival = Task.Run(() => Receive(receiver, count));
            int waits = 0;
            for (int next = 0; (next = sender.TrySend(batch, next)) < batch.Count; waits++)
                sender.WaitForRoom(0, orDatagrams: false);
            Assert.Equal(0, sender.SendErrors);
            return (waits, arrival.WaitAsync(TimeSpan.FromMinutes(2)).GetAwaiter().GetResult());
        });

        Assert.Equal(Enumerable.Range(0, count), arrived);
        Assert.NotEqual(0, stops);
    }

    [Fact]
    public void TrySend_SlowNetwork_KeepsLessUnderWayThanAtFirst()
    {
        SlowDown("20mbit");
        int least = InNamespace(() =>
        {
            using LinuxUdpTransport sender = LinuxUdpTransport.Open(0);
            using IDatagramTransport receiver = new UdpTransportFactory().Open(0);
            int found = sender.SendQueue.Bytes;
            // A busy machine may be late, and then more is rightly kept under way for a while.
            for (int round = 0; found >= SendQueueLimit.First && round < 50; round++)
            {
                PacketBatch batch = Trains(400, To(receiver));
                for (int next = 0; (next = sender.TrySend(batch, next)) < batch.Count;)
                    sender.WaitForRoom(0, orDatagrams: false);
                found = Math.Min(found, sender.SendQueue.Bytes);
            }

            return found;
        });

        Assert.InRange(least, SendQueueLimit.Smallest, SendQueueLimit.First - 1);
    }

    [Fact]
    public void Send_SlowNetwork_LosesWhatHasNoRoom_WithoutWaiting()
    {
        SlowDown("8kbit");
        long lost = InNamespace(() =>
        {
            using IDatagramTransport sender = new UdpTransportFactory().Open(0), receiver = new UdpTransportFactory().Open(0);
            sender.Send(Trains(2000, To(receiver)));
            return sender.SendErrors;
        });

        // Counted in messages: 32 trains of 64 KB, of which the buffer takes half a megabyte at first.
        Assert.InRange(lost, 20, 28);
    }

    [Fact]
    public void WaitForRoom_TransportCloses_Returns()
    {
        SlowDown("8kbit");
        InNamespace(() =>
        {
            using IDatagramTransport sender = new UdpTransportFactory().Open(0), receiver = new UdpTransportFactory().Open(0);
            PacketBatch batch = Trains(2000, To(receiver));
            Assert.True(sender.TrySend(batch, 0) < batch.Count);
            Task waiting = Task.Run(() => sender.WaitForRoom(0, orDatagrams: false));
            Assert.False(waiting.IsCompleted);
            sender.Close();
            waiting.WaitAsync(TimeSpan.FromMinutes(2)).GetAwaiter().GetResult();
            return 0;
        });
    }

    private void SlowDown(string rate) => NetworkNamespace.Execute(
        _namespace, "tc", "qdisc", "replace", "dev", "lo", "root", "tbf", "rate", rate, "burst", "64k", "limit", "50m");

    private T InNamespace<T>(Func<T> body) => NetworkNamespace.Run(_namespace, body);

    private static UdpEndpoint To(IDatagramTransport receiver) => new(IPAddress.Loopback, receiver.LocalPort);

    /// <summary>Numbered datagrams, in trains of 64.</summary>
    private static PacketBatch Trains(int count, UdpEndpoint destination)
    {
        const int trainLength = PacketBatch.MaximumSegments;
        var batch = new PacketBatch((count / trainLength) + 1, trainLength * DatagramLength);
        for (int number = 0; number < count; number++)
        {
            Span<byte> datagram = batch.NextDatagram()[..DatagramLength];
            BinaryPrimitives.WriteInt32LittleEndian(datagram, number);
            batch.Append(DatagramLength, new PathHandle(destination));
        }

        return batch;
    }

    private static List<int> Receive(IDatagramTransport receiver, int count)
    {
        var batch = new PacketBatch(64, PacketBatch.LongestReceived);
        var numbers = new List<int>();
        while (numbers.Count < count && receiver.Receive(batch))
        {
            for (int i = 0; i < batch.Count; i++)
            {
                foreach (Span<byte> datagram in batch.Segments(i))
                    numbers.Add(BinaryPrimitives.ReadInt32LittleEndian(datagram));
            }
        }

        return numbers;
    }
}
