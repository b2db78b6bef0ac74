using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Packets;

namespace LightTunnel.Access;

/// <summary>What a packet is to the flow that it is of.</summary>
internal enum FlowPart : byte
{
    /// <summary>It can begin one, and go on with one.</summary>
    Any,

    /// <summary>It begins one: a TCP segment that asks for a connection, an echo request.</summary>
    Opening,

    /// <summary>It goes on with one: any other TCP segment, an echo reply.</summary>
    Later,

    /// <summary>An ICMP error about a packet of it, which went the other way.</summary>
    Error,

    /// <summary>A fragment that does not tell its ports: it goes with the first fragment of its packet.</summary>
    LateFragment,

    /// <summary>None: its upper-layer header is cut short, or hidden in a way that honest senders do not use.</summary>
    Hidden,
}

/// <summary>What rules look at of a packet, read once.</summary>
/// <param name="Key">Its flow.</param>
/// <param name="Part">What it is to the flow.</param>
/// <param name="Protocol">Its protocol, as rules name it.</param>
/// <param name="Port">The port that the packet goes to; -1 when it is not known.</param>
/// <param name="ReplyPort">The port that answers go to; -1 when it is not known.</param>
internal readonly record struct PacketFlow(FlowKey Key, FlowPart Part, RuleProtocol Protocol, int Port, int ReplyPort)
{
    private const int NoPort = -1;

    // TCP segments of a first fragment must be there up to their flags (RFC 1858 section 3, RFC 3128).
    private const int TcpFlags = 13, TcpChecked = 20, UdpLength = 8, IcmpLength = 8;
    private const byte Syn = 0x02, Ack = 0x10;

    /// <summary>Reads a packet.</summary>
    /// <param name="packet">The packet.</param>
    /// <param name="info">What its headers say.</param>
    /// <param name="isInbound">True when the peer sent it.</param>
    public static PacketFlow Read(ReadOnlySpan<byte> packet, in IpPacketInfo info, bool isInbound)
    {
        if (info.FragmentOffset != 0)
        {
            bool overlaps = info.Protocol == IpPacket.ProtocolTcp && info.FragmentOffset < TcpChecked;
            return Make(info, isInbound, FragmentsOf(info, isInbound), overlaps ? FlowPart.Hidden : FlowPart.LateFragment);
        }

        ReadOnlySpan<byte> upper = packet[info.HeaderLength..info.TotalLength];
        return info.Protocol switch
        {
            IpPacket.ProtocolTcp => upper.Length < TcpChecked
                ? Hidden(info, isInbound)
                : OfPorts(upper, info, isInbound, (upper[TcpFlags] & (Syn | Ack)) == Syn ? FlowPart.Opening : FlowPart.Later),
            IpPacket.ProtocolUdp => upper.Length < UdpLength ? Hidden(info, isInbound) : OfPorts(upper, info, isInbound, FlowPart.Any),
            IpPacket.ProtocolIcmp when info.IsIPv4 => OfIcmp(upper, info, isInbound),
            IpPacket.ProtocolIcmpV6 when !info.IsIPv4 => OfIcmp(upper, info, isInbound),
            _ => Make(info, isInbound, KeyOf(info, isInbound, 0), FlowPart.Any),
        };
    }

    /// <summary>The flow of the fragments of one packet.</summary>
    public static FlowKey FragmentsOf(in IpPacketInfo info, bool isInbound) => new(
        isInbound ? info.Source : info.Destination, isInbound ? info.Destination : info.Source, info.Protocol, info.FragmentId,
        isInbound ? FlowKind.PeersFragments : FlowKind.OwnFragments);

    private static PacketFlow OfPorts(ReadOnlySpan<byte> upper, in IpPacketInfo info, bool isInbound, FlowPart part)
    {
        ushort source = BinaryPrimitives.ReadUInt16BigEndian(upper), destination = BinaryPrimitives.ReadUInt16BigEndian(upper[2..]);
        return Make(info, isInbound, KeyOf(info, isInbound, Pair(source, destination, isInbound)), part) with
        {
            Port = destination, ReplyPort = source,
        };
    }

    private static PacketFlow OfIcmp(ReadOnlySpan<byte> message, in IpPacketInfo info, bool isInbound)
    {
        if (message.Length < IcmpLength)
            return Hidden(info, isInbound);
        byte type = message[0];
        FlowPart part = (info.IsIPv4, type) switch
        {
            (true, 8) or (false, 128) => FlowPart.Opening,
            (true, 0) or (false, 129) => FlowPart.Later,
            (true, 3 or 4 or 11 or 12) or (false, >= 1 and <= 4) => FlowPart.Error,
            _ => FlowPart.Any,
        };
        if (part == FlowPart.Error)
        {
            return TryReadQuoted(message[IcmpLength..], info, isInbound, out FlowKey quoted)
                ? Make(info, isInbound, quoted, FlowPart.Error)
                : Make(info, isInbound, KeyOf(info, isInbound, type), FlowPart.Any);
        }

        uint id = part == FlowPart.Any ? type : BinaryPrimitives.ReadUInt16BigEndian(message[4..]) | 0x1_0000u;
        return Make(info, isInbound, KeyOf(info, isInbound, id), part);
    }

    /// <summary>The flow of the packet that an error is about, which who gets the error must have sent to who sends it.</summary>
    private static bool TryReadQuoted(ReadOnlySpan<byte> quote, in IpPacketInfo error, bool isInbound, out FlowKey flow)
    {
        flow = default;
        if (IpPacket.Version(quote) != (error.IsIPv4 ? 4 : 6) || !IpPacket.TryReadSource(quote, out TunnelAddress source)
            || !IpPacket.TryReadDestination(quote, out TunnelAddress destination)
            || source != error.Destination || destination != error.Source)
        {
            return false;
        }

        int headers = error.IsIPv4 ? (quote[0] & 0xF) * 4 : IpPacket.IPv6HeaderLength;
        byte protocol = error.IsIPv4 ? quote[9] : quote[6];
        bool isLateFragment = error.IsIPv4 && (BinaryPrimitives.ReadUInt16BigEndian(quote[6..]) & 0x1FFF) != 0;
        if (headers < IpPacket.IPv4HeaderLength || isLateFragment || quote.Length < headers + IcmpLength)
            return false;
        ReadOnlySpan<byte> upper = quote[headers..];
        uint ports = protocol switch
        {
            IpPacket.ProtocolTcp or IpPacket.ProtocolUdp => Pair(
                BinaryPrimitives.ReadUInt16BigEndian(upper), BinaryPrimitives.ReadUInt16BigEndian(upper[2..]), !isInbound),
            IpPacket.ProtocolIcmp or IpPacket.ProtocolIcmpV6 => BinaryPrimitives.ReadUInt16BigEndian(upper[4..]) | 0x1_0000u,
            _ => 0,
        };
        flow = KeyOf(error with { Protocol = protocol }, isInbound, ports);
        return true;
    }

    private static PacketFlow Hidden(in IpPacketInfo info, bool isInbound) =>
        Make(info, isInbound, KeyOf(info, isInbound, 0), FlowPart.Hidden);

    private static PacketFlow Make(in IpPacketInfo info, bool isInbound, in FlowKey key, FlowPart part) => new(
        key,
        part,
        info.Protocol switch
        {
            IpPacket.ProtocolTcp => RuleProtocol.Tcp,
            IpPacket.ProtocolUdp => RuleProtocol.Udp,
            IpPacket.ProtocolIcmp when info.IsIPv4 => RuleProtocol.Icmp,
            IpPacket.ProtocolIcmpV6 when !info.IsIPv4 => RuleProtocol.Icmp,
            _ => RuleProtocol.Any,
        },
        NoPort,
        NoPort);

    private static FlowKey KeyOf(in IpPacketInfo info, bool isInbound, uint ports) => isInbound
        ? new FlowKey(info.Source, info.Destination, info.Protocol, ports)
        : new FlowKey(info.Destination, info.Source, info.Protocol, ports);

    /// <summary>Both ports of a packet: the peer's first.</summary>
    private static uint Pair(ushort source, ushort destination, bool isInbound) =>
        isInbound ? ((uint)source << 16) | destination : ((uint)destination << 16) | source;
}
