using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LightTunnel.WireGuard.Vectors;

/// <summary>
/// Poly1305 (RFC 8439 section 2.5), one block or, by vectors, several blocks at once. Written once for any number of lanes of
/// <see cref="ILimbs{TSelf}"/>. Numbers modulo 2^130 - 5 are five limbs of 26 bits, so that products of limbs and their sums fit 64 bits
/// and carries can wait. No branch and no index depends on key or message.
/// </summary>
internal struct VectorPoly1305
{
    /// <summary>Bytes of the one-time key.</summary>
    public const int KeySize = 32;

    /// <summary>Bytes of the tag.</summary>
    public const int TagSize = 16;

    private const int BlockSize = 16;

    // The powers of r that more lanes need cost as much as some blocks do without: below so many bytes they do not pay. Measured on a Zen
    // 4, whose vectors of 512 bit are no faster than two of 256; where they are, the second could be lower.
    private const int Minimum256 = 64;
    private const int Minimum512 = 1024;

    private const int LimbBits = 26;
    private const ulong LimbMask = (1UL << LimbBits) - 1;

    private readonly VectorPath _path;
    private readonly Limbs _r, _s;
    private Limbs _h;

    /// <summary>Takes the one-time key: r, to be clamped, and s (RFC 8439 section 2.5.1).</summary>
    public VectorPoly1305(VectorPath path, ReadOnlySpan<byte> key)
    {
        _path = path;
        ulong low = BinaryPrimitives.ReadUInt64LittleEndian(key), high = BinaryPrimitives.ReadUInt64LittleEndian(key[8..]);
        _r = new(low & 0x0ffffffc_0fffffff, high & 0x0ffffffc_0ffffffc);
        _s = new(BinaryPrimitives.ReadUInt64LittleEndian(key[16..]), BinaryPrimitives.ReadUInt64LittleEndian(key[24..]));
    }

    /// <summary>Takes in data and zeroes up to the next multiple of 16 bytes (RFC 8439 section 2.8.1, pad16).</summary>
    public void AddPadded(ReadOnlySpan<byte> data)
    {
        if (_path >= VectorPath.Avx512 && data.Length >= Minimum512)
            data = data[AddGroups<Limbs512>(data, 1)..];
        if (_path >= VectorPath.Avx2 && data.Length >= Minimum256)
            data = data[AddGroups<Limbs256>(data, 1)..];
        if (data.Length >= BlockSize)
            data = data[AddGroups<Limbs64>(data, 1)..];
        if (!data.IsEmpty)
            AddLast(data, 0, 1);
    }

    /// <summary>
    /// Takes in a last block of less than 16 bytes that is not padded but ends with a one (RFC 8439 section 2.5.1); an AEAD has none.
    /// </summary>
    public void AddShortBlock(ReadOnlySpan<byte> block) => AddLast(block, 1, 0);

    /// <summary>Takes in the lengths that end what an AEAD authenticates (RFC 8439 section 2.8).</summary>
    public void AddLengths(int associatedData, int ciphertext)
    {
        ReadOnlySpan<ulong> lengths = [(ulong)associatedData, (ulong)ciphertext];
        AddGroups<Limbs64>(MemoryMarshal.AsBytes(lengths), 1);
    }

    /// <summary>The tag: the accumulator modulo 2^130 - 5, plus s, modulo 2^128.</summary>
    public readonly void Finish(Span<byte> tag)
    {
        Limbs h = _h;
        h.Carry();
        h.Carry();

        // h + 5 - 2^130 is the remainder, unless it is negative.
        Limbs g = h;
        g.L0 += 5;
        g.CarryUp();
        ulong exceeds = 0 - (g.L4 >> LimbBits);
        h.L0 = (h.L0 & ~exceeds) | (g.L0 & exceeds);
        h.L1 = (h.L1 & ~exceeds) | (g.L1 & exceeds);
        h.L2 = (h.L2 & ~exceeds) | (g.L2 & exceeds);
        h.L3 = (h.L3 & ~exceeds) | (g.L3 & exceeds);
        h.L4 = (h.L4 & ~exceeds) | (g.L4 & exceeds);

        h.L0 += _s.L0; h.L1 += _s.L1; h.L2 += _s.L2; h.L3 += _s.L3; h.L4 += _s.L4;
        h.CarryUp();
        BinaryPrimitives.WriteUInt64LittleEndian(tag, h.L0 | (h.L1 << 26) | (h.L2 << 52));
        BinaryPrimitives.WriteUInt64LittleEndian(tag[8..], (h.L2 >> 12) | (h.L3 << 14) | (h.L4 << 40));
    }

    /// <summary>A block of less than 16 bytes, the byte after it, zeroes, and <paramref name="end"/> times 2^128.</summary>
    private void AddLast(ReadOnlySpan<byte> block, byte after, ulong end)
    {
        Span<byte> padded = stackalloc byte[BlockSize];
        padded.Clear();
        block.CopyTo(padded);
        padded[block.Length] = after;
        AddGroups<Limbs64>(padded, end);
    }

    /// <summary>
    /// With n lanes, lane i takes blocks i, i + n and so on: all lanes multiply by r^n, and at last each by the power that its block still
    /// lacks. The accumulator joins the first block. One lane does what RFC 8439 section 2.5.1 says, word for word.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int AddGroups<TLimbs>(ReadOnlySpan<byte> data, ulong endBit)
        where TLimbs : struct, ILimbs<TLimbs>
    {
        int groups = data.Length / (TLimbs.Count * BlockSize);
        if (groups == 0)
            return 0;
        ref byte block = ref MemoryMarshal.GetReference(data);
        TLimbs mask = TLimbs.Broadcast(LimbMask), end = TLimbs.Broadcast(endBit << 24);

        // p becomes r^n in lane 0 down to r^1 in the lane of the last block: square and multiply, for all lanes at once.
        TLimbs p0 = TLimbs.Broadcast(_r.L0), p1 = TLimbs.Broadcast(_r.L1), p2 = TLimbs.Broadcast(_r.L2);
        TLimbs p3 = TLimbs.Broadcast(_r.L3), p4 = TLimbs.Broadcast(_r.L4);
        TLimbs r0 = p0, r1 = p1, r2 = p2, r3 = p3, r4 = p4, d0, d1, d2, d3, d4;
        TLimbs s1 = Times5(p1), s2 = Times5(p2), s3 = Times5(p3), s4 = Times5(p4);
        for (int power = 1; power < TLimbs.Count; power *= 2)
        {
            Multiply(p0, p1, p2, p3, p4, r0, r1, r2, r3, r4, s1, s2, s3, s4, out d0, out d1, out d2, out d3, out d4);
            Reduce(mask, ref d0, ref d1, ref d2, ref d3, ref d4);
            TLimbs lanes = TLimbs.LanesOfPower(power);
            p0 = TLimbs.Select(lanes, d0, p0); p1 = TLimbs.Select(lanes, d1, p1); p2 = TLimbs.Select(lanes, d2, p2);
            p3 = TLimbs.Select(lanes, d3, p3); p4 = TLimbs.Select(lanes, d4, p4);
            r0 = TLimbs.BroadcastFirst(p0); r1 = TLimbs.BroadcastFirst(p1); r2 = TLimbs.BroadcastFirst(p2);
            r3 = TLimbs.BroadcastFirst(p3); r4 = TLimbs.BroadcastFirst(p4);
            s1 = Times5(r1); s2 = Times5(r2); s3 = Times5(r3); s4 = Times5(r4);
        }

        TLimbs h0 = TLimbs.First(_h.L0), h1 = TLimbs.First(_h.L1), h2 = TLimbs.First(_h.L2);
        TLimbs h3 = TLimbs.First(_h.L3), h4 = TLimbs.First(_h.L4);
        for (int i = 0; ; i++)
        {
            TLimbs.LoadBlocks(ref block, out TLimbs low, out TLimbs high);
            h0 += low & mask;
            h1 += (low >>> 26) & mask;
            h2 += ((low >>> 52) | (high << 12)) & mask;
            h3 += (high >>> 14) & mask;
            h4 += (high >>> 40) | end;
            if (i == groups - 1)
                break;
            Multiply(h0, h1, h2, h3, h4, r0, r1, r2, r3, r4, s1, s2, s3, s4, out h0, out h1, out h2, out h3, out h4);
            Reduce(mask, ref h0, ref h1, ref h2, ref h3, ref h4);
            block = ref Unsafe.Add(ref block, TLimbs.Count * BlockSize);
        }

        s1 = Times5(p1); s2 = Times5(p2); s3 = Times5(p3); s4 = Times5(p4);
        Multiply(h0, h1, h2, h3, h4, p0, p1, p2, p3, p4, s1, s2, s3, s4, out d0, out d1, out d2, out d3, out d4);
        _h.L0 = TLimbs.Sum(d0); _h.L1 = TLimbs.Sum(d1); _h.L2 = TLimbs.Sum(d2); _h.L3 = TLimbs.Sum(d3); _h.L4 = TLimbs.Sum(d4);
        _h.Carry();
        return groups * TLimbs.Count * BlockSize;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLimbs Times5<TLimbs>(TLimbs limbs)
        where TLimbs : struct, ILimbs<TLimbs> => limbs + (limbs << 2);

    /// <summary>The sums of products of limbs for each power of 2^26; what belongs above 2^130 comes back times 5.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Multiply<TLimbs>(
        TLimbs h0, TLimbs h1, TLimbs h2, TLimbs h3, TLimbs h4, TLimbs r0, TLimbs r1, TLimbs r2, TLimbs r3, TLimbs r4,
        TLimbs s1, TLimbs s2, TLimbs s3, TLimbs s4, out TLimbs d0, out TLimbs d1, out TLimbs d2, out TLimbs d3, out TLimbs d4)
        where TLimbs : struct, ILimbs<TLimbs>
    {
        d0 = (h0 * r0) + (h1 * s4) + (h2 * s3) + (h3 * s2) + (h4 * s1);
        d1 = (h0 * r1) + (h1 * r0) + (h2 * s4) + (h3 * s3) + (h4 * s2);
        d2 = (h0 * r2) + (h1 * r1) + (h2 * r0) + (h3 * s4) + (h4 * s3);
        d3 = (h0 * r3) + (h1 * r2) + (h2 * r1) + (h3 * r0) + (h4 * s4);
        d4 = (h0 * r4) + (h1 * r3) + (h2 * r2) + (h3 * r1) + (h4 * r0);
    }

    /// <summary>Carries from limb to limb, in two chains at once, until each is little above 26 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Reduce<TLimbs>(TLimbs mask, ref TLimbs d0, ref TLimbs d1, ref TLimbs d2, ref TLimbs d3, ref TLimbs d4)
        where TLimbs : struct, ILimbs<TLimbs>
    {
        d1 += d0 >>> LimbBits; d0 &= mask;
        d4 += d3 >>> LimbBits; d3 &= mask;
        d2 += d1 >>> LimbBits; d1 &= mask;
        TLimbs above = d4 >>> LimbBits; d4 &= mask;
        d0 += above + (above << 2);
        d3 += d2 >>> LimbBits; d2 &= mask;
        d1 += d0 >>> LimbBits; d0 &= mask;
        d4 += d3 >>> LimbBits; d3 &= mask;
    }

    /// <summary>A number modulo 2^130 - 5: five limbs of 26 bits, with room for sums and late carries.</summary>
    private struct Limbs(ulong low, ulong high)
    {
        public ulong L0 = low & LimbMask;
        public ulong L1 = (low >> 26) & LimbMask;
        public ulong L2 = ((low >> 52) | (high << 12)) & LimbMask;
        public ulong L3 = (high >> 14) & LimbMask;
        public ulong L4 = high >> 40;

        /// <summary>Carries once around; what is above 2^130 comes back times 5.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Carry()
        {
            CarryUp();
            L0 += 5 * (L4 >> LimbBits);
            L4 &= LimbMask;
            L1 += L0 >> LimbBits;
            L0 &= LimbMask;
        }

        /// <summary>Carries from the lowest to the highest limb, which keeps the excess.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void CarryUp()
        {
            L1 += L0 >> LimbBits;
            L0 &= LimbMask;
            L2 += L1 >> LimbBits;
            L1 &= LimbMask;
            L3 += L2 >> LimbBits;
            L2 &= LimbMask;
            L4 += L3 >> LimbBits;
            L3 &= LimbMask;
        }
    }
}
