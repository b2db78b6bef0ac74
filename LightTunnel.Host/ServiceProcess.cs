using System.Runtime.Versioning;
using LightTunnel.Services;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Hosting.WindowsServices;
using Microsoft.Extensions.Logging.EventLog;

namespace LightTunnel.Host;

/// <summary>This process as a service: of systemd, of Windows, or of whoever started it from a shell or as a container.</summary>
internal static class ServiceProcess
{
    /// <summary>How long a tunnel may take to be taken down.</summary>
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(8);

    /// <summary>Runs the tunnel until it is stopped, or fails.</summary>
    /// <param name="path">Its configuration file.</param>
    public static async Task<ExitStatus> RunAsync(string path)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Services.AddWindowsService();
        // The one that is asked for at the terminal writes lines of its own about how to stop it.
        builder.Services.Configure<ConsoleLifetimeOptions>(options => options.SuppressStatusMessages = true);
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = StopPatience);
        ServiceLog log = ServiceLog.OfThisProcess(Path.GetFileNameWithoutExtension(path));
        builder.Services.AddSingleton(log);
        // Not AddSystemd: it says that all is ready where systemd is the parent, which it is not of what runs in a container of it.
        if (OperatingSystem.IsWindows() && WindowsServiceHelpers.IsWindowsService())
            AddDuties(builder.Services, path);
        else
            builder.Services.AddSingleton<ISystemdNotifier, SystemdNotifier>();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<TunnelWatch>();
        builder.Services.AddSingleton(new HostUpdateWatch(HostInstallation.OfThisMachine, HostUpdate.Running));
        builder.Services.AddHostedService(services => ActivatorUtilities.CreateInstance<TunnelService>(services, path));

        using IHost host = builder.Build();
        TunnelService tunnel = host.Services.GetServices<IHostedService>().OfType<TunnelService>().Single();
        await host.StartAsync().ConfigureAwait(false);
        await host.WaitForShutdownAsync().ConfigureAwait(false);
        return tunnel.Status;
    }

    [SupportedOSPlatform("windows")]
    private static void AddDuties(IServiceCollection services, string path)
    {
        // What the host itself has to say goes where the tunnel's words go, and makes no source of events of its own.
        services.Configure<EventLogSettings>(settings => settings.SourceName = EventLogWriter.Source);
        services.AddSingleton(provider => ActivatorUtilities.CreateInstance<WindowsDuties>(provider, path));
        services.AddSingleton<IServiceDuties>(provider => provider.GetRequiredService<WindowsDuties>());
        services.AddSingleton<ISystemdNotifier>(provider => provider.GetRequiredService<WindowsDuties>());
    }
}
