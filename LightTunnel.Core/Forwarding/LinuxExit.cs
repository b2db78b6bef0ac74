using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Timing;
using LightTunnel.Tun;

namespace LightTunnel.Forwarding;

/// <summary>Exit nodes on Linux.</summary>
[SupportedOSPlatform("linux")]
internal sealed class LinuxExitSystem : IExitSystem
{
    private readonly KernelSettings _settings = new();
    private readonly NftProgram _filter = new();

    /// <inheritdoc/>
    public void Check(bool offers, bool takes, string? tunnelInterface)
    {
        if ((offers || takes) && !_filter.IsInstalled)
        {
            throw new LightTunnelException(
                LightTunnelError.ForwardingUnavailable,
                offers ? "What members send to the internet cannot be given this machine's address: the program nft is not installed."
                    : "This machine cannot go out by an exit node: the program nft is not installed.",
                "Install the package nftables (Debian, Ubuntu: apt-get install nftables).");
        }

        if (takes && ExitSetup.FindOther(tunnelInterface) is { } other)
            throw new LightTunnelException(LightTunnelError.InvalidOption, ExitSetup.Occupied(other), "There is one way out at a time.");
    }

    /// <inheritdoc/>
    public bool ReachesInternet(bool isIPv4)
    {
        using var routes = new PolicyRoutes();
        return routes.Read(PolicyRoutes.Main).Any(route => route.Prefix.Length == 0 && route.Prefix.Network.IsIPv4 == isIPv4
            && route.Interfaces.Count > 0);
    }

    /// <inheritdoc/>
    public void Recover(IForwardingRecordFile file, bool keepsKillSwitch, TunnelLog log)
    {
        try
        {
            using (NamespaceGate.Enter())
                ExitSetup.Recover(_settings, _filter, file, keepsKillSwitch, log);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or LightTunnelException)
        {
            log.Warning("What this tunnel changed for its exit node before it was ended is not put back: {Reason}", exception.Message);
        }
    }

    /// <inheritdoc/>
    public IExitRouting Create(string tunnelInterface, IForwardingRecordFile file, TunnelLog log) =>
        new LinuxExit(new ExitSetup(tunnelInterface, _settings, _filter, file, log), tunnelInterface, log);
}

/// <summary>
/// A machine that goes out by an exit node: what others change is heard on a thread of its own, and set right again. In the network
/// namespace in which it was made.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class LinuxExit : IExitRouting
{
    /// <summary>Who changes something does so in several steps: a look waits for this long, so that they are one.</summary>
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(200);

    /// <summary>Routes and other rules of a machine may change all the time: it is looked no more often than this.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(3);

    /// <summary>Without any event it is looked this often, and said that names are asked for at the exit node.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(ExitRules.NamesSeconds / 3);

    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(10);

    private const int StackSize = 512 * 1024;

    private readonly ExitSetup _setup;
    private readonly string _name;
    private readonly TunnelLog _log;
    private readonly Lock _gate = new();
    private readonly CloseSignal _closed = new();
    private readonly ManualResetEventSlim _ending = new();
    private ExitPlan? _plan;
    private Thread? _thread;
    private bool _isEnded;
    private volatile string? _problem;

    /// <param name="setup">Does what is to be done.</param>
    /// <param name="tunnelInterface">The tunnel's interface.</param>
    /// <param name="log">The tunnel's log.</param>
    public LinuxExit(ExitSetup setup, string tunnelInterface, TunnelLog log) => (_setup, _name, _log) = (setup, tunnelInterface, log);

    /// <inheritdoc/>
    public string? Problem => _problem;

    /// <inheritdoc/>
    public void Set(ExitPlan plan)
    {
        lock (_gate)
        {
            if (_isEnded)
                return;
            _plan = plan;
            if (_thread is null)
            {
                _thread = new Thread(Watch, StackSize) { IsBackground = true, Name = $"LightTunnel {_name} exit" };
                _thread.Start();
            }

            Look(looksAtFilter: true);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _closed.Set();
        _ending.Set();
        if (_thread?.Join(LongestEnd) == false)
        {
            _log.Warning("The system does not answer: what was changed for the exit node is put back when this tunnel starts again");
            return;
        }

        _closed.Dispose();
        _ending.Dispose();
    }

    private void Watch()
    {
        try
        {
            using var watch = new ForwardingWatch();
            Timestamp looked = SystemClock.Instance.Now(), renewed = looked, due = looked + Longest;
            bool looksAtFilter = false;
            while (watch.Wait(
                _closed, Timestamp.Earliest(due, renewed + Longest) - SystemClock.Instance.Now(), out ForwardingEvents events))
            {
                Timestamp now = SystemClock.Instance.Now();
                looksAtFilter |= (events & (ForwardingEvents.Filter | ForwardingEvents.Own)) != 0;
                if (events != ForwardingEvents.None)
                    due = Timestamp.Earliest(due, Timestamp.Latest(now + Settle, looked + Pause));
                lock (_gate)
                {
                    if (now - renewed >= Longest)
                    {
                        Guard(_setup.Renew);
                        renewed = now;
                    }

                    if (now < due)
                        continue;
                    Look(looksAtFilter);
                }

                looksAtFilter = false;
                looked = SystemClock.Instance.Now();
                due = looked + Longest;
            }
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            Report($"The exit node is not looked after: {exception.Message}. Start the tunnel again.");
        }

        _ending.Wait(); // What is closed stays so, whatever goes wrong here.
        PutBack();
    }

    private void PutBack()
    {
        lock (_gate)
        {
            _isEnded = true;
            try
            {
                using (NamespaceGate.Enter())
                    _setup.Restore();
            }
            catch (Exception exception) when (exception is not OutOfMemoryException)
            {
                _log.Warning(
                    "What was changed for the exit node is put back when this tunnel starts again: {Reason}. nft delete table inet {Table} "
                        + "ends a kill switch", exception.Message, ExitRules.Table);
            }
        }
    }

    private void Look(bool looksAtFilter)
    {
        if (_plan is not { } plan)
            return;
        Guard(() =>
        {
            IReadOnlyList<string> problems;
            using (NamespaceGate.Enter())
                problems = _setup.Set(plan, looksAtFilter);
            Report(problems.Count == 0 ? null : string.Join(' ', problems));
        });
    }

    private void Guard(Action action)
    {
        try
        {
            action();
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            Report($"The exit node could not be set up: {exception.Message}");
        }
    }

    private void Report(string? problem)
    {
        if (problem == _problem)
            return;
        if (problem is not null)
            _log.Warning("{Problem}", problem);
        _problem = problem;
    }
}
