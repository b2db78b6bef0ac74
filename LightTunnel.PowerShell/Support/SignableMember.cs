using System.Management.Automation;
using System.Net;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;

namespace LightTunnel;

/// <summary>A member that an admin may sign, as a tunnel of this machine was told of it, or knows it as its server.</summary>
/// <param name="Tunnel">The tunnel.</param>
/// <param name="Facts">What is signed.</param>
/// <param name="State">How things stand with its signature.</param>
/// <param name="SigningKeys">The network's signing keys, base64, as the tunnel was given them; none when it was not.</param>
internal sealed record SignableMember(
    ITunnelHandle Tunnel, SignedFacts Facts, SignatureState State, IReadOnlyList<string> SigningKeys)
{
    /// <summary>
    /// Members that names, addresses or keys mean; by wildcards those alone that are not signed yet. Each text without wildcards that names
    /// none becomes an error.
    /// </summary>
    public static async Task<IReadOnlyList<SignableMember>> FindAsync(
        CommandOutput output, string[]? networks, string[] names, CancellationToken cancellationToken)
    {
        IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.AnyByNameAsync(
            output, null, networks, cancellationToken).ConfigureAwait(false);
        if (tunnels.Count == 0)
            return [];
        IReadOnlyList<SignableMember> all = await TunnelFinder.AskAllAsync(
            output, tunnels, tunnel => AllOfAsync(tunnel, names, cancellationToken)).ConfigureAwait(false);
        var exact = new NameFilter([.. names.Where(name => !WildcardPattern.ContainsWildcardCharacters(name))]);
        var patterns = new NameFilter([.. names.Where(WildcardPattern.ContainsWildcardCharacters)]);
        SignableMember[] found =
        [
            .. all.Where(member => exact.Accepts(member.Names)
                || (member.State != SignatureState.Valid && patterns.Accepts(member.Names))),
        ];
        foreach (string missing in exact.Unmatched)
        {
            output.WriteError(
                ErrorRecords.NotFound("member", missing, "Get-LtPeer, and on the server Get-LtMember, show the members that there are."),
                missing);
        }

        return found;
    }

    /// <summary>Why a key cannot sign it; null when it can.</summary>
    public LightTunnelException? WhyNot(MemberSigner signer) => SigningKeys.Count == 0 || SigningKeys.Contains(signer.PublicHalf)
        ? null
        : new LightTunnelException(
            LightTunnelError.InvalidSignature,
            $"Members of '{Tunnel.Name}' are signed by another key than this one, whose fingerprint is {signer.Fingerprint}.",
            "Give the network's signing key; Start-LtServer -SigningKey and Connect-LtNetwork -SigningKey name others.")
        {
            Target = Facts.Name,
        };

    /// <summary>Signs it here, and has the signature brought to its server.</summary>
    public async Task SignAsync(
        CommandOutput output, MemberSigner signer, DateTimeOffset issued, DateTimeOffset? expires, bool passThru,
        CancellationToken cancellationToken)
    {
        await Tunnel.SignMemberAsync(Facts.PublicKey, signer.Sign(Facts, issued, expires), LocalUser.Name, cancellationToken)
            .ConfigureAwait(false);
        if (!passThru)
            return;
        if (Tunnel.Role == TunnelRole.Server)
        {
            foreach (MemberStatus member in await Tunnel.GetMembersAsync(cancellationToken).ConfigureAwait(false))
            {
                if (member.PublicKey == Facts.PublicKey)
                    output.WriteObject(new LtMember(member));
            }

            return;
        }

        TunnelStatus status = await Tunnel.GetStatusAsync(cancellationToken).ConfigureAwait(false);
        if (status.PublicKey == Facts.PublicKey)
            output.WriteObject(new FoundTunnel(Tunnel, status).ToObject());
        foreach (PeerStatus peer in await PeerFinder.AskAsync(Tunnel, [Facts.Name], cancellationToken).ConfigureAwait(false))
        {
            if (peer.PublicKey == Facts.PublicKey)
                output.WriteObject(new LtPeer(peer));
        }
    }

    private IEnumerable<string> Names => Facts.Addresses.Select(address => address.ToString()).Append(Facts.Name).Append(Facts.PublicKey);

    private static async Task<IReadOnlyList<SignableMember>> AllOfAsync(
        ITunnelHandle tunnel, string[] names, CancellationToken cancellationToken)
    {
        TunnelStatus status = await tunnel.GetStatusAsync(cancellationToken).ConfigureAwait(false);
        if (tunnel.Role == TunnelRole.Server)
        {
            IReadOnlyList<MemberStatus> members = await tunnel.GetMembersAsync(cancellationToken).ConfigureAwait(false);
            return
            [
                .. members.Where(member => member.Addresses.Count > 0).Select(member => new SignableMember(
                    tunnel, new SignedFacts(status.PublicKey, member.PublicKey, member.Name, member.Addresses, member.IsPlain),
                    member.Signature, status.SigningKeys)),
            ];
        }

        string server = status.ServerKey ?? string.Empty;
        IReadOnlyList<PeerStatus> peers = await PeerFinder.AskAsync(tunnel, names, cancellationToken).ConfigureAwait(false);
        IEnumerable<SignableMember> others = peers.Where(peer => !peer.IsServer).Select(peer => new SignableMember(
            tunnel, new SignedFacts(server, peer.PublicKey, peer.Name, peer.Addresses, peer.IsPlain), peer.Signature, status.SigningKeys));
        IPAddress[] own = [.. status.Addresses.Select(address => IPAddress.Parse(address.Split('/')[0]))];
        return own.Length == 0 || status.MemberName is not { } name
            ? [.. others]
            : [.. others, new SignableMember(
                tunnel, new SignedFacts(server, status.PublicKey, name, own, IsPlain: false), status.Signature, status.SigningKeys)];
    }
}
