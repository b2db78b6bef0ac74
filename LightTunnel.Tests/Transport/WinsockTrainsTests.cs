using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>Trains of the framework's sockets by the calls of Windows, for which a stand-in answers on every system.</summary>
public sealed unsafe class WinsockTrainsTests
{
    [Fact]
    public void Structures_OnA64BitSystem_AreThoseOfTheHeaders()
    {
        Assert.SkipUnless(Environment.Is64BitProcess, "64 bit only");
        Assert.Equal(16, sizeof(WinsockBuffer));
        Assert.Equal([0, 8], Offsets<WinsockBuffer>(nameof(WinsockBuffer.Length), nameof(WinsockBuffer.Data)));
        Assert.Equal(56, sizeof(WinsockMessage));
        Assert.Equal([0, 8, 16, 24, 32, 48], Offsets<WinsockMessage>(
            nameof(WinsockMessage.Name), nameof(WinsockMessage.NameLength), nameof(WinsockMessage.Buffers),
            nameof(WinsockMessage.BufferCount),
            nameof(WinsockMessage.Control), nameof(WinsockMessage.Flags)));
        Assert.Equal(16, sizeof(WinsockControl));
        Assert.Equal(
            [0, 8, 12], Offsets<WinsockControl>(nameof(WinsockControl.Length), nameof(WinsockControl.Level), nameof(WinsockControl.Type)));
    }

    [Theory]
    [InlineData(Offloads.All, "127.0.0.1", 2, 2)]
    [InlineData(Offloads.All, "::1", 2, 2)]
    [InlineData(Offloads.UdpSend, "127.0.0.1", 2, 50)]
    [InlineData(Offloads.UdpReceive, "127.0.0.1", 0, 2)]
    [InlineData(Offloads.None, "::1", 0, 50)]
    public void Train_ArrivesWhole_WithAndWithoutEachOffload(Offloads offloads, string loopback, int sent, int received)
    {
        var sending = new WinsockStandIn();
        using SocketUdpTransport sender = Open(sending, offloads), receiver = Open(new WinsockStandIn(), offloads);
        Assert.SkipUnless(sender.SupportsIPv6 || loopback != "::1", "needs IPv6");
        Assert.Equal(offloads.HasFlag(Offloads.UdpSend), sender.SendsTrains);
        Assert.Equal(offloads.HasFlag(Offloads.UdpReceive), receiver.ReceivesTrains);

        sender.Send(TrainSamples.Create(50, To(receiver, loopback)));

        Assert.Equal(received, TrainSamples.AssertReceived(receiver, 50, To(sender, loopback)));
        Assert.Equal(sent, sending.TrainsSent);
        Assert.Equal(0, sender.SendErrors);
    }

    [Fact]
    public void Train_Sent_NamesTheSizeOfItsDatagrams()
    {
        var sending = new WinsockStandIn();
        using SocketUdpTransport sender = Open(sending), receiver = Open(new WinsockStandIn());
        sender.Send(TrainSamples.Create(2, To(receiver)));
        // Length 20, level IPPROTO_UDP, type UDP_SEND_MSG_SIZE, 1432, padding.
        Assert.Equal("1400000000000000" + "11000000" + "02000000" + "98050000" + "00000000", Convert.ToHexString(sending.LastControl));
    }

    [Theory]
    [InlineData(SocketError.MessageSize, true)]
    [InlineData(SocketError.InvalidArgument, true)]
    [InlineData(SocketError.OperationNotSupported, false)]
    [InlineData(SocketError.ProtocolOption, false)]
    public void Train_Refused_IsSentApart(SocketError refusal, bool triesAgain)
    {
        var sending = new WinsockStandIn { Outcome = refusal };
        using SocketUdpTransport sender = Open(sending), receiver = Open(new WinsockStandIn());
        sender.Send(TrainSamples.Create(50, To(receiver)));
        Assert.Equal(2, TrainSamples.AssertReceived(receiver, 50, To(sender)));
        Assert.Equal(triesAgain, sender.SendsTrains);
        Assert.Equal(triesAgain ? 2 : 1, sending.TrainsSent);
        Assert.Equal(0, sender.SendErrors);
    }

    [Fact]
    public void Train_ThatCannotBeSent_IsCountedOnceAndTheRestIsSent()
    {
        using SocketUdpTransport sender = Open(new WinsockStandIn { Outcome = SocketError.NetworkUnreachable }),
            receiver = Open(new WinsockStandIn());
        PacketBatch batch = TrainSamples.Create(3, To(receiver));
        batch.NextDatagram()[0] = 42;
        batch.Append(1, new PathHandle(To(receiver)));
        sender.Send(batch);
        Assert.Equal(1, sender.SendErrors);
        var received = new PacketBatch(4, PacketBatch.LongestReceived);
        Assert.True(receiver.Receive(received));
        Assert.Equal(42, Assert.Single(received.Packet(0).ToArray()));
    }

    [Theory]
    [InlineData(false, false, true)]
    [InlineData(true, false, true)]
    [InlineData(false, true, true)]
    [InlineData(true, true, false)]
    public void Open_OlderSystem_UsesWhatThereIs(bool sends, bool receives, bool hasReceiveMessage)
    {
        int[] options = [.. sends ? [2] : Array.Empty<int>(), .. receives ? [3] : Array.Empty<int>()];
        using SocketUdpTransport transport = Open(new WinsockStandIn { Options = options, HasReceiveMessage = hasReceiveMessage });
        Assert.Equal(sends, transport.SendsTrains);
        Assert.Equal(receives && hasReceiveMessage, transport.ReceivesTrains);
        transport.Send(TrainSamples.Create(5, To(transport)));
        Assert.Equal(receives && hasReceiveMessage ? 1 : 5, TrainSamples.AssertReceived(transport, 5, To(transport)));
    }

    [Fact]
    public void Receive_MachineThatDoesNotTellTheSize_GetsDatagramsOneByOneFromThenOn()
    {
        var receiving = new WinsockStandIn { TellsSize = false };
        using SocketUdpTransport sender = Open(new WinsockStandIn()), receiver = Open(receiving);
        Assert.True(receiver.TryOpenSocket(out _));
        Assert.Equal(2, receiving.Coalesced);
        sender.Send(TrainSamples.Create(2, To(receiver)));
        var batch = new PacketBatch(4, PacketBatch.LongestReceived);
        Assert.True(receiver.Receive(batch));
        Assert.Equal((TrainSamples.TotalLength(2), 0), (batch[0].Length, batch[0].SegmentSize));

        Assert.Equal(0, receiving.Coalesced);
        Assert.True(receiver.TryOpenSocket(out _));
        Assert.Equal(0, receiving.Coalesced);
        Assert.True(receiver.ReceivesTrains, "What came before may still wait.");
        sender.Send(TrainSamples.Create(50, To(receiver)));
        Assert.Equal(50, TrainSamples.AssertReceived(receiver, 50, To(sender)));
    }

    [Fact]
    public void Trains_SentAndReceived_AllocateNothing()
    {
        using SocketUdpTransport sender = Open(new WinsockStandIn()), receiver = Open(new WinsockStandIn());
        PacketBatch sent = TrainSamples.Create(50, To(receiver));
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

    private static SocketUdpTransport Open(WinsockStandIn system, Offloads offloads = Offloads.All) =>
        SocketUdpTransport.Open(0, Socket.OSSupportsIPv6, new DataPathOptions { Offloads = offloads }, system);

    private static UdpEndpoint To(SocketUdpTransport transport, string loopback = "127.0.0.1") =>
        new(IPAddress.Parse(loopback), transport.LocalPort);

    private static int[] Offsets<T>(params string[] fields) => [.. fields.Select(field => (int)Marshal.OffsetOf<T>(field))];
}
