using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Systemd;

namespace LightTunnel.Host;

/// <summary>
/// One tunnel as a service: started by its configuration file, its log told, and the process ended when the tunnel ends, however it does.
/// A client that cannot reach its server goes on trying: at boot the network is often not there yet.
/// </summary>
/// <param name="path">The configuration file.</param>
/// <param name="log">Where the tunnel's log goes.</param>
/// <param name="life">Ends the process.</param>
/// <param name="notifier">Tells systemd; nobody where there is none.</param>
/// <param name="watch">Looks after the tunnel while it runs.</param>
/// <param name="manager">What is to be done for a service manager that does less than systemd; null for nothing.</param>
internal sealed class TunnelService(
    string path, ServiceLog log, IHostApplicationLifetime life, ISystemdNotifier notifier, TunnelWatch watch,
    IServiceDuties? manager = null) : IHostedService, IDisposable
{
    /// <summary>What waits for this service at boot waits no longer than that for a network that may never come.</summary>
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(15);

    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _up = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _told = Task.CompletedTask, _run = Task.CompletedTask, _watched = Task.CompletedTask;

    /// <summary>How it ended, once the process is about to end.</summary>
    public ExitStatus Status { get; private set; }

    /// <summary>Returns when the tunnel is up, has failed, or goes on trying: then the service counts as started.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        _run = Task.Run(RunAsync, CancellationToken.None);
        await Task.WhenAny(_up.Task, _run, Task.Delay(StartPatience, cancellationToken)).ConfigureAwait(false);
        // A run that fails asks the process to end before it is over itself, and that ends the waiting too.
        if (!_run.IsCompleted && !life.ApplicationStopping.IsCancellationRequested)
            notifier.Notify(ServiceState.Ready);
    }

    /// <summary>Takes the tunnel down, and returns when that is done and told.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        // Known already when the tunnel has ended by itself. What is stopped by order ends in order, whatever comes of it.
        ExitStatus ended = Status;
        notifier.Notify(ServiceState.Stopping);
        try
        {
            await _stop.CancelAsync().ConfigureAwait(false);
            foreach (ITunnelHandle tunnel in TunnelCatalog.Local)
                await tunnel.StopAsync(cancellationToken).ConfigureAwait(false);
            await Task.WhenAll(_run, _told, _watched).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            manager?.End(ended, log.LastError);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _stop.Dispose();

    /// <summary>True for what only another configuration changes.</summary>
    internal static bool IsPermanent(LightTunnelError error) => error
        is LightTunnelError.InvalidAddress or LightTunnelError.InvalidEndpoint or LightTunnelError.InvalidKey
        or LightTunnelError.InvalidInvitation or LightTunnelError.InvitationExpired or LightTunnelError.InvalidName
        or LightTunnelError.InvalidOption or LightTunnelError.InvalidConfiguration;

    private async Task RunAsync()
    {
        ExitStatus status = ExitStatus.Failed;
        try
        {
            status = manager?.TakeUpdate() == true ? ExitStatus.Restart : await RunTunnelAsync().ConfigureAwait(false);
        }
        catch (LightTunnelException exception) when (exception is { Error: LightTunnelError.Stopped, InnerException: null })
        {
            // Stopped in order before it was up: by a signal, or by Disconnect-LtNetwork.
            status = ExitStatus.Stopped;
        }
        catch (LightTunnelException exception)
        {
            log.Write(exception);
            status = IsPermanent(exception.Error) ? ExitStatus.Configuration : ExitStatus.Failed;
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            status = ExitStatus.Stopped;
        }
        catch (Exception exception)
        {
            log.Write(LogLevel.Error, $"A fault of LightTunnel itself ended the tunnel. Please report it. {exception}");
        }
        finally
        {
            Status = status;
            life.StopApplication();
        }
    }

    private async Task<ExitStatus> RunTunnelAsync()
    {
        ConfigurationProblem[] errors =
            [.. TunnelCatalog.CheckConfiguration(path).Where(problem => problem.Severity == ConfigurationSeverity.Error)];
        if (errors.Length > 0)
        {
            foreach (ConfigurationProblem error in errors)
                log.Write(LogLevel.Error, $"{error} {error.RecommendedAction}");
            return ExitStatus.Configuration;
        }

        ITunnelHandle tunnel = await StartTunnelAsync().ConfigureAwait(false);
        _up.TrySetResult();
        await tunnel.WaitForStopAsync(CancellationToken.None).ConfigureAwait(false);
        if (watch.NewerVersion is null)
            return ExitStatus.Stopped;
        manager?.TakeUpdate();
        return ExitStatus.Restart;
    }

    private Task<ITunnelHandle> StartTunnelAsync()
    {
        void Warn(string warning) => log.Write(LogLevel.Warning, warning);
        return ConfigurationFile.RoleOf(path) == TunnelRole.Server
            ? TunnelCatalog.StartServerAsync(TunnelCatalog.ReadServerSettings(path, new ServerSettings(), Warn), OnPrepared, _stop.Token)
            : TunnelCatalog.ConnectAsync(TunnelCatalog.ReadClientSettings(path, new ClientSettings(), Warn), OnPrepared, _stop.Token);
    }

    /// <summary>The tunnel is there, and a client about to join.</summary>
    private void OnPrepared()
    {
        ITunnelHandle tunnel = TunnelCatalog.Local.Single();
        _told = TellAsync(tunnel);
        _watched = watch.RunAsync(tunnel, _stop.Token);
    }

    /// <summary>Writes all that the tunnel logs, until it has stopped.</summary>
    private async Task TellAsync(ITunnelHandle tunnel)
    {
        long told = 0;
        IReadOnlyList<LogEntry> entries;
        do
        {
            entries = await tunnel.WaitForLogAsync(told, LogLevel.Debug, CancellationToken.None).ConfigureAwait(false);
            foreach (LogEntry entry in entries)
            {
                log.Write(entry.Level, entry.Exception is null ? entry.Message : $"{entry.Message}\n{entry.Exception}");
                told = entry.Sequence;
            }
        }
        while (entries.Count > 0);
    }
}
