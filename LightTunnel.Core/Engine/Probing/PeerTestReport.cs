using System.Net;
using LightTunnel.Engine.Control;
using LightTunnel.Routing;

namespace LightTunnel.Engine.Probing;

/// <summary>What a test of one peer is to do.</summary>
/// <param name="PublicKey">The peer's public key, base64.</param>
/// <param name="Count">Pings that measure the path, at least 1.</param>
/// <param name="Timeout">How long the attempt to reach the peer directly may take; the measurement comes after it.</param>
public sealed record PeerTestRequest(string PublicKey, int Count, TimeSpan Timeout);

/// <summary>Round trips and losses of a few pings.</summary>
/// <param name="Sent">Pings sent.</param>
/// <param name="Answered">Of those, answered.</param>
/// <param name="Minimum">Shortest round trip, null when nothing was answered.</param>
/// <param name="Average">Mean round trip.</param>
/// <param name="Maximum">Longest round trip.</param>
public sealed record PingResult(int Sent, int Answered, TimeSpan? Minimum, TimeSpan? Average, TimeSpan? Maximum)
{
    /// <summary>No pings at all.</summary>
    public static PingResult None { get; } = new(0, 0, null, null, null);

    /// <summary>Share of pings that were not answered, 0..1; null when none was sent.</summary>
    public double? Loss => Sent == 0 ? null : (double)(Sent - Answered) / Sent;
}

/// <summary>How a peer is reached, and why not better.</summary>
public sealed record PeerTestReport
{
    /// <summary>The peer's name.</summary>
    public required string Peer { get; init; }

    /// <summary>The peer's tunnel address.</summary>
    public required IPAddress Address { get; init; }

    /// <summary>The peer's public key, base64.</summary>
    public required string PublicKey { get; init; }

    /// <summary>True for the network's server.</summary>
    public bool IsServer { get; init; }

    /// <summary>The kind of path in use.</summary>
    public required PathType Path { get; init; }

    /// <summary>True when datagrams travel straight between the two.</summary>
    public bool IsDirect => Path is PathType.Lan or PathType.Direct;

    /// <summary>Outer endpoint that datagrams for the peer are sent to; the relay's when relayed; null when none.</summary>
    public IPEndPoint? Endpoint { get; init; }

    /// <summary>Pings over the path in use.</summary>
    public required PingResult Pings { get; init; }

    /// <summary>Round trip through the server, null when it was not measured.</summary>
    public TimeSpan? ServerRoundTrip { get; init; }

    /// <summary>The NAT before this node, by the name that people know.</summary>
    public string LocalNat { get; init; } = "Unknown";

    /// <summary>The NAT before the peer, as it told.</summary>
    public string PeerNat { get; init; } = "Unknown";

    /// <summary>Everything that was tried, in the order of trying.</summary>
    public IReadOnlyList<CandidateReport> Candidates { get; init; } = [];

    /// <summary>Why the peer is reached the way it is.</summary>
    public required PathReason Reason { get; init; }

    /// <summary>How long the test took.</summary>
    public TimeSpan Duration { get; init; }
}
