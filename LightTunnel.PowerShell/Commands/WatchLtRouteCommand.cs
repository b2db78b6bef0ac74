using System.Management.Automation;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Shows how destinations are reached, and goes on to show each change as it happens.</summary>
/// <remarks>
/// <para>First the routes are shown as they are, with nothing in the column Was; -ChangesOnly leaves that out. Then each change is written
/// the moment it happens: a route that takes another path, a peer that comes or goes, an attempt that has failed, and why. It ends with
/// Ctrl+C, or when the tunnels that were there at the start have stopped.</para>
/// <para>Path is how the destination is reached now, Was how it was reached before: Lan and Direct are straight, Relay is through another
/// client, Server is through the server, Offline is not at all. Attempts at a direct path go on for ever and are not shown one by one, only
/// what comes of them.</para>
/// <para>A script that has something else to do meanwhile listens to the events RouteChanged and StateChanged of the objects that
/// Get-LtNetwork, Connect-LtNetwork, Get-LtServer and Start-LtServer return. They tell what happens from the moment on at which somebody
/// listens, for as long as the tunnel runs, in whichever process of this machine that is.</para>
/// </remarks>
/// <example>
/// <code>PS> Watch-LtRoute
///
/// Time         Destination        Peer      Was     Path       RTT Reason
/// ----         -----------        ----      ---     ----       --- ------
/// 10:00:00.120 10.0.0.1/32        office            Direct   12 ms IsServer
/// 10:00:00.120 10.0.0.20/32       nas               Server   31 ms Punching
/// 10:00:02.431 10.0.0.20/32       nas       Server  Direct   14 ms DirectUp</code>
/// <para>Shows all routes, and then the peer nas becoming direct.</para>
/// </example>
/// <example>
/// <code>PS> Watch-LtRoute -Type Server -ChangesOnly | ForEach-Object ReasonText
/// The direct path stopped answering; attempts go on.
/// The peer is reached directly.</code>
/// <para>Says why, each time when the path to a peer begins or ends to go through the server.</para>
/// </example>
/// <example>
/// <code>PS> $network = Get-LtNetwork laptop
/// PS> Register-ObjectEvent $network RouteChanged -Action {
///         $EventArgs.Change | Out-File routes.log -Append
///     }
/// PS> Register-ObjectEvent $network StateChanged -Action {
///         "$($EventArgs.State) $($EventArgs.Reason)" >> routes.log
///     }</code>
/// <para>Writes down what happens to a network while the session does other things. Unregister-Event ends it.</para>
/// </example>
[Cmdlet(VerbsCommon.Watch, "LtRoute", DefaultParameterSetName = "Destination")]
[OutputType(typeof(LtRouteChange))]
public sealed class WatchLtRouteCommand : LtCommand
{
    private readonly List<Question> _questions = [];

    /// <summary>Prefix such as 10.0.0.20/32, with wildcards if wanted, or an address. All when left out.</summary>
    [Parameter(Position = 0, ParameterSetName = "Destination", ValueFromPipelineByPropertyName = true)]
    [Parameter(Position = 0, ParameterSetName = "InputObject")]
    [Alias("Address")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(DestinationCompleter))]
    public string[]? Destination { get; set; }

    /// <summary>Name of the peer that owns the destination; wildcards are allowed.</summary>
    [Parameter(ParameterSetName = "Destination", ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = "InputObject")]
    [Alias("Name")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(PeerNameCompleter))]
    public string[]? Peer { get; set; }

    /// <summary>Only routes that are or were of this type: Direct, Relay, Server or Offline.</summary>
    [Parameter]
    [NotSecret]
    public LtRouteType[]? Type { get; set; }

    /// <summary>
    /// Name of the tunnel that the route belongs to, a server or a joined network; wildcards are allowed. All when left out.
    /// </summary>
    [Parameter(ParameterSetName = "Destination", ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(TunnelNameCompleter))]
    public string[]? Network { get; set; }

    /// <summary>A server or a joined network, as Get-LtServer or Get-LtNetwork returned it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    [NotSecret]
    public LtTunnel? InputObject { get; set; }

    /// <summary>Does not show the routes as they are at the start, only what changes from then on.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter ChangesOnly { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => _questions.Add(new Question(Destination, Peer, Type, Network, InputObject));

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        // Not for each input object: the first would keep the others waiting for ever.
        bool changesOnly = ChangesOnly;
        Run(async (output, cancellationToken) =>
        {
            IReadOnlyList<Watched> watched = await FindAsync(output, cancellationToken).ConfigureAwait(false);
            IReadOnlyList<Watched> begun = await TunnelFinder.AskAllAsync<Watched>(
                output, [.. watched.Select(each => each.Tunnel)],
                async tunnel =>
                    [await BeginAsync(watched.First(each => each.Tunnel == tunnel), changesOnly, cancellationToken).ConfigureAwait(false)])
                .ConfigureAwait(false);
            foreach (Watched each in begun)
            {
                foreach (LtRouteChange route in each.Peers.SelectMany(peer => LtRouteChange.Current(peer, DateTimeOffset.Now)))
                    Write(output, each, route);
            }

            await Task.WhenAll(begun.Select(each => FollowAsync(output, each, cancellationToken))).ConfigureAwait(false);
        });
    }

    private async Task<IReadOnlyList<Watched>> FindAsync(CommandOutput output, CancellationToken cancellationToken)
    {
        var found = new Dictionary<(int ProcessId, string Name), Watched>();
        foreach (Question question in _questions)
        {
            IReadOnlyList<ITunnelHandle> tunnels = question.Tunnel is { } tunnel
                ? await TunnelFinder.ByObjectAsync(output, tunnel, cancellationToken).ConfigureAwait(false)
                : await TunnelFinder.AnyByNameAsync(output, null, question.Networks, cancellationToken).ConfigureAwait(false);
            foreach (ITunnelHandle handle in tunnels)
            {
                if (!found.TryGetValue((handle.ProcessId, handle.Name), out Watched? watched))
                    found.Add((handle.ProcessId, handle.Name), watched = new Watched(handle, []));
                watched.Filters.Add(new Filter(question));
            }
        }

        return [.. found.Values];
    }

    /// <summary>Where to follow from is asked first, so that no change falls between.</summary>
    private static async Task<Watched> BeginAsync(Watched watched, bool changesOnly, CancellationToken cancellationToken) => watched with
    {
        Newest = await TunnelFeed.NewestAsync(watched.Tunnel, cancellationToken).ConfigureAwait(false),
        Peers = changesOnly ? [] : await watched.Tunnel.GetPeersAsync(cancellationToken).ConfigureAwait(false),
    };

    private static Task FollowAsync(CommandOutput output, Watched watched, CancellationToken cancellationToken) => TunnelFeed.FollowAsync(
        watched.Tunnel,
        watched.Newest,
        change =>
        {
            foreach (LtRouteChange route in LtRouteChange.Of(change))
                Write(output, watched, route);
            if (change.State is { } state)
            {
                output.WriteVerbose(
                    $"{change.Tunnel}: {state.Old} -> {state.New}{(state.Reason is null ? string.Empty : $": {state.Reason}")}");
            }
        },
        cancellationToken);

    private static void Write(CommandOutput output, Watched watched, LtRouteChange change)
    {
        if (!watched.Filters.Exists(filter => filter.Accepts(change)))
            return;
        KnownNames.RememberRoute(change.Destination, change.Peer);
        output.WriteObject(change);
    }

    /// <summary>What one input object asks for.</summary>
    private sealed record Question(string[]? Destinations, string[]? Peers, LtRouteType[]? Types, string[]? Networks, LtTunnel? Tunnel);

    /// <summary>A tunnel, and what of it is to be shown; used by one task at a time.</summary>
    private sealed record Watched(ITunnelHandle Tunnel, List<Filter> Filters)
    {
        /// <summary>Peers at the start.</summary>
        public IReadOnlyList<PeerStatus> Peers { get; init; } = [];

        /// <summary>Number of the newest change at the start.</summary>
        public long Newest { get; init; }
    }

    private sealed class Filter(Question question)
    {
        private readonly DestinationFilter[]? _destinations = question.Destinations is null
            ? null
            : [.. question.Destinations.Select(DestinationFilter.Read)];
        private readonly NameFilter? _peers = question.Peers is null ? null : new NameFilter(question.Peers);

        public bool Accepts(LtRouteChange change) =>
            (_destinations is null || Array.Exists(_destinations, filter => filter.Accepts(change.Destination)))
            && (_peers is null || _peers.Accepts(change.Peer))
            && (question.Types is not { } types || Array.Exists(types, type => type == change.Type || type == change.OldType));
    }
}
