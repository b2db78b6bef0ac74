using System.Management.Automation;
using System.Security;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Services;

namespace LightTunnel;

/// <summary>Makes a service of a tunnel: it is started with the system, and stays.</summary>
/// <remarks>
/// <para>Takes what Start-LtServer or Connect-LtNetwork take: -Address makes a server, an invitation (or -Server and keys) a client, and
/// -ConfigurationPath whichever the file says. Everything is checked before anything is changed.</para>
/// <para>Or takes tunnels that run, from Get-LtServer or Get-LtNetwork: each becomes a service with the settings that it was started with.
/// The service is the same node, of the same name, address and key, as it uses the same state folder. The tunnel is stopped, with a goodbye
/// to the others, when everything has been checked and installed, right before the service is started; with -NoStart it goes on, and the
/// service takes its place when the system is started next.</para>
/// <para>The program that runs the tunnel is copied out of the module to where root alone can write, so that the service neither needs
/// PowerShell nor the module's folder. While that is there, a newer version in it is taken by itself. The settings are written to a file
/// that only root can read, /etc/lighttunnel/NAME.yaml, as it holds the secrets; Restart-LtService takes what is changed there. On Windows
/// administrators are who root is here, and the file is %ProgramData%\LightTunnel\NAME.yaml.</para>
/// <para>Returns when the service is up: the server listens, the client has joined, or has found its server out of reach and goes on
/// trying.</para>
/// <para>Needs root and a system that systemd has started, or on Windows an elevated session, Install-LtDriver before, and the module where
/// administrators alone can write.</para>
/// </remarks>
/// <example>
/// <code>PS> Register-LtService -Name office -Address 10.0.0.1/24 `
///         -Endpoint vpn.example.org:9000
///
/// Name             Role   State      Enabled Version  Host     Tunnel
/// ----             ----   -----      ------- -------  ----     ------
/// office           Server Running    True    0.1.0    0.1.0    Up</code>
/// <para>Makes a server that is there whenever the machine is.</para>
/// </example>
/// <example>
/// <code>PS> Register-LtService -Name laptop -InvitationPath invitation.txt</code>
/// <para>Joins a network for good.</para>
/// </example>
/// <example>
/// <code>PS> Register-LtService -ConfigurationPath server.yaml -NoStart -Force</code>
/// <para>Makes a service of a file, in place of one of the same name, and does not start it yet.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtNetwork laptop | Register-LtService</code>
/// <para>Makes the network that was joined in a session one that stays.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Register, "LtService", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtService))]
public sealed class RegisterLtServiceCommand : ClientCommand, IServerParameters
{
    private static readonly string[] OfServers =
    [
        nameof(Endpoint), nameof(ObserverPort), nameof(MaxClients), nameof(ClientIsolation), nameof(AllowKeyOnly), nameof(RequireApproval),
        nameof(AutoApproveRoute), nameof(MemberExpiry),
    ];

    private static readonly string[] OfClients =
    [
        nameof(Invitation), nameof(InvitationPath), nameof(Server), nameof(ServerKey), nameof(AcceptPrefix), nameof(AdvertiseEndpoint),
        nameof(AllowRelay), nameof(PathPolicy), nameof(PortMapping), nameof(KeyChange),
    ];

    /// <summary>What may stand beside a tunnel.</summary>
    private static readonly HashSet<string> WithATunnel =
    [
        nameof(InputObject), nameof(NoStart), nameof(Force), nameof(TimeoutSec), .. CommonParameters, .. OptionalCommonParameters,
    ];

    /// <summary>
    /// A tunnel that runs, as Get-LtServer or Get-LtNetwork returned it, in this or another process. Its settings are taken as they are, so
    /// no other may be given.
    /// </summary>
    [Parameter(ValueFromPipeline = true)]
    [ValidateNotNull]
    [NotSecret]
    public LtTunnel? InputObject { get; set; }

    /// <summary>
    /// For a client: the invitation's one line, as text or as a SecureString, or the object that New-LtInvitation returned. It is a secret:
    /// who has it may join.
    /// </summary>
    [Parameter]
    [SecretText]
    public SecureString? Invitation { get; set; }

    /// <summary>
    /// For a server: "host:port" at which clients reach it; goes into invitations. Several may be given, the preferred one first.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? Endpoint { get; set; }

    /// <summary>For a server: a second UDP port, at which it sees how its clients' NATs choose ports; 0 for none.</summary>
    [Parameter]
    [NotSecret]
    public int ObserverPort { get; set; }

    /// <summary>For a server: most clients that may be online at once.</summary>
    [Parameter]
    [NotSecret]
    public int MaxClients { get; set; }

    /// <summary>For a server: lets clients talk to the server only, not to each other.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter ClientIsolation { get; set; }

    /// <summary>For a server: admits who has the network's key, without an invitation that the server knows.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter AllowKeyOnly { get; set; }

    /// <summary>For a server: who joins waits until an admin approves it.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter RequireApproval { get; set; }

    /// <summary>For a server: groups whose members' networks need no admin's approval, such as gateways=192.168.0.0/16.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? AutoApproveRoute { get; set; }

    /// <summary>For a server: how long a membership lasts that its member does not renew by being here, such as 90d.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? MemberExpiry { get; set; }

    /// <summary>Does not start the service; it is started with the system. A tunnel that was given goes on until then.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter NoStart { get; set; }

    /// <summary>Replaces a service of the same name, or a file of settings that is in the way.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    private protected override SecureString? InvitationText => Invitation;

    private static string ModuleFolder => Path.GetDirectoryName(typeof(RegisterLtServiceCommand).Assembly.Location)!;

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        try
        {
            if (InputObject is not null)
            {
                Register(InputObject);
                return;
            }

            ServiceCatalog.CheckUsable();
            ServicePlan plan = ServiceCatalog.Plan(ReadSettings(), ModuleFolder, Force);
            if (ShouldProcess(plan.Service.Name, ActionOf(plan)))
                Apply(plan);
        }
        catch (LightTunnelException exception)
        {
            ThrowTerminatingError(ErrorRecords.From(exception, Name));
        }
    }

    private static string ActionOf(ServicePlan plan) =>
        plan.Replaced is null ? "Register service" : $"Replace service '{plan.Replaced.Name}'";

    /// <summary>Makes a service of a tunnel that runs.</summary>
    private void Register(LtTunnel tunnel)
    {
        if (MyInvocation.BoundParameters.Keys.FirstOrDefault(name => !WithATunnel.Contains(name)) is { } other)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"-{other} contradicts the tunnel '{tunnel.Name}', whose settings its service takes.",
                "Leave it out; Restart-LtService takes what is changed in the service's file later.");
        }

        bool replace = Force;
        TunnelHandover? running = null;
        ServicePlan? plan = null;
        Run(
            async (output, cancellationToken) =>
            {
                ServiceCatalog.CheckUsable();
                IReadOnlyList<ITunnelHandle> found =
                    await TunnelFinder.ByObjectAsync(output, tunnel, cancellationToken).ConfigureAwait(false);
                if (found.Count == 0)
                    return;
                running = new TunnelHandover(found[0]);
                plan = ServiceCatalog.Plan(
                    await running.ReadSettingsAsync(cancellationToken).ConfigureAwait(false), ModuleFolder, replace);
            },
            tunnel.Name);
        if (plan is not null && running is not null
            && ShouldProcess(plan.Service.Name, NoStart ? ActionOf(plan) : $"{ActionOf(plan)}, stop {running} and start the service"))
        {
            Apply(plan, running);
        }
    }

    private void Apply(ServicePlan plan, TunnelHandover? running = null)
    {
        bool start = !NoStart;
        TimeSpan limit = TimeSpan.FromSeconds(TimeoutSec) + PreparationTime;
        Run(
            async (output, cancellationToken) =>
            {
                await Task.Run(plan.Apply, CancellationToken.None).ConfigureAwait(false);
                KnownNames.RememberServices([plan.Service]);
                if (start && running is not null)
                    await running.HandOverAsync(plan).ConfigureAwait(false);
                else if (start)
                    plan.Start();
                output.WriteObject(start
                    ? await ServiceFinder.UpAsync(output, plan.Service, limit, cancellationToken, running).ConfigureAwait(false)
                    : (await ServiceFinder.ShowAsync([plan.Service], cancellationToken).ConfigureAwait(false))[0]);
            },
            plan.Service.Name,
            terminating: running is null);
    }

    private TunnelSettings ReadSettings()
    {
        TunnelSettings settings = RoleOfParameters() == TunnelRole.Server ? ReadServerSettings(this) : ReadClientSettings();
        WarnOfCommandLine("network key", settings.NetworkKey, "Leave it out, or give -NetworkKeyPath.");
        if (settings is ClientSettings client)
            WarnOfCommandLine("invitation", client.Invitation, "Leave it out to be asked for it, or give -InvitationPath.");
        return settings;
    }

    /// <exception cref="LightTunnelException">The parameters, or they and the file, are of both roles.</exception>
    private TunnelRole RoleOfParameters()
    {
        string? ofServers = OfServers.FirstOrDefault(MyInvocation.BoundParameters.ContainsKey);
        string? ofClients = OfClients.FirstOrDefault(MyInvocation.BoundParameters.ContainsKey);
        if (ofServers is not null && ofClients is not null)
            throw Contradiction($"-{ofServers} is of a server, and -{ofClients} of a client.");
        TunnelRole role = ofServers is not null || (ofClients is null && Address is not null) ? TunnelRole.Server : TunnelRole.Client;
        if (ResolvePath(ConfigurationPath, nameof(ConfigurationPath)) is not { } path)
            return role;
        TunnelRole ofFile = ConfigurationFile.RoleOf(path);
        if ((ofServers ?? ofClients) is { } given && role != ofFile)
            throw Contradiction($"-{given} is not of a {ofFile.ToString().ToLowerInvariant()}, of which {path} is the file.");
        return ofFile;
    }

    private static LightTunnelException Contradiction(string message) =>
        new(LightTunnelError.InvalidOption, message, "Give the parameters of Start-LtServer, or those of Connect-LtNetwork.");
}
