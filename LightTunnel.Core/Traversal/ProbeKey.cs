using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using LightTunnel.WireGuard;
using LightTunnel.WireGuard.Noise;

namespace LightTunnel.Traversal;

/// <summary>
/// The keys of the probes between two members, one per direction. They follow from the X25519 secret of both static keys, the network's
/// pre-shared key and both public keys, so only the two members can know them, and no probe can be turned back on its sender.
/// Zeroed on disposal.
/// </summary>
internal sealed class ProbeKey : IDisposable
{
    private const int Size = Blake2s.HashSize;

    private readonly byte[] _keys = GC.AllocateArray<byte>(2 * Size, pinned: true);
    private readonly bool _isLower;

    private ProbeKey(bool isLower) => _isLower = isLower;

    /// <summary>Key of what we send, 32 bytes.</summary>
    public ReadOnlySpan<byte> Sending => _keys.AsSpan(_isLower ? 0 : Size, Size);

    /// <summary>Key of what we receive, 32 bytes.</summary>
    public ReadOnlySpan<byte> Receiving => _keys.AsSpan(_isLower ? Size : 0, Size);

    /// <summary>True once the keys are zeroed; for tests.</summary>
    internal bool IsZeroed => !_keys.AsSpan().ContainsAnyExcept((byte)0);

    /// <summary>
    /// Derives the keys: HKDF-BLAKE2s with the pre-shared key as salt and the X25519 secret as input, then again with the label and the
    /// two public keys, the smaller first. False when the other key is unusable (of low order) or our own.
    /// </summary>
    public static bool TryDerive(PrivateKey own, in PublicKey peer, PresharedKey network, [NotNullWhen(true)] out ProbeKey? key)
    {
        key = null;
        PublicKey ownPublic = own.PublicKey;
        int order = ownPublic.Bytes.SequenceCompareTo(peer.Bytes);
        Span<byte> secret = stackalloc byte[Size];
        if (order == 0 || !own.TryAgree(peer, secret))
            return false;

        Span<byte> chain = stackalloc byte[Size];
        Blake2s.DeriveKeys(chain, network.Bytes, secret);
        ReadOnlySpan<byte> label = "LightTunnel probe 1"u8;
        Span<byte> context = stackalloc byte[label.Length + (2 * PublicKey.Size)];
        label.CopyTo(context);
        (order < 0 ? ownPublic : peer).Bytes.CopyTo(context[label.Length..]);
        (order < 0 ? peer : ownPublic).Bytes.CopyTo(context[(label.Length + PublicKey.Size)..]);
        var derived = new ProbeKey(order < 0);
        Blake2s.DeriveKeys(derived._keys, chain, context);
        CryptographicOperations.ZeroMemory(secret);
        CryptographicOperations.ZeroMemory(chain);
        key = derived;
        return true;
    }

    /// <summary>Zeroes the keys.</summary>
    public void Dispose() => CryptographicOperations.ZeroMemory(_keys);

    /// <summary>Never the secret.</summary>
    public override string ToString() => "(probe key)";
}
