using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace LightTunnel.WireGuard;

/// <summary>A node's X25519 public key: 32 bytes, shown as the base64 that WireGuard's tools use. A value; equality is not secret.</summary>
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
    public bool Equals([NotNullWhen(true)] PresharedKey? other) => other is not null && CryptographicOperations.FixedTimeEquals(_bytes, other._bytes);

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
