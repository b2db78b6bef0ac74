namespace LightTunnel.WireGuard.Ciphers;

/// <summary>
/// AEGIS-256 (draft-irtf-cfrg-aegis-aead) by libsodium, with the tag of 256 bits, the only one that libsodium knows. Fast on processors with AES
/// instructions; elsewhere slow, but in constant time too: good for what is said before both ends know of each other what they are.
/// </summary>
internal sealed class Aegis256Cipher(ReadOnlySpan<byte> key) : TransportCipher(key, Sodium.AegisNonceSize, Sodium.AegisTagSize)
{
    /// <inheritdoc/>
    internal override void Seal(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext) =>
        Sodium.SealAegis(Key, nonce, associatedData, plaintext, ciphertext);

    /// <inheritdoc/>
    internal override bool TryOpen(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext) =>
        Sodium.TryOpenAegis(Key, nonce, associatedData, ciphertext, plaintext);
}
