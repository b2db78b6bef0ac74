using System.Buffers.Binary;

namespace LightTunnel.Packets;

/// <summary>Completes and verifies the TCP and UDP checksums of whole packets.</summary>
internal static class PacketChecksums
{
    /// <summary>Where the checksum field stands in the TCP header (RFC 9293 section 3.1) and in the UDP header (RFC 768).</summary>
    public const int TcpField = 16, UdpField = 6;

    /// <summary>Adds what is missing to the checksum of a packet that is not segmented.</summary>
    /// <param name="packet">The packet, without a link's padding.</param>
    /// <param name="offload">What the system left to do; a packet whose checksum is complete stays as it is.</param>
    /// <returns>False when the packet has no such bytes; it is unchanged then.</returns>
    public static bool TryComplete(Span<byte> packet, in PacketOffload offload)
    {
        if (!offload.NeedsChecksum)
            return true;
        int field = offload.ChecksumStart + offload.ChecksumOffset;
        if (field + sizeof(ushort) > packet.Length)
            return false;
        // The field is part of what is summed: the pseudo header's sum stands in it.
        ushort checksum = InternetChecksum.Compute(packet[offload.ChecksumStart..]);
        BinaryPrimitives.WriteUInt16BigEndian(packet[field..], Sendable(checksum));
        return true;
    }

    /// <summary>
    /// 0 says "no checksum" in UDP, so a checksum that comes out as 0 is sent as its other representation (RFC 768). TCP and ICMPv6 know no
    /// such case and take either.
    /// </summary>
    public static ushort Sendable(ushort checksum) => checksum == 0 ? ushort.MaxValue : checksum;

    /// <summary>The sum of the pseudo header of a TCP or UDP packet without IPv4 options and IPv6 extension headers.</summary>
    /// <param name="packet">The packet; at least its IP header.</param>
    /// <param name="ipHeaderLength">20 or 40, which also says the family.</param>
    /// <param name="protocol">TCP or UDP.</param>
    /// <param name="length">Bytes of the upper layer's header and data.</param>
    public static uint PseudoHeaderSum(ReadOnlySpan<byte> packet, int ipHeaderLength, byte protocol, int length)
    {
        int addresses = AddressesStart(ipHeaderLength);
        return InternetChecksum.Sum(packet[addresses..ipHeaderLength]) + protocol + (uint)length;
    }

    /// <summary>True when the IPv4 header's and the TCP or UDP checksum are right; for packets as above.</summary>
    public static bool AreValid(ReadOnlySpan<byte> packet, int ipHeaderLength, byte protocol)
    {
        if (ipHeaderLength == IpPacket.IPv4HeaderLength && !InternetChecksum.IsValid(packet[..ipHeaderLength]))
            return false;
        // Both families end their headers with the addresses, so one sum takes those and the upper layer.
        uint rest = protocol + (uint)(packet.Length - ipHeaderLength);
        return InternetChecksum.IsValid(packet[AddressesStart(ipHeaderLength)..], rest);
    }

    private static int AddressesStart(int ipHeaderLength) => ipHeaderLength == IpPacket.IPv4HeaderLength ? 12 : 8;
}
