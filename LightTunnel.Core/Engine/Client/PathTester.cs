using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Client;

/// <summary>What tests (Test-LtP2P) have a client try, and what it knows of the way to a member. Owned by the control loop.</summary>
internal sealed class PathTester(Node node, ServerConnection connection, MemberPaths paths)
{
    /// <summary>An introduction that was asked for is waited for this long.</summary>
    private static readonly TimeSpan IntroductionPatience = TimeSpan.FromSeconds(5);

    /// <summary>Begins an attempt to reach the member directly, whatever was tried before.</summary>
    public void TryDirect(Member member)
    {
        paths.Own.LookAgain(node.Now);
        paths.Retry(member);
    }

    /// <summary>True while the attempt that began at that time goes on.</summary>
    public bool IsTryingDirect(Member member, Timestamp since)
    {
        if (member.Traversal is not { IsDirectAllowed: true } traversal)
            return false;
        if (paths.Own.Detection == NatDetection.Running)
            return true;
        return traversal.Introduced >= since ? traversal.State == TraversalState.Punching : node.Now - since < IntroductionPatience;
    }

    /// <summary>
    /// Sends a probe by each path to the member that is proven, and by the server's, whichever is in use; false when there is no server's.
    /// </summary>
    public bool MeasurePaths(Member member)
    {
        foreach (ProbedPath path in member.Traversal?.Paths.Where(path => path.IsProven).ToArray() ?? [])
            paths.Measure(member, path.Key);
        if (!connection.IsUp || !member.IsListedOnline)
            return false;
        paths.Measure(member, connection.PathTo(member));
        return true;
    }

    /// <summary>What is known of the way to the member; of the NAT here alone, when it is null.</summary>
    public PeerDiagnosis Diagnose(Member? member)
    {
        if (member is null)
            return new PeerDiagnosis(paths.Own.Nat.ClassicName, default(NatBehaviour).ClassicName, [], ServerRoundTrip: null);
        IReadOnlyList<ProbeTally> tallies = member.Traversal?.Tallies ?? [];
        return new PeerDiagnosis(
            paths.Own.Nat.ClassicName,
            (member.Traversal?.RemoteNat ?? default).ClassicName,
            [.. tallies.Select(tally => Describe(member, tally))],
            tallies.FirstOrDefault(tally => tally.Path == connection.PathTo(member))?.Mean);
    }

    private CandidateReport Describe(Member member, ProbeTally tally) => new()
    {
        Kind = tally.Kind,
        Endpoint = tally.Path.Endpoint.ToIPEndPoint(),
        LocalPort = node.Services.Transport.PortOf(tally.Path.Local),
        Relay = !tally.Path.IsRelayed ? null
            : tally.Path == connection.PathTo(member) ? connection.Server.Name
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
        InUse = member.UsedPath is { } used
            ? used.Key == tally.Path
            : member.PathType == PathType.Server && tally.Path == connection.PathTo(member),
    };
}
