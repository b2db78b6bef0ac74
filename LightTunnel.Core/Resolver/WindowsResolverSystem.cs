using System.Net;
using System.Runtime.Versioning;
using System.Security;
using LightTunnel.Diagnostics;

namespace LightTunnel.Resolver;

/// <summary>Windows: the Name Resolution Policy Table.</summary>
[SupportedOSPlatform("windows")]
internal sealed class WindowsResolverSystem : IResolverSystem
{
    /// <inheritdoc/>
    public void Recover(IRecordFile record, TunnelLog log)
    {
        try
        {
            NrptSetup.Recover(record, log);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or SecurityException)
        {
            log.Warning("The rules for names that this tunnel had before it was ended stay: {Reason}", exception.Message);
        }
    }

    /// <inheritdoc/>
    public ITunnelResolver Create(string interfaceName, IRecordFile record, TunnelLog log) =>
        new WindowsTunnelResolver(interfaceName, new NrptSetup(interfaceName, record, log), log);

    /// <summary>Nobody takes rules away but an admin, who means it: they are set when the tunnel's names are others.</summary>
    private sealed class WindowsTunnelResolver(string interfaceName, NrptSetup setup, TunnelLog log) : ITunnelResolver
    {
        private readonly Lock _gate = new();
        private bool _isEnded;
        private volatile string? _problem;

        public string? Problem => _problem;

        public IReadOnlyList<IPAddress> Upstreams => NrptSetup.FindUpstreams(interfaceName);

        public void Set(ResolverScope scope)
        {
            using Lock.Scope held = _gate.EnterScope();
            if (_isEnded)
                return;
            string problem = string.Join(' ', setup.Set(scope));
            if (problem.Length > 0 && problem != _problem)
                log.Warning("{Problem}", problem);
            _problem = problem.Length > 0 ? problem : null;
        }

        public void Dispose()
        {
            using Lock.Scope held = _gate.EnterScope();
            if (_isEnded)
                return;
            _isEnded = true;
            setup.Restore();
        }
    }
}
