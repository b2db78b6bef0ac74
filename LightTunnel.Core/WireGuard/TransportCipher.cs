using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using LightTunnel.WireGuard.Ciphers;

namespace LightTunnel.WireGuard;

/// <summary>
/// The AEAD under one key, as Noise uses it: the nonce is a 64 bit counter (Noise section 12.3). No allocation per call.
/// Any number of threads may use one; who destroys it says so in a flag first, and users look at that flag after each call.
/// </summary>
internal abstract class TransportCipher : IDisposable
{
    /// <summary>Bytes of a key, whatever the cipher.</summary>
    public const int KeySize = 32;

    /// <summary>Bytes of the longest tag that sealing adds; see <see cref="TagSize"/>.</summary>
    public const int MaximumTagSize = Aegis256.TagSize;

    private const int MaximumNonceSize = Aegis256.NonceSize;

    private readonly byte[] _key;

    /// <summary>Takes a copy of the key.</summary>
    protected TransportCipher(ReadOnlySpan<byte> key, int nonceSize, int tagSize)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeySize);
        _key = GC.AllocateUninitializedArray<byte>(KeySize, pinned: true);
        key.CopyTo(_key);
        NonceSize = nonceSize;
        TagSize = tagSize;
    }

    /// <summary>Bytes of a nonce.</summary>
    public int NonceSize { get; }

    /// <summary>Bytes that sealing adds after the ciphertext.</summary>
    public int TagSize { get; }

    /// <summary>Whether two messages of one length take less time together than one after the other.</summary>
    public virtual bool PairsAreFaster => false;

    /// <summary>True once the key is zeroed; for tests.</summary>
    internal bool IsZeroed => !_key.AsSpan().ContainsAnyExcept((byte)0);

    /// <summary>The key, zeroes after disposal.</summary>
    protected ReadOnlySpan<byte> Key => _key;

    /// <summary>The suite's cipher under a key, by the implementation that is fastest here.</summary>
    public static TransportCipher Create(CipherSuite suite, ReadOnlySpan<byte> key) =>
        suite == CipherSuite.Aegis256 ? Aegis256.Fastest.Create(key) : ChaChaPoly.Fastest.Create(key);

    /// <summary>
    /// Writes ciphertext and tag: <paramref name="plaintext"/>.Length + <see cref="TagSize"/> bytes. In place is fine when both spans start
    /// at the same byte; otherwise they must not overlap.
    /// </summary>
    [SkipLocalsInit]
    public void Seal(ulong counter, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext)
    {
        if (ciphertext.Length < plaintext.Length + TagSize)
            throw new ArgumentException("The ciphertext needs room for the tag.", nameof(ciphertext));
        Span<Vector128<ulong>> nonce = stackalloc Vector128<ulong>[MaximumNonceSize / 16];
        WriteNonce(nonce, counter);
        Seal(MemoryMarshal.AsBytes(nonce)[^NonceSize..], associatedData, plaintext, ciphertext);
    }

    /// <summary>
    /// Checks the tag and decrypts. In place is fine as for sealing; the destination's content is undefined after a forgery.
    /// </summary>
    [SkipLocalsInit]
    public bool TryOpen(ulong counter, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext)
    {
        if (ciphertext.Length < TagSize)
            return false;
        if (plaintext.Length < ciphertext.Length - TagSize)
            throw new ArgumentException("The plaintext does not fit.", nameof(plaintext));
        Span<Vector128<ulong>> nonce = stackalloc Vector128<ulong>[MaximumNonceSize / 16];
        WriteNonce(nonce, counter);
        return TryOpen(MemoryMarshal.AsBytes(nonce)[^NonceSize..], associatedData, ciphertext, plaintext);
    }

    /// <summary>
    /// Seals two messages of one length, without associated data, under <paramref name="counter"/> and the one after it. Each in place as
    /// for a single one; otherwise no span may overlap another.
    /// </summary>
    [SkipLocalsInit]
    public void SealPair(
        ulong counter, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, Span<byte> firstCiphertext, Span<byte> secondCiphertext)
    {
        if (first.Length != second.Length)
            throw new ArgumentException("Both messages must be equally long.", nameof(second));
        if (firstCiphertext.Length < first.Length + TagSize)
            throw new ArgumentException("The ciphertext needs room for the tag.", nameof(firstCiphertext));
        if (secondCiphertext.Length < second.Length + TagSize)
            throw new ArgumentException("The ciphertext needs room for the tag.", nameof(secondCiphertext));
        Span<Vector128<ulong>> firstNonce = stackalloc Vector128<ulong>[MaximumNonceSize / 16],
            secondNonce = stackalloc Vector128<ulong>[MaximumNonceSize / 16];
        WriteNonce(firstNonce, counter);
        WriteNonce(secondNonce, counter + 1);
        SealPair(
            MemoryMarshal.AsBytes(firstNonce)[^NonceSize..], MemoryMarshal.AsBytes(secondNonce)[^NonceSize..],
            first, second, firstCiphertext, secondCiphertext);
    }

    /// <summary>
    /// The reverse for two messages of one length, under any two counters. Each is authentic or not for itself; a destination's content is
    /// undefined after a forgery of that message.
    /// </summary>
    [SkipLocalsInit]
    public void TryOpenPair(
        ulong firstCounter, ulong secondCounter,
        ReadOnlySpan<byte> firstCiphertext, ReadOnlySpan<byte> secondCiphertext, Span<byte> firstPlaintext, Span<byte> secondPlaintext,
        out bool first, out bool second)
    {
        if (firstCiphertext.Length != secondCiphertext.Length)
            throw new ArgumentException("Both messages must be equally long.", nameof(secondCiphertext));
        first = second = false;
        if (firstCiphertext.Length < TagSize)
            return;
        if (firstPlaintext.Length < firstCiphertext.Length - TagSize)
            throw new ArgumentException("The plaintext does not fit.", nameof(firstPlaintext));
        if (secondPlaintext.Length < secondCiphertext.Length - TagSize)
            throw new ArgumentException("The plaintext does not fit.", nameof(secondPlaintext));
        Span<Vector128<ulong>> firstNonce = stackalloc Vector128<ulong>[MaximumNonceSize / 16],
            secondNonce = stackalloc Vector128<ulong>[MaximumNonceSize / 16];
        WriteNonce(firstNonce, firstCounter);
        WriteNonce(secondNonce, secondCounter);
        TryOpenPair(
            MemoryMarshal.AsBytes(firstNonce)[^NonceSize..], MemoryMarshal.AsBytes(secondNonce)[^NonceSize..],
            firstCiphertext, secondCiphertext, firstPlaintext, secondPlaintext, out first, out second);
    }

    /// <summary>Zeroes the key.</summary>
    public virtual void Dispose()
    {
        CryptographicOperations.ZeroMemory(_key);
        GC.SuppressFinalize(this);
    }

    /// <summary>Seals under any nonce; lengths are checked already.</summary>
    internal abstract void Seal(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext);

    /// <summary>Opens under any nonce; lengths are checked already.</summary>
    internal abstract bool TryOpen(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext);

    /// <summary>Seals two messages under any nonces; lengths are checked already.</summary>
    internal virtual void SealPair(
        ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce,
        ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, Span<byte> firstCiphertext, Span<byte> secondCiphertext)
    {
        Seal(firstNonce, default, first, firstCiphertext);
        Seal(secondNonce, default, second, secondCiphertext);
    }

    /// <summary>Opens two messages under any nonces; lengths are checked already.</summary>
    internal virtual void TryOpenPair(
        ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce,
        ReadOnlySpan<byte> firstCiphertext, ReadOnlySpan<byte> secondCiphertext, Span<byte> firstPlaintext, Span<byte> secondPlaintext,
        out bool first, out bool second)
    {
        first = TryOpen(firstNonce, default, firstCiphertext, firstPlaintext);
        second = TryOpen(secondNonce, default, secondCiphertext, secondPlaintext);
    }

    /// <summary>
    /// The counter, little-endian, behind zeros. In two stores of 16 bytes, as AEGIS reads it: bytes stored one by one must be waited for.
    /// </summary>
    private static void WriteNonce(Span<Vector128<ulong>> nonce, ulong counter)
    {
        nonce[0] = default;
        nonce[1] = Vector128.Create(0, BitConverter.IsLittleEndian ? counter : BinaryPrimitives.ReverseEndianness(counter));
    }
}
