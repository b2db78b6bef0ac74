using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Timing;
using LightTunnel.Tun;

namespace LightTunnel.Forwarding;

/// <summary>
/// Forwarding on Linux, on a thread of its own: sets it up, hears what others change, and puts back at the end what was changed. In the
/// network namespace in which it was begun.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class LinuxForwarding : INetworkForwarding
{
    /// <summary>Who changes something does so in several steps: a look waits for this long, so that they are one.</summary>
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(300);

    /// <summary>Routes of a machine that many are told of change all the time: it is looked no more often than this.</summary>
    private static readonly TimeSpan RoutePause = TimeSpan.FromSeconds(5);

    /// <summary>Other rules change all the time where containers come and go, and there are many to be looked at.</summary>
    private static readonly TimeSpan FilterPause = TimeSpan.FromSeconds(30);

    /// <summary>Without any event it is looked this often.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    /// <summary>The same while something is wrong.</summary>
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(30);

    /// <summary>A system that does not answer must not keep a tunnel from starting and stopping.</summary>
    private static readonly TimeSpan LongestBegin = TimeSpan.FromSeconds(10), LongestEnd = TimeSpan.FromSeconds(10);

    private const int StackSize = 512 * 1024;

    private readonly ForwardingOptions _options;
    private readonly ForwardingSetup _setup;
    private readonly ForeignFilters _foreign;
    private readonly INftables _filter;
    private readonly TunnelLog _log;
    private readonly Func<IReadOnlyList<TunnelAddress>> _resolvers;
    private readonly CloseSignal _closed = new();
    private readonly ManualResetEventSlim _begun = new();
    private Thread? _thread;
    private ForwardingWatch? _watch;
    private string? _foreignProblem;
    private volatile string? _problem;

    /// <param name="options">The tunnel and its networks.</param>
    /// <param name="settings">The kernel's settings.</param>
    /// <param name="filter">The packet filter.</param>
    /// <param name="file">Where what was changed is written down.</param>
    /// <param name="log">The tunnel's log.</param>
    /// <param name="resolvers">Tells the resolvers that others can be led to; null for this machine's.</param>
    public LinuxForwarding(
        ForwardingOptions options, IKernelSettings settings, INftables filter, IForwardingRecordFile file, TunnelLog log,
        Func<IReadOnlyList<TunnelAddress>>? resolvers = null)
    {
        _resolvers = resolvers ?? SystemResolvers.Find;
        _options = options;
        _filter = filter;
        _log = log;
        _setup = new ForwardingSetup(options, settings, filter, file, log, suspect: () => _watch?.TakeSuspect());
        _foreign = new ForeignFilters(filter);
    }

    /// <inheritdoc/>
    public string? Problem => _problem;

    /// <inheritdoc/>
    public void Begin()
    {
        _thread = new Thread(Work, StackSize) { IsBackground = true, Name = $"LightTunnel {_options.Interface} forwarding" };
        _thread.Start();
        _begun.Wait(LongestBegin);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _closed.Set();
        if (_thread?.Join(LongestEnd) == false)
        {
            _log.Warning("The system does not answer: what was changed for forwarding is put back when this tunnel starts again");
            return;
        }

        _closed.Dispose();
        _begun.Dispose();
    }

    private void Work()
    {
        try
        {
            using var watch = new ForwardingWatch();
            _watch = watch;
            Timestamp now = SystemClock.Instance.Now();
            Timestamp looked = now, lookedAtFilter = now;
            Look(looksAtFilter: true);
            _begun.Set();
            Timestamp due = now + (_problem is null ? Longest : Retry), filterDue = Timestamp.Never;
            while (watch.Wait(_closed, Timestamp.Earliest(due, filterDue) - SystemClock.Instance.Now(), out ForwardingEvents events))
            {
                now = SystemClock.Instance.Now();
                if (events.HasFlag(ForwardingEvents.Own))
                    due = Timestamp.Earliest(due, now + Settle);
                if (events.HasFlag(ForwardingEvents.Routes))
                    due = Timestamp.Earliest(due, Timestamp.Latest(now + Settle, looked + RoutePause));
                if (events.HasFlag(ForwardingEvents.Filter))
                    filterDue = Timestamp.Earliest(filterDue, Timestamp.Latest(now + Settle, lookedAtFilter + FilterPause));
                if (now < due && now < filterDue)
                    continue;
                bool looksAtFilter = now >= filterDue || now - lookedAtFilter >= Longest;
                Look(looksAtFilter);
                looked = SystemClock.Instance.Now();
                due = looked + (_problem is null ? Longest : Retry);
                if (looksAtFilter)
                    (lookedAtFilter, filterDue) = (looked, Timestamp.Never);
            }
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            Report($"Forwarding is not looked after: {exception.Message}. Start the tunnel again.");
        }
        finally
        {
            _begun.Set();
            PutBack();
        }
    }

    private void Look(bool looksAtFilter)
    {
        try
        {
            List<string> problems = [];
            using (NamespaceGate.Enter())
                problems.AddRange(_setup.Set(ForwardedInterfaces.Find(_options, _resolvers())));
            if (looksAtFilter)
            {
                IpPrefix[] networks = [.. _options.Networks.Select(network => network.Prefix)];
                _foreignProblem = _filter.IsInstalled ? _foreign.FindProblem(_options.Interface, networks) : null;
            }

            if (_foreignProblem is { } dropped)
                problems.Add(dropped);
            Report(problems.Count == 0 ? null : string.Join(' ', problems));
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            Report($"Forwarding could not be set up: {exception.Message}");
        }
    }

    private void PutBack()
    {
        try
        {
            using (NamespaceGate.Enter())
                _setup.Restore();
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            _log.Warning("What was changed for forwarding is put back when this tunnel starts again: {Reason}", exception.Message);
        }
    }

    private void Report(string? problem)
    {
        if (problem == _problem)
            return;
        if (problem is not null)
            _log.Warning("{Problem}", problem);
        else
            _log.Information("Members reach the networks behind this machine again");
        _problem = problem;
    }
}
