namespace LightTunnel.Routing;

/// <summary>Why a peer is reached the way it is.</summary>
public enum PathReason
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

    /// <summary>The peer's key is another than the one that this machine knows: it is none until that is confirmed.</summary>
    KeyChanged,

    /// <summary>This machine takes signed members only, and no admin has signed the peer as it is.</summary>
    NotSigned,
}

/// <summary>What a person is told of a <see cref="PathReason"/>.</summary>
public static class PathReasons
{
    /// <summary>One sentence for people.</summary>
    public static string Sentence(this PathReason reason) => reason switch
    {
        PathReason.DirectUp => "The peer is reached directly.",
        PathReason.Punching => "A direct path is being tried right now.",
        PathReason.WaitingForPeer => "The peer has not told its endpoints yet.",
        PathReason.PeerOffline => "The peer is offline.",
        PathReason.NoCandidates => "No endpoint is known at which this node and the peer could meet.",
        PathReason.BothNatsRandom => "Both NATs choose ports that cannot be predicted.",
        PathReason.UdpBlocked => "A firewall blocks UDP to other nodes.",
        PathReason.NoAnswer => "No endpoint of the peer has answered; attempts go on.",
        PathReason.PathLost => "The direct path stopped answering; attempts go on.",
        PathReason.Policy => "The path policy does not allow another path.",
        PathReason.RelayIsBetter => "Another member passes the datagrams on, faster than the server would.",
        PathReason.IsServer => "The peer is the server itself.",
        PathReason.PlainWireGuard => "The peer is a plain WireGuard client, which talks to the server alone: that can read its packets.",
        PathReason.KeyChanged => "The peer's key is another than the one that this machine knows for its name or address.",
        PathReason.NotSigned => "No admin has signed the peer as it is, and this machine takes signed members only.",
        _ => "Nothing was tried yet.",
    };

    /// <summary>One sentence that says what a person can do to reach the peer directly; null when there is nothing to be done.</summary>
    public static string? RecommendedAction(this PathReason reason) => reason switch
    {
        PathReason.DirectUp or PathReason.IsServer => null,
        PathReason.Punching => "Wait some seconds and test again, or allow more time with -TimeoutSec.",
        PathReason.WaitingForPeer =>
            "Wait some seconds and test again; if it stays so, see that the peer runs a version of LightTunnel that finds direct paths.",
        PathReason.PeerOffline => "Start LightTunnel on the peer, and see with Test-LtNetwork there that it reaches the server.",
        PathReason.NoCandidates =>
            "Connect both machines to a network that others can reach, or tell one's endpoint with Connect-LtNetwork -AdvertiseEndpoint.",
        PathReason.BothNatsRandom =>
            "Let one of the two routers forward a UDP port to its machine, by UPnP or PCP, or by hand together with Connect-LtNetwork "
                + "-ListenPort and -AdvertiseEndpoint.",
        PathReason.UdpBlocked =>
            "Allow UDP to LightTunnel's port, and the answers to it, in the firewalls of both nodes and of their networks.",
        PathReason.NoAnswer or PathReason.RelayIsBetter =>
            "See whether a firewall on either side drops UDP between the two; a UDP port that one router forwards, "
                + "told with Connect-LtNetwork -AdvertiseEndpoint, helps in any case.",
        PathReason.PathLost =>
            "Wait some seconds, as it is tried again by itself; if it stays so, see what changed in the network or the firewall of "
                + "either side.",
        PathReason.KeyChanged =>
            "Compare its fingerprint (Get-LtPeer | Format-List) with what its owner reads there; if it is the same, Confirm-LtMember.",
        PathReason.NotSigned =>
            "Have an admin compare its fingerprint (Get-LtPeer | Format-List) with what its owner reads there, and sign it: "
                + "Confirm-LtMember -SigningKeyPath.",
        PathReason.Policy =>
            "Allow other paths on both nodes: Set-LtPeer -PathPolicy Auto for this peer, or Connect-LtNetwork -PathPolicy Auto for all.",
        PathReason.PlainWireGuard => "Nothing makes it direct; with LightTunnel on that machine it would be a member like any other.",
        _ => "Test again in some seconds: nothing was tried yet.",
    };
}
