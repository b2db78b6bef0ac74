using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Data;

/// <summary>
/// Network to network: packets that were opened here and are for another peer are sealed again, for that one. Only so do plain WireGuard
/// clients, whose one link is with their server, reach the other members (<see cref="PeerRoute.IsResealed"/>). Neighbours of one flow are
/// sealed as one run and go on as one train. Belongs to one thread; makes its memory when it is first needed.
/// </summary>
/// <remarks>
/// All are neighbours in one network, as far as a packet can tell: its time to live is what it was, as on every other way through the
/// server.
/// </remarks>
/// <param name="plane">What the control loop has published, and the way to it.</param>
/// <param name="counters">Takes what is counted.</param>
internal sealed class Resealer(DataPlane plane, PacketCounters counters)
{
    private const int Capacity = 512;

    /// <summary>What a datagram may be longer by than the one that it was made of, or that an ICMP error answers.</summary>
    private const int Growth = Overheads.PaddedDatagram + Overheads.IPv6 + Overheads.Udp;

    private readonly (int Offset, int Length)[] _run = new (int, int)[PacketBatch.MaximumSegments];
    private readonly byte[] _reply = GC.AllocateUninitializedArray<byte>(TunnelOptions.MinimumMtu + PacketBatch.Tailroom, pinned: true);
    private RouteTarget? _target;
    private int _count;

    /// <summary>What is to be sent; null as long as there was nothing ever.</summary>
    public PacketBatch? Datagrams { get; private set; }

    /// <summary>True when what becomes of a train of so many datagrams and bytes still fits.</summary>
    public bool HasRoomFor(int count, int bytes) =>
        Datagrams is not { } made || (made.Capacity - made.Count > count && made.HasRoomFor(count, bytes + (count * Growth)));

    /// <summary>Takes a packet; those for one target, one behind the other, become a run.</summary>
    /// <param name="bytes">What was opened, in place; the same until <see cref="Flush"/>.</param>
    /// <param name="offset">Where the packet lies in it; behind it is the room of its tag.</param>
    /// <param name="length">Length of the packet.</param>
    /// <param name="target">Whom it goes to.</param>
    /// <param name="now">The present.</param>
    public void Add(Span<byte> bytes, int offset, int length, RouteTarget target, Timestamp now)
    {
        if (target != _target)
            Flush(bytes, now);
        _target = target;
        _run[_count++] = (offset, length);
    }

    /// <summary>Seals what was taken.</summary>
    public void Flush(Span<byte> bytes, Timestamp now)
    {
        if (_count == 0)
            return;
        RouteTarget target = _target!;
        ReadOnlySpan<(int Offset, int Length)> packets = _run.AsSpan(0, _count);
        (_count, _target) = (0, null);
        PeerRoute route = target.Route;
        if (route.Link is not { } link || !link.TryBeginSeal(packets.Length, out SealRun run))
        {
            foreach ((int offset, int length) in packets)
                Stage(bytes.Slice(offset, length), target);
            return;
        }

        PacketBatch datagrams = Datagrams ??= new PacketBatch(Capacity, PacketBatch.LongestReceived, longestPackets: 4);
        (int, int, int) mark = datagrams.Mark();
        PathHandle path = link.Path.Handle;
        int total = 0;
        for (int i = 0; i < packets.Length; i++)
        {
            (int offset, int length) = packets[i];
            int padded = Messages.PaddedLength(length, route.Mtu);
            if (run.PairsAreFaster && padded == length && i + 1 < packets.Length && packets[i + 1].Length == length)
            {
                Span<byte> datagram = datagrams.NextDatagram();
                int sealedLength = length + run.Overhead;
                run.SealPair(
                    bytes.Slice(offset, length), bytes.Slice(packets[++i].Offset, length), datagram[..sealedLength],
                    datagram.Slice(sealedLength, sealedLength));
                datagrams.Append(sealedLength, path);
                datagrams.Append(sealedLength, path);
                total += 2 * sealedLength;
            }
            else
            {
                int written = run.Seal(bytes.Slice(offset, padded), length, datagrams.NextDatagram());
                datagrams.Append(written, path);
                total += written;
            }
        }

        if (!run.Finish())
        {
            datagrams.Rewind(mark);
            counters.Drop(DropReason.NoLink, packets.Length); // The keys went while it was sealed, and the packets with them.
            return;
        }

        counters.RelayedPackets += packets.Length;
        counters.RelayedBytes += total;
        plane.NoteTraffic(target, now);
    }

    /// <summary>Drops a packet and tells its sender why by ICMP: too big for <paramref name="mtu"/>, or, with 0, unreachable.</summary>
    public void Refuse(DropReason reason, ReadOnlySpan<byte> packet, in IpPacketInfo info, RouteTarget sender, int mtu = 0)
    {
        counters.Drop(reason);
        if (!plane.TryTakeIcmpToken())
            return;
        Span<byte> room = _reply.AsSpan(0, TunnelOptions.MinimumMtu);
        int length = mtu == 0
            ? IcmpErrors.WriteUnreachable(
                packet, reason == DropReason.Prohibited ? UnreachableReason.Prohibited : UnreachableReason.HostUnreachable,
                info.Destination, room)
            : IcmpErrors.WriteTooBig(packet, mtu, info.Destination, room);
        if (length == 0 || sender.Route is not { Link: { } link } route || !link.TryBeginSeal(1, out SealRun run))
            return;
        PacketBatch datagrams = Datagrams ??= new PacketBatch(Capacity, PacketBatch.LongestReceived, longestPackets: 4);
        (int, int, int) mark = datagrams.Mark();
        int written = run.Seal(_reply.AsSpan(0, Messages.PaddedLength(length, route.Mtu)), length, datagrams.NextDatagram());
        datagrams.Append(written, link.Path.Handle);
        if (!run.Finish())
            datagrams.Rewind(mark);
    }

    private void Stage(ReadOnlySpan<byte> packet, RouteTarget target)
    {
        if (!plane.TryStage(target, packet))
            counters.Drop(DropReason.NoLink);
    }
}
