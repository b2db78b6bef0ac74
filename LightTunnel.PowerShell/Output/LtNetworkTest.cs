using LightTunnel.Engine.Probing;

namespace LightTunnel;

/// <summary>
/// What the network between this machine and a server lets pass, as a test has found out. Its text is the network's name. What was not
/// measured is null.
/// </summary>
public sealed class LtNetworkTest
{
    internal LtNetworkTest(string name, NetworkTestReport report)
    {
        Name = name;
        Server = report.Server?.ToString();
        ServerReachable = report.IsServerReachable;
        RTTMin = report.Pings.Minimum;
        RTTAvg = report.Pings.Average;
        RTTMax = report.Pings.Maximum;
        Loss = report.Pings.Loss;
        Nat = LtUnits.NatTypeOf(report.Nat);
        NatMapping = (LtEndpointDependence)report.Mapping;
        NatFiltering = (LtEndpointDependence)report.Filtering;
        PortAssignment = (LtPortAssignment)report.PortAssignment;
        PublicEndpoint = report.PublicEndpoint?.ToString();
        PortMappingProtocol = report.PortMappingProtocol;
        PortMappingEndpoint = report.PortMappingEndpoint?.ToString();
        PortMappingFailure = report.PortMappingFailure;
        IPv6Address = report.IPv6Address?.ToString();
        ServerReachableIPv6 = report.IsServerReachableByIPv6;
        Mtu = report.Mtu;
        LargestPacket = report.LargestPacket;
        ClockOffset = report.ClockOffset;
        Problems = new(report.Problems.Select(problem => new LtNetworkProblem(problem)));
    }

    /// <summary>Name under which the network was joined.</summary>
    public string Name { get; }

    /// <summary>Endpoint of the server in use, null when none is known.</summary>
    public string? Server { get; }

    /// <summary>True when the server answers over UDP.</summary>
    public bool ServerReachable { get; }

    /// <summary>Shortest round trip to the server, null when no ping was answered.</summary>
    public TimeSpan? RTTMin { get; }

    /// <summary>Mean round trip to the server.</summary>
    public TimeSpan? RTTAvg { get; }

    /// <summary>Longest round trip to the server.</summary>
    public TimeSpan? RTTMax { get; }

    /// <summary>Share of pings that were not answered, 0..1.</summary>
    public double? Loss { get; }

    /// <summary>The NAT as people know it.</summary>
    public LtNatType Nat { get; }

    /// <summary>What the NAT's outer endpoint depends on (RFC 4787).</summary>
    public LtEndpointDependence NatMapping { get; }

    /// <summary>From whom the NAT lets datagrams in (RFC 4787).</summary>
    public LtEndpointDependence NatFiltering { get; }

    /// <summary>How the NAT chooses outer ports (RFC 4787).</summary>
    public LtPortAssignment PortAssignment { get; }

    /// <summary>Own endpoint as the server sees it.</summary>
    public string? PublicEndpoint { get; }

    /// <summary>Protocol by which the router forwards a port to this machine; null when it does not.</summary>
    public string? PortMappingProtocol { get; }

    /// <summary>The router's endpoint that is forwarded to this machine; null when there is none.</summary>
    public string? PortMappingEndpoint { get; }

    /// <summary>Why the router forwards no port; null when it does.</summary>
    public string? PortMappingFailure { get; }

    /// <summary>A global IPv6 address of this machine; null when it has none.</summary>
    public string? IPv6Address { get; }

    /// <summary>True when the server is reached over IPv6; null when that was not tried.</summary>
    public bool? ServerReachableIPv6 { get; }

    /// <summary>MTU of the tunnel interface, bytes.</summary>
    public int Mtu { get; }

    /// <summary>Longest packet that went through the tunnel to the server and back, bytes; null when none did.</summary>
    public int? LargestPacket { get; }

    /// <summary>The server's clock minus this machine's; null when the server did not tell its time.</summary>
    public TimeSpan? ClockOffset { get; }

    /// <summary>What is wrong, the worst first; empty when all is well.</summary>
    public LtList<LtNetworkProblem> Problems { get; }

    /// <summary>The network's name.</summary>
    public override string ToString() => Name;
}

/// <summary>Something that a test of a network found to be wrong. Its text is both sentences.</summary>
public sealed class LtNetworkProblem
{
    internal LtNetworkProblem(NetworkProblem problem)
    {
        Message = problem.Message;
        RecommendedAction = problem.RecommendedAction;
    }

    /// <summary>What it is.</summary>
    public string Message { get; }

    /// <summary>What to do about it.</summary>
    public string RecommendedAction { get; }

    /// <summary>Both sentences.</summary>
    public override string ToString() => $"{Message} {RecommendedAction}";
}
