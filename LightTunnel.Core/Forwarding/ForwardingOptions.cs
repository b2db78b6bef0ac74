using LightTunnel.Addressing;
using LightTunnel.Diagnostics;

namespace LightTunnel.Forwarding;

/// <summary>A network behind this machine that members may reach.</summary>
/// <param name="Prefix">Its addresses as they are there.</param>
/// <param name="TranslateSources">
/// True when packets from members get this machine's own address there, so that hosts there need no route back (source NAT).
/// </param>
internal readonly record struct ForwardedNetwork(IpPrefix Prefix, bool TranslateSources)
{
    /// <summary>True for all of the internet, which an exit node leads to by its default route.</summary>
    public bool IsExit => Prefix.Length == 0;
}

/// <summary>What is to be forwarded.</summary>
/// <param name="Interface">The tunnel's interface.</param>
/// <param name="Networks">The networks behind this machine, at least one.</param>
internal sealed record ForwardingOptions(string Interface, IReadOnlyList<ForwardedNetwork> Networks);

/// <summary>Where the record of what was changed for forwarding is kept.</summary>
internal interface IForwardingRecordFile : IRecordFile;

/// <summary>
/// Has this machine forward between a tunnel and the networks behind it, beside the tunnel, and puts back what it changed when it is
/// disposed of. What is wrong is told by <see cref="Problem"/> and in the log, and the tunnel goes on.
/// </summary>
internal interface INetworkForwarding : IDisposable
{
    /// <summary>What keeps members from the networks, and what to do; null for nothing.</summary>
    string? Problem { get; }

    /// <summary>Sets everything up, and looks after it from then on; returns when that was done or has taken too long.</summary>
    void Begin();
}

/// <summary>What a system has to forward by; replaced in tests.</summary>
internal interface IForwardingSystem
{
    /// <summary>Before anything is begun: whether what is asked for can be done here at all.</summary>
    /// <exception cref="LightTunnelException">ForwardingUnavailable.</exception>
    void Check(IReadOnlyList<ForwardedNetwork> networks);

    /// <summary>Puts back what a tunnel has left that was killed.</summary>
    void Recover(IForwardingRecordFile file, TunnelLog log);

    /// <summary>Makes what forwards; nothing is done yet.</summary>
    INetworkForwarding Create(ForwardingOptions options, IForwardingRecordFile file, TunnelLog log);
}

/// <summary>A system whose forwarding is set up by its admin.</summary>
internal sealed class UnknownForwardingSystem : IForwardingSystem
{
    /// <inheritdoc/>
    public void Check(IReadOnlyList<ForwardedNetwork> networks)
    {
        // It may well forward, if it was told to.
    }

    /// <inheritdoc/>
    public void Recover(IForwardingRecordFile file, TunnelLog log)
    {
        // Nothing was ever changed.
    }

    /// <inheritdoc/>
    public INetworkForwarding Create(ForwardingOptions options, IForwardingRecordFile file, TunnelLog log) => new Untouched(options, log);

    private sealed class Untouched(ForwardingOptions options, TunnelLog log) : INetworkForwarding
    {
        public string? Problem { get; } =
            $"LightTunnel does not set up forwarding on this system: have it forward between {options.Interface} and "
            + $"{string.Join(", ", options.Networks.Select(network => network.Prefix))} yourself.{WindowsCommands(options)}";

        public void Begin() => log.Warning("{Problem}", Problem!);

        private static string WindowsCommands(ForwardingOptions options) => OperatingSystem.IsWindows()
            ? $" For that, 'Set-NetIPInterface -InterfaceAlias {options.Interface} -Forwarding Enabled', the same for the adapter that "
                + "leads there, and where hosts there have no route back 'New-NetNat -Name LightTunnel -InternalIPInterfaceAddressPrefix' "
                + "with the tunnel's network."
            : string.Empty;

        public void Dispose()
        {
            // Nothing was changed.
        }
    }
}
