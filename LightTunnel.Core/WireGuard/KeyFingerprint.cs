using System.Security.Cryptography;

namespace LightTunnel.WireGuard;

/// <summary>
/// A public key as people compare it by voice: the first 80 bits of its SHA-256 in Crockford's base32, which has no letters that are taken
/// for others, in groups of four. To find another key with the same one takes 2^80 attempts.
/// </summary>
public static class KeyFingerprint
{
    private const string Digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    private const int Length = 16, Group = 4;

    /// <summary>The fingerprint of a key, "7K2M-9QX4-0ABT-C3DE"; empty for what is no key.</summary>
    /// <param name="publicKey">The key, base64.</param>
    public static string Of(string publicKey) => PublicKey.TryParse(publicKey, out PublicKey key) ? Of(key) : string.Empty;

    private static string Of(in PublicKey key)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(key.Bytes, digest);
        Span<char> text = stackalloc char[Length + (Length / Group) - 1];
        UInt128 bits = 0;
        for (int i = 0; i < Length * 5 / 8; i++)
            bits = (bits << 8) | digest[i];
        for (int i = 0, at = 0; i < Length; i++)
        {
            if (i > 0 && i % Group == 0)
                text[at++] = '-';
            text[at++] = Digits[(int)((bits >> (5 * (Length - 1 - i))) & 31)];
        }

        return new string(text);
    }
}
