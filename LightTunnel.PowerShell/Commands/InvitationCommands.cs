using System.Management.Automation;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>Shows the invitations that a server on this machine has made: which admit somebody, and who came by them.</summary>
/// <remarks>
/// <para>The server keeps of each invitation what it needs to check it, never the secret: what is shown admits nobody. Invitations that are
/// used up, expired or removed are shown for 30 days more.</para>
/// <para>A member that came by an invitation does not need it again. Removing or ending one concerns nobody who is a member.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtInvitation
///
/// Id       Network      Name               State         Uses Expires
/// --       -------      ----               -----         ---- -------
/// 1f2e3d4c office       laptop of Ann      UsedUp      1 of 1 2026-05-08 10:00
/// 5a6b7c8d office                          Active           3 never</code>
/// <para>Shows all invitations of the servers on this machine.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtInvitation | Where-Object State -eq Active | Format-List</code>
/// <para>Shows all about the invitations that still admit somebody, such as who came by them.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtInvitation")]
[OutputType(typeof(LtInvitationRecord))]
public sealed class GetLtInvitationCommand : InvitationCommand
{
    /// <summary>Id of the invitation, or its name; wildcards are allowed. All when left out.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("Id")]
    [ArgumentCompleter(typeof(InvitationCompleter))]
    public string[]? Id { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[]? ids, string[]? networks) = (Id, Network);
        Run(
            async (output, cancellationToken) =>
            {
                IReadOnlyList<FoundInvitation> found = await FindAsync(output, networks, ids, cancellationToken).ConfigureAwait(false);
                foreach (FoundInvitation invitation in found)
                    output.WriteObject(new LtInvitationRecord(invitation.Status));
            },
            ids);
    }
}

/// <summary>Takes invitations back: they admit nobody any more.</summary>
/// <remarks>
/// <para>It acts at once and for good, and survives a restart of the server. Who came by the invitation before stays a member:
/// Remove-LtMember ends that.</para>
/// <para>Somebody whose join is under way at that moment is either a member already when the command returns, and stands in the Members of
/// Get-LtInvitation, or is not admitted.</para>
/// </remarks>
/// <example>
/// <code>PS> Remove-LtInvitation 1f2e3d4c</code>
/// <para>Takes back an invitation that was sent to the wrong address.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtInvitation | Where-Object Uses -eq 0 |
///         Remove-LtInvitation -Confirm</code>
/// <para>Goes through the invitations that nobody has used, and asks for each.</para>
/// </example>
[Cmdlet(VerbsCommon.Remove, "LtInvitation", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
public sealed class RemoveLtInvitationCommand : InvitationCommand
{
    /// <summary>Id of the invitation, or its name; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("Id")]
    [ArgumentCompleter(typeof(InvitationCompleter))]
    public string[] Id { get; set; } = [];

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[] ids, string[]? networks) = (Id, Network);
        IReadOnlyList<FoundInvitation> found = [];
        Run(
            async (output, cancellationToken) =>
                found = await FindAsync(output, networks, ids, cancellationToken).ConfigureAwait(false),
            ids);
        foreach (FoundInvitation invitation in found)
        {
            InvitationStatus status = invitation.Status;
            string what = status.Name.Length == 0 ? status.Id : $"{status.Id} ({status.Name})";
            if (!ShouldProcess($"{what} of {status.Network}", "Take the invitation back"))
                continue;
            Run(
                async (_, cancellationToken) =>
                    await invitation.Tunnel.RemoveInvitationAsync(
                        status.Id, LocalUser.Name, cancellationToken).ConfigureAwait(false),
                status.Id);
        }
    }
}

/// <summary>What the commands about invitations have in common: which ones.</summary>
public abstract class InvitationCommand : LtCommand
{
    /// <summary>Name of the server on this machine; wildcards are allowed. All when left out.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Server")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string[]? Network { get; set; }

    /// <summary>The invitations that are meant; what names none becomes an error.</summary>
    private protected static async Task<IReadOnlyList<FoundInvitation>> FindAsync(
        CommandOutput output, string[]? networks, string[]? names, CancellationToken cancellationToken)
    {
        // Who asks for all is answered by none where no server runs; who means one is told that.
        IReadOnlyList<ITunnelHandle> servers = names is null
            ? await TunnelFinder.ByNameAsync(output, TunnelRole.Server, networks, cancellationToken).ConfigureAwait(false)
            : await TunnelFinder.AnyByNameAsync(output, TunnelRole.Server, networks, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<FoundInvitation> all = await TunnelFinder.AskAllAsync<FoundInvitation>(
            output, servers,
            async server => [.. (await server.GetInvitationsAsync(cancellationToken).ConfigureAwait(false))
                .Select(status => new FoundInvitation(server, status))]).ConfigureAwait(false);
        KnownNames.RememberInvitations(all.Select(one => one.Status));
        if (names is null)
            return all;
        var filter = new NameFilter(names);
        // Each is asked, so that the filter knows whether it has matched.
        FoundInvitation[] found = [.. all.Where(one => filter.Accepts(one.Status.Id) | filter.Accepts(one.Status.Name))];
        if (servers.Count > 0)
        {
            foreach (string missing in filter.Unmatched)
                output.WriteError(ErrorRecords.NotFound("invitation", missing, "Get-LtInvitation shows those that there are."), missing);
        }

        return found;
    }
}

/// <summary>An invitation and the server that made it.</summary>
internal sealed record FoundInvitation(ITunnelHandle Tunnel, InvitationStatus Status);
