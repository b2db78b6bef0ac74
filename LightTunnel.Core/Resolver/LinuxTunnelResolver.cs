using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Tun;

namespace LightTunnel.Resolver;

/// <summary>
/// Looks after how this machine looks up a tunnel's names: sets it up when it is told to, looks again when others change /etc/resolv.conf
/// and now and then, and puts it back in the end. In the network and mount namespaces of the process.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class LinuxTunnelResolver : ITunnelResolver
{
    /// <summary>Who writes a file does so in several steps: a look waits for this long, so that they are one.</summary>
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(300);

    /// <summary>Without any event it is looked this often: systemd-resolved tells nobody when its links are changed.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>A system that does not answer must not keep a tunnel from stopping.</summary>
    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(10);

    private const int StackSize = 256 * 1024;

    private readonly IResolverSetup _setup;
    private readonly TunnelLog _log;
    private readonly string _path;
    private readonly CloseSignal _closed = new();
    private readonly Lock _gate = new();
    private readonly Thread _thread;
    private ResolverScope? _scope;
    private bool _isEnded;
    private volatile string? _problem;

    /// <param name="setup">What sets it up.</param>
    /// <param name="interfaceName">The tunnel's interface.</param>
    /// <param name="log">The tunnel's log.</param>
    /// <param name="path">/etc/resolv.conf.</param>
    public LinuxTunnelResolver(IResolverSetup setup, string interfaceName, TunnelLog log, string path = ResolvConfFile.SystemPath)
    {
        _setup = setup;
        _log = log;
        _path = path;
        _thread = new Thread(Work, StackSize) { IsBackground = true, Name = $"LightTunnel {interfaceName} resolver" };
    }

    /// <inheritdoc/>
    public string? Problem => _problem;

    /// <inheritdoc/>
    public IReadOnlyList<IPAddress> Upstreams
    {
        get
        {
            try
            {
                return ResolvConfFile.Read(ResolvConfFile.Resolve(_path)) is { } content
                    ? [.. new ResolvConfText(content).OtherNameservers.Select(ResolvConfText.AddressOf).OfType<IPAddress>()]
                    : [];
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                return [];
            }
        }
    }

    /// <inheritdoc/>
    public void Set(ResolverScope scope)
    {
        using Lock.Scope held = _gate.EnterScope();
        if (_isEnded)
            return;
        bool isFirst = _scope is null;
        _scope = scope;
        if (isFirst && !scope.HasNames)
            return;
        Look();
        if (_thread.ThreadState.HasFlag(ThreadState.Unstarted))
            _thread.Start();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _closed.Set();
        if (!_gate.TryEnter(LongestEnd))
        {
            _log.Warning("The system does not answer: how names are looked up is put back when this tunnel starts again");
            return;
        }

        try
        {
            if (_isEnded)
                return;
            _isEnded = true;
            _setup.Restore();
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            _log.Warning("How names are looked up is put back when this tunnel starts again: {Reason}", exception.Message);
        }
        finally
        {
            _gate.Exit();
        }

        if (_thread.ThreadState.HasFlag(ThreadState.Unstarted) || _thread.Join(LongestEnd))
            _closed.Dispose();
    }

    private void Work()
    {
        try
        {
            using var watch = new ResolverWatch(_path);
            watch.Follow();
            while (watch.Wait(_closed, Longest) && _closed.WaitReadable([], Settle))
            {
                watch.Follow();
                using Lock.Scope held = _gate.EnterScope();
                if (!_isEnded)
                    Look();
            }
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            _log.Warning("How names are looked up is not looked after: {Reason}. Start the tunnel again", exception.Message);
        }
    }

    private void Look()
    {
        string? problem;
        try
        {
            IReadOnlyList<string> problems = _setup.Set(_scope!);
            problem = problems.Count == 0 ? null : string.Join(' ', problems);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            problem = $"How names are looked up could not be set: {exception.Message}";
        }

        if (problem == _problem)
            return;
        if (problem is not null)
            _log.Warning("{Problem}", problem);
        else
            _log.Information("This machine's programs find the network's names again");
        _problem = problem;
    }
}
