using LightTunnel.Packets;
using LightTunnel.Transport;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine;

/// <summary>
/// Network to TUN: what happens to a received datagram. Belongs to one thread. Never blocks, allocates nothing for packets; what is rare
/// (handshakes, control frames) is posted to the control loop.
/// </summary>
internal sealed class InboundPath(Node node)
{
    private const byte FirstControlNibble = 0xC;
    private const int TransportMessageType = 4;

    /// <summary>What this path counted.</summary>
    public PacketCounters Counters { get; } = new();

    /// <summary>
    /// Works on every datagram of the batch in place. Afterwards the slots of non-zero length are inner IP packets for the TUN device, and
    /// <paramref name="forward"/> holds the datagrams to be sent on.
    /// </summary>
    public void Process(PacketBatch datagrams, PacketBatch forward)
    {
        forward.Clear();
        ForwardingTable table = node.Forwarding;
        long now = node.Timestamp;
        for (int i = 0; i < datagrams.Count; i++)
        {
            ref PacketSlot slot = ref datagrams[i];
            Span<byte> datagram = datagrams.Packet(i);
            var source = new PathAddress(slot.Endpoint, Socket: slot.Socket);

            if (datagram.Length >= RelayHeader.Size && datagram[0] == RelayHeader.MessageType)
            {
                if (!TakeRelayed(datagram, source, forward, out source))
                {
                    slot.Length = 0;
                    continue;
                }

                slot.Start += RelayHeader.Size;
                slot.Length -= RelayHeader.Size;
                datagram = datagram[RelayHeader.Size..];
            }

            if (datagram.Length == 0 || datagram[0] != TransportMessageType)
            {
                PostToControl(datagram, source);
                slot.Length = 0;
                continue;
            }

            OpenTransport(ref slot, datagram, source, table, now);
        }
    }

    private void PostToControl(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        bool isHandshake = datagram.Length > 0 && datagram[0] is >= 1 and <= 3;
        if (!isHandshake && !ProbeCodec.TryReadSender(datagram, out _))
            Counters.Drop(DropReason.Malformed);
        else if (!(isHandshake ? node.TryPostHandshake(datagram, source) : node.TryPostProbe(datagram, source)))
            Counters.Drop(DropReason.Overload);
    }

    private void OpenTransport(ref PacketSlot slot, Span<byte> datagram, in PathAddress source, ForwardingTable table, long now)
    {
        OpenResult result = node.Links.Open(datagram, source, out Link? link, out int offset, out int length);
        if (result != OpenResult.Packet)
        {
            slot.Length = 0;
            if (result != OpenResult.KeepAlive)
                Counters.Drop(ReasonOf(result));
            return;
        }

        Span<byte> packet = datagram.Slice(offset, length);
        if (packet[0] >> 4 == FirstControlNibble)
        {
            slot.Length = 0;
            if (!node.TryPostControlFrame(link!, packet))
                Counters.Drop(DropReason.Overload);
            return;
        }

        slot.Length = 0;
        if (link!.Owner is not Peer peer || !IpPacket.TryParse(packet, out IpPacketInfo info))
        {
            Counters.Drop(DropReason.Malformed);
        }
        else if (!peer.Owns(info.Source))
        {
            peer.WrongSourcePackets++;
            Counters.Drop(DropReason.WrongSource);
        }
        else if (!table.IsOwn(info.Destination))
        {
            Counters.Drop(DropReason.WrongDestination);
        }
        else
        {
            if (peer.Mtu < peer.NetworkMtu)
                TcpMss.Clamp(packet, info, peer.Mtu);
            slot.Start += offset;
            slot.Length = info.TotalLength;
            Counters.Packets++;
            Counters.Bytes += info.TotalLength;
            node.NoteTraffic(peer, now);
        }
    }

    /// <summary>A relayed datagram is either for this node (true), or is passed on if this node relays, or is dropped.</summary>
    private bool TakeRelayed(ReadOnlySpan<byte> datagram, PathAddress sender, PacketBatch forward, out PathAddress source)
    {
        source = default;
        if (!RelayHeader.TryRead(datagram, out RelayHeader header))
        {
            Counters.Drop(DropReason.Malformed);
            return false;
        }

        if (header.Destination == node.MemberId)
        {
            if (!node.IsRelay(sender))
            {
                Counters.Drop(DropReason.RelayRefused);
                return false;
            }

            source = sender with { RelayedMember = header.Source };
            return true;
        }

        if (node.TryFindRelayTarget(header, sender, out PathAddress destination) && forward.TryAdd(datagram, destination.Endpoint, destination.Socket))
        {
            Counters.RelayedPackets++;
            Counters.RelayedBytes += datagram.Length;
            node.NoteRelayed(header);
        }
        else
        {
            Counters.Drop(DropReason.RelayRefused);
        }

        return false;
    }

    private static DropReason ReasonOf(OpenResult result) => result switch
    {
        OpenResult.UnknownSession => DropReason.UnknownSession,
        OpenResult.Replayed => DropReason.Replayed,
        OpenResult.Expired => DropReason.Expired,
        OpenResult.Forged => DropReason.Forged,
        _ => DropReason.Malformed,
    };
}
