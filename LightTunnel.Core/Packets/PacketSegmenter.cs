using System.Buffers.Binary;

namespace LightTunnel.Packets;

/// <summary>
/// Cuts a super-packet into packets that fit on a wire, in place and one after the other: each segment's headers are written straight
/// before its payload, over the end of the segment before. So a segment may be used until the next one is asked for, and its headers, which
/// the next one's are made from, must not be changed. Bytes written behind a segment (padding) fall on the next one's payload: the caller
/// saves them and puts them back before it asks for the next.
/// </summary>
internal ref struct PacketSegmenter
{
    private readonly Span<byte> _packet;
    private readonly int _ipHeaderLength;
    private readonly int _segmentSize;
    private readonly bool _isIPv4;
    private readonly bool _isTcp;

    // The sums of all that is the same in each segment's IPv4 header, and in its pseudo and upper-layer header.
    private readonly uint _ipSum;
    private readonly uint _upperSum;
    private readonly ushort _firstId;
    private readonly uint _firstSequence;
    private readonly ushort _flags;
    private int _next;

    private PacketSegmenter(Span<byte> packet, scoped in IpPacketInfo info, int upperHeaderLength, int segmentSize)
    {
        _packet = packet;
        _ipHeaderLength = info.HeaderLength;
        _segmentSize = segmentSize;
        _isIPv4 = info.IsIPv4;
        _isTcp = info.Protocol == IpPacket.ProtocolTcp;
        HeaderLength = info.HeaderLength + upperHeaderLength;
        Count = Math.Max(1, (packet.Length - HeaderLength + segmentSize - 1) / segmentSize);

        // What differs between segments is taken out of the sums by adding its complement (RFC 1624).
        if (_isIPv4)
        {
            _firstId = BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
            ushort length = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
            ushort checksum = BinaryPrimitives.ReadUInt16BigEndian(packet[10..]);
            _ipSum = InternetChecksum.Fold(
                InternetChecksum.Sum(packet[.._ipHeaderLength]) + (ushort)~length + (ushort)~_firstId + (ushort)~checksum);
        }

        // The checksum field holds the pseudo header's sum. Taken from there, it is right behind an IPv6 routing header too.
        ReadOnlySpan<byte> upper = packet[_ipHeaderLength..HeaderLength];
        uint sum = InternetChecksum.Sum(upper) + (ushort)~(packet.Length - _ipHeaderLength);
        if (_isTcp)
        {
            _firstSequence = BinaryPrimitives.ReadUInt32BigEndian(upper[4..]);
            _flags = BinaryPrimitives.ReadUInt16BigEndian(upper[TransportHeader.TcpFlags..]);
            sum += (ushort)~(_firstSequence >> 16) + (uint)(ushort)~_firstSequence + (ushort)~_flags;
        }
        else
        {
            sum += (ushort)~BinaryPrimitives.ReadUInt16BigEndian(upper[4..]);
        }

        _upperSum = InternetChecksum.Fold(sum);
    }

    /// <summary>Number of segments, at least 1.</summary>
    public int Count { get; }

    /// <summary>Bytes of the headers in each segment.</summary>
    public int HeaderLength { get; }

    /// <summary>Bytes from one segment's start to the next one's: of payload in each, but that the last may have fewer.</summary>
    public readonly int SegmentSize => _segmentSize;

    /// <summary>Bytes of the longest segment with its headers.</summary>
    public readonly int LongestSegment => Math.Min(HeaderLength + _segmentSize, _packet.Length);

    /// <summary>Bytes of the segment that <see cref="TryNext"/> makes next; 0 when there is none.</summary>
    public readonly int NextLength => _next >= Count ? 0 : Math.Min(HeaderLength + _segmentSize, _packet.Length - (_next * _segmentSize));

    /// <summary>Checks a super-packet and prepares its segmentation. Nothing is written yet.</summary>
    /// <param name="packet">The packet; what lies behind the length that its IP header says is left out.</param>
    /// <param name="offload">What the system said of it.</param>
    /// <param name="segmenter">The segments.</param>
    /// <returns>False when it is no such packet, or a plain one, which needs no segmenter.</returns>
    public static bool TryCreate(Span<byte> packet, in PacketOffload offload, out PacketSegmenter segmenter)
    {
        segmenter = default;
        // The system always leaves a super-packet's checksum open: nobody could have completed it for segments that are not there.
        if (offload.SegmentSize == 0 || !offload.NeedsChecksum)
            return false;
        if (!IpPacket.TryParse(packet, out IpPacketInfo info) || info.IsFragment || !IsOfKind(info, offload.Kind))
            return false;

        packet = packet[..info.TotalLength];
        ReadOnlySpan<byte> upper = packet[info.HeaderLength..];
        bool isTcp = info.Protocol == IpPacket.ProtocolTcp;
        int field = isTcp ? PacketChecksums.TcpField : PacketChecksums.UdpField;
        int fixedLength = isTcp ? TransportHeader.TcpLength : TransportHeader.UdpLength;
        if (upper.Length < fixedLength || offload.ChecksumStart != info.HeaderLength || offload.ChecksumOffset != field)
            return false;
        int upperHeaderLength = isTcp ? (upper[TransportHeader.TcpFlags] >> 4) * 4 : fixedLength;
        if (upperHeaderLength < fixedLength || upperHeaderLength > upper.Length)
            return false;
        segmenter = new PacketSegmenter(packet, info, upperHeaderLength, offload.SegmentSize);
        return true;
    }

    /// <summary>Makes the next segment: a whole packet with all lengths, numbers and checksums.</summary>
    /// <param name="segment">The segment, in the super-packet's memory.</param>
    /// <returns>False when there is none left.</returns>
    public bool TryNext(out Span<byte> segment)
    {
        int index = _next;
        if (index >= Count)
        {
            segment = default;
            return false;
        }

        _next = index + 1;
        int start = index * _segmentSize;
        segment = _packet.Slice(start, Math.Min(HeaderLength + _segmentSize, _packet.Length - start));
        if (index > 0)
            _packet.Slice(start - _segmentSize, HeaderLength).CopyTo(segment);
        if (_isIPv4)
            FinishIPv4(segment, (ushort)(_firstId + index));
        else
            BinaryPrimitives.WriteUInt16BigEndian(segment[4..], (ushort)(segment.Length - IpPacket.IPv6HeaderLength));
        Span<byte> upper = segment[_ipHeaderLength..];
        uint payloadSum = InternetChecksum.Sum(segment[HeaderLength..]);
        if (_isTcp)
            FinishTcp(upper, index, payloadSum);
        else
            FinishUdp(upper, payloadSum);
        return true;
    }

    private static bool IsOfKind(in IpPacketInfo info, SegmentationKind kind) => kind switch
    {
        SegmentationKind.TcpIPv4 => info.Protocol == IpPacket.ProtocolTcp && info.IsIPv4,
        SegmentationKind.TcpIPv6 => info.Protocol == IpPacket.ProtocolTcp && !info.IsIPv4,
        SegmentationKind.Udp => info.Protocol == IpPacket.ProtocolUdp,
        _ => false,
    };

    private readonly void FinishIPv4(Span<byte> segment, ushort id)
    {
        BinaryPrimitives.WriteUInt16BigEndian(segment[2..], (ushort)segment.Length);
        BinaryPrimitives.WriteUInt16BigEndian(segment[4..], id);
        BinaryPrimitives.WriteUInt16BigEndian(segment[10..], InternetChecksum.Finish(_ipSum + (uint)segment.Length + id));
    }

    private readonly void FinishTcp(Span<byte> upper, int index, uint payloadSum)
    {
        uint sequence = _firstSequence + (uint)(index * _segmentSize);
        ushort flags = _flags;
        if (index > 0)
            flags &= unchecked((ushort)~TransportHeader.Cwr); // RFC 3168 section 6.1.2: said once for each reduction of the window.
        if (index < Count - 1)
            flags &= unchecked((ushort)~(TransportHeader.Fin | TransportHeader.Psh));
        BinaryPrimitives.WriteUInt32BigEndian(upper[4..], sequence);
        BinaryPrimitives.WriteUInt16BigEndian(upper[TransportHeader.TcpFlags..], flags);
        uint sum = _upperSum + payloadSum + (uint)upper.Length + (sequence >> 16) + (ushort)sequence + flags;
        BinaryPrimitives.WriteUInt16BigEndian(upper[PacketChecksums.TcpField..], InternetChecksum.Finish(sum));
    }

    private readonly void FinishUdp(Span<byte> upper, uint payloadSum)
    {
        BinaryPrimitives.WriteUInt16BigEndian(upper[4..], (ushort)upper.Length);
        // The length stands in the pseudo header and in the UDP header.
        uint sum = _upperSum + payloadSum + (2 * (uint)upper.Length);
        BinaryPrimitives.WriteUInt16BigEndian(
            upper[PacketChecksums.UdpField..], PacketChecksums.Sendable(InternetChecksum.Finish(sum)));
    }
}
