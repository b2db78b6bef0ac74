using System.Security.Cryptography;

namespace LightTunnel.WireGuard;

/// <summary>
/// The pre-shared key of a plain WireGuard client. It follows from the network's key and the public keys of server and client, so that
/// nothing of it is kept anywhere: who reads the store, or one client's configuration, has no other client's, nor the network's key.
/// </summary>
internal static class ClientPresharedKey
{
    /// <summary>HKDF (RFC 5869) with SHA-256: the network's key is the input, a label and the two public keys are the context.</summary>
    public static PresharedKey Derive(PresharedKey network, in PublicKey server, in PublicKey client)
    {
        ReadOnlySpan<byte> label = "LightTunnel plain WireGuard client 1"u8;
        Span<byte> context = stackalloc byte[label.Length + (2 * PublicKey.Size)];
        label.CopyTo(context);
        server.Bytes.CopyTo(context[label.Length..]);
        client.Bytes.CopyTo(context[(label.Length + PublicKey.Size)..]);
        Span<byte> derived = stackalloc byte[PresharedKey.Size];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, network.Bytes, derived, salt: default, context);
        var key = new PresharedKey(derived);
        CryptographicOperations.ZeroMemory(derived);
        return key;
    }
}
