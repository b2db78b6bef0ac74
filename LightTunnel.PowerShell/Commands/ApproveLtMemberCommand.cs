using System.Management.Automation;
using LightTunnel.Engine.Server;

namespace LightTunnel;

/// <summary>Lets machines into a network that wait for it, on its server.</summary>
/// <remarks>
/// <para>Where a server was started with -RequireApproval, who comes by an invitation waits, and Get-LtMember -State Pending shows it. The
/// machine reaches nothing and learns of nobody until then. When it is approved its invitation's use is counted, it gets its name and
/// address, and joins by itself at once. One that was denied can be approved as well.</para>
/// <para>The name is what the machine asks for: look at PublicKey and Endpoint when it matters who it is. Where several ask under one name,
/// name one by its key.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtMember -State Pending
///
/// Name                  Address         State      Seen Version  System
/// ----                  -------         -----      ---- -------  ------
/// laptop                                Pending         0.1.0    Windows X64
///
/// PS> Approve-LtMember laptop</code>
/// <para>Shows who waits, and lets it in.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtMember -State Pending | Approve-LtMember -Confirm</code>
/// <para>Goes through those who wait, and asks for each.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Approve, "LtMember", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtMember))]
public sealed class ApproveLtMemberCommand : AdministrationCommand
{
    /// <summary>Returns the members, as they are afterwards.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Change(MemberChangeKind.Approve, "Approve", PassThru);
}

/// <summary>Lets machines not into a network that wait for it, on its server.</summary>
/// <remarks>
/// <para>The machine is told so and asks rarely from then on. The server remembers it for 30 days, so that it does not wait again;
/// Approve-LtMember lets it in nevertheless, and Remove-LtMember forgets it, so that it may ask anew. Its invitation was not used by
/// asking.</para>
/// <para>Who has an invitation can ask with a new key: Remove-LtInvitation takes that one back.</para>
/// </remarks>
/// <example>
/// <code>PS> Deny-LtMember stranger
/// PS> Get-LtMember -State Denied</code>
/// <para>Denies a machine, and shows all that were denied.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtMember -State Pending | Where-Object Name -like test* |
///         Deny-LtMember</code>
/// <para>Denies all machines that wait and whose names begin with test.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Deny, "LtMember", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtMember))]
public sealed class DenyLtMemberCommand : AdministrationCommand
{
    /// <summary>Returns the machines, as they are afterwards.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Change(MemberChangeKind.Deny, "Deny", PassThru);
}
