using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Management;

/// <summary>What an admin signs of a member, as it was shown.</summary>
/// <param name="ServerKey">The public key of the network's server, base64.</param>
/// <param name="PublicKey">The member's public key, base64.</param>
/// <param name="Name">Its name.</param>
/// <param name="Addresses">Its tunnel addresses, in the order in which the server names them.</param>
/// <param name="IsPlain">Whether it is a plain WireGuard client.</param>
public sealed record SignedFacts(string ServerKey, string PublicKey, string Name, IReadOnlyList<IPAddress> Addresses, bool IsPlain);

/// <summary>
/// Signs members with an admin's key, in the process of the command that was given the key: no tunnel gets it.
/// </summary>
public sealed class MemberSigner : IDisposable
{
    private readonly SigningKey _key;

    private MemberSigner(SigningKey key) => _key = key;

    /// <summary>The public half of the key, base64.</summary>
    public string PublicHalf => _key.PublicKey.ToString();

    /// <summary>The same as people compare it by voice.</summary>
    public string Fingerprint => _key.PublicKey.Fingerprint;

    /// <summary>Makes a key and writes it to a file that its owner alone can read; returns its public half, base64.</summary>
    /// <param name="path">The file.</param>
    /// <param name="overwrite">Whether one that exists is replaced.</param>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public static string Create(string path, bool overwrite)
    {
        using NewSecretFile file = NewSecretFile.Create(path, overwrite);
        using var key = SigningKey.Generate();
        byte[] content = key.Reveal();
        file.Write(content);
        Array.Clear(content);
        return key.PublicKey.ToString();
    }

    /// <summary>Reads the key.</summary>
    /// <param name="path">The file that <see cref="Create"/> has written.</param>
    /// <param name="warn">Told when others may read it.</param>
    /// <exception cref="LightTunnelException">NotFound, FileAccess, or InvalidKey: there is no signing key in it.</exception>
    public static MemberSigner Open(string path, Action<string> warn) =>
        SigningKey.TryParse(SecretFile.Read(path, "signing key", warn).Reveal(), out SigningKey? key)
            ? new MemberSigner(key)
            : throw new LightTunnelException(
                LightTunnelError.InvalidKey, $"{path} holds no signing key, or a damaged one.",
                "Give the file that New-LtSigningKey has written; its public half signs nothing.") { Target = path };

    /// <summary>Signs a member as it was shown.</summary>
    /// <param name="facts">What is said of it.</param>
    /// <param name="issued">The present.</param>
    /// <param name="expires">Until when that is good; null for ever.</param>
    /// <returns>The signature as text.</returns>
    /// <exception cref="LightTunnelException">Something in the facts is none.</exception>
    public string Sign(SignedFacts facts, DateTimeOffset issued, DateTimeOffset? expires)
    {
        if (!PublicKey.TryParse(facts.ServerKey, out PublicKey server)
            || !PublicKey.TryParse(facts.PublicKey, out PublicKey member) || facts.Addresses.Count == 0)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidSignature, $"'{facts.Name}' cannot be signed: it has no address, or no key is known.",
                "Get-LtPeer shows the members that can be signed.") { Target = facts.Name };
        }

        return MemberSignature.Make(_key, new MemberStatement
        {
            ServerKey = server,
            PublicKey = member,
            Name = facts.Name,
            Addresses = [.. facts.Addresses.Select(TunnelAddress.FromIPAddress)],
            IsPlain = facts.IsPlain,
            Issued = issued,
            Expires = expires,
        }).ToString();
    }

    /// <inheritdoc/>
    public void Dispose() => _key.Dispose();

    /// <summary>Never the secret.</summary>
    public override string ToString() => "(signing key)";
}
