using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Internet.Simulation;
using LightTunnel.Packets;
using LightTunnel.Tests.Packets;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>The data threads' code: what it costs, and what hostile bytes do to it.</summary>
public sealed class DataPathTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };

    public void Dispose() => _network.Dispose();

    [Fact]
    public void Packets_CostNoAllocation_FromTunToTun_DirectAndRelayed()
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        var outbound = new OutboundPipeline(alice.Node.Plane);
        var relay = new InboundPipeline(server.Node.Plane);
        var inbound = new InboundPipeline(bob.Node.Plane);
        var sending = new OutboundBuffers(1500, superPackets: false);
        var relaying = new InboundBuffers(1500, trains: true);
        var receiving = new InboundBuffers(1500, trains: true);
        byte[] toBob = TestPackets.Udp(alice.Address, bob.Address, new byte[1200]);
        byte[] toServer = TestPackets.Udp(alice.Address, server.Address, new byte[64]);
        UdpEndpoint aliceEndpoint = server.Peer("alice").Path.Endpoint;
        UdpEndpoint serverEndpoint = alice.Peer("hub").Path.Endpoint;

        int rounds = 0;
        Allocation.AssertNone(warmUp: 200, count: 1000, () =>
        {
            rounds++;
            sending.Packets.Clear();
            sending.Packets.TryAdd(toBob);
            sending.Packets.TryAdd(toBob);
            sending.Packets.TryAdd(toServer);
            outbound.Process(sending.Packets, 0, sending.Datagrams, sending.Replies);
            Carry(sending.Datagrams, relaying.Datagrams, aliceEndpoint);
            relay.Process(relaying.Datagrams, 0, relaying.Packets, relaying.Forward);
            Carry(relaying.Forward, receiving.Datagrams, serverEndpoint);
            inbound.Process(receiving.Datagrams, 0, receiving.Packets, receiving.Forward);
        });

        Assert.Equal(2 * rounds, inbound.Counters.Packets);
        Assert.Equal(rounds, relay.Counters.Packets);
        Assert.Equal(2 * rounds, relay.Counters.RelayedPackets);
        // All three go to the server, so they leave as one train; what is Bob's goes on as one.
        Assert.Equal((1, 1), (sending.Datagrams.Count, relaying.Forward.Count));
    }

    [Fact]
    public async Task PacketsOfPlainClients_AreSealedAgainAsTrains_WithoutAllocation()
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        SimulatedNode[] others = [alice, bob];
        foreach (SimulatedNode other in others)
            _network.AssertPasses(phone, other);
        var outbound = new OutboundPipeline(phone.Node.Plane);
        var between = new InboundPipeline(server.Node.Plane);
        InboundPipeline[] inbound = [new(alice.Node.Plane), new(bob.Node.Plane)];
        var sending = new OutboundBuffers(1500, superPackets: true);
        var passing = new InboundBuffers(1500, trains: true);
        var receiving = new InboundBuffers(1500, trains: true);
        byte[] payload = new byte[50_000];
        new Random(4).NextBytes(payload);
        byte[][] packets =
            [.. others.Select(other => TransportPackets.Tcp(phone.Address.ToString(), other.Address.ToString(), 1, payload))];
        PacketOffload[] offloads = [.. packets.Select(packet => TransportPackets.LeaveOpen(packet, 1340))];
        UdpEndpoint phoneEndpoint = server.Peer("phone").Path.Endpoint;
        UdpEndpoint serverEndpoint = alice.Peer("hub").Path.Endpoint;

        int sent = 0, trains = 0;
        Allocation.AssertNone(warmUp: 50, count: 200, () =>
        {
            int whom = sent++ % 2;
            sending.Packets.Clear();
            packets[whom].CopyTo(sending.Packets.NextFree());
            sending.Packets.Commit(packets[whom].Length).Offload = offloads[whom];
            outbound.Process(sending.Packets, 0, sending.Datagrams, sending.Replies);
            Carry(sending.Datagrams, passing.Datagrams, phoneEndpoint);
            between.Process(passing.Datagrams, 0, passing.Packets, passing.Forward);
            trains += between.Resealed!.Count;
            Carry(between.Resealed, receiving.Datagrams, serverEndpoint);
            inbound[whom].Process(receiving.Datagrams, 0, receiving.Packets, receiving.Forward);
        });

        Assert.Equal(sent, trains); // 38 segments came as one message, and go on as one.
        Assert.Equal(38 * sent, between.Counters.RelayedPackets);
        Assert.Equal(38, receiving.Packets.Count);
        var arrived = new List<byte>();
        for (int i = 0; i < receiving.Packets.Count; i++)
        {
            Assert.True(PacketChecksums.AreValid(receiving.Packets.Packet(i), IpPacket.IPv4HeaderLength, IpPacket.ProtocolTcp));
            arrived.AddRange(receiving.Packets.Packet(i)[40..]);
        }

        Assert.Equal(payload, arrived);
    }

    [Fact]
    public void DatagramsLeftOutOfAQueueThatFillsUp_AreCounted()
    {
        (SimulatedNode server, _, _) = Start();
        var inbound = new InboundPipeline(server.Node.Plane);
        var receiving = new InboundBuffers(1500, trains: true);
        receiving.Datagrams.LeftOut = 3;
        inbound.Process(receiving.Datagrams, 0, receiving.Packets, receiving.Forward);
        receiving.Datagrams.Clear();
        inbound.Process(receiving.Datagrams, 0, receiving.Packets, receiving.Forward);
        Assert.Equal(3, inbound.Counters.Dropped(DropReason.FullQueue));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void SuperPacket_TravelsAsTrains_AndComesOutAsItsSegments_WithoutAllocation(bool relayed)
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        SimulatedNode receiver = relayed ? bob : server;
        var outbound = new OutboundPipeline(alice.Node.Plane);
        var relay = new InboundPipeline(server.Node.Plane);
        var inbound = new InboundPipeline(receiver.Node.Plane);
        var sending = new OutboundBuffers(1500, superPackets: true);
        var relaying = new InboundBuffers(1500, trains: true);
        var receiving = new InboundBuffers(1500, trains: true);
        byte[] payload = new byte[50_000];
        new Random(4).NextBytes(payload);
        byte[] packet = TransportPackets.Tcp(alice.Address.ToString(), receiver.Address.ToString(), 1, payload);
        PacketOffload offload = TransportPackets.LeaveOpen(packet, 1340);
        UdpEndpoint aliceEndpoint = server.Peer("alice").Path.Endpoint;
        UdpEndpoint serverEndpoint = alice.Peer("hub").Path.Endpoint;

        int sent = 0;
        Allocation.AssertNone(warmUp: 50, count: 200, () =>
        {
            sent++;
            sending.Packets.Clear();
            packet.CopyTo(sending.Packets.NextFree());
            sending.Packets.Commit(packet.Length).Offload = offload;
            outbound.Process(sending.Packets, 0, sending.Datagrams, sending.Replies);
            InboundBuffers last = receiving;
            if (relayed)
            {
                Carry(sending.Datagrams, relaying.Datagrams, aliceEndpoint);
                relay.Process(relaying.Datagrams, 0, relaying.Packets, relaying.Forward);
                Carry(relaying.Forward, last.Datagrams, serverEndpoint);
            }
            else
            {
                Carry(sending.Datagrams, last.Datagrams, aliceEndpoint);
            }

            inbound.Process(last.Datagrams, 0, last.Packets, last.Forward);
        });

        Assert.Equal(1, sending.Datagrams.Count); // 38 segments: one message.
        Assert.Equal(38, receiving.Packets.Count);
        var arrived = new List<byte>();
        for (int i = 0; i < receiving.Packets.Count; i++)
        {
            Assert.True(PacketChecksums.AreValid(receiving.Packets.Packet(i), IpPacket.IPv4HeaderLength, IpPacket.ProtocolTcp));
            arrived.AddRange(receiving.Packets.Packet(i)[40..]);
        }

        Assert.Equal(payload, arrived);
        Assert.Equal(relayed ? 38 * sent : 0, relay.Counters.RelayedPackets);
    }

    [Fact]
    public void SuperPacket_WhoseSegmentsAreTooLong_IsRefusedByIcmp_AndOneBeforeTheKeysIsStagedInSegments()
    {
        (_, SimulatedNode alice, SimulatedNode bob) = Start();
        var outbound = new OutboundPipeline(alice.Node.Plane);
        var sending = new OutboundBuffers(1500, superPackets: true);
        Process(1400);
        Assert.Equal(1, outbound.Counters.Dropped(DropReason.TooBig));
        Assert.Equal((0, 1), (sending.Datagrams.Count, sending.Replies.Count));

        alice.Peer("bob").Link!.Sessions.Clear();
        Process(1000);
        Assert.Equal((0, 0), (sending.Datagrams.Count, sending.Replies.Count));
        _network.Settle();
        bob.TakeReceived();
        Assert.True(_network.RunUntil(() => bob.Tun.WrittenCount == 5, TimeSpan.FromSeconds(10)));

        void Process(int segmentSize)
        {
            byte[] packet = TransportPackets.Tcp(alice.Address.ToString(), bob.Address.ToString(), 1, new byte[5000]);
            PacketOffload offload = TransportPackets.LeaveOpen(packet, segmentSize);
            sending.Packets.Clear();
            packet.CopyTo(sending.Packets.NextFree());
            sending.Packets.Commit(packet.Length).Offload = offload;
            Assert.Equal(1, outbound.Process(sending.Packets, 0, sending.Datagrams, sending.Replies));
        }
    }

    [Fact]
    public void HostileTrains_NeitherThrow_NorGetThrough()
    {
        (SimulatedNode server, SimulatedNode alice, _) = Start();
        var inbound = new InboundPipeline(server.Node.Plane);
        var receiving = new InboundBuffers(1500, trains: true);
        var random = new Random(Fuzz.Seed(8));
        UdpEndpoint endpoint = server.Peer("alice").Path.Endpoint;
        uint index = alice.Peer("hub").Link!.Sessions.Current!.RemoteIndex;
        for (int i = 0; i < Fuzz.Count(3000); i++)
        {
            receiving.Datagrams.Clear();
            for (int slots = random.Next(1, 5); slots > 0; slots--)
            {
                Span<byte> train = receiving.Datagrams.NextFree()[..random.Next(2000)];
                int size = random.Next(0, 120);
                random.NextBytes(train);
                for (int start = 0; start + 60 < train.Length && size >= 60; start += size)
                {
                    if (random.Next(2) == 0)
                    {
                        new RelayHeader(alice.Node.MemberId, (uint)random.Next(4)).Write(train[start..]);
                    }
                    else
                    {
                        LightTunnel.WireGuard.Messages.WriteTransport(
                            train[start..], random.Next(3) == 0 ? 0u : index, (ulong)random.Next(100));
                    }
                }

                receiving.Datagrams.CommitPlace(train.Length, size, new PathHandle(endpoint));
            }

            for (int next = 0; next < receiving.Datagrams.Count;)
            {
                next = inbound.Process(receiving.Datagrams, next, receiving.Packets, receiving.Forward);
                Assert.Equal(0, receiving.Packets.Count);
            }
        }

        _network.Settle();
        alice.Send(server.Address, "still works");
        Assert.True(_network.RunUntil(() => server.Tun.WrittenCount > 0, Soon));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void HostileDatagrams_NeitherThrow_NorGetThrough_NorGrowAnything(int seed)
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        var captured = new List<byte[]>();
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram) =>
        {
            captured.Add(datagram.ToArray());
            return true;
        };
        _network.AddClient("carol");
        alice.Send(bob.Address, "relayed");
        alice.Send(server.Address, "direct");
        _network.Run(Soon);
        _network.Filter = null;
        server.TakeReceived();
        bob.TakeReceived();
        int peers = server.Node.Peers.Count();

        var random = new Random(Fuzz.Seed(seed));
        using SimulatedSocket stranger = _network.Internet.HostOf("192.0.2.66").Open(4000);
        UdpEndpoint[] victims =
            [new(IPAddress.Parse(SimulatedNetwork.ServerHost), SimulatedNetwork.ServerPort), server.Peer("alice").Path.Endpoint];
        for (int i = 0; i < Fuzz.Count(3000); i++)
        {
            byte[] datagram = Mutate(random, captured);
            (random.Next(2) == 0 ? stranger : alice.Transport).Send(datagram, victims[random.Next(2)]);
            if (i % 64 == 0)
                _network.Settle();
        }

        _network.Run(TimeSpan.FromSeconds(30));
        Assert.Empty(bob.TakeReceived());
        Assert.Empty(server.TakeReceived());
        Assert.Equal(peers, server.Node.Peers.Count());
        alice.Send(bob.Address, "still works");
        Assert.True(_network.RunUntil(() => bob.Tun.WrittenCount > 0, Soon));
    }

    [Fact]
    public void HostileTunPackets_NeitherThrow_NorGetThrough()
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();
        var random = new Random(Fuzz.Seed(7));
        byte[][] seeds =
            [TestPackets.Udp(alice.Address, bob.Address, new byte[40]), TestPackets.Udp(alice.Address, server.Address, new byte[40])];
        for (int i = 0; i < Fuzz.Count(3000); i++)
        {
            byte[] packet = Mutate(random, seeds);
            if (packet.Length > 0)
                alice.Tun.Inject(packet);
            if (i % 16 == 0)
                _network.Settle();
        }

        _network.Settle();
        Assert.Equal(0, bob.Inbound.Dropped(DropReason.WrongSource));
        Assert.Equal(0, server.Inbound.Dropped(DropReason.WrongSource));
        Assert.Equal(0, server.Inbound.Dropped(DropReason.Malformed));
    }

    [Theory]
    [InlineData("10.0.0.255")]
    [InlineData("255.255.255.255")]
    [InlineData("224.0.0.251")]
    [InlineData("ff02::fb")]
    public void BroadcastAndMulticast_AreDroppedAndCounted_AndNobodyIsToldByIcmp(string destination)
    {
        (SimulatedNode server, SimulatedNode alice, SimulatedNode bob) = Start();

        Assert.True(TunnelAddress.TryParse(destination, out TunnelAddress everybody));
        Assert.True(TunnelAddress.TryParse("fe80::1", out TunnelAddress linkLocal));

        alice.Send(everybody, "who is there?", everybody.IsIPv4 ? alice.Address : linkLocal);
        _network.Settle();

        Assert.Equal((1, 0), (alice.Outbound.Dropped(DropReason.Multicast), alice.Outbound.Dropped(DropReason.NoRoute)));
        Assert.Empty(new[] { alice, server, bob }.SelectMany(node => node.TakeReceived()));
    }

    [Fact]
    public void StagedPackets_AreBounded()
    {
        (_, SimulatedNode alice, _) = Start();
        SimulatedNode carol = _network.AddClient("carol");
        Assert.True(_network.RunUntil(() => carol.IsUp && alice.Node.Peers.Any(peer => peer.Name == "carol"), Soon));
        _network.Kill(carol);
        for (int i = 0; i < 1000; i++)
            alice.Send(carol.Address, "nobody home");
        _network.Settle();

        Assert.InRange(alice.Peer("carol").Staged.Count, 1, Peer.MaximumStaged);
        Assert.True(alice.Outbound.Dropped(DropReason.NoLink) >= 1000 - Peer.MaximumStaged);
    }

    /// <summary>The network: what was sent from an endpoint is received as it was sent.</summary>
    private static void Carry(PacketBatch sent, PacketBatch received, in UdpEndpoint from)
    {
        received.Clear();
        for (int i = 0; i < sent.Count; i++)
        {
            sent.Packet(i).CopyTo(received.NextFree());
            received.CommitPlace(sent[i].Length, sent[i].SegmentSize, new PathHandle(from));
        }
    }

    private static byte[] Mutate(Random random, IReadOnlyList<byte[]> seeds)
    {
        byte[] bytes = [.. seeds[random.Next(seeds.Count)]];
        switch (random.Next(4))
        {
            case 0:
                return bytes[..random.Next(bytes.Length)];
            case 1:
                Array.Resize(ref bytes, Math.Min(bytes.Length + random.Next(100), 1500));
                goto default;
            case 2:
                random.NextBytes(bytes.AsSpan(random.Next(bytes.Length)));
                goto default;
            default:
                for (int flips = random.Next(1, 6); flips > 0; flips--)
                    bytes[random.Next(bytes.Length)] ^= (byte)random.Next(1, 256);
                return bytes;
        }
    }

    private (SimulatedNode Server, SimulatedNode Alice, SimulatedNode Bob) Start()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => alice.IsUp && bob.IsUp, Soon));
        alice.Send(bob.Address, "link");
        Assert.True(_network.RunUntil(() => bob.Tun.WrittenCount > 0, Soon));
        bob.TakeReceived();
        return (server, alice, bob);
    }
}
