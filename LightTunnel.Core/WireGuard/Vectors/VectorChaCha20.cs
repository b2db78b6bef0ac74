using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;

namespace LightTunnel.WireGuard.Vectors;

/// <summary>
/// The keystream of ChaCha20 (RFC 8439 section 2.4), many blocks at once. Written once for any width of <see cref="IWords{TSelf}"/>, in two
/// arrangements: columns for many blocks, rows for few. Additions, exclusive ors, rotations and shuffles by constants only, so the time
/// depends on nothing but the number of blocks.
/// </summary>
internal readonly ref struct VectorChaCha20
{
    /// <summary>Bytes of a key.</summary>
    public const int KeySize = 32;

    /// <summary>Bytes of a nonce.</summary>
    public const int NonceSize = 12;

    /// <summary>Bytes that <see cref="DeriveSubkey"/> takes of a long nonce.</summary>
    public const int ExtendedNonceSize = 16;

    /// <summary>Bytes of one block.</summary>
    public const int BlockSize = 64;

    /// <summary>Bytes that <see cref="Fill"/> may write at once.</summary>
    public const int MaximumFill = 16 * BlockSize;

    // "expand 32-byte k", the first row of the state (RFC 8439 section 2.3).
    private const uint Constant0 = 0x61707865, Constant1 = 0x3320646e, Constant2 = 0x79622d32, Constant3 = 0x6b206574;

    private readonly VectorPath _path;
    private readonly ref readonly uint _key;
    private readonly uint _nonce0, _nonce1, _nonce2;

    /// <summary>The key stays where it is: nothing of it is copied.</summary>
    public VectorChaCha20(VectorPath path, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeySize);
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceSize);
        _path = path;
        _key = ref Unsafe.As<byte, uint>(ref MemoryMarshal.GetReference(key));
        _nonce0 = BinaryPrimitives.ReadUInt32LittleEndian(nonce);
        _nonce1 = BinaryPrimitives.ReadUInt32LittleEndian(nonce[4..]);
        _nonce2 = BinaryPrimitives.ReadUInt32LittleEndian(nonce[8..]);
    }

    /// <summary>
    /// HChaCha20 (draft-irtf-cfrg-xchacha, section 2.2): a block's first and last rows before the initial state is added, the first four
    /// bytes of the nonce being the counter. So the initial state, known to everybody in these rows, is subtracted from the keystream.
    /// </summary>
    [SkipLocalsInit]
    public static void DeriveSubkey(ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, Span<byte> subkey)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, ExtendedNonceSize);
        Span<byte> keystream = stackalloc byte[MaximumFill];
        var cipher = new VectorChaCha20(VectorChaCha20Poly1305.BestPath, key, nonce[4..]);
        int filled = cipher.Fill(BinaryPrimitives.ReadUInt32LittleEndian(nonce), 1, keystream);
        Vector128<uint> first = Vector128.Create<byte>(keystream).AsUInt32() - Vector128.Create(Constant0, Constant1, Constant2, Constant3);
        Vector128<uint> last = Vector128.Create<byte>(keystream[(BlockSize - 16)..]).AsUInt32() - Vector128.Create(nonce).AsUInt32();
        first.AsByte().CopyTo(subkey);
        last.AsByte().CopyTo(subkey[16..]);
        CryptographicOperations.ZeroMemory(keystream[..filled]);
    }

    /// <summary>
    /// Writes blocks of the keystream from <paramref name="counter"/> on and returns the number of bytes. Vectors compute several
    /// together, so there may be more or fewer blocks than asked for, at least one and at most <see cref="MaximumFill"/> bytes; never more
    /// for fewer asked for.
    /// </summary>
    public int Fill(uint counter, int blocks, Span<byte> keystream)
    {
        ref byte output = ref MemoryMarshal.GetReference(keystream);
        return _path switch
        {
            VectorPath.Avx512 when blocks > 8 => Columns<Words512>(counter, ref output),
            VectorPath.Avx512 when blocks > 4 => Columns<Words256<Avx512Rotation>>(counter, ref output),
            VectorPath.Avx512 => Rows<Words256<Avx512Rotation>>(counter, ref output),
            VectorPath.Avx2 when blocks > 4 => Columns<Words256<Avx2Rotation>>(counter, ref output),
            VectorPath.Avx2 => Rows<Words256<Avx2Rotation>>(counter, ref output),
            _ when blocks > 2 => Columns<Words128>(counter, ref output),
            _ => Rows<Words128>(counter, ref output),
        };
    }

    /// <summary>
    /// As many blocks as a vector has words: vector i holds word i of each block, so that the rounds need no shuffle, and the blocks come
    /// out by transposing at the end.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int Columns<TWords>(uint counter, ref byte output)
        where TWords : struct, IWords<TWords>
    {
        ref uint key = ref Unsafe.AsRef(in _key);
        TWords counters = TWords.Broadcast(counter) + TWords.Sequence;
        TWords x0 = TWords.Broadcast(Constant0), x1 = TWords.Broadcast(Constant1);
        TWords x2 = TWords.Broadcast(Constant2), x3 = TWords.Broadcast(Constant3);
        TWords x4 = TWords.Broadcast(key), x5 = TWords.Broadcast(Unsafe.Add(ref key, 1));
        TWords x6 = TWords.Broadcast(Unsafe.Add(ref key, 2)), x7 = TWords.Broadcast(Unsafe.Add(ref key, 3));
        TWords x8 = TWords.Broadcast(Unsafe.Add(ref key, 4)), x9 = TWords.Broadcast(Unsafe.Add(ref key, 5));
        TWords x10 = TWords.Broadcast(Unsafe.Add(ref key, 6)), x11 = TWords.Broadcast(Unsafe.Add(ref key, 7));
        TWords x12 = counters, x13 = TWords.Broadcast(_nonce0);
        TWords x14 = TWords.Broadcast(_nonce1), x15 = TWords.Broadcast(_nonce2);

        // RFC 8439 section 2.3: ten times the four columns, then the four diagonals.
        for (int i = 0; i < 10; i++)
        {
            QuarterRounds(
                ref x0, ref x1, ref x2, ref x3, ref x4, ref x5, ref x6, ref x7,
                ref x8, ref x9, ref x10, ref x11, ref x12, ref x13, ref x14, ref x15);
            QuarterRounds(
                ref x0, ref x1, ref x2, ref x3, ref x5, ref x6, ref x7, ref x4,
                ref x10, ref x11, ref x8, ref x9, ref x15, ref x12, ref x13, ref x14);
        }

        x0 += TWords.Broadcast(Constant0); x1 += TWords.Broadcast(Constant1);
        x2 += TWords.Broadcast(Constant2); x3 += TWords.Broadcast(Constant3);
        x4 += TWords.Broadcast(key); x5 += TWords.Broadcast(Unsafe.Add(ref key, 1));
        x6 += TWords.Broadcast(Unsafe.Add(ref key, 2)); x7 += TWords.Broadcast(Unsafe.Add(ref key, 3));
        x8 += TWords.Broadcast(Unsafe.Add(ref key, 4)); x9 += TWords.Broadcast(Unsafe.Add(ref key, 5));
        x10 += TWords.Broadcast(Unsafe.Add(ref key, 6)); x11 += TWords.Broadcast(Unsafe.Add(ref key, 7));
        x12 += counters; x13 += TWords.Broadcast(_nonce0);
        x14 += TWords.Broadcast(_nonce1); x15 += TWords.Broadcast(_nonce2);

        // After this, 128 bit lane j of the k-th vector of each four belongs to block 4j + k.
        Transpose(ref x0, ref x1, ref x2, ref x3);
        Transpose(ref x4, ref x5, ref x6, ref x7);
        Transpose(ref x8, ref x9, ref x10, ref x11);
        Transpose(ref x12, ref x13, ref x14, ref x15);
        TWords.StoreBlocks(x0, x4, x8, x12, ref output, 4 * BlockSize);
        TWords.StoreBlocks(x1, x5, x9, x13, ref Unsafe.Add(ref output, BlockSize), 4 * BlockSize);
        TWords.StoreBlocks(x2, x6, x10, x14, ref Unsafe.Add(ref output, 2 * BlockSize), 4 * BlockSize);
        TWords.StoreBlocks(x3, x7, x11, x15, ref Unsafe.Add(ref output, 3 * BlockSize), 4 * BlockSize);
        return TWords.Count * BlockSize;
    }

    /// <summary>
    /// Twice as many blocks as a vector has 128 bit lanes: a lane holds one row of a block's 4 x 4 state, and shuffles turn diagonals into
    /// columns and back. Two independent sets, for they fill each other's waits: one would take as long.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int Rows<TWords>(uint counter, ref byte output)
        where TWords : struct, IRows<TWords>
    {
        ref uint key = ref Unsafe.AsRef(in _key);
        TWords firstRow = TWords.BroadcastRow(Vector128.Create(Constant0, Constant1, Constant2, Constant3));
        TWords secondRow = TWords.BroadcastRow(Vector128.LoadUnsafe(ref key)),
            thirdRow = TWords.BroadcastRow(Vector128.LoadUnsafe(ref key, 4));
        TWords fourthRow = TWords.BroadcastRow(Vector128.Create(counter, _nonce0, _nonce1, _nonce2)) + TWords.LaneNumbers;
        TWords nextFourthRow = fourthRow + TWords.LaneCounts;
        TWords a = firstRow, b = secondRow, c = thirdRow, d = fourthRow, e = firstRow, f = secondRow, g = thirdRow, h = nextFourthRow;
        for (int i = 0; i < 10; i++)
        {
            QuarterRound(ref a, ref b, ref c, ref d);
            QuarterRound(ref e, ref f, ref g, ref h);
            b = TWords.RotateRows1(b); c = TWords.RotateRows2(c); d = TWords.RotateRows3(d);
            f = TWords.RotateRows1(f); g = TWords.RotateRows2(g); h = TWords.RotateRows3(h);
            QuarterRound(ref a, ref b, ref c, ref d);
            QuarterRound(ref e, ref f, ref g, ref h);
            b = TWords.RotateRows3(b); c = TWords.RotateRows2(c); d = TWords.RotateRows1(d);
            f = TWords.RotateRows3(f); g = TWords.RotateRows2(g); h = TWords.RotateRows1(h);
        }

        int lanes = TWords.Count / 4;
        TWords.StoreBlocks(a + firstRow, b + secondRow, c + thirdRow, d + fourthRow, ref output, BlockSize);
        TWords.StoreBlocks(
            e + firstRow, f + secondRow, g + thirdRow, h + nextFourthRow, ref Unsafe.Add(ref output, lanes * BlockSize), BlockSize);
        return 2 * lanes * BlockSize;
    }

    /// <summary>RFC 8439 section 2.1, the quarter round.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void QuarterRound<TWords>(ref TWords a, ref TWords b, ref TWords c, ref TWords d)
        where TWords : struct, IWords<TWords>
    {
        a += b;
        d = TWords.RotateLeft16(d ^ a);
        c += d;
        b = TWords.RotateLeft12(b ^ c);
        a += b;
        d = TWords.RotateLeft8(d ^ a);
        c += d;
        b = TWords.RotateLeft7(b ^ c);
    }

    /// <summary>Four quarter rounds step by step together, for each step waits for the one before it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void QuarterRounds<TWords>(
        ref TWords a0, ref TWords a1, ref TWords a2, ref TWords a3, ref TWords b0, ref TWords b1, ref TWords b2, ref TWords b3,
        ref TWords c0, ref TWords c1, ref TWords c2, ref TWords c3, ref TWords d0, ref TWords d1, ref TWords d2, ref TWords d3)
        where TWords : struct, IWords<TWords>
    {
        a0 += b0; a1 += b1; a2 += b2; a3 += b3;
        d0 = TWords.RotateLeft16(d0 ^ a0); d1 = TWords.RotateLeft16(d1 ^ a1);
        d2 = TWords.RotateLeft16(d2 ^ a2); d3 = TWords.RotateLeft16(d3 ^ a3);
        c0 += d0; c1 += d1; c2 += d2; c3 += d3;
        b0 = TWords.RotateLeft12(b0 ^ c0); b1 = TWords.RotateLeft12(b1 ^ c1);
        b2 = TWords.RotateLeft12(b2 ^ c2); b3 = TWords.RotateLeft12(b3 ^ c3);
        a0 += b0; a1 += b1; a2 += b2; a3 += b3;
        d0 = TWords.RotateLeft8(d0 ^ a0); d1 = TWords.RotateLeft8(d1 ^ a1);
        d2 = TWords.RotateLeft8(d2 ^ a2); d3 = TWords.RotateLeft8(d3 ^ a3);
        c0 += d0; c1 += d1; c2 += d2; c3 += d3;
        b0 = TWords.RotateLeft7(b0 ^ c0); b1 = TWords.RotateLeft7(b1 ^ c1);
        b2 = TWords.RotateLeft7(b2 ^ c2); b3 = TWords.RotateLeft7(b3 ^ c3);
    }

    /// <summary>Transposes the 4 x 4 words in each 128 bit lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose<TWords>(ref TWords a, ref TWords b, ref TWords c, ref TWords d)
        where TWords : struct, IWords<TWords>
    {
        TWords abLow = TWords.InterleaveLow(a, b), abHigh = TWords.InterleaveHigh(a, b);
        TWords cdLow = TWords.InterleaveLow(c, d), cdHigh = TWords.InterleaveHigh(c, d);
        a = TWords.InterleaveLowPairs(abLow, cdLow);
        b = TWords.InterleaveHighPairs(abLow, cdLow);
        c = TWords.InterleaveLowPairs(abHigh, cdHigh);
        d = TWords.InterleaveHighPairs(abHigh, cdHigh);
    }
}
