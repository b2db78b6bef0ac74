using System.Management.Automation;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>Stops servers of this machine.</summary>
/// <remarks>
/// <para>Says goodbye to the clients, removes the tunnel interface and closes the port; returns when that is done. It does not matter which
/// PowerShell process started the server.</para>
/// <para>The server's identity and leases stay in its state folder, so that the same server can be started again.</para>
/// </remarks>
/// <example>
/// <code>PS> Stop-LtServer office</code>
/// <para>Stops the server named office.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtServer | Stop-LtServer -PassThru
///
/// Name             State        Address            Listen Peers  Relayed  Uptime
/// ----             -----        -------            ------ -----  -------  ------
/// office           Stopped      10.0.0.1/24          9000     3   1.2 MB     2 h</code>
/// <para>Stops every server of this machine and shows them.</para>
/// </example>
[Cmdlet(
    VerbsLifecycle.Stop, "LtServer", DefaultParameterSetName = "Name", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtServer))]
public sealed class StopLtServerCommand : StopCommand
{
    /// <summary>Name of the server; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "Name", ValueFromPipeline = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>The server, as Start-LtServer or Get-LtServer returned it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    [NotSecret]
    public LtServer? InputObject { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Stop(TunnelRole.Server, Name, InputObject, "Stop server");
}

/// <summary>Leaves networks that this machine has joined.</summary>
/// <remarks>
/// <para>Says goodbye to the server and the peers and removes the tunnel interface; returns when that is done. It does not matter which
/// PowerShell process joined the network.</para>
/// <para>This machine's identity stays in its state folder, so that it gets the same address when it joins again.</para>
/// </remarks>
/// <example>
/// <code>PS> Disconnect-LtNetwork laptop</code>
/// <para>Leaves the network that was joined under the name laptop.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtNetwork | Where State -eq Reconnecting | Disconnect-LtNetwork</code>
/// <para>Leaves all networks whose server is lost.</para>
/// </example>
[Cmdlet(
    VerbsCommunications.Disconnect, "LtNetwork", DefaultParameterSetName = "Name", SupportsShouldProcess = true,
    ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtNetwork))]
public sealed class DisconnectLtNetworkCommand : StopCommand
{
    /// <summary>Name under which the network was joined; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "Name", ValueFromPipeline = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(NetworkNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>The network, as Connect-LtNetwork or Get-LtNetwork returned it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    [NotSecret]
    public LtNetwork? InputObject { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Stop(TunnelRole.Client, Name, InputObject, "Leave network");
}
