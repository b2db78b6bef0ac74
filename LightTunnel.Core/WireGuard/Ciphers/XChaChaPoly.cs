using System.Buffers.Binary;
using System.Security.Cryptography;
using LightTunnel.WireGuard.Vectors;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>
/// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with a 24 byte nonce, long enough to be random: for cookies and probes, by this project's
/// own vector code.
/// </summary>
internal static class XChaChaPoly
{
    /// <summary>Bytes of the tag.</summary>
    public const int TagSize = VectorChaCha20Poly1305.TagSize;

    /// <summary>Bytes of a nonce.</summary>
    public const int NonceSize = VectorChaCha20.ExtendedNonceSize + 8;

    /// <summary>Ciphertext and tag; in place when both spans start at the same byte, else they must not overlap.</summary>
    public static void Seal(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext,
        Span<byte> ciphertext)
    {
        Span<byte> subkey = stackalloc byte[VectorChaCha20.KeySize], rest = stackalloc byte[VectorChaCha20.NonceSize];
        Derive(key, nonce, subkey, rest);
        VectorChaCha20Poly1305.Seal(subkey, rest, associatedData, plaintext, ciphertext);
        CryptographicOperations.ZeroMemory(subkey);
    }

    /// <summary>The reverse of <see cref="Seal"/>; false for a forgery.</summary>
    public static bool TryOpen(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext,
        Span<byte> plaintext)
    {
        Span<byte> subkey = stackalloc byte[VectorChaCha20.KeySize], rest = stackalloc byte[VectorChaCha20.NonceSize];
        Derive(key, nonce, subkey, rest);
        bool authentic = VectorChaCha20Poly1305.TryOpen(subkey, rest, associatedData, ciphertext, plaintext);
        CryptographicOperations.ZeroMemory(subkey);
        return authentic;
    }

    /// <summary>Section 2.3: the subkey, and the nonce that goes with it: four zeros and what is left of the long one.</summary>
    private static void Derive(ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, Span<byte> subkey, Span<byte> rest)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceSize);
        VectorChaCha20.DeriveSubkey(key, nonce[..VectorChaCha20.ExtendedNonceSize], subkey);
        BinaryPrimitives.WriteUInt32LittleEndian(rest, 0);
        nonce[VectorChaCha20.ExtendedNonceSize..].CopyTo(rest[4..]);
    }
}
