using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Packets;

namespace LightTunnel.Tests.Packets;

/// <summary>Makes whole, valid packets, with checksums, of both families.</summary>
internal static class TestPackets
{
    public static byte[] Udp(string source, string destination, ushort sourcePort, ushort destinationPort, ReadOnlySpan<byte> payload)
    {
        var segment = new byte[8 + payload.Length];
        BinaryPrimitives.WriteUInt16BigEndian(segment, sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), destinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(4), (ushort)segment.Length);
        payload.CopyTo(segment.AsSpan(8));
        uint pseudo = InternetChecksum.PseudoHeaderSum(Address(source), Address(destination), IpPacket.ProtocolUdp, segment.Length);
        ushort checksum = InternetChecksum.Compute(segment, pseudo);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(6), checksum == 0 ? (ushort)0xFFFF : checksum);
        return Ip(source, destination, IpPacket.ProtocolUdp, segment);
    }

    /// <summary>An ICMP or ICMPv6 message, by default an echo request.</summary>
    public static byte[] Icmp(string source, string destination, int type = -1, ushort id = 7, ushort sequence = 1, int payload = 32)
    {
        bool isIPv4 = Address(source).IsIPv4;
        var message = new byte[8 + payload];
        message[0] = (byte)(type >= 0 ? type : isIPv4 ? 8 : 128);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(4), id);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(6), sequence);
        byte protocol = isIPv4 ? IpPacket.ProtocolIcmp : IpPacket.ProtocolIcmpV6;
        uint pseudo = isIPv4 ? 0 : InternetChecksum.PseudoHeaderSum(Address(source), Address(destination), protocol, message.Length);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), InternetChecksum.Compute(message, pseudo));
        return Ip(source, destination, protocol, message);
    }

    public static byte[] Ip(string source, string destination, byte protocol, ReadOnlySpan<byte> payload)
    {
        TunnelAddress from = Address(source), to = Address(destination);
        if (from.IsIPv4)
        {
            var packet = new byte[20 + payload.Length];
            packet[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
            packet[6] = 0x40;
            packet[8] = 64;
            packet[9] = protocol;
            from.WriteTo(packet.AsSpan(12));
            to.WriteTo(packet.AsSpan(16));
            payload.CopyTo(packet.AsSpan(20));
            SealHeader(packet);
            return packet;
        }
        else
        {
            var packet = new byte[40 + payload.Length];
            packet[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)payload.Length);
            packet[6] = protocol;
            packet[7] = 64;
            from.WriteTo(packet.AsSpan(8));
            to.WriteTo(packet.AsSpan(24));
            payload.CopyTo(packet.AsSpan(40));
            return packet;
        }
    }

    /// <summary>Sets the IPv4 header checksum anew after a change.</summary>
    public static void SealHeader(Span<byte> packet)
    {
        packet[10..12].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], InternetChecksum.Compute(packet[..((packet[0] & 0xF) * 4)]));
    }

    public static TunnelAddress Address(string text) =>
        TunnelAddress.TryParse(text, out TunnelAddress address)
            ? address
            : throw new ArgumentException($"'{text}' is no address.", nameof(text));

    public static IpPrefix Prefix(string text) =>
        IpPrefix.TryParse(text, out IpPrefix prefix) ? prefix : throw new ArgumentException($"'{text}' is no prefix.", nameof(text));

    public static InterfaceAddress Interface(string text) =>
        InterfaceAddress.TryParse(text, out InterfaceAddress address)
            ? address
            : throw new ArgumentException($"'{text}' is no address.", nameof(text));
}
