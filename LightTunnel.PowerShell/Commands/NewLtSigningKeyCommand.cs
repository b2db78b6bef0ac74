using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Makes a key by which an admin signs members of a network.</summary>
/// <remarks>
/// <para>To be run on the machine of an admin, not on the server: members that are signed take signed ones only, so that a server in bad
/// hands cannot introduce a key of its own between them, as long as it has not this one. The key is written to a file that its owner alone
/// can read. It has no passphrase: keep the file where only you get at it, an encrypted disk or stick, and a copy in a safe place.</para>
/// <para>Its public half is shown, and stands in the file as a comment. Start-LtServer -SigningKey takes it, and puts it into invitations.
/// Confirm-LtMember -SigningKeyPath signs members.</para>
/// </remarks>
/// <example>
/// <code>PS> New-LtSigningKey admin.key
///
/// Fingerprint         PublicKey
/// -----------         ---------
/// 7K2M-9QX4-0ABT-C3DE mKOqHxc0ggLcS6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg=</code>
/// <para>Makes a key, and shows its public half.</para>
/// </example>
[Cmdlet(VerbsCommon.New, "LtSigningKey", SupportsShouldProcess = true)]
[OutputType(typeof(LtSigningKey))]
public sealed class NewLtSigningKeyCommand : LtCommand
{
    /// <summary>File to write the key to.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ValidateNotNullOrEmpty]
    public string Path { get; set; } = string.Empty;

    /// <summary>Replaces the file if it exists. Who was signed by the key in it needs a new signature then.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (!ShouldProcess(Path, "Make a signing key"))
            return;
        try
        {
            string path = ResolvePath(Path, nameof(Path))!;
            WriteObject(new LtSigningKey(path, MemberSigner.Create(path, Force)));
        }
        catch (LightTunnelException exception)
        {
            WriteError(ErrorRecords.From(exception, Path));
        }
    }
}
