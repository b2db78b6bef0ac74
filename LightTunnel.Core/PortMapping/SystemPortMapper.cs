using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Timing;

namespace LightTunnel.PortMapping;

/// <summary>
/// Asks the system's gateway: by PCP, by NAT-PMP, then by UPnP. What does not lead to a mapping is tried again after
/// <see cref="RetryInterval"/>, or at once on <see cref="Refresh"/>. IPv4 only: IPv6 needs no translation.
/// </summary>
internal sealed class SystemPortMapper : IPortMapper
{
    /// <summary>How long a gateway that does not forward is left alone.</summary>
    public static readonly TimeSpan RetryInterval = TimeSpan.FromMinutes(10);

    /// <summary>Rounds begin no faster than this: networks come in bursts of changes.</summary>
    private static readonly TimeSpan ShortestRound = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan RemovalTime = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly IGatewayFinder _gateways;
    private readonly GatewayPorts _ports;
    private readonly TimeProvider _time;
    private readonly TunnelLog _log;
    private readonly CancellationTokenSource _stop = new();
    private volatile PortMappingStatus _status = PortMappingStatus.Disabled;
    private CancellationTokenSource? _round;
    private Action? _changed;
    private Task _running = Task.CompletedTask;

    // Of the running task only.
    private Gateway? _gateway;
    private IPortControl[] _controls = [];
    private IPortControl? _holder;

    /// <param name="gateways">Finds the gateway.</param>
    /// <param name="time">The time.</param>
    /// <param name="log">Hears of faults; what becomes of the port is the engine's to tell.</param>
    /// <param name="ports">Where gateways listen; null for the usual ports.</param>
    public SystemPortMapper(IGatewayFinder gateways, TimeProvider time, TunnelLog log, GatewayPorts? ports = null)
    {
        _gateways = gateways;
        _time = time;
        _log = log;
        _ports = ports ?? new GatewayPorts();
    }

    /// <inheritdoc/>
    public PortMappingStatus Status => _status;

    /// <inheritdoc/>
    public void Start(ushort internalPort, Action changed)
    {
        lock (_lock)
        {
            if (_changed is not null)
                throw new InvalidOperationException("It was started before.");
            _changed = changed;
            _running = Task.Run(() => RunAsync(internalPort));
        }
    }

    /// <inheritdoc/>
    public void Refresh()
    {
        lock (_lock)
            _ = _round?.CancelAsync(); // What hangs on it goes on elsewhere, not on the caller's thread.
    }

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public void Dispose() => _ = _stop.CancelAsync();

    private async Task RunAsync(ushort port)
    {
        while (!_stop.IsCancellationRequested)
        {
            Timestamp began = _time.Now();
            using var round = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            lock (_lock)
                _round = round;
            try
            {
                Publish(await TryRoundAsync(port, round.Token).ConfigureAwait(false));
                await Task.Delay(RetryInterval, _time, round.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // The next round, or the end.
            }

            lock (_lock)
                _round = null;
            await QuietAsync(ShortestRound - (_time.Now() - began)).ConfigureAwait(false);
        }

        await RemoveAsync().ConfigureAwait(false);
        Publish(PortMappingStatus.Disabled);
    }

    /// <summary>A fault costs the port, not the tunnel.</summary>
    private async Task<PortMappingStatus> TryRoundAsync(ushort port, CancellationToken cancellationToken)
    {
        try
        {
            return await RunRoundAsync(port, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            _log.Error(exception, "Asking the router to forward a port failed");
            return new PortMappingStatus(PortMappingState.NotAvailable) { Reason = "Asking the router failed; the log says how." };
        }
    }

    /// <summary>Looks for the gateway, and keeps the port forwarded as long as it is the gateway's will.</summary>
    /// <returns>Why there is no mapping.</returns>
    private async Task<PortMappingStatus> RunRoundAsync(ushort port, CancellationToken cancellationToken)
    {
        Gateway? gateway = _gateways.Find();
        if (gateway != _gateway)
        {
            _gateway = gateway;
            _controls = gateway is null
                ? []
                : [new UdpPortControl(gateway, port, _ports, _time), new UpnpPortControl(gateway, port, _ports, _time)];
            _holder = null; // The one before is out of reach.
        }

        if (gateway is null)
            return new PortMappingStatus(PortMappingState.NotAvailable) { Reason = "There is no router to the internet." };
        if (PortMappingStatus.IsPublic(new UdpEndpoint(gateway.LocalAddress, port)))
        {
            return new PortMappingStatus(PortMappingState.NotAvailable)
            {
                Gateway = gateway.Address,
                Reason = "This machine has a public address: no port needs to be forwarded.",
            };
        }
        var searching = new PortMappingStatus(PortMappingState.Searching) { Gateway = gateway.Address };
        if (_holder is null)
            Publish(searching);
        PortMappingStatus? refused = null, end = null;
        foreach (IPortControl control in _controls)
        {
            end = await control.KeepAsync(status => Report(control, status), cancellationToken).ConfigureAwait(false);
            if (_holder == control)
            {
                _holder = null;
                Publish(searching);
            }

            if (end.State == PortMappingState.Refused)
                refused ??= end;
        }

        _holder = null;
        return refused ?? end!;
    }

    private void Report(IPortControl control, PortMappingStatus status)
    {
        if (status.State == PortMappingState.Mapped)
            _holder = control;
        Publish(status);
    }

    private void Publish(PortMappingStatus status)
    {
        if (status == _status)
            return;
        _status = status;
        if (!_stop.IsCancellationRequested)
            _changed!();
    }

    private async Task QuietAsync(TimeSpan rest)
    {
        if (rest > TimeSpan.Zero)
            await Task.Delay(rest, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task RemoveAsync()
    {
        if (_holder is null)
            return;
        using var timeout = new CancellationTokenSource(RemovalTime, _time);
        // Whatever goes wrong, the lease ends by itself.
        await _holder.RemoveAsync(timeout.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
