using System.Security.Cryptography;
using LightTunnel.WireGuard.Ciphers;

namespace LightTunnel.WireGuard.Noise;

/// <summary>
/// One Noise handshake of pattern IK, or IKpsk2 when a pre-shared key is given (Noise sections 5.3, 7.5 and 9), over X25519,
/// ChaCha20-Poly1305 and BLAKE2s:
/// <code>
/// &lt;- s
/// ...
/// -&gt; e, es, s, ss, payload
/// &lt;- e, ee, se, [psk,] payload
/// </code>
/// Two messages, in this order, each written once. A responder's state is good for nothing after a failed read; an initiator's
/// stays as it was, since anybody on the path could otherwise end a handshake with one forged response.
/// </summary>
internal sealed class HandshakeState : IDisposable
{
    private const int TagSize = ChaChaPoly.TagSize;

    private readonly SymmetricState _symmetric;
    private readonly PrivateKey _static;
    private readonly bool _pskMode;
    private PrivateKey? _ephemeral;
    private PublicKey _remoteStatic;
    private PublicKey _remoteEphemeral;

    /// <param name="protocolName">Full name of the Noise protocol; hashed into everything.</param>
    /// <param name="prologue">What both sides must agree on beforehand.</param>
    /// <param name="pskMode">True for IKpsk2: the pre-shared key is given with the second message.</param>
    /// <param name="localStatic">This side's identity; not owned.</param>
    /// <param name="remoteStatic">The responder's key for the initiator; null for the responder, who learns the initiator's.</param>
    /// <param name="ephemeral">The ephemeral key; null for a new random one, as everywhere but in tests with published
    /// vectors. Owned.</param>
    public HandshakeState(
        string protocolName, ReadOnlySpan<byte> prologue, bool pskMode, PrivateKey localStatic, PublicKey? remoteStatic,
        PrivateKey? ephemeral = null)
    {
        _symmetric = new SymmetricState(protocolName);
        _static = localStatic;
        _pskMode = pskMode;
        _ephemeral = ephemeral;
        _symmetric.MixHash(prologue);
        if (remoteStatic is { } remote)
        {
            _remoteStatic = remote;
            _symmetric.MixHash(remote.Bytes);
        }
        else
        {
            _symmetric.MixHash(localStatic.PublicKey.Bytes);
        }
    }

    /// <summary>The other side's identity; for the responder valid, and proven, after the first message was read.</summary>
    public PublicKey RemoteStatic => _remoteStatic;

    /// <summary>The hash of the whole handshake (Noise section 11.2).</summary>
    public ReadOnlySpan<byte> HandshakeHash => _symmetric.HandshakeHash;

    /// <summary>Bytes of the first message with that much payload.</summary>
    public static int InitiationSize(int payloadLength) => PublicKey.Size + PublicKey.Size + TagSize + payloadLength + TagSize;

    /// <summary>Bytes of the second message with that much payload.</summary>
    public static int ResponseSize(int payloadLength) => PublicKey.Size + payloadLength + TagSize;

    /// <summary>Initiator: e, es, s, ss, payload. False when the responder's key is of low order.</summary>
    public bool TryWriteInitiation(ReadOnlySpan<byte> payload, Span<byte> message)
    {
        CheckLength(message.Length, InitiationSize(payload.Length));
        WriteEphemeral(message);
        if (!TryMixAgreement(_ephemeral!, _remoteStatic))
            return false;
        _symmetric.EncryptAndHash(_static.PublicKey.Bytes, message.Slice(PublicKey.Size, PublicKey.Size + TagSize));
        if (!TryMixAgreement(_static, _remoteStatic))
            return false;
        _symmetric.EncryptAndHash(payload, message[InitiationSize(-TagSize)..]);
        return true;
    }

    /// <summary>Responder: reads the first message; false for a forgery, or for one that was not meant for this identity.</summary>
    public bool TryReadInitiation(ReadOnlySpan<byte> message, Span<byte> payload)
    {
        Span<byte> agreement = stackalloc byte[PublicKey.Size];
        bool read = TryAgreeOnInitiation(_static, message, agreement) && TryReadInitiation(message, agreement, payload);
        CryptographicOperations.ZeroMemory(agreement);
        return read;
    }

    /// <summary>
    /// The message's first Diffie-Hellman result, es: what costs most, and is the same for every protocol name. False for a
    /// key of low order.
    /// </summary>
    public static bool TryAgreeOnInitiation(PrivateKey responder, ReadOnlySpan<byte> message, Span<byte> agreement) =>
        message.Length >= PublicKey.Size && responder.TryAgree(new PublicKey(message[..PublicKey.Size]), agreement);

    /// <summary>
    /// The same as <see cref="TryReadInitiation(ReadOnlySpan{byte}, Span{byte})"/>, with the result of <see cref="TryAgreeOnInitiation"/>.
    /// </summary>
    public bool TryReadInitiation(ReadOnlySpan<byte> message, ReadOnlySpan<byte> agreement, Span<byte> payload)
    {
        if (message.Length != InitiationSize(payload.Length))
            return false;
        ReadEphemeral(message);
        _symmetric.MixKey(agreement);
        Span<byte> remote = stackalloc byte[PublicKey.Size];
        if (!_symmetric.DecryptAndHash(message.Slice(PublicKey.Size, PublicKey.Size + TagSize), remote))
            return false;

        _remoteStatic = new PublicKey(remote);
        return TryMixAgreement(_static, _remoteStatic) && _symmetric.DecryptAndHash(message[InitiationSize(-TagSize)..], payload);
    }

    /// <summary>Responder: e, ee, se, psk, payload. False when a key of the initiator is of low order.</summary>
    public bool TryWriteResponse(ReadOnlySpan<byte> presharedKey, ReadOnlySpan<byte> payload, Span<byte> message)
    {
        CheckLength(message.Length, ResponseSize(payload.Length));
        WriteEphemeral(message);
        if (!TryMixAgreement(_ephemeral!, _remoteEphemeral) || !TryMixAgreement(_ephemeral!, _remoteStatic))
            return false;
        if (_pskMode)
            _symmetric.MixKeyAndHash(presharedKey);
        _symmetric.EncryptAndHash(payload, message[PublicKey.Size..]);
        return true;
    }

    /// <summary>Initiator: reads the second message; false for a forgery or another pre-shared key.</summary>
    public bool TryReadResponse(ReadOnlySpan<byte> presharedKey, ReadOnlySpan<byte> message, Span<byte> payload)
    {
        if (_ephemeral is null || message.Length != ResponseSize(payload.Length))
            return false;
        Span<byte> snapshot = stackalloc byte[SymmetricState.SnapshotSize];
        _symmetric.Save(snapshot);
        bool valid = TryAgreeOnResponse(message) && FinishResponse(presharedKey, message, payload);
        if (!valid)
            _symmetric.Restore(snapshot);
        CryptographicOperations.ZeroMemory(snapshot);
        return valid;
    }

    /// <summary>
    /// The same where one of several pre-shared keys is meant, which is returned; null when it is none of them. The agreements, which cost
    /// most, are computed once.
    /// </summary>
    public NumberedKey? TryReadResponse(IReadOnlyList<NumberedKey> presharedKeys, ReadOnlySpan<byte> message, Span<byte> payload)
    {
        if (_ephemeral is null || message.Length != ResponseSize(payload.Length))
            return null;
        Span<byte> before = stackalloc byte[SymmetricState.SnapshotSize];
        Span<byte> agreed = stackalloc byte[SymmetricState.SnapshotSize];
        _symmetric.Save(before);
        NumberedKey? fitting = null;
        if (TryAgreeOnResponse(message))
        {
            _symmetric.Save(agreed);
            for (int i = 0; i < presharedKeys.Count && fitting is null; i++)
            {
                if (FinishResponse(presharedKeys[i].Key.Bytes, message, payload))
                    fitting = presharedKeys[i];
                else
                    _symmetric.Restore(agreed);
            }
        }

        if (fitting is null)
            _symmetric.Restore(before);
        CryptographicOperations.ZeroMemory(before);
        CryptographicOperations.ZeroMemory(agreed);
        return fitting;
    }

    /// <summary>After both messages: the transport keys from initiator to responder and back, 32 bytes each.</summary>
    public void Split(Span<byte> toResponder, Span<byte> toInitiator) => _symmetric.Split(toResponder, toInitiator);

    /// <summary>Zeroes the ephemeral key and everything derived.</summary>
    public void Dispose()
    {
        _ephemeral?.Dispose();
        _symmetric.Dispose();
    }

    private bool TryAgreeOnResponse(ReadOnlySpan<byte> message)
    {
        ReadEphemeral(message);
        return TryMixAgreement(_ephemeral!, _remoteEphemeral) && TryMixAgreement(_static, _remoteEphemeral);
    }

    private bool FinishResponse(ReadOnlySpan<byte> presharedKey, ReadOnlySpan<byte> message, Span<byte> payload)
    {
        if (_pskMode)
            _symmetric.MixKeyAndHash(presharedKey);
        return _symmetric.DecryptAndHash(message[PublicKey.Size..], payload);
    }

    private static void CheckLength(int actual, int expected)
    {
        if (actual != expected)
            throw new ArgumentException($"The message has {expected} bytes.");
    }

    private void WriteEphemeral(Span<byte> message)
    {
        _ephemeral ??= PrivateKey.Generate();
        PublicKey ephemeral = _ephemeral.PublicKey;
        ephemeral.Bytes.CopyTo(message);
        MixEphemeral(ephemeral.Bytes);
    }

    private void ReadEphemeral(ReadOnlySpan<byte> message)
    {
        _remoteEphemeral = new PublicKey(message[..PublicKey.Size]);
        MixEphemeral(_remoteEphemeral.Bytes);
    }

    private void MixEphemeral(ReadOnlySpan<byte> ephemeral)
    {
        _symmetric.MixHash(ephemeral);
        // In handshakes with a pre-shared key the ephemeral goes into the key as well (Noise section 9.2).
        if (_pskMode)
            _symmetric.MixKey(ephemeral);
    }

    private bool TryMixAgreement(PrivateKey own, in PublicKey other)
    {
        Span<byte> secret = stackalloc byte[PublicKey.Size];
        bool agreed = own.TryAgree(other, secret);
        if (agreed)
            _symmetric.MixKey(secret);
        CryptographicOperations.ZeroMemory(secret);
        return agreed;
    }
}
