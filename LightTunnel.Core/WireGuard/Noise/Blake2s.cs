using System.Security.Cryptography;
using Org.BouncyCastle.Crypto.Digests;

namespace LightTunnel.WireGuard.Noise;

/// <summary>BLAKE2s (RFC 7693) in the four ways that WireGuard uses it. For handshakes only: it allocates.</summary>
internal static class Blake2s
{
    /// <summary>Bytes of a hash.</summary>
    public const int HashSize = 32;

    /// <summary>Bytes of a <see cref="Mac"/>.</summary>
    public const int MacSize = 16;

    private const int BlockSize = 64;

    /// <summary>HASH(first || second).</summary>
    public static void Hash(Span<byte> destination, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default)
    {
        var digest = new Blake2sDigest(HashSize * 8);
        digest.BlockUpdate(first);
        digest.BlockUpdate(second);
        digest.DoFinal(destination);
    }

    /// <summary>MAC(key, input): BLAKE2s keyed, 16 bytes out. The key may have up to 32 bytes.</summary>
    public static void Mac(Span<byte> destination, ReadOnlySpan<byte> key, ReadOnlySpan<byte> input)
    {
        byte[] keyBytes = key.ToArray();
        var digest = new Blake2sDigest(keyBytes, MacSize, null, null);
        digest.BlockUpdate(input);
        digest.DoFinal(destination);
        digest.ClearKey();
        CryptographicOperations.ZeroMemory(keyBytes);
    }

    /// <summary>HMAC-BLAKE2s (RFC 2104 construction), 32 bytes. The key may have up to 64 bytes.</summary>
    public static void Hmac(Span<byte> destination, ReadOnlySpan<byte> key, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default)
    {
        Span<byte> pad = stackalloc byte[BlockSize];
        Span<byte> inner = stackalloc byte[HashSize];
        XorPad(pad, key, 0x36);
        var digest = new Blake2sDigest(HashSize * 8);
        digest.BlockUpdate(pad);
        digest.BlockUpdate(first);
        digest.BlockUpdate(second);
        digest.DoFinal(inner);
        XorPad(pad, key, 0x5c);
        digest.Reset();
        digest.BlockUpdate(pad);
        digest.BlockUpdate(inner);
        digest.DoFinal(destination);
        CryptographicOperations.ZeroMemory(pad);
        CryptographicOperations.ZeroMemory(inner);
    }

    /// <summary>
    /// HKDF of Noise section 4.3: fills the destination with one, two or three outputs of 32 bytes each. The chaining key may be
    /// the same memory as an output.
    /// </summary>
    public static void DeriveKeys(Span<byte> destination, ReadOnlySpan<byte> chainingKey, ReadOnlySpan<byte> input)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length % HashSize, 0);
        Span<byte> secret = stackalloc byte[HashSize];
        Hmac(secret, chainingKey, input);
        ReadOnlySpan<byte> previous = default;
        for (int i = 0; i < destination.Length / HashSize; i++)
        {
            Span<byte> output = destination.Slice(i * HashSize, HashSize);
            Hmac(output, secret, previous, [(byte)(i + 1)]);
            previous = output;
        }

        CryptographicOperations.ZeroMemory(secret);
    }

    private static void XorPad(Span<byte> pad, ReadOnlySpan<byte> key, byte value)
    {
        pad.Fill(value);
        for (int i = 0; i < key.Length; i++)
            pad[i] ^= key[i];
    }
}
