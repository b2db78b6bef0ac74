using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace LightTunnel.WireGuard.Vectors;

/// <summary>
/// A vector of 32 bit words in lanes of 128 bit, as ChaCha20 uses it. What is said of words or rows happens in each lane alone.
/// </summary>
internal interface IWords<TSelf>
    where TSelf : struct, IWords<TSelf>
{
    /// <summary>The number of words.</summary>
    static abstract int Count { get; }

    /// <summary>0, 1, 2 and so on.</summary>
    static abstract TSelf Sequence { get; }

    /// <summary>The same word everywhere.</summary>
    static abstract TSelf Broadcast(uint word);

    static abstract TSelf operator +(TSelf left, TSelf right);

    static abstract TSelf operator ^(TSelf left, TSelf right);

    // The rotations by name, for each may be another instruction.
    static abstract TSelf RotateLeft16(TSelf words);

    static abstract TSelf RotateLeft12(TSelf words);

    static abstract TSelf RotateLeft8(TSelf words);

    static abstract TSelf RotateLeft7(TSelf words);

    /// <summary>Words 0 of both, then words 1 of both, of each lane.</summary>
    static abstract TSelf InterleaveLow(TSelf left, TSelf right);

    /// <summary>Words 2 of both, then words 3 of both, of each lane.</summary>
    static abstract TSelf InterleaveHigh(TSelf left, TSelf right);

    /// <summary>The first two words of both, of each lane.</summary>
    static abstract TSelf InterleaveLowPairs(TSelf left, TSelf right);

    /// <summary>The last two words of both, of each lane.</summary>
    static abstract TSelf InterleaveHighPairs(TSelf left, TSelf right);

    /// <summary>Writes lane j of the four, together one block of 64 bytes, at <paramref name="stride"/> times j.</summary>
    static abstract void StoreBlocks(TSelf a, TSelf b, TSelf c, TSelf d, ref byte destination, nuint stride);
}

/// <summary>Such a vector, used as one row of a 4 x 4 state per lane.</summary>
internal interface IRows<TSelf> : IWords<TSelf>
    where TSelf : struct, IRows<TSelf>
{
    /// <summary>Lane j has j as its first word; the others are 0.</summary>
    static abstract TSelf LaneNumbers { get; }

    /// <summary>Each lane has the number of lanes as its first word; the others are 0.</summary>
    static abstract TSelf LaneCounts { get; }

    /// <summary>The same row in each lane.</summary>
    static abstract TSelf BroadcastRow(Vector128<uint> row);

    /// <summary>Words 1, 2, 3, 0 of each lane.</summary>
    static abstract TSelf RotateRows1(TSelf rows);

    /// <summary>Words 2, 3, 0, 1 of each lane.</summary>
    static abstract TSelf RotateRows2(TSelf rows);

    /// <summary>Words 3, 0, 1, 2 of each lane.</summary>
    static abstract TSelf RotateRows3(TSelf rows);
}

/// <summary>16 words, by AVX-512.</summary>
internal readonly struct Words512(Vector512<uint> value) : IWords<Words512>
{
    private readonly Vector512<uint> _value = value;

    public static int Count => 16;

    public static Words512 Sequence => new(Vector512<uint>.Indices);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 Broadcast(uint word) => new(Vector512.Create(word));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 operator +(Words512 left, Words512 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 operator ^(Words512 left, Words512 right) => new(left._value ^ right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 RotateLeft16(Words512 words) => new(Avx512F.RotateLeft(words._value, 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 RotateLeft12(Words512 words) => new(Avx512F.RotateLeft(words._value, 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 RotateLeft8(Words512 words) => new(Avx512F.RotateLeft(words._value, 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 RotateLeft7(Words512 words) => new(Avx512F.RotateLeft(words._value, 7));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 InterleaveLow(Words512 left, Words512 right) => new(Avx512F.UnpackLow(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 InterleaveHigh(Words512 left, Words512 right) => new(Avx512F.UnpackHigh(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 InterleaveLowPairs(Words512 left, Words512 right) =>
        new(Avx512F.UnpackLow(left._value.AsUInt64(), right._value.AsUInt64()).AsUInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words512 InterleaveHighPairs(Words512 left, Words512 right) =>
        new(Avx512F.UnpackHigh(left._value.AsUInt64(), right._value.AsUInt64()).AsUInt32());

    /// <summary>A 4 x 4 transposition of lanes: first pairs of lanes of two vectors, then of the pairs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBlocks(Words512 a, Words512 b, Words512 c, Words512 d, ref byte destination, nuint stride)
    {
        Vector512<uint> abLow = Avx512F.Shuffle4x128(a._value, b._value, 0b01_00_01_00);
        Vector512<uint> abHigh = Avx512F.Shuffle4x128(a._value, b._value, 0b11_10_11_10);
        Vector512<uint> cdLow = Avx512F.Shuffle4x128(c._value, d._value, 0b01_00_01_00);
        Vector512<uint> cdHigh = Avx512F.Shuffle4x128(c._value, d._value, 0b11_10_11_10);
        Avx512F.Shuffle4x128(abLow, cdLow, 0b10_00_10_00).AsByte().StoreUnsafe(ref destination);
        Avx512F.Shuffle4x128(abLow, cdLow, 0b11_01_11_01).AsByte().StoreUnsafe(ref destination, stride);
        Avx512F.Shuffle4x128(abHigh, cdHigh, 0b10_00_10_00).AsByte().StoreUnsafe(ref destination, 2 * stride);
        Avx512F.Shuffle4x128(abHigh, cdHigh, 0b11_01_11_01).AsByte().StoreUnsafe(ref destination, 3 * stride);
    }
}

/// <summary>8 words, by AVX2; the rotations perhaps by more.</summary>
internal readonly struct Words256<TRotation>(Vector256<uint> value) : IRows<Words256<TRotation>>
    where TRotation : struct, IRotation
{
    private readonly Vector256<uint> _value = value;

    public static int Count => 8;

    public static Words256<TRotation> Sequence => new(Vector256<uint>.Indices);

    public static Words256<TRotation> LaneNumbers => new(Vector256.Create(0u, 0, 0, 0, 1, 0, 0, 0));

    public static Words256<TRotation> LaneCounts => new(Vector256.Create(2u, 0, 0, 0, 2, 0, 0, 0));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> Broadcast(uint word) => new(Vector256.Create(word));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> BroadcastRow(Vector128<uint> row) => new(Vector256.Create(row));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> operator +(Words256<TRotation> left, Words256<TRotation> right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> operator ^(Words256<TRotation> left, Words256<TRotation> right) => new(left._value ^ right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> RotateLeft16(Words256<TRotation> words) => new(TRotation.RotateLeft16(words._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> RotateLeft12(Words256<TRotation> words) => new(TRotation.RotateLeft12(words._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> RotateLeft8(Words256<TRotation> words) => new(TRotation.RotateLeft8(words._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> RotateLeft7(Words256<TRotation> words) => new(TRotation.RotateLeft7(words._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> RotateRows1(Words256<TRotation> rows) => new(Avx2.Shuffle(rows._value, 0b00_11_10_01));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> RotateRows2(Words256<TRotation> rows) => new(Avx2.Shuffle(rows._value, 0b01_00_11_10));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> RotateRows3(Words256<TRotation> rows) => new(Avx2.Shuffle(rows._value, 0b10_01_00_11));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> InterleaveLow(Words256<TRotation> left, Words256<TRotation> right) =>
        new(Avx2.UnpackLow(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> InterleaveHigh(Words256<TRotation> left, Words256<TRotation> right) =>
        new(Avx2.UnpackHigh(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> InterleaveLowPairs(Words256<TRotation> left, Words256<TRotation> right) =>
        new(Avx2.UnpackLow(left._value.AsUInt64(), right._value.AsUInt64()).AsUInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words256<TRotation> InterleaveHighPairs(Words256<TRotation> left, Words256<TRotation> right) =>
        new(Avx2.UnpackHigh(left._value.AsUInt64(), right._value.AsUInt64()).AsUInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBlocks(
        Words256<TRotation> a, Words256<TRotation> b, Words256<TRotation> c, Words256<TRotation> d, ref byte destination, nuint stride)
    {
        Avx2.Permute2x128(a._value, b._value, 0x20).AsByte().StoreUnsafe(ref destination);
        Avx2.Permute2x128(c._value, d._value, 0x20).AsByte().StoreUnsafe(ref destination, 32);
        Avx2.Permute2x128(a._value, b._value, 0x31).AsByte().StoreUnsafe(ref destination, stride);
        Avx2.Permute2x128(c._value, d._value, 0x31).AsByte().StoreUnsafe(ref destination, stride + 32);
    }
}

/// <summary>How words of 256 bit vectors are rotated.</summary>
internal interface IRotation
{
    static abstract Vector256<uint> RotateLeft16(Vector256<uint> words);

    static abstract Vector256<uint> RotateLeft12(Vector256<uint> words);

    static abstract Vector256<uint> RotateLeft8(Vector256<uint> words);

    static abstract Vector256<uint> RotateLeft7(Vector256<uint> words);
}

/// <summary>AVX2 has no rotation, but moves bytes.</summary>
internal readonly struct Avx2Rotation : IRotation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateLeft16(Vector256<uint> words) => Avx2.Shuffle(words.AsByte(), Vector256.Create(
        (byte)2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateLeft12(Vector256<uint> words) => (words << 12) | (words >>> 20);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateLeft8(Vector256<uint> words) => Avx2.Shuffle(words.AsByte(), Vector256.Create(
        (byte)3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14, 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14)).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateLeft7(Vector256<uint> words) => (words << 7) | (words >>> 25);
}

/// <summary>AVX-512 has rotations, for shorter vectors too.</summary>
internal readonly struct Avx512Rotation : IRotation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateLeft16(Vector256<uint> words) => Avx512F.VL.RotateLeft(words, 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateLeft12(Vector256<uint> words) => Avx512F.VL.RotateLeft(words, 12);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateLeft8(Vector256<uint> words) => Avx512F.VL.RotateLeft(words, 8);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateLeft7(Vector256<uint> words) => Avx512F.VL.RotateLeft(words, 7);
}

/// <summary>
/// 4 words, on any processor: the runtime makes AdvSimd or SSE instructions of it, or word by word what has neither, in constant time too.
/// </summary>
internal readonly struct Words128(Vector128<uint> value) : IRows<Words128>
{
    private readonly Vector128<uint> _value = value;

    public static int Count => 4;

    public static Words128 Sequence => new(Vector128<uint>.Indices);

    public static Words128 LaneNumbers => new(Vector128<uint>.Zero);

    public static Words128 LaneCounts => new(Vector128.Create(1u, 0, 0, 0));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 Broadcast(uint word) => new(Vector128.Create(word));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 BroadcastRow(Vector128<uint> row) => new(row);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 operator +(Words128 left, Words128 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 operator ^(Words128 left, Words128 right) => new(left._value ^ right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 RotateLeft16(Words128 words) => new(Vector128.Shuffle(words._value.AsByte(), Vector128.Create(
        (byte)2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)).AsUInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 RotateLeft12(Words128 words) => new((words._value << 12) | (words._value >>> 20));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 RotateLeft8(Words128 words) => new(Vector128.Shuffle(words._value.AsByte(), Vector128.Create(
        (byte)3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14)).AsUInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 RotateLeft7(Words128 words) => new((words._value << 7) | (words._value >>> 25));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 RotateRows1(Words128 rows) => new(Vector128.Shuffle(rows._value, Vector128.Create(1u, 2, 3, 0)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 RotateRows2(Words128 rows) => new(Vector128.Shuffle(rows._value, Vector128.Create(2u, 3, 0, 1)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 RotateRows3(Words128 rows) => new(Vector128.Shuffle(rows._value, Vector128.Create(3u, 0, 1, 2)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 InterleaveLow(Words128 left, Words128 right) => new(Sse2.IsSupported
        ? Sse2.UnpackLow(left._value, right._value)
        : AdvSimd.Arm64.IsSupported
            ? AdvSimd.Arm64.ZipLow(left._value, right._value)
            : Vector128.Create(left._value[0], right._value[0], left._value[1], right._value[1]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 InterleaveHigh(Words128 left, Words128 right) => new(Sse2.IsSupported
        ? Sse2.UnpackHigh(left._value, right._value)
        : AdvSimd.Arm64.IsSupported
            ? AdvSimd.Arm64.ZipHigh(left._value, right._value)
            : Vector128.Create(left._value[2], right._value[2], left._value[3], right._value[3]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 InterleaveLowPairs(Words128 left, Words128 right) =>
        new(Vector128.Create(left._value.GetLower(), right._value.GetLower()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Words128 InterleaveHighPairs(Words128 left, Words128 right) =>
        new(Vector128.Create(left._value.GetUpper(), right._value.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBlocks(Words128 a, Words128 b, Words128 c, Words128 d, ref byte destination, nuint stride)
    {
        a._value.AsByte().StoreUnsafe(ref destination);
        b._value.AsByte().StoreUnsafe(ref destination, 16);
        c._value.AsByte().StoreUnsafe(ref destination, 32);
        d._value.AsByte().StoreUnsafe(ref destination, 48);
    }
}
