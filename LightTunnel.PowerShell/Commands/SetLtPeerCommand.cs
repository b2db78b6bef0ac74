using System.Management.Automation;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;

namespace LightTunnel;

/// <summary>Says which paths to single members may be used.</summary>
/// <remarks>
/// <para>The setting is kept by the member's public key in this machine's state folder: it holds after a restart, and when the member
/// gets another name or address. It counts here only; the other side sends by its own policy. The server is always reached directly and
/// has none.</para>
/// <para>Get-LtPeer shows it as PathPolicy in its list view.</para>
/// </remarks>
/// <example>
/// <code>PS> Set-LtPeer nas -PathPolicy DirectOnly</code>
/// <para>Never sends to nas through another node, so that it is not reached while there is no direct path.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtPeer | Set-LtPeer -PathPolicy Default</code>
/// <para>Lets the network's policy hold for everybody again.</para>
/// </example>
/// <example>
/// <code>PS> Set-LtPeer phone* -PathPolicy RelayOnly -PassThru
///
/// Name                  Address         Path        RTT       Rx       Tx   Seen
/// ----                  -------         ----        ---       --       --   ----
/// phone                 10.0.0.22       Server    45 ms   1.2 MB  15.1 MB    0 s</code>
/// <para>Keeps this machine's address from the phones, and shows them.</para>
/// </example>
[Cmdlet(VerbsCommon.Set, "LtPeer", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(LtPeer))]
public sealed class SetLtPeerCommand : LtCommand
{
    /// <summary>Name or tunnel address of the member; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Peer", "Address")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("Address", "Peer", "Name")]
    [ArgumentCompleter(typeof(PeerCompleter))]
    public string[] Name { get; set; } = [];

    /// <summary>
    /// Auto takes the best path there is, DirectOnly never goes through another node, RelayOnly never goes direct. Default lets the policy
    /// of the network hold.
    /// </summary>
    [Parameter(Mandatory = true)]
    [NotSecret]
    public LtPeerPathPolicy PathPolicy { get; set; }

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
        bool passThru = PassThru;
        PathPolicy? policy = LtPeer.ToEngine(PathPolicy);
        // The server is always reached directly. Who names it is told so; patterns and pipelines mean the others.
        bool isServerMeant = !MyInvocation.ExpectingInput && !Name.All(WildcardPattern.ContainsWildcardCharacters);
        foreach (FoundPeer peer in Find().Where(peer => !peer.Status.IsServer || isServerMeant))
        {
            if (!ShouldProcess(peer.Status.Name, $"Set path policy {PathPolicy}"))
                continue;
            Run(
                async (output, cancellationToken) =>
                {
                    await peer.Tunnel.SetPeerPolicyAsync(peer.Status.PublicKey, policy, cancellationToken).ConfigureAwait(false);
                    if (!passThru)
                        return;
                    IReadOnlyList<PeerStatus> after = await peer.Tunnel.GetPeersAsync(cancellationToken).ConfigureAwait(false);
                    foreach (PeerStatus status in after.Where(status => status.PublicKey == peer.Status.PublicKey))
                        output.WriteObject(new LtPeer(status));
                },
                peer.Status.Name);
        }
    }

    /// <summary>Those that are meant, as clients see them; what names none becomes an error.</summary>
    private IReadOnlyList<FoundPeer> Find()
    {
        (string[] names, string[]? networks) = (Name, Network);
        IReadOnlyList<FoundPeer> found = [];
        Run(
            async (output, cancellationToken) =>
                found = await PeerFinder.FindAsync(output, TunnelRole.Client, networks, names, cancellationToken).ConfigureAwait(false),
            names);
        return found;
    }
}
