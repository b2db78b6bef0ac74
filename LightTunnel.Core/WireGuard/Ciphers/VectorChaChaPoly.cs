using LightTunnel.WireGuard.Vectors;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>ChaCha20-Poly1305 by this project's own vector code: everywhere, and for packets of every length.</summary>
internal sealed class VectorChaChaPoly(ReadOnlySpan<byte> key) : TransportCipher(key, ChaChaPoly.NonceSize, ChaChaPoly.TagSize)
{
    /// <inheritdoc/>
    internal override void Seal(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext) =>
        VectorChaCha20Poly1305.Seal(Key, nonce, associatedData, plaintext, ciphertext);

    /// <inheritdoc/>
    internal override bool TryOpen(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext) =>
        VectorChaCha20Poly1305.TryOpen(Key, nonce, associatedData, ciphertext, plaintext);
}
