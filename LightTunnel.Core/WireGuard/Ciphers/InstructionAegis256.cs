using LightTunnel.WireGuard.Vectors;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>AEGIS-256 by AES instructions; two messages at once take a third less time than one after the other.</summary>
internal sealed class InstructionAegis256 : TransportCipher
{
    /// <exception cref="PlatformNotSupportedException">The processor has no AES instructions.</exception>
    public InstructionAegis256(ReadOnlySpan<byte> key)
        : base(key, Aegis256.NonceSize, Aegis256.TagSize)
    {
        if (!AesInstructions.IsSupported)
            throw new PlatformNotSupportedException("This processor has no AES instructions.");
    }

    /// <inheritdoc/>
    public override bool PairsAreFaster => true;

    /// <inheritdoc/>
    internal override void Seal(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext) =>
        VectorAegis256<AesInstructions>.Seal(Key, nonce, associatedData, plaintext, ciphertext);

    /// <inheritdoc/>
    internal override bool TryOpen(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext) =>
        VectorAegis256<AesInstructions>.TryOpen(Key, nonce, associatedData, ciphertext, plaintext);

    /// <inheritdoc/>
    internal override void SealPair(
        ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce,
        ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, Span<byte> firstCiphertext, Span<byte> secondCiphertext) =>
        VectorAegis256Pair<AesInstructions>.Seal(Key, firstNonce, secondNonce, first, second, firstCiphertext, secondCiphertext);

    /// <inheritdoc/>
    internal override void TryOpenPair(
        ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce,
        ReadOnlySpan<byte> firstCiphertext, ReadOnlySpan<byte> secondCiphertext, Span<byte> firstPlaintext, Span<byte> secondPlaintext,
        out bool first, out bool second) =>
        VectorAegis256Pair<AesInstructions>.TryOpen(
            Key, firstNonce, secondNonce, firstCiphertext, secondCiphertext, firstPlaintext, secondPlaintext, out first, out second);
}
