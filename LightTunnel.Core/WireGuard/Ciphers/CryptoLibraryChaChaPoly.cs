using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>
/// ChaCha20-Poly1305 by OpenSSL's libcrypto, with a context that is kept: the key is set up once, each packet brings its nonce only.
/// </summary>
internal sealed unsafe partial class CryptoLibraryChaChaPoly(ReadOnlySpan<byte> key, int shortest) : OneCallerChaChaPoly(key, shortest)
{
    private const string Library = "libcrypto.so.3";

    // EVP_CTRL_AEAD_GET_TAG and EVP_CTRL_AEAD_SET_TAG of openssl/evp.h.
    private const int GetTag = 0x10;
    private const int SetTag = 0x11;

    private const int Encrypt = 1;
    private const int Decrypt = 0;

    private readonly Context _context = Context.Create(key);

    /// <inheritdoc/>
    protected override void SealAlone(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext)
    {
        fixed (byte* c = ciphertext, m = plaintext, ad = associatedData, n = nonce)
        {
            nint context = _context.Pointer;
            byte* tag = c + plaintext.Length;
            int length;
            if (Initialize(context, 0, 0, null, n, Encrypt) <= 0
                || (associatedData.Length > 0 && Update(context, null, &length, ad, associatedData.Length) <= 0)
                || (plaintext.Length > 0 && Update(context, c, &length, m, plaintext.Length) <= 0)
                || Finish(context, tag, &length) <= 0
                || Control(context, GetTag, ChaChaPoly.TagSize, tag) <= 0)
            {
                throw new CryptographicException("libcrypto could not seal.");
            }
        }
    }

    /// <inheritdoc/>
    protected override bool TryOpenAlone(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext)
    {
        fixed (byte* c = ciphertext, m = plaintext, ad = associatedData, n = nonce)
        {
            nint context = _context.Pointer;
            int textLength = ciphertext.Length - ChaChaPoly.TagSize;
            byte* tag = c + textLength;
            int length;
            byte end; // Finish writes nothing here, but the plaintext may be empty and its pointer null.
            return Initialize(context, 0, 0, null, n, Decrypt) > 0
                && Control(context, SetTag, ChaChaPoly.TagSize, tag) > 0
                && (associatedData.Length == 0 || Update(context, null, &length, ad, associatedData.Length) > 0)
                && (textLength == 0 || Update(context, m, &length, c, textLength) > 0)
                && Finish(context, &end, &length) > 0;
        }
    }

    /// <inheritdoc/>
    protected override void Release() => _context.Dispose();

    [LibraryImport(Library, EntryPoint = "EVP_chacha20_poly1305")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint Algorithm();

    [LibraryImport(Library, EntryPoint = "EVP_CIPHER_CTX_new")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint NewContext();

    [LibraryImport(Library, EntryPoint = "EVP_CIPHER_CTX_free")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial void FreeContext(nint context);

    [LibraryImport(Library, EntryPoint = "EVP_CIPHER_CTX_ctrl")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Control(nint context, int type, int argument, byte* pointer);

    [LibraryImport(Library, EntryPoint = "EVP_CipherInit_ex")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Initialize(nint context, nint algorithm, nint engine, byte* key, byte* nonce, int encrypt);

    [LibraryImport(Library, EntryPoint = "EVP_CipherUpdate")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Update(nint context, byte* output, int* outputLength, byte* input, int inputLength);

    [LibraryImport(Library, EntryPoint = "EVP_CipherFinal_ex")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Finish(nint context, byte* output, int* outputLength);

    /// <summary>An EVP_CIPHER_CTX; libcrypto wipes it when it is freed.</summary>
    private sealed class Context : SafeHandleZeroOrMinusOneIsInvalid
    {
        private Context()
            : base(ownsHandle: true)
        {
        }

        public nint Pointer => handle;

        public static Context Create(ReadOnlySpan<byte> key)
        {
            var context = new Context();
            context.SetHandle(NewContext());
            fixed (byte* k = key)
            {
                if (!context.IsInvalid && Initialize(context.handle, Algorithm(), 0, k, null, Encrypt) > 0)
                    return context;
            }

            context.Dispose();
            throw new CryptographicException("libcrypto has no ChaCha20-Poly1305.");
        }

        protected override bool ReleaseHandle()
        {
            FreeContext(handle);
            return true;
        }
    }
}
