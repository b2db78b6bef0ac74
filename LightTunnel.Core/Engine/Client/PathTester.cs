using LightTunnel.Engine.Control;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Client;

/// <summary>What tests (Test-LtP2P) have a client try, and what it knows of the way to a peer. Owned by the control loop.</summary>
internal sealed class PathTester(Node node, ServerConnection connection, MemberPaths paths)
{
    /// <summary>An introduction that was asked for is waited for this long.</summary>
    private static readonly TimeSpan IntroductionPatience = TimeSpan.FromSeconds(5);

    /// <summary>Begins an attempt to reach the peer directly, whatever was tried before.</summary>
    public void TryDirect(Peer peer)
    {
        if (peer.IsServer)
            return;
        paths.Own.LookAgain(node.Now);
        paths.Retry(peer);
    }

    /// <summary>True while the attempt that began at that time goes on.</summary>
    public bool IsTryingDirect(Peer peer, Timestamp since)
    {
        if (peer.IsServer || peer.Traversal is not { IsDirectAllowed: true } traversal)
            return false;
        if (paths.Own.Detection == NatDetection.Running)
            return true;
        return traversal.Introduced >= since ? traversal.State == TraversalState.Punching : node.Now - since < IntroductionPatience;
    }

    /// <summary>
    /// Sends a probe by each path to the peer that is proven, and by the server's, whichever is in use; false when there is no server's.
    /// </summary>
    public bool MeasurePaths(Peer peer)
    {
        foreach (ProbedPath path in peer.Traversal?.Paths.Where(path => path.IsProven).ToArray() ?? [])
            paths.Measure(peer, path.Key);
        if (!connection.IsUp || peer.IsServer || !peer.IsListedOnline)
            return false;
        paths.Measure(peer, connection.PathTo(peer));
        return true;
    }

    /// <summary>What is known of the way to the peer.</summary>
    public PeerDiagnosis Diagnose(Peer peer)
    {
        IReadOnlyList<ProbeTally> tallies = peer.Traversal?.Tallies ?? [];
        return new PeerDiagnosis(
            paths.Own.Nat.ClassicName,
            (peer.Traversal?.RemoteNat ?? default).ClassicName,
            [.. tallies.Select(tally => Describe(peer, tally))],
            tallies.FirstOrDefault(tally => tally.Path == connection.PathTo(peer))?.Mean);
    }

    private CandidateReport Describe(Peer peer, ProbeTally tally) => new()
    {
        Kind = tally.Kind,
        Endpoint = tally.Path.Endpoint.ToIPEndPoint(),
        LocalPort = node.Services.Transport.PortOf(tally.Path.Local),
        Relay = !tally.Path.IsRelayed ? null
            : tally.Path == connection.PathTo(peer) ? connection.Server.Name
            : paths.Relays.RelayOf(tally.Path)?.Name,
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
        InUse = peer.UsedPath is { } used
            ? used.Key == tally.Path
            : peer.PathType == PathType.Server && tally.Path == connection.PathTo(peer),
    };
}
