using System.Runtime.InteropServices;
using LightTunnel.Diagnostics;

namespace LightTunnel.WireGuard;

/// <summary>
/// The primitives of libsodium that links are made of, on plain spans. Called without a wrapper such as NSec, whose key objects lie in
/// guarded pages of their own: some thousand sessions would use up the memory maps that a process may have.
/// </summary>
internal static unsafe partial class Sodium
{
    /// <summary>Bytes of ChaCha20-Poly1305's and XChaCha20-Poly1305's tag.</summary>
    public const int TagSize = 16;

    /// <summary>Bytes of ChaCha20-Poly1305's nonce.</summary>
    public const int NonceSize = 12;

    /// <summary>Bytes of AEGIS-256's tag: the draft's longer one, which is not an extension of the shorter.</summary>
    public const int AegisTagSize = 32;

    /// <summary>Bytes of AEGIS-256's nonce.</summary>
    public const int AegisNonceSize = 32;

    private const string Library = "libsodium";

    // Initializing chooses the fastest implementation for this processor; harmless when somebody else did it before.
    static Sodium() => SodiumLibrary.Load(Initialize, OperatingSystem.IsWindows());

    /// <summary>
    /// Loads the library if that has not been done yet: whoever has the first key calls this, so that a person learns what is missing.
    /// </summary>
    /// <exception cref="LightTunnelException">LibraryUnavailable: it cannot be loaded.</exception>
    public static void Require() => SodiumLibrary.Require(typeof(Sodium));

    /// <summary>True when this processor has what makes AEGIS-256 fast: AES instructions, on x86 with AVX.</summary>
    public static bool HasAesInstructions => (HasAesNi() != 0 && HasAvx() != 0) || HasArmCrypto() != 0;

    /// <summary>X25519 (RFC 7748). False when the result is all zero, that is, when the other side chose a point of low order.</summary>
    public static bool TryAgree(ReadOnlySpan<byte> privateKey, ReadOnlySpan<byte> publicKey, Span<byte> sharedSecret) =>
        ScalarMultiply(sharedSecret, privateKey, publicKey) == 0;

    /// <summary>The X25519 public key of a private key.</summary>
    public static void DerivePublicKey(ReadOnlySpan<byte> privateKey, Span<byte> publicKey) =>
        _ = ScalarMultiplyBase(publicKey, privateKey);

    /// <summary>
    /// ChaCha20-Poly1305 (RFC 8439) with a 12 byte nonce: ciphertext and tag; in place when both spans start at the same byte.
    /// </summary>
    public static void Seal(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext,
        Span<byte> ciphertext)
    {
        fixed (byte* c = ciphertext, m = plaintext, ad = associatedData, n = nonce, k = key)
            _ = ChaChaEncrypt(c, null, m, (ulong)plaintext.Length, ad, (ulong)associatedData.Length, null, n, k);
    }

    /// <summary>The reverse of <see cref="Seal"/>; false for a forgery.</summary>
    public static bool TryOpen(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext,
        Span<byte> plaintext)
    {
        fixed (byte* c = ciphertext, m = plaintext, ad = associatedData, n = nonce, k = key)
            return ChaChaDecrypt(m, null, null, c, (ulong)ciphertext.Length, ad, (ulong)associatedData.Length, n, k) == 0;
    }

    /// <summary>
    /// AEGIS-256 (draft-irtf-cfrg-aegis-aead) with a 32 byte nonce: ciphertext and the tag of 32 bytes; in place as for <see cref="Seal"/>.
    /// </summary>
    public static void SealAegis(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext,
        Span<byte> ciphertext)
    {
        fixed (byte* c = ciphertext, m = plaintext, ad = associatedData, n = nonce, k = key)
            _ = AegisEncrypt(c, null, m, (ulong)plaintext.Length, ad, (ulong)associatedData.Length, null, n, k);
    }

    /// <summary>The reverse of <see cref="SealAegis"/>; false for a forgery.</summary>
    public static bool TryOpenAegis(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext,
        Span<byte> plaintext)
    {
        fixed (byte* c = ciphertext, m = plaintext, ad = associatedData, n = nonce, k = key)
            return AegisDecrypt(m, null, null, c, (ulong)ciphertext.Length, ad, (ulong)associatedData.Length, n, k) == 0;
    }

    /// <summary>XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with a 24 byte nonce: ciphertext and tag.</summary>
    public static void SealExtended(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext,
        Span<byte> ciphertext) =>
        _ = XChaChaEncrypt(ciphertext, 0, plaintext, (ulong)plaintext.Length, associatedData, (ulong)associatedData.Length, 0, nonce, key);

    /// <summary>The reverse of <see cref="SealExtended"/>; false for a forgery.</summary>
    public static bool TryOpenExtended(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext,
        Span<byte> plaintext) =>
        XChaChaDecrypt(
            plaintext, 0, 0, ciphertext, (ulong)ciphertext.Length, associatedData, (ulong)associatedData.Length, nonce, key) == 0;

    [LibraryImport(Library, EntryPoint = "sodium_init")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int Initialize();

    [LibraryImport(Library, EntryPoint = "sodium_runtime_has_aesni")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int HasAesNi();

    [LibraryImport(Library, EntryPoint = "sodium_runtime_has_avx")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int HasAvx();

    [LibraryImport(Library, EntryPoint = "sodium_runtime_has_armcrypto")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int HasArmCrypto();

    [LibraryImport(Library, EntryPoint = "crypto_scalarmult_curve25519")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int ScalarMultiply(Span<byte> result, ReadOnlySpan<byte> scalar, ReadOnlySpan<byte> point);

    [LibraryImport(Library, EntryPoint = "crypto_scalarmult_curve25519_base")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int ScalarMultiplyBase(Span<byte> result, ReadOnlySpan<byte> scalar);

    // Pointers rather than spans: these are called for each packet, and take as little as 40 ns.
    [LibraryImport(Library, EntryPoint = "crypto_aead_chacha20poly1305_ietf_encrypt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int ChaChaEncrypt(
        byte* ciphertext, ulong* ciphertextLength, byte* plaintext, ulong plaintextLength,
        byte* associatedData, ulong associatedDataLength, byte* secretNonce, byte* nonce, byte* key);

    [LibraryImport(Library, EntryPoint = "crypto_aead_chacha20poly1305_ietf_decrypt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int ChaChaDecrypt(
        byte* plaintext, ulong* plaintextLength, byte* secretNonce, byte* ciphertext, ulong ciphertextLength,
        byte* associatedData, ulong associatedDataLength, byte* nonce, byte* key);

    [LibraryImport(Library, EntryPoint = "crypto_aead_aegis256_encrypt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int AegisEncrypt(
        byte* ciphertext, ulong* ciphertextLength, byte* plaintext, ulong plaintextLength,
        byte* associatedData, ulong associatedDataLength, byte* secretNonce, byte* nonce, byte* key);

    [LibraryImport(Library, EntryPoint = "crypto_aead_aegis256_decrypt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int AegisDecrypt(
        byte* plaintext, ulong* plaintextLength, byte* secretNonce, byte* ciphertext, ulong ciphertextLength,
        byte* associatedData, ulong associatedDataLength, byte* nonce, byte* key);

    [LibraryImport(Library, EntryPoint = "crypto_aead_xchacha20poly1305_ietf_encrypt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int XChaChaEncrypt(
        Span<byte> ciphertext, nint ciphertextLength, ReadOnlySpan<byte> plaintext, ulong plaintextLength,
        ReadOnlySpan<byte> associatedData, ulong associatedDataLength, nint secretNonce, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> key);

    [LibraryImport(Library, EntryPoint = "crypto_aead_xchacha20poly1305_ietf_decrypt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial int XChaChaDecrypt(
        Span<byte> plaintext, nint plaintextLength, nint secretNonce, ReadOnlySpan<byte> ciphertext, ulong ciphertextLength,
        ReadOnlySpan<byte> associatedData, ulong associatedDataLength, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> key);
}
