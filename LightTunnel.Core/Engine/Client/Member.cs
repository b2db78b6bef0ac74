using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>What a client knows of another member, besides what every peer has. Owned by the control loop.</summary>
internal sealed class Member : Peer
{
    private readonly RouteTarget? _server;
    private volatile ProbedPath? _usedPath;

    /// <param name="key">The member's public key.</param>
    /// <param name="time">The clock.</param>
    /// <param name="server">Who passes on what is sent to the member while no other path is used.</param>
    public Member(in PublicKey key, TimeProvider time, RouteTarget? server = null)
        : base(key, time)
    {
        _server = server;
        WantedAt = time.Now();
    }

    /// <summary>
    /// True while the directory lists the member as online; it also counts as online while a direct path to it is proven.
    /// </summary>
    public bool IsListedOnline { get; set; }

    /// <summary>When this node came to know the member, or somebody here last asked for it.</summary>
    public Timestamp WantedAt { get; set; }

    /// <summary>What is done to reach the member directly, null until somebody asks for it.</summary>
    public PeerTraversal? Traversal { get; set; }

    /// <summary>The probes of <see cref="Traversal"/>, which owns it.</summary>
    public ProbeChannel? Channel { get; set; }

    /// <summary>Which paths to the member may be used; null for what the network says.</summary>
    public PathPolicy? Policy { get; set; }

    /// <summary>True while the policy allows none of the paths that there are.</summary>
    public bool IsForbidden { get; set; }

    /// <summary>
    /// The path in use, direct or through another member; null while the server passes everything on. Any thread may read it.
    /// </summary>
    public ProbedPath? UsedPath
    {
        get => _usedPath;
        set
        {
            _usedPath = value;
            Publish();
        }
    }

    /// <summary>The direct path in use, or null.</summary>
    public ProbedPath? DirectPath => UsedPath is { Key.IsRelayed: false } direct ? direct : null;

    /// <summary>True when <see cref="DirectPath"/> lies within the local network.</summary>
    public bool IsLocal { get; set; }

    /// <inheritdoc/>
    public override bool IsThere => base.IsThere || IsListedOnline;

    /// <inheritdoc/>
    public override TimeSpan? RoundTrip => UsedPath?.RoundTrip ?? base.RoundTrip;

    /// <inheritdoc/>
    public override double? Loss => UsedPath is { } path ? path.Loss : base.Loss;

    /// <inheritdoc/>
    public override UdpEndpoint Endpoint => UsedPath?.Key.Endpoint ?? base.Endpoint;

    /// <inheritdoc/>
    public override bool IsPathProven => IsPlain ? _server is Peer { IsPathProven: true } : UsedPath is not null || base.IsPathProven;

    /// <inheritdoc/>
    public override bool IsFailing => UsedPath is null && base.IsFailing;

    /// <inheritdoc/>
    public override PathType PathType => Online && UsedPath is { } used
        ? used.Key.IsRelayed ? PathType.Relay : IsLocal ? PathType.Lan : PathType.Direct
        : base.PathType;

    /// <inheritdoc/>
    public override PathReason Reason => this switch
    {
        { IsForbidden: true, IsListedOnline: true } => PathReason.Policy,
        { Online: false } => PathReason.PeerOffline,
        { IsPlain: true } => PathReason.PlainWireGuard,
        { DirectPath: not null } or { UsedPath: null, IsDirectlyLinked: true } => PathReason.DirectUp,
        { UsedPath: not null } => PathReason.RelayIsBetter,
        { Traversal.IsDirectAllowed: false } => PathReason.Policy,
        { Traversal: { } traversal } => ReasonOf(traversal),
        _ => PathReason.WaitingForPeer,
    };

    /// <inheritdoc/>
    protected override RouteTarget? Carrier => IsPlain || (UsedPath is null && IsRelayed) ? _server : null;

    /// <inheritdoc/>
    protected override NextHop NextHop => IsPlain && _server is not null ? NextHop.Carrier : NextHop.Link;

    private static PathReason ReasonOf(PeerTraversal traversal) => traversal.State switch
    {
        TraversalState.WaitingForPeer => PathReason.WaitingForPeer,
        TraversalState.NoCandidates => PathReason.NoCandidates,
        TraversalState.Punching => PathReason.Punching,
        TraversalState.Lost => PathReason.PathLost,
        TraversalState.BothNatsRandom => PathReason.BothNatsRandom,
        // Where one side at least has a public address, nothing but a firewall is left.
        TraversalState.NoAnswer when traversal.LocalNat.IsPublic || traversal.RemoteNat.IsPublic => PathReason.UdpBlocked,
        TraversalState.NoAnswer => PathReason.NoAnswer,
        _ => PathReason.Unknown,
    };
}
