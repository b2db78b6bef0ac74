using LightTunnel.WireGuard.Vectors;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>
/// ChaCha20-Poly1305 by a library that keeps state with each key and lets one caller at a time use it. Who finds it in use does not wait,
/// but is served by the own vector code, as is who comes with a short packet: both compute the same.
/// </summary>
internal abstract class OneCallerChaChaPoly(ReadOnlySpan<byte> key, int shortest)
    : TransportCipher(key, ChaChaPoly.NonceSize, ChaChaPoly.TagSize)
{
    private int _inUse;
    private bool _disposed;

    /// <inheritdoc/>
    internal sealed override void Seal(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext)
    {
        if (plaintext.Length < shortest || !TryEnter())
        {
            VectorChaCha20Poly1305.Seal(Key, nonce, associatedData, plaintext, ciphertext);
            return;
        }

        try
        {
            SealAlone(nonce, associatedData, plaintext, ciphertext);
        }
        finally
        {
            Leave();
        }
    }

    /// <inheritdoc/>
    internal sealed override bool TryOpen(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext)
    {
        if (ciphertext.Length < shortest + TagSize || !TryEnter())
            return VectorChaCha20Poly1305.TryOpen(Key, nonce, associatedData, ciphertext, plaintext);
        try
        {
            return TryOpenAlone(nonce, associatedData, ciphertext, plaintext);
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>Zeroes the key, here and in the library's state, once nobody is in there.</summary>
    public sealed override void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        // It stays taken for ever: whoever comes now gets what a zeroed key makes, from the vector code.
        var wait = default(SpinWait);
        while (!TryEnter())
            wait.SpinOnce();
        base.Dispose();
        Release();
    }

    /// <summary>Seals; no other thread is in here.</summary>
    protected abstract void SealAlone(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext);

    /// <summary>Opens; no other thread is in here.</summary>
    protected abstract bool TryOpenAlone(
        ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext);

    /// <summary>Gives the library's state back.</summary>
    protected abstract void Release();

    private bool TryEnter() => Volatile.Read(ref _inUse) == 0 && Interlocked.Exchange(ref _inUse, 1) == 0;

    private void Leave() => Volatile.Write(ref _inUse, 0);
}
