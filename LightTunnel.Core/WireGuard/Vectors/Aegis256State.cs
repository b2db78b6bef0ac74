using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Block = System.Runtime.Intrinsics.Vector128<byte>;

namespace LightTunnel.WireGuard.Vectors;

/// <summary>The six blocks of AEGIS-256's state (draft-irtf-cfrg-aegis-aead, section 4).</summary>
internal unsafe struct Aegis256State
{
    public const int KeySize = 32, NonceSize = 32, TagSize = 32, BlockSize = 16;

    public Block S0, S1, S2, S3, S4, S5;

    /// <summary>As the draft's Init begins; C0 and C1 are Fibonacci's numbers modulo 256.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Aegis256State(Block lowNonce, Block highNonce, Block lowKey, Block highKey)
    {
        Block c0 = Vector128.Create(
            (byte)0x00, 0x01, 0x01, 0x02, 0x03, 0x05, 0x08, 0x0d, 0x15, 0x22, 0x37, 0x59, 0x90, 0xe9, 0x79, 0x62);
        Block c1 = Vector128.Create(
            (byte)0xdb, 0x3d, 0x18, 0x55, 0x6d, 0xc2, 0x2f, 0xf1, 0x20, 0x11, 0x31, 0x42, 0x73, 0xb5, 0x28, 0xdd);
        (S0, S1, S2, S3, S4, S5) = (lowNonce, highNonce, c1, c0, lowKey ^ c0, highKey ^ c1);
    }

    /// <summary>What the next block is encrypted with.</summary>
    public readonly Block Keystream => S1 ^ S4 ^ S5 ^ (S2 & S3);

    /// <summary>One round of AES from each block into the next; the text goes into the first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Update<TAes>(Block text)
        where TAes : struct, IAesRound
    {
        Block last = S5;
        S5 = TAes.Round(S4, S5);
        S4 = TAes.Round(S3, S4);
        S3 = TAes.Round(S2, S3);
        S2 = TAes.Round(S1, S2);
        S1 = TAes.Round(S0, S1);
        S0 = TAes.Round(last, S0 ^ text);
    }

    /// <summary>The tag of 256 bits.</summary>
    public readonly void StoreTag(byte* tag)
    {
        (S0 ^ S1 ^ S2).Store(tag);
        (S3 ^ S4 ^ S5).Store(tag + BlockSize);
    }

    /// <summary>All 32 bytes are compared at once, in the same time whichever differ.</summary>
    public readonly bool HasTag(byte* tag) =>
        ((S0 ^ S1 ^ S2 ^ Vector128.Load(tag)) | (S3 ^ S4 ^ S5 ^ Vector128.Load(tag + BlockSize))) == Block.Zero;
}
