using LightTunnel.WireGuard.Vectors;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>AEGIS-256 on any processor, in constant time and slowly.</summary>
internal sealed class ComputedAegis256(ReadOnlySpan<byte> key) : TransportCipher(key, Aegis256.NonceSize, Aegis256.TagSize)
{
    /// <inheritdoc/>
    internal override void Seal(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext) =>
        VectorAegis256<ComputedAes>.Seal(Key, nonce, associatedData, plaintext, ciphertext);

    /// <inheritdoc/>
    internal override bool TryOpen(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext) =>
        VectorAegis256<ComputedAes>.TryOpen(Key, nonce, associatedData, ciphertext, plaintext);
}
