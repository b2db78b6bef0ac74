using System.Management.Automation;
using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>Gives a network another key, which its members follow, so that what somebody copied of the old one is worth nothing.</summary>
/// <remarks>
/// <para>A network's key stands in each invitation. Change it when one got into wrong hands, or now and then. The server makes the new
/// key; nobody needs to see it. Members that are online take it at once, inside their links, and lose no packet. Members that are offline
/// come in by the key that they have until the grace period is over, and take the new one then. Who is no member comes in by the new key
/// only, from this moment on.</para>
/// <para>Invitations that were made before end, as they have the old key in them: make new ones with New-LtInvitation. Configurations of
/// plain WireGuard clients work until the grace period is over, or until the new one is used: New-LtWireGuardClient with the name and
/// -PublicKey of the client gives it, or remove the client and make it anew. What ends is said before anything is done: -WhatIf shows it,
/// and who is not asked (-Confirm:$false) reads it in the object.</para>
/// <para>Get-LtMember | Where-Object HasNetworkKey -eq $false shows who has not come yet. After the grace period the old key is erased
/// where it was kept; a member that did not come in time needs a new invitation, and keeps its name and address.</para>
/// <para>A network key that somebody wrote down (-NetworkKey, networkKey of a configuration file) is to be taken out of what starts the
/// server, and to be replaced in what starts a client, best by a new invitation. Tunnels go on with the new one, which their state has, and
/// warn.</para>
/// </remarks>
/// <example>
/// <code>PS> Update-LtNetworkKey
///
/// Network          GraceEnds        Followed Waiting Invitations WireGuard
/// -------          ---------        -------- ------- ----------- ---------
/// office           2026-06-07 10:00        2       1           1         1</code>
/// <para>Changes the key of the only network on this machine. One member is offline, and has a month to come; one invitation has ended,
/// and one plain WireGuard client needs a new configuration. Format-List names all of them.</para>
/// </example>
/// <example>
/// <code>PS> Update-LtNetworkKey -GracePeriod 0 -Confirm:$false</code>
/// <para>Ends the old key at once, without asking: who is not online now needs a new invitation.</para>
/// </example>
/// <example>
/// <code>PS> Update-LtNetworkKey office -GracePeriod 7.00:00 -WhatIf</code>
/// <para>Shows what would end, and who would have a week to come.</para>
/// </example>
[Cmdlet(VerbsData.Update, "LtNetworkKey", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(LtNetworkKeyChange))]
public sealed class UpdateLtNetworkKeyCommand : LtCommand
{
    /// <summary>Names that a sentence has room for.</summary>
    private const int MostNames = 10;

    /// <summary>Name of the server. Needed only when several servers run on this machine.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("Server")]
    [ValidateNotNullOrEmpty]
    [ObjectText("Name", "Network")]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string? Network { get; set; }

    /// <summary>
    /// How long members that are offline come in by the old key: 30.00:00 is thirty days, which it is when left out, 0 ends it at once.
    /// </summary>
    [Parameter]
    [NotSecret]
    public TimeSpan GracePeriod { get; set; } = TimeSpan.FromDays(30);

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string? network, TimeSpan grace) = (Network, GracePeriod);
        (ITunnelHandle Tunnel, string What)? found = null;
        Run(
            async (output, cancellationToken) =>
            {
                if (await ServerFinder.OneAsync(output, network, null, cancellationToken).ConfigureAwait(false) is not { } tunnel)
                    return;
                IReadOnlyList<MemberStatus> members = await tunnel.GetMembersAsync(cancellationToken).ConfigureAwait(false);
                IReadOnlyList<InvitationStatus> invitations =
                    await tunnel.GetInvitationsAsync(cancellationToken).ConfigureAwait(false);
                found = (tunnel, Foresee(members, invitations, grace));
            },
            network);
        if (found is not { } server || !ShouldProcess(server.Tunnel.Name, $"Change the network's key. {server.What}"))
            return;
        Run(
            async (output, cancellationToken) =>
            {
                NetworkKeyReport report = await server.Tunnel.UpdateNetworkKeyAsync(
                    new NetworkKeyRequest(grace, LocalUser.Name), cancellationToken).ConfigureAwait(false);
                output.WriteObject(new LtNetworkKeyChange(report));
                foreach (string warning in Warnings(report))
                    output.WriteWarning(warning);
            },
            server.Tunnel.Name);
    }

    /// <summary>What will end, for who is asked.</summary>
    private static string Foresee(
        IReadOnlyList<MemberStatus> members, IReadOnlyList<InvitationStatus> invitations, TimeSpan grace)
    {
        string until = grace == TimeSpan.Zero ? "cannot come in any more without new invitations" : $"have {grace:c} to come";
        string[] offline = [.. members.Where(member => member is { IsPlain: false, State: MemberState.Offline }).Select(one => one.Name)];
        string[] plain = [.. members.Where(member => member is { IsPlain: true, State: not MemberState.Blocked }).Select(one => one.Name)];
        string[] ending = [.. invitations.Where(one => one.State == InvitationState.Active).Select(one => one.Id)];
        var parts = new List<string> { "Who is online follows" };
        if (offline.Length > 0)
            parts.Add($"members that are offline {until}: {List(offline)}");
        if (ending.Length > 0)
            parts.Add($"invitations end: {List(ending)}");
        if (plain.Length > 0)
            parts.Add($"plain WireGuard clients need new configurations: {List(plain)}");
        return string.Join("; ", parts);
    }

    private static IEnumerable<string> Warnings(NetworkKeyReport report)
    {
        if (report.InvitationsEnded.Count > 0)
        {
            yield return $"Invitations that have the old key in them admit nobody any more: {List(report.InvitationsEnded)}. "
                + "Make new ones with New-LtInvitation.";
        }

        if (report.WireGuardClients.Count > 0)
        {
            string time = report.GraceEnds is { } end ? $" until {end.LocalDateTime:g}" : " now";
            yield return $"Plain WireGuard clients need new configurations{time}: {List(report.WireGuardClients)}. "
                + "New-LtWireGuardClient NAME -PublicKey KEY gives one with the new pre-shared key (PublicKey of Get-LtMember); where the "
                + "app does not let its private key be kept, Remove-LtMember and New-LtWireGuardClient make the client anew.";
        }

        if (report.MembersOutdated.Count > 0)
        {
            yield return $"These members run a version that does not take another key: {List(report.MembersOutdated)}. "
                + "Install this version there before the old key ends, or send them new invitations.";
        }

        if (report.IsKeyConfigured)
        {
            yield return $"The server '{report.Tunnel}' was started with the old key. Take networkKey out of its configuration file, or "
                + "-NetworkKey out of the command that starts it: its state has the new one, which it goes on with.";
        }
    }

    private static string List(IReadOnlyList<string> names) => names.Count <= MostNames
        ? string.Join(", ", names)
        : $"{string.Join(", ", names.Take(MostNames))} and {names.Count - MostNames} more";
}
