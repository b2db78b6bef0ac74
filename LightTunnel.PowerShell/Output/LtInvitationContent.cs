using LightTunnel.Management;
using LightTunnel.WireGuard;

namespace LightTunnel;

/// <summary>What an invitation says, without its secret. Its text is the network's name.</summary>
public sealed class LtInvitationContent
{
    internal LtInvitationContent(InvitationContent content, DateTimeOffset now)
    {
        Network = content.Network;
        Prefixes = new LtList<string>(content.Prefixes);
        Endpoints = new LtList<string>(content.Endpoints);
        ServerKey = content.ServerKey;
        Expires = content.Expires;
        IsExpired = content.Expires <= now;
        SigningKeys = new LtList<string>(content.SigningKeys);
        SigningFingerprints = new LtList<string>(content.SigningKeys.Select(KeyFingerprint.Of));
    }

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

    /// <summary>True when it has ended by this machine's clock.</summary>
    public bool IsExpired { get; }

    /// <summary>Public halves of the keys by which admins sign members, base64; none where members are not signed.</summary>
    public LtList<string> SigningKeys { get; }

    /// <summary>The same as people compare them by voice: who made the invitation may be a server in bad hands.</summary>
    public LtList<string> SigningFingerprints { get; }

    /// <summary>The network's name.</summary>
    public override string ToString() => Network;
}
