using LightTunnel.Management;
using LightTunnel.Routing;
using LightTunnel.WireGuard;

namespace LightTunnel;

/// <summary>Another node as seen from this one, at one moment. Its text is its name.</summary>
public sealed class LtPeer
{
    internal LtPeer(PeerStatus status)
    {
        Network = status.Tunnel;
        Name = status.Name;
        Address = status.Addresses.Count == 0 ? null : status.Addresses[0].ToString();
        Addresses = new(status.Addresses.Select(address => address.ToString()));
        IsServer = status.IsServer;
        Kind = status.IsPlain ? LtMemberKind.WireGuard : LtMemberKind.LightTunnel;
        Path = (LtPathType)status.Path;
        PathReason = (LtPathReason)status.PathReason;
        PathReasonText = status.PathReason.Sentence();
        PathPolicy = (LtPathPolicy)status.PathPolicy;
        Via = status.Via;
        NatType = LtUnits.NatTypeOf(status.NatType);
        RelaysForOthers = status.RelaysForOthers;
        Endpoint = status.Endpoint?.ToString();
        RTT = status.RoundTrip;
        Loss = status.Loss;
        Quality = status.Path == PathType.Offline ? null : status.Quality;
        Rx = status.ReceivedBytes;
        Tx = status.SentBytes;
        Seen = status.LastSeen;
        Handshake = status.LastHandshake;
        Cipher = (LtCipherSuite?)status.Cipher;
        Mtu = status.Mtu;
        PublicKey = status.PublicKey;
        Fingerprint = KeyFingerprint.Of(status.PublicKey);
        Routes = new(status.Routes);
        Version = status.Version;
        WrongSourcePackets = status.WrongSourcePackets;
        Signature = (LtSignature)status.Signature;
        SignedUntil = status.SignedUntil;
    }

    /// <summary>Name of the tunnel that sees the peer.</summary>
    public string Network { get; }

    /// <summary>The peer's name in the directory.</summary>
    public string Name { get; }

    /// <summary>The peer's tunnel address.</summary>
    public string? Address { get; }

    /// <summary>All its tunnel addresses, IPv4 and IPv6.</summary>
    public LtList<string> Addresses { get; }

    /// <summary>True for the network's server.</summary>
    public bool IsServer { get; }

    /// <summary>What it runs: LightTunnel, or a plain WireGuard app, whose packets to others the server can read.</summary>
    public LtMemberKind Kind { get; }

    /// <summary>The kind of path in use.</summary>
    public LtPathType Path { get; }

    /// <summary>Why it is that path.</summary>
    public LtPathReason PathReason { get; }

    /// <summary>The same as a sentence.</summary>
    public string PathReasonText { get; }

    /// <summary>Which paths may be used.</summary>
    public LtPathPolicy PathPolicy { get; }

    /// <summary>Name of the member that passes datagrams on, or null.</summary>
    public string? Via { get; }

    /// <summary>What kind of NAT stands before the peer.</summary>
    public LtNatType NatType { get; }

    /// <summary>True when the peer passes on datagrams of others.</summary>
    public bool RelaysForOthers { get; }

    /// <summary>Outer endpoint that datagrams for the peer are sent to; the relay's when relayed; null when none.</summary>
    public string? Endpoint { get; }

    /// <summary>Smoothed round trip, null until measured.</summary>
    public TimeSpan? RTT { get; }

    /// <summary>Share of recent probes that were not answered, 0..1, null until measured.</summary>
    public double? Loss { get; }

    /// <summary>Quality of the path, 0..150; null while the peer is offline.</summary>
    public int? Quality { get; }

    /// <summary>Bytes received from the peer, inside the tunnel.</summary>
    public long Rx { get; }

    /// <summary>Bytes sent to the peer, inside the tunnel.</summary>
    public long Tx { get; }

    /// <summary>When something authentic of the peer last arrived, null if never.</summary>
    public DateTimeOffset? Seen { get; }

    /// <summary>When keys were last agreed with the peer, null if never.</summary>
    public DateTimeOffset? Handshake { get; }

    /// <summary>What packets are sealed with, null while no keys are agreed.</summary>
    public LtCipherSuite? Cipher { get; }

    /// <summary>
    /// Largest packet that passes whole by the path in use, inside the tunnel, bytes; the network's MTU until it was measured.
    /// </summary>
    public int Mtu { get; }

    /// <summary>The peer's public key, base64.</summary>
    public string PublicKey { get; }

    /// <summary>The key as people compare it by voice, "7K2M-9QX4-0ABT-C3DE": on the peer itself, Get-LtNetwork shows the same.</summary>
    public string Fingerprint { get; }

    /// <summary>Prefixes that are routed to the peer.</summary>
    public LtList<string> Routes { get; }

    /// <summary>LightTunnel version of the peer, null when unknown.</summary>
    public string? Version { get; }

    /// <summary>Packets of the peer that were dropped because their source address was not the peer's.</summary>
    public long WrongSourcePackets { get; }

    /// <summary>How things stand with an admin's signature of it, where this machine takes signed members only.</summary>
    public LtSignature Signature { get; }

    /// <summary>Until when its signature is good; null for ever, or when there is none.</summary>
    public DateTimeOffset? SignedUntil { get; }

    /// <summary>The name.</summary>
    public override string ToString() => Name;

    /// <summary>The engine knows no policy "Default": it has none for that member then.</summary>
    internal static PathPolicy? ToEngine(LtPeerPathPolicy policy) =>
        policy == LtPeerPathPolicy.Default ? null : Enum.Parse<PathPolicy>(policy.ToString());
}
