using System.Diagnostics;
using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Packets;
using LightTunnel.Routing;
using LightTunnel.WindowsNetwork;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>What a server and a client have in common: everything that is needed to start one, already checked.</summary>
internal abstract record TunnelOptions
{
    /// <summary>
    /// The MTU inside when nobody asks for another: sealed in either suite, a packet fits in 1500 bytes over IPv6, or relayed over IPv4.
    /// </summary>
    public const int DefaultMtu = 1400;

    /// <summary>Of an interface that nobody has said anything about; buffers are never smaller.</summary>
    public const int OrdinaryMtu = 1500;

    /// <summary>IPv6 must be able to pass (RFC 8200 section 5).</summary>
    public const int MinimumMtu = 1280;

    /// <summary>Largest MTU that an UDP datagram can carry with all headers.</summary>
    public const int MaximumMtu = 65400;

    /// <summary>The tunnel's name on this machine and the node's name in the directory.</summary>
    public required string Name { get; init; }

    /// <summary>UDP port to listen on; 0 lets the system choose.</summary>
    public int ListenPort { get; init; }

    /// <summary>MTU of the tunnel interface, bytes; null takes the server's, or <see cref="DefaultMtu"/>.</summary>
    public int? Mtu { get; init; }

    /// <summary>Which cipher suites are used with nodes that know more than WireGuard's.</summary>
    public CipherPolicy Cipher { get; init; }

    /// <summary>Name of the tunnel interface; null lets the first free "lt0", "lt1", ... be chosen.</summary>
    public string? InterfaceName { get; init; }

    /// <summary>What Windows is to take the network for; null leaves it as Windows decides. Nothing to other systems.</summary>
    public NetworkCategory? NetworkCategory { get; init; }

    /// <summary>
    /// Whether the Windows Firewall is to let members reach everything that listens on this machine. Nothing to other systems.
    /// </summary>
    public bool AllowInbound { get; init; }

    /// <summary>Networks behind this node that it offers to the others, none of them twice.</summary>
    public IReadOnlyList<OfferedRoute> Routes { get; init; } = [];

    /// <summary>Which networks behind other nodes are taken.</summary>
    public AcceptedRoutes AcceptedRoutes { get; init; } = AcceptedRoutes.None;

    /// <summary>The exit node of this machine.</summary>
    public ExitOptions Exit { get; init; } = ExitOptions.None;

    /// <summary>Queues and offloads.</summary>
    public DataPathOptions DataPath { get; init; } = DataPathOptions.Default;

    /// <summary>Folder in which this node keeps its identity and leases.</summary>
    public required string StatePath { get; init; }

    /// <summary>File to log to, rolled daily; null for none.</summary>
    public string? LogPath { get; init; }

    /// <summary>Least important level that is logged.</summary>
    public Diagnostics.LogLevel LogLevel { get; init; } = Diagnostics.LogLevel.Information;
}

/// <summary>Everything that is needed to start a server.</summary>
internal sealed record ServerOptions : TunnelOptions
{
    /// <summary>The port that servers listen on when nobody asks for another.</summary>
    public const int DefaultListenPort = 9000;

    /// <summary>Of <see cref="EagerUpTo"/>: so many members cost each of them some 15 kB when it joins.</summary>
    public const int DefaultEagerUpTo = 128;

    /// <summary>The server's own addresses inside the network, at most one of each family; their prefixes are the network.</summary>
    public required IReadOnlyList<InterfaceAddress> Addresses { get; init; }

    /// <summary>"host:port" at which clients reach this server, in order of preference; go into invitations.</summary>
    public IReadOnlyList<ServerEndpoint> Endpoints { get; init; } = [];

    /// <summary>The network's key; null keeps the one in the state, or makes a new one.</summary>
    public PresharedKey? NetworkKey { get; init; }

    /// <summary>Most clients that may be online at once.</summary>
    public int MaxClients { get; init; } = 10_000;

    /// <summary>True when clients may talk to the server only.</summary>
    public bool ClientIsolation { get; init; }

    /// <summary>
    /// Whether the network's key is enough to become a member; null for what was so when the network was made: before there were
    /// invitations that the server knows it was, now it is not.
    /// </summary>
    public bool? AllowKeyOnly { get; init; }

    /// <summary>True when an admin approves who becomes a member.</summary>
    public bool RequireApproval { get; init; }

    /// <summary>Whose networks need nobody's approval.</summary>
    public IReadOnlyList<AutoApprovedRoutes> AutoApprovedRoutes { get; init; } = [];

    /// <summary>How long a membership lasts that its member does not renew by being here; null for ever.</summary>
    public TimeSpan? MemberExpiry { get; init; }

    /// <summary>
    /// The public halves of the signing keys by which admins sign members; they go into invitations. None where members are not signed.
    /// </summary>
    public IReadOnlyList<SigningPublicKey> SigningKeys { get; init; } = [];

    /// <summary>
    /// Most members, offline ones included, of a network in which every client is told of every other; in a larger one clients ask ("Large
    /// networks" in docs/members.md).
    /// </summary>
    public int EagerUpTo { get; init; } = DefaultEagerUpTo;

    /// <summary>
    /// Second UDP port, at which the server looks at its clients' NATs (RFC 5780); null for the one after the first, 0 for none.
    /// </summary>
    public int? ObserverPort { get; init; }
}

/// <summary>Everything that is needed to join a network.</summary>
internal sealed record ClientOptions : TunnelOptions
{
    /// <summary>Most endpoints that a person may advertise: a list of candidates has room for others too.</summary>
    public const int MaximumAdvertisedEndpoints = 4;

    /// <summary>"host:port" of the server, in order of preference.</summary>
    public required IReadOnlyList<ServerEndpoint> Servers { get; init; }

    /// <summary>The server's public key.</summary>
    public required PublicKey ServerKey { get; init; }

    /// <summary>The network's key: who has it may join.</summary>
    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    public required PresharedKey NetworkKey { get; init; }

    /// <summary>The secret of the invitation to come by; null for none, which is enough for a member.</summary>
    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    public InvitationToken? Invitation { get; init; }

    /// <summary>Addresses to ask for, at most one of each family; none lets the server choose.</summary>
    public IReadOnlyList<TunnelAddress> RequestedAddresses { get; init; } = [];

    /// <summary>
    /// How long members count as such without a word of the server, which may have sent one of them away: a long weekend.
    /// </summary>
    public TimeSpan TrustWithoutServer { get; init; } = TimeSpan.FromHours(72);

    /// <summary>
    /// Prefixes that the server may give to this node: the invitation's, and those that a person named. None: those that the first
    /// registration says.
    /// </summary>
    public IReadOnlyList<IpPrefix> AgreedPrefixes { get; init; } = [];

    /// <summary>
    /// Endpoints at which others reach this node, as a person knows them: a forwarded port, a public address. Members are told of them.
    /// </summary>
    public IReadOnlyList<UdpEndpoint> AdvertisedEndpoints { get; init; } = [];

    /// <summary>Whether this node passes on sealed datagrams of others; null says yes with a public address.</summary>
    public bool? AllowRelay { get; init; }

    /// <summary>Which paths to other members may be used.</summary>
    public PathPolicy PathPolicy { get; init; }

    /// <summary>Whether the router is asked to forward a port (PCP, NAT-PMP, UPnP).</summary>
    public bool PortMapping { get; init; } = true;

    /// <summary>What becomes of a member whose key is another than the one that is known.</summary>
    public KeyChangePolicy KeyChange { get; init; }

    /// <summary>
    /// Whether only members are taken that an admin has signed; null for what the invitation says, and what was said before.
    /// </summary>
    public bool? RequireSignedMembers { get; init; }

    /// <summary>Signing keys that a person named, any of which suffices.</summary>
    public IReadOnlyList<SigningPublicKey> SigningKeys { get; init; } = [];

    /// <summary>
    /// Signing keys that the invitation names. Who makes it may be a server in bad hands, so that a person's word counts for more.
    /// </summary>
    public IReadOnlyList<SigningPublicKey> InvitedSigningKeys { get; init; } = [];
}
