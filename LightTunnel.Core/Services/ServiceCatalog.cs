using System.Runtime.Versioning;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;

namespace LightTunnel.Services;

/// <summary>The services of this machine that run tunnels. All members may be called from any thread.</summary>
public static class ServiceCatalog
{
    /// <summary>What runs them. Replaced by tests.</summary>
    internal static IServiceManager Manager { get; set; } =
        OperatingSystem.IsLinux() ? new SystemdServices() : OperatingSystem.IsWindows() ? OfWindows() : new NoServices();

    /// <summary>Where their program is. Replaced by tests.</summary>
    internal static HostInstallation Installation { get; set; } = HostInstallation.OfThisMachine;

    /// <summary>The module's folder in place of the one that is given; for tests.</summary>
    internal static string? Module { get; set; }

    /// <summary>The version of the program that services start; null when none is installed.</summary>
    public static Version? InstalledVersion => Installation.Version;

    /// <summary>All services, by name.</summary>
    public static IReadOnlyList<ServiceDefinition> List() => Manager.List();

    /// <summary>The command that shows all that a service has said.</summary>
    public static string WordsOf(ServiceDefinition service) => OperatingSystem.IsWindows()
        ? "Get-WinEvent -FilterHashtable @{ LogName = 'Application'; ProviderName = 'LightTunnel' }"
        : $"journalctl -u {service.SystemName}";

    /// <summary>How services stand.</summary>
    public static IReadOnlyList<ServiceStatus> Ask(IReadOnlyList<ServiceDefinition> services) => Manager.Ask(services);

    /// <summary>Checks everything about a service that is to be; nothing is changed.</summary>
    /// <param name="settings">The tunnel's.</param>
    /// <param name="module">The module's folder, which brings the program.</param>
    /// <param name="replace">Whether a service of that name may be there already.</param>
    /// <exception cref="LightTunnelException">What is wrong.</exception>
    public static ServicePlan Plan(TunnelSettings settings, string module, bool replace) =>
        ServicePlan.Make(Manager, Installation, settings, Module ?? module, replace);

    /// <summary>Throws unless services can be changed by this process.</summary>
    /// <exception cref="LightTunnelException">PrivilegeRequired, or ServiceManagerUnavailable.</exception>
    public static void CheckUsable() => Manager.CheckUsable();

    /// <summary>Has it started; does not wait until it is up.</summary>
    public static void Start(ServiceDefinition service) => Changing(() => Manager.Start(service));

    /// <summary>Stops it in order; returns when it is stopped.</summary>
    public static void Stop(ServiceDefinition service) => Changing(() => Manager.Stop(service));

    /// <summary>Stops and starts it; does not wait until it is up.</summary>
    public static void Restart(ServiceDefinition service) => Changing(() => Manager.Restart(service));

    /// <summary>
    /// Stops and removes it, with its settings, as they hold secrets. The tunnel's identity stays. With the last service the program goes.
    /// </summary>
    public static void Unregister(ServiceDefinition service) => Changing(() =>
    {
        Manager.Stop(service);
        Manager.Unregister(service);
        if (Path.GetDirectoryName(service.ConfigurationPath) == Manager.ConfigurationFolder)
            File.Delete(service.ConfigurationPath);
        if (Manager.List().Count == 0)
            Installation.Remove();
    });

    /// <summary>The services of this Windows, with their settings where the state of tunnels is, too.</summary>
    [SupportedOSPlatform("windows")]
    internal static WindowsServices OfWindows() => new(
        new WindowsServiceControl(), HostInstallation.OfThisMachine,
        Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.CommonApplicationData), "LightTunnel"));

    private static void Changing(Action change)
    {
        Manager.CheckUsable();
        try
        {
            change();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, exception.Message, "Check the path and its permissions.", exception);
        }
    }

    /// <summary>A system whose services LightTunnel does not know.</summary>
    private sealed class NoServices : IServiceManager
    {
        public string ConfigurationFolder => string.Empty;

        public void CheckUsable() => throw new LightTunnelException(
            LightTunnelError.ServiceManagerUnavailable, "LightTunnel makes services of systemd and of Windows.",
            "docs/services.md says how a tunnel stays on this system.");

        public IReadOnlyList<ServiceDefinition> List() => [];

        public IReadOnlyList<ServiceStatus> Ask(IReadOnlyList<ServiceDefinition> services) => [];

        public void Register(ServiceDefinition service, string program) => CheckUsable();

        public void Unregister(ServiceDefinition service) => CheckUsable();

        public void Start(ServiceDefinition service) => CheckUsable();

        public void Stop(ServiceDefinition service) => CheckUsable();

        public void Restart(ServiceDefinition service) => CheckUsable();
    }
}
