using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Internet;

/// <summary>What a node's socket does on a simulated internet, two hosts with public addresses.</summary>
public sealed class SimulatedSocketTests
{
    private readonly VirtualTime _time = new();
    private readonly PacketBatch _batch = new(64, 1500);
    private readonly SimulatedInternet _internet;
    private readonly SimulatedSocket _alice;
    private readonly SimulatedSocket _bob;

    public SimulatedSocketTests()
        : this(seed: 1)
    {
    }

    private SimulatedSocketTests(int seed)
    {
        _internet = new SimulatedInternet(_time, seed);
        _alice = _internet.HostOf("192.0.2.1").Open(9000);
        _bob = _internet.HostOf("192.0.2.2").Open(9000);
    }

    [Fact]
    public void Pump_DelayedDatagram_ArrivesWhenDue()
    {
        _alice.Host.Uplink.Up.Conditions = WireConditions.WithDelay(TimeSpan.FromMilliseconds(20));
        Timestamp due = _time.Now() + TimeSpan.FromMilliseconds(20);
        _alice.Send([1, 2, 3], _bob.Endpoint);
        Pass(TimeSpan.FromMilliseconds(19));
        Assert.False(_bob.TryReceive(_batch));
        Assert.Equal(due, _internet.NextDue);
        Pass(TimeSpan.FromMilliseconds(1));
        Assert.Equal(Timestamp.Never, _internet.NextDue);
        Assert.True(_bob.TryReceive(_batch));
        Assert.Equal([1, 2, 3], _batch.Packet(0).ToArray());
        Assert.Equal(_alice.Endpoint, _batch[0].Path.Endpoint);
        Assert.False(_bob.TryReceive(_batch));
    }

    [Fact]
    public void SameSeed_SameRun()
    {
        static List<int> Run(int seed)
        {
            var two = new SimulatedSocketTests(seed);
            two._alice.Host.Uplink.Conditions = new WireConditions
            {
                Loss = 0.3, Duplication = 0.1, Jitter = TimeSpan.FromMilliseconds(10), Reorders = true,
            };
            return two.Exchange(500);
        }

        Assert.Equal(Run(5), Run(5));
        Assert.NotEqual(Run(5), Run(6));
    }

    [Fact]
    public void Sending_ThatRefuses_LosesAndSeesAll()
    {
        var seen = new List<(UdpEndpoint, UdpEndpoint, byte)>();
        _internet.Sending = (in from, in to, datagram) =>
        {
            seen.Add((from, to, datagram[0]));
            return datagram[0] != 2;
        };
        foreach (byte value in (byte[])[1, 2, 3])
            _alice.Send([value], _bob.Endpoint);
        _internet.Pump();

        Assert.Equal(new byte[] { 1, 2, 3 }.Select(value => (_alice.Endpoint, _bob.Endpoint, value)), seen);
        Assert.Equal((3, 2, 1), (_internet.Sent, _internet.Delivered, _internet.Lost));
    }

    [Fact]
    public void MoveTo_AnotherAddressAndPort_OldOnesAreDeaf()
    {
        UdpEndpoint old = _bob.Endpoint;
        _bob.MoveTo("198.51.100.7", 4000);
        _alice.Send([1], old);
        _alice.Send([2], new UdpEndpoint(_bob.Host.Address, old.Port));
        _alice.Send([3], _bob.Endpoint);
        _internet.Pump();
        Assert.True(_bob.TryReceive(_batch) && _batch.Count == 1 && _batch.Packet(0)[0] == 3);

        _bob.Send([4], _alice.Endpoint);
        _internet.Pump();
        Assert.True(_alice.TryReceive(_batch));
        Assert.Equal("198.51.100.7:4000", _batch[0].Path.Endpoint.ToString());
    }

    [Fact]
    public void Open_PortTaken_SaysSoUntilClosed()
    {
        Assert.Equal(LightTunnelError.PortInUse, Assert.Throws<LightTunnelException>(() => _alice.Host.Open(9000)).Error);
        Assert.NotEqual(_alice.Host.Open(0).LocalPort, _alice.Host.Open(0).LocalPort);
        _alice.Close();
        Assert.Equal(9000, _alice.Host.Open(9000).LocalPort);
    }

    [Fact]
    public void Send_LongDatagramOrNobodyThere_IsLost()
    {
        _bob.Host.Uplink.Down.Conditions = new WireConditions { Mtu = 128 };
        _alice.Send(new byte[101], _bob.Endpoint);
        _alice.Send([1], new UdpEndpoint(System.Net.IPAddress.Parse("203.0.113.9"), 1));
        _alice.Send(new byte[100], _bob.Endpoint);
        _internet.Pump();
        Assert.Equal((2, 1), (_internet.Lost, _internet.Delivered));
        _alice.Send([1], default);
        Assert.Equal(1, _alice.SendErrors);
    }

    [Fact]
    public void SendOrTell_Obstacle_TellsAndSendsNothing()
    {
        _alice.Obstacle = SendObstacle.NoRoute;
        Assert.Equal(SendObstacle.NoRoute, _alice.SendOrTell([1], new PathHandle(_bob.Endpoint)));
        Assert.Equal(0, _internet.Sent);
        _alice.Obstacle = SendObstacle.None;
        Assert.Equal(SendObstacle.None, _alice.SendOrTell([1], new PathHandle(_bob.Endpoint)));
        Assert.Equal(1, _internet.Sent);
    }

    [Fact]
    public void Stripes_HavePortsOfTheirOwn_WhichTheSocketReceivesAt()
    {
        Assert.Empty(_alice.OpenStripes());
        _alice.Queues = 3;
        IReadOnlyList<int> ports = _alice.OpenStripes();
        Assert.Equal((3, 0, 3), (ports.Count, ports[0], ports.Distinct().Count()));

        _alice.Send([1], new PathHandle(_bob.Endpoint) { Local = LocalEnd.Stripe(2) });
        _internet.Pump();
        Assert.True(_bob.TryReceive(_batch));
        Assert.Equal(ports[2], _batch[0].Path.Endpoint.Port);
        _bob.Send([2], _batch[0].Path.Endpoint);
        _internet.Pump();
        Assert.True(_alice.TryReceive(_batch));
    }

    private void Pass(TimeSpan time)
    {
        _time.Advance(time);
        _internet.Pump();
    }

    private List<int> Exchange(int count)
    {
        var received = new List<int>();
        for (int i = 0; i < count + 100; i++)
        {
            if (i < count)
                _alice.Send(BitConverter.GetBytes(i), _bob.Endpoint);
            Pass(TimeSpan.FromMilliseconds(1));
            _bob.TryReceive(_batch);
            for (int k = 0; k < _batch.Count; k++)
                received.Add(BitConverter.ToInt32(_batch.Packet(k)));
        }

        return received;
    }
}
