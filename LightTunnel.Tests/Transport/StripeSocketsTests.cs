using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>Source ports for each queue, and who receives what from them, on the loopback interface.</summary>
[SupportedOSPlatform("linux")]
public sealed class StripeSocketsTests : IDisposable
{
    private readonly List<LinuxUdpTransport> _opened = [];

    public StripeSocketsTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only");

    public void Dispose() => _opened.ForEach(transport => transport.Dispose());

    [Theory]
    [InlineData("127.0.0.1", true, 2, 2)]
    [InlineData("127.0.0.1", false, 4, 4)]
    [InlineData("127.0.0.1", true, 4, 4)]
    [InlineData("::1", true, 4, 4)]
    [InlineData("127.0.0.1", true, 8, 4)]
    [InlineData("127.0.0.1", true, 3, 3)]
    [InlineData("::1", true, 16, 8)]
    public void Stripes_ReachAllQueuesOfTheReceiverEvenly(string loopback, bool dualMode, int senders, int receivers)
    {
        LinuxUdpTransport here = Open(dualMode, senders), there = Open(dualMode, receivers);
        IReadOnlyList<int> ports = here.OpenStripes();
        Assert.Equal(senders, ports.Count);
        Assert.Equal(0, ports[0]);
        Assert.Equal(senders - 1, ports.Skip(1).Where(port => port != 0).Distinct().Count());
        UdpEndpoint address = new(IPAddress.Parse(loopback), there.LocalPort);

        for (int queue = 0; queue < senders; queue++)
            here.Send(Batch(address, queue), queue);

        int[] counts = [.. Enumerable.Range(0, receivers).Select(queue => Count(there, queue, senders / receivers, ports))];
        Assert.All(counts, count => Assert.Equal(senders / receivers, count));
    }

    [Fact]
    public void OpenStripes_OneQueue_HasNone()
    {
        LinuxUdpTransport transport = Open(dualMode: true, 1);
        Assert.Empty(transport.OpenStripes());
        transport.Send([1], new UdpEndpoint(IPAddress.Loopback, transport.LocalPort).By(LocalEnd.Stripe(0)));
        transport.Send([1], new UdpEndpoint(IPAddress.Loopback, transport.LocalPort).By(LocalEnd.Stripe(7)));
        Assert.Equal(2, transport.SendErrors);
    }

    [Fact]
    public void OpenStripes_Again_OpensNothing_AndNoneOnceClosed()
    {
        LinuxUdpTransport transport = Open(dualMode: true, 3), closed = Open(dualMode: true, 3);
        Assert.Equal(transport.OpenStripes(), transport.OpenStripes());
        closed.Close();
        Assert.All(closed.OpenStripes(), port => Assert.Equal(0, port));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void SentToAStripe_IsReceivedByItsQueue_AsIfItHadComeToTheNodesOwnPort(bool blocks)
    {
        LinuxUdpTransport transport = Open(dualMode: true, 3), other = Open(dualMode: true, 1);
        var batch = new PacketBatch(4, 1500);
        for (int queue = 1; queue < 3; queue++)
        {
            other.Send([42], new UdpEndpoint(IPAddress.Loopback, transport.OpenStripes()[queue]));
            Assert.True(blocks ? transport.Receive(batch, queue) : transport.TryTake(batch, queue));
            Assert.Equal(42, Assert.Single(batch.Packet(0).ToArray()));
            Assert.Equal((true, other.LocalPort), (batch[0].Path.Local.IsOwn, batch[0].Path.Endpoint.Port));
        }
    }

    private LinuxUdpTransport Open(bool dualMode, int queues)
    {
        LinuxUdpTransport? opened = LinuxUdpTransport.TryOpen(0, dualMode, new DataPathOptions { Queues = queues });
        Assert.SkipWhen(opened is null, "needs IPv6");
        _opened.Add(opened);
        Assert.Equal(queues, opened.Queues);
        return opened;
    }

    private static PacketBatch Batch(in UdpEndpoint destination, int queue)
    {
        var batch = new PacketBatch(1, 1500);
        Assert.True(batch.TryAdd([(byte)queue], destination.By(queue == 0 ? default : LocalEnd.Stripe(queue))));
        return batch;
    }

    /// <summary>On the loopback what was sent is there; more than expected is counted too.</summary>
    private static int Count(LinuxUdpTransport transport, int queue, int expected, IReadOnlyList<int> ports)
    {
        var batch = new PacketBatch(64, 1500);
        int count = 0;
        do
        {
            Assert.True(transport.TryTake(batch, queue));
            for (int i = 0; i < batch.Count; i++)
            {
                count++;
                int sender = batch.Packet(i)[0];
                Assert.True(sender == 0 || batch[i].Path.Endpoint.Port == ports[sender], $"from port {batch[i].Path.Endpoint.Port}");
            }
        }
        while (batch.Count > 0);
        Assert.Equal(expected, count);
        return count;
    }
}
