using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;

namespace LightTunnel.Management;

/// <summary>What an invitation says, without its secret.</summary>
/// <param name="Network">Name of the network.</param>
/// <param name="Prefixes">The network's prefixes.</param>
/// <param name="Endpoints">"host:port" of the server, the preferred one first.</param>
/// <param name="ServerKey">The server's public key, base64.</param>
/// <param name="Expires">When it ends, or null for never.</param>
/// <param name="SigningKeys">The signing keys of the network's members, base64; none where they are not signed.</param>
public sealed record InvitationContent(
    string Network, IReadOnlyList<string> Prefixes, IReadOnlyList<string> Endpoints, string ServerKey, DateTimeOffset? Expires,
    IReadOnlyList<string> SigningKeys)
{
    /// <summary>Looks into an invitation, also into one that has ended.</summary>
    /// <exception cref="LightTunnelException">InvalidInvitation: the text is none.</exception>
    public static InvitationContent Read(Secret text)
    {
        Invitation invitation = Invitation.Parse(text.Reveal(), DateTimeOffset.MinValue);
        invitation.NetworkKey.Dispose();
        return new InvitationContent(
            invitation.NetworkName,
            [.. invitation.Prefixes.Select(prefix => prefix.ToString())],
            [.. invitation.Endpoints.Select(endpoint => endpoint.ToString())],
            invitation.ServerKey.ToString(),
            invitation.Expires,
            [.. invitation.SigningKeys.Select(key => key.ToString())]);
    }
}
