using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Server;

namespace LightTunnel;

/// <summary>Puts members into groups, gives them addresses, and says when their memberships end, on their server.</summary>
/// <remarks>
/// <para>What is set lasts before the command returns: it is in the server's state. The member and all others learn of another address
/// within a second as a rule; links with others stay. From then on the address is the admin's choice: what the member asks for by
/// Connect-LtNetwork -Address does not count any more.</para>
/// <para>Groups are named like machines, in whatever case, and shown in lower case. A group is there as long as a member is in it. A member
/// has no say in this, and is not told.</para>
/// <para>When a membership has ended the member is out at once, as if it were blocked, and is told why. It keeps its name and address until
/// it is prolonged or removed. It is warned from seven days before.</para>
/// <para>Get-LtLog -Category Audit shows who has changed what, and when.</para>
/// </remarks>
/// <example>
/// <code>PS> Set-LtMember nas -Group servers, office
/// PS> (Get-LtMember nas).Groups
/// office
/// servers</code>
/// <para>Puts nas into two groups, and out of all others.</para>
/// </example>
/// <example>
/// <code>PS> Set-LtMember laptop -Address 10.0.0.50 -PassThru
///
/// Name                  Address         State      Seen Version  System
/// ----                  -------         -----      ---- -------  ------
/// laptop                10.0.0.50       Online      0 s 0.1.0    Windows X64</code>
/// <para>Gives laptop another address, while it is online.</para>
/// </example>
/// <example>
/// <code>PS> Set-LtMember laptop-of-guest -ExpiresIn 14.00:00</code>
/// <para>Lets a guest be a member for two weeks.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtMember | Where-Object Groups -contains trial |
///         Set-LtMember -Group @()</code>
/// <para>Takes everybody who is in the group trial out of all groups.</para>
/// </example>
[Cmdlet(VerbsCommon.Set, "LtMember", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtMember))]
public sealed class SetLtMemberCommand : MemberChangeCommand
{
    /// <summary>Name, tunnel address or public key of the member; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Member", "Peer", "PublicKey")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("PublicKey", "Address", "Peer", "Name")]
    [ArgumentCompleter(typeof(MemberCompleter))]
    public string[] Name { get; set; } = [];

    /// <summary>The groups that the member is in from now on, and no others: up to 16. @() takes it out of all.</summary>
    [Parameter]
    [AllowEmptyCollection]
    [ArgumentCompleter(typeof(GroupCompleter))]
    public string[]? Group { get; set; }

    /// <summary>
    /// The member's address from now on: free, inside the network's prefix, and not the server's. In a network with IPv4 and IPv6 one of
    /// each may be given; what is left out stays.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Address { get; set; }

    /// <summary>
    /// How long it is a member from now on, whatever it does: 30.00:00 is 30 days. 0 for no end of its own: then it is one for ever, or as
    /// Start-LtServer -MemberExpiry says.
    /// </summary>
    [Parameter]
    [NotSecret]
    public TimeSpan? ExpiresIn { get; set; }

    /// <summary>Returns the members, as they are afterwards.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (Group is null && Address is null && ExpiresIn is null)
        {
            ThrowTerminatingError(ErrorRecords.From(
                new LightTunnelException(
                    LightTunnelError.InvalidOption, "Nothing says what is to be set.", "Give -Group, -Address or -ExpiresIn."), Name));
        }

        string[] what =
        [
            .. Address is null ? [] : (string[])[$"address {string.Join(", ", Address)}"],
            .. ExpiresIn is null ? [] : (string[])[ExpiresIn == TimeSpan.Zero ? "no end" : $"an end in {ExpiresIn}"],
            .. Group is null ? [] : (string[])[Group.Length == 0 ? "no groups" : $"groups {string.Join(", ", Group)}"],
        ];
        Change(
            Name, new MemberChange(MemberChangeKind.Set, string.Empty, string.Empty) 
            {
                Groups = Group, Addresses = Address, ExpiresIn = ExpiresIn,
            },
            $"Set {string.Join(" and ", what)}", PassThru, Address is null ? null : "An address");
    }
}

/// <summary>Gives a member another name, on its server.</summary>
/// <remarks>
/// <para>The name lasts before the command returns. The member and all others know it within a second as a rule; links and addresses stay.
/// From then on the name is the admin's choice: what the member calls itself, by Connect-LtNetwork -Name or by its host name, does not
/// count any more, and is only the name of its tunnel on its own machine.</para>
/// </remarks>
/// <example>
/// <code>PS> Rename-LtMember desktop-7f3k2 reception</code>
/// <para>Gives a machine a name that says what it is.</para>
/// </example>
/// <example>
/// <code>PS> Rename-LtMember 10.0.0.21 laptop-of-ann -PassThru
///
/// Name                  Address         State      Seen Version  System
/// ----                  -------         -----      ---- -------  ------
/// laptop-of-ann         10.0.0.21       Online      0 s 0.1.0    Windows X64</code>
/// <para>Renames who has an address, and shows it.</para>
/// </example>
[Cmdlet(VerbsCommon.Rename, "LtMember", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtMember))]
public sealed class RenameLtMemberCommand : AdministrationCommand
{
    /// <summary>
    /// The name: up to 63 letters, digits, '-', '_' and '.', beginning with a letter or digit. No other member may have it, in whatever
    /// case, nor the server.
    /// </summary>
    [Parameter(Mandatory = true, Position = 1)]
    [ValidateNotNullOrEmpty]
    public string NewName { get; set; } = string.Empty;

    /// <summary>Returns the member, as it is afterwards.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Change(
        Name, new MemberChange(MemberChangeKind.Set, string.Empty, string.Empty) { Name = NewName }, $"Rename to {NewName}", PassThru,
        "A name");
}
