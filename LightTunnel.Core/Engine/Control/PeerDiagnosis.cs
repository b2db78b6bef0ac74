using System.Net;
using LightTunnel.Addressing;

namespace LightTunnel.Engine.Control;

/// <summary>What came of probing one endpoint of a peer.</summary>
public enum ProbeResult
{
    /// <summary>No probe was sent to it.</summary>
    NotTried,

    /// <summary>Nothing came back.</summary>
    NoAnswer,

    /// <summary>The peer's probes came from there, but it answered none of ours: one direction is broken.</summary>
    OneWay,

    /// <summary>Probes were answered: the path works in both directions.</summary>
    Answered,
}

/// <summary>One way to a peer that was tried, and its outcome.</summary>
public sealed record CandidateReport
{
    /// <summary>How the endpoint came to be known; null for a relay's.</summary>
    public CandidateKind? Kind { get; init; }

    /// <summary>The peer's endpoint, or the relay's; with port 0 it stands for all ports that were guessed at that address.</summary>
    public required IPEndPoint Endpoint { get; init; }

    /// <summary>Local UDP port that the probes left from.</summary>
    public int LocalPort { get; init; }

    /// <summary>Name of the node that passes the datagrams on, null for a direct path.</summary>
    public string? Relay { get; init; }

    /// <summary>What came of it.</summary>
    public required ProbeResult Result { get; init; }

    /// <summary>Probes sent.</summary>
    public int Sent { get; init; }

    /// <summary>Of those, answered.</summary>
    public int Answered { get; init; }

    /// <summary>Shortest round trip, null when nothing was answered.</summary>
    public TimeSpan? RoundTrip { get; init; }

    /// <summary>True when data takes this path.</summary>
    public bool InUse { get; init; }
}

/// <summary>What a node knows of the way to a peer, beside what a test measures.</summary>
/// <param name="LocalNat">The NAT before this node.</param>
/// <param name="PeerNat">The NAT before the peer, as it told.</param>
/// <param name="Candidates">Everything that was tried.</param>
/// <param name="ServerRoundTrip">Round trip through the server, null when it was not measured.</param>
internal sealed record PeerDiagnosis(string LocalNat, string PeerNat, IReadOnlyList<CandidateReport> Candidates, TimeSpan? ServerRoundTrip);
