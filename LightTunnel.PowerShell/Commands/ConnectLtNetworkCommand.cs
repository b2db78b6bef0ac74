using System.Management.Automation;
using System.Security;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Routing;

namespace LightTunnel;

/// <summary>Joins this machine to a network.</summary>
/// <remarks>
/// <para>Creates a tunnel interface, registers with the server and gets an address in the network. The command returns when the server has
/// admitted this machine, or fails with the reason.</para>
/// <para>Everything needed is in an invitation, one line of text that the server's admin makes with New-LtInvitation. A session with a
/// person at it asks for it when nothing is given, and does not show it. A line that is typed with the command stays in the history of the
/// prompt, so answer the question, or use -InvitationPath. Where nobody can be asked, as in a container, it is taken from the environment
/// variable LIGHTTUNNEL_INVITATION. Instead of an invitation, give -Server, -ServerKey and -NetworkKey or -NetworkKeyPath, or a file with
/// -ConfigurationPath.</para>
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
public sealed class ConnectLtNetworkCommand : StartCommand
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
    /// File that holds the invitation. One that others than its owner may read gets a warning, one that everybody may write is refused.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? InvitationPath { get; set; }

    /// <summary>
    /// "host:port" at which the server is reached. Several may be given, the preferred one first; names are resolved anew at each attempt.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Server { get; set; }

    /// <summary>The server's public key, 44 characters of base64: the PublicKey that Get-LtServer shows there.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? ServerKey { get; set; }

    /// <summary>The network's key, as text or as a SecureString. It is a secret: who has it may join.</summary>
    [Parameter]
    [SecretText]
    public SecureString? NetworkKey { get; set; }

    /// <summary>
    /// File that holds the network's key. One that others than its owner may read gets a warning, one that everybody may write is refused.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? NetworkKeyPath { get; set; }

    /// <summary>
    /// YAML file with the same settings as the parameters; parameters that are given win over the file. Test-LtConfiguration
    /// checks such a file.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? ConfigurationPath { get; set; }

    /// <summary>
    /// Address inside the network to ask for, such as 10.0.0.20; one IPv4 and one IPv6 address may be given. The server
    /// chooses when left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Address { get; set; }

    /// <summary>
    /// Prefix that the server may give to this machine, such as 10.1.0.0/24; several may be given. An invitation names its network's, so
    /// that a server cannot have other networks' traffic sent to it; this says yes when its admin has given the network another prefix.
    /// Once accepted, it is remembered. Without an invitation the first one that the server gives is, when this is left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? AcceptPrefix { get; set; }

    /// <summary>UDP port to listen on. The system chooses one when left out.</summary>
    [Parameter]
    [NotSecret]
    public int ListenPort { get; set; }

    /// <summary>
    /// "address:port" at which other members reach this machine, if its owner knows better than LightTunnel finds out: a port that was
    /// forwarded by hand, an address that the server does not see. Literal addresses, IPv6 in brackets; up to four. -ListenPort keeps a
    /// forwarded port the right one.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? AdvertiseEndpoint { get; set; }

    /// <summary>
    /// $true lets this machine pass on what two other members cannot send each other directly; it cannot read it. $false forbids it. When
    /// left out, a machine with a public address does, and others do not.
    /// </summary>
    [Parameter]
    [NotSecret]
    public bool AllowRelay { get; set; }

    /// <summary>
    /// Which paths to other members may be used: Auto takes the best there is, DirectOnly never goes through another node, so that a member
    /// without a direct path is not reached, RelayOnly never goes direct. Auto when left out.
    /// </summary>
    [Parameter]
    [NotSecret]
    public LtPathPolicy PathPolicy { get; set; }

    /// <summary>$false does not ask the router to forward a port to this machine (PCP, NAT-PMP, UPnP). $true when left out.</summary>
    [Parameter]
    [NotSecret]
    public bool PortMapping { get; set; }

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
            ClientSettings settings = ReadSettings();
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

    private ClientSettings ReadSettings()
    {
        ClientSettings parameters = StartSettings.Fill(this, new ClientSettings
        {
            Invitation = ReadInvitation(),
            Server = Server,
            ServerKey = ServerKey,
            NetworkKey = ReadNetworkKey(NetworkKey, NetworkKeyPath)
                ?? (ServerKey is not null && ConfigurationPath is null ? Ask("network key", "-NetworkKey or -NetworkKeyPath") : null),
            Address = Address,
            AcceptPrefix = AcceptPrefix,
            ListenPort = Given(nameof(ListenPort), ListenPort),
            AdvertiseEndpoint = AdvertiseEndpoint,
            AllowRelay = Given(nameof(AllowRelay), AllowRelay),
            PathPolicy = Given(nameof(PathPolicy), (PathPolicy)PathPolicy),
            PortMapping = Given(nameof(PortMapping), PortMapping),
        });
        return ResolvePath(ConfigurationPath, nameof(ConfigurationPath)) is { } path
            ? TunnelCatalog.ReadClientSettings(path, parameters, WriteWarning)
            : parameters;
    }

    private Secret? ReadInvitation()
    {
        if (Invitation is not null && InvitationPath is not null)
            throw new LightTunnelException(LightTunnelError.InvalidOption, "-InvitationPath contradicts -Invitation.", "Give one of them.");
        if (ResolvePath(InvitationPath, nameof(InvitationPath)) is { } path)
            return SecretFile.Read(path, "invitation", WriteWarning);
        if (Invitation is { Length: 0 })
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidInvitation, "The invitation is empty.",
                "Leave it out to be asked for it, or give -InvitationPath.");
        }
        if (Invitation is not null)
            return SecretText.ToSecret(Invitation);
        bool saidOtherwise = Server is not null || ServerKey is not null || NetworkKey is not null || NetworkKeyPath is not null
            || ConfigurationPath is not null;
        return saidOtherwise
            ? null
            : Ask(
                "invitation", $"-Invitation, -InvitationPath or the environment variable {InvitationVariable.Name}",
                InvitationVariable.Take);
    }
}
