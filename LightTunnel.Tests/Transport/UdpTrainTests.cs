using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>Trains and queues of the Linux transport, on the loopback interface of this machine or of a namespace.</summary>
[SupportedOSPlatform("linux")]
public sealed class UdpTrainTests
{
    private static int _counter;

    public UdpTrainTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only");

    [Theory]
    [InlineData(Offloads.All, "127.0.0.1", 2)]
    [InlineData(Offloads.All, "::1", 2)]
    [InlineData(Offloads.UdpSend, "127.0.0.1", 50)]
    [InlineData(Offloads.UdpReceive, "127.0.0.1", 50)]
    [InlineData(Offloads.None, "::1", 50)]
    public void Train_ArrivesWhole_WithAndWithoutEachOffload(Offloads offloads, string loopback, int messages)
    {
        var options = new DataPathOptions { Offloads = offloads, Queues = 1 };
        using LinuxUdpTransport sender = LinuxUdpTransport.Open(0, options), receiver = LinuxUdpTransport.Open(0, options);
        Assert.SkipUnless(sender.SupportsIPv6 || loopback != "::1", "needs IPv6");
        Assert.Equal(offloads.HasFlag(Offloads.UdpSend), sender.SendsTrains);
        Assert.Equal(offloads.HasFlag(Offloads.UdpReceive), receiver.ReceivesTrains);
        PacketBatch sent = TrainSamples.Create(50, new UdpEndpoint(IPAddress.Parse(loopback), receiver.LocalPort));
        Assert.Equal(2, sent.Count); // 45 of them are as long as one message may be.

        sender.Send(sent);

        Assert.Equal(messages, TrainSamples.AssertReceived(receiver, 50, new UdpEndpoint(IPAddress.Parse(loopback), sender.LocalPort)));
        Assert.Equal(0, sender.SendErrors);
    }

    [Fact]
    public void Train_LongerThanTheRouteTakes_IsSentApart()
    {
        InNamespace(() =>
        {
            NetworkNamespace.Execute(CurrentNamespace, "ip", "link", "set", "lo", "mtu", "1300");
            using LinuxUdpTransport sender = LinuxUdpTransport.Open(0), receiver = LinuxUdpTransport.Open(0);
            sender.Send(TrainSamples.Create(10, new UdpEndpoint(IPAddress.Loopback, receiver.LocalPort)));
            Assert.Equal(10, TrainSamples.AssertReceived(receiver, 10, new UdpEndpoint(IPAddress.Loopback, sender.LocalPort)));
            Assert.True(sender.SendsTrains); // Only this route has the trouble.
            Assert.Equal(0, sender.SendErrors);
        });
    }

    [Fact]
    public void Trains_SentAndReceived_AllocateNothing()
    {
        using LinuxUdpTransport sender = LinuxUdpTransport.Open(0), receiver = LinuxUdpTransport.Open(0);
        PacketBatch sent = TrainSamples.Create(50, new UdpEndpoint(IPAddress.Loopback, receiver.LocalPort));
        var received = new PacketBatch(64, PacketBatch.LongestReceived, 16);
        Allocation.AssertNone(warmUp: 50, count: 200, () =>
        {
            sender.Send(sent);
            for (int bytes = 0; bytes < TrainSamples.TotalLength(50);)
            {
                receiver.Receive(received);
                for (int i = 0; i < received.Count; i++)
                    bytes += received[i].Length;
            }
        });
    }

    [Fact]
    public async Task Queues_ShareThePort_AndEachDatagramComesToOneOfThem()
    {
        const int Senders = 40;
        var options = new DataPathOptions { Queues = 3 };
        using LinuxUdpTransport receiver = LinuxUdpTransport.Open(0, options);
        Assert.Equal(3, receiver.Queues);
        Assert.Equal(
            LightTunnelError.PortInUse,
            Assert.Throws<LightTunnelException>(() => LinuxUdpTransport.Open(receiver.LocalPort, options)).Error);
        int left = Senders;
        Task<List<byte>>[] queues =
            [.. Enumerable.Range(0, 3).Select(queue => Task.Factory.StartNew(() => Collect(queue), TaskCreationOptions.LongRunning))];
        var senders = new List<LinuxUdpTransport>();
        for (byte i = 0; i < Senders; i++)
        {
            senders.Add(LinuxUdpTransport.Open(0));
            senders[i].Send([i], new UdpEndpoint(IPAddress.Loopback, receiver.LocalPort));
        }

        List<byte>[] received = await Task.WhenAll(queues).WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
        Assert.Equal(Enumerable.Range(0, Senders).Select(i => (byte)i), received.SelectMany(bytes => bytes).Order());
        Assert.True(received.Count(bytes => bytes.Count > 0) > 1, "All senders came to one queue.");

        // Whichever queue sends, the others see one and the same port.
        using LinuxUdpTransport another = LinuxUdpTransport.Open(0);
        var batch = new PacketBatch(4, 100);
        for (int queue = 0; queue < 3; queue++)
        {
            batch.Clear();
            batch.TryAdd([1], new UdpEndpoint(IPAddress.Loopback, another.LocalPort));
            receiver.Send(batch, queue);
            Assert.True(another.Receive(batch));
            Assert.Equal(receiver.LocalPort, batch[0].Path.Endpoint.Port);
        }

        senders.ForEach(sender => sender.Dispose());

        List<byte> Collect(int queue)
        {
            var collected = new List<byte>();
            var one = new PacketBatch(4, 100);
            while (receiver.Receive(one, queue))
            {
                for (int i = 0; i < one.Count; i++)
                    collected.Add(one.Packet(i)[0]);
                if (Interlocked.Add(ref left, -one.Count) == 0)
                    receiver.Close();
            }

            return collected;
        }
    }

    private static string CurrentNamespace => $"ltxtrain{Environment.ProcessId}x{_counter}";

    private static void InNamespace(Action body)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root");
        Interlocked.Increment(ref _counter);
        NetworkNamespace.Create(CurrentNamespace);
        try
        {
            NetworkNamespace.Execute(CurrentNamespace, "ip", "link", "set", "lo", "up");
            NetworkNamespace.Run(CurrentNamespace, () =>
            {
                body();
                return 0;
            });
        }
        finally
        {
            NetworkNamespace.Delete(CurrentNamespace);
        }
    }
}
