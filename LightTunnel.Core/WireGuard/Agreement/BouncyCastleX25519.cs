using System.Security.Cryptography;
using Rfc7748 = Org.BouncyCastle.Math.EC.Rfc7748;

namespace LightTunnel.WireGuard.Agreement;

/// <summary>
/// X25519 by BouncyCastle, on every system. By its source no branch and no index depends on a secret: the ladder swaps by masks, multiplies
/// limbs of at most 26 bits, which takes the processors that .NET runs on the same time whatever the numbers, and inverts by a fixed chain
/// of multiplications. The just-in-time compiler promises nothing about it, as no compiler does. What it computes on the way stays in
/// arrays of the managed heap until their memory is used again; the key itself is pinned here and zeroed.
/// </summary>
internal sealed class BouncyCastleX25519 : X25519Secret
{
    private readonly byte[] _privateKey = GC.AllocateUninitializedArray<byte>(Size, pinned: true);

    public BouncyCastleX25519(ReadOnlySpan<byte> privateKey)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(privateKey.Length, Size);
        privateKey.CopyTo(_privateKey);
    }

    /// <inheritdoc/>
    public override void DerivePublicKey(Span<byte> publicKey) => Rfc7748.X25519.ScalarMultBase(_privateKey, publicKey);

    /// <inheritdoc/>
    public override bool TryAgree(ReadOnlySpan<byte> publicKey, Span<byte> sharedSecret) =>
        Rfc7748.X25519.CalculateAgreement(_privateKey, publicKey, sharedSecret);

    /// <inheritdoc/>
    public override void Dispose() => CryptographicOperations.ZeroMemory(_privateKey);
}
