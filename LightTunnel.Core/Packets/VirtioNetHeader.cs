using System.Runtime.InteropServices;

namespace LightTunnel.Packets;

/// <summary>
/// The header that stands before each packet of a TUN device with offloads: struct virtio_net_hdr of the virtio specification (section
/// "Network Device"), in the machine's byte order and without the number of buffers.
/// <code>
/// u8 flags | u8 gso_type | u16 hdr_len | u16 gso_size | u16 csum_start | u16 csum_offset
/// </code>
/// </summary>
internal static class VirtioNetHeader
{
    /// <summary>Bytes of the header.</summary>
    public const int Size = 10;

    private const byte NeedsChecksum = 1;
    private const byte SegmentNone = 0, SegmentTcpIPv4 = 1, SegmentTcpIPv6 = 4, SegmentUdp = 5;

    // The TCP header has the CWR flag: the segmenter keeps it to the first segment in any case, so the bit says nothing new.
    private const byte SegmentTcpEcn = 0x80;

    /// <summary>Reads what the system says of the packet behind the header.</summary>
    /// <param name="header">At least <see cref="Size"/> bytes.</param>
    /// <param name="offload">What is to be done. It is not checked against the packet.</param>
    /// <returns>False when the header is cut short or asks for a segmentation that is not known.</returns>
    public static bool TryRead(ReadOnlySpan<byte> header, out PacketOffload offload)
    {
        offload = default;
        if (header.Length < Size)
            return false;
        bool needsChecksum = (header[0] & NeedsChecksum) != 0;
        SegmentationKind kind;
        switch (header[1])
        {
            case SegmentNone when !needsChecksum:
                return true; // What the other fields hold has no meaning.
            case SegmentNone:
                kind = SegmentationKind.None;
                break;
            case SegmentTcpIPv4 or (SegmentTcpIPv4 | SegmentTcpEcn):
                kind = SegmentationKind.TcpIPv4;
                break;
            case SegmentTcpIPv6 or (SegmentTcpIPv6 | SegmentTcpEcn):
                kind = SegmentationKind.TcpIPv6;
                break;
            case SegmentUdp:
                kind = SegmentationKind.Udp;
                break;
            default:
                return false;
        }

        offload = new PacketOffload
        {
            Kind = kind,
            NeedsChecksum = needsChecksum,
            HeaderLength = MemoryMarshal.Read<ushort>(header[2..]),
            SegmentSize = MemoryMarshal.Read<ushort>(header[4..]),
            ChecksumStart = MemoryMarshal.Read<ushort>(header[6..]),
            ChecksumOffset = MemoryMarshal.Read<ushort>(header[8..]),
        };
        return true;
    }

    /// <summary>Writes the header for a packet that goes to the system.</summary>
    /// <param name="header">At least <see cref="Size"/> bytes.</param>
    /// <param name="offload">What the system is to know of the packet.</param>
    public static void Write(Span<byte> header, in PacketOffload offload)
    {
        header[0] = offload.NeedsChecksum ? NeedsChecksum : (byte)0;
        header[1] = offload.Kind switch
        {
            SegmentationKind.TcpIPv4 => SegmentTcpIPv4,
            SegmentationKind.TcpIPv6 => SegmentTcpIPv6,
            SegmentationKind.Udp => SegmentUdp,
            _ => SegmentNone,
        };
        MemoryMarshal.Write(header[2..], offload.HeaderLength);
        MemoryMarshal.Write(header[4..], offload.SegmentSize);
        MemoryMarshal.Write(header[6..], offload.ChecksumStart);
        MemoryMarshal.Write(header[8..], offload.ChecksumOffset);
    }
}
