using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.WireGuard.Agreement;

/// <summary>
/// X25519 by OpenSSL's libcrypto, in constant time as it documents. The key lies in the library's memory, which wipes it when it is freed.
/// </summary>
internal sealed partial class CryptoLibraryX25519 : X25519Secret
{
    private const string Library = "libcrypto.so.3";

    // EVP_PKEY_X25519 of openssl/evp.h.
    private const int Algorithm = 1034;

    private readonly Key _key;

    public CryptoLibraryX25519(ReadOnlySpan<byte> privateKey)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(privateKey.Length, Size);
        _key = NewPrivateKey(Algorithm, 0, privateKey, Size);
        if (!_key.IsInvalid)
            return;
        _key.Dispose();
        throw new CryptographicException("libcrypto has no X25519.");
    }

    /// <inheritdoc/>
    public override void DerivePublicKey(Span<byte> publicKey)
    {
        nint length = Size;
        ArgumentOutOfRangeException.ThrowIfLessThan(publicKey.Length, Size);
        if (GetPublicKey(_key, publicKey, ref length) <= 0 || length != Size)
            throw new CryptographicException("libcrypto tells no public key.");
    }

    /// <inheritdoc/>
    public override bool TryAgree(ReadOnlySpan<byte> publicKey, Span<byte> sharedSecret)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(publicKey.Length, Size);
        ArgumentOutOfRangeException.ThrowIfLessThan(sharedSecret.Length, Size);
        using Key other = NewPublicKey(Algorithm, 0, publicKey, Size);
        using Context context = NewContext(_key, 0);
        if (other.IsInvalid || context.IsInvalid || BeginDerivation(context) <= 0 || SetPeer(context, other) <= 0)
            throw new CryptographicException("libcrypto could not begin to agree on a secret.");
        nint length = Size;
        bool agreed = Derive(context, sharedSecret, ref length) > 0;
        // The thread's queue of errors is not left to whoever asks the library next.
        if (!agreed)
            ClearErrors();
        return agreed;
    }

    /// <inheritdoc/>
    public override void Dispose() => _key.Dispose();

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_new_raw_private_key")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial Key NewPrivateKey(int type, nint engine, ReadOnlySpan<byte> key, nint length);

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_new_raw_public_key")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial Key NewPublicKey(int type, nint engine, ReadOnlySpan<byte> key, nint length);

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_get_raw_public_key")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int GetPublicKey(Key key, Span<byte> publicKey, ref nint length);

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_free")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial void FreeKey(nint key);

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_CTX_new")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial Context NewContext(Key key, nint engine);

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_CTX_free")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial void FreeContext(nint context);

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_derive_init")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int BeginDerivation(Context context);

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_derive_set_peer")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetPeer(Context context, Key peer);

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_derive")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Derive(Context context, Span<byte> secret, ref nint length);

    [LibraryImport(Library, EntryPoint = "ERR_clear_error")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial void ClearErrors();

    /// <summary>An EVP_PKEY.</summary>
    private sealed class Key() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
    {
        protected override bool ReleaseHandle()
        {
            FreeKey(handle);
            return true;
        }
    }

    /// <summary>An EVP_PKEY_CTX.</summary>
    private sealed class Context() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
    {
        protected override bool ReleaseHandle()
        {
            FreeContext(handle);
            return true;
        }
    }
}
