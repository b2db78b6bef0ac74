using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace LightTunnel.Packets;

/// <summary>
/// A number by which flows are spread over several queues: all packets of one flow have the same; its fragments, which do not all tell the
/// ports, have another one. Who has many flows share a number on purpose slows only these down, so there is no secret in it.
/// </summary>
internal static class FlowHash
{
    private const ulong Mixer = 0x9E37_79B9_7F4A_7C15;

    /// <summary>
    /// The number of the packet's flow: addresses, protocol and, where these stand at their usual place, ports; 0 for what is no IP packet.
    /// </summary>
    public static uint Of(ReadOnlySpan<byte> packet)
    {
        TransportHeader.Read(packet, out TransportHeader header);
        ulong hash;
        switch (IpPacket.Version(packet))
        {
            case 4 when packet.Length >= IpPacket.IPv4HeaderLength:
                hash = BinaryPrimitives.ReadUInt64LittleEndian(packet[12..]);
                break;
            case 6 when packet.Length >= IpPacket.IPv6HeaderLength:
                hash = 0;
                for (int word = 8; word < IpPacket.IPv6HeaderLength; word += sizeof(ulong))
                    hash = Mix(hash, BinaryPrimitives.ReadUInt64LittleEndian(packet[word..]));
                break;
            default:
                return 0;
        }

        if (header.Flow == FlowVisibility.Visible)
            hash = Mix(hash, header.Protocol | ((ulong)BinaryPrimitives.ReadUInt32LittleEndian(packet[header.IpLength..]) << 8));
        return (uint)(Mix(hash, Mixer) >> 32);
    }

    /// <summary>Which of so many queues the packet's flow belongs to.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int QueueOf(ReadOnlySpan<byte> packet, int queues) => (int)(((ulong)Of(packet) * (uint)queues) >> 32);

    // Both halves of the product, so that each bit counts for each other one.
    private static ulong Mix(ulong hash, ulong word)
    {
        ulong high = Math.BigMul(hash ^ word ^ Mixer, Mixer, out ulong low);
        return high ^ low;
    }
}
