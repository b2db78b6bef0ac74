using System.Management.Automation;
using LightTunnel.Services;

namespace LightTunnel;

/// <summary>Shows the tunnels that are services of this machine.</summary>
/// <remarks>
/// <para>Shows what Register-LtService has made: whether it runs, whether it is started with the system, which version runs and which one
/// the next start takes, and the tunnel itself where it answers. LastError says what is wrong: of a service that ended with an error its
/// last words, which the system's log keeps.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtService
///
/// Name             Role   State      Enabled Version  Host     Tunnel
/// ----             ----   -----      ------- -------  ----     ------
/// office           Server Running    True    0.1.0    0.1.0    Up</code>
/// <para>Shows all services.</para>
/// </example>
/// <example>
/// <code>PS> (Get-LtService office).Tunnel | Get-LtPeer</code>
/// <para>Shows the peers of a service's tunnel.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtService")]
[OutputType(typeof(LtService))]
public sealed class GetLtServiceCommand : LtCommand
{
    /// <summary>Name of the service; wildcards are allowed. All when left out.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ServiceNameCompleter))]
    public string[]? Name { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        string[]? names = Name;
        Run(async (output, cancellationToken) =>
        {
            IReadOnlyList<ServiceDefinition> found = ServiceFinder.ByName(output, names);
            foreach (LtService service in await ServiceFinder.ShowAsync(found, cancellationToken).ConfigureAwait(false))
                output.WriteObject(service);
        });
    }
}

/// <summary>Starts services of tunnels.</summary>
/// <remarks>
/// <para>Returns when the service is up: the server listens, the client has joined, or has found its server out of reach and goes on
/// trying. A service that ends with an error is told as an error, with its last words.</para>
/// <para>Needs root and a system that systemd has started, or on Windows an elevated session.</para>
/// </remarks>
/// <example>
/// <code>PS> Start-LtService office</code>
/// <para>Starts the service of the tunnel named office.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Start, "LtService", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtService))]
public sealed class StartLtServiceCommand : ServiceControlCommand
{
    /// <inheritdoc/>
    protected override void ProcessRecord() => Change("Start service", ServiceCatalog.Start, Up());
}

/// <summary>Stops services of tunnels.</summary>
/// <remarks>
/// <para>The tunnel says goodbye to its peers and is taken down; returns when that is done. It is started again with the system, unless it
/// is unregistered.</para>
/// <para>Needs root and a system that systemd has started, or on Windows an elevated session.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtService | Where State -eq Failed | Stop-LtService</code>
/// <para>Stops the services that do not come up.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Stop, "LtService", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtService))]
public sealed class StopLtServiceCommand : ServiceControlCommand
{
    /// <inheritdoc/>
    protected override void ProcessRecord() => Change("Stop service", ServiceCatalog.Stop, Shown());
}

/// <summary>Stops services of tunnels and starts them again.</summary>
/// <remarks>
/// <para>After its file was changed, for one. Returns when the service is up again; one that ends with an error is told as an error, with
/// its last words.</para>
/// <para>Needs root and a system that systemd has started, or on Windows an elevated session.</para>
/// </remarks>
/// <example>
/// <code>PS> Restart-LtService * -PassThru</code>
/// <para>Starts all services anew and shows them.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Restart, "LtService", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtService))]
public sealed class RestartLtServiceCommand : ServiceControlCommand
{
    /// <inheritdoc/>
    protected override void ProcessRecord() => Change("Restart service", ServiceCatalog.Restart, Up());
}

/// <summary>Removes services of tunnels.</summary>
/// <remarks>
/// <para>Stops the service and removes it, with the file of its settings, for that holds secrets. The tunnel's identity stays in its state
/// folder, so that a service of the same name is the same node again. With the last service the installed program goes.</para>
/// <para>Needs root and a system that systemd has started, or on Windows an elevated session.</para>
/// </remarks>
/// <example>
/// <code>PS> Unregister-LtService office -Confirm:$false</code>
/// <para>Removes the service of the tunnel named office without a question.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Unregister, "LtService", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
public sealed class UnregisterLtServiceCommand : ServiceCommand
{
    /// <inheritdoc/>
    protected override void ProcessRecord() => Change("Remove service and its settings", service =>
    {
        ServiceCatalog.Unregister(service);
        KnownNames.ForgetService(service);
    });
}
