namespace LightTunnel.WireGuard.Ciphers;

/// <summary>ChaCha20-Poly1305 by libsodium: everywhere, and the fastest for short packets.</summary>
internal sealed class SodiumChaChaPoly(ReadOnlySpan<byte> key) : TransportCipher(key, Sodium.NonceSize, Sodium.TagSize)
{
    /// <inheritdoc/>
    internal override void Seal(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext) =>
        Sodium.Seal(Key, nonce, associatedData, plaintext, ciphertext);

    /// <inheritdoc/>
    internal override bool TryOpen(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext) =>
        Sodium.TryOpen(Key, nonce, associatedData, ciphertext, plaintext);
}
