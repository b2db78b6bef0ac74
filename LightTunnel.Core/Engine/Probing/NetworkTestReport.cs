using System.Net;
using LightTunnel.Addressing;

namespace LightTunnel.Engine.Probing;

/// <summary>Something that a test of a network found to be wrong.</summary>
/// <param name="Message">One sentence that says what it is.</param>
/// <param name="RecommendedAction">One sentence that says what to do about it.</param>
public sealed record NetworkProblem(string Message, string RecommendedAction);

/// <summary>What the network between a client and its server, and before it, lets pass. What was not measured is null.</summary>
public sealed record NetworkTestReport
{
    /// <summary>Endpoint of the server in use, null when none is known.</summary>
    public IPEndPoint? Server { get; init; }

    /// <summary>Pings through the link with the server.</summary>
    public required PingResult Pings { get; init; }

    /// <summary>True when the server answers over UDP.</summary>
    public bool IsServerReachable => Pings.Answered > 0;

    /// <summary>The NAT, by the name that people know.</summary>
    public string Nat { get; init; } = "Unknown";

    /// <summary>What the NAT's outer endpoint depends on (RFC 4787 section 4.1).</summary>
    public EndpointDependence Mapping { get; init; }

    /// <summary>From whom the NAT lets datagrams in (RFC 4787 section 5).</summary>
    public EndpointDependence Filtering { get; init; }

    /// <summary>How the NAT chooses outer ports (RFC 4787 section 4.2).</summary>
    public PortAssignment PortAssignment { get; init; }

    /// <summary>Own endpoint as the server sees it.</summary>
    public IPEndPoint? PublicEndpoint { get; init; }

    /// <summary>Protocol by which the router forwards a port to this node; null when it does not.</summary>
    public string? PortMappingProtocol { get; init; }

    /// <summary>The router's endpoint that is forwarded to this node; null when there is none.</summary>
    public IPEndPoint? PortMappingEndpoint { get; init; }

    /// <summary>Why the router forwards no port, one sentence; null when it does.</summary>
    public string? PortMappingFailure { get; init; }

    /// <summary>A global IPv6 address of this machine; null when it has none.</summary>
    public IPAddress? IPv6Address { get; init; }

    /// <summary>
    /// True when the server is reached over IPv6; null when it has no IPv6 address that is known, or is reached over IPv4 first.
    /// </summary>
    public bool? IsServerReachableByIPv6 { get; init; }

    /// <summary>MTU of the tunnel interface, bytes.</summary>
    public int Mtu { get; init; }

    /// <summary>Longest inner packet that went to the server and back, bytes; null when none did.</summary>
    public int? LargestPacket { get; init; }

    /// <summary>The server's clock minus this machine's; null when the server did not tell its time.</summary>
    public TimeSpan? ClockOffset { get; init; }

    /// <summary>What is wrong, the worst first; empty when all is well.</summary>
    public IReadOnlyList<NetworkProblem> Problems { get; init; } = [];
}
