using System.Management.Automation;
using LightTunnel.Engine.Server;

namespace LightTunnel;

/// <summary>Keeps members out of a network, on its server, until they are let in again.</summary>
/// <remarks>
/// <para>The block lasts before the command returns: it is in the server's state, and holds after a restart of anybody. The server cuts the
/// member off and takes none of its handshakes any more; all other members are told, within a second as a rule, and drop their links
/// and paths with it at once. The machine itself is told once, says so in Get-LtNetwork, and asks again rarely.</para>
/// <para>A member of this version or a later one that cannot reach its server goes by what it knows, for 72 hours; then it lets go of
/// everybody until the server is back.</para>
/// <para>The member keeps its name and address meanwhile; Remove-LtMember frees them, and its key stays out nevertheless. Whoever has
/// an invitation can join with a new key: a block keeps a machine out, not a person who has the invitation.</para>
/// <para>Get-LtLog -Category Audit shows who has blocked whom, and when.</para>
/// </remarks>
/// <example>
/// <code>PS> Block-LtMember laptop</code>
/// <para>Keeps a laptop out that was lost.</para>
/// </example>
/// <example>
/// <code>PS> Import-Csv lost.csv | Block-LtMember -WhatIf</code>
/// <para>Shows who would be kept out by a list that has a column Name.</para>
/// </example>
/// <example>
/// <code>PS> Block-LtMember 10.0.0.21 -PassThru
///
/// Name                  Address         State      Seen Version  System
/// ----                  -------         -----      ---- -------  ------
/// laptop                10.0.0.21       Blocked     0 s</code>
/// <para>Keeps out who has an address, and shows it.</para>
/// </example>
[Cmdlet(VerbsSecurity.Block, "LtMember", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtMember))]
public sealed class BlockLtMemberCommand : AdministrationCommand
{
    /// <summary>Returns the members, as they are afterwards.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Change(MemberChangeKind.Block, "Block", PassThru);
}

/// <summary>Lets members into a network again that were kept out by Block-LtMember, on its server.</summary>
/// <remarks>
/// <para>The machine needs no new invitation, and gets its name and address again, unless these were given up meanwhile. It comes back by
/// itself, within a minute or two.</para>
/// </remarks>
/// <example>
/// <code>PS> Unblock-LtMember laptop</code>
/// <para>Lets a laptop in again that was found.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtMember -State Blocked | Unblock-LtMember</code>
/// <para>Lets everybody in again.</para>
/// </example>
[Cmdlet(VerbsSecurity.Unblock, "LtMember", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtMember))]
public sealed class UnblockLtMemberCommand : AdministrationCommand
{
    /// <summary>Returns the members, as they are afterwards.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Change(MemberChangeKind.Unblock, "Unblock", PassThru);
}

/// <summary>Removes members from a network, on its server, online or not: their names and addresses are free at once.</summary>
/// <remarks>
/// <para>A member that is online is cut off. Who was removed and has an invitation joins again as a new member when it comes back, which a
/// machine that runs does at once; to keep it out, use Block-LtMember. A key that is kept out stays out when its member is
/// removed.</para>
/// <para>By itself a server forgets a member 30 days after it went.</para>
/// </remarks>
/// <example>
/// <code>PS> Remove-LtMember nas
/// PS> Get-LtLog -Category Audit -Tail 1</code>
/// <para>Frees the name and the address of nas. The audit log tells of it.</para>
/// </example>
/// <example>
/// <code>PS> Block-LtMember laptop -PassThru | Remove-LtMember</code>
/// <para>Keeps a laptop out for ever, and gives its name and address to whoever wants them.</para>
/// </example>
[Cmdlet(VerbsCommon.Remove, "LtMember", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
public sealed class RemoveLtMemberCommand : AdministrationCommand
{
    /// <inheritdoc/>
    protected override void ProcessRecord() => Change(MemberChangeKind.Remove, "Remove from the network", passThru: false);
}
