using System.Buffers.Binary;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Data;

/// <summary>
/// TUN to network: what happens to a packet that the system sends. Belongs to one thread. Never blocks, allocates nothing for packets that
/// have a link; the first packets to a peer are handed to the control loop until its link is there. What is the same for all segments of
/// a super-packet is found out once.
/// </summary>
/// <param name="plane">What the control loop has published, and the way to it.</param>
/// <param name="queue">The queue of the transport that the thread sends by.</param>
internal sealed class OutboundPipeline(DataPlane plane, int queue = 0)
{
    private readonly byte[] _segment = GC.AllocateUninitializedArray<byte>(PacketBatch.LongestReceived, pinned: true);

    private FlowKey _lastFlow;
    private int _mapped;

    /// <summary>What this path counted.</summary>
    public PacketCounters Counters { get; } = new();

    /// <summary>
    /// The longest round trip among the peers that the last batch went to, ticks of a <see cref="TimeSpan"/>; 0 when none is known.
    /// </summary>
    public long LongestRoundTrip { get; private set; }

    /// <summary>Seals the packets of a batch into datagrams, which join into trains.</summary>
    /// <param name="packets">What the system sends; its memory is used up.</param>
    /// <param name="first">The packet to begin with.</param>
    /// <param name="datagrams">Cleared, then filled with what is to be sent.</param>
    /// <param name="replies">Cleared, then filled with ICMP errors for the TUN device.</param>
    /// <returns>The packet to go on with once the datagrams are sent, as they left no room for it; the packets' count when there is
    /// none.</returns>
    public int Process(PacketBatch packets, int first, PacketBatch datagrams, PacketBatch replies)
    {
        datagrams.Clear();
        replies.Clear();
        ForwardingTable table = plane.Forwarding;
        Timestamp now = plane.Now;
        _lastFlow = default;
        PrefixMapping? mapping = plane.Mapping;
        if (first == 0)
            (LongestRoundTrip, _mapped) = (0, 0);
        for (int i = first; i < packets.Count; i++)
        {
            ref PacketSlot slot = ref packets[i];
            if (slot.Length == 0)
                continue;
            Span<byte> packet = packets.Packet(i);
            PacketSegmenter segments = default;
            bool isPacket = IpPacket.TryParse(packet, out IpPacketInfo info);
            // A packet that is begun with again, as there was no room for it, was mapped before.
            if (mapping is not null && isPacket && i >= _mapped)
            {
                mapping.MapOutwards(packet, ref info, slot.Offload.NeedsChecksum);
                _mapped = i + 1;
            }

            if (!isPacket
                || (slot.Offload.Kind != SegmentationKind.None && !PacketSegmenter.TryCreate(packet, slot.Offload, out segments)))
            {
                Counters.Drop(DropReason.Malformed);
                continue;
            }

            if (Accept(packet, info, segments, table, replies, now) is not { } target)
                continue;
            RouteTarget by = ByWhom(target);
            PeerRoute route = by.Route;
            int count = Math.Max(segments.Count, 1);
            if (!datagrams.HasRoomFor(count, info.TotalLength + (count * (segments.HeaderLength + Overheads.PaddedDatagram))))
            {
                if (datagrams.Count > 0)
                    return i;
                Counters.Drop(DropReason.TooBig); // Segments of a few bytes each: no TCP does that.
                continue;
            }

            if (route.Mtu < route.NetworkMtu)
                TcpMss.Clamp(packet, info, route.Mtu);
            Send(packets.WithTail(i, Messages.PaddingMultiple), info.TotalLength, segments, target, by, route, datagrams, now);
        }

        return packets.Count;
    }

    /// <summary>Whom the packet goes to; null when it is dropped.</summary>
    private RouteTarget? Accept(
        ReadOnlySpan<byte> packet, in IpPacketInfo info, in PacketSegmenter segments, ForwardingTable table, PacketBatch replies,
        Timestamp now)
    {
        ForwardingDecision decision = table.DecideOutbound(info.Source, info.Destination, out RouteTarget? target);
        switch (decision)
        {
            case ForwardingDecision.OwnDestination:
                Counters.Drop(DropReason.OwnDestination);
                plane.NoteOwnDestination(info.Destination);
                return null;
            case ForwardingDecision.Multicast:
                Counters.Drop(DropReason.Multicast);
                return null;
            case ForwardingDecision.NoRoute:
                Refuse(DropReason.NoRoute, packet, info, replies);
                return null;
            case ForwardingDecision.WrongSource:
                Counters.Drop(DropReason.WrongSource);
                return null;
        }

        if (IsOwnDatagram(packet, info))
            DropOwnDatagram(info);
        else if (decision == ForwardingDecision.Unreachable)
            Refuse(DropReason.PeerOffline, packet, info, replies);
        else if (target!.Route.Access is { } access && !access.Admits(packet, info, isInbound: false, now, ref _lastFlow))
            Refuse(DropReason.Prohibited, packet, info, replies);
        else if (ByWhom(target).Route.IsTooBig(segments.Count == 0 ? info.TotalLength : segments.LongestSegment, info, out int mtu))
            Refuse(DropReason.TooBig, packet, info, replies, mtu);
        else
            return target;
        return null;
    }

    /// <summary>True for what this node's own sockets sent: nobody else on this machine has their ports.</summary>
    private bool IsOwnDatagram(ReadOnlySpan<byte> packet, in IpPacketInfo info) =>
        info.Protocol == IpPacket.ProtocolUdp && info.FragmentOffset == 0 && packet.Length >= info.HeaderLength + sizeof(ushort)
        && plane.IsOuterPort(BinaryPrimitives.ReadUInt16BigEndian(packet[info.HeaderLength..]));

    private void DropOwnDatagram(in IpPacketInfo info)
    {
        Counters.Drop(DropReason.OwnDatagram);
        plane.NoteOwnDatagram(info.Destination);
    }

    /// <summary>By whose link packets for somebody go: mostly its own.</summary>
    private static RouteTarget ByWhom(RouteTarget target) => target.Route is { NextHop: NextHop.Carrier } route ? route.Carrier! : target;

    /// <param name="memory">The packet and room for padding behind it.</param>
    /// <param name="length">Length of the packet.</param>
    /// <param name="segments">What it is cut into; none when it goes as it is.</param>
    /// <param name="target">Whom it goes to.</param>
    /// <param name="by">By whose link it goes there.</param>
    /// <param name="route">What is known of that one.</param>
    /// <param name="datagrams">Takes the datagrams; there is room for them.</param>
    /// <param name="now">The present.</param>
    private void Send(
        Span<byte> memory, int length, PacketSegmenter segments, RouteTarget target, RouteTarget by, PeerRoute route, PacketBatch datagrams,
        Timestamp now)
    {
        int count = Math.Max(segments.Count, 1);
        if (route.Link is not { } link || !link.TryBeginSeal(count, out SealRun run))
        {
            Stage(memory[..length], segments, by);
            return;
        }

        (int, int, int) mark = datagrams.Mark();
        PathAddress path = link.PathOf(queue);
        int mtu = route.Mtu;
        int bytes = 0;
        if (segments.Count == 0)
        {
            Seal(ref run, memory, length, mtu, path, datagrams);
            bytes = length;
        }

        for (int start = 0; segments.TryNext(out Span<byte> segment); start += segments.SegmentSize)
        {
            bytes += segment.Length;
            if (run.PairsAreFaster && segments.NextLength == segment.Length && Messages.PaddedLength(segment.Length, mtu) == segment.Length)
            {
                // The next one's headers fall on the end of this one.
                Span<byte> first = _segment.AsSpan(0, segment.Length);
                segment.CopyTo(first);
                segments.TryNext(out segment);
                start += segments.SegmentSize;
                bytes += segment.Length;
                SealPair(ref run, first, segment, path, datagrams);
            }
            else
            {
                Seal(ref run, memory[start..], segment.Length, mtu, path, datagrams);
            }
        }

        if (!run.Finish())
        {
            datagrams.Rewind(mark);
            Counters.Drop(DropReason.NoLink); // The keys went while it was sealed, and the packet with them.
            return;
        }

        Counters.Packets += count;
        Counters.Bytes += bytes;
        LongestRoundTrip = Math.Max(LongestRoundTrip, route.RoundTrip);
        plane.NoteTraffic(target, now);
    }

    private void SealPair(ref SealRun run, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, in PathAddress path, PacketBatch datagrams)
    {
        Span<byte> datagram = datagrams.NextDatagram();
        int header = WriteRelayHeader(datagram, path);
        int length = header + first.Length + run.Overhead;
        WriteRelayHeader(datagram[length..], path);
        run.SealPair(first, second, datagram[header..length], datagram[(length + header)..]);
        datagrams.Append(length, path.Handle);
        datagrams.Append(length, path.Handle);
    }

    /// <summary>Returns its length; 0 for a path that is not relayed.</summary>
    private int WriteRelayHeader(Span<byte> datagram, in PathAddress path)
    {
        if (!path.IsRelayed)
            return 0;
        new RelayHeader(plane.MemberId, path.RelayedMember).Write(datagram);
        return RelayHeader.Size;
    }

    private void Seal(ref SealRun run, Span<byte> memory, int length, int mtu, in PathAddress path, PacketBatch datagrams)
    {
        Span<byte> datagram = datagrams.NextDatagram();
        int written = WriteRelayHeader(datagram, path);
        written += run.Seal(memory[..Messages.PaddedLength(length, mtu)], length, datagram[written..]);
        datagrams.Append(written, path.Handle);
    }

    private void Stage(Span<byte> packet, PacketSegmenter segments, RouteTarget target)
    {
        if (segments.Count == 0)
            StageOne(packet, target);
        while (segments.TryNext(out Span<byte> segment))
            StageOne(segment, target);
    }

    private void StageOne(ReadOnlySpan<byte> packet, RouteTarget target)
    {
        if (!plane.TryStage(target, packet))
            Counters.Drop(DropReason.NoLink);
    }

    /// <summary>Drops the packet and tells its sender why by ICMP: too big for <paramref name="mtu"/>, or, with 0, unreachable.</summary>
    private void Refuse(DropReason reason, ReadOnlySpan<byte> packet, in IpPacketInfo info, PacketBatch replies, int mtu = 0)
    {
        Counters.Drop(reason);
        if (replies.IsFull || !plane.TryTakeIcmpToken())
            return;

        // In the destination's name: the system takes no packet from a TUN device that claims to come from its own address.
        int length = mtu == 0
            ? IcmpErrors.WriteUnreachable(
                packet, reason == DropReason.Prohibited ? UnreachableReason.Prohibited : UnreachableReason.HostUnreachable,
                info.Destination, replies.NextFree())
            : IcmpErrors.WriteTooBig(packet, mtu, info.Destination, replies.NextFree());
        if (length == 0)
            return;
        Span<byte> reply = replies.NextFree()[..length];
        if (plane.Mapping is { } mapping && IpPacket.TryParse(reply, out IpPacketInfo written))
            mapping.MapInwards(reply, written);
        replies.Commit(length);
    }
}
