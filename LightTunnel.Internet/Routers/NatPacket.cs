using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Packets;

namespace LightTunnel.Internet.Routers;

/// <summary>
/// Reads and rewrites what a NAT changes in IPv4 packets: addresses, ports or query identifiers, and the checksums over them, incrementally
/// (RFC 1624). Works on whole packets and on the beginnings that ICMP errors quote: what was not quoted is not touched.
/// </summary>
internal static class NatPacket
{
    /// <summary>Every ICMP error quotes the header and this many bytes of what it is about at least (RFC 792).</summary>
    private const int SmallestQuote = 8;

    private const int IcmpHeaderLength = 8;
    private const int UdpHeaderLength = 8;
    private const byte EchoReply = 0, Unreachable = 3, EchoRequest = 8, TimeExceeded = 11, ParameterProblem = 12;

    /// <summary>Reads a packet's endpoints.</summary>
    /// <returns>False for what a NAT of the laboratory does not translate: fragments, ICMP but queries, other protocols.</returns>
    public static bool TryRead(ReadOnlySpan<byte> packet, out NatProtocol protocol, out UdpEndpoint source, out UdpEndpoint destination)
    {
        protocol = default;
        source = destination = default;
        if (!TrySplit(packet, out int header) || (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF) != 0)
            return false;
        ReadOnlySpan<byte> body = packet[header..];
        ushort first = BinaryPrimitives.ReadUInt16BigEndian(body), second = BinaryPrimitives.ReadUInt16BigEndian(body[2..]);
        switch (packet[9])
        {
            case IpPacket.ProtocolUdp:
                protocol = NatProtocol.Udp;
                break;
            case IpPacket.ProtocolTcp:
                protocol = NatProtocol.Tcp;
                break;
            case IpPacket.ProtocolIcmp when body[0] is EchoRequest or EchoReply:
                protocol = NatProtocol.Icmp;
                ushort identifier = BinaryPrimitives.ReadUInt16BigEndian(body[4..]);
                (first, second) = body[0] == EchoRequest ? (identifier, (ushort)0) : ((ushort)0, identifier);
                break;
            default:
                return false;
        }

        source = UdpEndpoint.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(packet[12..]), first);
        destination = UdpEndpoint.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(packet[16..]), second);
        return true;
    }

    /// <summary>Gives a packet that <see cref="TryRead"/> has read other endpoints.</summary>
    public static void Rewrite(Span<byte> packet, NatProtocol protocol, in UdpEndpoint source, in UdpEndpoint destination)
    {
        Span<byte> addresses = packet.Slice(12, 8);
        uint before = InternetChecksum.Sum(addresses);
        BinaryPrimitives.WriteUInt32BigEndian(addresses, (uint)source.MappedAddress);
        BinaryPrimitives.WriteUInt32BigEndian(addresses[4..], (uint)destination.MappedAddress);
        uint after = InternetChecksum.Sum(addresses);
        Adjust(packet, 10, before, after);

        int header = (packet[0] & 0xF) * 4;
        Span<byte> body = packet[header..];
        if (protocol == NatProtocol.Icmp)
        {
            // Its checksum does not cover addresses.
            uint identifierBefore = BinaryPrimitives.ReadUInt16BigEndian(body[4..]);
            ushort identifier = body[0] == EchoRequest ? source.Port : destination.Port;
            BinaryPrimitives.WriteUInt16BigEndian(body[4..], identifier);
            Adjust(body, 2, identifierBefore, identifier);
            return;
        }

        before += InternetChecksum.Sum(body[..4]);
        BinaryPrimitives.WriteUInt16BigEndian(body, source.Port);
        BinaryPrimitives.WriteUInt16BigEndian(body[2..], destination.Port);
        after += InternetChecksum.Sum(body[..4]);
        if (protocol == NatProtocol.Tcp)
            Adjust(body, 16, before, after);
        else if (body[6] != 0 || body[7] != 0) // RFC 768: zero is no checksum.
            Adjust(body, 6, before, after, neverZero: true);
    }

    /// <summary>Finds the packet that an ICMP error quotes.</summary>
    /// <returns>False when the packet is no ICMP error, or quotes too little.</returns>
    public static bool TryFindQuote(Span<byte> packet, out Span<byte> quote)
    {
        quote = default;
        if (!TrySplit(packet, out int header) || packet[9] != IpPacket.ProtocolIcmp
            || packet[header] is not (Unreachable or TimeExceeded or ParameterProblem))
        {
            return false;
        }

        quote = packet[(header + IcmpHeaderLength)..];
        return TrySplit(quote, out _);
    }

    /// <summary>Gives an ICMP error whose quote was changed other addresses and its checksums.</summary>
    public static void RewriteError(Span<byte> packet, in UdpEndpoint source, in UdpEndpoint destination)
    {
        Span<byte> addresses = packet.Slice(12, 8);
        uint before = InternetChecksum.Sum(addresses);
        BinaryPrimitives.WriteUInt32BigEndian(addresses, (uint)source.MappedAddress);
        BinaryPrimitives.WriteUInt32BigEndian(addresses[4..], (uint)destination.MappedAddress);
        Adjust(packet, 10, before, InternetChecksum.Sum(addresses));
        Span<byte> body = packet[((packet[0] & 0xF) * 4)..];
        body[2..4].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(body[2..], InternetChecksum.Compute(body));
    }

    /// <summary>Turns an echo request into its reply; false when it is none.</summary>
    public static bool TryMakeEchoReply(Span<byte> packet)
    {
        if (!TrySplit(packet, out int header) || packet[9] != IpPacket.ProtocolIcmp || packet[header] != EchoRequest)
            return false;
        uint source = BinaryPrimitives.ReadUInt32BigEndian(packet[12..]);
        packet.Slice(16, 4).CopyTo(packet[12..]);
        BinaryPrimitives.WriteUInt32BigEndian(packet[16..], source);
        packet[header] = EchoReply;
        Adjust(packet[header..], 2, (uint)EchoRequest << 8, 0);
        return true;
    }

    /// <summary>An address as an endpoint without a port.</summary>
    public static UdpEndpoint EndpointOf(TunnelAddress address) =>
        address.IsIPv4 ? UdpEndpoint.FromIPv4((uint)(address.Bits >> 96), 0) : new UdpEndpoint(address.Bits, 0);

    /// <summary>What a UDP packet that <see cref="TryRead"/> has read carries.</summary>
    public static ReadOnlySpan<byte> UdpPayload(ReadOnlySpan<byte> packet) => packet[(((packet[0] & 0xF) * 4) + UdpHeaderLength)..];

    /// <summary>Writes a whole UDP packet.</summary>
    /// <returns>Its length.</returns>
    public static int WriteUdp(Span<byte> packet, in UdpEndpoint source, in UdpEndpoint destination, ReadOnlySpan<byte> payload)
    {
        int length = IpPacket.IPv4HeaderLength + UdpHeaderLength + payload.Length;
        packet = packet[..length];
        Span<byte> header = packet[..IpPacket.IPv4HeaderLength], segment = packet[IpPacket.IPv4HeaderLength..];
        header.Clear();
        header[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)length);
        header[8] = 64;
        header[9] = IpPacket.ProtocolUdp;
        BinaryPrimitives.WriteUInt32BigEndian(header[12..], (uint)source.MappedAddress);
        BinaryPrimitives.WriteUInt32BigEndian(header[16..], (uint)destination.MappedAddress);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], InternetChecksum.Compute(header));
        BinaryPrimitives.WriteUInt16BigEndian(segment, source.Port);
        BinaryPrimitives.WriteUInt16BigEndian(segment[2..], destination.Port);
        BinaryPrimitives.WriteUInt16BigEndian(segment[4..], (ushort)segment.Length);
        segment[6..8].Clear(); // No checksum (RFC 768).
        payload.CopyTo(segment[UdpHeaderLength..]);
        return length;
    }

    private static bool TrySplit(ReadOnlySpan<byte> packet, out int header)
    {
        header = packet.IsEmpty ? 0 : (packet[0] & 0xF) * 4;
        return IpPacket.Version(packet) == 4 && header >= IpPacket.IPv4HeaderLength && packet.Length >= header + SmallestQuote;
    }

    /// <summary>RFC 1624 equation 3: the checksum after the words under it have changed their sum.</summary>
    private static void Adjust(Span<byte> bytes, int offset, uint before, uint after, bool neverZero = false)
    {
        if (bytes.Length < offset + 2)
            return;
        uint old = BinaryPrimitives.ReadUInt16BigEndian(bytes[offset..]);
        ushort adjusted = InternetChecksum.Finish((ushort)~old + (uint)InternetChecksum.Finish(before) + after);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[offset..], neverZero && adjusted == 0 ? (ushort)0xFFFF : adjusted);
    }
}
