using System.Management.Automation;
using LightTunnel.Services;

namespace LightTunnel;

/// <summary>What the commands have in common that change services which are there.</summary>
public abstract class ServiceCommand : LtCommand
{
    /// <summary>Name of the service; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ServiceNameCompleter))]
    public string[] Name { get; set; } = [];

    /// <summary>Changes each service that is found and that the person at the prompt agrees to.</summary>
    /// <param name="action">"Stop service".</param>
    /// <param name="change">Does it.</param>
    /// <param name="then">What is to be written when it is done; null for nothing.</param>
    private protected void Change(
        string action, Action<ServiceDefinition> change,
        Func<CommandOutput, ServiceDefinition, CancellationToken, Task>? then = null)
    {
        string[] names = Name;
        IReadOnlyList<ServiceDefinition> found = [];
        Run((output, _) => Task.Run(() => found = ServiceFinder.ByName(output, names), CancellationToken.None));
        foreach (ServiceDefinition service in found)
        {
            if (!ShouldProcess(service.Name, action))
                continue;
            Run(
                async (output, cancellationToken) =>
                {
                    await Task.Run(() => change(service), CancellationToken.None).ConfigureAwait(false);
                    if (then is not null)
                        await then(output, service, cancellationToken).ConfigureAwait(false);
                },
                service.Name);
        }
    }
}

/// <summary>What the commands have in common that start and stop services.</summary>
public abstract class ServiceControlCommand : ServiceCommand
{
    /// <summary>How long a start is waited for.</summary>
    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(60);

    /// <summary>Returns the service as it is then.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <summary>Waits until the service is up, or says why it is not.</summary>
    private protected Func<CommandOutput, ServiceDefinition, CancellationToken, Task> Up()
    {
        bool passThru = PassThru;
        return async (output, service, cancellationToken) =>
        {
            LtService shown = await ServiceFinder.UpAsync(output, service, StartTime, cancellationToken).ConfigureAwait(false);
            if (passThru)
                output.WriteObject(shown);
        };
    }

    /// <summary>Shows the service if that was asked for.</summary>
    private protected Func<CommandOutput, ServiceDefinition, CancellationToken, Task>? Shown() => !PassThru
        ? null
        : async (output, service, cancellationToken) =>
            output.WriteObject((await ServiceFinder.ShowAsync([service], cancellationToken).ConfigureAwait(false))[0]);
}
