using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using LightTunnel.WireGuard.Agreement;

namespace LightTunnel.WireGuard;

/// <summary>
/// A node's X25519 public key: 32 bytes, shown as the base64 that WireGuard's tools use. A value; equality is not secret.
/// </summary>
[InlineArray(Size)]
internal struct PublicKey : IEquatable<PublicKey>
{
    /// <summary>Bytes of a key.</summary>
    public const int Size = 32;

    private byte _first;

    /// <exception cref="ArgumentException">Not 32 bytes.</exception>
    public PublicKey(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Size)
            throw new ArgumentException("A public key has 32 bytes.", nameof(bytes));
        bytes.CopyTo(this);
    }

    /// <summary>The key's bytes, valid as long as the variable that holds the key.</summary>
    [UnscopedRef]
    public readonly ReadOnlySpan<byte> Bytes => this;

    /// <summary>Reads 44 characters of base64.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out PublicKey key)
    {
        key = default;
        Span<byte> bytes = key;
        return KeyText.TryRead(text, bytes);
    }

    /// <inheritdoc/>
    public readonly bool Equals(PublicKey other) => Bytes.SequenceEqual(other.Bytes);

    /// <inheritdoc/>
    public override readonly bool Equals([NotNullWhen(true)] object? obj) => obj is PublicKey other && Equals(other);

    /// <inheritdoc/>
    public override readonly int GetHashCode() => BitConverter.ToInt32(Bytes);

    /// <summary>44 characters of base64.</summary>
    public override readonly string ToString() => Convert.ToBase64String(Bytes);

    public static bool operator ==(PublicKey left, PublicKey right) => left.Equals(right);

    public static bool operator !=(PublicKey left, PublicKey right) => !left.Equals(right);
}

/// <summary>
/// A node's X25519 private key, long-lived or ephemeral. Its bytes are pinned, zeroed on disposal and never shown by
/// <see cref="ToString"/>.
/// </summary>
internal sealed class PrivateKey : IDisposable
{
    /// <summary>Bytes of a key.</summary>
    public const int Size = 32;

    private readonly byte[] _bytes;
    private readonly X25519Secret _secret;
    private readonly PublicKey _publicKey;

    /// <exception cref="ArgumentException">Not 32 bytes.</exception>
    public PrivateKey(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Size)
            throw new ArgumentException("A private key has 32 bytes.", nameof(bytes));
        _bytes = GC.AllocateArray<byte>(Size, pinned: true);
        bytes.CopyTo(_bytes);
        Span<byte> publicBytes = stackalloc byte[PublicKey.Size];
        _secret = X25519.Fastest.Create(_bytes);
        _secret.DerivePublicKey(publicBytes);
        _publicKey = new PublicKey(publicBytes);
    }

    /// <summary>The public half.</summary>
    public PublicKey PublicKey => _publicKey;

    /// <summary>True once the secret is zeroed; for tests.</summary>
    internal bool IsZeroed => !_bytes.AsSpan().ContainsAnyExcept((byte)0);

    /// <summary>A new random key.</summary>
    public static PrivateKey Generate()
    {
        Span<byte> bytes = stackalloc byte[Size];
        RandomNumberGenerator.Fill(bytes);
        // RFC 7748 section 5 does this at each use; done here too, so that the text is the same that WireGuard's tools would write.
        bytes[0] &= 0b1111_1000;
        bytes[31] = (byte)((bytes[31] & 0b0111_1111) | 0b0100_0000);
        var key = new PrivateKey(bytes);
        CryptographicOperations.ZeroMemory(bytes);
        return key;
    }

    /// <summary>Reads 44 characters of base64.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out PrivateKey? key)
    {
        Span<byte> bytes = stackalloc byte[Size];
        key = KeyText.TryRead(text, bytes) ? new PrivateKey(bytes) : null;
        CryptographicOperations.ZeroMemory(bytes);
        return key is not null;
    }

    /// <summary>
    /// The X25519 shared secret with another key, 32 bytes. False when it would be all zero: the other key is of low order and the
    /// "secret" known to everybody (RFC 7748 section 6.1).
    /// </summary>
    public bool TryAgree(in PublicKey other, Span<byte> sharedSecret) => _secret.TryAgree(other.Bytes, sharedSecret);

    /// <summary>The secret as 44 characters of base64, for the state file.</summary>
    public string Reveal() => Convert.ToBase64String(_bytes);

    /// <summary>Zeroes the secret.</summary>
    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_bytes);
        _secret.Dispose();
    }

    /// <summary>Never the secret.</summary>
    public override string ToString() => "(private key)";
}

/// <summary>
/// The network's pre-shared key, mixed into every handshake (Noise_IKpsk2). Its bytes are zeroed on disposal and never shown by
/// <see cref="ToString"/>. Two are equal when their bytes are, compared in constant time.
/// </summary>
internal sealed class PresharedKey : IDisposable, IEquatable<PresharedKey>
{
    /// <summary>Bytes of a key.</summary>
    public const int Size = 32;

    private readonly byte[] _bytes;

    /// <exception cref="ArgumentException">Not 32 bytes.</exception>
    public PresharedKey(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Size)
            throw new ArgumentException("A pre-shared key has 32 bytes.", nameof(bytes));
        _bytes = GC.AllocateArray<byte>(Size, pinned: true);
        bytes.CopyTo(_bytes);
    }

    /// <summary>The secret bytes.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>A new random key.</summary>
    public static PresharedKey Generate()
    {
        Span<byte> bytes = stackalloc byte[Size];
        RandomNumberGenerator.Fill(bytes);
        var key = new PresharedKey(bytes);
        CryptographicOperations.ZeroMemory(bytes);
        return key;
    }

    /// <summary>Reads 44 characters of base64.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out PresharedKey? key)
    {
        Span<byte> bytes = stackalloc byte[Size];
        key = KeyText.TryRead(text, bytes) ? new PresharedKey(bytes) : null;
        CryptographicOperations.ZeroMemory(bytes);
        return key is not null;
    }

    /// <summary>The secret as 44 characters of base64: for the state file, an invitation, or the person who asked for the key.</summary>
    public string Reveal() => Convert.ToBase64String(_bytes);

    /// <summary>Zeroes the secret.</summary>
    public void Dispose() => CryptographicOperations.ZeroMemory(_bytes);

    /// <inheritdoc/>
    public bool Equals([NotNullWhen(true)] PresharedKey? other) =>
        other is not null && CryptographicOperations.FixedTimeEquals(_bytes, other._bytes);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as PresharedKey);

    /// <inheritdoc/>
    public override int GetHashCode() => 0;

    /// <summary>Never the secret.</summary>
    public override string ToString() => "(pre-shared key)";
}

internal static class KeyText
{
    /// <summary>Reads exactly as many bytes of base64 as the destination takes.</summary>
    public static bool TryRead([NotNullWhen(true)] string? text, Span<byte> destination)
    {
        if (text is null)
            return false;
        Span<byte> buffer = stackalloc byte[destination.Length + 3];
        bool valid = Convert.TryFromBase64Chars(text.AsSpan().Trim(), buffer, out int length) && length == destination.Length;
        if (valid)
            buffer[..length].CopyTo(destination);
        CryptographicOperations.ZeroMemory(buffer);
        return valid;
    }
}
