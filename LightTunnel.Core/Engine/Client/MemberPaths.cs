using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// A client's paths to other members besides the server's: lets each pair's <see cref="PeerTraversal"/> find and prove them, and puts the
/// best one to use with the very next packet. Owned by the control loop.
/// </summary>
internal sealed class MemberPaths : IDisposable
{
    /// <summary>Introductions that may wait for the directory.</summary>
    private const int MaximumEarly = 64;

    /// <summary>Introductions that may wait for the system to say where their endpoints are.</summary>
    private const int MostIntroductions = 256;

    /// <summary>
    /// Pairs for which ports may be guessed at once, and how many more if data waits: each sends hundreds of datagrams a second.
    /// </summary>
    private const int MaximumGuessing = 2;
    private const int MaximumGuessingBusy = 4;

    /// <summary>Addresses that are remembered as sent to.</summary>
    private const int MaximumSentTo = 4096;

    /// <summary>Probes that were on their way while keys were agreed on say nothing of them.</summary>
    private static readonly TimeSpan SessionDoubt = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan BusyFor = TimeSpan.FromSeconds(5);

    /// <summary>Who asked for an introduction is about to guess for so long.</summary>
    private static readonly TimeSpan AskingTime = TimeSpan.FromSeconds(2);

    private readonly ClientOptions _options;
    private readonly PrivateKey _identity;
    private readonly Members _members;
    private readonly Node _node;
    private readonly ServerConnection _connection;
    private readonly MemberLinks _links;
    private readonly FurtherSockets _sockets;

    /// <summary>In the order in which they came, until the ways to the endpoints that they name are known.</summary>
    private readonly Queue<Introduction> _introductions = new();
    private readonly List<OutgoingProbe> _outgoing = [];
    private readonly Dictionary<uint, IntroductionMessage> _early = [];
    private readonly HashSet<Member> _unreached = [];
    private readonly HashSet<UInt128> _sentTo = [];
    private uint _memberId;
    private UdpEndpoint _server;
    private IReadOnlyList<IpPrefix> _tunnel = [];

    /// <param name="node">The node.</param>
    /// <param name="options">What a person said.</param>
    /// <param name="identity">This node's key pair; not owned.</param>
    /// <param name="addresses">The machine's own addresses.</param>
    /// <param name="members">The other members.</param>
    /// <param name="connection">The way to the server.</param>
    /// <param name="links">The members' links, which take the paths chosen here.</param>
    public MemberPaths(
        Node node, ClientOptions options, PrivateKey identity, ILocalAddressSource addresses, Members members,
        ServerConnection connection, MemberLinks links)
    {
        _options = options;
        _identity = identity;
        _members = members;
        _node = node;
        _connection = connection;
        _links = links;
        _sockets = new FurtherSockets(node.Outputs);
        Relays = new MemberRelays(members);
        Own = new OwnReachability(node, options, identity, addresses, connection);
    }

    /// <summary>How this node may be reached.</summary>
    public OwnReachability Own { get; }

    /// <summary>Relaying through members.</summary>
    public MemberRelays Relays { get; }

    private TimeProvider Time => _node.Time;

    /// <summary>The server has admitted this node: from now on it can tell how it is reached.</summary>
    public void OnRegistered(RegisteredMessage registered, in UdpEndpoint server, IReadOnlyList<IpPrefix> tunnel)
    {
        _memberId = registered.MemberId;
        _tunnel = tunnel;
        _server = server;
        _sentTo.Add(server.MappedAddress);
        foreach (Member member in _members.All)
            member.Channel?.OwnMemberId = _memberId;
        Own.OnRegistered(registered, server, tunnel);
        TakeReachability();
    }

    /// <summary>
    /// The machine's addresses may have changed, or it woke from sleep: if those at which others reach it did, nothing that was
    /// proven is trusted.
    /// </summary>
    /// <param name="isCertain">True when nothing is to be trusted in any case.</param>
    /// <returns>True when paths are proven anew.</returns>
    public bool OnNetworkChanged(bool isCertain)
    {
        bool isElsewhere = Own.OnNetworkChanged(isCertain);
        TakeReachability();
        if (!isElsewhere)
            return false;
        Timestamp now = Time.Now();
        foreach (Member member in _members.All)
        {
            if (member.Traversal is not { } traversal)
                continue;
            traversal.OnNetworkChanged(now);
            member.PathMtu.Forget();
            Relays.Update(member);
            Choose(member);
            _node.Hurry(member);
        }

        return true;
    }

    /// <summary>A member's id, or what the directory says of it, has changed.</summary>
    public void OnMember(Member member)
    {
        member.Channel?.PeerKeyNumber = member.KeyNumber;
        Relays.SetMember(member);
    }

    /// <summary>Forgets the paths to a member that is gone or offline.</summary>
    public void Forget(Member member, bool isGone)
    {
        _unreached.Remove(member);
        member.Traversal?.Dispose();
        member.Traversal = null;
        member.Channel = null;
        member.UsedPath = null;
        Relays.Update(member);
        if (isGone)
            Relays.RemoveMember(member);
    }

    /// <summary>The server takes a member for offline, to whom a path may still lead.</summary>
    public void Doubt(Member member)
    {
        if (member.Traversal is not { } traversal)
            return;
        traversal.Doubt();
        _node.Hurry(member);
    }

    /// <summary>The server introduces a member: both begin now, or after the delay.</summary>
    public void OnIntroduction(IntroductionMessage introduction)
    {
        // More at once than anybody has a use for are asked for again.
        if (_introductions.Count >= MostIntroductions)
            return;
        var waiting = new Introduction(introduction, Time.Now());
        _introductions.Enqueue(waiting);
        Own.WhenKnown(introduction.Reachability.Candidates.Select(candidate => candidate.Endpoint).Where(IsElsewhere), () =>
        {
            waiting.IsReady = true;
            while (_introductions.TryPeek(out Introduction? first) && first.IsReady)
                Introduce(_introductions.Dequeue());
        });
    }

    private void Introduce(Introduction taken)
    {
        IntroductionMessage introduction = taken.Message;
        if (!_members.TryGet(introduction.MemberId, out Member? member) || !(member.Online || member.IsListedOnline))
        {
            // The directory tells of the member a moment later.
            if (_early.Count < MaximumEarly)
                _early[introduction.MemberId] = introduction;
            return;
        }

        if (TraversalOf(member) is not { } traversal)
            return;
        Timestamp now = Time.Now();
        var candidates = CandidateList.Create(
            introduction.Reachability.Candidates.Where(candidate => IsElsewhere(candidate.Endpoint)
                && !Own.IsTunnelled(candidate.Endpoint)));
        if (traversal.SetRemote(candidates, introduction.Reachability.Nat, now))
            LogIntroduction(member, candidates);
        Begin(member, traversal, taken.At + introduction.Delay, now, introduction.Guessing == Guessing.Now && MayGuess(member, now));
        if (introduction.Guessing == Guessing.AfterPrediction && MayGuess(member, now) && traversal.TryPredict(now))
            Own.IntroduceWithPrediction(member, now);
        _node.Hurry(member);
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

    /// <summary>Everything is tried at once to reach the member directly.</summary>
    /// <returns>False when nothing can be tried: this node is not admitted, or the member's key is of no use.</returns>
    public bool Retry(Member member)
    {
        if (_memberId == 0 || TraversalOf(member) is not { } traversal)
            return false;
        traversal.Retry(Time.Now());
        _connection.Tell(new IntroduceMessage { MemberId = member.MemberId, WithGuesses = true });
        _node.Hurry(member);
        return true;
    }

    /// <summary>Sends one probe that measures a path to the member; its answer is counted in <see cref="PeerTraversal.Tallies"/>.</summary>
    public void Measure(Member member, in PathAddress path)
    {
        if (TraversalOf(member) is { } traversal)
            Send(traversal, traversal.Measure(path, Time.Now()));
    }

    /// <summary>A probe or answer arrived, or something that looks like one.</summary>
    public void OnDatagram(ReadOnlySpan<byte> datagram, in PathAddress from)
    {
        // A stranger's probe is dropped without an answer: who is no member has no key.
        if (!ProbeCodec.TryReadSender(datagram, out uint sender) || IsInTunnel(from.Endpoint))
            return;
        Timestamp now = Time.Now();
        if (sender == Leases.ServerMemberId && !from.IsRelayed)
        {
            Own.OnServerDatagram(datagram, from.Endpoint, now);
            TakeReachability();
            return;
        }

        if ((from.IsRelayed && from.RelayedMember != sender) || !_members.TryGet(sender, out Member? member)
            || TraversalOf(member) is not { } traversal)
        {
            return;
        }
        Span<byte> answer = stackalloc byte[ProbeCodec.Size];
        traversal.HasSession = member.Link is { HasSession: true };
        // Answered from the address that was asked; asked by whatever way there is then.
        PathAddress path = from;
        ProbeOutcome outcome = traversal.OnDatagram(
            datagram, path with { Asked = default }, now, answer, out UdpEndpoint seenFrom, out bool changed);
        if (outcome == ProbeOutcome.Rejected)
            return;
        if (outcome == ProbeOutcome.Answered && !IsTunnelled(from))
            _node.Sender.Datagram(Weighed(traversal, from), answer, traversal.IsVouched(from.Endpoint));
        if (!from.IsRelayed && from.Local.IsOwn)
            LookAtNat(from.Endpoint, seenFrom, outcome);
        if (changed && !from.IsRelayed)
            _node.Unproven.Proven.Add(from.Endpoint);
        if (changed)
            OnPathsChanged(member);
        else if (outcome == ProbeOutcome.AnswerTaken)
            Choose(member); // What was measured may count for another path now.
        RenewLink(member, traversal);
        _node.Hurry(member);
    }

    /// <summary>Does what is due for one member; returns when to call again.</summary>
    public Timestamp RunTimers(Member member, Timestamp now)
    {
        // Data flows to or from a member that nobody has introduced yet, or that was away since: the attempt asks for an introduction.
        if ((member.IsListedOnline && IsBusy(member, now) ? TraversalOf(member) : member.Traversal) is not { } traversal)
            return Timestamp.Never;
        _outgoing.Clear();
        traversal.HasSession = member.Link is { HasSession: true };
        traversal.WillingToRelay = Relays.IsRelay;
        traversal.IsDirectAllowed = PolicyOf(member) != PathPolicy.RelayOnly;
        traversal.ServerPath = new PathAddress(_server, member.MemberId);
        Timestamp next = traversal.RunTimers(now, member.LastTraffic, member.UsedPath?.Key, _outgoing, out bool changed);
        foreach (OutgoingProbe probe in _outgoing)
            Send(traversal, probe);

        if (changed)
        {
            OnPathsChanged(member);
            if (!member.IsListedOnline && member.UsedPath is null)
            {
                // It is gone, and nothing is wrong with this node's network.
                Forget(member, isGone: false);
                return Timestamp.Never;
            }

            if (traversal.TakeLoss())
                Own.OnPathLost(now);
        }

        LogFailure(member, traversal);
        if (!traversal.TakeIntroductionRequest())
            return next;
        bool withGuesses = traversal.MayAskForGuesses(now, IsBusy(member, now)) && MayGuess(member, now);
        if (withGuesses)
            traversal.GuessesAskedAt = now;
        // Where both ports are predicted the server has both look at the same time.
        if (withGuesses && !traversal.RemoteNat.IsPredictable && traversal.TryPredict(now))
            Own.IntroduceWithPrediction(member, now);
        else
            _connection.Tell(new IntroduceMessage { MemberId = member.MemberId, WithGuesses = withGuesses });
        return next;
    }

    /// <summary>Does what is due for this node itself; returns when to call again.</summary>
    public Timestamp RunTimers(Timestamp now)
    {
        Timestamp next = Timestamp.Earliest(Own.RunTimers(now), _sockets.RunTimers(now, _members.All));
        TakeReachability();
        return next;
    }

    /// <summary>Which paths to the member may be used.</summary>
    public PathPolicy PolicyOf(Member member) => member.Policy ?? _options.PathPolicy;

    /// <summary>Other paths are allowed now.</summary>
    public void OnPolicyChanged(Member member)
    {
        if (member.Traversal is { } traversal)
        {
            traversal.IsDirectAllowed = PolicyOf(member) != PathPolicy.RelayOnly;
            traversal.Retry(Time.Now());
        }

        OnPathsChanged(member);
        _node.Hurry(member);
    }

    /// <summary>Chooses the path to a member anew, and puts it to use.</summary>
    public void Choose(Member member)
    {
        PathCandidate server = ServerPath(member);
        var candidates = new List<PathCandidate> { server };
        if (member.Traversal is { } traversal)
            candidates.AddRange(traversal.Paths.Select(path => AsCandidate(traversal, path)));

        PathCandidate? current = member is { UsedPath: { } used, Traversal: { } known } ? AsCandidate(known, used) : server;
        PathCandidate? chosen = PathChoice.Choose(current, candidates, PolicyOf(member));
        ProbedPath? path = chosen is { Kind: not PathKind.Server } best
            ? member.Traversal!.Paths.First(path => path.Key == best.Path)
            : null;
        bool isForbidden = chosen is null;
        if (path == member.UsedPath && isForbidden == member.IsForbidden)
            return;
        member.UsedPath = path;
        member.IsForbidden = isForbidden;
        member.IsLocal = chosen is { Kind: PathKind.Lan };
        LogChoice(member);
        _links.Use(member);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Member member in _members.All)
            Forget(member, isGone: true);
        Own.Dispose();
    }

    /// <summary>The path through the server, and what is known of it.</summary>
    private PathCandidate ServerPath(Member member) => new(
        PathKind.Server, _connection.PathTo(member), Proven: _connection.IsUp && member.IsListedOnline,
        RoundTrip: member.Monitor.RoundTrip ?? member.Traversal?.ServerRoundTrip, Loss: member.Monitor.Loss);

    /// <summary>Candidates or NAT are others now.</summary>
    private void TakeReachability()
    {
        if (!Own.TakeChange())
            return;
        Timestamp now = Time.Now();
        Relays.IsRelay = Own.IsRelay;
        foreach (Member member in _members.All)
        {
            if (member.Traversal is not { } traversal)
                continue;
            traversal.SetLocal(Own.Candidates, Own.Nat, now);
            _node.Hurry(member);
        }
    }

    /// <summary>What a member's datagram tells of this node's own NAT.</summary>
    private void LookAtNat(in UdpEndpoint from, in UdpEndpoint seenFrom, ProbeOutcome outcome)
    {
        if (outcome == ProbeOutcome.AnswerTaken)
        {
            Own.OnMemberAnswer(from, seenFrom);
        }
        else if (outcome == ProbeOutcome.Answered && from.IsIPv4 == Own.PublicEndpoint.IsIPv4 && !from.IsLocal
            && _sentTo.Count < MaximumSentTo && !_sentTo.Contains(from.MappedAddress))
        {
            Own.OnUnsolicited();
        }
    }

    /// <summary>Begins to punch; what the attempt before still had open is of no use any more.</summary>
    private void Begin(Member member, PeerTraversal traversal, Timestamp startAt, Timestamp now, bool allowGuesses)
    {
        IReadOnlyList<LocalEnd> before = traversal.Sockets.Opened;
        if (!traversal.Introduce(startAt, now, allowGuesses))
            return;
        if (traversal.IsGuessing)
            Own.UsePrediction();
        _sockets.Close(traversal, before);
        _sockets.Open(traversal.Sockets, now, () => _node.Hurry(member));
    }

    private void OnPathsChanged(Member member)
    {
        Relays.Update(member);
        Choose(member);
    }

    private void Send(PeerTraversal traversal, in OutgoingProbe probe)
    {
        Span<byte> datagram = stackalloc byte[ProbeCodec.Size];
        traversal.Seal(probe, datagram);
        if (_sentTo.Count < MaximumSentTo)
            _sentTo.Add(probe.Path.Endpoint.MappedAddress);
        // What is not asked is not proven, and not used.
        if (!IsTunnelled(probe.Path))
            _node.Sender.Datagram(Weighed(traversal, probe.Path), datagram, traversal.IsVouched(probe.Path.Endpoint));
    }

    /// <summary>The path as one to whom may not exist, unless it is known better.</summary>
    private static PathAddress Weighed(PeerTraversal traversal, in PathAddress path) =>
        path with { IsUnproven = !path.IsRelayed && !traversal.IsPathProven(path) };

    /// <summary>The tunnel never carries itself: neither what it carries, as another overlay, nor what may be such is a path.</summary>
    private bool IsTunnelled(in PathAddress path) => !path.IsRelayed && Own.IsTunnelled(path.Endpoint);

    /// <summary>Ports are guessed for few members at once; those that data waits for go first.</summary>
    private bool MayGuess(Member member, Timestamp now)
    {
        int guessing = _members.All.Count(
            each => each != member && each.Traversal is { } other && (other.IsGuessing || now - other.GuessesAskedAt < AskingTime));
        if (Own.Nat.IsRandom && !_sockets.HasRoomFor(PunchPlan.BirthdaySockets))
            return false;
        // Each guess of one pair would move the counter that another's prediction stands on.
        return guessing < (Own.Nat.IsPredictable ? 1 : IsBusy(member, now) ? MaximumGuessingBusy : MaximumGuessing);
    }

    private static bool IsBusy(Member member, Timestamp now) => now - member.LastTraffic < BusyFor;

    /// <summary>
    /// A member that says it has no keys, while this node has some, was started again: sealed for the old keys, nothing would reach it
    /// until they are given up.
    /// </summary>
    private void RenewLink(Member member, PeerTraversal traversal)
    {
        Timestamp now = Time.Now();
        if (traversal.PeerHasSession || member.Link is not { HasSession: true, LastHandshake: { } agreed } link
            || Time.GetUtcNow() - agreed < SessionDoubt || now - traversal.RenewalAskedAt < SessionDoubt)
        {
            return;
        }

        // Each of its probes says so: two initiations at once would make the answer to the first worthless, and be dropped as a flood.
        traversal.RenewalAskedAt = now;
        link.RequestHandshake(force: true);
    }

    private static PathCandidate AsCandidate(PeerTraversal traversal, ProbedPath path) => new(
        KindOf(traversal, path.Key), path.Key, path.IsProven, path.RoundTrip, path.Loss);

    private static PathKind KindOf(PeerTraversal traversal, in PathAddress path) =>
        path.IsRelayed ? PathKind.MemberRelay
        : traversal.IsLocalNetwork(path) ? PathKind.Lan
        : path.Endpoint.IsIPv4 ? PathKind.DirectIPv4 : PathKind.DirectIPv6;

    private PeerTraversal? TraversalOf(Member member)
    {
        if (member.Traversal is { } known)
            return known;
        if (_memberId == 0 || member.IsPlain || !ProbeKeys.TryMake(_identity, member.Key, _node.NetworkKeys, out ProbeKeys? keys))
            return null;
        member.Channel = new ProbeChannel(keys, _memberId, _node.Services.RisingNow) { PeerKeyNumber = member.KeyNumber };
        member.Traversal = new PeerTraversal(member.Channel, leads: LeadsBefore(member), _node.Services.Jitter)
        {
            FindRelays = () => Relays.Find(member, _connection.RoundTrip),
            IsDirectAllowed = PolicyOf(member) != PathPolicy.RelayOnly,
            ServerPath = new PathAddress(_server, member.MemberId),
            WillingToRelay = Relays.IsRelay,
        };
        member.Traversal.SetLocal(Own.Candidates, Own.Nat, Time.Now());
        return member.Traversal;
    }

    /// <summary>
    /// True on one of the two sides. Keys are known to both alike; member ids are others after the server has lost its state.
    /// </summary>
    private bool LeadsBefore(Member member) => _identity.PublicKey.Bytes.SequenceCompareTo(member.Key.Bytes) < 0;

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

    /// <summary>False for this very machine, unless all are on one, and within the tunnel.</summary>
    private bool IsElsewhere(UdpEndpoint endpoint) =>
        !IsInTunnel(endpoint) && (!System.Net.IPAddress.IsLoopback(endpoint.Address) || System.Net.IPAddress.IsLoopback(_server.Address));

    private void LogChoice(Member member)
    {
        System.Net.IPAddress address = member.Addresses[0].ToIPAddress();
        if (member.DirectPath is { } direct)
        {
            _unreached.Remove(member);
            _node.Log.P2PEstablished(address, direct.Key.Endpoint.ToIPEndPoint());
            _node.Log.DirectRouteEstablished(address);
        }
        else if (member.UsedPath is { } relayed)
        {
            _node.Log.Information(
                "{Peer} is reached through {Relay}, which is nearer than the server", address, Relays.RelayOf(relayed.Key)?.Name);
        }
    }

    /// <summary>Says once that the attempts have come to nothing so far.</summary>
    private void LogFailure(Member member, PeerTraversal traversal)
    {
        if (traversal.State is TraversalState.NoAnswer or TraversalState.BothNatsRandom or TraversalState.NoCandidates
            or TraversalState.Lost && _unreached.Add(member))
        {
            _node.Log.P2PNotEstablished(member.Addresses[0].ToIPAddress());
        }
    }

    private void LogIntroduction(Member member, CandidateList candidates)
    {
        Candidate? seen = candidates.Cast<Candidate?>().FirstOrDefault(candidate => candidate is { Kind: CandidateKind.ServerReflexive })
            ?? candidates.Cast<Candidate?>().FirstOrDefault();
        Candidate? local = candidates.Cast<Candidate?>().FirstOrDefault(candidate => candidate is { Kind: CandidateKind.Host });
        if (seen is { } known)
            _node.Log.PeerInfoReceived(member.Addresses[0].ToIPAddress(), known.Endpoint.ToIPEndPoint(), local?.Endpoint.ToIPEndPoint());
    }

    /// <summary>An introduction, and when it came.</summary>
    private sealed class Introduction(IntroductionMessage message, Timestamp at)
    {
        public IntroductionMessage Message => message;

        public Timestamp At => at;

        /// <summary>True when the ways to the endpoints that it names are known.</summary>
        public bool IsReady { get; set; }
    }
}
