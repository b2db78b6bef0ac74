using System.Management.Automation;
using System.Security;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Joins this machine to a network.</summary>
/// <remarks>
/// <para>Creates a tunnel interface, registers with the server and gets an address in the network. The command returns when the server has
/// admitted this machine, or fails with the reason.</para>
/// <para>Everything needed is in an invitation, one line of text that the server's admin makes with New-LtInvitation. When nothing is given
/// it is taken from the environment variable LIGHTTUNNEL_INVITATION, or else the command asks for it, and does not show it. A line that is
/// typed with the command stays in the history of the prompt, so answer the question, or use -InvitationPath. Instead of an invitation,
/// give -Server, -ServerKey and -NetworkKey or -NetworkKeyPath, or a file with -ConfigurationPath.</para>
/// <para>The connection lives in the background of this PowerShell process until Disconnect-LtNetwork or until the process ends. When the
/// server is lost the client tries again for ever; interface and address stay meanwhile.</para>
/// <para>Needs root, or an elevated PowerShell on Windows.</para>
/// </remarks>
/// <example>
/// <code>PS> Connect-LtNetwork -InvitationPath invitation.txt
///
/// Name         State        Address            Server                Peers Uptime
/// ----         -----        -------            ------                ----- ------
/// laptop       Up           10.0.0.2/24        203.0.113.7:9000        1/3    0 s</code>
/// <para>Joins with an invitation that was received as a file.</para>
/// </example>
/// <example>
/// <code>PS> $key = Read-Host -AsSecureString
/// PS> $serverKey = 'mKOqHxc0ggLcS6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg='
/// PS> Connect-LtNetwork -Server vpn.example.org:9000 -ServerKey $serverKey `
///         -NetworkKey $key -Address 10.0.0.20</code>
/// <para>Joins without an invitation and asks for a certain address.</para>
/// </example>
/// <example>
/// <code>PS> $forwarded = '203.0.113.4:9000'
/// PS> Connect-LtNetwork $text -ListenPort 9000 -AdvertiseEndpoint $forwarded</code>
/// <para>Joins from behind a router on which somebody has forwarded UDP port 9000 to this machine.</para>
/// </example>
[Cmdlet(VerbsCommunications.Connect, "LtNetwork", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtNetwork))]
public sealed class ConnectLtNetworkCommand : ClientCommand
{
    private readonly InvitationLines _lines = new();

    /// <summary>
    /// The invitation's one line, as text or as a SecureString, or the object that New-LtInvitation returned. It is a secret: who has it
    /// may join. Line breaks, lines that begin with # and marks of quotation, as mail leaves them, do not matter.
    /// </summary>
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [SecretText(AllowEmpty = true)]
    public SecureString? Invitation { get; set; }

    /// <summary>
    /// Keeps the command running until the tunnel is stopped: for services and scripts that have nothing else to do. What the tunnel logs
    /// meanwhile is shown, as Write-Host shows it. Ctrl+C stops the tunnel in order.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Wait { get; set; }

    /// <inheritdoc/>
    private protected override bool Stays => Wait;

    /// <inheritdoc/>
    private protected override SecureString? InvitationText => Invitation;

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (MyInvocation.ExpectingInput && Invitation is { } line)
            _lines.Add(SecretText.ToSecret(line)!.Reveal());
        else
            Connect();
    }

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        if (!MyInvocation.ExpectingInput || Invitation is null)
            return;
        string[] invitations = [.. _lines.Texts];
        foreach (string text in invitations.Length == 0 ? [string.Empty] : invitations)
        {
            Invitation = SecretText.Protect(text);
            Connect();
        }
    }

    private void Connect()
    {
        if (!ShouldProcess(Name ?? Server?[0] ?? ConfigurationPath ?? "the invitation's network", "Join network"))
            return;
        try
        {
            ClientSettings settings = ReadClientSettings();
            WarnOfCommandLine("invitation", settings.Invitation, "Leave it out to be asked for it, or give -InvitationPath.");
            WarnOfCommandLine("network key", settings.NetworkKey, "Leave it out to be asked for it, or give -NetworkKeyPath.");
            Start(
                "Network", settings.Name ?? Environment.MachineName,
                (prepared, token) => TunnelCatalog.ConnectAsync(settings, prepared, token));
        }
        catch (LightTunnelException exception)
        {
            ThrowTerminatingError(ErrorRecords.From(exception, Name));
        }
    }
}
