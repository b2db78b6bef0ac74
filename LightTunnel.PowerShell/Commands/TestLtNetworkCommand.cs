using System.Management.Automation;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>Finds out what the network between this machine and a server lets pass, and what is wrong with it.</summary>
/// <remarks>
/// <para>Pings the server through the tunnel, sends packets as long as the tunnel's MTU there and back, compares the clocks, and
/// tells what is known of the NAT, the router's port mapping and IPv6. NatMapping, NatFiltering and PortAssignment are in the words
/// of RFC 4787.</para>
/// <para>Problems has one entry for each thing that is wrong, with what to do about it; it is empty when all is well. A problem is
/// no error.</para>
/// <para>On Windows it also looks at what this machine does to the tunnel: a firewall that does not follow the tunnel's rules, a
/// network that Windows takes for a public one, adapters whose routes take the tunnel's packets or have the better metric, another
/// tunnel on the way to the server, a tunnel that Windows prefers for broadcasts and names, IPv6 that is switched off where it is
/// needed, and, where packets are lost, drivers of other programs that see them. Each is called by its own name.</para>
/// </remarks>
/// <example>
/// <code>PS> Test-LtNetwork
///
/// Name                : laptop
/// Server              : 203.0.113.7:9000
/// ServerReachable     : True
/// RTT min/avg/max     : 12 ms / 12 ms / 15 ms
/// Loss                : 0 %
/// Nat                 : Port-Restricted Cone
/// NatMapping          : EndpointIndependent
/// NatFiltering        : AddressAndPortDependent
/// PortAssignment      : Preserving
/// PublicEndpoint      : 198.51.100.4:40000
/// PortMapping         : none: No router here forwards ports on request.
/// IPv6Address         :
/// ServerReachableIPv6 :
/// Mtu                 : 1400
/// LargestPacket       : 1400
/// ClockOffset         : 0.0 s
/// Problems            : none</code>
/// <para>Tests all networks that this machine has joined.</para>
/// </example>
/// <example>
/// <code>PS> (Test-LtNetwork laptop).Problems | Format-List
///
/// Message           : This machine's clock is 12 minutes behind the server's.
/// RecommendedAction : Set the clock that is wrong, best by NTP: handshakes and
///                     the end of invitations depend on it.</code>
/// <para>Shows only what is wrong.</para>
/// </example>
[Cmdlet(VerbsDiagnostic.Test, "LtNetwork", DefaultParameterSetName = "Name")]
[OutputType(typeof(LtNetworkTest))]
public sealed class TestLtNetworkCommand : LtCommand
{
    /// <summary>Name under which the network was joined; wildcards are allowed. All when left out.</summary>
    [Parameter(Position = 0, ParameterSetName = "Name")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(NetworkNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>Seconds that a server which is lost is waited for. 5 when left out.</summary>
    [Parameter]
    [ValidateRange(1, 3600)]
    [NotSecret]
    public int TimeoutSec { get; set; } = 5;

    /// <summary>The network, as Connect-LtNetwork or Get-LtNetwork returned it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    [NotSecret]
    public LtNetwork? InputObject { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[]? names, LtNetwork? network, TimeSpan timeout) = (Name, InputObject, TimeSpan.FromSeconds(TimeoutSec));
        Run(
            async (output, cancellationToken) =>
            {
                IReadOnlyList<ITunnelHandle> tunnels = network is null
                    ? await TunnelFinder.AnyByNameAsync(output, TunnelRole.Client, names, cancellationToken).ConfigureAwait(false)
                    : await TunnelFinder.ByObjectAsync(output, network, cancellationToken).ConfigureAwait(false);
                foreach (ITunnelHandle tunnel in tunnels)
                    await TestAsync(output, tunnel, timeout, cancellationToken).ConfigureAwait(false);
            },
            names);
    }

    private static async Task TestAsync(CommandOutput output, ITunnelHandle tunnel, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            using var progress = new TestProgressBar(output, $"Test {tunnel.Name}");
            output.WriteObject(
                new LtNetworkTest(tunnel.Name, await tunnel.TestNetworkAsync(timeout, progress, cancellationToken).ConfigureAwait(false)));
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            output.WriteError(exception, tunnel.Name);
        }
    }
}
