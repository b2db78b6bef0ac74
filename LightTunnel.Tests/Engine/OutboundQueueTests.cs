using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Internet.Wires;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A node's own packets in front of a network that takes only so much.</summary>
public sealed class OutboundQueueTests : IDisposable
{
    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };
    private readonly NarrowTransport _narrow = new();

    public void Dispose() => _network.Dispose();

    [Fact]
    public void TrySend_NetworkTakesOneTrainAtATime_EverythingGoesOnce_AndInOrder()
    {
        (SimulatedNode alice, SimulatedNode bob, OutboundQueue queue) = Start();
        byte[][] packets = [.. Enumerable.Range(0, 100).Select(i => TestPackets.Udp(alice.Address, bob.Address, new byte[200 + i]))];
        Add(queue, packets);
        queue.Begin();

        int calls = 1;
        for (_narrow.Room = 1; !queue.TrySend(); _narrow.Room = 1)
        {
            Assert.False(queue.IsDone);
            calls++;
        }

        // Each is longer than the one before, so none joins another's train but by the padding: many messages, one for each call.
        Assert.InRange(calls, 7, 100);
        Assert.Equal(packets.Length, _narrow.Lengths.Count);
        Assert.Equal(_narrow.Lengths.Order(), _narrow.Lengths);
        Assert.True(queue.IsDone);
        Assert.Equal((packets.Length, 0), (queue.Counters.Packets, queue.Counters.Dropped(DropReason.SlowNetwork)));
    }

    [Fact]
    public void Begin_QueueStandsForLong_DropsPackets_AndCountsThem()
    {
        (SimulatedNode alice, SimulatedNode bob, OutboundQueue queue) = Start();
        byte[] packet = TestPackets.Udp(alice.Address, bob.Address, new byte[1000]);
        for (int batch = 0; batch < 40; batch++)
        {
            Add(queue, [.. Enumerable.Repeat(packet, 20)]);
            queue.Begin();
            _narrow.Room = 0;
            Assert.False(queue.TrySend());
            _network.Run(TimeSpan.FromMilliseconds(20));
            _narrow.Room = int.MaxValue;
            Assert.True(queue.TrySend());
        }

        long dropped = queue.Counters.Dropped(DropReason.SlowNetwork);
        Assert.InRange(dropped, 5, 100);
        Assert.Equal((40 * 20) - dropped, queue.Counters.Packets);
        Assert.Equal(queue.Counters.Packets, _narrow.Lengths.Count);
    }

    [Fact]
    public void TrySend_KnowsHowFarAwayThePeersAre()
    {
        (SimulatedNode alice, SimulatedNode bob, OutboundQueue queue) = Start();
        Peer peer = alice.Peer("bob");
        _network.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(20) };
        Assert.True(_network.RunUntil(() => peer.Route.RoundTrip > 0, TimeSpan.FromSeconds(20)));
        Assert.Equal(peer.RoundTrip!.Value.Ticks, peer.Route.RoundTrip);
        Assert.Equal(0, queue.LongestRoundTrip);

        Add(queue, [TestPackets.Udp(alice.Address, bob.Address, new byte[1000])]);
        queue.Begin();
        _narrow.Room = int.MaxValue;
        Assert.True(queue.TrySend());

        Assert.Equal(peer.Route.RoundTrip, queue.LongestRoundTrip);
    }

    [Fact]
    public void PublishedRoundTrip_BehindAQueue_StaysHowFarAwayThePeerIs()
    {
        (SimulatedNode alice, SimulatedNode bob, _) = Start();
        Peer peer = alice.Peer("bob");
        _network.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(20) };
        Assert.True(_network.RunUntil(() => peer.Route.RoundTrip > 0, TimeSpan.FromSeconds(20)));
        long near = peer.Route.RoundTrip;

        _network.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(60) };
        Assert.True(_network.RunUntil(() => peer.RoundTrip > TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(5)));
        peer.Publish();
        Assert.InRange(peer.Route.RoundTrip, 1, near);

        peer.Link!.Path = new PathAddress(new UdpEndpoint(peer.Path.Endpoint.MappedAddress, 1));
        peer.Publish();
        Assert.Equal(peer.RoundTrip!.Value.Ticks, peer.Route.RoundTrip);
    }

    [Fact]
    public void Steps_AllocateNothing_WhetherTheNetworkTakesThemOrNot()
    {
        (SimulatedNode alice, SimulatedNode bob, OutboundQueue queue) = Start();
        byte[] packet = TestPackets.Udp(alice.Address, bob.Address, new byte[1000]);
        _narrow.KeepsLengths = false;
        Allocation.AssertNone(warmUp: 200, count: 1000, () =>
        {
            queue.Packets.Clear();
            queue.Packets.TryAdd(packet);
            queue.Packets.TryAdd(packet);
            queue.Begin();
            _narrow.Room = 0;
            queue.TrySend();
            _narrow.Room = int.MaxValue;
            queue.TrySend();
        });
    }

    private static void Add(OutboundQueue queue, byte[][] packets)
    {
        queue.Packets.Clear();
        foreach (byte[] packet in packets)
            Assert.True(queue.Packets.TryAdd(packet));
    }

    private (SimulatedNode Alice, SimulatedNode Bob, OutboundQueue Queue) Start()
    {
        _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice"), bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => alice.IsUp && bob.IsUp, TimeSpan.FromSeconds(2)));
        alice.Send(bob.Address, "link");
        Assert.True(_network.RunUntil(() => bob.Tun.WrittenCount > 0, TimeSpan.FromSeconds(2)));
        return (alice, bob, new OutboundQueue(alice.Node.Plane, alice.Tun, _narrow, queue: 0));
    }

    /// <summary>Takes as many messages as there is room for.</summary>
    private sealed class NarrowTransport : IDatagramTransport
    {
        public int Room { get; set; }

        public bool KeepsLengths { get; set; } = true;

        /// <summary>Of each datagram taken.</summary>
        public List<int> Lengths { get; } = [];

        public int LocalPort => 1;

        public bool SupportsIPv6 => false;

        public int Queues => 1;

        public bool ReceivesTrains => true;

        public long SendErrors => 0;

        public int TrySend(PacketBatch batch, int first, int queue = 0)
        {
            for (; first < batch.Count && Room > 0; first++, Room--)
            {
                if (!KeepsLengths)
                    continue;
                foreach (Span<byte> datagram in batch.Segments(first))
                    Lengths.Add(datagram.Length);
            }

            return first;
        }

        public bool Receive(PacketBatch batch, int queue = 0) => false;

        public void Send(PacketBatch batch, int queue = 0) =>
            throw new NotSupportedException("A node's own packets are never lost unasked.");

        public void Send(ReadOnlySpan<byte> datagram, in PathHandle path) => throw new NotSupportedException();

        public bool TryOpenSocket(out LocalEnd socket, int port = 0, IPAddress? address = null)
        {
            socket = default;
            return false;
        }

        public void CloseSocket(LocalEnd socket)
        {
        }

        public int PortOf(LocalEnd socket) => 0;

        public void Close()
        {
        }

        public void Dispose()
        {
        }
    }
}
