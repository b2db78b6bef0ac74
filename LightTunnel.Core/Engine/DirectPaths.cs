using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Routing;
using LightTunnel.Transport;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine;

/// <summary>What <see cref="DirectPaths"/> asks of the client it belongs to; all on the control loop.</summary>
internal interface IDirectPathsHost
{
    /// <summary>The path through the server, and what is known of it.</summary>
    PathCandidate ServerPath(Peer peer);

    /// <summary>Sends a control message to the server.</summary>
    void Tell(ControlMessage message);

    /// <summary>Sends a datagram to an endpoint.</summary>
    void SendTo(in UdpEndpoint destination, ReadOnlySpan<byte> datagram);

    /// <summary>Has the peer's timers run soon.</summary>
    void Hurry(Peer peer);

    /// <summary>Another path is in use to the peer.</summary>
    void OnPathChanged(Peer peer);
}

/// <summary>
/// A client's direct paths to other members: tells how this node may be reached, lets each pair's <see cref="PeerTraversal"/> find and prove paths, and
/// puts the best one to use with the very next packet. Owned by the control loop.
/// </summary>
internal sealed class DirectPaths(PrivateKey identity, PresharedKey networkKey, ILocalAddressSource addresses, MemberPeers members, NodeServices services, IDirectPathsHost host) : IDisposable
{
    /// <summary>Introductions that may wait for the directory.</summary>
    private const int MaximumEarly = 64;

    /// <summary>Probes that were on their way while keys were agreed on say nothing of them.</summary>
    private static readonly TimeSpan SessionDoubt = TimeSpan.FromSeconds(1);

    private readonly List<OutgoingProbe> _outgoing = [];
    private readonly Dictionary<uint, IntroductionMessage> _early = [];
    private readonly HashSet<Peer> _unreached = [];
    private CandidateList _candidates = CandidateList.Empty;
    private NatBehaviour _nat;
    private Reachability? _told;
    private uint _memberId;
    private UdpEndpoint _seenByServer;
    private IReadOnlyList<IpPrefix> _tunnel = [];

    private TimeProvider Time => services.Time;

    /// <summary>The server has admitted this node: from now on it can tell how it is reached.</summary>
    public void OnRegistered(uint memberId, in UdpEndpoint seenByServer, IReadOnlyList<IpPrefix> tunnel)
    {
        _memberId = memberId;
        _seenByServer = seenByServer;
        _tunnel = tunnel;
        _told = null;
        foreach (Peer peer in members.All)
            peer.Channel?.OwnMemberId = memberId;
        Gather(Time.GetTimestamp());
    }

    /// <summary>
    /// The machine's addresses may have changed: if those at which others reach it did, nothing that was proven is trusted. The system also tells
    /// of what is of no account here, such as a container's interface or this tunnel's own.
    /// </summary>
    public void OnNetworkChanged()
    {
        long now = Time.GetTimestamp();
        CandidateList before = _candidates;
        if (_memberId == 0)
            return;
        Gather(now);
        if (_candidates.Equals(before))
            return;
        foreach (Peer peer in members.All)
        {
            peer.Traversal?.OnNetworkChanged(now);
            Choose(peer);
            host.Hurry(peer);
        }
    }

    /// <summary>Forgets the paths to a member that is gone or offline.</summary>
    public void Forget(Peer peer)
    {
        _unreached.Remove(peer);
        peer.Traversal?.Dispose();
        peer.Traversal = null;
        peer.Channel = null;
        peer.DirectPath = null;
    }

    /// <summary>The server introduces a member: both begin now, or after the delay.</summary>
    public void OnIntroduction(IntroductionMessage introduction)
    {
        if (!members.TryGet(introduction.MemberId, out Peer? peer) || !peer.Online)
        {
            // The directory tells of the member a moment later.
            if (_early.Count < MaximumEarly)
                _early[introduction.MemberId] = introduction;
            return;
        }

        if (TraversalOf(peer) is not { } traversal)
            return;
        long now = Time.GetTimestamp();
        var candidates = CandidateList.Create(introduction.Reachability.Candidates.Where(candidate => !IsInTunnel(candidate.Endpoint)));
        LogIntroduction(peer, candidates);
        traversal.SetRemote(candidates, introduction.Reachability.Nat, now);
        traversal.Introduce(now + (long)(introduction.Delay.TotalSeconds * Time.TimestampFrequency), now);
        host.Hurry(peer);
    }

    /// <summary>The directory told of members: introductions to them can be taken up now.</summary>
    public void OnDirectory()
    {
        if (_early.Count == 0)
            return;
        IntroductionMessage[] early = [.. _early.Values];
        _early.Clear();
        foreach (IntroductionMessage introduction in early)
            OnIntroduction(introduction);
    }

    /// <summary>A packet waits for a member that nobody has introduced yet.</summary>
    public void OnWanted(Peer peer)
    {
        if (_memberId != 0 && peer.Traversal is null && TraversalOf(peer) is not null)
            host.Tell(new IntroduceMessage { MemberId = peer.MemberId });
    }

    /// <summary>A probe or answer arrived, or something that looks like one.</summary>
    public void OnDatagram(ReadOnlySpan<byte> datagram, in UdpEndpoint from)
    {
        // A stranger's probe is dropped without an answer: who is no member has no key.
        if (!ProbeCodec.TryReadSender(datagram, out uint sender) || !members.TryGet(sender, out Peer? peer) || IsInTunnel(from) || TraversalOf(peer) is not { } traversal)
            return;
        Span<byte> answer = stackalloc byte[ProbeCodec.Size];
        traversal.HasSession = peer.Link is { HasSession: true };
        ProbeOutcome outcome = traversal.OnDatagram(datagram, from, socket: 0, Time.GetTimestamp(), answer, out bool changed);
        if (outcome == ProbeOutcome.Rejected)
            return;
        if (outcome == ProbeOutcome.Answered)
            host.SendTo(from, answer);
        if (changed)
            Choose(peer);
        RenewLink(peer, traversal);
        host.Hurry(peer);
    }

    /// <summary>Does what is due for one member; returns when to call again.</summary>
    public long RunTimers(Peer peer, long now)
    {
        if (peer.Traversal is not { } traversal)
            return long.MaxValue;
        _outgoing.Clear();
        traversal.HasSession = peer.Link is { HasSession: true };
        long next = traversal.RunTimers(now, peer.LastTraffic, peer.DirectPath?.Key, _outgoing, out bool changed);
        Span<byte> datagram = stackalloc byte[ProbeCodec.Size];
        foreach (OutgoingProbe probe in _outgoing)
        {
            traversal.Seal(probe, datagram);
            host.SendTo(probe.Destination, datagram);
        }

        if (changed)
            Choose(peer);
        LogFailure(peer, traversal);
        if (traversal.TakeIntroductionRequest())
            host.Tell(new IntroduceMessage { MemberId = peer.MemberId });
        return next;
    }

    /// <summary>Chooses the path to a member anew, and puts it to use.</summary>
    public void Choose(Peer peer)
    {
        var candidates = new List<PathCandidate> { host.ServerPath(peer) };
        foreach (ProbedPath path in peer.Traversal?.Paths ?? [])
        {
            if (path.Key.Socket == 0)
                candidates.Add(AsCandidate(peer.Traversal!, path));
        }

        PathCandidate? current = peer.DirectPath is { } used && peer.Traversal is { } traversal ? AsCandidate(traversal, used) : candidates[0];
        PathCandidate? chosen = PathChoice.Choose(current, candidates, PathPolicy.Auto);
        ProbedPath? direct = chosen is { Kind: not PathKind.Server } best ? peer.Traversal!.Paths.First(path => path.Key.Remote == best.Address.Endpoint && path.Key.Socket == 0) : null;
        if (direct == peer.DirectPath)
            return;
        peer.DirectPath = direct;
        peer.IsLocal = direct is not null && chosen is { Kind: PathKind.Lan };
        if (direct is not null)
        {
            _unreached.Remove(peer);
            services.Log.P2PEstablished(peer.Addresses[0].ToIPAddress(), direct.Key.Remote.ToIPEndPoint());
            services.Log.DirectRouteEstablished(peer.Addresses[0].ToIPAddress());
        }

        host.OnPathChanged(peer);
    }

    /// <summary>Why the member is reached the way it is.</summary>
    public static PathReason ReasonOf(Peer peer) => peer switch
    {
        { IsServer: true } => PathReason.IsServer,
        { Online: false } => PathReason.PeerOffline,
        { DirectPath: not null } or { IsDirectlyLinked: true } => PathReason.DirectUp,
        { Traversal: null } => PathReason.WaitingForPeer,
        _ => peer.Traversal.State switch
        {
            TraversalState.WaitingForPeer => PathReason.WaitingForPeer,
            TraversalState.NoCandidates => PathReason.NoCandidates,
            TraversalState.Punching => PathReason.Punching,
            TraversalState.Lost => PathReason.PathLost,
            TraversalState.BothNatsRandom => PathReason.BothNatsRandom,
            TraversalState.NoAnswer => PathReason.NoAnswer,
            _ => PathReason.Unknown,
        },
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Peer peer in members.All)
            Forget(peer);
    }

    /// <summary>
    /// A peer that says it has no keys, while this node has some, was started again: sealed for the old keys, nothing would reach it until
    /// they are given up.
    /// </summary>
    private void RenewLink(Peer peer, PeerTraversal traversal)
    {
        if (traversal.PeerHasSession || peer.Link is not { HasSession: true, LastHandshake: { } agreed } link || Time.GetUtcNow() - agreed < SessionDoubt)
            return;
        link.RequestHandshake(force: true);
    }

    private static PathCandidate AsCandidate(PeerTraversal traversal, ProbedPath path) => new(
        traversal.IsLocalNetwork(path.Key) ? PathKind.Lan : path.Key.Remote.IsIPv4 ? PathKind.DirectIPv4 : PathKind.DirectIPv6,
        new PathAddress(path.Key.Remote), path.Key.Socket, path.IsProven, path.RoundTrip, path.Loss);

    private PeerTraversal? TraversalOf(Peer peer)
    {
        if (peer.Traversal is { } known)
            return known;
        if (_memberId == 0 || !ProbeKey.TryDerive(identity, peer.Key, networkKey, out ProbeKey? key))
            return null;
        peer.Channel = new ProbeChannel(key, _memberId, Time);
        peer.Traversal = new PeerTraversal(Time, peer.Channel, leads: _memberId < peer.MemberId, services.Jitter);
        peer.Traversal.SetLocal(_candidates, _nat, Time.GetTimestamp());
        return peer.Traversal;
    }

    /// <summary>Looks at the machine's addresses, and tells the server what is new.</summary>
    private void Gather(long now)
    {
        IReadOnlyList<Candidate> hosts = HostCandidates.Filter(addresses.Read(), (ushort)services.Transport.LocalPort, _tunnel);
        bool isPublic = hosts.Any(candidate => candidate.Endpoint.MappedAddress == _seenByServer.MappedAddress);
        _candidates = CandidateList.Create(
            _seenByServer.IsSpecified ? hosts.Append(new Candidate(CandidateKind.ServerReflexive, _seenByServer)) : hosts);
        _nat = _seenByServer.IsSpecified
            ? new NatBehaviour(EndpointDependence.Unknown, Presence: isPublic ? NatPresence.None : NatPresence.Translated, PublicAddress: _seenByServer.Address)
            : default;
        foreach (Peer peer in members.All)
            peer.Traversal?.SetLocal(_candidates, _nat, now);

        var reachability = new Reachability { Candidates = [.. _candidates], Nat = _nat };
        if (reachability.Equals(_told))
            return;
        _told = reachability;
        host.Tell(new ReachabilityMessage { Reachability = reachability });
    }

    /// <summary>The tunnel never carries itself.</summary>
    private bool IsInTunnel(in UdpEndpoint endpoint)
    {
        var address = TunnelAddress.FromIPAddress(endpoint.Address);
        foreach (IpPrefix prefix in _tunnel)
        {
            if (prefix.Contains(address))
                return true;
        }

        return false;
    }

    /// <summary>Says once that the attempts have come to nothing so far.</summary>
    private void LogFailure(Peer peer, PeerTraversal traversal)
    {
        if (traversal.State is TraversalState.NoAnswer or TraversalState.BothNatsRandom or TraversalState.NoCandidates or TraversalState.Lost && _unreached.Add(peer))
            services.Log.P2PNotEstablished(peer.Addresses[0].ToIPAddress());
    }

    private void LogIntroduction(Peer peer, CandidateList candidates)
    {
        Candidate? seen = candidates.Cast<Candidate?>().FirstOrDefault(candidate => candidate is { Kind: CandidateKind.ServerReflexive }) ?? candidates.Cast<Candidate?>().FirstOrDefault();
        Candidate? local = candidates.Cast<Candidate?>().FirstOrDefault(candidate => candidate is { Kind: CandidateKind.Host });
        if (seen is { } known)
            services.Log.PeerInfoReceived(peer.Addresses[0].ToIPAddress(), known.Endpoint.ToIPEndPoint(), local?.Endpoint.ToIPEndPoint());
    }
}
