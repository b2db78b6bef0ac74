using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>
/// A network of two hosts and 250 addresses that nobody has. What is sent to those waits three seconds for an answer to the question who
/// they are, and counts against the socket that sent it all the while.
/// </summary>
public sealed class UnprovenSendTests : IDisposable
{
    private const int DatagramLength = 100;

    private readonly string _namespace;
    private readonly string _other;

    public UnprovenSendTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        string name = Guid.NewGuid().ToString("N")[..8];
        (_namespace, _other) = ("ltxunp" + name, "ltxunq" + name);
        NetworkNamespace.Create(_namespace);
        NetworkNamespace.Create(_other);
        NetworkNamespace.Ip("-n", _namespace, "link", "add", "lan", "type", "veth", "peer", "name", "lan", "netns", _other);
        foreach ((string space, string address) in new[] { (_namespace, "10.77.0.1/24"), (_other, "10.77.0.2/24") })
        {
            NetworkNamespace.Ip("-n", space, "address", "add", address, "dev", "lan");
            NetworkNamespace.Ip("-n", space, "link", "set", "lo", "up");
            NetworkNamespace.Ip("-n", space, "link", "set", "lan", "up");
        }
    }

    public void Dispose()
    {
        if (_namespace is null)
            return;
        NetworkNamespace.Delete(_namespace);
        NetworkNamespace.Delete(_other);
    }

    [Fact]
    public void Send_NeighboursThatDoNotExist_LeavesAllRoomToTheOthers()
    {
        using IDatagramTransport receiver = NetworkNamespace.Run(_other, () => new UdpTransportFactory().Open(0));
        using LinuxUdpTransport sender = NetworkNamespace.Run(_namespace, () => LinuxUdpTransport.Open(0));
        UdpEndpoint there = new(IPAddress.Parse("10.77.0.2"), receiver.LocalPort);
        byte[] datagram = new byte[DatagramLength];

        // As much as makes the socket for it full: 250 neighbours, for each of whom the system keeps 200 KB at most.
        for (int i = 0; sender.SendErrors == 0 && i < 200_000; i++)
            sender.Send(datagram, new PathHandle(Neighbour(i)) { IsUnproven = true });
        Assert.NotEqual(0, sender.SendErrors);

        PacketBatch batch = Batch(200, there);
        Assert.Equal(batch.Count, sender.TrySend(batch, 0));
        sender.Send(datagram, there);
        Assert.Equal(201, CountReceived(receiver, 201));
    }

    [Fact]
    public void Send_SocketIsFull_DoesNotWait_AndStillFindsRoomForTheControlLoop()
    {
        using IDatagramTransport receiver = NetworkNamespace.Run(_other, () => new UdpTransportFactory().Open(0));
        using LinuxUdpTransport sender = NetworkNamespace.Run(_namespace, () => LinuxUdpTransport.Open(0));
        UdpEndpoint there = new(IPAddress.Parse("10.77.0.2"), receiver.LocalPort);

        // Data that waits for neighbours who went away: the buffer of the socket that all share.
        PacketBatch batch = Batch(20_000, Neighbour(7), Neighbour(8), Neighbour(9), Neighbour(10));
        Assert.True(sender.TrySend(batch, 0) < batch.Count);
        sender.Send(new byte[DatagramLength], there);
        sender.TrySendWhole(new byte[DatagramLength], there);

        Assert.Equal(2, CountReceived(receiver, 2));
        Assert.Equal(0, sender.SendErrors);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Send_Unproven_LeavesFromThePortThatReceives(int queues)
    {
        using LinuxUdpTransport sender = NetworkNamespace.Run(
            _namespace, () => LinuxUdpTransport.Open(0, new DataPathOptions { Queues = queues }));
        using IDatagramTransport receiver = NetworkNamespace.Run(_namespace, () => new UdpTransportFactory().Open(0));
        var batch = new PacketBatch(8, 2000);

        var there = new UdpEndpoint(IPAddress.Loopback, receiver.LocalPort);
        sender.Send(new byte[DatagramLength], new PathHandle(there) { IsUnproven = true });
        Assert.True(receiver.Receive(batch));
        Assert.Equal(sender.LocalPort, batch[0].Path.Endpoint.Port);

        // Answers come to the sockets that are received from.
        for (int i = 0; i < 64; i++)
            receiver.Send([1], batch[0].Path.Endpoint);
        var received = new PacketBatch(64, 2000);
        int queue = Enumerable.Range(0, queues).First(number => sender.TryTake(received, number) && received.Count > 0);
        Assert.InRange(queue, 0, queues - 1);
        var refused = Assert.Throws<LightTunnel.Diagnostics.LightTunnelException>(() =>
            NetworkNamespace.Run(_namespace, () => LinuxUdpTransport.Open(sender.LocalPort)));
        Assert.Equal(LightTunnel.Diagnostics.LightTunnelError.PortInUse, refused.Error);
    }

    private static UdpEndpoint Neighbour(int number) => new(IPAddress.Parse($"10.77.0.{3 + (number % 250)}"), 9);

    private static PacketBatch Batch(int count, params UdpEndpoint[] destinations)
    {
        var batch = new PacketBatch(count, 2000, longestPackets: count);
        for (int i = 0; i < count; i++)
            batch.TryAdd(new byte[DatagramLength], destinations[i % destinations.Length]);
        return batch;
    }

    private static int CountReceived(IDatagramTransport receiver, int wanted)
    {
        Task<int> counting = Task.Run(() =>
        {
            var batch = new PacketBatch(64, PacketBatch.LongestReceived);
            int count = 0;
            while (count < wanted && receiver.Receive(batch))
            {
                for (int i = 0; i < batch.Count; i++)
                    count += batch.Segments(i).Count();
            }

            return count;
        });
        return counting.WaitAsync(TimeSpan.FromMinutes(2)).GetAwaiter().GetResult();
    }
}

file static class SegmentCount
{
    public static int Count(this SegmentEnumerable segments)
    {
        int count = 0;
        foreach (Span<byte> _ in segments)
            count++;
        return count;
    }
}
