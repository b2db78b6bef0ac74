using LightTunnel.Packets;
using LightTunnel.Transport;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine;

/// <summary>
/// TUN to network: what happens to a packet that the system sends. Belongs to one thread. Never blocks, allocates nothing for packets that
/// have a link; the first packets to a peer are handed to the control loop until its link is there.
/// </summary>
internal sealed class OutboundPath(Node node)
{
    /// <summary>What this path counted.</summary>
    public PacketCounters Counters { get; } = new();

    /// <summary>
    /// Works on every packet of the batch in place. Afterwards the slots of non-zero length are datagrams to be sent to their endpoints,
    /// and <paramref name="replies"/> holds ICMP errors for the TUN device.
    /// </summary>
    public void Process(PacketBatch packets, PacketBatch replies)
    {
        replies.Clear();
        ForwardingTable table = node.Forwarding;
        long now = node.Timestamp;
        for (int i = 0; i < packets.Count; i++)
        {
            ref PacketSlot slot = ref packets[i];
            ReadOnlySpan<byte> packet = packets.Packet(i);
            if (!IpPacket.TryParse(packet, out IpPacketInfo info))
                Drop(ref slot, DropReason.Malformed);
            else if (!table.Routes.TryLookup(info.Destination, out Peer? peer))
                DropUnrouted(ref slot, packet, info, table, replies);
            else if (!table.IsOwn(info.Source))
                Drop(ref slot, DropReason.WrongSource);
            else if (!peer.Online)
                Refuse(ref slot, DropReason.PeerOffline, packet, info, replies);
            else if (IsTooBig(info, peer, out int mtu))
                Refuse(ref slot, DropReason.TooBig, packet, info, replies, mtu);
            else
                Send(ref slot, packets.Memory(i), info, peer, now);
        }
    }

    /// <summary>
    /// True for what its sender can be told to make shorter. All else passes, in pieces outside where the path is too narrow: IPv4 without the don't-fragment flag,
    /// and what IPv6 must be able to count on (RFC 8200 section 5).
    /// </summary>
    private static bool IsTooBig(in IpPacketInfo info, Peer peer, out int mtu)
    {
        mtu = info.IsIPv4 ? peer.Mtu : Math.Max(peer.Mtu, TunnelOptions.MinimumMtu);
        return info.TotalLength > peer.NetworkMtu || (info.TotalLength > mtu && info.DontFragment);
    }

    private void Send(ref PacketSlot slot, Span<byte> memory, in IpPacketInfo info, Peer peer, long now)
    {
        int length = info.TotalLength;
        Link? link = peer.Link;
        slot.Length = length;
        if (peer.Mtu < peer.NetworkMtu)
            TcpMss.Clamp(memory.Slice(slot.Start, length), info, peer.Mtu);
        if (link is null || link.Seal(memory, ref slot.Start, ref slot.Length, peer.Mtu) != SealResult.Sealed)
        {
            if (!node.TryStage(peer, memory.Slice(slot.Start, length)))
                Counters.Drop(DropReason.NoLink);
            slot.Length = 0;
            return;
        }

        if (slot.Length == 0)
        {
            Counters.Drop(DropReason.NoLink); // The keys went while it was sealed, and the packet with them.
            return;
        }

        Counters.Packets++;
        Counters.Bytes += length;
        node.NoteTraffic(peer, now);
        PathAddress path = link.Path;
        slot.Endpoint = path.Endpoint;
        slot.Socket = path.Socket;
        if (!path.IsRelayed)
            return;

        slot.Start -= RelayHeader.Size;
        slot.Length += RelayHeader.Size;
        new RelayHeader(node.MemberId, path.RelayedMember).Write(memory[slot.Start..]);
    }

    private void DropUnrouted(ref PacketSlot slot, ReadOnlySpan<byte> packet, in IpPacketInfo info, ForwardingTable table, PacketBatch replies)
    {
        if (table.IsOwn(info.Destination))
        {
            Drop(ref slot, DropReason.OwnDestination);
            node.NoteOwnDestination(info.Destination);
        }
        else if (table.IsMulticastOrBroadcast(info.Destination))
        {
            Drop(ref slot, DropReason.Multicast);
        }
        else
        {
            Refuse(ref slot, DropReason.NoRoute, packet, info, replies);
        }
    }

    /// <summary>Drops the packet and tells its sender why by ICMP: too big for <paramref name="mtu"/>, or, with 0, unreachable.</summary>
    private void Refuse(
        ref PacketSlot slot, DropReason reason, ReadOnlySpan<byte> packet, in IpPacketInfo info, PacketBatch replies, int mtu = 0)
    {
        Drop(ref slot, reason);
        if (replies.IsFull || !node.TryTakeIcmpToken())
            return;

        // In the destination's name: the system takes no packet from a TUN device that claims to come from its own address.
        int length = mtu == 0
            ? IcmpErrors.WriteUnreachable(packet, UnreachableReason.HostUnreachable, info.Destination, replies.NextFree())
            : IcmpErrors.WriteTooBig(packet, mtu, info.Destination, replies.NextFree());
        if (length > 0)
            replies.Commit(length);
    }

    private void Drop(ref PacketSlot slot, DropReason reason)
    {
        slot.Length = 0;
        Counters.Drop(reason);
    }
}
