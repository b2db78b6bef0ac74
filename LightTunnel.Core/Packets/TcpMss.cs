using System.Buffers.Binary;

namespace LightTunnel.Packets;

/// <summary>
/// Lowers the maximum segment size that a TCP connection is opened with (RFC 9293 section 3.7.1) to what passes a path that is narrower
/// than the interfaces at its ends: so connections need not find out by losses or ICMP.
/// </summary>
internal static class TcpMss
{
    private const byte SynchronizeFlag = 2;
    private const byte EndOfOptions = 0, NoOperation = 1, MaximumSegmentSize = 2, MaximumSegmentSizeLength = 4;

    /// <summary>
    /// Lowers the option in place and puts the checksum right; leaves alone what is not the beginning of a connection, asks for no
    /// more, or is damaged.
    /// </summary>
    /// <param name="packet">A packet whose TCP checksum is complete.</param>
    /// <param name="info">What its headers say.</param>
    /// <param name="mtu">Longest packet that passes, bytes.</param>
    /// <returns>True when the packet was changed.</returns>
    public static bool Clamp(Span<byte> packet, in IpPacketInfo info, int mtu)
    {
        if (info.Protocol != IpPacket.ProtocolTcp || info.FragmentOffset != 0
            || info.TotalLength - info.HeaderLength < TransportHeader.TcpLength)
        {
            return false;
        }
        Span<byte> tcp = packet[info.HeaderLength..info.TotalLength];
        if ((tcp[TransportHeader.TcpFlags + 1] & SynchronizeFlag) == 0)
            return false;
        int headerLength = (tcp[TransportHeader.TcpFlags] >> 4) * 4;
        int offset = headerLength <= tcp.Length ? FindValue(tcp[..headerLength]) : 0;
        int most = mtu - (info.IsIPv4 ? IpPacket.IPv4HeaderLength : IpPacket.IPv6HeaderLength) - TransportHeader.TcpLength;
        if (offset == 0 || BinaryPrimitives.ReadUInt16BigEndian(tcp[offset..]) <= most)
            return false;

        // The value may stand across two of the words that the checksum adds up, which is as if its bytes were swapped (RFC
        // 1071 section 2.B).
        uint before = WordAt(tcp, offset);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[offset..], (ushort)most);
        // RFC 1624 section 3, equation 3.
        uint checksum = (ushort)~BinaryPrimitives.ReadUInt16BigEndian(tcp[PacketChecksums.TcpField..]);
        checksum += (ushort)~before + WordAt(tcp, offset);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[PacketChecksums.TcpField..], InternetChecksum.Finish(checksum));
        return true;
    }

    private static uint WordAt(ReadOnlySpan<byte> tcp, int offset) =>
        (offset & 1) == 0 ? BinaryPrimitives.ReadUInt16BigEndian(tcp[offset..]) : BinaryPrimitives.ReadUInt16LittleEndian(tcp[offset..]);

    /// <summary>Where the option's value stands, 0 when there is none. Each round goes on by a byte at least.</summary>
    private static int FindValue(ReadOnlySpan<byte> header)
    {
        int position = TransportHeader.TcpLength;
        while (position < header.Length && header[position] != EndOfOptions)
        {
            if (header[position] == NoOperation)
            {
                position++;
                continue;
            }

            if (position + 1 >= header.Length)
                return 0;
            int length = header[position + 1];
            if (length < 2 || position + length > header.Length)
                return 0;
            if (header[position] == MaximumSegmentSize)
                return length == MaximumSegmentSizeLength ? position + 2 : 0;
            position += length;
        }

        return 0;
    }
}
