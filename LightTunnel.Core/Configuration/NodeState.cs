using System.Diagnostics;
using System.Security.Cryptography;
using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Membership.Store;
using LightTunnel.Routing;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>
/// What a node keeps across restarts. Immutable: change it with <c>with</c> and save the result. The secret bytes are shared by the copies
/// and zeroed by <see cref="Dispose"/> of any of them, once the tunnel is down.
/// </summary>
internal sealed record NodeState : IDisposable
{
    /// <summary>Whose state it is; a folder serves one role only.</summary>
    public required TunnelRole Role { get; init; }

    /// <summary>The node's X25519 private key, 32 bytes.</summary>
    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    public required byte[] PrivateKey { get; init; }

    /// <summary>Server: the network's keys; null until there is one.</summary>
    public NetworkKeySet? NetworkKeys { get; init; }

    /// <summary>Client: the network's keys that it was told, by the server's public key.</summary>
    public IReadOnlyDictionary<PublicKey, NetworkKeySet> ToldKeys { get; init; } = new Dictionary<PublicKey, NetworkKeySet>();

    /// <summary>Server: the facts of its network: name, members, addresses.</summary>
    public StoreContents Network { get; init; } = StoreContents.Empty;

    /// <summary>Client: the addresses last leased, by the server's public key.</summary>
    public IReadOnlyDictionary<PublicKey, IReadOnlyList<InterfaceAddress>> LastAddresses { get; init; } =
        new Dictionary<PublicKey, IReadOnlyList<InterfaceAddress>>();

    /// <summary>
    /// Client: which paths to single members may be used, by their public keys, where that is not what the network's policy says.
    /// </summary>
    public IReadOnlyDictionary<PublicKey, PathPolicy> PeerPolicies { get; init; } = new Dictionary<PublicKey, PathPolicy>();

    /// <summary>Client: the members that it has had links with, by the server's public key.</summary>
    public IReadOnlyDictionary<PublicKey, IReadOnlyList<MemberPin>> Pins { get; init; } =
        new Dictionary<PublicKey, IReadOnlyList<MemberPin>>();

    /// <summary>
    /// Client: of networks whose members are signed, the signing keys and what was seen of signatures, by the server's public key.
    /// </summary>
    public IReadOnlyDictionary<PublicKey, SigningMemory> Signing { get; init; } = new Dictionary<PublicKey, SigningMemory>();

    /// <summary>Zeroes the secrets.</summary>
    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(PrivateKey);
        NetworkKeys?.ZeroOthersThan(null);
        foreach (NetworkKeySet keys in ToldKeys.Values)
            keys.ZeroOthersThan(null);
    }

    /// <summary>Never the secrets.</summary>
    public override string ToString() => $"(state of a {Role})";
}
