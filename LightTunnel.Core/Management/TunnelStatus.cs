using System.Net;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Routing;
using LightTunnel.WireGuard;

namespace LightTunnel.Management;

/// <summary>A tunnel as a whole, at one moment.</summary>
public sealed record TunnelStatus
{
    /// <summary>The tunnel's name on this machine.</summary>
    public required string Name { get; init; }

    /// <summary>The network's name, which its server gave it; null until a client is registered.</summary>
    public string? NetworkName { get; init; }

    /// <summary>Server or client.</summary>
    public required TunnelRole Role { get; init; }

    /// <summary>Where the tunnel stands.</summary>
    public required TunnelState State { get; init; }

    /// <summary>Own addresses with the network's prefix length, "10.0.0.1/24"; empty until leased.</summary>
    public required IReadOnlyList<string> Addresses { get; init; }

    /// <summary>Own public key, base64.</summary>
    public required string PublicKey { get; init; }

    /// <summary>Name of the tunnel interface, null until it exists.</summary>
    public string? InterfaceName { get; init; }

    /// <summary>System index of the tunnel interface, 0 until it exists.</summary>
    public int InterfaceIndex { get; init; }

    /// <summary>MTU of the tunnel interface, bytes.</summary>
    public int Mtu { get; init; }

    /// <summary>UDP port in use.</summary>
    public int ListenPort { get; init; }

    /// <summary>Process that runs the tunnel.</summary>
    public int ProcessId { get; init; }

    /// <summary>When the tunnel was started.</summary>
    public DateTimeOffset Started { get; init; }

    /// <summary>Server: "host:port" that go into invitations.</summary>
    public IReadOnlyList<string> Endpoints { get; init; } = [];

    /// <summary>Client: endpoint of the server in use, or as configured until known.</summary>
    public string? Server { get; init; }

    /// <summary>Client: the server's public key, base64.</summary>
    public string? ServerKey { get; init; }

    /// <summary>Client: own endpoint as the server sees it.</summary>
    public IPEndPoint? PublicEndpoint { get; init; }

    /// <summary>
    /// Client: what kind of NAT stands before this node, by the name people know (RFC 3489), "Port-Restricted Cone"; "Unknown"
    /// until measured.
    /// </summary>
    public string NatType { get; init; } = "Unknown";

    /// <summary>Client: the endpoint that the router forwards to this node on request, or null.</summary>
    public string? PortMapping { get; init; }

    /// <summary>Client: time of the last registration.</summary>
    public DateTimeOffset? Connected { get; init; }

    /// <summary>Client: how often the server was lost and found again.</summary>
    public int Reconnects { get; init; }

    /// <summary>Client: this node's name in the network.</summary>
    public string? MemberName { get; init; }

    /// <summary>
    /// The public halves of the signing keys, base64, by which members are signed: a server's own, those that a client was given; none
    /// where unsigned members are taken.
    /// </summary>
    public IReadOnlyList<string> SigningKeys { get; init; } = [];

    /// <summary>Client: how things stand with an admin's signature of this node.</summary>
    public SignatureState Signature { get; init; }

    /// <summary>Client: until when that is good; null for ever, or when there is none.</summary>
    public DateTimeOffset? SignedUntil { get; init; }

    /// <summary>The last thing that went wrong, or null.</summary>
    public string? LastError { get; init; }

    /// <summary>The member that all else goes out by, as it was named; null for none.</summary>
    public string? ExitNode { get; init; }

    /// <summary>Other clients known (the server is not counted).</summary>
    public int Peers { get; init; }

    /// <summary>Of those, online.</summary>
    public int PeersOnline { get; init; }

    /// <summary>Of those, reached directly.</summary>
    public int PeersDirect { get; init; }

    /// <summary>Server: most clients that may be online at once.</summary>
    public int MaxClients { get; init; }

    /// <summary>Server: clients may talk to the server only.</summary>
    public bool ClientIsolation { get; init; }

    /// <summary>What was counted so far.</summary>
    public required TunnelCounters Counters { get; init; }
}

/// <summary>Packets and bytes of one tunnel since its start; bytes are of inner IP packets.</summary>
public sealed record TunnelCounters
{
    /// <summary>Inner bytes received from peers.</summary>
    public long ReceivedBytes { get; init; }

    /// <summary>Inner bytes sent to peers.</summary>
    public long SentBytes { get; init; }

    /// <summary>Inner packets received from peers.</summary>
    public long ReceivedPackets { get; init; }

    /// <summary>Inner packets sent to peers.</summary>
    public long SentPackets { get; init; }

    /// <summary>Sealed datagrams passed on for others.</summary>
    public long RelayedPackets { get; init; }

    /// <summary>Sealed bytes passed on for others.</summary>
    public long RelayedBytes { get; init; }

    /// <summary>Why packets were dropped: a fixed set of reasons, and how often each.</summary>
    public IReadOnlyDictionary<string, long> Dropped { get; init; } = new Dictionary<string, long>();
}

/// <summary>Another node as seen from this one.</summary>
public sealed record PeerStatus
{
    /// <summary>Name of the tunnel it was seen by.</summary>
    public required string Tunnel { get; init; }

    /// <summary>The peer's name in the directory.</summary>
    public required string Name { get; init; }

    /// <summary>The peer's tunnel addresses.</summary>
    public required IReadOnlyList<IPAddress> Addresses { get; init; }

    /// <summary>The peer's public key, base64.</summary>
    public required string PublicKey { get; init; }

    /// <summary>True for the network's server.</summary>
    public bool IsServer { get; init; }

    /// <summary>True for a plain WireGuard client.</summary>
    public bool IsPlain { get; init; }

    /// <summary>The kind of path in use.</summary>
    public required PathType Path { get; init; }

    /// <summary>Why it is that path.</summary>
    public PathReason PathReason { get; init; }

    /// <summary>Which paths may be used.</summary>
    public PathPolicy PathPolicy { get; init; }

    /// <summary>Name of the member that passes datagrams on, or null.</summary>
    public string? Via { get; init; }

    /// <summary>What kind of NAT stands before the peer, as <see cref="TunnelStatus.NatType"/>.</summary>
    public string NatType { get; init; } = "Unknown";

    /// <summary>True when the peer passes on datagrams of others.</summary>
    public bool RelaysForOthers { get; init; }

    /// <summary>Outer endpoint that datagrams for the peer are sent to; the relay's when relayed; null when none.</summary>
    public IPEndPoint? Endpoint { get; init; }

    /// <summary>Smoothed round trip of probes, null until measured.</summary>
    public TimeSpan? RoundTrip { get; init; }

    /// <summary>Share of recent probes that were not answered, 0..1, null until measured.</summary>
    public double? Loss { get; init; }

    /// <summary>Quality of the path, 0..150.</summary>
    public int Quality { get; init; }

    /// <summary>Bytes of sealed datagrams received from the peer.</summary>
    public long ReceivedBytes { get; init; }

    /// <summary>Bytes of sealed datagrams sent to the peer.</summary>
    public long SentBytes { get; init; }

    /// <summary>When something authentic of the peer last arrived.</summary>
    public DateTimeOffset? LastSeen { get; init; }

    /// <summary>When keys were last agreed with the peer.</summary>
    public DateTimeOffset? LastHandshake { get; init; }

    /// <summary>What packets are sealed with; null while there are no keys.</summary>
    public CipherSuite? Cipher { get; init; }

    /// <summary>Largest inner packet that passes whole by the path in use, bytes; the network's MTU until it was measured.</summary>
    public int Mtu { get; init; }

    /// <summary>Prefixes that are routed to the peer.</summary>
    public IReadOnlyList<string> Routes { get; init; } = [];

    /// <summary>LightTunnel version of the peer, null when unknown.</summary>
    public string? Version { get; init; }

    /// <summary>Packets of the peer that were dropped because their inner source was not the peer's.</summary>
    public long WrongSourcePackets { get; init; }

    /// <summary>How things stand with an admin's signature of it, as this node judges.</summary>
    public SignatureState Signature { get; init; }

    /// <summary>Until when its signature is good; null for ever, or when there is none.</summary>
    public DateTimeOffset? SignedUntil { get; init; }
}

/// <summary>One destination and how it is reached now.</summary>
public sealed record RouteStatus
{
    /// <summary>Name of the tunnel that the route belongs to.</summary>
    public required string Tunnel { get; init; }

    /// <summary>The prefix, "10.0.0.20/32".</summary>
    public required string Destination { get; init; }

    /// <summary>How it is reached.</summary>
    public required RouteType Type { get; init; }

    /// <summary>Why it is reached that way.</summary>
    public PathReason Reason { get; init; }

    /// <summary>Tunnel address of the node that packets go to next: the peer itself, or the relay; null when it is not reached.</summary>
    public IPAddress? NextHop { get; init; }

    /// <summary>Name of the peer that owns the destination.</summary>
    public required string Peer { get; init; }

    /// <summary>Outer endpoint in use, null when none.</summary>
    public IPEndPoint? Endpoint { get; init; }

    /// <summary>Nodes between: 0 direct, 1 relayed; null when it is not reached.</summary>
    public int? Hops { get; init; }

    /// <summary>Smoothed round trip of probes, null until measured.</summary>
    public TimeSpan? RoundTrip { get; init; }

    /// <summary>Share of recent probes that were not answered, 0..1, null until measured.</summary>
    public double? Loss { get; init; }

    /// <summary>Quality of the path, 0..150; 0 when there is none.</summary>
    public int Quality { get; init; }

    /// <summary>What the path is known to do.</summary>
    public required RouteState State { get; init; }

    /// <summary>True for a network that lies behind a node, false for a node's own address.</summary>
    public bool IsSubnet { get; init; }

    /// <summary>What becomes of it here: a network behind a node may wait, stand by, or be in the way of something.</summary>
    public RouteStanding Standing { get; init; }

    /// <summary>Why, as a sentence; null where there is nothing to say.</summary>
    public string? StandingReason { get; init; }

    /// <summary>What to do about it, or null.</summary>
    public string? RecommendedAction { get; init; }

    /// <summary>The public key of the peer that owns the destination, base64.</summary>
    public string? PublicKey { get; init; }

    /// <summary>Name of the tunnel interface.</summary>
    public string? InterfaceName { get; init; }

    /// <summary>System index of the tunnel interface.</summary>
    public int InterfaceIndex { get; init; }

    /// <summary>When the route last changed.</summary>
    public required DateTimeOffset Updated { get; init; }
}
