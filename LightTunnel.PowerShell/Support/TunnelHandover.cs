using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Services;

namespace LightTunnel;

/// <summary>A tunnel that runs in a session and is to become a service.</summary>
internal sealed class TunnelHandover(ITunnelHandle tunnel)
{
    private string StopCommand => tunnel.Role == TunnelRole.Server ? "Stop-LtServer" : "Disconnect-LtNetwork";

    /// <summary>What it was started with, so that its service is the same node: with its name, its state folder and its secrets.</summary>
    /// <exception cref="LightTunnelException">It is a service, or does not answer.</exception>
    public async Task<TunnelSettings> ReadSettingsAsync(CancellationToken cancellationToken)
    {
        ServiceStatus? service = ServiceCatalog.Ask(ServiceCatalog.List())
            .FirstOrDefault(status => status.ProcessId == tunnel.ProcessId && status.Definition.IsNamed(tunnel.Name));
        if (service is not null)
        {
            throw new LightTunnelException(
                LightTunnelError.NameInUse, $"The tunnel '{tunnel.Name}' is a service already.",
                $"Get-LtService {service.Definition.Name} shows it; Restart-LtService takes what is changed in its file.")
            { Target = tunnel.Name };
        }

        SettingsText settings = await tunnel.GetSettingsAsync(cancellationToken).ConfigureAwait(false);
        return ConfigurationFile.Parse(new Secret(settings.Text), $"The settings of '{tunnel.Name}'");
    }

    /// <summary>
    /// Stops it and has its service started, which cannot have its port, its interface and its state before. What is begun here is not
    /// given up half-way.
    /// </summary>
    /// <exception cref="LightTunnelException">One of them failed.</exception>
    public async Task HandOverAsync(ServicePlan plan)
    {
        try
        {
            await tunnel.StopAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (LightTunnelException exception)
        {
            throw new LightTunnelException(
                exception.Error,
                $"The service '{plan.Service.Name}' is made but not started, as {this} could not be stopped: {exception.Message}",
                $"End it ({StopCommand} {tunnel.Name}, or its process), then Start-LtService {plan.Service.Name}.", exception)
            { Target = tunnel.Name };
        }

        KnownNames.Forget(tunnel);
        try
        {
            plan.Start();
        }
        catch (LightTunnelException exception)
        {
            throw NotUp(plan.Service, exception.Message, exception);
        }
    }

    /// <summary>The error of a service that did not come up when its tunnel was stopped already.</summary>
    public LightTunnelException NotUp(ServiceDefinition service, string reason, Exception? cause = null) => new(
        LightTunnelError.ServiceFailed,
        $"The service '{service.Name}', for which {this} was stopped, did not come up: {reason}",
        $"Mend what {ServiceCatalog.WordsOf(service)} says, then Start-LtService {service.Name}. "
            + $"Or Unregister-LtService {service.Name}, and start the tunnel as before: its state is where it was.",
        cause) { Target = service.Name };

    /// <summary>As it is called in a sentence.</summary>
    public override string ToString() => $"the tunnel '{tunnel.Name}' of process {tunnel.ProcessId}";
}
