using System.Buffers.Binary;
using LightTunnel.Addressing;

namespace LightTunnel.Packets;

/// <summary>Why a packet does not reach its destination.</summary>
internal enum UnreachableReason
{
    /// <summary>No route leads there.</summary>
    NoRoute,

    /// <summary>There is a route, but who has the address is not there.</summary>
    HostUnreachable,

    /// <summary>A rule forbids it: "communication administratively prohibited".</summary>
    Prohibited,
}

/// <summary>
/// Writes the ICMP errors that a router answers with (RFC 792, 1191, 1812 section 4.3; RFC 4443). Nothing is written where
/// no error may be sent: in answer to an ICMP error or redirect, to a fragment other than the first, to a damaged header, to multicast
/// and broadcast, or to a source that is not one host. A network's own broadcast address is not known here: that is the caller's to check.
/// An error that is written to a TUN device must not come from an address of that very machine: Linux drops packets that
/// arrive from outside with a source of its own (martians). The offender's destination is a good source there.
/// </summary>
internal static class IcmpErrors
{
    /// <summary>Longest error, bytes: RFC 4443 section 2.4(c) lets it fill the smallest IPv6 MTU.</summary>
    public const int MaximumLength = 1280;

    // RFC 1812 section 4.3.2.3: quote as much as fits into 576 bytes.
    private const int MaximumLengthV4 = 576;
    private const int IcmpHeaderLength = 8;
    private const byte HopLimit = 64;

    /// <summary>Writes a "destination unreachable".</summary>
    /// <param name="offender">The packet that cannot be delivered; a link's padding behind it is left out of the quote.</param>
    /// <param name="reason">Why.</param>
    /// <param name="source">The sender of the error, one host of the offender's family; see above for whose address.</param>
    /// <param name="destination">Memory for the error; the quote is cut to what fits.</param>
    /// <returns>Bytes written, or 0 when no error may be sent.</returns>
    public static int WriteUnreachable(ReadOnlySpan<byte> offender, UnreachableReason reason, TunnelAddress source, Span<byte> destination)
    {
        (byte codeV4, byte codeV6) = reason switch
        {
            UnreachableReason.NoRoute => ((byte)0, (byte)0),
            UnreachableReason.HostUnreachable => ((byte)1, (byte)3),
            _ => ((byte)13, (byte)1),
        };
        return TryAdmit(offender, source, allowMulticast: false, out IpPacketInfo info)
            ? info.IsIPv4
                ? WriteIPv4(offender[..info.TotalLength], info, type: 3, codeV4, parameter: 0, source, destination)
                : WriteIPv6(offender[..info.TotalLength], info, type: 1, codeV6, parameter: 0, source, destination)
            : 0;
    }

    /// <summary>
    /// Writes "fragmentation needed" (IPv4; only for packets with the don't-fragment flag) or "packet too big" (IPv6).
    /// </summary>
    /// <param name="offender">The packet that is too long.</param>
    /// <param name="mtu">Longest packet that passes, bytes.</param>
    /// <param name="source">The sender of the error, one host of the offender's family; see above for whose address.</param>
    /// <param name="destination">Memory for the error; the quote is cut to what fits.</param>
    /// <returns>Bytes written, or 0 when no error may be sent.</returns>
    public static int WriteTooBig(ReadOnlySpan<byte> offender, int mtu, TunnelAddress source, Span<byte> destination)
    {
        // RFC 4443 section 2.4(e.3): path MTU discovery must work for multicast too, but RFC 1122 section 3.2.2 knows no such exception.
        bool isIPv6 = IpPacket.Version(offender) == 6;
        if (!TryAdmit(offender, source, allowMulticast: isIPv6, out IpPacketInfo info) || !info.DontFragment)
            return 0;
        return info.IsIPv4
            ? WriteIPv4(offender[..info.TotalLength], info, type: 3, code: 4, (uint)Math.Min(mtu, ushort.MaxValue), source, destination)
            : WriteIPv6(offender[..info.TotalLength], info, type: 2, code: 0, (uint)mtu, source, destination);
    }

    private static bool TryAdmit(ReadOnlySpan<byte> offender, TunnelAddress source, bool allowMulticast, out IpPacketInfo info)
    {
        if (!IpPacket.TryParse(offender, out info) || info.IsIPv4 != source.IsIPv4 || !IsOneHost(source) || info.FragmentOffset != 0)
            return false;
        if (!IsOneHost(info.Source) || (!allowMulticast && IsMulticastOrBroadcast(info.Destination)))
            return false;
        ReadOnlySpan<byte> upper = offender[info.HeaderLength..info.TotalLength];
        if (info.IsIPv4)
        {
            if (!InternetChecksum.IsValid(offender[..info.HeaderLength]))
                return false;
            // Unreachable, source quench, redirect, time exceeded and parameter problem are the errors (RFC 1122 section 3.2.2).
            return info.Protocol != IpPacket.ProtocolIcmp || (upper.Length > 0 && upper[0] is not (3 or 4 or 5 or 11 or 12));
        }

        // RFC 4443 section 2.1: types below 128 are errors; section 2.4(e.2): neither answer redirects (137).
        return info.Protocol != IpPacket.ProtocolIcmpV6 || (upper.Length > 0 && upper[0] is >= 128 and not 137);
    }

    private static bool IsOneHost(TunnelAddress address)
    {
        if (!address.IsIPv4)
            return address.IsSpecified && address.Bits != UInt128.One && !IsMulticastOrBroadcast(address);
        uint value = (uint)(address.Bits >> 96);
        uint first = value >> 24;
        return first is not 0 and not 127 and < 224;
    }

    private static bool IsMulticastOrBroadcast(TunnelAddress address)
    {
        byte first = (byte)(address.Bits >> 120);
        return address.IsIPv4 ? first is >= 224 and < 240 || (uint)(address.Bits >> 96) == uint.MaxValue : first == 0xFF;
    }

    private static int WriteIPv4(
        ReadOnlySpan<byte> offender, in IpPacketInfo info, byte type, byte code, uint parameter, TunnelAddress source,
        Span<byte> destination)
    {
        const int Headers = IpPacket.IPv4HeaderLength + IcmpHeaderLength;
        int length = Math.Min(Math.Min(Headers + offender.Length, MaximumLengthV4), destination.Length);
        // RFC 792: at least the offender's header and 8 bytes of its data.
        if (length < Headers + Math.Min(offender.Length, info.HeaderLength + 8))
            return 0;
        Span<byte> packet = destination[..length];
        packet[..Headers].Clear();
        packet[0] = 0x45;
        packet[1] = 0xC0; // Precedence "internetwork control" (RFC 1812 section 4.3.2.5).
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)length);
        packet[6] = 0x40; // Never fragmented, so its identification may be 0 (RFC 6864).
        packet[8] = HopLimit;
        packet[9] = IpPacket.ProtocolIcmp;
        source.WriteTo(packet[12..]);
        info.Source.WriteTo(packet[16..]);
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], InternetChecksum.Compute(packet[..IpPacket.IPv4HeaderLength]));

        Span<byte> icmp = packet[IpPacket.IPv4HeaderLength..];
        icmp[0] = type;
        icmp[1] = code;
        BinaryPrimitives.WriteUInt32BigEndian(icmp[4..], parameter); // RFC 1191 section 4: the MTU in the lower half.
        offender[..(length - Headers)].CopyTo(icmp[IcmpHeaderLength..]);
        BinaryPrimitives.WriteUInt16BigEndian(icmp[2..], InternetChecksum.Compute(icmp));
        return length;
    }

    private static int WriteIPv6(
        ReadOnlySpan<byte> offender, in IpPacketInfo info, byte type, byte code, uint parameter, TunnelAddress source,
        Span<byte> destination)
    {
        const int Headers = IpPacket.IPv6HeaderLength + IcmpHeaderLength;
        int length = Math.Min(Math.Min(Headers + offender.Length, MaximumLength), destination.Length);
        if (length < Headers + Math.Min(offender.Length, info.HeaderLength + 8))
            return 0;
        Span<byte> packet = destination[..length];
        packet[..Headers].Clear();
        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(length - IpPacket.IPv6HeaderLength));
        packet[6] = IpPacket.ProtocolIcmpV6;
        packet[7] = HopLimit;
        source.WriteTo(packet[8..]);
        info.Source.WriteTo(packet[24..]);

        Span<byte> icmp = packet[IpPacket.IPv6HeaderLength..];
        icmp[0] = type;
        icmp[1] = code;
        BinaryPrimitives.WriteUInt32BigEndian(icmp[4..], parameter);
        offender[..(length - Headers)].CopyTo(icmp[IcmpHeaderLength..]);
        uint pseudo = InternetChecksum.PseudoHeaderSum(source, info.Source, IpPacket.ProtocolIcmpV6, icmp.Length);
        BinaryPrimitives.WriteUInt16BigEndian(icmp[2..], InternetChecksum.Compute(icmp, pseudo));
        return length;
    }
}
