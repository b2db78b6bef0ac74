using LightTunnel.WireGuard.Vectors;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>ChaCha20-Poly1305 by this project's own vector code.</summary>
internal sealed class VectorChaChaPoly : TransportCipher
{
    /// <exception cref="PlatformNotSupportedException">The processor has no vectors to speak of.</exception>
    public VectorChaChaPoly(ReadOnlySpan<byte> key)
        : base(key, Sodium.NonceSize, Sodium.TagSize)
    {
        if (!VectorChaCha20Poly1305.IsSupported)
            throw new PlatformNotSupportedException("This processor has no vector instructions that are used here.");
    }

    /// <inheritdoc/>
    internal override void Seal(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext) =>
        VectorChaCha20Poly1305.Seal(Key, nonce, associatedData, plaintext, ciphertext);

    /// <inheritdoc/>
    internal override bool TryOpen(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext) =>
        VectorChaCha20Poly1305.TryOpen(Key, nonce, associatedData, ciphertext, plaintext);
}
