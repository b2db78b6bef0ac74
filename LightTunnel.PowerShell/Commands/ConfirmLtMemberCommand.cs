using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.WireGuard;

namespace LightTunnel;

/// <summary>Believes that a member whose key has changed is the one that it says, on this machine.</summary>
/// <remarks>
/// <para>This machine remembers the key of each member that it has had a link with. When the server names another key for such a name or
/// address, either the machine was made anew, or somebody who has the server in hand puts himself in between. So the member is none here:
/// nothing is sent to it and nothing taken from it. Get-LtPeer shows it as Offline with the reason KeyChanged.</para>
/// <para>Ask its owner, by telephone for example, for the Fingerprint that Get-LtNetwork shows there, compare it with the one that
/// Get-LtPeer shows here, and confirm the member if both are the same. What is confirmed is the key that was shown: one that comes after it
/// is refused again.</para>
/// <para>A member that this machine had no link with for 30 days is forgotten, and its name and addresses may be another's then. Machines
/// that are to believe the server are joined with -KeyChange Accept.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtPeer | Where-Object PathReason -eq KeyChanged |
///         Format-List Name, Address, Fingerprint
///
/// Name        : nas
/// Address     : 10.0.0.20
/// Fingerprint : 7K2M-9QX4-0ABT-C3DE
///
/// PS> Confirm-LtMember nas</code>
/// <para>Shows whose key has changed, and believes it after a call to its owner.</para>
/// </example>
/// <example>
/// <code>PS> Confirm-LtMember nas -Fingerprint 7K2M-9QX4-0ABT-C3DE -PassThru</code>
/// <para>Believes it only if it has the fingerprint that its owner has read out, and shows the member.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Confirm, "LtMember", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtPeer))]
public sealed class ConfirmLtMemberCommand : LtCommand
{
    /// <summary>Name or tunnel address of the member; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Member", "Peer", "Address")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("Address", "Peer", "Name")]
    [ArgumentCompleter(typeof(PeerCompleter))]
    public string[] Name { get; set; } = [];

    /// <summary>The fingerprint that the member's owner has read out, "7K2M-9QX4-0ABT-C3DE": one with another is not confirmed.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string? Fingerprint { get; set; }

    /// <summary>Name under which the network was joined; wildcards are allowed. All when left out.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(NetworkNameCompleter))]
    public string[]? Network { get; set; }

    /// <summary>Returns the members, as they are afterwards.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[] names, string[]? networks, string? fingerprint, bool passThru) = (Name, Network, Fingerprint, PassThru);
        IReadOnlyList<FoundPeer> found = [];
        Run(
            async (output, cancellationToken) =>
                found = await PeerFinder.FindAsync(output, TunnelRole.Client, networks, names, cancellationToken).ConfigureAwait(false),
            names);
        bool isOneMeant = found.Count > 0 && !names.Any(WildcardPattern.ContainsWildcardCharacters);
        FoundPeer[] changed = [.. found.Where(peer => peer.Status.PathReason == PathReason.KeyChanged)];
        if (isOneMeant && changed.Length == 0)
            Run((output, _) => Refuse(output, Unchanged(found[0].Status)), names);
        foreach (FoundPeer peer in changed)
        {
            PeerStatus status = peer.Status;
            string shown = KeyFingerprint.Of(status.PublicKey);
            if (fingerprint is not null && !string.Equals(Plain(fingerprint), Plain(shown), StringComparison.OrdinalIgnoreCase))
                Run((output, _) => Refuse(output, Different(status, shown, fingerprint)), status.Name);
            else if (ShouldProcess($"{status.Name} ({status.Addresses[0]}), {shown}", "Believe the key"))
                Run((output, cancellationToken) => ConfirmAsync(output, peer, passThru, cancellationToken), status.Name);
        }
    }

    private static async Task ConfirmAsync(CommandOutput output, FoundPeer peer, bool passThru, CancellationToken cancellationToken)
    {
        await peer.Tunnel.ConfirmMemberAsync(peer.Status.PublicKey, cancellationToken).ConfigureAwait(false);
        if (!passThru)
            return;
        IReadOnlyList<PeerStatus> after = await peer.Tunnel.GetPeersAsync(cancellationToken).ConfigureAwait(false);
        foreach (PeerStatus status in after.Where(status => status.PublicKey == peer.Status.PublicKey))
            output.WriteObject(new LtPeer(status));
    }

    private static Task Refuse(CommandOutput output, LightTunnelException why)
    {
        output.WriteError(why, why.Target);
        return Task.CompletedTask;
    }

    private static string Plain(string fingerprint) => string.Concat(fingerprint.Where(char.IsAsciiLetterOrDigit));

    private static LightTunnelException Unchanged(PeerStatus peer) => new(
        LightTunnelError.InvalidOption, $"The key of {peer.Name} is the one that this machine knows: there is nothing to confirm.",
        "Get-LtPeer | Where-Object PathReason -eq KeyChanged shows whose key has changed.") { Target = peer.Name };

    private static LightTunnelException Different(PeerStatus peer, string shown, string told) => new(
        LightTunnelError.InvalidOption,
        $"The key that the server names for {peer.Name} has the fingerprint {shown}, not {told}: it is not believed.",
        "If its owner has read it on that very machine (Get-LtNetwork | Format-List), somebody is in between: look after the server.")
        {
            Target = peer.Name,
        };
}
