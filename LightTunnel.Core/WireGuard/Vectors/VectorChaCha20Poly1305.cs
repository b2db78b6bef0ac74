using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;

namespace LightTunnel.WireGuard.Vectors;

/// <summary>The instructions that <see cref="VectorChaCha20Poly1305"/> computes with. Each includes those before it.</summary>
internal enum VectorPath
{
    /// <summary>Vectors of 128 bit, on any processor; Poly1305 without vectors.</summary>
    Portable,

    /// <summary>Vectors of 256 bit by AVX2.</summary>
    Avx2,

    /// <summary>Vectors of 512 bit, and shorter ones with rotations, by AVX-512.</summary>
    Avx512,
}

/// <summary>
/// ChaCha20-Poly1305 (RFC 8439) by vector instructions. No branch and no index depends on a secret, and no call allocates. The keystream
/// and the one-time key of Poly1305, which have to lie on the stack, are zeroed there, and the key is never copied; what the compiler
/// spills of registers is not zeroed, as in any compiled code. What computes is compiled optimised from its first call on.
/// </summary>
internal static class VectorChaCha20Poly1305
{
    /// <summary>Bytes of an authentication tag.</summary>
    public const int TagSize = VectorPoly1305.TagSize;

    /// <summary>The widest path that this processor has.</summary>
    public static VectorPath BestPath =>
        Vector512.IsHardwareAccelerated && Avx512F.VL.IsSupported
            ? VectorPath.Avx512
            : Avx2.IsSupported ? VectorPath.Avx2 : VectorPath.Portable;

    /// <summary>
    /// Ciphertext and tag, with a 12 byte nonce; in place when both spans start at the same byte, else they must not overlap.
    /// </summary>
    public static void Seal(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext,
        Span<byte> ciphertext) =>
        Seal(BestPath, key, nonce, associatedData, plaintext, ciphertext);

    /// <summary>The reverse of sealing; false for a forgery, of which nothing is decrypted.</summary>
    public static bool TryOpen(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext,
        Span<byte> plaintext) =>
        TryOpen(BestPath, key, nonce, associatedData, ciphertext, plaintext);

    /// <summary>Seals by a path that the processor must have.</summary>
    [SkipLocalsInit]
    internal static void Seal(
        VectorPath path,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> nonce,
        ReadOnlySpan<byte> associatedData,
        ReadOnlySpan<byte> plaintext,
        Span<byte> ciphertext)
    {
        Span<byte> tag = ciphertext.Slice(plaintext.Length, TagSize);
        Span<byte> keystream = stackalloc byte[VectorChaCha20.MaximumFill];
        var cipher = new VectorChaCha20(path, key, nonce);
        int filled = cipher.Fill(0, BlocksFor(plaintext.Length) + 1, keystream);
        var authenticator = new VectorPoly1305(path, keystream[..VectorPoly1305.KeySize]);
        Crypt(cipher, keystream, filled, plaintext, ciphertext);
        Authenticate(ref authenticator, associatedData, ciphertext[..plaintext.Length], tag);
        Forget(ref authenticator, keystream[..filled]);
    }

    /// <summary>Opens by a path that the processor must have.</summary>
    [SkipLocalsInit]
    internal static bool TryOpen(
        VectorPath path,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> nonce,
        ReadOnlySpan<byte> associatedData,
        ReadOnlySpan<byte> ciphertext,
        Span<byte> plaintext)
    {
        if (ciphertext.Length < TagSize)
            return false;
        ReadOnlySpan<byte> expected = ciphertext[^TagSize..];
        ciphertext = ciphertext[..^TagSize];
        plaintext = plaintext[..ciphertext.Length];
        Span<byte> tag = stackalloc byte[TagSize];
        Span<byte> keystream = stackalloc byte[VectorChaCha20.MaximumFill];
        var cipher = new VectorChaCha20(path, key, nonce);
        int filled = cipher.Fill(0, BlocksFor(ciphertext.Length) + 1, keystream);
        var authenticator = new VectorPoly1305(path, keystream[..VectorPoly1305.KeySize]);
        Authenticate(ref authenticator, associatedData, ciphertext, tag);

        // One comparison of all 16 bytes takes the same time whichever differ. CryptographicOperations.FixedTimeEquals goes byte by byte
        // and would take a seventh of a short packet's time.
        bool authentic = Vector128.Create<byte>(tag) == Vector128.Create(expected);
        if (authentic)
            Crypt(cipher, keystream, filled, ciphertext, plaintext);
        Forget(ref authenticator, keystream[..filled]);
        return authentic;
    }

    private static int BlocksFor(int length) => (length + VectorChaCha20.BlockSize - 1) / VectorChaCha20.BlockSize;

    /// <summary>
    /// RFC 8439 section 2.8: block 0 of the keystream, already computed together with the first others, is the one-time key's; the text
    /// goes with blocks 1, 2 and so on.
    /// </summary>
    private static void Crypt(VectorChaCha20 cipher, Span<byte> keystream, int filled, ReadOnlySpan<byte> input, Span<byte> output)
    {
        int used = VectorChaCha20.BlockSize;
        uint counter = (uint)BlocksFor(filled);
        while (true)
        {
            int count = Math.Min(input.Length, filled - used);
            Xor(input[..count], keystream[used..], output);
            input = input[count..];
            if (input.IsEmpty)
                return;
            output = output[count..];
            filled = cipher.Fill(counter, BlocksFor(input.Length), keystream);
            counter += (uint)BlocksFor(filled);
            used = 0;
        }
    }

    /// <summary>RFC 8439 section 2.8: associated data and ciphertext, each padded to 16 bytes, and their lengths.</summary>
    private static void Authenticate(
        ref VectorPoly1305 authenticator, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> tag)
    {
        authenticator.AddPadded(associatedData);
        authenticator.AddPadded(ciphertext);
        authenticator.AddLengths(associatedData.Length, ciphertext.Length);
        authenticator.Finish(tag);
    }

    /// <summary>Zeroes what is secret. The first part of the keystream was the longest, so it covers the later ones.</summary>
    private static void Forget(ref VectorPoly1305 authenticator, Span<byte> keystream)
    {
        CryptographicOperations.ZeroMemory(keystream);
        CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(new Span<VectorPoly1305>(ref authenticator)));
    }

    private static void Xor(ReadOnlySpan<byte> input, ReadOnlySpan<byte> keystream, Span<byte> output)
    {
        ref byte from = ref MemoryMarshal.GetReference(input);
        ref byte with = ref MemoryMarshal.GetReference(keystream);
        ref byte to = ref MemoryMarshal.GetReference(output);
        nuint length = (nuint)input.Length, i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            for (; i + 32 <= length; i += 32)
                (Vector256.LoadUnsafe(ref from, i) ^ Vector256.LoadUnsafe(ref with, i)).StoreUnsafe(ref to, i);
        }

        for (; i + 16 <= length; i += 16)
            (Vector128.LoadUnsafe(ref from, i) ^ Vector128.LoadUnsafe(ref with, i)).StoreUnsafe(ref to, i);
        for (; i < length; i++)
            Unsafe.Add(ref to, i) = (byte)(Unsafe.Add(ref from, i) ^ Unsafe.Add(ref with, i));
    }
}
