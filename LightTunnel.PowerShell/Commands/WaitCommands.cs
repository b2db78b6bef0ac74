using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;

namespace LightTunnel;

/// <summary>Waits until a network stands as a script needs it.</summary>
/// <remarks>
/// <para>Returns the network as soon as it has come to the state. One that is not joined yet, as a service that starts beside the script
/// joins it, is waited for as well. Without a name the first network that comes to the state will do.</para>
/// <para>When time is over the command fails with the ErrorId TimedOut, which names the state and what stands in the way. That does not end
/// a script: -ErrorAction Stop does.</para>
/// </remarks>
/// <example>
/// <code>PS> Wait-LtNetwork laptop -TimeoutSec 60 -ErrorAction Stop | Get-LtPeer</code>
/// <para>Shows the peers as soon as the network is up, and ends the script when it is not after a minute.</para>
/// </example>
/// <example>
/// <code>PS> Wait-LtNetwork laptop -State Stopped</code>
/// <para>Returns, without an object, when the network laptop is left.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Wait, "LtNetwork")]
[OutputType(typeof(LtNetwork))]
public sealed class WaitLtNetworkCommand : LtCommand
{
    /// <summary>
    /// Name under which the network is joined; several may be given, each of which is waited for. The first that is there when left out.
    /// </summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(NetworkNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>State to wait for; one of several will do. Up when left out.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [NotSecret]
    public LtTunnelState[] State { get; set; } = [LtTunnelState.Up];

    /// <summary>Seconds to wait. 30 when left out.</summary>
    [Parameter]
    [ValidateRange(1, 86_400)]
    [NotSecret]
    public int TimeoutSec { get; set; } = 30;

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (LtTunnelState[] states, var limit) = (State, TimeSpan.FromSeconds(TimeoutSec));
        IEnumerable<string?> names = Name ?? (IEnumerable<string?>)[null];
        Run((output, cancellationToken) =>
            Task.WhenAll(names.Distinct(StringComparer.OrdinalIgnoreCase)
                .Select(name => new NetworkWait(output, name, states).RunAsync(limit, cancellationToken))));
    }

    /// <summary>Waits for one network.</summary>
    private sealed class NetworkWait(CommandOutput output, string? name, LtTunnelState[] states)
    {
        private readonly string[]? _names = name is null ? null : [name];
        private TunnelSearch _search = new([], []);
        private TunnelStatus? _last;

        public async Task RunAsync(TimeSpan limit, CancellationToken cancellationToken)
        {
            bool done = await TunnelWait.WithinAsync(
                limit, states.Contains(LtTunnelState.Stopped) ? GoneAsync : StandsAsync, cancellationToken).ConfigureAwait(false);
            if (done)
                return;
            foreach (LightTunnelException error in _search.NotAnswering)
                output.WriteError(error, error.Target);
            if (_search.NotAnswering.Count == 0)
                output.WriteError(Late(limit), name);
        }

        private async Task StandsAsync(CancellationToken cancellationToken) => output.WriteObject((await TunnelWait.AnyAsync(
            TunnelRole.Client, _names, search => _search = search, LookAsync, cancellationToken).ConfigureAwait(false)).ToObject());

        /// <summary>One that is not there any more has stopped; nothing can be shown of it.</summary>
        private async Task GoneAsync(CancellationToken cancellationToken)
        {
            while (true)
            {
                _search = await TunnelWait.SearchAsync(TunnelRole.Client, _names, cancellationToken).ConfigureAwait(false);
                if (_search is { Tunnels.Count: 0, NotAnswering.Count: 0 })
                    return;
                FoundTunnel?[] seen = await Task.WhenAll(
                    _search.Tunnels.Select(tunnel => TunnelWait.UntilAsync(tunnel, LookAsync, cancellationToken)))
                    .ConfigureAwait(false);
                FoundTunnel[] standing = [.. seen.OfType<FoundTunnel>()];
                foreach (FoundTunnel tunnel in standing)
                    output.WriteObject(tunnel.ToObject());
                if (standing.Length > 0)
                    return;
                await Task.Delay(TunnelWait.Pace, cancellationToken).ConfigureAwait(false);
            }
        }

        private async Task<FoundTunnel?> LookAsync(ITunnelHandle tunnel, CancellationToken cancellationToken)
        {
            TunnelStatus status = await tunnel.GetStatusAsync(cancellationToken).ConfigureAwait(false);
            _last = status;
            return states.Contains((LtTunnelState)status.State) ? new FoundTunnel(tunnel, status) : null;
        }

        private LightTunnelException Late(TimeSpan limit)
        {
            string what = name is null ? "A network" : $"The network '{name}'";
            string wanted = string.Join(" or ", states);
            return _last is null || _search.Tunnels.Count == 0
                ? new LightTunnelException(
                    LightTunnelError.TimedOut, $"{what} was not joined within {limit.TotalSeconds:0} s.",
                    "See that a service or another session joins it (Connect-LtNetwork), or allow more time with -TimeoutSec.")
                { Target = name }
                : new LightTunnelException(
                    LightTunnelError.TimedOut,
                    $"The network '{_last.Name}' is {_last.State}, not {wanted}, after {limit.TotalSeconds:0} "
                        + $"s{(_last.LastError is { } error ? $": {error}" : ".")}",
                    $"Get-LtLog {_last.Name} tells what it waits for; -TimeoutSec allows more time.")
                { Target = _last.Name };
        }
    }
}

/// <summary>Waits until a peer is reached as a script needs it.</summary>
/// <remarks>
/// <para>Returns the peer as soon as it is reached, by one of the paths that are asked for or by any. A peer that is not known yet, and a
/// tunnel that does not run yet, are waited for as well.</para>
/// <para>When time is over the command fails with the ErrorId TimedOut, which names the path in use and why it is not another. That does
/// not end a script: -ErrorAction Stop does.</para>
/// </remarks>
/// <example>
/// <code>PS> Wait-LtPeer nas -Path Direct -TimeoutSec 20 -ErrorAction Stop
///
/// Name                  Address         Path        RTT       Rx       Tx   Seen
/// ----                  -------         ----        ---       --       --   ----
/// nas                   10.0.0.20       Direct    14 ms   1.2 kB   3.4 kB    0 s</code>
/// <para>Goes on when the peer nas is reached directly, before a large file is copied.</para>
/// </example>
/// <example>
/// <code>PS> Wait-LtPeer 10.0.0.20 -Path Offline -TimeoutSec 600</code>
/// <para>Returns when the peer with an address has gone.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Wait, "LtPeer")]
[OutputType(typeof(LtPeer))]
public sealed class WaitLtPeerCommand : LtCommand
{
    /// <summary>
    /// Tunnel address or name of the peer; several may be given, each of which is waited for. Peers and routes come through
    /// the pipeline, too.
    /// </summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Peer", "Name")]
    [ValidateNotNullOrEmpty]
    [ObjectText("Address", "Destination", "Peer", "Name")]
    [ArgumentCompleter(typeof(PeerCompleter))]
    public string[] Address { get; set; } = [];

    /// <summary>
    /// Path to wait for; one of several will do. Direct is also met by Lan, which is better. Any but Offline when left out.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [NotSecret]
    public LtPathType[]? Path { get; set; }

    /// <summary>Seconds to wait. 30 when left out.</summary>
    [Parameter]
    [ValidateRange(1, 86_400)]
    [NotSecret]
    public int TimeoutSec { get; set; } = 30;

    /// <summary>Name of the tunnel that sees the peer, a server or a joined network; wildcards are allowed. All when left out.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(TunnelNameCompleter))]
    public string[]? Network { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[] peers, string[]? networks, LtPathType[]? paths, var limit) = (Address, Network, Path, TimeSpan.FromSeconds(TimeoutSec));
        Run((output, cancellationToken) =>
            Task.WhenAll(peers.Distinct(StringComparer.OrdinalIgnoreCase)
                .Select(peer => new PeerWait(output, peer, networks, paths).RunAsync(limit, cancellationToken))));
    }

    /// <summary>Waits for one peer.</summary>
    private sealed class PeerWait(CommandOutput output, string text, string[]? networks, LtPathType[]? paths)
    {
        private TunnelSearch _search = new([], []);
        private PeerStatus? _last;

        public async Task RunAsync(TimeSpan limit, CancellationToken cancellationToken)
        {
            if (await TunnelWait.WithinAsync(limit, ReachedAsync, cancellationToken).ConfigureAwait(false))
                return;
            foreach (LightTunnelException error in _search.NotAnswering)
                output.WriteError(error, error.Target);
            if (_search.NotAnswering.Count == 0)
                output.WriteError(Late(limit), text);
        }

        private async Task ReachedAsync(CancellationToken cancellationToken)
        {
            var peer = new LtPeer(await TunnelWait.AnyAsync(null, networks, Found, LookAsync, cancellationToken).ConfigureAwait(false));
            KnownNames.Remember(peer);
            output.WriteObject(peer);
        }

        private void Found(TunnelSearch search)
        {
            _search = search;
            output.NetworkColumn.Looked(search.Tunnels, search.Tunnels);
        }

        private async Task<PeerStatus?> LookAsync(ITunnelHandle tunnel, CancellationToken cancellationToken)
        {
            foreach (PeerStatus peer in await PeerFinder.AskAsync(tunnel, [text], cancellationToken).ConfigureAwait(false))
            {
                if (!PeerFinder.NamesOf(peer).Any(name => NameFilter.Same(name, text)))
                    continue;
                _last = peer;
                if (IsWanted(peer.Path))
                    return peer;
            }

            return null;
        }

        private bool IsWanted(PathType path) => paths is null
            ? path != PathType.Offline
            : Array.Exists(paths, wanted => wanted == (LtPathType)path || (wanted == LtPathType.Direct && path == PathType.Lan));

        private LightTunnelException Late(TimeSpan limit)
        {
            if (_search.Tunnels.Count == 0)
            {
                return new LightTunnelException(
                    LightTunnelError.TimedOut, $"No tunnel that could see '{text}' ran within {limit.TotalSeconds:0} s.",
                    "Connect-LtNetwork joins a network, Start-LtServer starts one.")
                { Target = text };
            }

            return _last is null
                ? new LightTunnelException(
                    LightTunnelError.TimedOut, $"No peer '{text}' was seen within {limit.TotalSeconds:0} s.",
                    "Get-LtPeer shows the peers that there are; -TimeoutSec allows more time.")
                { Target = text }
                : new LightTunnelException(
                    LightTunnelError.TimedOut,
                    $"The path to '{_last.Name}' is {_last.Path}, not {(paths is null ? "another" : string.Join(" or ", paths))}, "
                        + $"after {limit.TotalSeconds:0} s. {_last.PathReason.Sentence()}",
                    _last.PathReason.RecommendedAction() ?? "Test-LtP2P tells more; -TimeoutSec allows more time.")
                { Target = text };
        }
    }
}
