using System.Management.Automation;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Gives a machine that is a copy of another an identity of its own.</summary>
/// <remarks>
/// <para>A member is known by its key, which is in its state folder. Who copies a virtual machine or a disk copies the key: then two
/// machines are one member, and the later one is sent away (IdentityInUse). This command makes a new key on the copy. The addresses stay
/// with the machine that has the old one; members that this machine knows stay known.</para>
/// <para>The tunnel must not run: stop it before, with Disconnect-LtNetwork or Stop-LtService. The new key is nobody's member, so that the
/// next Connect-LtNetwork needs an invitation that admits one more; on the server the copy is a new member.</para>
/// </remarks>
/// <example>
/// <code>PS> Disconnect-LtNetwork
/// PS> Reset-LtIdentity
/// PS> Connect-LtNetwork -InvitationPath invitation.txt</code>
/// <para>Makes another member of a copied machine.</para>
/// </example>
/// <example>
/// <code>PS> Reset-LtIdentity -StatePath /srv/tunnel -WhatIf</code>
/// <para>Says which folder it would change.</para>
/// </example>
[Cmdlet(VerbsCommon.Reset, "LtIdentity", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(void))]
public sealed class ResetLtIdentityCommand : LtCommand
{
    /// <summary>Name under which the network was joined; the machine's own when left out.</summary>
    [Parameter(Position = 0)]
    [Alias("Network")]
    [ValidateNotNullOrEmpty]
    public string? Name { get; set; }

    /// <summary>Folder that keeps the client's identity, where Connect-LtNetwork was given one.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? StatePath { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        string? folder = null;
        (string? name, string? path) = (Name, ResolvePath(StatePath, nameof(StatePath)));
        Run((_, _) =>
        {
            folder = IdentityReset.FolderOf(name, path);
            return Task.CompletedTask;
        });
        if (folder is null || !ShouldProcess(folder, "Replace the identity by a new one"))
            return;
        Run((_, _) =>
        {
            IdentityReset.Run(folder);
            return Task.CompletedTask;
        });
    }
}
