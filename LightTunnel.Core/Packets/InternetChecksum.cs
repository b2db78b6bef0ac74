using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LightTunnel.Addressing;

namespace LightTunnel.Packets;

/// <summary>
/// The ones' complement checksum of IP, ICMP, UDP and TCP (RFC 1071). Sums are numbers in network order (the first byte is the
/// upper half of a word) and can be added to each other; <see cref="Finish"/> folds and complements them.
/// </summary>
internal static class InternetChecksum
{
    /// <summary>The checksum of the bytes, together with sums taken before (a pseudo header's).</summary>
    public static ushort Compute(ReadOnlySpan<byte> data, uint initial = 0) => Finish(Sum(data) + initial);

    /// <summary>True when the bytes, which contain their checksum, add up as they should.</summary>
    public static bool IsValid(ReadOnlySpan<byte> data, uint initial = 0) => Finish(Sum(data) + initial) == 0;

    /// <summary>The sum of the bytes as 16-bit words, folded to 16 bits. An odd last byte counts as the upper half of a word.</summary>
    public static uint Sum(ReadOnlySpan<byte> data)
    {
        // The sum is taken in the machine's byte order and swapped at the end (RFC 1071 section 2.B), 32 bits at a time in 64-bit
        // lanes (section 2.C): a lane cannot overflow below 2^32 words, and a packet has 2^14.
        ulong sum = 0;
        ref byte start = ref MemoryMarshal.GetReference(data);
        int offset = 0;
        if (Vector512.IsHardwareAccelerated && data.Length >= Vector512<byte>.Count)
        {
            Vector512<ulong> lower = Vector512.Create(0xFFFF_FFFFUL), evenLanes = default, oddLanes = default;
            for (; offset <= data.Length - Vector512<byte>.Count; offset += Vector512<byte>.Count)
            {
                Vector512<ulong> words = Vector512.LoadUnsafe(ref start, (nuint)offset).AsUInt64();
                evenLanes += words & lower;
                oddLanes += words >> 32;
            }

            sum = Vector512.Sum(evenLanes + oddLanes);
        }

        if (Vector256.IsHardwareAccelerated && data.Length - offset >= Vector256<byte>.Count)
        {
            Vector256<ulong> lower = Vector256.Create(0xFFFF_FFFFUL), evenLanes = default, oddLanes = default;
            for (; offset <= data.Length - Vector256<byte>.Count; offset += Vector256<byte>.Count)
            {
                Vector256<ulong> words = Vector256.LoadUnsafe(ref start, (nuint)offset).AsUInt64();
                evenLanes += words & lower;
                oddLanes += words >> 32;
            }

            sum += Vector256.Sum(evenLanes + oddLanes);
        }

        for (; offset <= data.Length - 4; offset += 4)
            sum += Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref start, offset));
        if (offset <= data.Length - 2)
        {
            sum += Unsafe.ReadUnaligned<ushort>(ref Unsafe.Add(ref start, offset));
            offset += 2;
        }

        if (offset < data.Length)
            sum += BitConverter.IsLittleEndian ? data[offset] : (uint)data[offset] << 8;

        sum = (sum & 0xFFFF_FFFF) + (sum >> 32);
        sum = (sum & 0xFFFF_FFFF) + (sum >> 32);
        uint folded = Fold((uint)sum);
        return BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness((ushort)folded) : folded;
    }

    /// <summary>
    /// The sum of the pseudo header that UDP, TCP and ICMPv6 checksums cover besides their own bytes (RFC 768, RFC 9293
    /// section 3.1, RFC 8200 section 8.1).
    /// </summary>
    /// <param name="source">The packet's sender.</param>
    /// <param name="destination">The packet's receiver, of the same family.</param>
    /// <param name="protocol">IANA protocol number of the upper layer.</param>
    /// <param name="length">Bytes of the upper layer's header and data.</param>
    public static uint PseudoHeaderSum(TunnelAddress source, TunnelAddress destination, byte protocol, int length)
    {
        Span<byte> addresses = stackalloc byte[32];
        int written = source.WriteTo(addresses);
        written += destination.WriteTo(addresses[written..]);
        return Sum(addresses[..written]) + protocol + ((uint)length >> 16) + ((uint)length & 0xFFFF);
    }

    /// <summary>Folds a sum to 16 bits and complements it: what stands in a header's checksum field.</summary>
    public static ushort Finish(uint sum) => (ushort)~Fold(sum);

    /// <summary>Folds a sum to 16 bits without complementing it.</summary>
    public static uint Fold(uint sum)
    {
        sum = (sum & 0xFFFF) + (sum >> 16);
        return (sum & 0xFFFF) + (sum >> 16);
    }
}
