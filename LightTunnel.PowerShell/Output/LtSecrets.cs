using System.Security;
using LightTunnel.Configuration;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>
/// An invitation to a network. Its text, as a string or in a file, is the one line to send; tables, lists and serialization never show it.
/// </summary>
public sealed class LtInvitation
{
    private readonly Secret _text;

    internal LtInvitation(InvitationText invitation)
    {
        _text = new Secret(invitation.Text);
        Id = invitation.Id;
        Name = invitation.Name;
        MaxUses = invitation.MaxUses == 0 ? null : invitation.MaxUses;
        Network = invitation.Network;
        Prefixes = new(invitation.Prefixes);
        Endpoints = new(invitation.Endpoints);
        ServerKey = invitation.ServerKey;
        Expires = invitation.Expires;
    }

    /// <summary>What Get-LtInvitation and Remove-LtInvitation name it by.</summary>
    public string Id { get; }

    /// <summary>What it is for; empty for nothing.</summary>
    public string Name { get; }

    /// <summary>Name of the network.</summary>
    public string Network { get; }

    /// <summary>The network's prefixes.</summary>
    public LtList<string> Prefixes { get; }

    /// <summary>"host:port" at which the server is reached.</summary>
    public LtList<string> Endpoints { get; }

    /// <summary>The server's public key, base64.</summary>
    public string ServerKey { get; }

    /// <summary>When the invitation ends, or null for never.</summary>
    public DateTimeOffset? Expires { get; }

    /// <summary>How many may join by it, or null for any number.</summary>
    public int? MaxUses { get; }

    /// <summary>The one line to send: a secret, for who holds it may join.</summary>
    public override string ToString() => _text.Reveal();
}

/// <summary>
/// A network key. Its text, as a string or in a file, is the key; tables, lists and serialization never show it.
/// </summary>
public sealed class LtNetworkKey
{
    private readonly Secret _key;

    internal LtNetworkKey(Secret key) => _key = key;

    /// <summary>Characters of the key's text.</summary>
    public int Length => _key.Reveal().Length;

    /// <summary>The key as parameters take it.</summary>
    public SecureString ToSecureString() => SecretText.Protect(_key.Reveal());

    /// <summary>The key, 44 characters of base64.</summary>
    public override string ToString() => _key.Reveal();
}
