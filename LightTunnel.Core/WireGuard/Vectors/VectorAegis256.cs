using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Block = System.Runtime.Intrinsics.Vector128<byte>;

namespace LightTunnel.WireGuard.Vectors;

/// <summary>
/// AEGIS-256 (draft-irtf-cfrg-aegis-aead) with the tag of 256 bits, one message at a time, by whatever rounds of AES. No branch and no
/// index depends on a secret, and no call allocates. The state, which has to lie on the stack, is zeroed there; what the compiler spills
/// of registers is not, as in any compiled code.
/// </summary>
internal static unsafe class VectorAegis256<TAes>
    where TAes : struct, IAesRound
{
    private const int BlockSize = Aegis256State.BlockSize, TagSize = Aegis256State.TagSize;

    /// <summary>
    /// Ciphertext and tag; in place when both spans start at the same byte, else they must not overlap.
    /// </summary>
    [SkipLocalsInit]
    public static void Seal(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext,
        Span<byte> ciphertext)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(ciphertext.Length - TagSize, plaintext.Length);
        int length = plaintext.Length, whole = length & -BlockSize;
        Work work;
        Begin(&work, key, nonce);
        fixed (byte* data = associatedData, from = plaintext, to = ciphertext)
        {
            Absorb(&work, data, associatedData.Length);
            Encrypt(&work, from, to, whole);
            if (length > whole)
            {
                work.LoadRest(from + whole, length - whole);
                Encrypt(&work, (byte*)&work.Rest, (byte*)&work.Rest, BlockSize);
                work.StoreRest(to + whole, length - whole);
            }

            Finish(&work, associatedData.Length, length);
            work.State.StoreTag(to + length);
        }

        Forget(&work);
    }

    /// <summary>The reverse of sealing; false for a forgery, of which what was decrypted is zeroed.</summary>
    [SkipLocalsInit]
    public static bool TryOpen(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext,
        Span<byte> plaintext)
    {
        int length = ciphertext.Length - TagSize, whole = length & -BlockSize;
        if (length < 0)
            return false;
        plaintext = plaintext[..length];
        Work work;
        bool authentic;
        Begin(&work, key, nonce);
        fixed (byte* data = associatedData, from = ciphertext, to = plaintext)
        {
            Absorb(&work, data, associatedData.Length);
            Decrypt(&work, from, to, whole);
            if (length > whole)
            {
                // The state takes up the plaintext padded with zeros, not what the keystream makes of the padding. So
                // encrypting it follows.
                work.LoadRest(from + whole, length - whole);
                work.Rest ^= work.State.Keystream;
                work.StoreRest(to + whole, length - whole);
                work.LoadRest(to + whole, length - whole);
                Encrypt(&work, (byte*)&work.Rest, (byte*)&work.Rest, BlockSize);
            }

            Finish(&work, associatedData.Length, length);
            authentic = work.State.HasTag(from + length);
        }

        Forget(&work);
        if (!authentic)
            plaintext.Clear();
        return authentic;
    }

    // What follows with a loop is a method of its own that calls none: beside a call the state would lie in memory rather
    // than in registers.

    /// <summary>The draft's Init.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Begin(Work* work, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, Aegis256State.KeySize);
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, Aegis256State.NonceSize);
        Block lowKey = Vector128.Create(key), highKey = Vector128.Create(key[BlockSize..]);
        Block low = lowKey ^ Vector128.Create(nonce), high = highKey ^ Vector128.Create(nonce[BlockSize..]);
        var state = new Aegis256State(low, high, lowKey, highKey);
        for (int i = 0; i < 4; i++)
        {
            state.Update<TAes>(lowKey);
            state.Update<TAes>(highKey);
            state.Update<TAes>(low);
            state.Update<TAes>(high);
        }

        work->State = state;
    }

    /// <summary>Takes up associated data, padded with zeros to whole blocks.</summary>
    private static void Absorb(Work* work, byte* data, int length)
    {
        for (int i = 0; i < length; i += BlockSize)
        {
            work->LoadRest(data + i, Math.Min(BlockSize, length - i));
            work->State.Update<TAes>(work->Rest);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Encrypt(Work* work, byte* from, byte* to, nint length)
    {
        Aegis256State state = work->State;
        for (nint i = 0; i < length; i += BlockSize)
        {
            Block text = Vector128.Load(from + i);
            (text ^ state.Keystream).Store(to + i);
            state.Update<TAes>(text);
        }

        work->State = state;
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Decrypt(Work* work, byte* from, byte* to, nint length)
    {
        Aegis256State state = work->State;
        for (nint i = 0; i < length; i += BlockSize)
        {
            Block text = Vector128.Load(from + i) ^ state.Keystream;
            text.Store(to + i);
            state.Update<TAes>(text);
        }

        work->State = state;
    }

    /// <summary>The draft's Finalize up to the tag: the lengths of associated data and text in bits, seven times.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Finish(Work* work, int associatedData, int length)
    {
        Aegis256State state = work->State;
        Block text = state.S3 ^ Vector128.Create((ulong)associatedData * 8, (ulong)length * 8).AsByte();
        for (int i = 0; i < 7; i++)
            state.Update<TAes>(text);
        work->State = state;
    }

    /// <summary>Zeroes what is secret. Not inlined, so that no compiler finds that nobody reads it.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(Work* work) => *work = default;

    /// <summary>What a call has on the stack.</summary>
    private struct Work
    {
        public Aegis256State State;
        public Block Rest;

        /// <summary>The last, shorter block, padded with zeros.</summary>
        public void LoadRest(byte* from, int length)
        {
            Rest = Block.Zero;
            Unsafe.CopyBlockUnaligned(ref Unsafe.As<Block, byte>(ref Rest), ref *from, (uint)length);
        }

        public readonly void StoreRest(byte* to, int length) =>
            Unsafe.CopyBlockUnaligned(ref *to, in Unsafe.As<Block, byte>(ref Unsafe.AsRef(in Rest)), (uint)length);
    }
}
