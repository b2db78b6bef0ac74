using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Data;

/// <summary>
/// Network to TUN: what happens to a received datagram. Belongs to one thread. Never blocks, allocates nothing for packets; what is rare
/// (handshakes, control frames) is posted to the control loop. Nothing is copied: what was received is opened, handed on or sent
/// on where it lies.
/// </summary>
internal sealed class InboundPipeline
{
    private const byte FirstControlNibble = 0xC;
    private const int TransportMessageType = 4;

    private readonly DataPlane _plane;
    private readonly Resealer _resealer;
    private readonly OpenedMessage[] _opened = new OpenedMessage[PacketBatch.MaximumSegments];

    /// <param name="plane">What the control loop has published, and the way to it.</param>
    public InboundPipeline(DataPlane plane)
    {
        _plane = plane;
        _resealer = new Resealer(plane, Counters);
    }

    /// <summary>What this path counted.</summary>
    public PacketCounters Counters { get; } = new();

    /// <summary>The datagrams to be sent after <see cref="Process"/>, as others; null for none.</summary>
    public PacketBatch? Resealed => _resealer.Datagrams is { Count: > 0 } datagrams ? datagrams : null;

    /// <summary>Works on the datagrams and trains of a batch in place.</summary>
    /// <param name="datagrams">What was received.</param>
    /// <param name="first">The slot to begin with.</param>
    /// <param name="packets">A view of the datagrams: cleared, then filled with inner IP packets for the TUN device.</param>
    /// <param name="forward">A view of the datagrams: cleared, then filled with the datagrams and trains to be sent on.</param>
    /// <returns>The slot to go on with once both are written, as they left no room for it; the count of slots when there is none.</returns>
    public int Process(PacketBatch datagrams, int first, PacketBatch packets, PacketBatch forward)
    {
        packets.Clear();
        forward.Clear();
        _resealer.Datagrams?.Clear();
        ForwardingTable table = _plane.Forwarding;
        Timestamp now = _plane.Now;
        if (first == 0)
            Counters.Drop(DropReason.FullQueue, datagrams.LeftOut);
        for (int i = first; i < datagrams.Count; i++)
        {
            ref PacketSlot slot = ref datagrams[i];
            int stride = slot.SegmentSize == 0 ? Math.Max(slot.Length, 1) : slot.SegmentSize;
            // No system makes longer trains than there is room for.
            int count = Math.Min((slot.Length + stride - 1) / stride, Math.Min(packets.Capacity, forward.Capacity));
            slot.Length = Math.Min(slot.Length, count * stride);
            if (i > first && (packets.Capacity - packets.Count < count || forward.Capacity - forward.Count < count
                || !_resealer.HasRoomFor(count, slot.Length)))
            {
                return i;
            }

            var train = new Train(datagrams.Packet(i), slot.Start, stride, new PathAddress(slot.Path));
            for (int start = 0; start < slot.Length;)
                start += ProcessRun(train.From(start), packets, forward, table, now) * stride;
        }

        return datagrams.Count;
    }

    /// <summary>Deals with as many datagrams as are alike from the train's start on.</summary>
    /// <returns>How many that were, at least 1.</returns>
    private int ProcessRun(in Train train, PacketBatch packets, PacketBatch forward, ForwardingTable table, Timestamp now)
    {
        ReadOnlySpan<byte> datagram = train.First;
        switch (datagram.IsEmpty ? 0 : datagram[0])
        {
            case TransportMessageType:
                return Open(train, train.Source, 0, packets, table, now);
            case RelayHeader.MessageType when datagram.Length >= RelayHeader.Size:
                return TakeRelayed(train, packets, forward, table, now);
            default:
                PostToControl(datagram, train.Source);
                return 1;
        }
    }

    private void PostToControl(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        bool isHandshake = datagram.Length > 0 && datagram[0] is >= 1 and <= 3;
        if (!isHandshake && !ProbeCodec.TryReadSender(datagram, out _))
            Counters.Drop(DropReason.Malformed);
        else if (!(isHandshake ? _plane.TryPostHandshake(datagram, source) : _plane.TryPostProbe(datagram, source)))
            Counters.Drop(DropReason.Overload);
    }

    private int Open(in Train train, in PathAddress source, int skip, PacketBatch packets, ForwardingTable table, Timestamp now)
    {
        int count = _plane.Links.Open(train.Bytes, train.Stride, skip, source, _opened, out Link? link);
        var sender = link?.Owner as RouteTarget;
        PeerRoute? route = sender?.Route;
        int accepted = 0, bytes = 0, resealed = 0;
        TunnelAddress lastSource = default, lastDestination = default;
        RouteTarget? origin = null, target = null;
        PeerAccess? access = null;
        PrefixMapping? mapping = _plane.Mapping;
        FlowKey lastFlow = default;
        foreach (ref readonly OpenedMessage message in _opened.AsSpan(0, count))
        {
            if (message.Result != OpenResult.Packet)
            {
                if (message.Result != OpenResult.KeepAlive)
                    Counters.Drop(ReasonOf(message.Result));
                continue;
            }

            Span<byte> packet = train.Bytes.Slice(message.Offset, message.Length);
            if (packet[0] >> 4 == FirstControlNibble && route is not { IsPlain: true })
            {
                if (!_plane.TryPostControlFrame(link!, packet, source))
                    Counters.Drop(DropReason.Overload);
                continue;
            }

            if (route is null || !IpPacket.TryParse(packet, out IpPacketInfo info))
            {
                Counters.Drop(DropReason.Malformed);
                continue;
            }

            // Neighbours are mostly of one flow.
            if (origin is null || info.Source != lastSource || info.Destination != lastDestination)
            {
                origin = Place(packet, info, sender!, table, out target);
                if (origin is null)
                    continue;
                (lastSource, lastDestination) = (info.Source, info.Destination);
                access = origin.Route.Access;
            }

            if (target is not null)
            {
                resealed += TryReseal(train.Bytes, message.Offset, info, sender!, target, now) ? 1 : 0;
                continue;
            }

            if (access is not null && !access.Admits(packet, info, isInbound: true, now, ref lastFlow))
            {
                // Others know the rules, and refuse it themselves.
                if (route.IsPlain)
                    _resealer.Refuse(DropReason.Prohibited, packet, info, sender!);
                else
                    Counters.Drop(DropReason.Prohibited);
                continue;
            }

            if (route.Mtu < route.NetworkMtu)
                TcpMss.Clamp(packet, info, route.Mtu);
            mapping?.MapInwards(packet, info);
            packets.AddView(train.Start + message.Offset, info.TotalLength);
            accepted++;
            bytes += info.TotalLength;
        }

        _resealer.Flush(train.Bytes, now);
        if (accepted > 0)
        {
            Counters.Packets += accepted;
            Counters.Bytes += bytes;
        }

        if (accepted + resealed > 0)
            _plane.NoteTraffic(origin ?? sender!, now);
        return count;
    }

    /// <summary>Whose packet it is, null when it is dropped; and the peer that it is for, null for this machine.</summary>
    private RouteTarget? Place(
        ReadOnlySpan<byte> packet, in IpPacketInfo info, RouteTarget sender, ForwardingTable table, out RouteTarget? target)
    {
        switch (table.DecideInbound(sender, info.Source, info.Destination, out RouteTarget origin, out target))
        {
            case ForwardingDecision.Carry:
            case ForwardingDecision.Reseal:
                return origin;
            case ForwardingDecision.WrongSource:
                Interlocked.Increment(ref sender.WrongSourcePackets);
                Counters.Drop(DropReason.WrongSource);
                break;
            case ForwardingDecision.UnknownSource:
                Counters.Drop(DropReason.WrongSource);
                _plane.AskForSource(packet);
                break;
            case ForwardingDecision.NoRoute:
                _resealer.Refuse(DropReason.NoRoute, packet, info, sender);
                break;
            case ForwardingDecision.Unreachable:
                _resealer.Refuse(DropReason.PeerOffline, packet, info, sender);
                break;
            case ForwardingDecision.Multicast:
                Counters.Drop(DropReason.Multicast);
                break;
            default:
                Counters.Drop(DropReason.WrongDestination);
                break;
        }

        return null;
    }

    /// <summary>
    /// Has a packet sealed again for another peer; false when a rule forbids it, which a plain client does not know, or when it is too long
    /// for the way there.
    /// </summary>
    private bool TryReseal(Span<byte> bytes, int offset, in IpPacketInfo info, RouteTarget sender, RouteTarget target, Timestamp now)
    {
        PeerRoute from = sender.Route, to = target.Route;
        Span<byte> packet = bytes.Slice(offset, info.TotalLength);
        FlowKey last = default, lastOfTarget = default;
        if (from.Guard is { } guard && !guard.Admits(packet, info, isInbound: false, now, ref last)
            || to.Guard is { } targetsGuard
                && !targetsGuard.Admits(packet, info, isInbound: true, now, ref lastOfTarget, from.WhoHasBehind(info.Source)))
        {
            _resealer.Refuse(DropReason.Prohibited, packet, info, sender);
            return false;
        }

        if (to.IsTooBig(info.TotalLength, info, out int mtu))
        {
            _resealer.Refuse(DropReason.TooBig, packet, info, sender, mtu);
            return false;
        }

        mtu = Math.Min(from.Mtu, to.Mtu);
        if (mtu < to.NetworkMtu)
            TcpMss.Clamp(packet, info, mtu);
        _resealer.Add(bytes, offset, info.TotalLength, target, now);
        return true;
    }

    /// <summary>Relayed datagrams are either for this node, and are opened, or are passed on if this node relays, or are dropped.</summary>
    private int TakeRelayed(in Train train, PacketBatch packets, PacketBatch forward, ForwardingTable table, Timestamp now)
    {
        if (!RelayHeader.TryRead(train.First, out RelayHeader header))
        {
            Counters.Drop(DropReason.Malformed);
            return 1;
        }

        int count = train.CountAlike(RelayHeader.Size + 1, RelayHeader.SmallestDatagram);
        Train run = train.Take(count);
        if (header.Destination == _plane.MemberId)
            return TakeOwn(run, count, header.Source, packets, table, now);
        if (!_plane.Relay.TryFindTarget(header, train.Source, out PathAddress destination))
        {
            Counters.Drop(DropReason.RelayRefused, count);
            return count;
        }

        // As they came: neighbours of one flow in one message.
        forward.AddView(run.Start, run.Bytes.Length, run.Stride, destination.Handle);
        Counters.RelayedPackets += count;
        Counters.RelayedBytes += run.Bytes.Length;
        _plane.Relay.NoteRelayed(header);
        return count;
    }

    private int TakeOwn(in Train run, int count, uint sender, PacketBatch packets, ForwardingTable table, Timestamp now)
    {
        if (!_plane.Relay.IsRelay(run.Source))
        {
            Counters.Drop(DropReason.RelayRefused, count);
            return count;
        }

        PathAddress source = run.Source with { RelayedMember = sender };
        ReadOnlySpan<byte> datagram = run.First[RelayHeader.Size..];
        if (datagram[0] == TransportMessageType)
            return Open(run, source, RelayHeader.Size, packets, table, now);
        PostToControl(datagram, source);
        return 1;
    }

    private static DropReason ReasonOf(OpenResult result) => result switch
    {
        OpenResult.UnknownSession => DropReason.UnknownSession,
        OpenResult.Replayed => DropReason.Replayed,
        OpenResult.Expired => DropReason.Expired,
        OpenResult.Forged => DropReason.Forged,
        _ => DropReason.Malformed,
    };

    /// <summary>Datagrams of one sender that came as one message.</summary>
    /// <param name="bytes">All of them; the last may be shorter than the others.</param>
    /// <param name="start">Where they lie in the batch's memory.</param>
    /// <param name="stride">Bytes of each.</param>
    /// <param name="source">Whence they came.</param>
    private readonly ref struct Train(Span<byte> bytes, int start, int stride, PathAddress source)
    {
        public readonly Span<byte> Bytes = bytes;
        public readonly int Start = start;
        public readonly int Stride = stride;
        public readonly PathAddress Source = source;

        public Span<byte> First => Bytes[..Math.Min(Stride, Bytes.Length)];

        /// <summary>What follows after so many bytes.</summary>
        public Train From(int offset) => new(Bytes[offset..], Start + offset, Stride, Source);

        /// <summary>The first so many datagrams.</summary>
        public Train Take(int count) => new(Bytes[..Math.Min(count * Stride, Bytes.Length)], Start, Stride, Source);

        /// <summary>How many datagrams from the first on begin with the same bytes as it and are at least so long.</summary>
        public int CountAlike(int prefix, int least)
        {
            ReadOnlySpan<byte> pattern = Bytes[..prefix];
            int count = 1;
            for (int next = Stride; Bytes.Length - next >= least && Bytes.Slice(next, prefix).SequenceEqual(pattern); next += Stride)
                count++;
            return count;
        }
    }
}
