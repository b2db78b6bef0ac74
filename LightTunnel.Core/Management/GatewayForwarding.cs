using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Forwarding;

namespace LightTunnel.Management;

/// <summary>
/// What forwards to the networks behind this machine, which may become others while the tunnel runs: then it is made anew. Any thread.
/// </summary>
/// <param name="system">Makes it; null where nothing can forward.</param>
/// <param name="tunnelInterface">The tunnel's interface.</param>
/// <param name="record">Where what was changed is written down.</param>
/// <param name="log">The tunnel's log.</param>
internal sealed class GatewayForwarding(IForwardingSystem? system, string tunnelInterface, IForwardingRecordFile record, TunnelLog log)
    : IDisposable
{
    private readonly Lock _gate = new();
    private volatile INetworkForwarding? _current;
    private bool _isDisposed;

    /// <summary>What keeps members from the networks, and what to do; null for nothing.</summary>
    public string? Problem => _current?.Problem;

    /// <summary>Whether these networks can be forwarded to at all.</summary>
    /// <exception cref="LightTunnelException">ForwardingUnavailable.</exception>
    public static void Check(IForwardingSystem? system, IEnumerable<OfferedRoute> routes) => system?.Check(NetworksOf(routes));

    /// <inheritdoc cref="Check(IForwardingSystem?, IEnumerable{OfferedRoute})"/>
    public void Check(IEnumerable<OfferedRoute> routes) => Check(system, routes);

    /// <summary>Makes what forwards, without anything being done yet.</summary>
    public void Prepare(IReadOnlyList<OfferedRoute> routes) => _current = routes.Count == 0
        ? null
        : system?.Create(new ForwardingOptions(tunnelInterface, NetworksOf(routes)), record, log);

    /// <summary>Sets up what was prepared; returns when that was done or has taken too long.</summary>
    public void Begin() => _current?.Begin();

    /// <summary>Forwards to other networks from now on; may wait for the system.</summary>
    public void Change(IReadOnlyList<OfferedRoute> routes)
    {
        using Lock.Scope held = _gate.EnterScope();
        if (_isDisposed)
            return;
        _current?.Dispose();
        Prepare(routes);
        Begin();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        using Lock.Scope held = _gate.EnterScope();
        _isDisposed = true;
        _current?.Dispose();
    }

    private static ForwardedNetwork[] NetworksOf(IEnumerable<OfferedRoute> routes) =>
        [.. routes.Select(route => new ForwardedNetwork(route.Prefix, route.TranslateSources))];
}
