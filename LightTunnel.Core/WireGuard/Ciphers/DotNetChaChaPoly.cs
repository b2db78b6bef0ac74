using System.Security.Cryptography;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>ChaCha20-Poly1305 by .NET's class, which uses what the operating system has.</summary>
internal sealed class DotNetChaChaPoly(ReadOnlySpan<byte> key, int shortest) : OneCallerChaChaPoly(key, shortest)
{
    private readonly ChaCha20Poly1305 _cipher = new(key);

    /// <inheritdoc/>
    protected override void SealAlone(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext) =>
        _cipher.Encrypt(
            nonce, plaintext, ciphertext[..plaintext.Length], ciphertext.Slice(plaintext.Length, ChaChaPoly.TagSize), associatedData);

    /// <inheritdoc/>
    protected override bool TryOpenAlone(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext)
    {
        ReadOnlySpan<byte> text = ciphertext[..^ChaChaPoly.TagSize];
        try
        {
            _cipher.Decrypt(nonce, text, ciphertext[text.Length..], plaintext[..text.Length], associatedData);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    protected override void Release() => _cipher.Dispose();
}
