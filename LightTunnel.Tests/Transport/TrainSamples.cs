using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>Trains to send, and what must then arrive.</summary>
internal static class TrainSamples
{
    /// <summary>Bytes of each datagram but the last.</summary>
    public const int SegmentSize = 1432;

    /// <summary>Datagrams that are all different; the last is shorter.</summary>
    public static PacketBatch Create(int count, UdpEndpoint destination)
    {
        var batch = new PacketBatch(8, PacketBatch.LongestReceived);
        for (int i = 0; i < count; i++)
        {
            int length = LengthOf(i, count);
            batch.NextDatagram()[..length].Fill((byte)(i + 1));
            batch.Append(length, new PathHandle(destination));
        }

        return batch;
    }

    /// <summary>Bytes of all of them.</summary>
    public static int TotalLength(int count) => ((count - 1) * SegmentSize) + LengthOf(count - 1, count);

    private static int LengthOf(int index, int count) => index == count - 1 ? 100 : SegmentSize;

    /// <summary>Receives as many and compares them.</summary>
    /// <returns>The number of messages in which they came.</returns>
    public static int AssertReceived(IDatagramTransport receiver, int count, UdpEndpoint sender)
    {
        var received = new PacketBatch(64, PacketBatch.LongestReceived, 32);
        int messages = 0;
        for (int next = 0; next < count;)
        {
            Assert.True(receiver.Receive(received));
            for (int i = 0; i < received.Count; i++)
            {
                messages++;
                Assert.Equal(sender, received[i].Path.Endpoint);
                foreach (Span<byte> datagram in received.Segments(i))
                {
                    Assert.Equal(LengthOf(next, count), datagram.Length);
                    Assert.False(datagram.ContainsAnyExcept((byte)(next + 1)));
                    next++;
                }
            }
        }

        return messages;
    }
}
