using LightTunnel.WireGuard.Vectors;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>
/// AEGIS-256 (draft-irtf-cfrg-aegis-aead) by libsodium, with the tag of 256 bits, the only one that libsodium knows. Fast on
/// processors with AES instructions; elsewhere slow, but in constant time too: good for what is said before both ends know of each
/// other what they are. Two messages at once are computed by this project's own vector code, a third faster than libsodium computes
/// them one after the other.
/// </summary>
internal sealed class Aegis256Cipher(ReadOnlySpan<byte> key, bool pairsByVectors)
    : TransportCipher(key, Sodium.AegisNonceSize, Sodium.AegisTagSize)
{
    /// <summary>Environment variable: with the value "libsodium" it computes pairs as well.</summary>
    public const string Variable = "LIGHTTUNNEL_AEGIS256";

    private static readonly Lazy<bool> Choice = new(() => ChoosesVectors(Environment.GetEnvironmentVariable(Variable)));

    /// <summary>Pairs by the fastest that works here.</summary>
    public Aegis256Cipher(ReadOnlySpan<byte> key)
        : this(key, Choice.Value)
    {
    }

    /// <inheritdoc/>
    public override bool PairsAreFaster => pairsByVectors;

    /// <summary>
    /// Whether pairs are computed by vectors: not when libsodium is asked for, and only where they compute what it computes.
    /// </summary>
    internal static bool ChoosesVectors(string? name) =>
        name != "libsodium" && VectorAegis256.IsSupported
        && Aegis256Check.Passes(static key => new Aegis256Cipher(key, pairsByVectors: true));

    /// <inheritdoc/>
    internal override void Seal(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext) =>
        Sodium.SealAegis(Key, nonce, associatedData, plaintext, ciphertext);

    /// <inheritdoc/>
    internal override bool TryOpen(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext) =>
        Sodium.TryOpenAegis(Key, nonce, associatedData, ciphertext, plaintext);

    /// <inheritdoc/>
    internal override void SealPair(
        ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce,
        ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, Span<byte> firstCiphertext, Span<byte> secondCiphertext)
    {
        if (pairsByVectors)
            VectorAegis256.SealPair(Key, firstNonce, secondNonce, first, second, firstCiphertext, secondCiphertext);
        else
            base.SealPair(firstNonce, secondNonce, first, second, firstCiphertext, secondCiphertext);
    }

    /// <inheritdoc/>
    internal override void TryOpenPair(
        ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce,
        ReadOnlySpan<byte> firstCiphertext, ReadOnlySpan<byte> secondCiphertext, Span<byte> firstPlaintext, Span<byte> secondPlaintext,
        out bool first, out bool second)
    {
        if (pairsByVectors)
        {
            VectorAegis256.TryOpenPair(
                Key, firstNonce, secondNonce, firstCiphertext, secondCiphertext, firstPlaintext, secondPlaintext, out first, out second);
        }
        else
        {
            base.TryOpenPair(
                firstNonce, secondNonce, firstCiphertext, secondCiphertext, firstPlaintext, secondPlaintext, out first, out second);
        }
    }
}
