using System.Text;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;

namespace LightTunnel.Services;

/// <summary>A service that is to be, with everything about it checked; <see cref="Apply"/> makes it.</summary>
public sealed class ServicePlan
{
    private readonly IServiceManager _manager;
    private readonly HostInstallation _installation;
    private readonly TunnelSettings _settings;
    private readonly HostPayload _payload;
    private readonly string _versions;

    private ServicePlan(
        IServiceManager manager, HostInstallation installation, TunnelSettings settings, ServiceDefinition service, HostPayload payload,
        string versions)
    {
        (_manager, _installation, _settings, Service, _payload, _versions) =
            (manager, installation, settings, service, payload, versions);
    }

    /// <summary>What it is going to be.</summary>
    public ServiceDefinition Service { get; }

    /// <summary>The service of that name that it takes the place of; null for none.</summary>
    public ServiceDefinition? Replaced { get; private init; }

    /// <exception cref="LightTunnelException">What is wrong.</exception>
    internal static ServicePlan Make(
        IServiceManager manager, HostInstallation installation, TunnelSettings settings, string module, bool replace)
    {
        manager.CheckUsable();
        TunnelOptions options = settings is ServerSettings server
            ? SettingsResolver.Resolve(server)
            : SettingsResolver.Resolve((ClientSettings)settings, TimeProvider.System);
        settings = SettingsResolver.Lasting(settings, options);
        (options as ServerOptions)?.NetworkKey?.Dispose();
        (options as ClientOptions)?.NetworkKey.Dispose();
        CheckLasts("state", options.StatePath);
        if (options.LogPath is not null)
            CheckLasts("log", options.LogPath);
        string path = Path.Combine(manager.ConfigurationFolder, options.Name + ".yaml");
        ServiceDefinition? there = manager.List().FirstOrDefault(service => service.IsNamed(options.Name));
        if (!replace && (there is not null || File.Exists(path)))
        {
            throw new LightTunnelException(
                LightTunnelError.NameInUse,
                there is not null ? $"There is a service '{there.Name}' already." : $"There is a file {path} already.",
                "Give -Force to replace it, or another -Name.") { Target = options.Name };
        }

        CheckConfigurationFolder(manager.ConfigurationFolder);
        var version = Version.Parse(SoftwareVersion.Text);
        HostPayload payload = HostPayload.Of(module, version) ?? throw new LightTunnelException(
            LightTunnelError.NotFound, $"The module in {module} has no program for services on this system (Host/).",
            "Install the whole module, as it was built or published.") { Target = module };
        payload.CheckTrusted();
        payload.CheckDriver(installation);
        var service = new ServiceDefinition(options.Name, RoleOf(settings), path)
        {
            StatePath = options.StatePath,
            LogPath = options.LogPath,
        };
        return new ServicePlan(manager, installation, settings, service, payload, Path.GetDirectoryName(Path.GetFullPath(module))!)
        {
            Replaced = there,
        };
    }

    /// <summary>Makes the service; it is not started yet. What it takes the place of is stopped.</summary>
    /// <exception cref="LightTunnelException">It could not be made; a new one is not left half made.</exception>
    public void Apply()
    {
        // An older module does not take services back to its own version.
        if (!(_installation.Version > _payload.Version))
            _installation.Install(_payload, _versions);
        // Not before: what cannot be installed leaves the other one as it was.
        if (Replaced is not null)
        {
            _manager.Stop(Replaced);
            if (Replaced.SystemName != Service.SystemName)
                _manager.Unregister(Replaced);
        }

        try
        {
            WriteSettings();
            _manager.Register(Service, _installation.Program);
        }
        catch (Exception exception) when (exception is LightTunnelException or IOException or UnauthorizedAccessException)
        {
            if (Replaced is null)
                TakeBack();
            if (exception is LightTunnelException)
                throw;
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"The service '{Service.Name}' could not be made: {exception.Message}",
                "Check the path and its permissions.", exception) { Target = Service.Name };
        }
    }

    /// <summary>Has the service started; does not wait until it is up.</summary>
    public void Start() => _manager.Start(Service);

    private static Membership.TunnelRole RoleOf(TunnelSettings settings) =>
        settings is ServerSettings ? Membership.TunnelRole.Server : Membership.TunnelRole.Client;

    /// <summary>A service has a folder for temporary files of its own, which goes with it.</summary>
    private static void CheckLasts(string what, string path)
    {
        string[] passing = OperatingSystem.IsWindows() ? [] : ["/tmp/", "/var/tmp/", "/run/", "/dev/"];
        if (passing.Any(folder => path.StartsWith(folder, StringComparison.Ordinal)))
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"The {what} path {path} does not outlive the machine's next start.",
                "Give a folder that stays. To keep a tunnel's identity, move its files there while it is stopped.") { Target = path };
        }
    }

    /// <summary>On Windows a tunnel's state may have made it, as open as its parent: that is closed before something is written.</summary>
    private static void CheckConfigurationFolder(string folder)
    {
        if (!Directory.Exists(folder))
            return;
        if (OperatingSystem.IsWindows())
            WindowsAccess.Check(folder, "configuration folder", mayBeOpen: true);
        else
            TrustedFolder.Check(folder, "configuration folder");
    }

    private void MakeConfigurationFolder()
    {
        string folder = _manager.ConfigurationFolder;
        CheckConfigurationFolder(folder);
        if (!OperatingSystem.IsWindows())
        {
            if (!Directory.Exists(folder))
                ProgramFiles.CreateFolder(folder);
        }
        else if (Directory.Exists(folder))
        {
            WindowsAccess.CloseFolder(folder);
        }
        else
        {
            WindowsAccess.CreateFolder(folder);
        }

        TrustedFolder.Check(folder, "configuration folder");
    }

    private void WriteSettings()
    {
        MakeConfigurationFolder();
        // Under ProtectSystem=strict a service can make no folder but below its own.
        if (!OperatingSystem.IsWindows() && Service.StatePath is { } state && !Directory.Exists(state))
            Directory.CreateDirectory(state, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        AtomicFile.Replace(Service.ConfigurationPath, Encoding.UTF8.GetBytes(ConfigurationWriter.Write(_settings).Reveal()));
    }

    private void TakeBack()
    {
        try
        {
            File.Delete(Service.ConfigurationPath);
            _manager.Unregister(Service);
        }
        catch (Exception exception) when (exception is LightTunnelException or IOException or UnauthorizedAccessException)
        {
            // Why it could not be made is the error.
        }
    }
}
