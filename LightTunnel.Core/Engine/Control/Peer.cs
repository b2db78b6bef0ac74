using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>
/// Another node as this one knows it. The control loop writes; data threads read the members that say so, each of which is a single
/// reference or word.
/// </summary>
internal sealed class Peer : IScheduled
{
    /// <summary>Most packets that wait for the link to be set up.</summary>
    public const int MaximumStaged = 64;

    private volatile TunnelAddress[] _addresses = [];
    private volatile Link? _link;
    private volatile bool _online;
    private volatile ProbedPath? _usedPath;
    private int _staged;
    private Timestamp _lastReceivedTimestamp;
    private long _lastTraffic = long.MinValue;
    private long _publishedRoundTrip;
    private PathAddress _measuredPath;

    /// <param name="key">The peer's public key: what it is known by.</param>
    /// <param name="time">The clock.</param>
    public Peer(in PublicKey key, TimeProvider time)
    {
        Key = key;
        Frames = FrameIntake.ForMember(time);
        Registrations = new RateLimiter(time, TimeSpan.FromSeconds(2), burst: 8);
        Monitor = new PathMonitor();
        PathMtu = new PeerMtu(TunnelOptions.DefaultMtu);
        Updated = time.GetUtcNow();
        WantedAt = time.Now();
    }

    /// <summary>The peer's public key.</summary>
    public PublicKey Key { get; }

    /// <summary>What of the peer's control frames is taken; of its own for the network's server. Read by data threads.</summary>
    public FrameIntake Frames { get; init; }

    /// <summary>Server: when the peer may register: 8 times at once, and once more each 2 s, as each costs all others a look.</summary>
    public RateLimiter Registrations { get; }

    /// <summary>Id that relay headers carry, 0 until the server gave one.</summary>
    public uint MemberId { get; set; }

    /// <summary>The peer's name in the directory.</summary>
    public string Name { get; set; } = string.Empty;

    /// <summary>LightTunnel version of the peer, null when unknown.</summary>
    public string? Version { get; set; }

    /// <summary>The suite that the peer prefers, as it told; WireGuard's until it did.</summary>
    public CipherSuite PreferredSuite { get; set; }

    /// <summary>True for the network's server.</summary>
    public bool IsServer { get; init; }

    /// <summary>Addresses that the peer may send from and is sent to. Read by data threads; replaced, never changed.</summary>
    public TunnelAddress[] Addresses
    {
        get => _addresses;
        set => _addresses = value;
    }

    /// <summary>The link, null until somebody needs one. Read by data threads.</summary>
    public Link? Link
    {
        get => _link;
        set
        {
            _lastReceivedTimestamp = LastReceivedTimestamp;
            _link = value;
        }
    }

    /// <summary>True while the directory lists the peer as online; it also counts as online while a direct path to it is proven.</summary>
    public bool IsListedOnline { get; set; }

    /// <summary>Timestamp of the last authentic datagram of the peer's links, those that are gone included. Control loop only.</summary>
    public Timestamp LastReceivedTimestamp => Timestamp.Latest(_link?.LastReceivedTimestamp ?? Timestamp.NotYet, _lastReceivedTimestamp);

    /// <summary>True while the peer takes part. Read by data threads.</summary>
    public bool Online
    {
        get => _online;
        set => _online = value;
    }

    /// <summary>Longest inner packet that the network carries, bytes. Read by data threads.</summary>
    public int NetworkMtu
    {
        get => PathMtu.Largest;
        set => PathMtu.Largest = value;
    }

    /// <summary>Longest inner packet that passes whole by the path in use, bytes; the network's MTU until it was measured. Read by data threads.</summary>
    public int Mtu => PathMtu.Current;

    /// <summary>Measures <see cref="Mtu"/>.</summary>
    public PeerMtu PathMtu { get; }

    /// <summary>Packets dropped because their inner source was not the peer's. Bumped by the threads that receive.</summary>
    public long WrongSourcePackets;

    /// <summary>Measures the path in use.</summary>
    public PathMonitor Monitor { get; }

    /// <summary>Round trip as the peer measured it, null until it told.</summary>
    public TimeSpan? ReportedRoundTrip { get; set; }

    /// <summary>Loss as the peer measured it, 0..1, null until it told.</summary>
    public double? ReportedLoss { get; set; }

    /// <summary>Smoothed round trip, measured by whichever side probes.</summary>
    public TimeSpan? RoundTrip => UsedPath?.RoundTrip ?? Monitor.RoundTrip ?? ReportedRoundTrip;

    /// <summary>
    /// How far away the peer is: the shortest <see cref="RoundTrip"/> of the path in use, as those behind a queue tell of the queue. Ticks of a <see cref="TimeSpan"/>, 0 when unknown,
    /// as of the last <see cref="PublishRoundTrip"/>. Read by data threads.
    /// </summary>
    public long PublishedRoundTrip => Volatile.Read(ref _publishedRoundTrip);

    /// <summary>Share of probes lost, 0..1, measured by whichever side probes.</summary>
    public double? Loss => UsedPath is { } path ? path.Loss : Monitor.Loss ?? ReportedLoss;

    /// <summary>The kind of path in use; a client without a link is reached through the server.</summary>
    public PathType PathType => !Online ? PathType.Offline
        : UsedPath is { } used ? (used.Key.IsRelayed ? PathType.Relay : IsLocal ? PathType.Lan : PathType.Direct)
        : IsDirectlyLinked ? (Path.Endpoint.IsLocal ? PathType.Lan : PathType.Direct)
        : PathType.Server;

    /// <summary>Quality of the path in use, 0..150.</summary>
    public int Quality => PathQuality.Of(PathType, RoundTrip, Loss);

    /// <summary>Timestamp of the last data packet to or from the peer, <see cref="long.MinValue"/> for never; any thread.</summary>
    public long LastTraffic => Volatile.Read(ref _lastTraffic);

    /// <summary>What is done to reach the peer directly, null until somebody asks for it. A client's, for other clients.</summary>
    public PeerTraversal? Traversal { get; set; }

    /// <summary>The probes of <see cref="Traversal"/>, which owns it.</summary>
    public ProbeChannel? Channel { get; set; }

    /// <summary>The path in use, direct or through another member; null while the server passes everything on. Read by data threads.</summary>
    public ProbedPath? UsedPath
    {
        get => _usedPath;
        set => _usedPath = value;
    }

    /// <summary>The direct path in use, or null.</summary>
    public ProbedPath? DirectPath => UsedPath is { Key.IsRelayed: false } direct ? direct : null;

    /// <summary>True when <see cref="DirectPath"/> lies within the local network.</summary>
    public bool IsLocal { get; set; }

    /// <summary>Which paths to this peer may be used; null for what the network says.</summary>
    public PathPolicy? Policy { get; set; }

    /// <summary>True while the policy allows none of the paths that there are.</summary>
    public bool IsForbidden { get; set; }

    /// <summary>The reliable control channel, on links between client and server only.</summary>
    public ControlSession? Session { get; set; }

    /// <summary>Server: whether two machines have the peer's key pair, null before it registered.</summary>
    public IdentityWatch? Identity { get; set; }

    /// <summary>Server: whether the peer took part in its last conversation that is over.</summary>
    public bool WasAnswered { get; set; }

    /// <summary>Timestamp at which the peer's link came up first.</summary>
    public long LinkedAt { get; set; }

    /// <summary>Timestamp at which this node came to know the peer, or somebody here last asked for it.</summary>
    public long WantedAt { get; set; }

    /// <summary>When the route to the peer last changed.</summary>
    public DateTimeOffset Updated { get; set; }

    /// <inheritdoc/>
    public int QueuePosition { get; set; } = -1;

    /// <summary>When this peer's timers are due.</summary>
    public Timestamp Deadline { get; set; } = Timestamp.Never;

    /// <summary>Packets that wait for the link; control loop only.</summary>
    public Queue<byte[]> Staged { get; } = new();

    /// <summary>Tells data threads how far away the peer is. Control loop only.</summary>
    public void PublishRoundTrip()
    {
        PathAddress path = Path;
        long known = path == _measuredPath ? PublishedRoundTrip : 0, measured = RoundTrip?.Ticks ?? 0;
        _measuredPath = path;
        Volatile.Write(ref _publishedRoundTrip, known == 0 ? measured : measured == 0 ? known : Math.Min(known, measured));
    }

    /// <summary>Notes a data packet; true when it is the first after a pause. Any thread.</summary>
    public bool Touch(long now, long pause)
    {
        long last = Volatile.Read(ref _lastTraffic);
        if (last == now)
            return false;
        Volatile.Write(ref _lastTraffic, now);
        return last == long.MinValue || now - last > pause;
    }

    /// <summary>Reserves a place for a packet that waits for the link; any thread.</summary>
    public bool TryReserveStaged()
    {
        if (Interlocked.Increment(ref _staged) <= MaximumStaged)
            return true;
        Interlocked.Decrement(ref _staged);
        return false;
    }

    /// <summary>Gives a place back.</summary>
    public void ReleaseStaged() => Interlocked.Decrement(ref _staged);

    /// <summary>True when a packet from the peer may carry this inner source address (crypto-key routing, WireGuard paper section 2).</summary>
    public bool Owns(TunnelAddress source)
    {
        foreach (TunnelAddress address in _addresses)
        {
            if (address == source)
                return true;
        }

        return false;
    }

    /// <summary>True when datagrams to the peer go straight to its endpoint.</summary>
    public bool IsDirectlyLinked => _link is { } link && link.Path is { IsRelayed: false, Endpoint.IsSpecified: true };

    /// <summary>True when datagrams to the peer go through a relay.</summary>
    public bool IsRelayed => _link is { } link && link.Path.IsRelayed;

    /// <summary>Outer endpoint that datagrams for the peer are sent to, or would be; unspecified when none is known.</summary>
    public UdpEndpoint Endpoint => UsedPath?.Key.Endpoint ?? Path.Endpoint;

    /// <summary>The ping that is to show whether the peer is at an address that it was suddenly heard from: its number, and where it went.</summary>
    public (uint Transaction, UdpEndpoint Endpoint)? Challenge { get; set; }

    /// <summary>Which stripes data to the peer may leave by; null until so much does that it is worth a thought.</summary>
    public PeerStripes? Stripes { get; set; }

    /// <summary>The path that the peer's datagrams take, unspecified without a link.</summary>
    public PathAddress Path => _link?.Path ?? default;
}
