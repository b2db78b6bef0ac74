using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using Org.BouncyCastle.Math.EC.Rfc8032;

namespace LightTunnel.Membership.Signing;

/// <summary>
/// An admin's signing key: an Ed25519 private key (RFC 8032), by which members are signed. It belongs on the admin's machine and never goes
/// to a tunnel: commands sign, and pass signatures on. Its bytes are pinned, zeroed on disposal and never shown by <see cref="ToString"/>.
/// </summary>
internal sealed class SigningKey : IDisposable
{
    /// <summary>Bytes of a key.</summary>
    public const int Size = 32;

    /// <summary>How its text begins: so nobody takes it for a public key, which looks like any 32 bytes.</summary>
    private const string Prefix = "ltsign1:";

    private const int DigestSize = 4;

    private readonly byte[] _seed = GC.AllocateUninitializedArray<byte>(Size, pinned: true);

    /// <exception cref="ArgumentException">Not 32 bytes.</exception>
    public SigningKey(ReadOnlySpan<byte> seed)
    {
        if (seed.Length != Size)
            throw new ArgumentException("A signing key has 32 bytes.", nameof(seed));
        seed.CopyTo(_seed);
        Span<byte> bytes = stackalloc byte[SigningPublicKey.Size];
        Ed25519.GeneratePublicKey(_seed, bytes);
        PublicKey = SigningPublicKey.TryRead(bytes, out SigningPublicKey? key) ? key : throw new CryptographicException("No key pair.");
    }

    /// <summary>The public half.</summary>
    public SigningPublicKey PublicKey { get; }

    /// <summary>A new random key.</summary>
    public static SigningKey Generate()
    {
        Span<byte> seed = stackalloc byte[Size];
        RandomNumberGenerator.Fill(seed);
        var key = new SigningKey(seed);
        CryptographicOperations.ZeroMemory(seed);
        return key;
    }

    /// <summary>Reads what <see cref="Reveal"/> made; lines that begin with # are comments.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out SigningKey? key)
    {
        key = null;
        string? line = text?.Split('\n').Select(each => each.Trim()).FirstOrDefault(each => each.Length > 0 && each[0] != '#');
        if (line is null || !line.StartsWith(Prefix, StringComparison.Ordinal))
            return false;
        Span<byte> bytes = stackalloc byte[Size + DigestSize];
        ReadOnlySpan<char> body = line.AsSpan(Prefix.Length);
        // A character more or less is no key either, although the decoder would take it.
        bool isKey = body.Length == Base64Url.GetEncodedLength(bytes.Length) && Base64Url.IsValid(body)
            && Base64Url.TryDecodeFromChars(body, bytes, out int length) && length == bytes.Length
            && Digest(bytes[..Size]).AsSpan().SequenceEqual(bytes[Size..]);
        if (isKey)
            key = new SigningKey(bytes[..Size]);
        CryptographicOperations.ZeroMemory(bytes);
        return isKey;
    }

    /// <summary>The key as text, with its public half as comments: a secret.</summary>
    public byte[] Reveal()
    {
        byte[] bytes = [.. _seed, .. Digest(_seed)];
        string line = Prefix + Base64Url.EncodeToString(bytes);
        CryptographicOperations.ZeroMemory(bytes);
        return Encoding.ASCII.GetBytes(
            $"# LightTunnel signing key: a secret. Who has it can sign members. Keep it off the server.\n# Public half: {PublicKey}\n"
                + $"# Fingerprint: {PublicKey.Fingerprint}\n{line}\n");
    }

    /// <summary>Signs a message.</summary>
    public byte[] Sign(ReadOnlySpan<byte> message)
    {
        byte[] signature = new byte[Ed25519.SignatureSize];
        Ed25519.Sign(_seed, message, signature);
        return signature;
    }

    /// <inheritdoc/>
    public void Dispose() => CryptographicOperations.ZeroMemory(_seed);

    /// <summary>Never the secret.</summary>
    public override string ToString() => "(signing key)";

    private static byte[] Digest(ReadOnlySpan<byte> seed) => SHA256.HashData(seed)[..DigestSize];
}
