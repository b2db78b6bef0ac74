using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>
/// Changes which networks behind machines a running tunnel offers to others, which it takes, and by which exit node it goes out.
/// </summary>
/// <remarks>
/// <para>Takes joined networks and servers alike. What is given replaces what was: -Route @() offers nothing any more, -AcceptRoute @()
/// takes nothing. Connections through networks that stay go on.</para>
/// <para>The change holds until the tunnel stops. What starts it (a script, the file of -ConfigurationPath, a service's file) is not
/// changed by this: write it there as well. Register-LtService of a running tunnel takes it as it is now.</para>
/// <para>A network is not taken where it is in the way of one that this machine is attached to, of the way to the server or to a member, or
/// of the tunnel itself: Get-LtRoute shows it as Conflict, with what to do. -Force takes those that are named all the same, but for what
/// would cut the tunnel off from its server.</para>
/// <para>An exit node (-ExitNode) carries everything to the internet, questions for names too. It is chosen when it offers itself and is
/// approved; from then on nothing goes out while it is away, until it is back or -ExitNode says another one, or none.</para>
/// </remarks>
/// <example>
/// <code>PS> Set-LtNetwork laptop -AcceptRoute 192.168.0.0/16
/// PS> Get-LtRoute | Where-Object IsSubnet
///
/// Destination        Type    NextHop         Peer            RTT Quality State
/// -----------        ----    -------         ----            --- ------- -----
/// 192.168.7.0/24     Direct  10.0.0.20       gateway       12 ms     115 Up
/// 192.168.8.0/24     Server  10.0.0.1        branch        31 ms      55 Conflict</code>
/// <para>Takes all approved networks in 192.168.0.0/16, and shows what came of it.</para>
/// </example>
/// <example>
/// <code>PS> Set-LtNetwork gateway -Route 192.168.7.0/24, 2001:db8:7::/64</code>
/// <para>Offers two networks behind this machine from now on.</para>
/// </example>
/// <example>
/// <code>PS> Set-LtNetwork laptop -ExitNode office -AllowLan -KillSwitch
/// PS> Set-LtNetwork laptop -ExitNode none</code>
/// <para>Goes out to the internet by the member office alone, with the local network beside it, and then again as it always did.</para>
/// </example>
/// <example>
/// <code>PS> Set-LtNetwork laptop -AcceptRoute 192.168.8.0/24 -Force</code>
/// <para>Takes a network although this machine is attached to one with the same addresses.</para>
/// </example>
[Cmdlet(VerbsCommon.Set, "LtNetwork", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtNetwork), typeof(LtServer))]
public sealed class SetLtNetworkCommand : LtCommand
{
    /// <summary>Name of the tunnel: a joined network or a server; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("Name")]
    [ArgumentCompleter(typeof(TunnelNameCompleter))]
    public string[] Name { get; set; } = [];

    /// <summary>The networks behind this machine that it offers from now on, and no others, such as 192.168.7.0/24; up to 64.</summary>
    [Parameter]
    [AllowEmptyCollection]
    public string[]? Route { get; set; }

    /// <summary>
    /// What the networks of -Route are to the others: one of the same length for each, in the same order. As they are when -Route is given
    /// and this is not.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[]? As { get; set; }

    /// <summary>
    /// What goes on into the networks of -Route keeps its source addresses, so that hosts there need a route back to this machine.
    /// -NoSnat:$false has it go on in this machine's own name again.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter NoSnat { get; set; }

    /// <summary>
    /// The prefixes within which networks behind others are taken from now on, and no others, such as 192.168.0.0/16; * takes all that an
    /// admin of the network has approved.
    /// </summary>
    [Parameter]
    [AllowEmptyCollection]
    public string[]? AcceptRoute { get; set; }

    /// <summary>Takes the networks of -AcceptRoute also where they are in the way of something here.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Force { get; set; }

    /// <summary>
    /// Offers this machine as an exit node, by which others reach the internet with its address there; -OfferExitNode:$false ends that. An
    /// admin of the server approves it (Approve-LtRoute 0.0.0.0/0).
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter OfferExitNode { get; set; }

    /// <summary>
    /// The member that all traffic of this machine goes out by from now on, but the tunnel's own datagrams: its name, tunnel address or
    /// key. With none all goes as it always did, and -AllowLan and -KillSwitch end with it.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(PeerNameCompleter))]
    public string? ExitNode { get; set; }

    /// <summary>Reaches the local network beside the exit node; -AllowLan:$false ends that.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter AllowLan { get; set; }

    /// <summary>
    /// Lets nothing out beside the tunnel, also while that is away and after a crash; -KillSwitch:$false ends that, and so does stopping
    /// the tunnel.
    /// </summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter KillSwitch { get; set; }

    /// <summary>Returns the tunnels, as they are afterwards.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        bool saysSnat = MyInvocation.BoundParameters.ContainsKey(nameof(NoSnat));
        bool saysExit = ExitNode is not null
            || ((string[])[nameof(OfferExitNode), nameof(AllowLan), nameof(KillSwitch)]).Any(MyInvocation.BoundParameters.ContainsKey);
        if (Route is null && As is null && AcceptRoute is null && !saysSnat && !saysExit)
        {
            ThrowTerminatingError(ErrorRecords.From(
                new LightTunnelException(
                    LightTunnelError.InvalidOption, "Nothing says what is to be set.",
                    Force ? "Give -AcceptRoute beside -Force." : "Give -Route, -NoSnat, -AcceptRoute, -OfferExitNode or -ExitNode."),
                Name));
        }

        var change = new RouteSettingsChange
        {
            Route = Route,
            As = As,
            NoSnat = saysSnat ? NoSnat.IsPresent : null,
            AcceptRoute = AcceptRoute,
            ForceRoute = AcceptRoute is null ? null : Force.IsPresent,
            OfferExitNode = Given(nameof(OfferExitNode), OfferExitNode),
            ExitNode = ExitNode,
            AllowLan = Given(nameof(AllowLan), AllowLan),
            KillSwitch = Given(nameof(KillSwitch), KillSwitch),
        };
        bool passThru = PassThru;
        foreach (ITunnelHandle tunnel in Find())
        {
            if (!ShouldProcess(tunnel.Name, "Set routes"))
                continue;
            Run(
                async (output, cancellationToken) =>
                {
                    await tunnel.SetRoutesAsync(change, cancellationToken).ConfigureAwait(false);
                    if (!passThru)
                        return;
                    TunnelStatus status = await tunnel.GetStatusAsync(cancellationToken).ConfigureAwait(false);
                    output.WriteObject(new FoundTunnel(tunnel, status).ToObject());
                },
                tunnel.Name);
        }
    }

    private bool? Given(string parameter, SwitchParameter value) =>
        MyInvocation.BoundParameters.ContainsKey(parameter) ? value.IsPresent : null;

    private IReadOnlyList<ITunnelHandle> Find()
    {
        string[] names = Name;
        IReadOnlyList<ITunnelHandle> found = [];
        Run(
            async (output, cancellationToken) =>
                found = await TunnelFinder.AnyByNameAsync(output, null, names, cancellationToken).ConfigureAwait(false),
            names);
        return found;
    }
}
