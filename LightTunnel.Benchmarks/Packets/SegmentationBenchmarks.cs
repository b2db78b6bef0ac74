using System.Buffers.Binary;
using BenchmarkDotNet.Attributes;
using LightTunnel.Addressing;
using LightTunnel.Packets;

namespace LightTunnel.Benchmarks.Packets;

/// <summary>
/// Cutting one super-packet of a TCP stream into segments, and merging those into one again: per super-packet, not per segment.
/// </summary>
public class SegmentationBenchmarks
{
    private const int HeaderLength = 40;
    private const int SegmentSize = 1380;
    private const int SegmentCount = 44;

    private static readonly PacketOffload Offload = new()
    {
        Kind = SegmentationKind.TcpIPv4,
        NeedsChecksum = true,
        SegmentSize = SegmentSize,
        ChecksumStart = IpPacket.IPv4HeaderLength,
        ChecksumOffset = 16,
        HeaderLength = HeaderLength,
    };

    private readonly byte[] _superPacket = new byte[HeaderLength + (SegmentCount * SegmentSize)];
    private readonly byte[] _superHeader = new byte[HeaderLength];
    private readonly byte[] _firstHeader = new byte[HeaderLength];
    private readonly PacketBatch _segments = new(SegmentCount, HeaderLength + SegmentSize);
    private readonly PacketCoalescer _coalescer = new(SegmentCount);

    [GlobalSetup]
    public void Prepare()
    {
        new Random(1).NextBytes(_superPacket.AsSpan(HeaderLength));
        WriteHeader(_superPacket);
        _superPacket.AsSpan(0, HeaderLength).CopyTo(_superHeader);
        if (!PacketSegmenter.TryCreate(_superPacket, Offload, out PacketSegmenter segmenter))
            throw new InvalidOperationException("The super-packet is not one.");
        while (segmenter.TryNext(out Span<byte> segment))
            _segments.TryAdd(segment);
        _segments.Packet(0)[..HeaderLength].CopyTo(_firstHeader);
        if (Merge() != 1)
            throw new InvalidOperationException("The segments are not of one stream.");
    }

    /// <summary>The segments before have destroyed the payload, but not how much there is of it; the headers are put back.</summary>
    [Benchmark]
    public int Split()
    {
        _superHeader.CopyTo(_superPacket, 0);
        int bytes = 0;
        PacketSegmenter.TryCreate(_superPacket, Offload, out PacketSegmenter segmenter);
        while (segmenter.TryNext(out Span<byte> segment))
            bytes += segment.Length;
        return bytes;
    }

    /// <summary>Merging changes the first segment's headers only; they are put back.</summary>
    [Benchmark]
    public int Merge()
    {
        _firstHeader.CopyTo(_segments.Packet(0));
        _coalescer.Run(_segments);
        return _coalescer.GroupCount;
    }

    /// <summary>IPv4 and TCP without options; the TCP checksum is left open, as the system leaves it.</summary>
    private static void WriteHeader(Span<byte> packet)
    {
        packet[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)packet.Length);
        packet[6] = 0x40; // May not be fragmented.
        packet[8] = 64;
        packet[9] = IpPacket.ProtocolTcp;
        BinaryPrimitives.WriteUInt32BigEndian(packet[12..], 0x0A00_0014);
        BinaryPrimitives.WriteUInt32BigEndian(packet[16..], 0x0A00_0001);
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], InternetChecksum.Compute(packet[..IpPacket.IPv4HeaderLength]));

        Span<byte> tcp = packet[IpPacket.IPv4HeaderLength..];
        BinaryPrimitives.WriteUInt16BigEndian(tcp, 50000);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[2..], 5201);
        tcp[12] = 5 << 4; // Header length in words.
        tcp[13] = 0x10; // ACK.
        BinaryPrimitives.WriteUInt16BigEndian(tcp[14..], 500);
        uint pseudo = InternetChecksum.PseudoHeaderSum(
            TunnelAddress.FromIPv4(0x0A00_0014), TunnelAddress.FromIPv4(0x0A00_0001), IpPacket.ProtocolTcp, tcp.Length);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[16..], (ushort)InternetChecksum.Fold(pseudo));
    }
}
