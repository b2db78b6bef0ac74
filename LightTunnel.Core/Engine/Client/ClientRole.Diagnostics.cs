using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.PortMapping;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Client;

/// <summary>The part of a client that tests ask.</summary>
internal sealed partial class ClientRole
{
    /// <summary>An introduction that was asked for is waited for this long.</summary>
    private static readonly TimeSpan IntroductionPatience = TimeSpan.FromSeconds(5);

    /// <summary>How this node may be reached.</summary>
    public OwnReachability Own => _paths.Own;

    /// <summary>What came of asking the router to forward a port.</summary>
    public PortMappingStatus PortMappingStatus => Services.PortMapper.Status;

    /// <summary>The server's endpoints that are known.</summary>
    public IReadOnlyList<UdpEndpoint> ServerEndpoints => _search.Candidates;

    /// <inheritdoc/>
    public void TryDirect(Peer peer)
    {
        if (peer.IsServer)
            return;
        Own.LookAgain(_node.Now);
        _paths.Retry(peer);
    }

    /// <inheritdoc/>
    public bool IsTryingDirect(Peer peer, Timestamp since)
    {
        if (peer.IsServer || peer.Traversal is not { IsDirectAllowed: true } traversal)
            return false;
        if (Own.Detection == NatDetection.Running)
            return true;
        return traversal.Introduced >= since ? traversal.State == TraversalState.Punching : _node.Now - since < IntroductionPatience;
    }

    /// <inheritdoc/>
    public bool MeasurePaths(Peer peer)
    {
        foreach (ProbedPath path in peer.Traversal?.Paths.Where(path => path.IsProven).ToArray() ?? [])
            _paths.Measure(peer, path.Key);
        if (_node.State != TunnelState.Up || peer.IsServer || !peer.IsListedOnline)
            return false;
        _paths.Measure(peer, ServerPathTo(peer));
        return true;
    }

    /// <inheritdoc/>
    public PeerDiagnosis Diagnose(Peer peer)
    {
        IReadOnlyList<ProbeTally> tallies = peer.Traversal?.Tallies ?? [];
        return new PeerDiagnosis(
            Own.Nat.ClassicName,
            (peer.Traversal?.RemoteNat ?? default).ClassicName,
            [.. tallies.Select(tally => Describe(peer, tally))],
            tallies.FirstOrDefault(tally => tally.Path == ServerPathTo(peer))?.Mean);
    }

    private PathAddress ServerPathTo(Peer peer) => new(_server.Path.Endpoint, peer.MemberId);

    private CandidateReport Describe(Peer peer, ProbeTally tally) => new()
    {
        Kind = tally.Kind,
        Endpoint = tally.Path.Endpoint.ToIPEndPoint(),
        LocalPort = Services.Transport.PortOf(tally.Path.Local),
        Relay = !tally.Path.IsRelayed ? null : tally.Path == ServerPathTo(peer) ? _server.Name : _paths.Relays.RelayOf(tally.Path)?.Name,
        Result = tally switch
        {
            { Answered: > 0 } => ProbeResult.Answered,
            { Heard: > 0 } => ProbeResult.OneWay,
            { Sent: > 0 } => ProbeResult.NoAnswer,
            _ => ProbeResult.NotTried,
        },
        Sent = tally.Sent,
        Answered = tally.Answered,
        RoundTrip = tally.Shortest,
        InUse = peer.UsedPath is { } used ? used.Key == tally.Path : peer.PathType == PathType.Server && tally.Path == ServerPathTo(peer),
    };
}
