using System.Management.Automation;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Shows the destinations of a network, and how each is reached now.</summary>
/// <remarks>
/// <para>Type says how a destination is reached: Direct is straight to the peer, Relay is through another client, Server is through the
/// server, Offline is not at all, Own lies behind this machine itself. Quality is 0 to 150: 100, less for round trip and loss, more for a
/// direct or a local path.</para>
/// <para>Networks behind members (Connect-LtNetwork -Route) are destinations too. Standing says what becomes of one here: Active is routed,
/// Standby is carried by another member and taken over when that one fails, NotAccepted (NotTaken in the table) is approved and not taken
/// here, Conflict would be taken but is in the way of something. On the server, and on the member that offers it, a network is Offered
/// until an admin approves it, then Approved, or it is Denied. StandingReason says why, and RecommendedAction what to do; Format-List shows
/// both.</para>
/// <para>An address given as -Destination finds every route that it falls into. Where the command looks through several networks, one more
/// column says whose route it is.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtRoute
///
/// Destination        Type    NextHop         Peer            RTT Quality State
/// -----------        ----    -------         ----            --- ------- -----
/// 10.0.0.1/32        Direct  10.0.0.1        office        12 ms     115 Up
/// 10.0.0.20/32       Server  10.0.0.1        nas           31 ms      55 Up
/// 10.0.0.21/32       Offline                 phone             -       - Offline</code>
/// <para>Shows all routes of all networks.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtRoute | Where-Object Type -eq Server</code>
/// <para>Shows who is still reached through the server.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtRoute | Where-Object Standing -eq Conflict | Format-List</code>
/// <para>Shows the networks that are withheld here, why, and what to do.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtPeer web* | Get-LtRoute</code>
/// <para>Shows the routes to some peers.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtRoute", DefaultParameterSetName = "Destination")]
[OutputType(typeof(LtRoute))]
public sealed class GetLtRouteCommand : LtCommand
{
    /// <summary>
    /// Prefix such as 10.0.0.20/32, with wildcards if wanted, or an address; a peer through the pipeline means all that is routed to it.
    /// All when left out.
    /// </summary>
    [Parameter(Position = 0, ParameterSetName = "Destination", ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(Position = 0, ParameterSetName = "InputObject")]
    [Alias("Address")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("Destination", "Routes", "Address")]
    [ArgumentCompleter(typeof(DestinationCompleter))]
    public string[]? Destination { get; set; }

    /// <summary>Name of the peer that owns the destination; wildcards are allowed.</summary>
    [Parameter]
    [Alias("Name")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(PeerNameCompleter))]
    public string[]? Peer { get; set; }

    /// <summary>Only routes of this type: Direct, Relay, Server, Offline or Own.</summary>
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

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[]? destinations, string[]? peers, LtRouteType[]? types) = (Destination, Peer, Type);
        (string[]? networks, LtTunnel? tunnel) = (Network, InputObject);
        Run(async (output, cancellationToken) =>
        {
            IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.FindAsync(
                output, null, networks, tunnel, cancellationToken).ConfigureAwait(false);
            IReadOnlyList<RouteStatus> routes = await TunnelFinder.AskAllAsync(
                output, tunnels, handle => handle.GetRoutesAsync(cancellationToken)).ConfigureAwait(false);
            Write(output, routes, destinations, peers, types);
        });
    }

    private static void Write(
        CommandOutput output, IReadOnlyList<RouteStatus> routes, string[]? destinations, string[]? peers, LtRouteType[]? types)
    {
        DestinationFilter[] byDestination = [.. (destinations ?? []).Select(DestinationFilter.Read)];
        NameFilter? byPeer = peers is null ? null : new NameFilter(peers);
        foreach (RouteStatus status in routes)
        {
            bool peerFits = byPeer?.Accepts(status.Peer) ?? true;
            // Each filter is asked, so that each knows whether it has matched.
            DestinationFilter[] fitting = [.. byDestination.Where(filter => filter.Accepts(status.Destination))];
            bool destinationFits = destinations is null || fitting.Length > 0;
            if (!peerFits || !destinationFits || (types is not null && !types.Contains((LtRouteType)status.Type)))
                continue;
            var route = new LtRoute(status);
            KnownNames.RememberRoute(route.Destination, route.Peer);
            output.WriteObject(route);
        }

        const string Remedy = "Get-LtRoute without a destination shows all routes.";
        foreach (DestinationFilter filter in byDestination.Where(filter => !filter.Matched))
            output.WriteError(ErrorRecords.NotFound("route to", filter.Text, Remedy), filter.Text);
        foreach (string missing in byPeer?.Unmatched ?? [])
            output.WriteError(ErrorRecords.NotFound("route to peer", missing, Remedy), missing);
    }
}
