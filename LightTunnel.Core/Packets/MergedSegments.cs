using System.Buffers.Binary;

namespace LightTunnel.Packets;

/// <summary>
/// Puts TCP segments that follow each other into one, which is complete: a packet like any that a sender with a larger MTU might have sent,
/// with full checksums and nothing left for the system to do. The segments themselves stay as they are.
/// </summary>
internal static class MergedSegments
{
    // Where the flags stand in the TCP header.
    private const int Flags = TransportHeader.TcpFlags + 1;

    /// <summary>Bytes of the packet.</summary>
    /// <param name="packets">Where the segments are.</param>
    /// <param name="coalescer">Found that they belong together.</param>
    /// <param name="first">Slot of the first of them.</param>
    /// <param name="count">How many.</param>
    /// <param name="headerLength">Bytes of the headers of each.</param>
    public static int Length(PacketBatch packets, PacketCoalescer coalescer, int first, int count, int headerLength)
    {
        int length = headerLength;
        for (int slot = first; count > 0; slot = coalescer.Next(slot), count--)
            length += packets[slot].Length - headerLength;
        return length;
    }

    /// <summary>Writes the packet; parameters as above.</summary>
    /// <param name="packets">Where the segments are.</param>
    /// <param name="coalescer">Found that they belong together.</param>
    /// <param name="first">Slot of the first of them.</param>
    /// <param name="count">How many.</param>
    /// <param name="headerLength">Bytes of the headers of each.</param>
    /// <param name="destination">As many bytes as <see cref="Length"/> says.</param>
    public static void Write(PacketBatch packets, PacketCoalescer coalescer, int first, int count, int headerLength, Span<byte> destination)
    {
        ReadOnlySpan<byte> segment = packets.Packet(first);
        segment.CopyTo(destination);
        int end = segment.Length;
        for (int slot = first; --count > 0;)
        {
            slot = coalescer.Next(slot);
            segment = packets.Packet(slot);
            segment[headerLength..].CopyTo(destination[end..]);
            end += segment.Length - headerLength;
        }

        int ipLength = IpPacket.Version(destination) == 4 ? IpPacket.IPv4HeaderLength : IpPacket.IPv6HeaderLength;
        destination[ipLength + Flags] |= (byte)(segment[ipLength + Flags] & TransportHeader.Psh);
        Seal(destination, ipLength);
    }

    private static void Seal(Span<byte> packet, int ipLength)
    {
        if (ipLength == IpPacket.IPv4HeaderLength)
        {
            BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)packet.Length);
            packet[10..12].Clear();
            BinaryPrimitives.WriteUInt16BigEndian(packet[10..], InternetChecksum.Compute(packet[..ipLength]));
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(packet.Length - ipLength));
        }

        Span<byte> tcp = packet[ipLength..];
        tcp.Slice(PacketChecksums.TcpField, sizeof(ushort)).Clear();
        uint pseudoHeader = PacketChecksums.PseudoHeaderSum(packet, ipLength, IpPacket.ProtocolTcp, tcp.Length);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[PacketChecksums.TcpField..], InternetChecksum.Compute(tcp, pseudoHeader));
    }
}
