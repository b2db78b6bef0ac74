using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Packets;

namespace LightTunnel.Tun;

/// <summary>
/// Writes to the sending ring of a Wintun session. The driver hands every packet of the ring up by itself, and takes packets of up to
/// 65,535 bytes whatever the interface's MTU is: so what costs is their number, and TCP segments that follow each other are written as
/// longer ones. To the system these are segments like any other: it is not told that they were merged, and does not cut them again. From
/// that follow the two rules here.
/// </summary>
/// <remarks>
/// The driver makes a NET_BUFFER_LIST of every packet and tells NDIS of each by itself, which costs more than all else on the way down; but
/// it registers for packets of 65,535 bytes, and the interface's MTU bounds what is sent only. Microsoft's rules for drivers that coalesce
/// (RSC, "Indicating Coalesced Segments") are kept: a merged segment looks like one received over the wire, no longer than an IP datagram
/// may be, with checksums made anew. One cannot be: a driver says how many segments it merged, and Wintun has no place for that. UDP is not
/// merged, as the datagrams would no longer be the same ones.
/// </remarks>
/// <param name="api">The driver.</param>
/// <param name="merges">False to write every packet by itself.</param>
internal sealed unsafe class WintunWriter(IWintunApi api, bool merges)
{
    /// <summary>
    /// A run of segments becomes two packets, never one, and needs this many. Who acknowledges every other segment that arrives, however
    /// long it is, as older versions of Windows do by Microsoft's documents, acknowledges the rest after a while only (RFC 9293 section
    /// 3.8.6.3): a sender whose whole window came as one would stand still until then. Of today's Windows nothing was
    /// found, and nothing was measured.
    /// </summary>
    internal const int FewestMerged = 4;

    // As many as a batch to be written may have.
    private const int MaximumSlots = 512;

    private readonly PacketCoalescer? _coalescer = merges ? new PacketCoalescer(MaximumSlots) { MergesUdp = false } : null;
    private long _errors;

    /// <summary>Packets that the system did not get.</summary>
    public long Errors => Interlocked.Read(ref _errors);

    /// <summary>Counts packets that the system did not get.</summary>
    public void AddErrors(int count) => Interlocked.Add(ref _errors, count);

    /// <summary>Writes every slot of non-zero length; for one thread.</summary>
    /// <param name="session">The session, which must not end meanwhile.</param>
    /// <param name="batch">The packets; they are not changed.</param>
    /// <param name="own">
    /// The interface's addresses. Only what goes to them ends in this machine: what Windows is to route further must fit into the MTU of
    /// where it goes, and a longer one is lost.
    /// </param>
    public void Write(nint session, PacketBatch batch, IReadOnlyList<InterfaceAddress> own)
    {
        if (_coalescer is null)
        {
            for (int i = 0; i < batch.Count; i++)
            {
                if (batch[i].Length > 0)
                    Write(session, batch.Packet(i));
            }

            return;
        }

        _coalescer.FindGroups(batch);
        for (int i = 0; i < _coalescer.GroupCount; i++)
        {
            PacketGroup group = _coalescer[i];
            int merged = group.Segments >= FewestMerged && IsFor(batch.Packet(group.Head), own) ? group.Segments / 2 : 0;
            int next = Write(session, batch, group.Head, group.Segments - merged, merged > 0, group.HeaderLength);
            if (merged > 0)
                Write(session, batch, next, merged, merge: true, group.HeaderLength);
        }
    }

    /// <summary>Writes one packet; any thread.</summary>
    public void Write(nint session, ReadOnlySpan<byte> packet)
    {
        // The driver trusts what it is given: refuse here what Linux refuses there.
        byte* place = IpPacket.Version(packet) is 4 or 6 && packet.Length <= WintunDevice.MaximumPacket
            ? api.AllocateSendPacket(session, (uint)packet.Length)
            : null;
        if (place is null)
        {
            AddErrors(1);
            return;
        }

        packet.CopyTo(new Span<byte>(place, packet.Length));
        api.SendPacket(session, place);
    }

    private static bool IsFor(ReadOnlySpan<byte> packet, IReadOnlyList<InterfaceAddress> own)
    {
        TunnelAddress destination = IpPacket.Version(packet) == 4
            ? TunnelAddress.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(packet[16..]))
            : TunnelAddress.FromIPv6(BinaryPrimitives.ReadUInt128BigEndian(packet[24..]));
        for (int i = 0; i < own.Count; i++)
        {
            if (own[i].Address == destination)
                return true;
        }

        return false;
    }

    /// <summary>Writes packets of one group, as one if that is wanted and the ring has room for it; returns the slot behind them.</summary>
    private int Write(nint session, PacketBatch batch, int first, int count, bool merge, int headerLength)
    {
        Span<byte> place = merge ? Allocate(session, MergedSegments.Length(batch, _coalescer!, first, count, headerLength)) : [];
        if (!place.IsEmpty)
        {
            MergedSegments.Write(batch, _coalescer!, first, count, headerLength, place);
            fixed (byte* packet = place)
                api.SendPacket(session, packet);
        }

        int slot = first;
        for (; count > 0; slot = _coalescer!.Next(slot), count--)
        {
            if (place.IsEmpty)
                Write(session, batch.Packet(slot));
        }

        return slot;
    }

    private Span<byte> Allocate(nint session, int length)
    {
        byte* place = api.AllocateSendPacket(session, (uint)length);
        return place is null ? [] : new Span<byte>(place, length);
    }
}
