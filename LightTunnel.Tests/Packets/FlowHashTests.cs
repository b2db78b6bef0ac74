using LightTunnel.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Packets;

/// <summary>A flow is always found in one queue, and many flows in all of them.</summary>
public sealed class FlowHashTests
{
    private const int Queues = 4;

    [Theory]
    [InlineData("10.0.0.1", "10.0.0.2")]
    [InlineData("fd00::1", "fd00::2")]
    public void QueueOf_ManyFlows_UsesAllQueuesAlike(string source, string destination)
    {
        int[] flows = new int[Queues];
        for (ushort port = 32768; port < 33768; port += 2)
            flows[FlowHash.QueueOf(TransportPackets.Tcp(source, destination, 1, [1], sourcePort: port), Queues)]++;

        Assert.All(flows, count => Assert.InRange(count, 80, 170)); // Of 500; deterministic.
    }

    [Theory]
    [InlineData("10.0.0.1", "10.0.0.2")]
    [InlineData("fd00::1", "fd00::2")]
    public void Of_PacketsOfOneFlow_IsTheSameWhateverElseDiffers(string source, string destination)
    {
        uint first = FlowHash.Of(TransportPackets.Tcp(source, destination, 1, new byte[1000], sourcePort: 5555));

        Assert.Equal(
            first, FlowHash.Of(TransportPackets.Tcp(
                source, destination, 7777, [], TransportPackets.Syn, TransportPackets.Timestamps, sourcePort: 5555)));
        Assert.Equal(first, FlowHash.Of(TransportPackets.Tcp(source, destination, 9, new byte[40_000], sourcePort: 5555))); // Merged.
        Assert.NotEqual(first, FlowHash.Of(TransportPackets.Tcp(source, destination, 1, new byte[1000], sourcePort: 5556)));
        Assert.NotEqual(first, FlowHash.Of(Udp(source, destination, 5555, 443, new byte[1000])));
    }

    [Fact]
    public void Of_FragmentsOfOneDatagram_IsTheSame()
    {
        byte[] first = Udp("10.0.0.1", "10.0.0.2", 1, 2, new byte[100]), second = Udp("10.0.0.1", "10.0.0.2", 3, 4, new byte[100]);
        first[6] = 0x20; // More follow.
        second[7] = 0x10; // Where the ports would be stands something else.

        Assert.Equal(FlowHash.Of(first), FlowHash.Of(second));
    }

    [Fact]
    public void Of_WhatIsNoPacket_IsZero()
    {
        Assert.Equal(0u, FlowHash.Of([]));
        Assert.Equal(0u, FlowHash.Of([0x45, 0, 0]));
        Assert.Equal(0u, FlowHash.Of(new byte[39]));
        Assert.Equal(0u, FlowHash.Of([0x60, .. new byte[38]]));
    }
}
