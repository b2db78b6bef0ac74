using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Forwarding;

namespace LightTunnel.Management;

/// <summary>
/// Has this machine go out by the exit node that a person chose, from when that is there for the first time: a name that is wrong, or a
/// member that is not approved, keeps nobody from its network. From then on everything goes there or nowhere, until a person says
/// otherwise. With the kill switch that is so from the beginning. Any thread.
/// </summary>
/// <param name="system">Sets the system up; null where nothing can.</param>
/// <param name="tunnelInterface">The tunnel's interface.</param>
/// <param name="record">Where what was changed is written down.</param>
/// <param name="log">The tunnel's log.</param>
internal sealed class ExitTaking(IExitSystem? system, string tunnelInterface, IForwardingRecordFile record, TunnelLog log) : IDisposable
{
    private readonly Lock _gate = new();
    private ExitOptions _options = ExitOptions.None;
    private IExitRouting? _routing;
    private bool _isTaken;
    private bool _isDisposed;
    private volatile ExitState? _state;
    private volatile string? _problem;
    private TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _posted;
    private int _followed;

    /// <summary>What is not as it was asked for, and what to do; null for nothing.</summary>
    public string? Problem => _problem ?? Volatile.Read(ref _routing)?.Problem;

    /// <summary>How often something that was told of the exit node has been followed.</summary>
    internal int Followed => Volatile.Read(ref _followed);

    /// <summary>Completes when the system is set up as it was asked for last, or it is known why not.</summary>
    public Task Settled => Volatile.Read(ref _settled).Task;

    /// <summary>
    /// What of these can be offered here: an exit node offers the families that it reaches the internet by itself.
    /// </summary>
    /// <param name="system">The system.</param>
    /// <param name="routes">What is to be offered.</param>
    public static IReadOnlyList<OfferedRoute> Offered(IExitSystem? system, IReadOnlyList<OfferedRoute> routes) =>
        [.. routes.Where(route => !route.IsExit || route.Prefix.Network.IsIPv4 || system?.ReachesInternet(isIPv4: false) == true)];

    /// <inheritdoc cref="Offered(IExitSystem?, IReadOnlyList{OfferedRoute})"/>
    public IReadOnlyList<OfferedRoute> Offered(IReadOnlyList<OfferedRoute> routes) => Offered(system, routes);

    /// <summary>Whether what is asked for can be done here.</summary>
    /// <exception cref="LightTunnelException">ForwardingUnavailable; InvalidOption: another tunnel does so already.</exception>
    public static void Check(IExitSystem? system, IEnumerable<OfferedRoute> routes, ExitOptions exit, string? tunnelInterface = null) =>
        system?.Check(routes.Any(route => route.IsExit), exit.Node is not null, tunnelInterface);

    /// <inheritdoc cref="Check(IExitSystem?, IEnumerable{OfferedRoute}, ExitOptions, string?)"/>
    public void Check(IEnumerable<OfferedRoute> routes, ExitOptions exit) => Check(system, routes, exit, tunnelInterface);

    /// <summary>It is to go out so from now on; may wait for the system.</summary>
    public void Change(ExitOptions options)
    {
        lock (_gate)
        {
            if (_options == options)
                return;
            if (options.Node != _options.Node)
                (_isTaken, _settled) = (false, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            _options = options;
            Apply();
        }
    }

    /// <summary>There is something else to know of the exit node. Does not wait.</summary>
    public void OnState(ExitState? state)
    {
        _state = state;
        if (Interlocked.Exchange(ref _posted, 1) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(_ => Follow(), null);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            _routing?.Dispose();
            _settled.TrySetResult();
        }
    }

    private void Follow()
    {
        Volatile.Write(ref _posted, 0);
        lock (_gate)
            Apply();
        Interlocked.Increment(ref _followed);
    }

    private void Apply()
    {
        if (_isDisposed)
            return;
        if (_options.Node is not { } name)
        {
            _routing?.Dispose();
            (_routing, _problem) = (null, null);
            _settled.TrySetResult();
            return;
        }

        ExitState? state = _state is { } known && known.Name == name ? known : null;
        bool isNew = !_isTaken;
        _isTaken |= _options.KillSwitch || state is { Problem: null };
        if (_isTaken)
        {
            _routing ??= system?.Create(tunnelInterface, record, log);
            _routing?.Set(new ExitPlan(
                tunnelInterface, state?.IPv4, state?.IPv6, state?.Inside ?? [], _options.AllowLan, _options.KillSwitch));
        }

        Tell(name, state, isNew);
        if (state is not null)
            _settled.TrySetResult();
    }

    private void Tell(string name, ExitState? state, bool isNew)
    {
        string? problem = state is null ? (_isTaken ? $"The exit node {name} is not known yet: nothing goes out." : null)
            : state.Problem is { } why
                ? $"{why} {(_isTaken ? "Until then nothing goes out." : "Until then all goes out as it always did.")}"
            : null;
        if (isNew && _isTaken && problem is null)
            log.Information("All traffic goes out by the exit node {Name} now", name);
        if (problem is not null && problem != _problem)
            log.Warning("{Problem}", problem);
        else if (problem is null && _problem is not null)
            log.Information("The exit node {Name} is there again", name);
        _problem = problem;
    }
}
