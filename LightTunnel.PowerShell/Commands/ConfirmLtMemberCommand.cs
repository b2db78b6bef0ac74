using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.WireGuard;

namespace LightTunnel;

/// <summary>Believes that a member is the one that it says: on this machine, or, by an admin's signature, for the whole network.</summary>
/// <remarks>
/// <para>This machine remembers the key of each member that it has had a link with. When the server names another key for such a name or
/// address, either the machine was made anew, or somebody who has the server in hand puts himself in between. So the member is none here:
/// nothing is sent to it and nothing taken from it. Get-LtPeer shows it as Offline with the reason KeyChanged.</para>
/// <para>Ask its owner, by telephone for example, for the Fingerprint that Get-LtNetwork shows there, compare it with the one that
/// Get-LtPeer shows here, and confirm the member if both are the same. What is confirmed is the key that was shown: one that comes after it
/// is refused again.</para>
/// <para>A member that this machine had no link with for 30 days is forgotten, and its name and addresses may be another's then. Machines
/// that are to believe the server are joined with -KeyChange Accept.</para>
/// <para>Where members are signed (Start-LtServer -RequireSignedMembers), -SigningKeyPath signs a member: its key, its name, its addresses
/// and whether it is a plain WireGuard client, as this machine was told. Compare the fingerprint before, as a signature is believed by all
/// members. The signing key is read by this command alone and given to no tunnel; the signature is brought to the server, which cannot make
/// one. A machine that is a member can sign itself, by its own name. Another name or address needs another signature, and so does one whose
/// time is over (-ExpiresIn). Wildcards mean members that are not signed yet.</para>
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
/// <example>
/// <code>PS> Get-LtPeer | Where-Object PathReason -eq NotSigned |
///         Format-List Name, Address, Fingerprint, Signature
///
/// Name        : laptop
/// Address     : 10.0.0.21
/// Fingerprint : 9QX4-7K2M-C3DE-0ABT
/// Signature   : Missing
///
/// PS> Confirm-LtMember laptop -SigningKeyPath admin.key -ExpiresIn 365.00:00</code>
/// <para>Shows who is not signed, and signs it for a year after a call to its owner.</para>
/// </example>
[Cmdlet(
    VerbsLifecycle.Confirm, "LtMember", DefaultParameterSetName = "Key", SupportsShouldProcess = true,
    ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtPeer), typeof(LtMember), typeof(LtNetwork))]
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

    /// <summary>
    /// File with an admin's signing key (New-LtSigningKey): signs the member for the whole network. One that others than its owner may read
    /// gets a warning, one that everybody may write is refused.
    /// </summary>
    [Parameter(Mandatory = true, ParameterSetName = "Signature")]
    [ValidateNotNullOrEmpty]
    public string? SigningKeyPath { get; set; }

    /// <summary>
    /// How long the signature is good: 365.00:00 is a year. For ever when left out: then a server in bad hands can name a member that was
    /// removed or blocked as long as the signing key is in use.
    /// </summary>
    [Parameter(ParameterSetName = "Signature")]
    [NotSecret]
    public TimeSpan? ExpiresIn { get; set; }

    /// <summary>
    /// Name under which the network was joined, or of the server that runs here; wildcards are allowed. All when left out.
    /// </summary>
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
        if (SigningKeyPath is not null)
            Sign();
        else
            Believe();
    }

    private void Sign()
    {
        (string[] names, string[]? networks, string? fingerprint, bool passThru) = (Name, Network, Fingerprint, PassThru);
        DateTimeOffset now = DateTimeOffset.UtcNow;
        try
        {
            // PowerShell takes a mere number for one of 100 ns.
            if (ExpiresIn is { } time && (time < TimeSpan.FromMinutes(1) || time >= DateTimeOffset.MaxValue - now))
            {
                throw new LightTunnelException(
                    LightTunnelError.InvalidOption, $"-ExpiresIn {time} is no time that a signature can be good for.",
                    "Give a time to come of a minute or more, such as 365.00:00 for a year.") { Target = time };
            }

            using var signer = MemberSigner.Open(ResolvePath(SigningKeyPath, nameof(SigningKeyPath))!, WriteWarning);
            IReadOnlyList<SignableMember> found = [];
            Run(
                async (output, cancellationToken) =>
                    found = await SignableMember.FindAsync(output, networks, names, cancellationToken).ConfigureAwait(false),
                names);
            // Somebody of that name may be in another network of this machine, which this key is not for.
            bool isKnown = networks is null && found.Any(member => member.SigningKeys.Contains(signer.PublicHalf));
            foreach (SignableMember member in found.Where(member => !isKnown || member.SigningKeys.Contains(signer.PublicHalf)))
            {
                string shown = KeyFingerprint.Of(member.Facts.PublicKey);
                string what = $"{member.Facts.Name} ({string.Join(", ", member.Facts.Addresses)}), {shown}";
                if (member.WhyNot(signer) is { } refusal)
                    Run((output, _) => Refuse(output, refusal), member.Facts.Name);
                else if (fingerprint is not null && !IsSame(fingerprint, shown))
                    Run((output, _) => Refuse(output, Different(member.Facts.Name, shown, fingerprint)), member.Facts.Name);
                else if (ShouldProcess(what, $"Sign as a member of the network of '{member.Tunnel.Name}'"))
                    Run((output, token) => member.SignAsync(output, signer, now, now + ExpiresIn, passThru, token), member.Facts.Name);
            }
        }
        catch (LightTunnelException exception)
        {
            ThrowTerminatingError(ErrorRecords.From(exception, SigningKeyPath));
        }
    }

    private void Believe()
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
            if (fingerprint is not null && !IsSame(fingerprint, shown))
                Run((output, _) => Refuse(output, Different(status.Name, shown, fingerprint)), status.Name);
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

    private static bool IsSame(string told, string shown) =>
        string.Equals(Plain(told), Plain(shown), StringComparison.OrdinalIgnoreCase);

    private static string Plain(string fingerprint) => string.Concat(fingerprint.Where(char.IsAsciiLetterOrDigit));

    private static LightTunnelException Unchanged(PeerStatus peer) => peer.PathReason == PathReason.NotSigned
        ? new(
            LightTunnelError.NotSigned, $"No admin has signed {peer.Name}, and nobody else can.",
            "An admin signs it: Confirm-LtMember -SigningKeyPath.") { Target = peer.Name }
        : new(
            LightTunnelError.InvalidOption, $"The key of {peer.Name} is the one that this machine knows: there is nothing to confirm.",
            "Get-LtPeer | Where-Object PathReason -eq KeyChanged shows whose key has changed.") { Target = peer.Name };

    private static LightTunnelException Different(string name, string shown, string told) => new(
        LightTunnelError.InvalidOption,
        $"The key that the server names for {name} has the fingerprint {shown}, not {told}: it is not believed.",
        "If its owner has read it on that very machine (Get-LtNetwork | Format-List), somebody is in between: look after the server.")
        {
            Target = name,
        };
}
