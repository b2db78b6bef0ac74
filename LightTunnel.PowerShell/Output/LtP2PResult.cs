using System.Globalization;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Routing;

namespace LightTunnel;

/// <summary>How a peer is reached, as a test has found out, and why not better. Its text is the peer's name.</summary>
public sealed class LtP2PResult
{
    internal LtP2PResult(string network, PeerTestReport report)
    {
        Network = network;
        Peer = report.Peer;
        Address = report.Address.ToString();
        P2P = report.IsDirect;
        Result = report.Path == PathType.Offline || report.Pings is { Sent: > 0, Answered: 0 } ? LtReachability.Unreachable
            : report.IsDirect ? LtReachability.Direct
            : LtReachability.Relayed;
        Type = (LtPathType)report.Path;
        Endpoint = report.Endpoint?.ToString();
        RTTMin = report.Pings.Minimum;
        RTTAvg = report.Pings.Average;
        RTTMax = report.Pings.Maximum;
        Loss = report.Pings.Loss;
        ServerRTT = report.ServerRoundTrip;
        LocalNat = LtUnits.NatTypeOf(report.LocalNat);
        PeerNat = LtUnits.NatTypeOf(report.PeerNat);
        Candidates = new(report.Candidates.OrderByDescending(candidate => candidate.InUse).ThenBy(candidate => candidate.Relay is not null)
            .ThenByDescending(candidate => candidate.Result).Select(candidate => new LtP2PCandidate(candidate)));
        Reason = (LtPathReason)report.Reason;
        ReasonText = report.Reason.Sentence();
        RecommendedAction = report.IsDirect ? null : report.Reason.RecommendedAction();
        Duration = report.Duration;
    }

    /// <summary>Name of the tunnel that sees the peer.</summary>
    public string Network { get; }

    /// <summary>The peer's name.</summary>
    public string Peer { get; }

    /// <summary>The peer's tunnel address.</summary>
    public string Address { get; }

    /// <summary>True when datagrams travel straight between the two.</summary>
    public bool P2P { get; }

    /// <summary>Direct, Relayed, or Unreachable: the peer is offline, or no ping came back by whatever path is in use.</summary>
    public LtReachability Result { get; }

    /// <summary>The kind of path in use.</summary>
    public LtPathType Type { get; }

    /// <summary>Outer endpoint that datagrams for the peer are sent to; the relay's when relayed; null when none.</summary>
    public string? Endpoint { get; }

    /// <summary>Shortest round trip over the path in use, null when no ping was answered.</summary>
    public TimeSpan? RTTMin { get; }

    /// <summary>Mean round trip over the path in use.</summary>
    public TimeSpan? RTTAvg { get; }

    /// <summary>Longest round trip over the path in use.</summary>
    public TimeSpan? RTTMax { get; }

    /// <summary>Share of pings that were not answered, 0..1; null when none was sent.</summary>
    public double? Loss { get; }

    /// <summary>Round trip through the server, null when it was not measured.</summary>
    public TimeSpan? ServerRTT { get; }

    /// <summary>The NAT before this machine.</summary>
    public LtNatType LocalNat { get; }

    /// <summary>The NAT before the peer, as it told.</summary>
    public LtNatType PeerNat { get; }

    /// <summary>Every endpoint that was tried, and what came of it: the one in use first, then what answered, relays last.</summary>
    public LtList<LtP2PCandidate> Candidates { get; }

    /// <summary>Why the peer is reached the way it is.</summary>
    public LtPathReason Reason { get; }

    /// <summary>The same as a sentence.</summary>
    public string ReasonText { get; }

    /// <summary>What can be done to reach the peer directly; null when it is.</summary>
    public string? RecommendedAction { get; }

    /// <summary>How long the test took.</summary>
    public TimeSpan Duration { get; }

    /// <summary>The peer's name.</summary>
    public override string ToString() => Peer;
}

/// <summary>One endpoint of a peer that was tried, and what came of it. Its text is one line.</summary>
public sealed class LtP2PCandidate
{
    internal LtP2PCandidate(CandidateReport report)
    {
        Kind = (LtCandidateKind?)report.Kind;
        Endpoint = report.Endpoint.ToString();
        Way = WayOf(report);
        LocalPort = report.LocalPort;
        Relay = report.Relay;
        Result = (LtProbeResult)report.Result;
        Sent = report.Sent;
        Answered = report.Answered;
        RTT = report.RoundTrip;
        InUse = report.InUse;
    }

    /// <summary>How the endpoint came to be known; null for a relay's.</summary>
    public LtCandidateKind? Kind { get; }

    /// <summary>The peer's endpoint, or the relay's; with port 0 it stands for all ports that were guessed at that address.</summary>
    public string Endpoint { get; }

    /// <summary>Local UDP port that the probes left from.</summary>
    public int LocalPort { get; }

    /// <summary>Name of the node that passes the datagrams on, null for a direct path.</summary>
    public string? Relay { get; }

    /// <summary>What came of it.</summary>
    public LtProbeResult Result { get; }

    /// <summary>Probes sent.</summary>
    public int Sent { get; }

    /// <summary>Of those, answered.</summary>
    public int Answered { get; }

    /// <summary>Shortest round trip, null when nothing was answered.</summary>
    public TimeSpan? RTT { get; }

    /// <summary>True when data takes this path.</summary>
    public bool InUse { get; }

    /// <summary>"Host 192.0.2.1:9000: answered in 1.2 ms, in use".</summary>
    public override string ToString() => $"{Way}: {Outcome}{(InUse ? ", in use" : string.Empty)}";

    private string Way { get; }

    private string Outcome => Result switch
    {
        LtProbeResult.Answered => $"answered in {LtUnits.RoundTrip(RTT)}",
        LtProbeResult.OneWay => $"its probes arrive, {Count()} of ours not answered",
        LtProbeResult.NoAnswer => $"no answer to {Count()}",
        _ => "not tried",
    };

    private static string WayOf(CandidateReport report) => (report.Kind, report.Endpoint.Port) switch
    {
        (null, _) => $"through {report.Relay ?? "a member"} at {report.Endpoint}",
        (_, 0) => $"guessed ports of {report.Endpoint.Address}",
        _ => $"{report.Kind} {report.Endpoint}",
    };

    private string Count() => Sent == 1 ? "1 probe" : string.Create(CultureInfo.InvariantCulture, $"{Sent} probes");
}
