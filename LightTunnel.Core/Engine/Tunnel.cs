using System.Runtime.Versioning;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Forwarding;
using LightTunnel.PortMapping;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Tun;
using LightTunnel.WindowsNetwork;

namespace LightTunnel.Engine;

/// <summary>What tunnels are made with; replaced piece by piece in tests.</summary>
/// <param name="Time">The clock.</param>
/// <param name="TunDevices">Makes virtual interfaces.</param>
/// <param name="Transports">Makes UDP sockets.</param>
/// <param name="Resolver">Looks up names.</param>
/// <param name="Addresses">The machine's own addresses.</param>
/// <param name="PortMappers">Makes what asks the router for a port; null where there is none to ask.</param>
/// <param name="Windows">What there is of Windows; null on other systems.</param>
/// <param name="DriverLogs">Has the log told what the driver of interfaces says; null where that says nothing.</param>
/// <param name="Forwarding">What forwards to networks behind this machine; null where nothing can.</param>
/// <param name="Exits">What has the machine go out by an exit node; null where nothing can.</param>
internal sealed record TunnelEnvironment(
    TimeProvider Time, ITunDeviceFactory TunDevices, IDatagramTransportFactory Transports, INameResolver Resolver,
    ILocalAddressSource Addresses,
    Func<TunnelLog, IPortMapper>? PortMappers = null, WindowsEnvironment? Windows = null,
    Func<TunnelLog, IDisposable>? DriverLogs = null, IForwardingSystem? Forwarding = null, IExitSystem? Exits = null)
{
    /// <summary>This machine.</summary>
    public static TunnelEnvironment System { get; } = new(
        SystemClock.Instance, new TunDeviceFactory(), new UdpTransportFactory(), new SystemNameResolver(), new SystemLocalAddresses(),
        log => new SystemPortMapper(new SystemGatewayFinder(InterfaceKinds.FindTunnels), SystemClock.Instance, log),
        OperatingSystem.IsWindows() ? MakeWindows() : null, OperatingSystem.IsWindows() ? WintunLog.Listen : null,
        OperatingSystem.IsLinux() ? new LinuxForwardingSystem() : new UnknownForwardingSystem(),
        OperatingSystem.IsLinux() ? new LinuxExitSystem() : new UnknownExitSystem());

    [SupportedOSPlatform("windows")]
    private static WindowsEnvironment MakeWindows() => new(
        (options, log) => new WindowsPresence(options, new WindowsFirewall(), new WindowsNetworkList(), log, SystemClock.Instance),
        WindowsSurroundingsReader.Read);
}

/// <summary>What tunnels need of Windows beside their adapters.</summary>
/// <param name="Place">Makes what tells Windows of a tunnel.</param>
/// <param name="Read">Reads what Windows has beside a tunnel.</param>
internal sealed record WindowsEnvironment(Func<PresenceOptions, TunnelLog, WindowsPresence> Place, Func<WindowsSurroundings> Read);

/// <summary>
/// One running tunnel of this process: node, device, socket, threads, state and log, set up in order and taken down in the reverse order.
/// The first reason to end wins. All members may be used from any thread.
/// </summary>
internal sealed class Tunnel : IAsyncDisposable
{
    /// <summary>How long a goodbye may take before the tunnel is taken down without an answer.</summary>
    private static readonly TimeSpan GoodbyeTime = TimeSpan.FromMilliseconds(500);

    private readonly TunnelThreads _threads;
    private readonly IDisposable _resources;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TimeProvider _time;
    private int _stopping;
    private volatile string? _failure;

    /// <summary>Starts the threads of a node whose device and socket are open. The tunnel owns everything it is given.</summary>
    /// <param name="options">What the node is to be.</param>
    /// <param name="node">The node.</param>
    /// <param name="services">What the node stands on.</param>
    /// <param name="resources">Everything that was opened for the tunnel, node included; disposed when the threads have ended.</param>
    public Tunnel(TunnelOptions options, Node node, NodeServices services, IDisposable resources)
    {
        Options = options;
        Node = node;
        Services = services;
        _resources = resources;
        _time = services.Time;
        Started = _time.GetUtcNow();
        _threads = new TunnelThreads(node, services.Tun, services.Transport, _time, options.DataPath.ThreadsPerQueue, OnThreadFailed);
        _threads.Start(options.Name);
    }

    /// <summary>What the tunnel was started with.</summary>
    public TunnelOptions Options { get; }

    /// <summary>The node; ask it by <see cref="Node.AskAsync"/>.</summary>
    public Node Node { get; }

    /// <summary>Device, socket, clock and log.</summary>
    public NodeServices Services { get; }

    /// <summary>When the tunnel was started.</summary>
    public DateTimeOffset Started { get; }

    /// <summary>What the threads that send counted.</summary>
    public PacketCounters Outbound => _threads.Outbound;

    /// <summary>What the threads that receive counted.</summary>
    public PacketCounters Inbound => _threads.Inbound;

    /// <summary>Why the tunnel ended by itself, or null.</summary>
    public string? Failure => _failure;

    /// <summary>Completes when everything is taken down.</summary>
    public Task Stopped => _stopped.Task;

    /// <summary>True from the first request to stop.</summary>
    public bool IsStopping => Volatile.Read(ref _stopping) != 0;

    /// <summary>Says goodbye and takes the tunnel down. Idempotent; further calls wait for the first.</summary>
    public async Task StopAsync()
    {
        if (Interlocked.Exchange(ref _stopping, 1) == 0)
        {
            await SayGoodbyeAsync().ConfigureAwait(false);
            TakeDown(null);
        }

        await _stopped.Task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => new(StopAsync());

    private async Task SayGoodbyeAsync()
    {
        Task<bool> goodbye = Node.AskAsync(() =>
        {
            Node.Role.SayGoodbye();
            return true;
        });
        Task unmapped = Services.PortMapper.StopAsync(CancellationToken.None);
        await Task.WhenAny(goodbye, Task.Delay(GoodbyeTime, _time)).ConfigureAwait(false);
        await unmapped.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void OnThreadFailed(Exception exception)
    {
        if (Interlocked.Exchange(ref _stopping, 1) != 0)
            return;
        _failure = exception.Message;
        Services.Log.Error(exception, "The tunnel {Tunnel} ends because of a fault", Options.Name);

        // Not on the failed thread itself: the tear-down waits for all of them.
        ThreadPool.UnsafeQueueUserWorkItem(_ => TakeDown(exception), null);
    }

    private void TakeDown(Exception? reason)
    {
        try
        {
            _threads.Dispose();
            Node.Role.FinishState();
            if (reason is null)
                Services.Log.Information("The tunnel {Tunnel} has stopped", Options.Name);
            _resources.Dispose();
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            reason ??= exception; // Whoever waits learns of it; nobody else could do anything about it.
        }
        finally
        {
            Node.Journal.NoteState(reason is null ? TunnelState.Stopped : TunnelState.Failed, reason?.Message);
            Node.Journal.Changes.Complete();
            if (reason is null)
                _stopped.TrySetResult();
            else
                _stopped.TrySetException(reason);
        }
    }
}
