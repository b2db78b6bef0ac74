using LightTunnel.Management;

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

    /// <summary>The network's name.</summary>
    public override string ToString() => Network;
}
