using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Services;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Hosting.WindowsServices;
using SystemdState = Microsoft.Extensions.Hosting.Systemd.ServiceState;

namespace LightTunnel.Host;

/// <summary>A service of Windows.</summary>
/// <remarks>
/// What is to be tried again ends without having said to Windows that it stops: then Windows starts it again. To do so after an error that
/// was told is a setting (SERVICE_FAILURE_ACTIONS_FLAG) that counts from the machine's next start on, and for a wrong configuration too.
/// That one is told, and stays stopped.
/// </remarks>
/// <param name="path">The configuration file, by which the service is known.</param>
/// <param name="log">Is told of what could not be done.</param>
/// <param name="lifetime">Tells Windows.</param>
[SupportedOSPlatform("windows")]
internal sealed class WindowsDuties(string path, ServiceLog log, IHostLifetime lifetime) : IServiceDuties, ISystemdNotifier
{
    private static readonly string Ready = SystemdState.Ready.ToString();

    private readonly OwnService? _service = Find(path, log);

    /// <inheritdoc/>
    public bool IsEnabled => _service is not null;

    /// <inheritdoc/>
    public void Notify(SystemdState state)
    {
        if (state.ToString() == Ready)
            Do(() => _service?.TellUp());
    }

    /// <inheritdoc/>
    public bool TakeUpdate()
    {
        HostUpdate.Run(log);
        bool isNew = false;
        Do(() => isNew = _service?.NameInstalled(HostUpdate.Running) == true);
        return isNew;
    }

    /// <inheritdoc/>
    public void End(ExitStatus status, string? words)
    {
        if (status is ExitStatus.Failed or ExitStatus.Configuration && words is not null)
            Do(() => _service?.TellError(words));
        if (status is ExitStatus.Failed or ExitStatus.Restart)
            Environment.Exit((int)status);
        if (lifetime is WindowsServiceLifetime service)
            service.ExitCode = (int)status;
    }

    private static OwnService? Find(string path, ServiceLog log)
    {
        try
        {
            return OwnService.Of(Path.GetFullPath(path));
        }
        catch (LightTunnelException exception)
        {
            log.Write(exception);
            return null;
        }
    }

    private void Do(Action action)
    {
        try
        {
            action();
        }
        catch (LightTunnelException exception)
        {
            log.Write(exception);
        }
    }
}
