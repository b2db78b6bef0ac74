using System.Buffers.Binary;
using BenchmarkDotNet.Attributes;
using LightTunnel.Addressing;
using LightTunnel.Packets;

namespace LightTunnel.Benchmarks.Packets;

/// <summary>
/// What a network that is another one to members costs each packet, beside what is read of its headers anyway.
/// </summary>
public class PrefixMappingBenchmarks
{
    private readonly byte[] _packet = new byte[1240];
    private PrefixMapping _mapping = null!;

    /// <summary>Networks that are mapped; the packet's is the last of them.</summary>
    [Params(1, 8)]
    public int Networks { get; set; }

    [Params(true, false)]
    public bool IPv4 { get; set; }

    [GlobalSetup]
    public void Prepare()
    {
        PrefixPair[] pairs = [.. Enumerable.Range(1, Networks).Select(number => new PrefixPair(Real(number), As(number)))];
        _mapping = PrefixMapping.Create(pairs) ?? throw new InvalidOperationException("Nothing is mapped.");
        TunnelAddress host = pairs[^1].As.Network, member = IPv4 ? TunnelAddress.FromIPv4(0x0A00_0005) : TunnelAddress.FromIPv6(5);
        int header = IPv4 ? IpPacket.IPv4HeaderLength : IpPacket.IPv6HeaderLength;
        Span<byte> packet = _packet.AsSpan(0, header + 1200);
        packet[0] = (byte)(IPv4 ? 0x45 : 0x60);
        BinaryPrimitives.WriteUInt16BigEndian(packet[(IPv4 ? 2 : 4)..], (ushort)(IPv4 ? packet.Length : 1200));
        packet[IPv4 ? 9 : 6] = IpPacket.ProtocolUdp;
        member.WriteTo(packet[(IPv4 ? 12 : 8)..]);
        host.WriteTo(packet[(IPv4 ? 16 : 24)..]);
        packet[header + 6] = 1;
    }

    [Benchmark(Baseline = true)]
    public bool ReadHeaders() => IpPacket.TryParse(_packet, out _);

    [Benchmark]
    public bool ReadHeadersAndMapInwards()
    {
        if (!IpPacket.TryParse(_packet, out IpPacketInfo info))
            return false;
        _mapping.MapInwards(_packet, info);
        // Back to where it was, for the next time.
        info.Destination.WriteTo(_packet.AsSpan(IPv4 ? 16 : 24));
        return true;
    }

    [Benchmark]
    public bool ReadHeadersAndFindNothingToMap()
    {
        if (!IpPacket.TryParse(_packet, out IpPacketInfo info))
            return false;
        _mapping.MapOutwards(_packet, ref info, isOpen: false);
        return info.IsIPv4;
    }

    private IpPrefix Real(int number) => Numbered(0xC0A8_0000, number);

    private IpPrefix As(int number) => Numbered(0x0A63_0000, number);

    private IpPrefix Numbered(uint first, int number)
    {
        uint network = first + ((uint)number << 8);
        return IPv4 ? new IpPrefix(TunnelAddress.FromIPv4(network), 24) : new IpPrefix(TunnelAddress.FromIPv6((UInt128)network << 96), 24);
    }
}
