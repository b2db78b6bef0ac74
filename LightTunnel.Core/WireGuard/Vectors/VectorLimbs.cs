using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LightTunnel.WireGuard.Vectors;

/// <summary>
/// A vector of 64 bit lanes, one limb of a number each, as Poly1305 uses it. A product is that of the lanes' lower 32 bits.
/// </summary>
internal interface ILimbs<TSelf>
    where TSelf : struct, ILimbs<TSelf>
{
    /// <summary>The number of lanes.</summary>
    static abstract int Count { get; }

    static abstract TSelf Broadcast(ulong limb);

    /// <summary>The limb in lane 0, zero in the others.</summary>
    static abstract TSelf First(ulong limb);

    /// <summary>What is in lane 0, in all lanes.</summary>
    static abstract TSelf BroadcastFirst(TSelf limbs);

    /// <summary>All bits set in the lanes whose block needs a power of r that, less one, contains this power of two.</summary>
    static abstract TSelf LanesOfPower(int power);

    /// <summary>The first where the mask's bits are set, else the second.</summary>
    static abstract TSelf Select(TSelf mask, TSelf first, TSelf second);

    /// <summary>The sum of all lanes.</summary>
    static abstract ulong Sum(TSelf limbs);

    /// <summary>The lower and the higher halves of one block of 16 bytes per lane. The order of the lanes is the type's own.</summary>
    static abstract void LoadBlocks(ref byte blocks, out TSelf low, out TSelf high);

    static abstract TSelf operator +(TSelf left, TSelf right);

    static abstract TSelf operator *(TSelf left, TSelf right);

    static abstract TSelf operator &(TSelf left, TSelf right);

    static abstract TSelf operator |(TSelf left, TSelf right);

    static abstract TSelf operator <<(TSelf limbs, int bits);

    static abstract TSelf operator >>>(TSelf limbs, int bits);
}

/// <summary>8 lanes, by AVX-512. Interleaving two loads puts the blocks in the order 0, 4, 1, 5, 2, 6, 3, 7.</summary>
internal readonly struct Limbs512(Vector512<ulong> value) : ILimbs<Limbs512>
{
    private readonly Vector512<ulong> _value = value;

    public static int Count => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 Broadcast(ulong limb) => new(Vector512.Create(limb));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 First(ulong limb) => new(Vector512.CreateScalar(limb));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 BroadcastFirst(Limbs512 limbs) => new(Avx512F.BroadcastScalarToVector512(limbs._value.GetLower().GetLower()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 LanesOfPower(int power)
    {
        var bit = Vector512.Create((ulong)power);
        return new(Vector512.Equals(Vector512.Create(7UL, 3, 6, 2, 5, 1, 4, 0) & bit, bit));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 Select(Limbs512 mask, Limbs512 first, Limbs512 second) =>
        new(Vector512.ConditionalSelect(mask._value, first._value, second._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Sum(Limbs512 limbs) => Vector512.Sum(limbs._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadBlocks(ref byte blocks, out Limbs512 low, out Limbs512 high)
    {
        Vector512<ulong> first = Vector512.LoadUnsafe(ref blocks).AsUInt64(), second = Vector512.LoadUnsafe(ref blocks, 64).AsUInt64();
        low = new(Avx512F.UnpackLow(first, second));
        high = new(Avx512F.UnpackHigh(first, second));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 operator +(Limbs512 left, Limbs512 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 operator *(Limbs512 left, Limbs512 right) =>
        new(Avx512F.Multiply(left._value.AsUInt32(), right._value.AsUInt32()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 operator &(Limbs512 left, Limbs512 right) => new(left._value & right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 operator |(Limbs512 left, Limbs512 right) => new(left._value | right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 operator <<(Limbs512 limbs, int bits) => new(limbs._value << bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs512 operator >>>(Limbs512 limbs, int bits) => new(limbs._value >>> bits);
}

/// <summary>4 lanes, by AVX2. Interleaving two loads puts the blocks in the order 0, 2, 1, 3.</summary>
internal readonly struct Limbs256(Vector256<ulong> value) : ILimbs<Limbs256>
{
    private readonly Vector256<ulong> _value = value;

    public static int Count => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 Broadcast(ulong limb) => new(Vector256.Create(limb));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 First(ulong limb) => new(Vector256.CreateScalar(limb));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 BroadcastFirst(Limbs256 limbs) => new(Avx2.BroadcastScalarToVector256(limbs._value.GetLower()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 LanesOfPower(int power)
    {
        var bit = Vector256.Create((ulong)power);
        return new(Vector256.Equals(Vector256.Create(3UL, 1, 2, 0) & bit, bit));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 Select(Limbs256 mask, Limbs256 first, Limbs256 second) =>
        new(Vector256.ConditionalSelect(mask._value, first._value, second._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Sum(Limbs256 limbs) => Vector256.Sum(limbs._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadBlocks(ref byte blocks, out Limbs256 low, out Limbs256 high)
    {
        Vector256<ulong> first = Vector256.LoadUnsafe(ref blocks).AsUInt64(), second = Vector256.LoadUnsafe(ref blocks, 32).AsUInt64();
        low = new(Avx2.UnpackLow(first, second));
        high = new(Avx2.UnpackHigh(first, second));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 operator +(Limbs256 left, Limbs256 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 operator *(Limbs256 left, Limbs256 right) => new(Avx2.Multiply(left._value.AsUInt32(), right._value.AsUInt32()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 operator &(Limbs256 left, Limbs256 right) => new(left._value & right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 operator |(Limbs256 left, Limbs256 right) => new(left._value | right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 operator <<(Limbs256 limbs, int bits) => new(limbs._value << bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs256 operator >>>(Limbs256 limbs, int bits) => new(limbs._value >>> bits);
}

/// <summary>One lane, by any processor.</summary>
internal readonly struct Limbs64(ulong value) : ILimbs<Limbs64>
{
    private readonly ulong _value = value;

    public static int Count => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 Broadcast(ulong limb) => new(limb);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 First(ulong limb) => new(limb);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 BroadcastFirst(Limbs64 limbs) => limbs;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 LanesOfPower(int power) => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 Select(Limbs64 mask, Limbs64 first, Limbs64 second) => second;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Sum(Limbs64 limbs) => limbs._value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadBlocks(ref byte blocks, out Limbs64 low, out Limbs64 high)
    {
        low = new(Unsafe.ReadUnaligned<ulong>(ref blocks));
        high = new(Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref blocks, 8)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 operator +(Limbs64 left, Limbs64 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 operator *(Limbs64 left, Limbs64 right) => new(left._value * right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 operator &(Limbs64 left, Limbs64 right) => new(left._value & right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 operator |(Limbs64 left, Limbs64 right) => new(left._value | right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 operator <<(Limbs64 limbs, int bits) => new(limbs._value << bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Limbs64 operator >>>(Limbs64 limbs, int bits) => new(limbs._value >>> bits);
}
