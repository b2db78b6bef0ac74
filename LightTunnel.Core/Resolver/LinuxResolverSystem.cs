using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Timing;

namespace LightTunnel.Resolver;

/// <summary>Linux: systemd-resolved, or /etc/resolv.conf.</summary>
[SupportedOSPlatform("linux")]
internal sealed class LinuxResolverSystem : IResolverSystem
{
    private readonly ResolvedBus _bus = new();

    /// <inheritdoc/>
    public void Recover(IRecordFile record, TunnelLog log)
    {
        try
        {
            ResolvConfSetup.Recover(record, log);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            log.Warning("The nameserver that this tunnel added before it was ended is not taken out: {Reason}", exception.Message);
        }
    }

    /// <inheritdoc/>
    public ITunnelResolver Create(string interfaceName, IRecordFile record, TunnelLog log)
    {
        var setup = new LinuxResolverSetup(
            new ResolvedSetup(interfaceName, _bus, log, SystemClock.Instance),
            new ResolvConfSetup(interfaceName, record, log, SystemClock.Instance), _bus, new LinuxResolverPlaces());
        return new LinuxTunnelResolver(setup, interfaceName, log);
    }
}
