using LightTunnel.Packets;
using Xunit;

namespace LightTunnel.Tests.Packets;

/// <summary>
/// What the writer of a TUN device hands to the system: the number of packets, the virtio header and the bytes of each group.
/// </summary>
internal sealed record MergedPackets(int[] Segments, PacketOffload[] Offloads, byte[][] Packets)
{
    /// <summary>Puts the packets into a batch, merges them and reads the groups.</summary>
    public static MergedPackets Merge(byte[][] packets, PacketCoalescer? coalescer = null)
    {
        coalescer ??= new PacketCoalescer(packets.Length);
        var batch = new PacketBatch(packets.Length + 1, packets.Append([0]).Max(packet => packet.Length));
        foreach (byte[] packet in packets)
            Assert.True(batch.TryAdd(packet));
        coalescer.Run(batch);
        var segments = new List<int>();
        var offloads = new List<PacketOffload>();
        var written = new List<byte[]>();
        int last = -1;
        for (int i = 0; i < coalescer.GroupCount; i++)
        {
            PacketGroup group = coalescer[i];
            Assert.True(group.Head > last, "The groups are not in the order of their first packets.");
            last = group.Head;
            Assert.True(VirtioNetHeader.TryRead(batch.Before(group.Head, VirtioNetHeader.Size), out PacketOffload offload));
            List<byte> packet = [.. batch.Packet(group.Head)];
            int count = 1;
            for (int slot = coalescer.Next(group.Head); slot >= 0; slot = coalescer.Next(slot), count++)
                packet.AddRange(batch.Packet(slot)[group.HeaderLength..]);
            Assert.Equal(group.Segments, count);
            segments.Add(count);
            offloads.Add(offload);
            written.Add([.. packet]);
        }

        return new MergedPackets([.. segments], [.. offloads], [.. written]);
    }

    /// <summary>The packets after the system cut all super-packets.</summary>
    public byte[][] Cut() =>
    [
        .. Packets.Zip(Offloads).SelectMany(
            pair => pair.Second == default ? [pair.First] : TransportPackets.Cut((byte[])pair.First.Clone(), pair.Second)),
    ];
}
