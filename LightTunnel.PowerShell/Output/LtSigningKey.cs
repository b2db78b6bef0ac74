using LightTunnel.WireGuard;

namespace LightTunnel;

/// <summary>An admin's signing key that was made: its public half, and where the key itself is. Its text is the public half.</summary>
public sealed class LtSigningKey
{
    internal LtSigningKey(string path, string publicKey)
    {
        Path = path;
        PublicKey = publicKey;
        Fingerprint = KeyFingerprint.Of(publicKey);
    }

    /// <summary>The file with the key, which is a secret.</summary>
    public string Path { get; }

    /// <summary>The public half, base64: for Start-LtServer -SigningKey and Connect-LtNetwork -SigningKey.</summary>
    public string PublicKey { get; }

    /// <summary>The same as people compare it by voice.</summary>
    public string Fingerprint { get; }

    /// <summary>The public half.</summary>
    public override string ToString() => PublicKey;
}
