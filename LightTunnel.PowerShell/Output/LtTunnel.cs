using LightTunnel.Management;
using LightTunnel.WireGuard;

namespace LightTunnel;

/// <summary>
/// A tunnel of this machine at one moment: what servers and networks have in common. Its properties are how things stood then, its events
/// tell what happens from the moment on at which somebody listens, on threads of the pool. Its text is its name.
/// </summary>
public abstract class LtTunnel
{
    private readonly TunnelEvents _events;

    internal LtTunnel(ITunnelHandle tunnel, TunnelStatus status, DateTimeOffset now)
    {
        Name = status.Name;
        NetworkName = status.NetworkName;
        State = (LtTunnelState)status.State;
        Address = status.Addresses.Count == 0 ? null : status.Addresses[0];
        Addresses = new(status.Addresses);
        PublicKey = status.PublicKey;
        Fingerprint = KeyFingerprint.Of(status.PublicKey);
        Interface = status.InterfaceName;
        InterfaceIndex = status.InterfaceIndex;
        Mtu = status.Mtu;
        ListenPort = status.ListenPort;
        Peers = status.Peers;
        PeersOnline = status.PeersOnline;
        PeersDirect = status.PeersDirect;
        Rx = status.Counters.ReceivedBytes;
        Tx = status.Counters.SentBytes;
        RxPackets = status.Counters.ReceivedPackets;
        TxPackets = status.Counters.SentPackets;
        Dropped = new LtCounters(status.Counters.Dropped);
        Started = status.Started;
        Uptime = now > status.Started ? now - status.Started : TimeSpan.Zero;
        LastError = status.LastError;
        ExitNode = status.ExitNode;
        ProcessId = status.ProcessId;
        SigningKeys = new(status.SigningKeys);
        SigningFingerprints = new(status.SigningKeys.Select(KeyFingerprint.Of));
        _events = new TunnelEvents(this, tunnel);
    }

    /// <summary>A destination came, went, or is reached another way.</summary>
    public event EventHandler<LtRouteChangedEventArgs>? RouteChanged
    {
        add => _events.RouteChanged += value;
        remove => _events.RouteChanged -= value;
    }

    /// <summary>The tunnel is connected, has lost its server, or has stopped.</summary>
    public event EventHandler<LtStateChangedEventArgs>? StateChanged
    {
        add => _events.StateChanged += value;
        remove => _events.StateChanged -= value;
    }

    /// <summary>The tunnel's name on this machine.</summary>
    public string Name { get; }

    /// <summary>The network's name, which its server gave it; null until known. A member's tunnel has a name of its own.</summary>
    public string? NetworkName { get; }

    /// <summary>Where the tunnel stands.</summary>
    public LtTunnelState State { get; }

    /// <summary>Own address with the network's prefix length, "10.0.0.1/24"; null until leased.</summary>
    public string? Address { get; }

    /// <summary>All own addresses, IPv4 and IPv6.</summary>
    public LtList<string> Addresses { get; }

    /// <summary>Own public key, base64.</summary>
    public string PublicKey { get; }

    /// <summary>The key as people compare it by voice, "7K2M-9QX4-0ABT-C3DE": others see the same by Get-LtPeer.</summary>
    public string Fingerprint { get; }

    /// <summary>Name of the tunnel interface, null until it exists.</summary>
    public string? Interface { get; }

    /// <summary>System index of the tunnel interface, 0 until it exists.</summary>
    public int InterfaceIndex { get; }

    /// <summary>MTU of the tunnel interface, bytes.</summary>
    public int Mtu { get; }

    /// <summary>UDP port in use.</summary>
    public int ListenPort { get; }

    /// <summary>Other clients known; the server is not counted.</summary>
    public int Peers { get; }

    /// <summary>Of those, online.</summary>
    public int PeersOnline { get; }

    /// <summary>Of those, reached directly.</summary>
    public int PeersDirect { get; }

    /// <summary>Bytes received from peers, inside the tunnel.</summary>
    public long Rx { get; }

    /// <summary>Bytes sent to peers, inside the tunnel.</summary>
    public long Tx { get; }

    /// <summary>Packets received from peers, inside the tunnel.</summary>
    public long RxPackets { get; }

    /// <summary>Packets sent to peers, inside the tunnel.</summary>
    public long TxPackets { get; }

    /// <summary>Why packets were dropped, and how often.</summary>
    public LtCounters Dropped { get; }

    /// <summary>When the tunnel was started.</summary>
    public DateTimeOffset Started { get; }

    /// <summary>Time since the start.</summary>
    public TimeSpan Uptime { get; }

    /// <summary>The last thing that went wrong, or null.</summary>
    public string? LastError { get; }

    /// <summary>The member by which all traffic of this machine goes out, as it was named; nothing when it goes out by itself.</summary>
    public string? ExitNode { get; }

    /// <summary>
    /// Public halves of the signing keys, base64: by these a server's members are signed, and a member takes those alone that are; none
    /// where unsigned members are taken.
    /// </summary>
    public LtList<string> SigningKeys { get; }

    /// <summary>The same as people compare them by voice.</summary>
    public LtList<string> SigningFingerprints { get; }

    /// <summary>Process that runs the tunnel.</summary>
    public int ProcessId { get; }

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}

/// <summary>A server of this machine, at one moment.</summary>
public sealed class LtServer : LtTunnel
{
    internal LtServer(ITunnelHandle tunnel, TunnelStatus status, DateTimeOffset now)
        : base(tunnel, status, now)
    {
        Relayed = status.Counters.RelayedBytes;
        RelayedPackets = status.Counters.RelayedPackets;
        Endpoints = new(status.Endpoints);
        MaxClients = status.MaxClients;
        ClientIsolation = status.ClientIsolation;
    }

    /// <summary>Sealed bytes passed on between clients.</summary>
    public long Relayed { get; }

    /// <summary>Sealed datagrams passed on between clients.</summary>
    public long RelayedPackets { get; }

    /// <summary>"host:port" that go into invitations.</summary>
    public LtList<string> Endpoints { get; }

    /// <summary>Most clients that may be online at once.</summary>
    public int MaxClients { get; }

    /// <summary>Clients may talk to the server only.</summary>
    public bool ClientIsolation { get; }
}

/// <summary>A network that this machine has joined as a client, at one moment.</summary>
public sealed class LtNetwork : LtTunnel
{
    internal LtNetwork(ITunnelHandle tunnel, TunnelStatus status, DateTimeOffset now)
        : base(tunnel, status, now)
    {
        Server = status.Server;
        ServerKey = status.ServerKey;
        PublicEndpoint = status.PublicEndpoint?.ToString();
        NatType = LtUnits.NatTypeOf(status.NatType);
        PortMapping = status.PortMapping;
        Connected = status.Connected;
        Reconnects = status.Reconnects;
        MemberName = status.MemberName;
        Signature = (LtSignature)status.Signature;
        SignedUntil = status.SignedUntil;
    }

    /// <summary>Endpoint of the server in use, or as configured until known.</summary>
    public string? Server { get; }

    /// <summary>The server's public key, base64.</summary>
    public string? ServerKey { get; }

    /// <summary>Own endpoint as the server sees it.</summary>
    public string? PublicEndpoint { get; }

    /// <summary>What kind of NAT stands before this machine.</summary>
    public LtNatType NatType { get; }

    /// <summary>The endpoint that the router forwards to this machine on request, or null.</summary>
    public string? PortMapping { get; }

    /// <summary>Time of the last registration.</summary>
    public DateTimeOffset? Connected { get; }

    /// <summary>How often the server was lost and found again.</summary>
    public int Reconnects { get; }

    /// <summary>This machine's name in the network; null until it is registered.</summary>
    public string? MemberName { get; }

    /// <summary>How things stand with an admin's signature of this machine, where members are signed.</summary>
    public LtSignature Signature { get; }

    /// <summary>Until when that is good; null for ever, or when there is none.</summary>
    public DateTimeOffset? SignedUntil { get; }
}
