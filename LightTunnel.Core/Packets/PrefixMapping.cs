using System.Buffers.Binary;
using System.Collections.Immutable;
using LightTunnel.Addressing;

namespace LightTunnel.Packets;

/// <summary>
/// Maps networks one to one: a network behind this node, which others have too, is another one to members. Of an address the prefix is
/// replaced and the rest stays, so nothing is remembered between packets. Checksums are kept by the difference that the prefixes make
/// (RFC 1624), which is the same for every address: one that was wrong stays wrong, and so does one that is left open, right. ICMP errors
/// are mapped with what they quote, as their receiver looks for the packet in there. Immutable; used by all data threads.
/// </summary>
/// <remarks>
/// Of the fragments of a packet only the first has a checksum of the upper layer, which is that of the whole packet. Behind an IPv6 routing
/// header that is not used up the checksum covers another destination than the header says; systems drop such packets (RFC 5095).
/// </remarks>
internal sealed class PrefixMapping
{
    private const int IcmpHeaderLength = 8;
    private const byte ProtocolDccp = 33, ProtocolUdpLite = 136;

    private readonly PrefixTable<Rule> _inwards = PrefixTable<Rule>.Empty;
    private readonly PrefixTable<Rule> _outwards = PrefixTable<Rule>.Empty;

    private PrefixMapping(ImmutableArray<PrefixPair> pairs)
    {
        Pairs = pairs;
        foreach (PrefixPair pair in pairs)
        {
            _inwards = _inwards.With(pair.As, new Rule(pair.As, pair.Real));
            _outwards = _outwards.With(pair.Real, new Rule(pair.Real, pair.As));
        }
    }

    /// <summary>What is mapped.</summary>
    public ImmutableArray<PrefixPair> Pairs { get; }

    /// <summary>Makes a mapping; null when nothing is another network to members than it is.</summary>
    /// <exception cref="ArgumentException">The two of a pair differ in family or length, or a pair contradicts another.</exception>
    public static PrefixMapping? Create(IEnumerable<PrefixPair> pairs)
    {
        ImmutableArray<PrefixPair> all = [.. pairs];
        for (int i = 0; i < all.Length; i++)
        {
            PrefixPair pair = all[i];
            if (!pair.IsOneToOne)
                throw new ArgumentException($"{pair.Real} cannot be mapped to {pair.As} one to one.", nameof(pairs));
            for (int j = 0; j < i; j++)
            {
                if (pair.Contradicts(all[j]))
                    throw new ArgumentException($"{pair} contradicts {all[j]}.", nameof(pairs));
            }
        }

        ImmutableArray<PrefixPair> mapped = [.. all.Where(pair => pair.IsMapped)];
        return mapped.IsEmpty ? null : new PrefixMapping(mapped);
    }

    /// <summary>Gives a packet that members sent the destination that it has behind this node.</summary>
    /// <param name="packet">The packet, with complete checksums.</param>
    /// <param name="info">What its headers say.</param>
    public void MapInwards(Span<byte> packet, in IpPacketInfo info)
    {
        if (_inwards.TryLookup(info.Destination, out Rule? rule))
            Replace(packet, info, isSource: false, rule.Map(info.Destination), rule.Difference, isOpen: false);
        MapQuoted(packet, info, _inwards, isSource: true);
    }

    /// <summary>Gives a packet from behind this node the source that it has to members.</summary>
    /// <param name="packet">The packet.</param>
    /// <param name="info">What its headers say, and then say.</param>
    /// <param name="isOpen">True when its checksum field holds the pseudo header's sum only, and the rest is added later.</param>
    public void MapOutwards(Span<byte> packet, ref IpPacketInfo info, bool isOpen)
    {
        if (_outwards.TryLookup(info.Source, out Rule? rule))
        {
            TunnelAddress source = rule.Map(info.Source);
            Replace(packet, info, isSource: true, source, rule.Difference, isOpen);
            info = info with { Source = source };
        }

        MapQuoted(packet, info, _outwards, isSource: false);
    }

    private static void Replace(
        Span<byte> packet, in IpPacketInfo info, bool isSource, TunnelAddress address, uint difference, bool isOpen)
    {
        WriteAddress(packet, address, isSource);
        if (info.IsIPv4)
            Adjust(packet[10..], difference);
        if (info.FragmentOffset == 0)
            AdjustUpper(packet[info.HeaderLength..info.TotalLength], info.Protocol, info.IsIPv4, difference, isOpen);
    }

    /// <summary>Maps the packet that an ICMP error quotes, as far as it is there: it goes the other way.</summary>
    private static void MapQuoted(Span<byte> packet, in IpPacketInfo info, PrefixTable<Rule> rules, bool isSource)
    {
        if (!IsIcmpError(packet, info))
            return;
        Span<byte> icmp = packet[info.HeaderLength..info.TotalLength];
        Span<byte> quoted = icmp[IcmpHeaderLength..];
        if (IpPacket.Version(quoted) != (info.IsIPv4 ? 4 : 6)
            || !(isSource ? IpPacket.TryReadSource(quoted, out TunnelAddress address) : IpPacket.TryReadDestination(quoted, out address))
            || !rules.TryLookup(address, out Rule? rule))
        {
            return;
        }

        // The error's own checksum covers what is quoted, the checksums in there included.
        uint difference = rule.Difference;
        WriteAddress(quoted, rule.Map(address), isSource);
        if (info.IsIPv4)
            difference += Adjust(quoted[10..], rule.Difference);
        if (TryFindQuotedUpper(quoted, out int upper, out byte protocol))
            difference += AdjustUpper(quoted[upper..], protocol, info.IsIPv4, rule.Difference, isOpen: false);
        Adjust(icmp[2..], InternetChecksum.Fold(difference));
    }

    private static bool IsIcmpError(ReadOnlySpan<byte> packet, in IpPacketInfo info)
    {
        if (info.Protocol != (info.IsIPv4 ? IpPacket.ProtocolIcmp : IpPacket.ProtocolIcmpV6) || info.FragmentOffset != 0
            || info.TotalLength - info.HeaderLength < IcmpHeaderLength)
        {
            return false;
        }

        // Unreachable, source quench, redirect, time exceeded and parameter problem (RFC 1122 section 3.2.2); RFC 4443 section 2.1.
        byte type = packet[info.HeaderLength];
        return info.IsIPv4 ? type is 3 or 4 or 5 or 11 or 12 : type < 128;
    }

    /// <summary>
    /// Where the upper layer begins in a packet that is quoted and mostly cut short; false when that is not quoted, or is none.
    /// </summary>
    private static bool TryFindQuotedUpper(ReadOnlySpan<byte> quoted, out int upper, out byte protocol)
    {
        bool isIPv4 = IpPacket.Version(quoted) == 4;
        (upper, protocol) = isIPv4 ? ((quoted[0] & 0xF) * 4, quoted[9]) : (IpPacket.IPv6HeaderLength, quoted[6]);
        if (isIPv4)
        {
            return upper >= IpPacket.IPv4HeaderLength && upper <= quoted.Length
                && (BinaryPrimitives.ReadUInt16BigEndian(quoted[6..]) & 0x1FFF) == 0;
        }

        while (IpPacket.IsExtension(protocol))
        {
            if (quoted.Length - upper < 8
                || (protocol == IpPacket.ExtensionFragment && BinaryPrimitives.ReadUInt16BigEndian(quoted[(upper + 2)..]) > 7))
            {
                return false;
            }

            byte next = quoted[upper];
            upper += IpPacket.ExtensionLength(protocol, quoted[upper + 1]);
            protocol = next;
            if (upper > quoted.Length)
                return false;
        }

        return true;
    }

    /// <summary>Adjusts the upper layer's checksum if it covers the addresses and is there; what became different in its sum.</summary>
    private static uint AdjustUpper(Span<byte> upper, byte protocol, bool isIPv4, uint difference, bool isOpen)
    {
        int field = protocol switch
        {
            IpPacket.ProtocolTcp => PacketChecksums.TcpField,
            IpPacket.ProtocolUdp or ProtocolUdpLite or ProtocolDccp => PacketChecksums.UdpField,
            IpPacket.ProtocolIcmpV6 when !isIPv4 => 2,
            _ => -1,
        };
        if (field < 0 || upper.Length < field + sizeof(ushort))
            return 0;
        upper = upper[field..];
        if (isOpen)
        {
            BinaryPrimitives.WriteUInt16BigEndian(
                upper, (ushort)InternetChecksum.Fold(BinaryPrimitives.ReadUInt16BigEndian(upper) + difference));
            return difference;
        }

        bool mayBeNone = protocol == IpPacket.ProtocolUdp;
        return mayBeNone && BinaryPrimitives.ReadUInt16BigEndian(upper) == 0 ? 0 : Adjust(upper, difference, mayBeNone);
    }

    /// <summary>Adjusts a checksum to what it covers (RFC 1624 section 3, equation 3); what became different in its own place.</summary>
    private static uint Adjust(Span<byte> field, uint difference, bool mayBeNone = false)
    {
        ushort before = BinaryPrimitives.ReadUInt16BigEndian(field);
        ushort after = InternetChecksum.Finish((ushort)~before + difference);
        if (mayBeNone)
            after = PacketChecksums.Sendable(after);
        BinaryPrimitives.WriteUInt16BigEndian(field, after);
        return (uint)(ushort)~before + after;
    }

    private static void WriteAddress(Span<byte> packet, TunnelAddress address, bool isSource) =>
        address.WriteTo(packet[(address.IsIPv4 ? isSource ? 12 : 16 : isSource ? 8 : 24)..]);

    /// <summary>One direction of a pair.</summary>
    private sealed class Rule(IpPrefix from, IpPrefix to)
    {
        private readonly UInt128 _host = ~IpPrefix.MaskOf(to.Length);
        private readonly UInt128 _to = to.Network.Bits;
        private readonly bool _isIPv4 = to.Network.IsIPv4;

        /// <summary>What a sum of 16-bit words grows by when it has an address of the one prefix in place of that of the other.</summary>
        public uint Difference { get; } = DifferenceOf(from, to);

        public TunnelAddress Map(TunnelAddress address) => TunnelAddress.FromBits((address.Bits & _host) | _to, _isIPv4);

        private static uint DifferenceOf(IpPrefix from, IpPrefix to)
        {
            Span<byte> words = stackalloc byte[32];
            BinaryPrimitives.WriteUInt128BigEndian(words, ~from.Network.Bits);
            BinaryPrimitives.WriteUInt128BigEndian(words[16..], to.Network.Bits);
            uint sum = InternetChecksum.Fold(InternetChecksum.Sum(words));
            return sum == ushort.MaxValue ? 0 : sum;
        }
    }
}

/// <summary>A network, and what it is to others.</summary>
/// <param name="Real">The network.</param>
/// <param name="As">What members know it as; of the same family and length.</param>
internal readonly record struct PrefixPair(IpPrefix Real, IpPrefix As)
{
    /// <summary>False when it is known as what it is.</summary>
    public bool IsMapped => Real != As;

    /// <summary>True when each address of the one has its own in the other.</summary>
    public bool IsOneToOne => Real.Network.IsIPv4 == As.Network.IsIPv4 && Real.Length == As.Length;

    /// <summary>True when an address lies in both and it cannot be said which is meant.</summary>
    public bool Contradicts(PrefixPair other) =>
        (IsMapped || other.IsMapped) && (Real.Overlaps(other.Real) || As.Overlaps(other.As));

    /// <summary>"192.168.1.0/24 as 10.99.1.0/24".</summary>
    public override string ToString() => $"{Real} as {As}";
}
