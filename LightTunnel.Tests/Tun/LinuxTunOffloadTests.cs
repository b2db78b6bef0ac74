using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Tun;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Tun;

/// <summary>
/// Two kernels' worth of TCP and UDP over two TUN interfaces in two namespaces, with this test as the cable: super-packets are cut, carried
/// packet by packet, and merged again. The kernel is the oracle: it would not take a wrong checksum, number or length.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class LinuxTunOffloadTests : IDisposable
{
    private const int Mtu = 1400;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static int _counter;

    private readonly string _prefix = $"ltxoff{Environment.ProcessId}x{Interlocked.Increment(ref _counter)}";

    public LinuxTunOffloadTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        NetworkNamespace.Create(Left);
        NetworkNamespace.Create(Right);
    }

    private string Left => _prefix + "l";

    private string Right => _prefix + "r";

    public void Dispose()
    {
        NetworkNamespace.Delete(Left);
        NetworkNamespace.Delete(Right);
    }

    [Theory]
    [InlineData(Offloads.All, Offloads.All, 1, false)]
    [InlineData(Offloads.All, Offloads.All, 1, true)]
    [InlineData(Offloads.All, Offloads.All, 2, false)]
    [InlineData(Offloads.TunTcp, Offloads.TunTcp, 1, false)]
    [InlineData(Offloads.None, Offloads.None, 1, true)]
    [InlineData(Offloads.All, Offloads.None, 1, false)]
    [InlineData(Offloads.None, Offloads.All, 1, true)]
    public async Task Tcp_MegabytesBothWays_ArriveAsSent(Offloads left, Offloads right, int queues, bool isIPv6)
    {
        using var cable = new Cable(Create(Left, left, queues, Own(isIPv6, 1)), Create(Right, right, queues, Own(isIPv6, 2)));
        byte[] data = new byte[8 << 20];
        new Random(5).NextBytes(data);
        IPAddress server = Interface(Own(isIPv6, 2)).Address.ToIPAddress();
        using Socket listener = NetworkNamespace.Run(Right, () => new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        listener.Bind(new IPEndPoint(server, 0));
        listener.Listen();
        using Socket client = NetworkNamespace.Run(Left, () => new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        Task<Socket> accepting = listener.AcceptAsync(TestContext.Current.CancellationToken).AsTask();
        await client.ConnectAsync(listener.LocalEndPoint!, TestContext.Current.CancellationToken).AsTask().WaitAsync(
            Patience, TestContext.Current.CancellationToken);
        using Socket accepted = await accepting.WaitAsync(Patience, TestContext.Current.CancellationToken);

        Task<byte[]>[] received = [ReceiveAsync(accepted, data.Length), ReceiveAsync(client, data.Length)];
        await Task.WhenAll(SendAsync(client, data), SendAsync(accepted, data)).WaitAsync(Patience, TestContext.Current.CancellationToken);
        foreach (byte[] got in await Task.WhenAll(received).WaitAsync(Patience, TestContext.Current.CancellationToken))
            Assert.True(data.AsSpan().SequenceEqual(got));

        Assert.Equal((left | right) != Offloads.None, cable.SuperPackets > 0);
        Assert.InRange(cable.LongestCarried, 1300, Mtu);
        Assert.Equal(0, cable.WriteErrors);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tcp_EverythingWrittenByOneThread_IsReadFromSeveralQueues_AndEachFlowFromOne(bool isIPv6)
    {
        const int connections = 24;
        using var cable = new Cable(
            Create(Left, Offloads.All, 4, Own(isIPv6, 1)), Create(Right, Offloads.All, 4, Own(isIPv6, 2)), writeQueue: 0);
        byte[] data = new byte[1 << 20];
        IPAddress server = Interface(Own(isIPv6, 2)).Address.ToIPAddress();
        using Socket listener = NetworkNamespace.Run(Right, () => new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        listener.Bind(new IPEndPoint(server, 0));
        listener.Listen(connections);
        await Task.WhenAll(Enumerable.Range(0, connections).Select(async _ =>
        {
            using Socket client = NetworkNamespace.Run(Left, () => new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
            await client.ConnectAsync(listener.LocalEndPoint!, TestContext.Current.CancellationToken);
            using Socket accepted = await listener.AcceptAsync(TestContext.Current.CancellationToken);
            // Which of the connections was accepted does not matter: all get the same.
            await Task.WhenAll(SendAsync(client, data), ReceiveAsync(accepted, data.Length));
        })).WaitAsync(Patience, TestContext.Current.CancellationToken);

        // The flow is where it stays from the first answer on, which is before its first super-packet.
        Assert.InRange(cable.QueuesOfFlows.Values.Distinct().Count(), 3, 4);
        Assert.Equal(connections, cable.QueuesOfFlows.Count);
        Assert.Empty(cable.MovedFlows);
        Assert.Equal(0, cable.WriteErrors);
    }

    [Theory]
    [InlineData(Offloads.All, false)]
    [InlineData(Offloads.All, true)]
    [InlineData(Offloads.TunTcp, false)]
    public async Task Udp_ManyDatagramsAtOnce_ArriveAsSent(Offloads offloads, bool isIPv6)
    {
        const int UdpSegment = 103;
        using var cable = new Cable(Create(Left, offloads, 1, Own(isIPv6, 1)), Create(Right, offloads, 1, Own(isIPv6, 2)));
        IPAddress address = Interface(Own(isIPv6, 2)).Address.ToIPAddress();
        using Socket receiver = NetworkNamespace.Run(Right, () => new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
        receiver.Bind(new IPEndPoint(address, 0));
        using Socket sender = NetworkNamespace.Run(Left, () => new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
        sender.SetRawSocketOption(17, UdpSegment, BitConverter.GetBytes(1000)); // SOL_UDP
        byte[] data = new byte[20_500];
        new Random(6).NextBytes(data);

        await sender.SendToAsync(data, receiver.LocalEndPoint!).WaitAsync(Patience, TestContext.Current.CancellationToken);

        byte[] buffer = new byte[2000];
        for (int start = 0; start < data.Length; start += 1000)
        {
            int length = await receiver.ReceiveAsync(buffer, TestContext.Current.CancellationToken).AsTask().WaitAsync(
                Patience, TestContext.Current.CancellationToken);
            Assert.True(data.AsSpan(start, Math.Min(1000, data.Length - start)).SequenceEqual(buffer.AsSpan(0, length)));
        }

        Assert.Equal(offloads.HasFlag(Offloads.TunUdp), cable.SuperPackets > 0);
        Assert.Equal(0, cable.WriteErrors);
    }

    [Fact]
    public void Configure_BoundsSuperPackets_SoThatTheirSegmentsFitInOneTrain()
    {
        using LinuxTun tun = Create(Left, Offloads.All, 1, "10.9.0.1/24");
        string shown = NetworkNamespace.Ip("-n", Left, "-d", "link", "show", tun.Name);
        // 44 segments of 1360 bytes, and what the kernel sets apart for headers.
        Assert.Contains("gso_max_size 60161 ", shown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(576)]
    [InlineData(1280)]
    [InlineData(1400)]
    [InlineData(1420)]
    [InlineData(1500)]
    [InlineData(9000)]
    public void LongestSuperPacket_OfAnyMtu_FitsInOneTrainWithTheLongestHeadersAndTag(int mtu)
    {
        const int TcpHeaders = 40, KernelReserve = 321;
        int segments = (LinuxTun.LongestSuperPacket(mtu) - KernelReserve) / (mtu - TcpHeaders);

        Assert.Equal(TransportCipher.MaximumTagSize, Overheads.LongestTag);
        Assert.InRange(segments * (mtu + Overheads.Datagram), 1, PacketBatch.MaximumTrainLength);
        Assert.InRange(segments, 1, PacketBatch.MaximumSegments);
    }

    private static string Own(bool isIPv6, int host) => isIPv6 ? $"fd09::{host}/64" : $"10.9.0.{host}/24";

    private static LinuxTun Create(string name, Offloads offloads, int queues, string address)
    {
        LinuxTun tun = NetworkNamespace.Run(
            name, () => LinuxTun.Create(null, new DataPathOptions { Offloads = offloads, Queues = queues }));
        Assert.Equal(offloads & (Offloads.TunTcp | Offloads.TunUdp), tun.Offloads);
        Assert.Equal(queues, tun.Queues);
        tun.Configure([Interface(address)], Mtu);
        return tun;
    }

    private static async Task SendAsync(Socket socket, byte[] data)
    {
        for (int sent = 0; sent < data.Length;)
            sent += await socket.SendAsync(data.AsMemory(sent), TestContext.Current.CancellationToken);
    }

    private static async Task<byte[]> ReceiveAsync(Socket socket, int length)
    {
        byte[] data = new byte[length];
        for (int received = 0; received < length;)
        {
            int count = await socket.ReceiveAsync(data.AsMemory(received), TestContext.Current.CancellationToken);
            Assert.NotEqual(0, count);
            received += count;
        }

        return data;
    }

    /// <summary>Carries packets between two interfaces, each queue to the same one of the other, or all to one of them.</summary>
    private sealed class Cable : IDisposable
    {
        private readonly LinuxTun[] _ends;
        private readonly Thread[] _threads;
        private readonly int? _writeQueue;
        private readonly Lock _writing = new();
        private int _superPackets;
        private int _longest;

        public Cable(LinuxTun left, LinuxTun right, int? writeQueue = null)
        {
            _writeQueue = writeQueue;
            _ends = [left, right];
            _threads =
            [
                .. Enumerable.Range(0, left.Queues).SelectMany(queue =>
                    new[] { new Thread(() => Carry(left, right, queue)), new Thread(() => Carry(right, left, queue)) }),
            ];
            foreach (Thread thread in _threads)
                thread.Start();
        }

        /// <summary>The queue from which the left one's super-packets of each flow, known by its ports, were read.</summary>
        public ConcurrentDictionary<uint, int> QueuesOfFlows { get; } = new();

        /// <summary>Flows whose super-packets were read from more than one.</summary>
        public ConcurrentBag<uint> MovedFlows { get; } = [];

        public int SuperPackets => _superPackets;

        public int LongestCarried => _longest;

        public long WriteErrors => _ends.Sum(end => end.WriteErrors);

        public void Dispose()
        {
            foreach (LinuxTun end in _ends)
                end.Close();
            foreach (Thread thread in _threads)
                thread.Join();
            foreach (LinuxTun end in _ends)
                end.Dispose();
        }

        private void Carry(LinuxTun from, LinuxTun to, int queue)
        {
            var read = new PacketBatch(64, PacketBatch.LongestReceived, 3);
            var carried = new PacketBatch(512, Mtu);
            while (from.Read(read, queue))
            {
                carried.Clear();
                for (int i = 0; i < read.Count; i++)
                {
                    if (read[i].Offload.Kind == SegmentationKind.None)
                    {
                        Take(carried, read.Packet(i));
                        continue;
                    }

                    Interlocked.Increment(ref _superPackets);
                    NoteFlow(from, read.Packet(i), queue);
                    Assert.True(PacketSegmenter.TryCreate(read.Packet(i), read[i].Offload, out PacketSegmenter segments));
                    while (segments.TryNext(out Span<byte> segment))
                        Take(carried, segment);
                }

                if (_writeQueue is not { } one)
                {
                    to.Write(carried, queue);
                    continue;
                }

                lock (_writing)
                    to.Write(carried, one);
            }
        }

        private void NoteFlow(LinuxTun from, ReadOnlySpan<byte> packet, int queue)
        {
            uint ports = BinaryPrimitives.ReadUInt32BigEndian(packet[(packet[0] >> 4 == 4 ? 20 : 40)..]);
            if (from == _ends[0] && QueuesOfFlows.GetOrAdd(ports, queue) != queue)
                MovedFlows.Add(ports);
        }

        private void Take(PacketBatch carried, ReadOnlySpan<byte> packet)
        {
            Assert.True(carried.TryAdd(packet));
            int longest;
            while ((longest = _longest) < packet.Length)
                Interlocked.CompareExchange(ref _longest, packet.Length, longest);
        }
    }
}
