using System.Management.Automation;
using LightTunnel.Engine.Probing;

namespace LightTunnel;

/// <summary>Tries to reach a peer directly, and explains how it is reached and why not better.</summary>
/// <remarks>
/// <para>Both sides try all endpoints of each other anew, for as long as that may help or until -TimeoutSec is over. Then pings measure the
/// path that is in use. A connection that runs meanwhile is not disturbed.</para>
/// <para>A peer that is not reached directly is no error: Result is Relayed then, or Unreachable when it is offline or no ping came back;
/// Reason says why, and RecommendedAction what can be done about it. P2P is True for a direct path, of whatever use it is. With -Quiet the
/// command returns True for a peer that is reached directly, otherwise False.</para>
/// <para>Candidates has every endpoint that was tried: how it came to be known, how many probes were sent to it and answered, and what that
/// means. OneWay says that the peer's probes arrive but ours do not.</para>
/// </remarks>
/// <example>
/// <code>PS> Test-LtP2P nas
///
/// Peer              : nas (10.0.0.20)
/// Result            : Relayed
/// P2P               : False
/// Type              : Server
/// Endpoint          : 203.0.113.7:9000
/// RTT min/avg/max   : 30 ms / 31 ms / 35 ms
/// Loss              : 0 %
/// ServerRTT         : 31 ms
/// LocalNat          : Symmetric
/// PeerNat           : Symmetric
/// Candidates        : Host 192.168.7.20:9000: no answer to 7 probes
///                     ServerReflexive 198.51.100.4:4000: no answer to 7 probes
/// Reason            : Both NATs choose ports that cannot be predicted.
/// RecommendedAction : Let one of the two routers forward a UDP port to its
///                     machine, by UPnP or PCP, or by hand together with
///                     Connect-LtNetwork -ListenPort and -AdvertiseEndpoint.</code>
/// <para>Explains why the peer named nas is reached through the server.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtRoute | Where-Object Type -eq Server | Test-LtP2P | Format-Table
///
/// Peer             Result      Type        RTT ServerRTT   Loss Reason
/// ----             ------      ----        --- ---------   ---- ------
/// nas              Relayed     Server    31 ms     31 ms    0 % BothNatsRandom
/// phone            Direct      Direct    12 ms     41 ms    0 % DirectUp</code>
/// <para>Tests everybody who is relayed.</para>
/// </example>
/// <example>
/// <code>PS> Test-LtP2P 10.0.0.20 -Quiet
/// False</code>
/// <para>Tells a script whether a peer is reached directly.</para>
/// </example>
[Cmdlet(VerbsDiagnostic.Test, "LtP2P")]
[OutputType(typeof(LtP2PResult), typeof(bool))]
public sealed class TestLtP2PCommand : LtCommand
{
    private readonly HashSet<(int Process, string Tunnel, string Peer)> _tested = [];

    /// <summary>Tunnel address or name of the peer; wildcards are allowed. Peers and routes come through the pipeline, too.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Peer", "Name")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("Address", "Peer", "Name")]
    [ArgumentCompleter(typeof(PeerCompleter))]
    public string[] Address { get; set; } = [];

    /// <summary>How many pings measure the path that is in use, 1 to 100. 10 when left out.</summary>
    [Parameter]
    [ValidateRange(1, 100)]
    [NotSecret]
    public int Count { get; set; } = 10;

    /// <summary>Seconds that the attempt to reach the peer directly may take. 20 when left out.</summary>
    [Parameter]
    [ValidateRange(1, 3600)]
    [NotSecret]
    public int TimeoutSec { get; set; } = 20;

    /// <summary>Returns True for a peer that is reached directly, otherwise False.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Quiet { get; set; }

    /// <summary>Name of the tunnel that sees the peer, a server or a joined network; wildcards are allowed. All when left out.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(TunnelNameCompleter))]
    public string[]? Network { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[] peers, string[]? networks, int count, TimeSpan timeout, bool quiet) =
            (Address, Network, Count, TimeSpan.FromSeconds(TimeoutSec), Quiet);
        Run(
            async (output, cancellationToken) =>
            {
                IReadOnlyList<FoundPeer> found = await PeerFinder.FindAsync(
                    output, null, networks, peers, cancellationToken).ConfigureAwait(false);
                foreach (FoundPeer peer in found)
                {
                    // A peer has several routes, all of which may come through the pipeline.
                    if (_tested.Add((peer.Tunnel.ProcessId, peer.Tunnel.Name, peer.Status.PublicKey)))
                    {
                        await TestAsync(
                            output, peer, new PeerTestRequest(peer.Status.PublicKey, count, timeout), quiet,
                            cancellationToken).ConfigureAwait(false);
                    }
                }
            },
            peers);
    }

    private static async Task TestAsync(
        CommandOutput output, FoundPeer peer, PeerTestRequest request, bool quiet, CancellationToken cancellationToken)
    {
        try
        {
            using var progress = new TestProgressBar(output, $"Test {peer.Status.Name}");
            PeerTestReport report = await peer.Tunnel.TestPeerAsync(request, progress, cancellationToken).ConfigureAwait(false);
            output.WriteObject(quiet ? report.IsDirect : new LtP2PResult(peer.Tunnel.Name, report));
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            output.WriteError(exception, peer.Status.Name);
        }
    }
}
