using System.Runtime.Versioning;
using LightTunnel.Diagnostics;

namespace LightTunnel.Forwarding;

/// <summary>Linux: the kernel's settings and nftables.</summary>
[SupportedOSPlatform("linux")]
internal sealed class LinuxForwardingSystem : IForwardingSystem
{
    private readonly KernelSettings _settings = new();
    private readonly NftProgram _filter = new();

    /// <inheritdoc/>
    public void Check(IReadOnlyList<ForwardedNetwork> networks)
    {
        if (networks.Any(network => network.TranslateSources) && !_filter.IsInstalled)
            throw ForwardingSetup.MissingFilter;
    }

    /// <inheritdoc/>
    public void Recover(IForwardingRecordFile file, TunnelLog log)
    {
        try
        {
            using (NamespaceGate.Enter())
                ForwardingSetup.Recover(_settings, _filter, file, log);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or LightTunnelException)
        {
            log.Warning("What this tunnel changed for forwarding before it was ended is not put back: {Reason}", exception.Message);
        }
    }

    /// <inheritdoc/>
    public INetworkForwarding Create(ForwardingOptions options, IForwardingRecordFile file, TunnelLog log) =>
        new LinuxForwarding(options, _settings, _filter, file, log);
}
