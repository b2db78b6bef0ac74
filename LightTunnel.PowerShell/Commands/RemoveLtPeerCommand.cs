using System.Management.Automation;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>Removes members that are offline from a network, on its server: their addresses and names are free at once.</summary>
/// <remarks>
/// <para>For machines that are gone, and for one that was reinstalled: it has a new identity, and gets its old address only when the old
/// identity has given that up. By itself a server forgets a member 30 days after it went.</para>
/// <para>Members that are online are not removed. Who was removed joins again as a new member when it comes back, if its invitation still
/// admits somebody; to keep somebody out, take that back first (Remove-LtInvitation).</para>
/// </remarks>
/// <example>
/// <code>PS> Remove-LtPeer nas
/// PS> Get-LtLog -Security -Tail 1</code>
/// <para>Frees the name and the address of nas, which was reinstalled. The security log tells of it.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtPeer | Where-Object Path -eq Offline | Remove-LtPeer -Confirm</code>
/// <para>Goes through the members that are offline, and asks for each.</para>
/// </example>
[Cmdlet(VerbsCommon.Remove, "LtPeer", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
public sealed class RemoveLtPeerCommand : MemberCommand
{
    /// <summary>Name of the server on this machine whose member it is; wildcards are allowed. All when left out.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Server")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string[]? Network { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (FoundPeer peer in Find(TunnelRole.Server, Network))
        {
            if (!ShouldProcess($"{peer.Status.Name} ({string.Join(", ", peer.Status.Addresses)})", "Remove from the network"))
                continue;
            Run(
                async (_, cancellationToken) =>
                    await peer.Tunnel.RemovePeerAsync(peer.Status.PublicKey, cancellationToken).ConfigureAwait(false),
                peer.Status.Name);
        }
    }
}
