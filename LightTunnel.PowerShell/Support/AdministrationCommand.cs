using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Server;
using LightTunnel.Membership.Signing;

namespace LightTunnel;

/// <summary>What the commands that change members on their server have in common.</summary>
public abstract class MemberChangeCommand : LtCommand
{
    /// <summary>Name of the server on this machine whose member it is; wildcards are allowed. All when left out.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Server")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string[]? Network { get; set; }

    /// <summary>Makes a change of each member that is named.</summary>
    /// <param name="names">Names, addresses or keys.</param>
    /// <param name="change">The change, of no member yet.</param>
    /// <param name="action">What it is, for who is asked to confirm it.</param>
    /// <param name="passThru">Whether the members are put out as they are afterwards.</param>
    /// <param name="onlyOne">What only one member can have; null for what many can.</param>
    private protected void Change(string[] names, MemberChange change, string action, bool passThru, string? onlyOne = null)
    {
        string[]? networks = Network;
        bool areApplicants = change.Kind is MemberChangeKind.Approve or MemberChangeKind.Deny;
        IReadOnlyList<FoundMember> found = [];
        Run(
            async (output, cancellationToken) =>
            {
                found = await MemberFinder.FindAsync(output, networks, names, areApplicants, cancellationToken).ConfigureAwait(false);
                if (onlyOne is null || found.Count <= 1)
                    return;
                string all = string.Join(", ", found.Take(5).Select(member => member.Status.Name));
                if (found.Count > 5)
                    all += ", ...";
                found = [];
                throw new LightTunnelException(
                    LightTunnelError.InvalidOption, $"{onlyOne} is one member's, and these are several: {all}.",
                    "Name one of them; -Network says of which network, where several servers run.") { Target = names };
            },
            names);
        foreach (FoundMember member in found)
        {
            MemberStatus status = member.Status;
            if (!ShouldProcess(
                status.Addresses.Count == 0 ? status.Name : $"{status.Name} ({string.Join(", ", status.Addresses)})", action))
            {
                continue;
            }

            Run(
                async (output, cancellationToken) =>
                {
                    await member.Tunnel.ChangeMemberAsync(
                        change with { PublicKey = status.PublicKey, By = LocalUser.Name }, cancellationToken).ConfigureAwait(false);
                    if (status.Signature == SignatureState.Valid && (change.Name ?? status.Name, change.Addresses) != (status.Name, null))
                    {
                        output.WriteWarning(
                            $"An admin has signed {status.Name} as it was: other members do not know it until it is signed as it is now, "
                                + $"Confirm-LtMember {change.Name ?? status.Name} -SigningKeyPath.");
                    }

                    if (!passThru)
                        return;
                    IReadOnlyList<MemberStatus> after = await member.Tunnel.GetMembersAsync(cancellationToken).ConfigureAwait(false);
                    foreach (MemberStatus changed in after.Where(other => other.PublicKey == status.PublicKey))
                        output.WriteObject(new LtMember(changed));
                },
                status.Name);
        }
    }
}

/// <summary>What the commands that do something with members have in common, which take these by all that names them.</summary>
public abstract class AdministrationCommand : MemberChangeCommand
{
    /// <summary>Name, tunnel address or public key of the member; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Member", "Peer", "Address", "PublicKey")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("PublicKey", "Address", "Peer", "Name")]
    [ArgumentCompleter(typeof(MemberCompleter))]
    public string[] Name { get; set; } = [];

    /// <summary>Does it with each member that is named.</summary>
    /// <param name="kind">What is done.</param>
    /// <param name="action">What it is, for who is asked to confirm it.</param>
    /// <param name="passThru">Whether the members are put out as they are afterwards.</param>
    private protected void Change(MemberChangeKind kind, string action, bool passThru) =>
        Change(Name, new MemberChange(kind, string.Empty, string.Empty), action, passThru);
}
