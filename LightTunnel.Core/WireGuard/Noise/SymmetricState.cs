using System.Security.Cryptography;
using System.Text;
using LightTunnel.WireGuard.Ciphers;

namespace LightTunnel.WireGuard.Noise;

/// <summary>
/// Noise's SymmetricState (section 5.2) over BLAKE2s and ChaCha20-Poly1305: chaining key, transcript hash and the current handshake key.
/// </summary>
internal sealed class SymmetricState : IDisposable
{
    private const int Size = Blake2s.HashSize;

    /// <summary>Bytes that <see cref="Save"/> writes.</summary>
    public const int SnapshotSize = 3 * Size;

    // Chaining key, hash, key: in one pinned piece, so that zeroing it leaves no copy behind.
    private readonly byte[] _state = GC.AllocateArray<byte>(SnapshotSize, pinned: true);
    private bool _hasKey;
    private ulong _counter;

    /// <summary>InitializeSymmetric. The name is ASCII.</summary>
    public SymmetricState(string protocolName)
    {
        Span<byte> name = stackalloc byte[Encoding.ASCII.GetByteCount(protocolName)];
        Encoding.ASCII.GetBytes(protocolName, name);
        if (name.Length <= Size)
            name.CopyTo(Hash);
        else
            Blake2s.Hash(Hash, name);
        Hash.CopyTo(ChainingKey);
    }

    /// <summary>The hash of everything said so far.</summary>
    public ReadOnlySpan<byte> HandshakeHash => Hash;

    private Span<byte> ChainingKey => _state.AsSpan(0, Size);

    private Span<byte> Hash => _state.AsSpan(Size, Size);

    private Span<byte> Key => _state.AsSpan(2 * Size, Size);

    public void MixHash(ReadOnlySpan<byte> data)
    {
        Span<byte> mixed = stackalloc byte[Size];
        Blake2s.Hash(mixed, Hash, data);
        mixed.CopyTo(Hash);
    }

    public void MixKey(ReadOnlySpan<byte> input)
    {
        Span<byte> outputs = stackalloc byte[2 * Size];
        Blake2s.DeriveKeys(outputs, ChainingKey, input);
        outputs[..Size].CopyTo(ChainingKey);
        SetKey(outputs[Size..]);
        CryptographicOperations.ZeroMemory(outputs);
    }

    public void MixKeyAndHash(ReadOnlySpan<byte> input)
    {
        Span<byte> outputs = stackalloc byte[3 * Size];
        Blake2s.DeriveKeys(outputs, ChainingKey, input);
        outputs[..Size].CopyTo(ChainingKey);
        MixHash(outputs.Slice(Size, Size));
        SetKey(outputs[(2 * Size)..]);
        CryptographicOperations.ZeroMemory(outputs);
    }

    /// <summary>EncryptAndHash: writes plaintext length + 16 bytes.</summary>
    public void EncryptAndHash(ReadOnlySpan<byte> plaintext, Span<byte> ciphertext)
    {
        RequireKey();
        using (var cipher = new VectorChaChaPoly(Key))
            cipher.Seal(_counter++, Hash, plaintext, ciphertext);
        MixHash(ciphertext);
    }

    /// <summary>DecryptAndHash: false, and the state unusable, for a forgery.</summary>
    public bool DecryptAndHash(ReadOnlySpan<byte> ciphertext, Span<byte> plaintext)
    {
        RequireKey();
        using (var cipher = new VectorChaChaPoly(Key))
        {
            if (!cipher.TryOpen(_counter++, Hash, ciphertext, plaintext))
                return false;
        }

        MixHash(ciphertext);
        return true;
    }

    /// <summary>Split: the key from initiator to responder, and the key back.</summary>
    public void Split(Span<byte> toResponder, Span<byte> toInitiator)
    {
        Span<byte> outputs = stackalloc byte[2 * Size];
        Blake2s.DeriveKeys(outputs, ChainingKey, default);
        outputs[..Size].CopyTo(toResponder);
        outputs[Size..].CopyTo(toInitiator);
        CryptographicOperations.ZeroMemory(outputs);
    }

    /// <summary>Copies the state out, to come back to it after a failed read.</summary>
    public void Save(Span<byte> snapshot) => _state.CopyTo(snapshot);

    /// <summary>Takes back what <see cref="Save"/> gave. Each key is used for one message, so its counter starts again at 0.</summary>
    public void Restore(ReadOnlySpan<byte> snapshot)
    {
        snapshot.CopyTo(_state);
        _counter = 0;
    }

    /// <summary>Zeroes everything.</summary>
    public void Dispose()
    {
        _hasKey = false;
        CryptographicOperations.ZeroMemory(_state);
    }

    private void SetKey(ReadOnlySpan<byte> key)
    {
        key.CopyTo(Key);
        _hasKey = true;
        _counter = 0;
    }

    private void RequireKey()
    {
        // In IK something is encrypted only after a Diffie-Hellman result was mixed in; plain text would be a programming error.
        if (!_hasKey)
            throw new InvalidOperationException("There is no handshake key yet.");
    }
}
