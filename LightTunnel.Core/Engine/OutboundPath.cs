using LightTunnel.Packets;
using LightTunnel.Transport;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine;

/// <summary>
/// TUN to network: what happens to a packet that the system sends. Belongs to one thread. Never blocks, allocates nothing for packets that
/// have a link; the first packets to a peer are handed to the control loop until its link is there. What is the same for all segments of
/// a super-packet is found out once.
/// </summary>
internal sealed class OutboundPath(Node node)
{
    /// <summary>Bytes that a datagram is longer than its packet at most: relay header, transport header, padding and tag.</summary>
    private const int MaximumOverhead = RelayHeader.Size + Messages.MaximumTransportOverhead + Messages.PaddingMultiple;

    /// <summary>What this path counted.</summary>
    public PacketCounters Counters { get; } = new();

    /// <summary>Seals the packets of a batch into datagrams, which join into trains.</summary>
    /// <param name="packets">What the system sends; its memory is used up.</param>
    /// <param name="first">The packet to begin with.</param>
    /// <param name="datagrams">Cleared, then filled with what is to be sent.</param>
    /// <param name="replies">Cleared, then filled with ICMP errors for the TUN device.</param>
    /// <returns>The packet to go on with once the datagrams are sent, as they left no room for it; the packets' count when there is none.</returns>
    public int Process(PacketBatch packets, int first, PacketBatch datagrams, PacketBatch replies)
    {
        datagrams.Clear();
        replies.Clear();
        ForwardingTable table = node.Forwarding;
        long now = node.Timestamp;
        for (int i = first; i < packets.Count; i++)
        {
            ref PacketSlot slot = ref packets[i];
            if (slot.Length == 0)
                continue;
            Span<byte> packet = packets.Packet(i);
            PacketSegmenter segments = default;
            if (!IpPacket.TryParse(packet, out IpPacketInfo info)
                || (slot.Offload.Kind != SegmentationKind.None && !PacketSegmenter.TryCreate(packet, slot.Offload, out segments)))
            {
                Counters.Drop(DropReason.Malformed);
                continue;
            }

            if (Accept(packet, info, segments, table, replies) is not { } peer)
                continue;
            int count = Math.Max(segments.Count, 1);
            if (!datagrams.HasRoomFor(count, info.TotalLength + (count * (segments.HeaderLength + MaximumOverhead))))
            {
                if (datagrams.Count > 0)
                    return i;
                Counters.Drop(DropReason.TooBig); // Segments of a few bytes each: no TCP does that.
                continue;
            }

            Send(packets.WithTail(i, Messages.PaddingMultiple), info.TotalLength, segments, peer, datagrams, now);
        }

        return packets.Count;
    }

    /// <summary>The peer that the packet goes to; null when it is dropped.</summary>
    private Peer? Accept(ReadOnlySpan<byte> packet, in IpPacketInfo info, in PacketSegmenter segments, ForwardingTable table, PacketBatch replies)
    {
        if (!table.Routes.TryLookup(info.Destination, out Peer? peer))
            DropUnrouted(packet, info, table, replies);
        else if (!table.IsOwn(info.Source))
            Counters.Drop(DropReason.WrongSource);
        else if (!peer.Online)
            Refuse(DropReason.PeerOffline, packet, info, replies);
        else if ((segments.Count == 0 ? info.TotalLength : segments.LongestSegment) > peer.Mtu)
            Refuse(DropReason.TooBig, packet, info, replies, peer.Mtu);
        else
            return peer;
        return null;
    }

    /// <param name="memory">The packet and room for padding behind it.</param>
    /// <param name="length">Length of the packet.</param>
    /// <param name="segments">What it is cut into; none when it goes as it is.</param>
    /// <param name="peer">Where it goes.</param>
    /// <param name="datagrams">Takes the datagrams; there is room for them.</param>
    /// <param name="now">The present.</param>
    private void Send(Span<byte> memory, int length, PacketSegmenter segments, Peer peer, PacketBatch datagrams, long now)
    {
        int count = Math.Max(segments.Count, 1);
        if (peer.Link is not { } link || !link.TryBeginSeal(count, out SealRun run))
        {
            Stage(memory[..length], segments, peer);
            return;
        }

        (int, int, int) mark = datagrams.Mark();
        PathAddress path = link.Path;
        int mtu = peer.Mtu;
        int bytes = 0;
        if (segments.Count == 0)
        {
            Seal(ref run, memory, length, mtu, path, datagrams);
            bytes = length;
        }

        for (int start = 0; segments.TryNext(out Span<byte> segment); start += segments.SegmentSize)
        {
            Seal(ref run, memory[start..], segment.Length, mtu, path, datagrams);
            bytes += segment.Length;
        }

        if (!run.Finish())
        {
            datagrams.Rewind(mark);
            Counters.Drop(DropReason.NoLink); // The keys went while it was sealed, and the packet with them.
            return;
        }

        Counters.Packets += count;
        Counters.Bytes += bytes;
        node.NoteTraffic(peer, now);
    }

    private void Seal(ref SealRun run, Span<byte> memory, int length, int mtu, in PathAddress path, PacketBatch datagrams)
    {
        Span<byte> datagram = datagrams.NextDatagram();
        int written = 0;
        if (path.IsRelayed)
        {
            new RelayHeader(node.MemberId, path.RelayedMember).Write(datagram);
            written = RelayHeader.Size;
        }

        written += run.Seal(memory[..Messages.PaddedLength(length, mtu)], length, datagram[written..]);
        datagrams.Append(written, path.Endpoint, path.Socket);
    }

    private void Stage(Span<byte> packet, PacketSegmenter segments, Peer peer)
    {
        if (segments.Count == 0)
            StageOne(packet, peer);
        while (segments.TryNext(out Span<byte> segment))
            StageOne(segment, peer);
    }

    private void StageOne(ReadOnlySpan<byte> packet, Peer peer)
    {
        if (!node.TryStage(peer, packet))
            Counters.Drop(DropReason.NoLink);
    }

    private void DropUnrouted(ReadOnlySpan<byte> packet, in IpPacketInfo info, ForwardingTable table, PacketBatch replies)
    {
        if (table.IsOwn(info.Destination))
        {
            Counters.Drop(DropReason.OwnDestination);
            node.NoteOwnDestination(info.Destination);
        }
        else if (table.IsMulticastOrBroadcast(info.Destination))
        {
            Counters.Drop(DropReason.Multicast);
        }
        else
        {
            Refuse(DropReason.NoRoute, packet, info, replies);
        }
    }

    /// <summary>Drops the packet and tells its sender why by ICMP: too big for <paramref name="mtu"/>, or, with 0, unreachable.</summary>
    private void Refuse(DropReason reason, ReadOnlySpan<byte> packet, in IpPacketInfo info, PacketBatch replies, int mtu = 0)
    {
        Counters.Drop(reason);
        if (replies.IsFull || !node.TryTakeIcmpToken())
            return;

        // In the destination's name: the system takes no packet from a TUN device that claims to come from its own address.
        int length = mtu == 0
            ? IcmpErrors.WriteUnreachable(packet, UnreachableReason.HostUnreachable, info.Destination, replies.NextFree())
            : IcmpErrors.WriteTooBig(packet, mtu, info.Destination, replies.NextFree());
        if (length > 0)
            replies.Commit(length);
    }
}
