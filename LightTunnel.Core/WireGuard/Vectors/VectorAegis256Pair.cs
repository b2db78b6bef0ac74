using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Block = System.Runtime.Intrinsics.Vector128<byte>;

namespace LightTunnel.WireGuard.Vectors;

/// <summary>
/// <see cref="VectorAegis256{TAes}"/> for two messages of one length under one key at a time. The blocks of one message wait for one
/// another, each for the time that an AES instruction takes; those of another message fill the waits. No associated data, as transport
/// messages have none.
/// </summary>
internal static unsafe class VectorAegis256Pair<TAes>
    where TAes : struct, IAesRound
{
    private const int BlockSize = Aegis256State.BlockSize, TagSize = Aegis256State.TagSize;

    /// <summary>
    /// Ciphertext and tag of both messages, which are equally long. Each in place when its two spans start at the same byte; nothing
    /// else may overlap.
    /// </summary>
    [SkipLocalsInit]
    public static void Seal(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce,
        ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, Span<byte> firstCiphertext, Span<byte> secondCiphertext)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(second.Length, first.Length);
        ArgumentOutOfRangeException.ThrowIfLessThan(firstCiphertext.Length - TagSize, first.Length);
        ArgumentOutOfRangeException.ThrowIfLessThan(secondCiphertext.Length - TagSize, first.Length);
        int length = first.Length, whole = length & -BlockSize, rest = length - whole;
        Work work;
        Begin(&work, key, firstNonce, secondNonce);
        fixed (byte* from = first, secondFrom = second, to = firstCiphertext, secondTo = secondCiphertext)
        {
            Encrypt(&work, from, secondFrom, to, secondTo, whole);
            if (rest > 0)
            {
                LoadRest(&work, from + whole, secondFrom + whole, rest);
                EncryptRest(&work);
                StoreRest(&work, to + whole, secondTo + whole, rest);
            }

            Finish(&work, length);
            work.States.First.StoreTag(to + length);
            work.States.Second.StoreTag(secondTo + length);
        }

        Forget(&work);
    }

    /// <summary>
    /// The reverse of sealing. Each message is authentic or forged for itself; what was decrypted of a forged one is zeroed. In place as
    /// for sealing. Both are forged when they are too short for a tag.
    /// </summary>
    [SkipLocalsInit]
    public static void TryOpen(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce,
        ReadOnlySpan<byte> firstCiphertext, ReadOnlySpan<byte> secondCiphertext, Span<byte> firstPlaintext, Span<byte> secondPlaintext,
        out bool first, out bool second)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(secondCiphertext.Length, firstCiphertext.Length);
        first = second = false;
        int length = firstCiphertext.Length - TagSize, whole = length & -BlockSize, rest = length - whole;
        if (length < 0)
            return;
        firstPlaintext = firstPlaintext[..length];
        secondPlaintext = secondPlaintext[..length];
        Work work;
        Begin(&work, key, firstNonce, secondNonce);
        fixed (byte* from = firstCiphertext, secondFrom = secondCiphertext, to = firstPlaintext, secondTo = secondPlaintext)
        {
            Decrypt(&work, from, secondFrom, to, secondTo, whole);
            if (rest > 0)
            {
                // The state takes up the plaintext padded with zeros, not what the keystream makes of the padding. So
                // encrypting it follows.
                LoadRest(&work, from + whole, secondFrom + whole, rest);
                work.FirstRest ^= work.States.First.Keystream;
                work.SecondRest ^= work.States.Second.Keystream;
                StoreRest(&work, to + whole, secondTo + whole, rest);
                LoadRest(&work, to + whole, secondTo + whole, rest);
                EncryptRest(&work);
            }

            Finish(&work, length);
            first = work.States.First.HasTag(from + length);
            second = work.States.Second.HasTag(secondFrom + length);
        }

        Forget(&work);
        if (!first)
            firstPlaintext.Clear();
        if (!second)
            secondPlaintext.Clear();
    }

    // What follows with a loop is a method of its own that calls none: beside a call the states would lie in memory rather
    // than in registers.

    /// <summary>The draft's Init for both messages.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Begin(Work* work, ReadOnlySpan<byte> key, ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, Aegis256State.KeySize);
        ArgumentOutOfRangeException.ThrowIfNotEqual(firstNonce.Length, Aegis256State.NonceSize);
        ArgumentOutOfRangeException.ThrowIfNotEqual(secondNonce.Length, Aegis256State.NonceSize);
        Block lowKey = Vector128.Create(key), highKey = Vector128.Create(key[BlockSize..]);
        Block firstLow = lowKey ^ Vector128.Create(firstNonce), firstHigh = highKey ^ Vector128.Create(firstNonce[BlockSize..]);
        Block secondLow = lowKey ^ Vector128.Create(secondNonce), secondHigh = highKey ^ Vector128.Create(secondNonce[BlockSize..]);
        Pair states;
        states.First = new Aegis256State(firstLow, firstHigh, lowKey, highKey);
        states.Second = new Aegis256State(secondLow, secondHigh, lowKey, highKey);
        for (int i = 0; i < 4; i++)
        {
            states.Update(lowKey, lowKey);
            states.Update(highKey, highKey);
            states.Update(firstLow, secondLow);
            states.Update(firstHigh, secondHigh);
        }

        work->States = states;
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Encrypt(Work* work, byte* from, byte* secondFrom, byte* to, byte* secondTo, nint length)
    {
        Pair states = work->States;
        for (nint i = 0; i < length; i += BlockSize)
        {
            Block text = Vector128.Load(from + i), secondText = Vector128.Load(secondFrom + i);
            (text ^ states.First.Keystream).Store(to + i);
            (secondText ^ states.Second.Keystream).Store(secondTo + i);
            states.Update(text, secondText);
        }

        work->States = states;
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Decrypt(Work* work, byte* from, byte* secondFrom, byte* to, byte* secondTo, nint length)
    {
        Pair states = work->States;
        for (nint i = 0; i < length; i += BlockSize)
        {
            Block text = Vector128.Load(from + i) ^ states.First.Keystream,
                secondText = Vector128.Load(secondFrom + i) ^ states.Second.Keystream;
            text.Store(to + i);
            secondText.Store(secondTo + i);
            states.Update(text, secondText);
        }

        work->States = states;
    }

    /// <summary>The draft's Finalize up to the tag: the lengths of associated data and text in bits, seven times.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Finish(Work* work, int length)
    {
        Pair states = work->States;
        Block lengths = Vector128.Create(0, (ulong)length * 8).AsByte();
        Block text = states.First.S3 ^ lengths, secondText = states.Second.S3 ^ lengths;
        for (int i = 0; i < 7; i++)
            states.Update(text, secondText);
        work->States = states;
    }

    /// <summary>The last, shorter block of each message, padded with zeros.</summary>
    private static void LoadRest(Work* work, byte* first, byte* second, int length)
    {
        work->FirstRest = work->SecondRest = Block.Zero;
        Unsafe.CopyBlockUnaligned(&work->FirstRest, first, (uint)length);
        Unsafe.CopyBlockUnaligned(&work->SecondRest, second, (uint)length);
    }

    private static void EncryptRest(Work* work)
    {
        byte* rest = (byte*)&work->FirstRest, secondRest = (byte*)&work->SecondRest;
        Encrypt(work, rest, secondRest, rest, secondRest, BlockSize);
    }

    private static void StoreRest(Work* work, byte* first, byte* second, int length)
    {
        Unsafe.CopyBlockUnaligned(first, &work->FirstRest, (uint)length);
        Unsafe.CopyBlockUnaligned(second, &work->SecondRest, (uint)length);
    }

    /// <summary>Zeroes what is secret. Not inlined, so that no compiler finds that nobody reads it.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(Work* work) => *work = default;

    /// <summary>What a call has on the stack.</summary>
    private struct Work
    {
        public Pair States;
        public Block FirstRest, SecondRest;
    }

    private struct Pair
    {
        public Aegis256State First, Second;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Update(Block text, Block secondText)
        {
            First.Update<TAes>(text);
            Second.Update<TAes>(secondText);
        }
    }
}
