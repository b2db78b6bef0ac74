using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Services;

namespace LightTunnel;

/// <summary>From what a person wrote to services, and what is to be shown of them.</summary>
internal static class ServiceFinder
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    /// <summary>Services by name; no names means all. Each name without wildcards that is not there becomes an error.</summary>
    public static IReadOnlyList<ServiceDefinition> ByName(CommandOutput output, string[]? names)
    {
        IReadOnlyList<ServiceDefinition> all = ServiceCatalog.List();
        KnownNames.RememberServices(all);
        if (names is null)
            return all;
        var filter = new NameFilter(names);
        ServiceDefinition[] found = [.. all.Where(service => filter.Accepts(service.Name))];
        foreach (string missing in filter.Unmatched)
            output.WriteError(ErrorRecords.NotFound("service", missing, "Get-LtService shows what there is."), missing);
        return found;
    }

    /// <summary>Services as they stand, with their tunnels where these answer.</summary>
    public static async Task<IReadOnlyList<LtService>> ShowAsync(
        IReadOnlyList<ServiceDefinition> services, CancellationToken cancellationToken)
    {
        if (services.Count == 0)
            return [];
        IReadOnlyList<ServiceStatus> found = await Task.Run(() => ServiceCatalog.Ask(services), cancellationToken).ConfigureAwait(false);
        TunnelSearch search = found.All(status => status.ProcessId == 0)
            ? new TunnelSearch([], [])
            : await TunnelCatalog.FindAsync(null, cancellationToken).ConfigureAwait(false);
        LtTunnel?[] tunnels = await Task.WhenAll(
            found.Select(status => TunnelOfAsync(status, search.Tunnels, cancellationToken))).ConfigureAwait(false);
        Version? installed = ServiceCatalog.InstalledVersion;
        return [.. found.Select((status, index) => new LtService(status, installed, tunnels[index]))];
    }

    /// <summary>Waits until a service that was started runs, or has ended with an error, which becomes one of the command.</summary>
    /// <param name="output">Takes the error.</param>
    /// <param name="service">The service.</param>
    /// <param name="limit">How long it is waited for.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <param name="before">The tunnel that was stopped for it; null for none.</param>
    public static async Task<LtService> UpAsync(
        CommandOutput output, ServiceDefinition service, TimeSpan limit, CancellationToken cancellationToken,
        TunnelHandover? before = null)
    {
        long begun = TimeProvider.System.GetTimestamp();
        while (true)
        {
            ServiceState state = ServiceCatalog.Ask([service])[0].State;
            bool isOnItsWay = state is ServiceState.Starting or ServiceState.Stopping;
            if (!isOnItsWay || TimeProvider.System.GetElapsedTime(begun) > limit)
                break;
            await Task.Delay(Pause, TimeProvider.System, cancellationToken).ConfigureAwait(false);
        }

        LtService shown = (await ShowAsync([service], cancellationToken).ConfigureAwait(false))[0];
        if (shown.State is LtServiceState.Failed or LtServiceState.Restarting)
        {
            string words = shown.LastError ?? "it left no words.";
            output.WriteError(
                before?.NotUp(service, words) ?? new LightTunnelException(
                    LightTunnelError.ServiceFailed, $"The service '{service.Name}' was started and ended with an error: {words}",
                    $"The system's log has more ({ServiceCatalog.WordsOf(service)})."), service.Name);
        }
        else if (shown.State is LtServiceState.Starting)
        {
            output.WriteWarning($"The service '{service.Name}' is still starting; Get-LtService {service.Name} shows how it goes on.");
        }

        return shown;
    }

    private static async Task<LtTunnel?> TunnelOfAsync(
        ServiceStatus status, IReadOnlyList<ITunnelHandle> tunnels, CancellationToken cancellationToken)
    {
        ITunnelHandle? tunnel = tunnels.FirstOrDefault(
            tunnel => status.ProcessId != 0 && tunnel.ProcessId == status.ProcessId && status.Definition.IsNamed(tunnel.Name));
        try
        {
            return tunnel is null
                ? null
                : new FoundTunnel(tunnel, await tunnel.GetStatusAsync(cancellationToken).ConfigureAwait(false)).ToObject();
        }
        catch (LightTunnelException)
        {
            // It has stopped meanwhile, or does not answer: that is what the missing tunnel says.
            return null;
        }
    }
}
