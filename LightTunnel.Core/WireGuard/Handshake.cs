using System.Buffers.Binary;
using System.Security.Cryptography;
using LightTunnel.Timing;
using LightTunnel.WireGuard.Noise;

namespace LightTunnel.WireGuard;

/// <summary>
/// WireGuard's two handshake messages around the Noise handshake (paper sections 5.4.2 to 5.4.5). The macs are <see cref="CookieJar"/>'s.
/// </summary>
internal static class Handshake
{
    /// <summary>The paper's CONSTRUCTION.</summary>
    public const string Construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";

    /// <summary>
    /// The same handshake for sessions sealed with AEGIS-256. Both keys and every hash begin with this name, so that who understands
    /// another one can read nothing of it, and nobody on the path can turn one into the other.
    /// </summary>
    public const string AegisConstruction = "Noise_IKpsk2_25519_ChaChaPoly/AEGIS256_BLAKE2s";

    /// <summary>The paper's IDENTIFIER.</summary>
    private static ReadOnlySpan<byte> Identifier => "WireGuard v1 zx2c4 Jason@zx2c4.com"u8;

    /// <summary>
    /// Writes an initiation, all but its macs, and gives the state that its response is read with; null for a peer key of low order.
    /// </summary>
    public static HandshakeState? TryCreateInitiation(
        PrivateKey identity, in PublicKey peer, CipherSuite suite, uint index, Tai64n timestamp, Span<byte> message)
    {
        Span<byte> payload = stackalloc byte[Tai64n.Size];
        timestamp.Write(payload);
        message.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(message, Messages.InitiationType);
        BinaryPrimitives.WriteUInt32LittleEndian(message[4..], index);
        var state = NewState(suite, identity, peer);
        if (state.TryWriteInitiation(payload, message[Messages.InitiationNoiseOffset..^(2 * Messages.MacSize)]))
            return state;
        state.Dispose();
        return null;
    }

    /// <summary>
    /// Reads an initiation of the right length; null for a forgery, when it was meant for another, or for a suite that is not spoken here.
    /// </summary>
    /// <param name="identity">The responder's key.</param>
    /// <param name="suites">The suites that the responder speaks, the likeliest first: an initiation does not name its suite
    /// in clear.</param>
    /// <param name="message">The initiation.</param>
    /// <param name="suite">The initiator's choice.</param>
    /// <param name="timestamp">The initiator's time.</param>
    public static HandshakeState? TryReadInitiation(
        PrivateKey identity, ReadOnlySpan<CipherSuite> suites, ReadOnlySpan<byte> message, out CipherSuite suite, out Tai64n timestamp)
    {
        ReadOnlySpan<byte> noise = message[Messages.InitiationNoiseOffset..^(2 * Messages.MacSize)];
        Span<byte> payload = stackalloc byte[Tai64n.Size];
        Span<byte> agreement = stackalloc byte[PublicKey.Size];
        HandshakeState? read = null;
        suite = default;
        bool agreed = HandshakeState.TryAgreeOnInitiation(identity, noise, agreement);
        for (int i = 0; agreed && read is null && i < suites.Length; i++)
        {
            suite = suites[i];
            HandshakeState state = NewState(suite, identity, remoteStatic: null);
            if (state.TryReadInitiation(noise, agreement, payload))
                read = state;
            else
                state.Dispose();
        }

        timestamp = read is null ? default : Tai64n.Read(payload);
        CryptographicOperations.ZeroMemory(agreement);
        return read;
    }

    /// <summary>
    /// Writes the response, all but its macs, and gives the session; null when the initiator's ephemeral key is of low order.
    /// </summary>
    public static KeyPair? TryCreateResponse(
        HandshakeState state, CipherSuite suite, Link link, ReadOnlySpan<byte> initiation, uint index, Timestamp now, Span<byte> message)
    {
        uint initiatorIndex = Messages.FirstIndex(initiation);
        message.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(message, Messages.ResponseType);
        BinaryPrimitives.WriteUInt32LittleEndian(message[4..], index);
        BinaryPrimitives.WriteUInt32LittleEndian(message[8..], initiatorIndex);
        NumberedKey key = link.ChooseKey();
        return state.TryWriteResponse(key.Key.Bytes, default, message[Messages.ResponseNoiseOffset..^(2 * Messages.MacSize)])
            ? Derive(state, suite, link, key.Number, index, initiatorIndex, isInitiator: false, now)
            : null;
    }

    /// <summary>Reads the response of the right length and gives the session; null for a forgery, and the state can read another.</summary>
    public static KeyPair? TryAcceptResponse(
        HandshakeState state, CipherSuite suite, Link link, ReadOnlySpan<byte> message, uint index, Timestamp now) =>
        state.TryReadResponse(link.Keys.All, message[Messages.ResponseNoiseOffset..^(2 * Messages.MacSize)], default) is { } key
            ? Derive(state, suite, link, key.Number, index, Messages.FirstIndex(message), isInitiator: true, now)
            : null;

    private static HandshakeState NewState(CipherSuite suite, PrivateKey identity, PublicKey? remoteStatic) =>
        new(suite == CipherSuite.Aegis256 ? AegisConstruction : Construction, Identifier, pskMode: true, identity, remoteStatic);

    private static KeyPair Derive(
        HandshakeState state, CipherSuite suite, Link link, int keyNumber, uint localIndex, uint remoteIndex, bool isInitiator,
        Timestamp now)
    {
        Span<byte> toResponder = stackalloc byte[TransportCipher.KeySize];
        Span<byte> toInitiator = stackalloc byte[TransportCipher.KeySize];
        state.Split(toResponder, toInitiator);
        KeyPair session = isInitiator
            ? new KeyPair(link, suite, toResponder, toInitiator, localIndex, remoteIndex, isInitiator, now) { KeyNumber = keyNumber }
            : new KeyPair(link, suite, toInitiator, toResponder, localIndex, remoteIndex, isInitiator, now) { KeyNumber = keyNumber };
        CryptographicOperations.ZeroMemory(toResponder);
        CryptographicOperations.ZeroMemory(toInitiator);
        return session;
    }
}
