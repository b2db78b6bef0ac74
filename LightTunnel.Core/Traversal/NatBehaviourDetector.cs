using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.Traversal;

/// <summary>The endpoints of the server that look at us.</summary>
/// <param name="Primary">Its ordinary endpoint.</param>
/// <param name="OtherPort">Same address, another port; unspecified when there is none.</param>
/// <param name="OtherAddress">Another address; unspecified when there is none.</param>
internal readonly record struct NatObservers(UdpEndpoint Primary, UdpEndpoint OtherPort = default, UdpEndpoint OtherAddress = default);

/// <summary>A probe to an observer, to be sealed for the server and sent.</summary>
/// <param name="Destination">Where to.</param>
/// <param name="Socket">From which local socket.</param>
/// <param name="Transaction">What its answer is known by.</param>
/// <param name="Flags">From where the answer is wanted.</param>
internal readonly record struct ObservationProbe(UdpEndpoint Destination, LocalEnd Socket, uint Transaction, ProbeFlags Flags);

/// <summary>How far the measurement is.</summary>
internal enum NatDetection
{
    /// <summary>Not begun.</summary>
    Idle,

    /// <summary>Under way.</summary>
    Running,

    /// <summary>The behaviour is known as well as these observers can tell.</summary>
    Done,

    /// <summary>Nothing came back: UDP to the server does not work.</summary>
    Unreachable,
}

/// <summary>
/// Measures the NAT before this node by RFC 5780's logic over the node's own socket. Filtering comes first: the server is asked to answer
/// from a port (and address) that nothing was sent to yet, which decides what gets in. Then mapping: how others see the very same socket.
/// No I/O; owned by the control loop; bounded.
/// </summary>
internal sealed class NatBehaviourDetector
{
    /// <summary>Views of others that are remembered.</summary>
    private const int MaximumSamples = 16;
    private const int MaximumWaiting = 64;

    /// <summary>Ports further apart than this have no step between them; others that use the NAT may take some in between.</summary>
    private const int LargestStep = 64;

    /// <summary>Unless all are apart by multiples of one step: a router that counts in the other order of bytes goes by 256.</summary>
    private const int LargestRegularStep = 256;

    private static readonly int[] FilteringShots = [0, 30, 60, 300, 700, 1500, 3000];
    private static readonly int[] MappingShots = [0, 100, 300, 700];
    private static readonly TimeSpan GiveUp = TimeSpan.FromSeconds(5);

    /// <summary>After the plain answer the others are waited for: they left together.</summary>
    private static readonly TimeSpan FilteringGrace = TimeSpan.FromMilliseconds(160);
    private static readonly TimeSpan MappingTimeout = TimeSpan.FromMilliseconds(1500);

    /// <summary>Answers of a burst that say something.</summary>
    private const int LeastOfBurst = 3;

    /// <summary>Bursts in a row without an order until ports count as random.</summary>
    private const int BurstsUntilRandom = 3;

    /// <summary>Bursts in a row without answers, which say nothing of the NAT, until this measurement does without.</summary>
    private const int BurstsUntilSilent = 3;

    /// <summary>For so long a NAT may remember that we sent to the other port, which would let its answers in.</summary>
    private static readonly TimeSpan FilterMemory = TimeSpan.FromMinutes(5);

    private enum Phase
    {
        None,
        Filtering,
        Mapping,
    }

    private readonly Random _random;
    private readonly Dictionary<uint, (UdpEndpoint Observer, LocalEnd Socket, ProbeFlags Flags)> _waiting = [];
    private readonly List<(UdpEndpoint Observer, UdpEndpoint Seen)> _samples = [];
    private readonly List<(LocalEnd Socket, UdpEndpoint Seen)> _burst = [];
    private readonly HashSet<UdpEndpoint> _oddities = [];
    private LocalEnd[] _burstSockets = [];
    private (PortAssignment Assignment, int Step) _ports;
    private int _randomBursts;
    private int _silentBursts;
    private UdpEndpoint _filteringOf;
    private IReadOnlyList<UdpEndpoint> _local = [];
    private NatObservers _observers;
    private Phase _phase;
    private Timestamp _phaseStart;
    private Timestamp _deadline;
    private int _nextShot;
    private bool _skipFiltering;
    private bool _plainAnswered;
    private bool _otherPortCame;
    private bool _otherAddressCame;
    private bool _cannotTest;
    private EndpointDependence _filtering;
    private Timestamp _othersProbed;
    private UdpEndpoint _lastMapping;

    /// <param name="random">Transactions; seeded in simulations.</param>
    public NatBehaviourDetector(Random random) => _random = random;

    /// <summary>How far the measurement is.</summary>
    public NatDetection State { get; private set; }

    /// <summary>What is known; until a measurement ends, the last one's result.</summary>
    public NatBehaviour Behaviour { get; private set; }

    /// <summary>The endpoint that the server's ordinary port sees; unspecified until known.</summary>
    public UdpEndpoint PublicEndpoint { get; private set; }

    /// <summary>The endpoint that the next mapping will most likely get; unspecified unless ports are sequential.</summary>
    public UdpEndpoint PredictedEndpoint
    {
        get
        {
            if (!Behaviour.IsPredictable || !_lastMapping.IsSpecified)
                return default;
            int port = _lastMapping.Port + Behaviour.Step;
            return port is >= 1024 and <= 65535 ? new UdpEndpoint(_lastMapping.MappedAddress, (ushort)port) : default;
        }
    }

    /// <summary>Measures, from the beginning.</summary>
    /// <param name="observers">Who looks at us.</param>
    /// <param name="local">This node's own endpoints: interface addresses with the node's port.</param>
    /// <param name="networkChanged">True when there may be another NAT now; false to repeat the measurement of the same one.</param>
    /// <param name="now">The present.</param>
    public void Start(in NatObservers observers, IReadOnlyList<UdpEndpoint> local, bool networkChanged, Timestamp now)
    {
        _observers = observers;
        _local = local;
        _waiting.Clear();
        _samples.Clear();
        _otherPortCame = _otherAddressCame = _plainAnswered = _cannotTest = false;
        // Our own earlier probes would let in the answers that are to be tested, unless this is another NAT: its address tells.
        _skipFiltering = now - _othersProbed < FilterMemory;
        _ports = default;
        _randomBursts = _silentBursts = 0;
        if (networkChanged)
        {
            Behaviour = default;
            PublicEndpoint = default;
            _lastMapping = default;
        }

        State = NatDetection.Running;
        Enter(Phase.Filtering, now, GiveUp);
    }

    /// <summary>True when it is still to be seen how the ports of new mappings follow each other: by a burst from fresh sockets.</summary>
    public bool WantsBurst => IsOrderUnknown && !IsSilent;

    /// <summary>True when that could not be seen, as the bursts were not answered: worth another measurement.</summary>
    public bool IsSilent => IsOrderUnknown && _silentBursts >= BurstsUntilSilent;

    /// <summary>When the filtering can be tested that could not be now, as the NAT may remember what was sent.</summary>
    public Timestamp FilteringTestableAt =>
        State == NatDetection.Done && _filtering == EndpointDependence.Unknown && _skipFiltering
            ? _othersProbed + FilterMemory
            : Timestamp.Never;

    /// <summary>
    /// Asks where sockets that were just opened are seen: a burst of new mappings, one after another, shows the counter and its step. To be
    /// done right before two members are introduced, as every mapping moves the counter on.
    /// </summary>
    public void BeginBurst(LocalEnd[] sockets, List<ObservationProbe> output)
    {
        _burst.Clear();
        _burstSockets = sockets;
        foreach (LocalEnd socket in sockets)
            output.Add(Probe(_observers.Primary, socket, ProbeFlags.None));
    }

    /// <summary>True when every socket of the burst was answered.</summary>
    public bool IsBurstComplete => _burst.Count == _burstSockets.Length;

    /// <summary>Draws the conclusions from what was answered of the burst.</summary>
    public void EndBurst()
    {
        // In the order in which they were sent; a gap where one was lost.
        (int Order, int Port)[] seen =
            [.. _burst.Select(entry => (Order: Array.IndexOf(_burstSockets, entry.Socket), (int)entry.Seen.Port))
                .OrderBy(entry => entry.Order)];
        if (seen.Length > 0)
            _lastMapping = _burst.MaxBy(entry => Array.IndexOf(_burstSockets, entry.Socket)).Seen;
        if (seen.Length < LeastOfBurst)
        {
            _silentBursts++;
            return;
        }

        _silentBursts = 0;
        (PortAssignment Assignment, int Step) ports = PortsOf(seen);
        if (ports.Assignment == PortAssignment.Sequential)
        {
            _ports = ports;
            _randomBursts = 0;
        }
        else if (++_randomBursts >= BurstsUntilRandom)
        {
            // A counter that begins anew or a busy moment is not taken for chance; what looks like it each time is.
            _ports = (PortAssignment.Random, 0);
        }

        if (_ports.Assignment != PortAssignment.Unknown)
            Behaviour = Behaviour with { Assignment = _ports.Assignment, Step = _ports.Step };
    }

    /// <summary>Takes an answer of the server.</summary>
    /// <param name="transaction">Which probe it answers.</param>
    /// <param name="from">Where it came from.</param>
    /// <param name="seen">Where the server saw the probe come from.</param>
    /// <param name="now">The present.</param>
    /// <returns>True when <see cref="Behaviour"/>, <see cref="State"/> or an endpoint may be new.</returns>
    public bool OnAnswer(uint transaction, in UdpEndpoint from, in UdpEndpoint seen, Timestamp now)
    {
        if (!_waiting.TryGetValue(transaction, out (UdpEndpoint Observer, LocalEnd Socket, ProbeFlags Flags) probe)
            || !Candidate.IsUsable(seen))
        {
            return false;
        }

        // One that asks for answers from elsewhere may bring several.
        if (probe.Flags == ProbeFlags.None)
            _waiting.Remove(transaction);
        if (!probe.Socket.IsOwn)
        {
            if (!_burst.Exists(entry => entry.Socket == probe.Socket))
                _burst.Add((probe.Socket, seen));
            return IsBurstComplete;
        }

        if (probe.Flags != ProbeFlags.None)
        {
            if (_phase != Phase.Filtering)
                return false;
            // A server that has no other port or address answers from the same.
            _cannotTest |= from == probe.Observer;
            _otherPortCame |= from != probe.Observer && from.MappedAddress == probe.Observer.MappedAddress;
            _otherAddressCame |= from.MappedAddress != probe.Observer.MappedAddress;
            return false;
        }

        AddSample(probe.Observer, seen);
        if (probe.Observer == _observers.Primary)
        {
            bool isNew = PublicEndpoint != seen;
            if (isNew)
                _oddities.Clear();
            PublicEndpoint = seen;
            if (_phase == Phase.Filtering && !_plainAnswered)
            {
                _plainAnswered = true;
                _deadline = now + (_skipFiltering ? TimeSpan.Zero : FilteringGrace);
            }

            return isNew;
        }

        if (_phase == Phase.Mapping && HasAllSamples)
            Conclude();
        return true;
    }

    /// <summary>
    /// Another member told where it sees this node's own socket: one more view of the mapping. Views from a local network say nothing
    /// about the NAT and are left out.
    /// </summary>
    /// <param name="member">The member.</param>
    /// <param name="seen">Where it sees this node.</param>
    /// <param name="isOdd">True when that contradicts what was measured: the NAT may have started again, or have another address.</param>
    /// <returns>True when <see cref="Behaviour"/> is another now.</returns>
    public bool OnMemberAnswer(in UdpEndpoint member, in UdpEndpoint seen, out bool isOdd)
    {
        isOdd = false;
        if (State != NatDetection.Done || !PublicEndpoint.IsIPv4 || !seen.IsIPv4 || !member.IsIPv4
            || member.IsLocal != _observers.Primary.IsLocal || seen.IsLocal != PublicEndpoint.IsLocal)
        {
            return false;
        }
        if (seen != PublicEndpoint)
        {
            // The server's own views decide, as they are of one moment. Members' are not: around a new mapping they differ anyhow.
            bool isKnown = OwnObservers().Count(HasSample) > 1;
            if (isKnown && Behaviour.HasDependentMapping)
                return false;
            // Once for each: what is still so after another look is so.
            isOdd = _oddities.Count < MaximumSamples && _oddities.Add(seen);
            if (isKnown || isOdd)
                return false;
        }

        AddSample(member, seen);
        NatBehaviour before = Behaviour;
        Behaviour = Compute();
        return Behaviour != before;
    }

    /// <summary>A datagram of a member came in from an address that nothing was sent to: the NAT lets everybody in.</summary>
    /// <returns>True when <see cref="Behaviour"/> is another now.</returns>
    public bool OnUnsolicited()
    {
        if (State != NatDetection.Done || _filtering == EndpointDependence.EndpointIndependent)
            return false;
        _filtering = EndpointDependence.EndpointIndependent;
        Behaviour = Behaviour with { Filtering = _filtering };
        return true;
    }

    /// <summary>Does what is due.</summary>
    /// <param name="now">The present.</param>
    /// <param name="output">Receives the probes to send.</param>
    /// <param name="changed">True when <see cref="State"/> changed.</param>
    /// <returns>When to call again.</returns>
    public Timestamp RunTimers(Timestamp now, List<ObservationProbe> output, out bool changed)
    {
        NatDetection before = State;
        if (_phase != Phase.None && now >= _deadline)
            EndPhase(now);

        int[] shots = _phase == Phase.Mapping ? MappingShots : FilteringShots;
        while (_phase != Phase.None && _nextShot < shots.Length && _phaseStart + TimeSpan.FromMilliseconds(shots[_nextShot]) <= now)
        {
            _nextShot++;
            Shoot(output, now);
        }

        changed = State != before;
        if (_phase == Phase.None)
            return Timestamp.Never;
        return _nextShot < shots.Length
            ? Timestamp.Earliest(_deadline, _phaseStart + TimeSpan.FromMilliseconds(shots[_nextShot]))
            : _deadline;
    }

    private bool IsOrderUnknown =>
        State == NatDetection.Done && Behaviour.HasDependentMapping && _ports.Assignment == PortAssignment.Unknown;

    private bool HasAllSamples =>
        (!_observers.OtherPort.IsSpecified || HasSample(_observers.OtherPort))
        && (!_observers.OtherAddress.IsSpecified || HasSample(_observers.OtherAddress));

    private void Enter(Phase phase, Timestamp now, TimeSpan limit)
    {
        _phase = phase;
        _phaseStart = now;
        _deadline = now + limit;
        _nextShot = 0;
    }

    private void EndPhase(Timestamp now)
    {
        if (_phase == Phase.Mapping)
        {
            Conclude();
            return;
        }

        if (!_plainAnswered)
        {
            _phase = Phase.None;
            State = NatDetection.Unreachable;
            return;
        }

        // What was found before is true of a NAT with the same address; of another one nothing is known yet.
        if (!_skipFiltering)
            (_filtering, _filteringOf) = (Filtering(), PublicEndpoint);
        else if (PublicEndpoint.MappedAddress != _filteringOf.MappedAddress)
            (_filtering, _filteringOf) = (EndpointDependence.Unknown, PublicEndpoint);
        if (HasAllSamples)
            Conclude();
        else
            Enter(Phase.Mapping, now, MappingTimeout);
    }

    private void Shoot(List<ObservationProbe> output, Timestamp now)
    {
        if (_phase == Phase.Filtering)
        {
            if (!_plainAnswered)
                output.Add(Probe(_observers.Primary, default, ProbeFlags.None));
            if (_observers.OtherPort.IsSpecified && !_skipFiltering)
                output.Add(Probe(_observers.Primary, default, ProbeFlags.AnswerFromElsewhere));
            return;
        }

        _othersProbed = now;
        if (_observers.OtherPort.IsSpecified && !HasSample(_observers.OtherPort))
            output.Add(Probe(_observers.OtherPort, default, ProbeFlags.None));
        if (_observers.OtherAddress.IsSpecified && !HasSample(_observers.OtherAddress))
            output.Add(Probe(_observers.OtherAddress, default, ProbeFlags.None));
    }

    private ObservationProbe Probe(in UdpEndpoint observer, LocalEnd socket, ProbeFlags flags)
    {
        if (_waiting.Count >= MaximumWaiting)
            _waiting.Clear();
        uint transaction;
        do
            transaction = (uint)_random.NextInt64(1L << 32);
        while (!_waiting.TryAdd(transaction, (observer, socket, flags)));
        return new ObservationProbe(observer, socket, transaction, flags);
    }

    private EndpointDependence Filtering()
    {
        if (_otherAddressCame)
            return EndpointDependence.EndpointIndependent;
        if (_otherPortCame)
            return EndpointDependence.AddressDependent;
        return _observers.OtherPort.IsSpecified && !_cannotTest ? EndpointDependence.AddressAndPortDependent : EndpointDependence.Unknown;
    }

    private void Conclude()
    {
        _phase = Phase.None;
        State = NatDetection.Done;
        // The mapping made last, of those that this measurement made.
        UdpEndpoint last = OwnObservers().Last(HasSample);
        _lastMapping = _samples.Find(sample => sample.Observer == last).Seen;
        Behaviour = Compute();
    }

    private bool HasSample(UdpEndpoint observer) => _samples.Exists(sample => sample.Observer == observer);

    private void AddSample(UdpEndpoint observer, UdpEndpoint seen)
    {
        int known = _samples.FindIndex(sample => sample.Observer == observer);
        if (known >= 0)
            _samples[known] = (observer, seen);
        else if (_samples.Count < MaximumSamples)
            _samples.Add((observer, seen));
        else
            // The server's own views stay; the oldest of members goes.
            _samples[^1] = (observer, seen);
    }

    private NatBehaviour Compute()
    {
        bool isOwn = _local.Any(own => own.MappedAddress == PublicEndpoint.MappedAddress);
        EndpointDependence mapping = Mapping();
        (PortAssignment allocation, int step) = Assignment(mapping);
        return new NatBehaviour(
            mapping, _filtering, allocation, step, isOwn ? NatPresence.None : NatPresence.Translated, PublicEndpoint.Address);
    }

    /// <summary>RFC 5780 section 4.3: compares what is seen by others at one address, then at several.</summary>
    private EndpointDependence Mapping()
    {
        if (_samples.Count < 2)
            return EndpointDependence.Unknown;
        if (_samples.TrueForAll(sample => sample.Seen == _samples[0].Seen))
            return EndpointDependence.EndpointIndependent;
        bool samePerAddress = _samples.GroupBy(sample => sample.Observer.MappedAddress)
            .All(group => group.Select(sample => sample.Seen).Distinct().Count() == 1);
        bool tellsPorts = _samples.GroupBy(sample => sample.Observer.MappedAddress).Any(group => group.Count() > 1);
        return samePerAddress && tellsPorts ? EndpointDependence.AddressDependent : EndpointDependence.AddressAndPortDependent;
    }

    private (PortAssignment Assignment, int Step) Assignment(EndpointDependence mapping)
    {
        if (_local.Count > 0 && _samples.TrueForAll(sample => sample.Seen.Port == _local[0].Port))
            return (PortAssignment.Preserving, 0);
        if (mapping is not (EndpointDependence.AddressDependent or EndpointDependence.AddressAndPortDependent))
            return (PortAssignment.Unknown, 0);

        if (_ports.Assignment != PortAssignment.Unknown)
            return _ports;
        // Only what this measurement made, within a second: members' views are older or younger than others' mappings.
        (int Order, int Port)[] seen =
            [.. OwnObservers()
                .Where(HasSample)
                .Select((observer, order) => (order, (int)_samples.Find(sample => sample.Observer == observer).Seen.Port))
                .DistinctBy(entry => entry.Item2)];
        return seen.Length < 2 ? (PortAssignment.Unknown, 0) : PortsOf(seen);
    }

    /// <summary>How ports follow each other that were handed out in this order; an order that is left out was lost.</summary>
    private static (PortAssignment Assignment, int Step) PortsOf((int Order, int Port)[] seen)
    {
        int[] differences =
            [.. seen.Zip(seen.Skip(1), static (first, second) => (second.Port - first.Port) / (second.Order - first.Order))];
        // Others take ports in between: the smallest difference is the step.
        int step = differences.MinBy(Math.Abs);
        bool isClose = Array.TrueForAll(differences, difference => Math.Abs(difference) <= LargestStep);
        bool isRegular = differences.Length > 1 && step != 0 && Math.Abs(step) <= LargestRegularStep
            && Array.TrueForAll(differences, difference => difference % step == 0);
        bool isOneWay = step != 0 && Array.TrueForAll(differences, difference => Math.Sign(difference) == Math.Sign(step));
        return isOneWay && (isClose || isRegular) ? (PortAssignment.Sequential, step) : (PortAssignment.Random, 0);
    }

    /// <summary>In the order in which they are probed.</summary>
    private UdpEndpoint[] OwnObservers() => [_observers.Primary, _observers.OtherPort, _observers.OtherAddress];
}
