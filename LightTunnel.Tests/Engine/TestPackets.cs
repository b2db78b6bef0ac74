using System.Buffers.Binary;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Inner packets made and read by hand.</summary>
internal static class TestPackets
{
    private const int UdpHeader = 8;

    /// <summary>A UDP packet from port 1 to port 2 that must not be fragmented; the UDP checksum is left out.</summary>
    public static byte[] Udp(TunnelAddress source, TunnelAddress destination, ReadOnlySpan<byte> body)
    {
        int header = source.IsIPv4 ? IpPacket.IPv4HeaderLength : IpPacket.IPv6HeaderLength;
        byte[] packet = new byte[header + UdpHeader + body.Length];
        if (source.IsIPv4)
        {
            packet[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
            packet[6] = 0x40;
            packet[8] = 64;
            packet[9] = IpPacket.ProtocolUdp;
            source.WriteTo(packet.AsSpan(12));
            destination.WriteTo(packet.AsSpan(16));
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), InternetChecksum.Compute(packet.AsSpan(0, header)));
        }
        else
        {
            packet[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)(packet.Length - header));
            packet[6] = IpPacket.ProtocolUdp;
            packet[7] = 64;
            source.WriteTo(packet.AsSpan(8));
            destination.WriteTo(packet.AsSpan(24));
        }

        Span<byte> udp = packet.AsSpan(header);
        udp[1] = 1;
        udp[3] = 2;
        BinaryPrimitives.WriteUInt16BigEndian(udp[4..], (ushort)udp.Length);
        body.CopyTo(udp[UdpHeader..]);
        return packet;
    }

    /// <summary>The body of a UDP packet, or "icmp TYPE/CODE".</summary>
    public static string Describe(byte[] packet)
    {
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info), "Not an IP packet arrived.");
        Assert.Equal(packet.Length, info.TotalLength);
        ReadOnlySpan<byte> payload = packet.AsSpan(info.HeaderLength);
        return info.Protocol == IpPacket.ProtocolUdp ? Encoding.ASCII.GetString(payload[UdpHeader..]) : $"icmp {payload[0]}/{payload[1]}";
    }
}
