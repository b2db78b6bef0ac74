namespace LightTunnel;

/// <summary>What kind of NAT stands before a node, by the names people know (RFC 3489).</summary>
public enum LtNatType
{
    /// <summary>Not measured, or not known of a peer.</summary>
    Unknown,

    /// <summary>None: the node has a public address.</summary>
    None,

    /// <summary>Every remote endpoint is seen from, and may write to, the same outer endpoint.</summary>
    FullCone,

    /// <summary>The same, but only addresses that were written to may write back.</summary>
    RestrictedCone,

    /// <summary>The same, but only endpoints that were written to may write back.</summary>
    PortRestrictedCone,

    /// <summary>Different remote endpoints see different outer endpoints.</summary>
    Symmetric,
}

/// <summary>What happened to a route.</summary>
public enum LtRouteChangeKind
{
    /// <summary>Nothing: it is so at the moment at which somebody begins to watch.</summary>
    Current,

    /// <summary>It is new.</summary>
    Added,

    /// <summary>It takes another path, or its peer came online or went offline.</summary>
    Changed,

    /// <summary>Its peer is no member any more, or has another address.</summary>
    Removed,
}

// The engine has these enumerations, from here on, too, value by value (a test compares them). They are repeated here because a session
// must be able to name them, [LightTunnel.LtRouteType]::Server, while the engine lives in a load context of its own.

/// <summary>What becomes of connections that an access rule is about.</summary>
public enum LtRuleAction
{
    /// <summary>They are refused.</summary>
    Deny = 0,

    /// <summary>They pass.</summary>
    Allow = 1,
}

/// <summary>Of which protocol connections are that an access rule is about.</summary>
public enum LtRuleProtocol
{
    /// <summary>Of any.</summary>
    Any = 0,

    /// <summary>TCP.</summary>
    Tcp = 1,

    /// <summary>UDP.</summary>
    Udp = 2,

    /// <summary>ICMP and ICMPv6: pings, for the most part.</summary>
    Icmp = 3,
}

/// <summary>Where a tunnel stands.</summary>
public enum LtTunnelState
{
    /// <summary>Being set up.</summary>
    Starting,

    /// <summary>A client on its way to its first registration.</summary>
    Connecting,

    /// <summary>Working: a server that listens, a client that is registered.</summary>
    Up,

    /// <summary>A client whose server stopped answering; it tries again for ever.</summary>
    Reconnecting,

    /// <summary>Being taken down.</summary>
    Stopping,

    /// <summary>Taken down.</summary>
    Stopped,

    /// <summary>Given up; LastError says why.</summary>
    Failed,

    /// <summary>
    /// In the network, but the system's interface is not as it should be, and cannot be put right; LastError says what is wrong.
    /// </summary>
    Impaired,

    /// <summary>
    /// A client that is no member yet: an administrator of the network has to approve it, or has denied it. LastError says which, and what
    /// to do.
    /// </summary>
    AwaitingApproval,
}

/// <summary>How a destination is reached.</summary>
public enum LtRouteType
{
    /// <summary>Straight to the peer.</summary>
    Direct,

    /// <summary>Through another client.</summary>
    Relay,

    /// <summary>Through the server.</summary>
    Server,

    /// <summary>Not at all: the peer is offline, or the path policy allows none of the ways there are.</summary>
    Offline,

    /// <summary>Without the tunnel: it lies behind this node itself.</summary>
    Own,
}

/// <summary>What becomes of a route here: a network behind a node may wait, stand by, or be in the way of something.</summary>
public enum LtRouteStanding
{
    /// <summary>It is routed, as each member's own addresses are.</summary>
    Active,

    /// <summary>Another node carries it; this one takes over when that one fails.</summary>
    Standby,

    /// <summary>It is offered, and waits for an admin's approval.</summary>
    Offered,

    /// <summary>It is offered and approved; whether others take it is theirs to say.</summary>
    Approved,

    /// <summary>An admin does not approve it.</summary>
    Denied,

    /// <summary>It is approved, and not taken here, as nobody has said that it may.</summary>
    NotAccepted,

    /// <summary>It would be taken, but is in the way of something here.</summary>
    Conflict,
}

/// <summary>The kind of path that is in use to a peer.</summary>
public enum LtPathType
{
    /// <summary>The peer is not there.</summary>
    Offline,

    /// <summary>Straight, within the local network.</summary>
    Lan,

    /// <summary>Straight, through the public network.</summary>
    Direct,

    /// <summary>Through another client.</summary>
    Relay,

    /// <summary>Through the server.</summary>
    Server,
}

/// <summary>What a test of a peer came to.</summary>
public enum LtReachability
{
    /// <summary>No ping came back, or the peer is offline.</summary>
    Unreachable,

    /// <summary>Reached through another node.</summary>
    Relayed,

    /// <summary>Reached straight.</summary>
    Direct,
}

/// <summary>What is known of the path that a route uses.</summary>
public enum LtRouteState
{
    /// <summary>No probe was answered yet.</summary>
    Unproven,

    /// <summary>Probes are answered.</summary>
    Up,

    /// <summary>The path does not answer.</summary>
    Down,

    /// <summary>There is no path: the type is Offline.</summary>
    Offline,
}

/// <summary>Importance of a log entry, least first.</summary>
public enum LtLogLevel
{
    /// <summary>For developers: sampled packet decisions.</summary>
    Debug,

    /// <summary>What an admin wants to read.</summary>
    Information,

    /// <summary>Something is wrong, and LightTunnel copes.</summary>
    Warning,

    /// <summary>Something is wrong, and somebody must act.</summary>
    Error,
}

/// <summary>How bad a problem of a configuration file is.</summary>
public enum LtConfigurationSeverity
{
    /// <summary>The file works, but something should be looked at.</summary>
    Warning,

    /// <summary>The file cannot be used.</summary>
    Error,
}

/// <summary>Which paths to other members may be used.</summary>
public enum LtPathPolicy
{
    /// <summary>The best there is.</summary>
    Auto,

    /// <summary>Only direct paths; without one the peer is not reached.</summary>
    DirectOnly,

    /// <summary>Only through another member or the server.</summary>
    RelayOnly,
}

/// <summary>Why a peer is reached the way it is.</summary>
public enum LtPathReason
{
    /// <summary>Nothing was tried yet.</summary>
    Unknown,

    /// <summary>The peer is reached directly.</summary>
    DirectUp,

    /// <summary>Attempts to reach the peer directly are being made.</summary>
    Punching,

    /// <summary>The peer has not told its endpoints yet.</summary>
    WaitingForPeer,

    /// <summary>The peer is offline.</summary>
    PeerOffline,

    /// <summary>No usable endpoint of this node or of the peer is known.</summary>
    NoCandidates,

    /// <summary>Both NATs choose ports that cannot be predicted.</summary>
    BothNatsRandom,

    /// <summary>UDP to the public network does not come back.</summary>
    UdpBlocked,

    /// <summary>All endpoints were tried and none answered; attempts go on.</summary>
    NoAnswer,

    /// <summary>A direct path stopped answering; attempts go on.</summary>
    PathLost,

    /// <summary>The path policy does not allow another path.</summary>
    Policy,

    /// <summary>Another member passes the datagrams on, faster than the server.</summary>
    RelayIsBetter,

    /// <summary>The peer is the server itself.</summary>
    IsServer,

    /// <summary>The peer is a plain WireGuard client: the server opens what it sends and is sent, and seals it again.</summary>
    PlainWireGuard,

    /// <summary>The peer's key is another than the one that this machine knows: it is none until Confirm-LtMember.</summary>
    KeyChanged,

    /// <summary>This machine takes signed members only, and no admin has signed the peer as it is.</summary>
    NotSigned,
}

/// <summary>How things stand with an admin's signature of a member.</summary>
public enum LtSignature
{
    /// <summary>Nobody asks for one.</summary>
    NotRequired,

    /// <summary>An admin has signed the member as it is.</summary>
    Valid,

    /// <summary>There is none.</summary>
    Missing,

    /// <summary>It is of another key than the network's.</summary>
    OtherKey,

    /// <summary>It does not fit: the member has another name or address than was signed, is of another network, or it is forged.</summary>
    Mismatch,

    /// <summary>Its time is over.</summary>
    Expired,

    /// <summary>A later one of the same member was seen already.</summary>
    Outdated,

    /// <summary>It was not looked at yet, as there are very many at once.</summary>
    Unchecked,
}

/// <summary>Which paths to one member may be used.</summary>
public enum LtPeerPathPolicy
{
    /// <summary>What the network's policy says.</summary>
    Default,

    /// <summary>The best there is.</summary>
    Auto,

    /// <summary>Only direct paths; without one the peer is not reached.</summary>
    DirectOnly,

    /// <summary>Only through another member or the server.</summary>
    RelayOnly,
}

/// <summary>What a NAT's mapping or filtering depends on, in the words of RFC 4787.</summary>
public enum LtEndpointDependence
{
    /// <summary>Not measured.</summary>
    Unknown,

    /// <summary>The same for every remote endpoint.</summary>
    EndpointIndependent,

    /// <summary>Differs by remote address.</summary>
    AddressDependent,

    /// <summary>Differs by remote address and port.</summary>
    AddressAndPortDependent,
}

/// <summary>How a NAT chooses the outer port of a new mapping, in the words of RFC 4787.</summary>
public enum LtPortAssignment
{
    /// <summary>Not measured.</summary>
    Unknown,

    /// <summary>The inner port, when free.</summary>
    Preserving,

    /// <summary>A fixed step from the last one.</summary>
    Sequential,

    /// <summary>No rule to be seen.</summary>
    Random,
}

/// <summary>How an endpoint of a peer came to be known.</summary>
public enum LtCandidateKind
{
    /// <summary>An address of one of the peer's own interfaces.</summary>
    Host,

    /// <summary>An endpoint that a person gave.</summary>
    Manual,

    /// <summary>Where the server sees the peer.</summary>
    ServerReflexive,

    /// <summary>Where another member sees the peer, or whence its probe came.</summary>
    PeerReflexive,

    /// <summary>A port that the peer's router forwards on request.</summary>
    PortMapped,

    /// <summary>The endpoint that a NAT with sequential ports will most likely hand out next.</summary>
    Predicted,
}

/// <summary>What came of probing one endpoint of a peer.</summary>
public enum LtProbeResult
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

/// <summary>What Windows takes a network for.</summary>
public enum LtNetworkCategory
{
    /// <summary>Others in it are not trusted: this machine hides, and shares nothing.</summary>
    Public,

    /// <summary>Others in it may find this machine, and reach what it shares.</summary>
    Private,
}

/// <summary>What packets to a peer are sealed with.</summary>
public enum LtCipherSuite
{
    /// <summary>ChaCha20-Poly1305, as in every WireGuard implementation.</summary>
    WireGuard,

    /// <summary>AEGIS-256, between LightTunnel nodes.</summary>
    Aegis256,
}

/// <summary>Which cipher suites a node wants.</summary>
public enum LtCipherPolicy
{
    /// <summary>
    /// AEGIS-256 with LightTunnel nodes that want it too, if this machine's processor has AES instructions; otherwise WireGuard's.
    /// </summary>
    Auto,

    /// <summary>WireGuard's with everybody.</summary>
    WireGuard,
}

/// <summary>What a tunnel is in its network.</summary>
public enum LtTunnelRole
{
    /// <summary>The one server.</summary>
    Server,

    /// <summary>One of the clients.</summary>
    Client,
}

/// <summary>What a member runs.</summary>
public enum LtMemberKind
{
    /// <summary>LightTunnel: nobody between two such members can read what they send each other.</summary>
    LightTunnel,

    /// <summary>Any WireGuard app: it talks to the server alone, which can read what it sends and is sent.</summary>
    WireGuard,
}

/// <summary>How things stand with a member.</summary>
public enum LtMemberState
{
    /// <summary>The server hears it.</summary>
    Online,

    /// <summary>It is not there.</summary>
    Offline,

    /// <summary>An admin keeps it out.</summary>
    Blocked,

    /// <summary>It is no member yet, and waits until an admin approves it.</summary>
    Pending,

    /// <summary>It asked to become a member, and an admin denied it.</summary>
    Denied,

    /// <summary>Its membership has ended.</summary>
    Expired,
}

/// <summary>Where a service stands.</summary>
public enum LtServiceState
{
    /// <summary>It does not run, and nothing is wrong with that.</summary>
    Stopped,

    /// <summary>It is on its way.</summary>
    Starting,

    /// <summary>It runs.</summary>
    Running,

    /// <summary>It is being stopped.</summary>
    Stopping,

    /// <summary>It ended with an error and is started again in a moment.</summary>
    Restarting,

    /// <summary>It ended with an error and stays down; LastError says why.</summary>
    Failed,
}

/// <summary>Which of a tunnel's logs.</summary>
public enum LtLogCategory
{
    /// <summary>All that the tunnel tells.</summary>
    Tunnel,

    /// <summary>What matters for security, kept for longer.</summary>
    Security,

    /// <summary>What was done to the network's members, and by whom, on its server.</summary>
    Audit,
}

/// <summary>What became different in who may be in a network, and what may pass.</summary>
public enum LtAuditAction
{
    /// <summary>A machine became a member.</summary>
    Joined,

    /// <summary>An admin made a machine a member that has plain WireGuard.</summary>
    Added,

    /// <summary>A member is none any more, as nobody had seen it for long or others needed its address.</summary>
    Forgotten,

    /// <summary>An admin took a member's place away.</summary>
    Removed,

    /// <summary>An admin keeps a member out.</summary>
    Blocked,

    /// <summary>A member that was kept out may come in again.</summary>
    Unblocked,

    /// <summary>A machine asks to become a member, which an admin has to approve.</summary>
    ApprovalAsked,

    /// <summary>An admin made a member of a machine that asked.</summary>
    Approved,

    /// <summary>An admin denied a machine that asked.</summary>
    Denied,

    /// <summary>An admin has said when a membership ends.</summary>
    ExpiryChanged,

    /// <summary>A membership has ended.</summary>
    Expired,

    /// <summary>An admin gave a member another name.</summary>
    Renamed,

    /// <summary>An admin gave a member other addresses.</summary>
    AddressChanged,

    /// <summary>An admin put a member into groups, or out of them.</summary>
    GroupsChanged,

    /// <summary>A network behind a member was approved.</summary>
    RouteApproved,

    /// <summary>A network behind a member was denied.</summary>
    RouteDenied,

    /// <summary>An invitation was made.</summary>
    InvitationCreated,

    /// <summary>An invitation was taken back.</summary>
    InvitationRemoved,

    /// <summary>Access rules were made, changed or removed.</summary>
    RulesChanged,

    /// <summary>An admin has signed a member.</summary>
    MemberSigned,

    /// <summary>The network was given another key.</summary>
    NetworkKeyChanged,

    /// <summary>An admin was given the configuration of a member that has plain WireGuard anew.</summary>
    ConfigurationRenewed,
}

/// <summary>What becomes of a member whose key is another than the one that this machine has had a link with.</summary>
public enum LtKeyChange
{
    /// <summary>It is no member here until Confirm-LtMember.</summary>
    Refuse,

    /// <summary>The server's word is enough, and a warning tells of it.</summary>
    Accept,
}
