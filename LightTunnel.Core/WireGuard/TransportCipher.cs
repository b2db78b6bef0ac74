using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace LightTunnel.WireGuard;

/// <summary>
/// The AEAD under one key, ChaCha20-Poly1305 as Noise uses it: the nonce is a 64 bit counter (Noise section 12.3). No allocation per call.
/// Any number of threads may use one; who destroys it says so in a flag first, and users look at that flag after each call.
/// </summary>
internal sealed class TransportCipher : IDisposable
{
    /// <summary>Bytes of a key.</summary>
    public const int KeySize = 32;

    /// <summary>Bytes that sealing adds after the ciphertext.</summary>
    public const int TagSize = Sodium.TagSize;

    private const int NonceSize = 12;

    private readonly byte[] _key;

    /// <summary>Takes a copy of the key.</summary>
    public TransportCipher(ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeySize);
        _key = GC.AllocateUninitializedArray<byte>(KeySize, pinned: true);
        key.CopyTo(_key);
    }

    /// <summary>True once the key is zeroed; for tests.</summary>
    internal bool IsZeroed => !_key.AsSpan().ContainsAnyExcept((byte)0);

    /// <summary>
    /// Writes ciphertext and tag: <paramref name="plaintext"/>.Length + <see cref="TagSize"/> bytes. In place is fine when both spans start at
    /// the same byte; otherwise they must not overlap.
    /// </summary>
    [SkipLocalsInit]
    public void Seal(ulong counter, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext)
    {
        if (ciphertext.Length < plaintext.Length + TagSize)
            throw new ArgumentException("The ciphertext needs room for the tag.", nameof(ciphertext));
        Span<byte> nonce = stackalloc byte[NonceSize];
        WriteNonce(nonce, counter);
        Sodium.Seal(_key, nonce, associatedData, plaintext, ciphertext);
    }

    /// <summary>Checks the tag and decrypts. In place is fine as for <see cref="Seal"/>; the destination's content is undefined after a forgery.</summary>
    [SkipLocalsInit]
    public bool TryOpen(ulong counter, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext)
    {
        if (ciphertext.Length < TagSize)
            return false;
        if (plaintext.Length < ciphertext.Length - TagSize)
            throw new ArgumentException("The plaintext does not fit.", nameof(plaintext));
        Span<byte> nonce = stackalloc byte[NonceSize];
        WriteNonce(nonce, counter);
        return Sodium.TryOpen(_key, nonce, associatedData, ciphertext, plaintext);
    }

    /// <summary>Zeroes the key.</summary>
    public void Dispose() => CryptographicOperations.ZeroMemory(_key);

    private static void WriteNonce(Span<byte> nonce, ulong counter)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(nonce, 0);
        BinaryPrimitives.WriteUInt64LittleEndian(nonce[4..], counter);
    }
}
