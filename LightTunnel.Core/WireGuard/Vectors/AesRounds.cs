using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ArmAes = System.Runtime.Intrinsics.Arm.Aes;
using Block = System.Runtime.Intrinsics.Vector128<byte>;
using X86Aes = System.Runtime.Intrinsics.X86.Aes;

namespace LightTunnel.WireGuard.Vectors;

/// <summary>A round of AES as AEGIS uses it: SubBytes, ShiftRows, MixColumns and AddRoundKey of FIPS 197.</summary>
internal interface IAesRound
{
    /// <summary>The round of a block with that key.</summary>
    static abstract Block Round(Block block, Block key);
}

/// <summary>By the processor's AES instructions. On Arm this has never been run.</summary>
internal readonly struct AesInstructions : IAesRound
{
    /// <summary>Whether this processor has them.</summary>
    public static bool IsSupported => X86Aes.IsSupported || ArmAes.IsSupported;

    /// <summary>Arm's instruction adds the key before the round rather than after it, and leaves MixColumns to another.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Block Round(Block block, Block key) =>
        X86Aes.IsSupported ? X86Aes.Encrypt(block, key) : ArmAes.MixColumns(ArmAes.Encrypt(block, Block.Zero)) ^ key;
}

/// <summary>
/// By what FIPS 197 says in words, on any processor: the S-box is computed, for all 16 bytes at once, since looking it up in a table would
/// tell by the cache what was looked up. No branch and no index depends on a secret. Some hundred times as slow as the instructions.
/// </summary>
internal readonly struct ComputedAes : IAesRound
{
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static Block Round(Block block, Block key)
    {
        // ShiftRows: byte i of row i % 4 comes from as many columns further on as the row's number.
        Block shifted = Vector128.Shuffle(
            SubBytes(block), Vector128.Create((byte)0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11));

        // MixColumns: each byte times 2, the next of its column times 3, the other two once.
        Block next = RotateColumns(shifted, 8);
        return Double(shifted ^ next) ^ next ^ RotateColumns(shifted, 16) ^ RotateColumns(shifted, 24) ^ key;
    }

    /// <summary>FIPS 197 section 5.1.1: the inverse in the field of 256 elements, then a fixed affine transformation.</summary>
    internal static Block SubBytes(Block bytes)
    {
        // The inverse is the 254th power, as the 255th is one; zero stays zero.
        Block two = Multiply(bytes, bytes), three = Multiply(two, bytes);
        Block six = Multiply(three, three), twelve = Multiply(six, six), fifteen = Multiply(twelve, three);
        Block thirty = Multiply(fifteen, fifteen), sixty = Multiply(thirty, thirty), hundredTwenty = Multiply(sixty, sixty);
        Block twoHundredForty = Multiply(hundredTwenty, hundredTwenty);
        Block inverse = Multiply(Multiply(twoHundredForty, twelve), two);
        return inverse ^ RotateBits(inverse, 1) ^ RotateBits(inverse, 2) ^ RotateBits(inverse, 3) ^ RotateBits(inverse, 4)
            ^ Vector128.Create((byte)0x63);
    }

    /// <summary>FIPS 197 section 4.2: the product modulo x^8 + x^4 + x^3 + x + 1, a bit of one factor after the other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Block Multiply(Block left, Block right)
    {
        // The right one's bits are brought to the top one by one: there a mask of a byte's sign is two instructions.
        Block product = MaskOfTopBit(right) & left;
        for (int i = 0; i < 7; i++)
        {
            right += right;
            product = Double(product) ^ (MaskOfTopBit(right) & left);
        }

        return product;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Block Double(Block bytes) => (bytes + bytes) ^ (MaskOfTopBit(bytes) & Vector128.Create((byte)0x1b));

    /// <summary>All bits set in each byte whose highest bit is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Block MaskOfTopBit(Block bytes) => Vector128.LessThan(bytes.AsSByte(), Vector128<sbyte>.Zero).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Block RotateBits(Block bytes, int count) => (bytes << count) | (bytes >>> (8 - count));

    /// <summary>Each column of four bytes, its first ones moved to its end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Block RotateColumns(Block bytes, int bits) =>
        ((bytes.AsUInt32() >>> bits) | (bytes.AsUInt32() << (32 - bits))).AsByte();
}
