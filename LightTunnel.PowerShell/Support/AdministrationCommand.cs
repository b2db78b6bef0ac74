using System.Management.Automation;
using LightTunnel.Engine.Server;

namespace LightTunnel;

/// <summary>What the commands that change members on their server have in common.</summary>
public abstract class AdministrationCommand : LtCommand
{
    /// <summary>Name, tunnel address or public key of the member; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Member", "Peer", "Address", "PublicKey")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("PublicKey", "Address", "Peer", "Name")]
    [ArgumentCompleter(typeof(MemberCompleter))]
    public string[] Name { get; set; } = [];

    /// <summary>Name of the server on this machine whose member it is; wildcards are allowed. All when left out.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Server")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string[]? Network { get; set; }

    /// <summary>Makes the change for each member that is named.</summary>
    /// <param name="kind">The change.</param>
    /// <param name="action">What it is, for who is asked to confirm it.</param>
    /// <param name="passThru">Whether the members are put out as they are afterwards.</param>
    private protected void Change(MemberChangeKind kind, string action, bool passThru)
    {
        (string[] names, string[]? networks) = (Name, Network);
        IReadOnlyList<FoundMember> found = [];
        Run(
            async (output, cancellationToken) =>
                found = await MemberFinder.FindAsync(output, networks, names, cancellationToken).ConfigureAwait(false),
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
                        new MemberChange(kind, status.PublicKey, LocalUser.Name), cancellationToken).ConfigureAwait(false);
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
