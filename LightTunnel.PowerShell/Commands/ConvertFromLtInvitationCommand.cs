using System.Management.Automation;
using System.Security;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Shows what an invitation says, without its secret.</summary>
/// <remarks>
/// <para>Tells to which network an invitation invites, where its server is, and when it ends, also of one that has ended. Nothing is sent,
/// and nobody is joined. The network's key is read, and is in no output.</para>
/// </remarks>
/// <example>
/// <code>PS> ConvertFrom-LtInvitation -InvitationPath invitation.txt
///
/// Network          Prefixes         Endpoints                Expires
/// -------          --------         ---------                -------
/// office           {10.0.0.0/24}    {vpn.example.org:9000}   2026-05-08 10:00</code>
/// <para>Looks into a file before the network is joined.</para>
/// </example>
/// <example>
/// <code>PS> $content = ConvertFrom-LtInvitation -InvitationPath invitation.txt
/// PS> if ($content.IsExpired) { 'ask for a new one' }</code>
/// <para>Lets a script find out whether an invitation has ended.</para>
/// </example>
[Cmdlet(VerbsData.ConvertFrom, "LtInvitation", DefaultParameterSetName = "Invitation")]
[OutputType(typeof(LtInvitationContent))]
public sealed class ConvertFromLtInvitationCommand : LtCommand
{
    /// <summary>
    /// The invitation's one line, as text or as a SecureString, or the object that New-LtInvitation returned. It is a secret: who
    /// has it may join.
    /// </summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "Invitation", ValueFromPipeline = true)]
    [SecretText]
    public SecureString? Invitation { get; set; }

    /// <summary>
    /// File that holds the invitation. One that others than its owner may read gets a warning, one that everybody may write is refused.
    /// </summary>
    [Parameter(Mandatory = true, ParameterSetName = "Path")]
    [ValidateNotNullOrEmpty]
    public string? InvitationPath { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        try
        {
            Secret text = ResolvePath(InvitationPath, nameof(InvitationPath)) is { } path
                ? SecretFile.Read(path, "invitation", WriteWarning)
                : SecretText.ToSecret(Invitation)!;
            WriteObject(new LtInvitationContent(InvitationContent.Read(text), DateTimeOffset.UtcNow));
        }
        catch (LightTunnelException exception)
        {
            WriteError(ErrorRecords.From(exception, InvitationPath));
        }
    }
}
