namespace LightTunnel.WireGuard.Agreement;

/// <summary>What an implementation of X25519 must show before keys use it.</summary>
internal static class X25519Check
{
    /// <summary>RFC 7748 section 6.1.</summary>
    private static readonly byte[] PrivateKey = Convert.FromHexString("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    private static readonly byte[] PublicKey = Convert.FromHexString("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    private static readonly byte[] OtherKey = Convert.FromHexString("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    private static readonly byte[] Shared = Convert.FromHexString("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");

    /// <summary>True when it computes the RFC's public key and shared secret, and refuses the point zero.</summary>
    public static bool Passes(X25519Implementation implementation)
    {
        using X25519Secret secret = implementation.Create(PrivateKey);
        byte[] publicKey = new byte[X25519Secret.Size], shared = new byte[X25519Secret.Size];
        secret.DerivePublicKey(publicKey);
        return publicKey.AsSpan().SequenceEqual(PublicKey)
            && secret.TryAgree(OtherKey, shared) && shared.AsSpan().SequenceEqual(Shared)
            && !secret.TryAgree(new byte[X25519Secret.Size], shared);
    }
}
