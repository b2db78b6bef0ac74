namespace LightTunnel.WireGuard.Agreement;

/// <summary>An X25519 private key in the form that an implementation computes with. Zeroed on disposal, and of no use after it.</summary>
internal abstract class X25519Secret : IDisposable
{
    /// <summary>Bytes of a private key, a public key and a shared secret.</summary>
    public const int Size = 32;

    /// <summary>The public key that belongs to it.</summary>
    public abstract void DerivePublicKey(Span<byte> publicKey);

    /// <summary>
    /// The secret shared with another key. False when it is all zero, that is, when the other side chose a point of low order (RFC 7748
    /// section 6.1).
    /// </summary>
    public abstract bool TryAgree(ReadOnlySpan<byte> publicKey, Span<byte> sharedSecret);

    /// <inheritdoc/>
    public abstract void Dispose();
}
