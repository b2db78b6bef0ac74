using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Internet.Fakes;
using LightTunnel.Packets;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Internet;

public sealed class InMemoryNetworkTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly PacketBatch _batch = new(64, 1500);

    [Fact]
    public void Pump_DelayedDatagram_ArrivesWhenDue()
    {
        (InMemoryNetwork network, InMemoryTransport alice, InMemoryTransport bob) = Build(new LinkConditions { Delay = TimeSpan.FromMilliseconds(20) });
        alice.Send([1, 2, 3], bob.Endpoint);
        Assert.Equal((0, 1), (network.Pump(), network.InFlight));
        Assert.False(bob.TryReceive(_batch));
        _time.Advance(TimeSpan.FromMilliseconds(19));
        Assert.Equal(0, network.Pump());
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(_time.Now(), network.NextDue);
        Assert.Equal(1, network.Pump());
        Assert.Equal(Timestamp.Never, network.NextDue);
        Assert.True(bob.TryReceive(_batch));
        Assert.Equal([1, 2, 3], _batch.Packet(0).ToArray());
        Assert.Equal(alice.Endpoint, _batch[0].Path.Endpoint);
        Assert.False(bob.TryReceive(_batch));
    }

    [Fact]
    public void Pump_LossDuplicationAndReordering_FollowTheirRates()
    {
        var conditions = new LinkConditions { Loss = 0.1, Duplication = 0.2, Reordering = 0.1, ReorderDelay = TimeSpan.FromMilliseconds(5) };
        (InMemoryNetwork network, InMemoryTransport alice, InMemoryTransport bob) = Build(conditions);
        List<int> received = Exchange(network, alice, bob, 4000);
        int distinct = received.Distinct().Count();
        Assert.InRange(distinct, 3400, 3800);
        Assert.InRange(received.Count - distinct, 550, 900);
        Assert.Equal(4000, network.Sent);
        Assert.Equal(4000 - distinct, network.Lost);
        Assert.InRange(received.Zip(received.Skip(1)).Count(pair => pair.Second < pair.First), 100, 1000);
    }

    [Fact]
    public void Pump_SameSeed_SameRun()
    {
        var conditions = new LinkConditions { Loss = 0.3, Duplication = 0.1, Jitter = TimeSpan.FromMilliseconds(10) };
        List<int> Run(int seed)
        {
            (InMemoryNetwork network, InMemoryTransport alice, InMemoryTransport bob) = Build(conditions, seed);
            return Exchange(network, alice, bob, 500);
        }

        Assert.Equal(Run(5), Run(5));
        Assert.NotEqual(Run(5), Run(6));
    }

    [Fact]
    public void SetConditionsOneWay_CutOneDirection_OtherLives()
    {
        (InMemoryNetwork network, InMemoryTransport alice, InMemoryTransport bob) = Build(LinkConditions.Perfect);
        network.SetConditionsOneWay("192.0.2.1", "192.0.2.2", new LinkConditions { Loss = 1 });
        alice.Send([1], bob.Endpoint);
        bob.Send([2], alice.Endpoint);
        network.Pump();
        Assert.False(bob.TryReceive(_batch));
        Assert.True(alice.TryReceive(_batch));
    }

    [Fact]
    public void Filter_ThatRefuses_LosesAndSeesAll()
    {
        (InMemoryNetwork network, InMemoryTransport alice, InMemoryTransport bob) = Build(LinkConditions.Perfect);
        var seen = new List<byte>();
        network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram) =>
        {
            seen.Add(datagram[0]);
            return datagram[0] != 2;
        };
        foreach (byte value in (byte[])[1, 2, 3])
            alice.Send([value], bob.Endpoint);
        Assert.Equal(2, network.Pump());
        Assert.Equal([1, 2, 3], seen);
        Assert.Equal(1, network.Lost);
    }

    [Fact]
    public void MoveTo_NewAddress_OldOneIsDeaf()
    {
        (InMemoryNetwork network, InMemoryTransport alice, InMemoryTransport bob) = Build(LinkConditions.Perfect);
        UdpEndpoint old = bob.Endpoint;
        bob.MoveTo("198.51.100.7", 4000);
        alice.Send([1], old);
        alice.Send([2], bob.Endpoint);
        Assert.Equal(1, network.Pump());
        Assert.True(bob.TryReceive(_batch) && _batch.Packet(0)[0] == 2);
        bob.Send([3], alice.Endpoint);
        network.Pump();
        Assert.True(alice.TryReceive(_batch));
        Assert.Equal("198.51.100.7:4000", _batch[0].Path.Endpoint.ToString());
    }

    [Fact]
    public void Open_PortTaken_SaysSoUntilClosed()
    {
        var network = new InMemoryNetwork(_time);
        InMemoryHost host = network.Host("192.0.2.1");
        InMemoryTransport first = host.Open(9000);
        Assert.Equal(LightTunnelError.PortInUse, Assert.Throws<LightTunnelException>(() => host.Open(9000)).Error);
        Assert.NotEqual(host.Open(0).LocalPort, host.Open(0).LocalPort);
        first.Close();
        Assert.Equal(9000, host.Open(9000).LocalPort);
    }

    [Fact]
    public void Send_LongDatagramOrNobodyThere_IsLost()
    {
        (InMemoryNetwork network, InMemoryTransport alice, InMemoryTransport bob) = Build(new LinkConditions { MaximumDatagram = 100 });
        alice.Send(new byte[101], bob.Endpoint);
        alice.Send([1], new UdpEndpoint(System.Net.IPAddress.Parse("203.0.113.9"), 1));
        network.Pump();
        Assert.Equal(2, network.Lost);
        alice.Send([1], default);
        Assert.Equal(1, alice.SendErrors);
    }

    [Fact]
    public async Task Receive_Blocking_WakesOnDeliveryAndOnClose()
    {
        (InMemoryNetwork network, InMemoryTransport alice, InMemoryTransport bob) = Build(LinkConditions.Perfect);
        Task<bool> receive = Task.Run(() => bob.Receive(_batch));
        alice.Send([1], bob.Endpoint);
        network.Pump();
        Assert.True(await receive.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        receive = Task.Run(() => bob.Receive(_batch));
        bob.Close();
        Assert.False(await receive.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
    }

    private (InMemoryNetwork Network, InMemoryTransport Alice, InMemoryTransport Bob) Build(LinkConditions conditions, int seed = 1)
    {
        var network = new InMemoryNetwork(_time, seed) { DefaultConditions = conditions };
        return (network, network.Host("192.0.2.1").Open(9000), network.Host("192.0.2.2").Open(9000));
    }

    private List<int> Exchange(InMemoryNetwork network, InMemoryTransport alice, InMemoryTransport bob, int count)
    {
        var received = new List<int>();
        for (int i = 0; i < count + 100; i++)
        {
            if (i < count)
                alice.Send(BitConverter.GetBytes(i), bob.Endpoint);
            _time.Advance(TimeSpan.FromMilliseconds(1));
            network.Pump();
            bob.TryReceive(_batch);
            for (int k = 0; k < _batch.Count; k++)
                received.Add(BitConverter.ToInt32(_batch.Packet(k)));
        }

        return received;
    }
}
