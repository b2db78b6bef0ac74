using System.Runtime.Versioning;

namespace LightTunnel.Services;

/// <summary>
/// A running service of Windows as it sees itself: what it notes for the commands, as Windows asks a service no more than whether it has a
/// process, and how it takes a newer version, as Windows runs nothing before a service.
/// </summary>
public sealed class OwnService
{
    private readonly WindowsServices _services;
    private readonly HostInstallation _installation;
    private readonly ServiceDefinition _service;

    internal OwnService(WindowsServices services, HostInstallation installation, ServiceDefinition service) =>
        (_services, _installation, _service) = (services, installation, service);

    /// <summary>The service that this process is, by the configuration file that it was started with; null for none.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">Windows does not say.</exception>
    [SupportedOSPlatform("windows")]
    public static OwnService? Of(string configurationPath)
    {
        WindowsServices services = ServiceCatalog.OfWindows();
        return services.Find(configurationPath) is { } service
            ? new OwnService(services, HostInstallation.OfThisMachine, service)
            : null;
    }

    /// <summary>Notes that the tunnel is up, or goes on trying.</summary>
    public void TellUp() => _services.NoteUp(_service, Environment.ProcessId);

    /// <summary>Notes why the service is about to end.</summary>
    public void TellError(string words) => _services.NoteError(_service, words);

    /// <summary>Has this service, and all others, run the installed version from their next start on.</summary>
    /// <param name="running">The version that runs.</param>
    /// <returns>True when that is another program than this service was started with, and a newer one.</returns>
    public bool NameInstalled(Version running) =>
        _installation.Version is { } installed
        && _services.NameProgram(_installation.Program).Any(service => service.IsNamed(_service.Name))
        && installed > running;
}
