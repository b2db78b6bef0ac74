using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;

namespace LightTunnel;

/// <summary>What the commands have in common that say on a server which networks may lie behind its members.</summary>
public abstract class RouteDecisionCommand : LtCommand
{
    /// <summary>
    /// The network, such as 192.168.7.0/24, with wildcards if wanted. When several members offer it, -Peer says whose is approved.
    /// </summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Route")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("Destination")]
    [ArgumentCompleter(typeof(DestinationCompleter))]
    public string[] Destination { get; set; } = [];

    /// <summary>Name of the member that it lies behind; wildcards are allowed. All that offer it when left out.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Member")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(PeerNameCompleter))]
    public string[]? Peer { get; set; }

    /// <summary>Name of the server on this machine whose member it is; wildcards are allowed. All when left out.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Server")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string[]? Network { get; set; }

    /// <summary>Returns the routes, as they are afterwards.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <summary>Whether a network that is named without wildcards must be one member's.</summary>
    private protected virtual bool NeedsOneMember => false;

    /// <summary>Says it of each network that is named.</summary>
    /// <param name="action">What it is, for who is asked to confirm it.</param>
    /// <param name="make">The change, of a network.</param>
    private protected void Decide(string action, Func<string, MemberChange> make)
    {
        bool passThru = PassThru;
        foreach ((ITunnelHandle tunnel, RouteStatus route) in Find())
        {
            if (!ShouldProcess($"{route.Destination} behind {route.Peer}", action))
                continue;
            Run(
                async (output, cancellationToken) =>
                {
                    await tunnel.ChangeMemberAsync(
                        make(route.Destination) with { PublicKey = route.PublicKey!, By = LocalUser.Name }, cancellationToken)
                        .ConfigureAwait(false);
                    if (!passThru)
                        return;
                    IReadOnlyList<RouteStatus> after = await tunnel.GetRoutesAsync(cancellationToken).ConfigureAwait(false);
                    foreach (RouteStatus changed in after.Where(other => IsSame(other, route)))
                        output.WriteObject(new LtRoute(changed));
                },
                route.Destination);
        }
    }

    private static string HowToOffer(string destination) =>
        destination.EndsWith("/0", StringComparison.Ordinal) ? "-OfferExitNode" : $"-Route {destination}";

    private static bool IsSame(RouteStatus one, RouteStatus other) =>
        one.IsSubnet && one.Destination == other.Destination && one.PublicKey == other.PublicKey;

    private static async Task<IReadOnlyList<(ITunnelHandle, RouteStatus)>> RoutesOf(
        ITunnelHandle tunnel, CancellationToken cancellationToken) =>
        [.. (await tunnel.GetRoutesAsync(cancellationToken).ConfigureAwait(false)).Select(route => (tunnel, route))];

    private List<(ITunnelHandle Tunnel, RouteStatus Route)> Find()
    {
        (string[] destinations, string[]? peers, string[]? networks) = (Destination, Peer, Network);
        bool needsOne = NeedsOneMember && peers is null;
        List<(ITunnelHandle Tunnel, RouteStatus Route)> found = [];
        Run(
            async (output, cancellationToken) =>
            {
                IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.AnyByNameAsync(
                    output, TunnelRole.Server, networks, cancellationToken).ConfigureAwait(false);
                IReadOnlyList<(ITunnelHandle Tunnel, RouteStatus Route)> all = await TunnelFinder.AskAllAsync<(ITunnelHandle, RouteStatus)>(
                    output, tunnels, async tunnel => await RoutesOf(tunnel, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
                var byDestination = new NameFilter(destinations);
                NameFilter? byPeer = peers is null ? null : new NameFilter(peers);
                found =
                [
                    .. all.Where(one => one.Route is { IsSubnet: true, Type: not RouteType.Own }
                        && (byPeer?.Accepts(one.Route.Peer) ?? true) && byDestination.Accepts(one.Route.Destination)),
                ];
                if (tunnels.Count == 0)
                    return;
                foreach (var several in found.GroupBy(one => (one.Tunnel, one.Route.Destination)).Where(of => of.Count() > 1).ToArray())
                {
                    string network = several.Key.Destination;
                    if (!needsOne || !destinations.Contains(network, StringComparer.OrdinalIgnoreCase))
                        continue;
                    found.RemoveAll(one => (one.Tunnel, one.Route.Destination) == several.Key);
                    string members = string.Join(", ", several.Select(one => one.Route.Peer));
                    output.WriteError(
                        new LightTunnelException(
                            LightTunnelError.InvalidOption, $"Several members offer the network {network}: {members}.",
                            "Say whose is meant with -Peer; -Peer * means all of them.")
                        { Target = network }, network);
                }

                foreach (string missing in byDestination.Unmatched)
                {
                    string who = peers is null ? "No member" : $"No member of the name {string.Join(", ", peers)}";
                    output.WriteError(
                        new LightTunnelException(
                            LightTunnelError.NotFound, $"{who} offers a network {missing}.",
                            $"Offer it there first: Connect-LtNetwork or Set-LtNetwork {HowToOffer(missing)}. Get-LtRoute shows what is "
                                + "offered.")
                        { Target = missing }, missing);
                }
            },
            destinations);
        return found;
    }
}

/// <summary>Lets networks lie behind members that offer them, on their server.</summary>
/// <remarks>
/// <para>A member offers networks behind it with Connect-LtNetwork -Route or Set-LtNetwork -Route. Nobody reaches them before an admin has
/// approved them here, or the server was started with -AutoApproveRoute for a group that the member is in; and then each member decides
/// itself whether it takes them (-AcceptRoute). A network that is approved stays so while the member is away, and while it does not offer
/// it; Deny-LtRoute takes the approval back.</para>
/// <para>Who has a network approved is believed to be its way: members that accept it send there whatever is for it. Approve what you know
/// to lie there.</para>
/// <para>An exit node offers 0.0.0.0/0 and, where it has IPv6, ::/0. Who has these approved may be chosen by members as their way to the
/// whole internet (-ExitNode), and by nobody else's word than theirs.</para>
/// <para>The approval lasts before the command returns, and is in force within a second as a rule.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtRoute | Where-Object Standing -eq Offered |
///         Approve-LtRoute -Confirm</code>
/// <para>Goes through the networks that wait, and asks for each.</para>
/// </example>
/// <example>
/// <code>PS> Approve-LtRoute 192.168.7.0/24 -Peer gateway
/// PS> (Get-LtRoute 192.168.7.0/24).Standing
/// Approved</code>
/// <para>Approves one network behind one member.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Approve, "LtRoute", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtRoute))]
public sealed class ApproveLtRouteCommand : RouteDecisionCommand
{
    /// <inheritdoc/>
    private protected override bool NeedsOneMember => true;

    /// <inheritdoc/>
    protected override void ProcessRecord() =>
        Decide("Approve", network => new MemberChange(MemberChangeKind.Set, string.Empty, string.Empty) { ApproveRoutes = [network] });
}

/// <summary>Lets networks not lie behind members that offer them, on their server.</summary>
/// <remarks>
/// <para>Takes an approval back, also one that came by itself (Start-LtServer -AutoApproveRoute), and remembers it: the network stays
/// denied however often the member offers it, until Approve-LtRoute. Members that have taken it let go of it within a second as
/// a rule.</para>
/// </remarks>
/// <example>
/// <code>PS> Deny-LtRoute 192.168.7.0/24 -Peer gateway</code>
/// <para>Lets nobody reach a network through a member any more.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtRoute -Peer stranger | Where-Object IsSubnet | Deny-LtRoute</code>
/// <para>Denies all that a member offers at present.</para>
/// </example>
[Cmdlet(VerbsLifecycle.Deny, "LtRoute", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtRoute))]
public sealed class DenyLtRouteCommand : RouteDecisionCommand
{
    /// <inheritdoc/>
    protected override void ProcessRecord() =>
        Decide("Deny", network => new MemberChange(MemberChangeKind.Set, string.Empty, string.Empty) { DenyRoutes = [network] });
}
