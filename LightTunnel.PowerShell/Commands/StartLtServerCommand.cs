using System.Management.Automation;
using System.Security;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Starts a network: the server that other machines join.</summary>
/// <remarks>
/// <para>Creates a tunnel interface with the given address, listens on a UDP port and admits everybody who has an invitation
/// (New-LtInvitation). The command returns when the server is up.</para>
/// <para>The server's identity, the network's key and the addresses of its members are kept in the folder of -StatePath, so that a server
/// that is started again is the same server to its clients.</para>
/// <para>The server runs in the background of this PowerShell process until Stop-LtServer or until the process ends. A service or a
/// scheduled task uses -Wait.</para>
/// <para>Needs root, or an elevated PowerShell on Windows.</para>
/// </remarks>
/// <example>
/// <code>PS> Start-LtServer -Address 10.0.0.1/24 -Name office `
///         -Endpoint vpn.example.org:9000
///
/// Name             State        Address            Listen Peers  Relayed  Uptime
/// ----             -----        -------            ------ -----  -------  ------
/// office           Up           10.0.0.1/24          9000     0      0 B     0 s</code>
/// <para>Starts a server that clients reach at vpn.example.org, on the default port.</para>
/// </example>
/// <example>
/// <code>PS> Start-LtServer -ConfigurationPath /etc/lighttunnel/server.yaml -Wait</code>
/// <para>Runs a server as a service does: everything is in the file, and the command returns when the server is stopped.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Start, "LtServer", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtServer))]
public sealed class StartLtServerCommand : StartCommand, IServerParameters
{
    /// <summary>
    /// The server's own address inside the network with the network's prefix length, such as 10.0.0.1/24. One IPv4 and one IPv6 address may
    /// be given. Needed here or in the file of -ConfigurationPath.
    /// </summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    public string[]? Address { get; set; }

    /// <summary>
    /// YAML file with the same settings as the parameters; parameters that are given win over the file. Test-LtConfiguration
    /// checks such a file.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? ConfigurationPath { get; set; }

    /// <summary>UDP port to listen on; 0 lets the system choose one. 9000 when left out.</summary>
    [Parameter]
    [NotSecret]
    public int ListenPort { get; set; }

    /// <summary>
    /// "host:port" at which clients reach this server; goes into invitations. Several may be given, the preferred one first.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Endpoint { get; set; }

    /// <summary>
    /// The network's key, as text or as a SecureString, if it shall be a certain one (New-LtNetworkKey). When left out the server makes one
    /// at its first start and keeps it.
    /// </summary>
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
    /// A second UDP port, at which the server sees how its clients' NATs choose ports, so that they find direct paths sooner; open it in
    /// the firewall like -ListenPort. 0 for none. The port after -ListenPort when left out, or a free one if that is taken.
    /// </summary>
    [Parameter]
    [NotSecret]
    public int ObserverPort { get; set; }

    /// <summary>Most clients that may be online at once.</summary>
    [Parameter]
    [NotSecret]
    public int MaxClients { get; set; }

    /// <summary>Lets clients talk to the server only, not to each other.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter ClientIsolation { get; set; }

    /// <summary>
    /// Admits who has the network's key, without an invitation that this server knows: as servers did before they knew their invitations,
    /// and for clients that join with -NetworkKey. Members need neither. Not so when left out, but in networks of an earlier version, where
    /// -AllowKeyOnly:$false ends it.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter AllowKeyOnly { get; set; }

    /// <summary>
    /// Who joins waits until an admin approves it: Get-LtMember -State Pending shows those who do, Approve-LtMember lets them in,
    /// Deny-LtMember does not. Until then a machine reaches nothing and learns of nobody. Members stay members.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter RequireApproval { get; set; }

    /// <summary>
    /// Groups whose members need no admin's approval for networks that they offer (-Route): gateways; or only for those in a prefix:
    /// gateways=192.168.0.0/16. Deny-LtRoute denies one nevertheless. None when left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? AutoApproveRoute { get; set; }

    /// <summary>
    /// How long a membership lasts: 90d, 12h, or a timespan. A member renews it by being here; one that was away for as long is none any
    /// more, until Set-LtMember -ExpiresIn prolongs it. For ever when left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? MemberExpiry { get; set; }

    /// <summary>
    /// Members are signed by an admin (Confirm-LtMember -SigningKeyPath), and take signed ones only, so that this server cannot introduce a
    /// key of its own between them. Invitations name the signing key; members from before are joined anew with -SigningKey. -SigningKey
    /// alone means this too.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter RequireSignedMembers { get; set; }

    /// <summary>
    /// The public half of an admin's signing key, as New-LtSigningKey shows it; up to eight, any of which suffices. The key itself stays on
    /// the admin's machine.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? SigningKey { get; set; }

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
    protected override void ProcessRecord()
    {
        if (!ShouldProcess(Name ?? Address?[0] ?? ConfigurationPath ?? string.Empty, "Start server"))
            return;
        try
        {
            ServerSettings settings = ReadServerSettings(this);
            WarnOfCommandLine(
                "network key", settings.NetworkKey,
                "Leave it out, or give -NetworkKeyPath, a SecureString or what New-LtNetworkKey returned.");
            Start(
                "Server", settings.Name ?? Environment.MachineName,
                (prepared, token) => TunnelCatalog.StartServerAsync(settings, prepared, token));
        }
        catch (LightTunnelException exception)
        {
            ThrowTerminatingError(ErrorRecords.From(exception, Name));
        }
    }
}
