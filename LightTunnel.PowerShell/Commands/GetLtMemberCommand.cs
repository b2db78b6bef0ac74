using System.Management.Automation;
using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>Shows the members of a network on its server, whether they are online or not.</summary>
/// <remarks>
/// <para>The server remembers each member by its public key from the day it joined. The command shows who that is, when each was last
/// online, and who is kept out (Block-LtMember). Get-LtPeer shows how those that take part are reached.</para>
/// <para>Where an admin approves who joins (Start-LtServer -RequireApproval), machines that ask are shown as well, as Pending. They are no
/// members, and have asked for their names, which others may have asked for too.</para>
/// <para>Version and System are what the member said when it registered; of one that was not here since the server was started they are
/// not known.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtMember
///
/// Name                  Address         State      Seen Version  System
/// ----                  -------         -----      ---- -------  ------
/// nas                   10.0.0.20       Online      0 s 0.1.0    Linux X64
/// laptop                10.0.0.21       Offline     3 d 0.1.0    Windows X64
/// phone                 10.0.0.22       Blocked     9 d</code>
/// <para>Shows all members of all servers on this machine.</para>
/// </example>
/// <example>
/// <code>PS> $since = [datetime]::Now.AddDays(-14)
/// PS> Get-LtMember | Where-Object LastSeen -lt $since | Remove-LtMember</code>
/// <para>Frees names and addresses of those who were away for two weeks.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtMember lap* | Format-List</code>
/// <para>Shows everything that is known of members whose names begin with lap.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtMember", DefaultParameterSetName = "Name")]
[OutputType(typeof(LtMember))]
public sealed class GetLtMemberCommand : LtCommand
{
    /// <summary>Name or public key of the member; wildcards are allowed. All when left out.</summary>
    [Parameter(Position = 0, ParameterSetName = "Name", ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(Position = 0, ParameterSetName = "InputObject")]
    [Alias("Member", "Peer")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("PublicKey", "Peer", "Name")]
    [ArgumentCompleter(typeof(MemberNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>Tunnel address of the member; wildcards are allowed.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(AddressCompleter))]
    public string[]? Address { get; set; }

    /// <summary>
    /// Shows only those with which things stand so: Online, Offline, Blocked; Pending for machines that wait for approval, Denied for those
    /// that were denied.
    /// </summary>
    [Parameter]
    [NotSecret]
    public LtMemberState[]? State { get; set; }

    /// <summary>Name of the server on this machine; wildcards are allowed. All when left out.</summary>
    [Parameter(ParameterSetName = "Name", ValueFromPipelineByPropertyName = true)]
    [Alias("Server")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string[]? Network { get; set; }

    /// <summary>A server, as Get-LtServer returned it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    [NotSecret]
    public LtServer? InputObject { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[]? names, string[]? addresses, string[]? networks, LtServer? server, LtMemberState[]? states) =
            (Name, Address, Network, InputObject, State);
        Run(async (output, cancellationToken) =>
        {
            IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.FindAsync(
                output, TunnelRole.Server, networks, server, cancellationToken).ConfigureAwait(false);
            IReadOnlyList<MemberStatus> members = await TunnelFinder.AskAllAsync(
                output, tunnels, handle => handle.GetMembersAsync(cancellationToken)).ConfigureAwait(false);
            Write(output, members, names, addresses, states);
        });
    }

    private static void Write(
        CommandOutput output, IReadOnlyList<MemberStatus> members, string[]? names, string[]? addresses, LtMemberState[]? states)
    {
        NameFilter? byName = names is null ? null : new NameFilter(names);
        NameFilter? byAddress = addresses is null ? null : new NameFilter(addresses);
        foreach (MemberStatus status in members)
        {
            // Both are asked even if the first says no, so that each knows what it has matched.
            bool nameFits = byName?.Accepts(status.Name, status.PublicKey) ?? true;
            bool addressFits = byAddress?.Accepts(status.Addresses.Select(address => address.ToString())) ?? true;
            if (!nameFits || !addressFits || states?.Contains((LtMemberState)status.State) == false)
                continue;
            var member = new LtMember(status);
            KnownNames.Remember(member);
            output.WriteObject(member);
        }

        foreach (string missing in (byName?.Unmatched ?? []).Concat(byAddress?.Unmatched ?? []))
            output.WriteError(ErrorRecords.NotFound("member", missing, "Get-LtMember without a name shows all members."), missing);
    }
}
