using LightTunnel.Addressing;

namespace LightTunnel.Traversal;

/// <summary>What is known of one of two members that want to meet.</summary>
/// <param name="Candidates">Where it may be reachable.</param>
/// <param name="Nat">The NAT before it.</param>
internal readonly record struct PunchSide(CandidateList Candidates, NatBehaviour Nat);

/// <summary>One probe of a plan.</summary>
/// <param name="Destination">Where to.</param>
/// <param name="Delay">Time after the common start.</param>
/// <param name="Socket">The local socket, 0 for the node's own, 1.. for further ones that the plan has for itself.</param>
/// <param name="IsGuess">True when the destination is guessed rather than told: no use in trying it again later.</param>
internal readonly record struct PunchShot(UdpEndpoint Destination, TimeSpan Delay, int Socket = 0, bool IsGuess = false);

/// <summary>Probes from the node's own socket to ports at random.</summary>
/// <param name="Address">The address; its port says nothing.</param>
/// <param name="Delay">Time of the first after the common start.</param>
/// <param name="Interval">Time from one to the next.</param>
/// <param name="Total">How many.</param>
internal readonly record struct PunchSpray(UdpEndpoint Address, TimeSpan Delay, TimeSpan Interval, int Total);

/// <summary>
/// Which probes two members fire at each other, and when. Both compute their half from the same facts and start at the same time, so the
/// halves fit. What is known of the NATs adds attempts; it never takes one away.
/// </summary>
/// <param name="Shots">In the order of their delays.</param>
/// <param name="LocalSockets">How many sockets besides the node's own the shots use.</param>
/// <param name="Spray">Probes to random ports, null for none.</param>
/// <param name="UsesGuesses">True when shots or spray go to guessed ports: costly, not to be repeated often.</param>
/// <param name="Quiet">For so long after the start nothing else is sent to new endpoints of the peer, as each would use up a port that was
/// predicted.</param>
internal sealed record PunchPlan(
    IReadOnlyList<PunchShot> Shots, int LocalSockets, PunchSpray? Spray, bool UsesGuesses, TimeSpan Quiet = default)
{
    /// <summary>Guesses per second, at most.</summary>
    public const int MaximumRate = 200;

    /// <summary>Guesses of one plan, at most.</summary>
    public const int MaximumGuesses = 2000;

    /// <summary>
    /// Sockets that the side with random ports opens: with 256 of 64,512 ports open, 2,000 guesses at the other side miss all of them
    /// once in 2,800 times, and half of all attempts are through after 175.
    /// </summary>
    public const int BirthdaySockets = 256;

    /// <summary>
    /// Two sequential NATs: probes of each side, each from a socket of its own. They meet when the ports that others took since the
    /// predictions, those of the side that does not lead and twice those of the one that does, are fewer.
    /// </summary>
    private const int MeetingSockets = 64;

    /// <summary>
    /// Time from one of them to the next. The two that meet leave the sooner after each other the shorter it is: a router that lets in
    /// what nobody asked for, to refuse it itself, keeps the port from its own side afterwards, and both must be on their way before
    /// either arrives.
    /// </summary>
    private static readonly TimeSpan MeetingInterval = TimeSpan.FromMilliseconds(2);

    private const int LowestPort = 1024;
    private const int PortCount = 65536 - LowestPort;

    private static readonly int[] Retransmits = [0, 20, 60, 150, 350, 750, 1500];

    /// <summary>Ports tried around the predicted one, and when: a wider range each time.</summary>
    private static readonly (int Delay, int Count)[] PredictionRounds = [(0, 16), (250, 32), (750, 64)];

    private static readonly int[] BothPredictedRounds = [0, 400, 1200];

    private static readonly TimeSpan GuessInterval = TimeSpan.FromSeconds(1.0 / MaximumRate);
    private static readonly TimeSpan SprayDelay = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan SecondBirthdayRound = TimeSpan.FromSeconds(4);

    /// <summary>When our own next port was predicted, known endpoints come after it: each would use up a port.</summary>
    private static readonly TimeSpan AfterPrediction = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan AfterMeeting = MeetingInterval * MeetingSockets;

    /// <summary>No plan takes longer; both sides count with it, so that their pauses are the same.</summary>
    public static TimeSpan LongestDuration => (GuessInterval * MaximumGuesses) + SprayDelay;

    /// <summary>True when both sides' ports are predicted: a few dozen probes, which may meet at once.</summary>
    public bool IsMeeting => Quiet == AfterMeeting && UsesGuesses;

    /// <summary>When the last probe leaves.</summary>
    public TimeSpan Duration
    {
        get
        {
            TimeSpan shots = Shots.Count == 0 ? TimeSpan.Zero : Shots[^1].Delay;
            TimeSpan spray = Spray is { } random ? random.Delay + (random.Interval * random.Total) : TimeSpan.Zero;
            return spray > shots ? spray : shots;
        }
    }

    /// <summary>Makes one side's half.</summary>
    /// <param name="local">This node.</param>
    /// <param name="remote">The other.</param>
    /// <param name="leads">True on exactly one side; which does not matter.</param>
    /// <param name="allowGuesses">False for a repetition without ports that are merely guessed.</param>
    public static PunchPlan Create(in PunchSide local, in PunchSide remote, bool leads, bool allowGuesses = true)
    {
        var shots = new List<PunchShot>();
        bool isPredicted = local.Nat.IsPredictable && !remote.Nat.IsRandom && allowGuesses;
        bool bothPredictable = isPredicted && remote.Nat.IsPredictable;
        TimeSpan quiet = bothPredictable ? AfterMeeting : isPredicted ? AfterPrediction : TimeSpan.Zero;
        AddKnown(shots, local, remote, quiet);

        int sockets = 0;
        PunchSpray? spray = null;
        if (allowGuesses && TryFindGateway(remote.Candidates, out UdpEndpoint seen, out UdpEndpoint next, remote.Nat.Step))
        {
            if (bothPredictable)
                sockets = AddBothPredicted(shots, next, remote.Nat.Step, leads);
            else if (isPredicted && !remote.Nat.HasDependentMapping)
                sockets = AddFreshSocket(shots, seen);
            else if (remote.Nat.IsPredictable && !local.Nat.HasDependentMapping)
                AddPredicted(shots, next, remote.Nat.Step);
            else if (local.Nat.IsRandom && !remote.Nat.HasDependentMapping && remote.Nat.FiltersPorts)
                sockets = AddBirthdaySockets(shots, seen);
            else if (remote.Nat.IsRandom && !local.Nat.HasDependentMapping && local.Nat.FiltersPorts)
                spray = new PunchSpray(seen, SprayDelay, GuessInterval, MaximumGuesses);
        }

        shots.Sort(static (first, second) => first.Delay.CompareTo(second.Delay));
        return new PunchPlan(shots, sockets, spray, spray is not null || shots.Exists(shot => shot.IsGuess), quiet);
    }

    /// <summary>
    /// True when nothing but luck would make the two meet: both sides' ports depend on the other's, and one's at least is random.
    /// </summary>
    public static bool IsHopeless(in NatBehaviour local, in NatBehaviour remote) =>
        local.HasDependentMapping && remote.HasDependentMapping && (local.IsRandom || remote.IsRandom);

    /// <summary>The n-th port of a spray, none twice, none below 1024; the seed chooses the order.</summary>
    public static ushort SprayPort(uint seed, int index)
    {
        // 64,512 is 2^10 * 3^2 * 7: a step that shares no factor with it visits every port once.
        uint step = 5 + (seed % 50_000);
        while (step % 2 == 0 || step % 3 == 0 || step % 7 == 0)
            step++;
        return (ushort)(LowestPort + (((seed >> 8) + ((ulong)step * (uint)index)) % PortCount));
    }

    private static void AddKnown(List<PunchShot> shots, PunchSide local, PunchSide remote, TimeSpan quiet)
    {
        bool hasIPv6 = local.Candidates.Count == 0 || local.Candidates.Any(candidate => !candidate.Endpoint.IsIPv4);
        bool isLoopback = local.Candidates.Any(candidate => IsLoopback(candidate.Endpoint));
        foreach (Candidate candidate in remote.Candidates)
        {
            UdpEndpoint endpoint = candidate.Endpoint;
            bool pointless = (!endpoint.IsIPv4 && !hasIPv6)
                // A peer has no business in our loopback, unless we are on one machine and are seen there ourselves.
                || (IsLoopback(endpoint) && !isLoopback)
                || local.Candidates.Any(own => own.Kind == CandidateKind.Host && own.Endpoint == endpoint);
            if (pointless || candidate.Kind == CandidateKind.Predicted)
                continue;

            bool isNear = IsNear(endpoint, local.Candidates);
            // A millisecond per rank: the local network is proven before the others have an answer. A private address of elsewhere is the
            // router's to translate as well.
            TimeSpan start = TimeSpan.FromMilliseconds(isNear ? 0 : 1 + CandidateList.Rank(candidate))
                + (isNear || !endpoint.IsIPv4 ? TimeSpan.Zero : quiet);
            foreach (int delay in Retransmits)
                shots.Add(new PunchShot(endpoint, start + TimeSpan.FromMilliseconds(delay)));
        }
    }

    /// <summary>True when the endpoint looks as if it were in a network of ours: same /24 or, in IPv6, same /64.</summary>
    public static bool IsNear(in UdpEndpoint endpoint, CandidateList own)
    {
        foreach (Candidate candidate in own)
        {
            if (candidate.Kind != CandidateKind.Host || candidate.Endpoint.IsIPv4 != endpoint.IsIPv4)
                continue;
            if ((candidate.Endpoint.MappedAddress ^ endpoint.MappedAddress) >> (endpoint.IsIPv4 ? 8 : 64) == UInt128.Zero)
                return true;
        }

        return false;
    }

    /// <summary>The remote NAT's outer endpoint as last seen, and the one it will hand out next.</summary>
    private static bool TryFindGateway(CandidateList remote, out UdpEndpoint seen, out UdpEndpoint next, int step)
    {
        bool isPredicted = remote.TryFindIPv4(CandidateKind.Predicted, out next);
        bool isSeen = remote.TryFindIPv4(CandidateKind.ServerReflexive, out seen)
            || remote.TryFindIPv4(CandidateKind.PeerReflexive, out seen);
        if (!isPredicted && isSeen)
            next = Offset(seen, step);
        else if (!isSeen)
            seen = next;
        return isSeen || isPredicted;
    }

    /// <summary>
    /// The peer's next mapping will be for us: try the port it should get and those after it, in case others get some before.
    /// </summary>
    private static void AddPredicted(List<PunchShot> shots, UdpEndpoint next, int step)
    {
        foreach ((int start, int count) in PredictionRounds)
        {
            for (int i = 0; i < count; i++)
                shots.Add(new PunchShot(Offset(next, step * i), TimeSpan.FromMilliseconds(start) + (GuessInterval * i), IsGuess: true));
        }
    }

    /// <summary>
    /// Our next port was predicted, and the peer tries it: a new socket gets it. (The node's own has a mapping for the peer, if it
    /// ever sent there.)
    /// </summary>
    private static int AddFreshSocket(List<PunchShot> shots, UdpEndpoint seen)
    {
        foreach (int delay in Retransmits)
            shots.Add(new PunchShot(seen, TimeSpan.FromMilliseconds(delay), 1, IsGuess: true));
        return 1;
    }

    /// <summary>
    /// Each probe uses up a port of our own. The other's i-th goes to our i-th predicted port, the leader's j-th to the other's 2j-th.
    /// Where others have taken g of the leader's ports and f of the other's meanwhile, the leader's j-th leaves by port j + g, at which the
    /// other's probe of that number aims, which leaves by port j + g + f: that is 2j, where the leader aims, when j = g + f. As g and f
    /// never fall there is always such a j, also while others take more.
    /// </summary>
    private static int AddBothPredicted(List<PunchShot> shots, UdpEndpoint next, int step, bool leads)
    {
        foreach (int start in BothPredictedRounds)
        {
            // Each from a socket that was just opened, which has no mapping yet, and again from the same, which takes no port.
            for (int i = 0; i < MeetingSockets; i++)
            {
                UdpEndpoint guess = Offset(next, step * (leads ? 2 * i : i));
                shots.Add(new PunchShot(guess, TimeSpan.FromMilliseconds(start) + (MeetingInterval * i), i + 1, IsGuess: true));
            }
        }

        return MeetingSockets;
    }

    /// <summary>
    /// Our ports are random: open many, all for the peer's one, and let it guess. Twice, for what is lost on the way to our own NAT.
    /// </summary>
    private static int AddBirthdaySockets(List<PunchShot> shots, UdpEndpoint seen)
    {
        foreach (TimeSpan start in (ReadOnlySpan<TimeSpan>)[TimeSpan.Zero, SecondBirthdayRound])
        {
            for (int i = 0; i < BirthdaySockets; i++)
                shots.Add(new PunchShot(seen, start + (GuessInterval * i), i + 1, IsGuess: true));
        }

        return BirthdaySockets;
    }

    private static bool IsLoopback(in UdpEndpoint endpoint) =>
        endpoint.IsIPv4 ? (uint)endpoint.MappedAddress >> 24 == 127 : endpoint.MappedAddress == UInt128.One;

    /// <summary>The endpoint with its port moved, wrapping around within 1024..65535.</summary>
    private static UdpEndpoint Offset(in UdpEndpoint endpoint, int ports)
    {
        int port = (endpoint.Port - LowestPort + ports) % PortCount;
        return new UdpEndpoint(endpoint.MappedAddress, (ushort)(LowestPort + (port < 0 ? port + PortCount : port)));
    }
}
