using System.Collections.Immutable;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Data;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>
/// Another node as the control loop knows it, which owns all of it. Data threads see what is published of it, a <see cref="RouteTarget"/>.
/// </summary>
internal class Peer : RouteTarget, IScheduled
{
    private TunnelAddress[] _addresses = [];
    private ImmutableArray<IpPrefix> _prefixes = [];
    private ImmutableArray<IpPrefix> _taken = [];
    private Link? _link;
    private bool _online;
    private bool _isPlain;
    private CipherSuite _preferredSuite;
    private int _keyNumber;
    private Timestamp _lastReceivedTimestamp;
    private PathAddress _measuredPath;
    private PeerAccess? _access;
    private (int Generation, ImmutableArray<IpPrefix> Prefixes, ImmutableArray<IpPrefix> Taken) _accessOf;

    /// <param name="key">The peer's public key: what it is known by.</param>
    /// <param name="time">The clock.</param>
    public Peer(in PublicKey key, TimeProvider time)
        : base(PeerRoute.Nobody)
    {
        Key = key;
        Frames = ControlFrameQuota.ForMember(time);
        Monitor = new PathMonitor();
        PathMtu = new PeerMtu(TunnelOptions.DefaultMtu);
        Updated = time.GetUtcNow();
    }

    /// <summary>Who may change anything here; null for anybody, as long as it is nobody's.</summary>
    public ControlThread? Owner { get; init; }

    /// <summary>This node's access rules; null where there are none.</summary>
    public NodeAccessRules? Rules { get; init; }

    /// <summary>The peer's public key.</summary>
    public PublicKey Key { get; }

    /// <summary>Id that relay headers carry, 0 until the server gave one.</summary>
    public uint MemberId { get; set; }

    /// <summary>The peer's name in the directory.</summary>
    public string Name { get; set; } = string.Empty;

    /// <summary>LightTunnel version of the peer, null when unknown.</summary>
    public string? Version { get; set; }

    /// <summary>The suite that the peer prefers, as it told; WireGuard's until it did.</summary>
    public CipherSuite PreferredSuite
    {
        get => _preferredSuite;
        set
        {
            _preferredSuite = value;
            if (_link is { } link)
                link.PeerPrefers = value;
        }
    }

    /// <summary>The newest of the network's keys that the peer is known to have, by its number.</summary>
    public int KeyNumber
    {
        get => _keyNumber;
        set
        {
            _keyNumber = value;
            _link?.PeerKeyNumber = value;
        }
    }

    /// <summary>True for the network's server.</summary>
    public bool IsServer { get; init; }

    /// <summary>
    /// True for a plain WireGuard client: its only link is with the server, which opens and seals again what it sends others and is sent.
    /// It knows nothing of this project's own messages.
    /// </summary>
    public bool IsPlain
    {
        get => _isPlain;
        set
        {
            _isPlain = value;
            Publish();
        }
    }

    /// <summary>Addresses that the peer may send from and is sent to. Replaced, never changed.</summary>
    public TunnelAddress[] Addresses
    {
        get => _addresses;
        set
        {
            _addresses = value;
            _prefixes = [.. value.Select(IpPrefix.Host)];
            Publish();
        }
    }

    /// <summary>What is routed to the peer.</summary>
    public IReadOnlyList<IpPrefix> Prefixes => _prefixes;

    /// <summary>
    /// The networks behind the peer that it offers and that are approved, as the server says. Whether this node takes them is
    /// <see cref="SubnetRoutes"/>' to say, and nobody else sets them.
    /// </summary>
    public IReadOnlyList<IpPrefix> Subnets { get; internal set; } = [];

    /// <summary>Those of <see cref="Subnets"/> that this node takes. Replaced, never changed.</summary>
    public ImmutableArray<IpPrefix> Taken
    {
        get => _taken;
        set
        {
            _taken = value;
            Publish();
        }
    }

    /// <summary>True when the path in use was asked, and did not answer.</summary>
    public virtual bool IsFailing => Monitor.IsDead || (Monitor is { IsProven: false, Misses: > 0 });

    /// <summary>The link, null until somebody needs one.</summary>
    public Link? Link
    {
        get => _link;
        set
        {
            _lastReceivedTimestamp = LastReceivedTimestamp;
            _link = value;
            if (value is not null)
            {
                value.PeerPrefers = _preferredSuite;
                value.PeerKeyNumber = Math.Max(value.PeerKeyNumber, _keyNumber);
            }

            Publish();
        }
    }

    /// <summary>When the last authentic datagram of the peer's links came, those that are gone included. Control loop only.</summary>
    public Timestamp LastReceivedTimestamp => Timestamp.Latest(_link?.LastReceivedTimestamp ?? Timestamp.NotYet, _lastReceivedTimestamp);

    /// <summary>True while the peer takes part.</summary>
    public bool Online
    {
        get => _online;
        set
        {
            _online = value;
            Publish();
        }
    }

    /// <summary>
    /// True while the peer takes part, or is said to: one that may be reached directly only, and is not, counts as offline, but can be
    /// tried.
    /// </summary>
    public virtual bool IsThere => _online;

    /// <summary>Longest inner packet that the network carries, bytes.</summary>
    public int NetworkMtu
    {
        get => PathMtu.Largest;
        set
        {
            PathMtu.Largest = value;
            Publish();
        }
    }

    /// <summary>Longest inner packet that passes whole by the path in use, bytes; the network's MTU until it was measured.</summary>
    public int Mtu => PathMtu.Current;

    /// <summary>Measures <see cref="Mtu"/>.</summary>
    public PeerMtu PathMtu { get; }

    /// <summary>Measures the path in use.</summary>
    public PathMonitor Monitor { get; }

    /// <summary>Round trip as the peer measured it, null until it told.</summary>
    public TimeSpan? ReportedRoundTrip { get; set; }

    /// <summary>Loss as the peer measured it, 0..1, null until it told.</summary>
    public double? ReportedLoss { get; set; }

    /// <summary>Smoothed round trip, measured by whichever side probes.</summary>
    public virtual TimeSpan? RoundTrip => Monitor.RoundTrip ?? ReportedRoundTrip;

    /// <summary>Share of probes lost, 0..1, measured by whichever side probes.</summary>
    public virtual double? Loss => Monitor.Loss ?? ReportedLoss;

    /// <summary>The kind of path in use; a peer without a link is reached through the server.</summary>
    public virtual PathType PathType => !Online ? PathType.Offline
        : IsDirectlyLinked ? (Path.Endpoint.IsLocal ? PathType.Lan : PathType.Direct)
        : PathType.Server;

    /// <summary>Why the peer is reached the way it is.</summary>
    public virtual PathReason Reason => IsServer ? PathReason.IsServer
        : !Online ? PathReason.PeerOffline
        : IsDirectlyLinked ? PathReason.DirectUp
        : PathReason.WaitingForPeer;

    /// <summary>True while answers show that the path in use works, here or at its other end.</summary>
    public virtual bool IsPathProven => !Monitor.IsDead && (Monitor.IsProven || ReportedRoundTrip is not null);

    /// <summary>Quality of the path in use, 0..150.</summary>
    public int Quality => PathQuality.Of(PathType, RoundTrip, Loss);

    /// <summary>When the peer's link came up first.</summary>
    public Timestamp LinkedAt { get; set; }

    /// <summary>When the route to the peer last changed.</summary>
    public DateTimeOffset Updated { get; set; }

    /// <inheritdoc/>
    public int QueuePosition { get; set; } = -1;

    /// <summary>When this peer's timers are due.</summary>
    public Timestamp Deadline { get; set; } = Timestamp.Never;

    /// <summary>Packets that wait for the link; control loop only.</summary>
    public Queue<byte[]> Staged { get; } = new();

    /// <summary>Tells data threads what has changed; what is set here does so by itself, what is measured at each turn.</summary>
    public void Publish()
    {
        Owner?.Assert();
        PeerRoute known = Route;
        RouteVerdict verdict = _online ? RouteVerdict.Carry : RouteVerdict.Refuse;
        RouteTarget? carrier = Carrier;
        NextHop nextHop = NextHop;
        long roundTrip = ShortestRoundTrip(known.RoundTrip);
        PeerAccess? access = AccessNow(), guard = Guard;
        if (known.Verdict == verdict && known.Link == _link && known.Owned == _prefixes && known.Mtu == Mtu
            && known.NetworkMtu == NetworkMtu && known.Access == access && known.Guard == guard
            && known.RoundTrip == roundTrip && known.Carrier == carrier
            && known.NextHop == nextHop && known.IsPlain == _isPlain)
        {
            return;
        }

        Route = new PeerRoute
        {
            NextHop = nextHop,
            Verdict = verdict,
            Link = _link,
            Mtu = Mtu,
            NetworkMtu = NetworkMtu,
            Owned = _prefixes,
            Allowed = _prefixes,
            Access = access,
            Guard = guard,
            RoundTrip = roundTrip,
            Carrier = carrier,
            IsPlain = _isPlain,
            IsResealed = IsResealed,
        };
    }

    /// <summary>How packets go to the peer.</summary>
    protected virtual NextHop NextHop => NextHop.Link;

    /// <summary>True when this node opens what goes between this peer and others, and seals it again.</summary>
    protected virtual bool IsResealed => false;

    /// <summary>What may pass through this node between this peer and others, by the network's rules; null for everything.</summary>
    protected virtual PeerAccess? Guard => null;

    private PeerAccess? AccessNow()
    {
        if (Rules is not { } rules || _accessOf == (rules.Generation, _prefixes, _taken))
            return _access;
        _accessOf = (rules.Generation, _prefixes, _taken);
        return _access = rules.For(_prefixes, IsServer, _access, _taken);
    }

    /// <summary>Whose link carries what is sent to the peer, as its own goes through that one; null when it goes by itself.</summary>
    protected virtual RouteTarget? Carrier => null;

    /// <summary>
    /// The shortest one that was measured on the path in use, as those behind a queue tell of the queue; ticks, 0 when none was.
    /// </summary>
    private long ShortestRoundTrip(long published)
    {
        PathAddress path = Path;
        long known = path == _measuredPath ? published : 0, measured = RoundTrip?.Ticks ?? 0;
        _measuredPath = path;
        return known == 0 ? measured : measured == 0 ? known : Math.Min(known, measured);
    }

    /// <summary>True when datagrams to the peer go straight to its endpoint.</summary>
    public bool IsDirectlyLinked => _link is { } link && link.Path is { IsRelayed: false, Endpoint.IsSpecified: true };

    /// <summary>True when datagrams to the peer go through a relay.</summary>
    public bool IsRelayed => _link is { } link && link.Path.IsRelayed;

    /// <summary>Outer endpoint that datagrams for the peer are sent to, or would be; unspecified when none is known.</summary>
    public virtual UdpEndpoint Endpoint => Path.Endpoint;

    /// <summary>
    /// The ping that is to show whether the peer is at an address that it was suddenly heard from: its number, and where it went.
    /// </summary>
    public (uint Transaction, UdpEndpoint Endpoint)? Challenge { get; set; }

    /// <summary>Which stripes data to the peer may leave by; null until so much does that it is worth a thought.</summary>
    public PeerStripes? Stripes { get; set; }

    /// <summary>The path that the peer's datagrams take, unspecified without a link.</summary>
    public PathAddress Path => _link?.Path ?? default;
}
