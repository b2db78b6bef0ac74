using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.PortMapping;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// How this node may be reached: its own addresses, what a person gave, what the router forwards, where others see it, and what its NAT
/// does. Tells the server whenever that changes. Owned by the control loop.
/// </summary>
internal sealed class OwnReachability : IDisposable
{
    /// <summary>Sockets whose mappings show which port comes next; opened anew each time.</summary>
    public const int BurstSockets = 4;

    /// <summary>A prediction as old as this is made anew: others use the NAT too.</summary>
    private static readonly TimeSpan PredictionLifetime = TimeSpan.FromMilliseconds(200);

    /// <summary>The answers that a prediction needs are waited for this long.</summary>
    private static readonly TimeSpan BurstTimeout = TimeSpan.FromMilliseconds(800);

    /// <summary>The system's news of changes are waited for this long before anything is concluded from them.</summary>
    private static readonly TimeSpan SwarmPause = TimeSpan.FromMilliseconds(200);

    /// <summary>After a path was lost the NAT may be another, or have another address; it is looked at again this often at most.</summary>
    private static readonly TimeSpan RepeatInterval = TimeSpan.FromSeconds(10);

    private readonly ClientOptions _options;
    private readonly UnderlayRoutes _ways;
    private readonly Node _node;
    private readonly NodeServices _services;
    private readonly ServerConnection _connection;
    private readonly NatBehaviourDetector _detector;
    private readonly ProbeChannel? _server;
    private readonly List<ObservationProbe> _output = [];
    private readonly HashSet<Member> _wantPrediction = [];
    private UdpEndpoint _seenByServer;
    private UdpEndpoint _mapping;
    private NatObservers _observers;
    private IReadOnlyList<IpPrefix> _tunnel = [];
    private Reachability? _told;
    private Timestamp _measured;
    private Timestamp _measureAt = Timestamp.Never;
    private Timestamp _predicted;
    private Timestamp _burstEnds = Timestamp.Never;
    private bool _isRegistered;
    private IReadOnlyList<UdpEndpoint> _measuredHosts = [];
    private LocalEnd[] _burst = [];
    private int _burstNumber;
    private uint? _asked;
    private bool _isAnswered;
    private bool _isChanged;

    /// <param name="node">The node.</param>
    /// <param name="options">What a person said.</param>
    /// <param name="identity">This node's key pair; not owned.</param>
    /// <param name="addresses">Knows the way to others.</param>
    /// <param name="connection">The way to the server.</param>
    public OwnReachability(
        Node node, ClientOptions options, PrivateKey identity, ILocalAddressSource addresses, ServerConnection connection)
    {
        NodeServices services = node.Services;
        _node = node;
        _connection = connection;
        _options = options;
        _ways = new UnderlayRoutes(node, addresses) { UplinkChanged = OnUplinkChanged };
        _services = services;
        _detector = new NatBehaviourDetector(services.Jitter);
        if (ProbeKeys.TryMake(identity, options.ServerKey, node.NetworkKeys, out ProbeKeys? keys))
            _server = new ProbeChannel(keys, 0, services.RisingNow) { PeerKeyNumber = int.MaxValue };
    }

    /// <summary>Endpoints at which others may reach this node.</summary>
    public CandidateList Candidates { get; private set; } = CandidateList.Empty;

    /// <summary>The NAT before it, as far as it was measured.</summary>
    public NatBehaviour Nat { get; private set; }

    /// <summary>True when <see cref="Candidates"/> or <see cref="Nat"/> have changed since this was last asked.</summary>
    public bool TakeChange()
    {
        bool isChanged = _isChanged;
        _isChanged = false;
        return isChanged;
    }

    /// <summary>How far the measurement is.</summary>
    public NatDetection Detection => _detector.State;

    /// <summary>Where the server sees this node; unspecified until it told.</summary>
    public UdpEndpoint PublicEndpoint => _detector.PublicEndpoint.IsSpecified ? _detector.PublicEndpoint : _seenByServer;

    /// <summary>
    /// True when this node passes on datagrams of others: when a person said so or, unless one said no, with a public address.
    /// </summary>
    public bool IsRelay => _options.AllowRelay ?? Nat.IsPublic;

    /// <summary>A port that the router forwards to this node's socket, as far as that is to be believed; unspecified for none.</summary>
    public UdpEndpoint PortMapping => IsBelievable(_mapping) ? _mapping : default;

    private TimeProvider Time => _services.Time;

    /// <summary>True when what is sent there would leave by a tunnel, which this one may carry in turn.</summary>
    public bool IsTunnelled(in UdpEndpoint endpoint) => _ways.IsTunnelled(endpoint);

    /// <inheritdoc cref="UnderlayRoutes.WhenKnown"/>
    public void WhenKnown(IEnumerable<UdpEndpoint> endpoints, Action then) => _ways.WhenKnown(endpoints, then);

    /// <summary>The server has admitted this node, and says where it sees it and from where else it can look.</summary>
    public void OnRegistered(RegisteredMessage registered, in UdpEndpoint server, IReadOnlyList<IpPrefix> tunnel)
    {
        Timestamp now = Time.Now();
        _server?.OwnMemberId = registered.MemberId;
        _tunnel = tunnel;
        _ways.Server = server;
        _told = null;
        bool isElsewhere = !_isRegistered || registered.ObservedEndpoint != PublicEndpoint;
        _isRegistered = true;
        _seenByServer = registered.ObservedEndpoint;
        _observers = ObserversOf(registered, server);
        Measure(isElsewhere, now);
        Gather();
    }

    /// <summary>
    /// The machine's addresses may have changed. The system also tells of what is of no account, such as a container's interface or
    /// this tunnel's own.
    /// </summary>
    /// <param name="isCertain">True when nothing that was known is to be trusted, whatever the addresses are.</param>
    /// <returns>True when the addresses at which others reach this node are others now.</returns>
    public bool OnNetworkChanged(bool isCertain)
    {
        CandidateList before = Candidates;
        if (!_isRegistered)
            return false;
        _ways.Doubt();
        Gather();
        if (!isCertain && Candidates.EqualsButPredictions(before))
        {
            // Many homes have the same addresses: whether it is another network the server sees. Such news come in swarms.
            _measureAt = Time.Now() + SwarmPause;
            return false;
        }

        Measure(isElsewhere: true, Time.Now());
        return true;
    }

    /// <summary>A path was lost: the NAT may have been started again.</summary>
    public void OnPathLost(Timestamp now)
    {
        if (!_isRegistered || !LookSoon(now))
            return;
        // A router that was started again has forgotten what it forwards, and need not say so.
        if (PortMapping.IsSpecified)
            _services.PortMapper.Refresh();
    }

    /// <summary>The server answers again after it did not: so it may a measurement that came to nothing meanwhile.</summary>
    public void OnServerFound(Timestamp now)
    {
        if (_isRegistered && _detector.State == NatDetection.Unreachable)
            Measure(isElsewhere: true, now);
    }

    /// <summary>Somebody wants to know how things are now: the NAT is looked at again.</summary>
    public void LookAgain(Timestamp now)
    {
        if (_isRegistered && _detector.State != NatDetection.Running)
            Measure(isElsewhere: false, now);
    }

    /// <summary>The router forwards a port to this node, or does so no more.</summary>
    public void OnPortMapped(PortMappingStatus status)
    {
        if (status.External == _mapping)
            return;
        _mapping = status.External;
        if (PortMapping.IsSpecified)
        {
            _services.Log.Information(
                "The router {Gateway} forwards {Endpoint} to this node ({Protocol})", status.Gateway, PortMapping, status.Protocol);
        }
        else if (_mapping.IsSpecified)
        {
            _services.Log.Warning(
                "The router {Gateway} says that it forwards {Endpoint} to this node: others are not told, as the server sees this "
                    + "node at {Seen}",
                status.Gateway, _mapping, PublicEndpoint.IsSpecified ? PublicEndpoint.Address : null);
        }

        if (_isRegistered)
            Gather();
    }

    /// <summary>The server's answer to a probe, or what looks like one.</summary>
    public void OnServerDatagram(ReadOnlySpan<byte> datagram, in UdpEndpoint from, Timestamp now)
    {
        if (_server is null || !_server.TryOpen(datagram, out Probe probe) || !probe.IsAnswer)
            return;
        _isAnswered |= probe.Transaction == _asked;
        UdpEndpoint before = _detector.PublicEndpoint;
        if (!_detector.OnAnswer(probe.Transaction, from, probe.SeenFrom, now))
            return;
        UdpEndpoint seen = _detector.PublicEndpoint;
        if (before.IsSpecified && seen.IsSpecified && seen.MappedAddress != before.MappedAddress)
        {
            _seenByServer = seen;
            _services.PortMapper.Refresh();
            Measure(isElsewhere: true, now);
        }

        if (_burstEnds != Timestamp.Never && _burst.Length > 0 && _detector.IsBurstComplete)
            EndBurst(now);
        else
            Conclude(now);
    }

    /// <summary>Sends the server a probe at an endpoint, to see whether it is reached there as well.</summary>
    /// <returns>What its answer is known by; see <see cref="IsAnswered"/>.</returns>
    public uint Ask(in UdpEndpoint endpoint)
    {
        uint question = (uint)_services.Jitter.NextInt64(1L << 32);
        if (_server is null)
            return question;
        _asked = question;
        _isAnswered = false;
        Send(new ObservationProbe(endpoint, default, question, ProbeFlags.None));
        return question;
    }

    /// <summary>True when the server has answered the last question.</summary>
    public bool IsAnswered(uint question) => question == _asked && _isAnswered;

    /// <summary>Another member told where it sees this node's own socket.</summary>
    public void OnMemberAnswer(in UdpEndpoint member, in UdpEndpoint seen)
    {
        if (_detector.OnMemberAnswer(member, seen, out bool isOdd))
            Gather();
        if (isOdd)
            LookSoon(Time.Now());
    }

    /// <summary>A member's probe came from an address that nothing was sent to.</summary>
    public void OnUnsolicited()
    {
        if (_detector.OnUnsolicited())
            Gather();
    }

    /// <summary>True when the predicted port was found out a moment ago.</summary>
    public bool IsPredictionFresh(Timestamp now) => now - _predicted < PredictionLifetime;

    /// <summary>Ports are guessed now: that takes the one that was predicted, and those after it.</summary>
    public void UsePrediction() => _predicted = Timestamp.NotYet;

    /// <summary>Asks the server for an introduction as soon as the port that this node's NAT will hand out next is known.</summary>
    public void IntroduceWithPrediction(Member member, Timestamp now)
    {
        _wantPrediction.Add(member);
        if (_burstEnds != Timestamp.Never)
            return;
        if (_server is null || IsPredictionFresh(now))
            Introduce();
        else
            BeginBurst(now);
    }

    /// <summary>Does what is due; returns when to call again.</summary>
    public Timestamp RunTimers(Timestamp now)
    {
        if (now >= _measureAt)
            Measure(isElsewhere: false, now);
        _output.Clear();
        Timestamp next = _detector.RunTimers(now, _output, out bool changed);
        foreach (ObservationProbe probe in _output)
            Send(probe);
        if (changed)
            Conclude(now);
        if (now >= _burstEnds)
            EndBurst(now);
        return Timestamp.Earliest(next, _burstEnds, _measureAt);
    }

    /// <summary>Zeroes the key.</summary>
    public void Dispose() => _server?.Dispose();

    /// <summary>Plans another look at the NAT; false when one is under way or planned already.</summary>
    private bool LookSoon(Timestamp now)
    {
        if (_detector.State == NatDetection.Running || _measureAt != Timestamp.Never)
            return false;
        _measureAt = Timestamp.Latest(now, _measured + RepeatInterval);
        return true;
    }

    private void Measure(bool isElsewhere, Timestamp now)
    {
        if (_server is null || !_observers.Primary.IsSpecified)
            return;
        _measured = now;
        _measureAt = Timestamp.Never;
        _measuredHosts = OwnHosts();
        _detector.Start(_observers, _measuredHosts, isElsewhere, now);
    }

    /// <summary>
    /// The NAT may be better known now. One whose ports differ is told of only when it is clear how: others would guess wrongly.
    /// </summary>
    private void Conclude(Timestamp now)
    {
        if (_detector.WantsBurst && _burstEnds == Timestamp.Never)
            BeginBurst(now);
        else if (!_detector.WantsBurst)
            Gather();
        _measureAt = Timestamp.Earliest(_measureAt, _detector.FilteringTestableAt);
    }

    private void BeginBurst(Timestamp now)
    {
        _burstEnds = now + BurstTimeout;
        CloseBurst();
        int number = ++_burstNumber;
        _node.Outputs.Open(BurstSockets, opened => BeginBurst(number, [.. opened]));
    }

    private void BeginBurst(int number, LocalEnd[] sockets)
    {
        CloseBurst();
        _burst = sockets;
        if (number != _burstNumber || _burstEnds == Timestamp.Never)
        {
            CloseBurst();
            return;
        }

        _output.Clear();
        _detector.BeginBurst(_burst, _output);
        foreach (ObservationProbe probe in _output)
            Send(probe);
    }

    private void EndBurst(Timestamp now)
    {
        _burstEnds = Timestamp.Never;
        CloseBurst();
        _detector.EndBurst();
        if (_detector.WantsBurst)
        {
            BeginBurst(now);
            return;
        }

        if (_detector.IsSilent)
            LookSoon(now);
        _predicted = now;
        Gather();
        Introduce();
    }

    private void CloseBurst()
    {
        foreach (LocalEnd socket in _burst)
            _node.Outputs.Close(socket);
        _burst = [];
    }

    private void Send(in ObservationProbe probe)
    {
        Span<byte> datagram = stackalloc byte[ProbeCodec.Size];
        _server!.SealProbe(probe.Transaction, probe.Flags, datagram);
        _node.Sender.Datagram(new PathAddress(probe.Destination).By(probe.Socket), datagram, isVouched: true);
    }

    private void Introduce()
    {
        foreach (Member member in _wantPrediction)
            _connection.Tell(new IntroduceMessage { MemberId = member.MemberId, Reachability = Now(), WithGuesses = true });
        _wantPrediction.Clear();
    }

    /// <summary>Another interface leads to the internet: its addresses count, whatever it is.</summary>
    private void OnUplinkChanged()
    {
        if (!_isRegistered)
            return;
        Gather();
        if (!OwnHosts().SequenceEqual(_measuredHosts))
            Measure(isElsewhere: true, Time.Now());
    }

    /// <summary>This node's own endpoints of the kind by which the server is reached.</summary>
    private IReadOnlyList<UdpEndpoint> OwnHosts() =>
        [.. Hosts().Where(candidate => candidate.Endpoint.IsIPv4 == _observers.Primary.IsIPv4).Select(candidate => candidate.Endpoint)];

    private IReadOnlyList<Candidate> Hosts() =>
        HostCandidates.Filter(_node.OwnAddresses, (ushort)_services.Transport.LocalPort, _tunnel, _ways.Uplink);

    /// <summary>Puts together what is known, and tells the server what is new.</summary>
    private void Gather()
    {
        IReadOnlyList<Candidate> hosts = Hosts();
        UdpEndpoint seen = PublicEndpoint;
        IEnumerable<Candidate> all = hosts
            .Concat(_options.AdvertisedEndpoints.Select(endpoint => new Candidate(CandidateKind.Manual, endpoint)))
            .Append(new Candidate(CandidateKind.PortMapped, PortMapping))
            .Append(new Candidate(CandidateKind.ServerReflexive, seen))
            .Append(new Candidate(CandidateKind.Predicted, _detector.PredictedEndpoint));
        CandidateList candidates = CandidateList.Create(all);
        bool isPublic = seen.IsSpecified && hosts.Any(candidate => candidate.Endpoint.MappedAddress == seen.MappedAddress);
        NatBehaviour nat = _detector.Behaviour != default || !seen.IsSpecified
            ? _detector.Behaviour
            : new NatBehaviour(
                EndpointDependence.Unknown, Presence: isPublic ? NatPresence.None : NatPresence.Translated, PublicAddress: seen.Address);
        bool changed = nat != Nat || !candidates.Equals(Candidates);
        (Candidates, Nat) = (candidates, nat);
        _isChanged |= changed;

        // A predicted port is for one introduction, with which it goes: all others need not begin anew because of it.
        if (_told is { } told && told.Nat == nat && told.IsRelay == IsRelay
            && CandidateList.Create(told.Candidates).EqualsButPredictions(candidates))
        {
            return;
        }
        _told = Now();
        _connection.Tell(new ReachabilityMessage { Reachability = _told });
    }

    /// <summary>
    /// Whoever is the router may say anything, and others send where it says: an endpoint counts at the address where the server sees this
    /// node, or at one of use only to those behind the same outer NAT.
    /// </summary>
    private bool IsBelievable(in UdpEndpoint mapping)
    {
        if (!mapping.IsIPv4 || !Candidate.IsUsable(mapping) || IPAddress.IsLoopback(mapping.Address))
            return false;
        var address = TunnelAddress.FromIPAddress(mapping.Address);
        return !_tunnel.Any(prefix => prefix.Contains(address))
            && (!PortMappingStatus.IsPublic(mapping) || mapping.MappedAddress == PublicEndpoint.MappedAddress);
    }

    private Reachability Now() => new() { Candidates = [.. Candidates], Nat = Nat, IsRelay = IsRelay };

    /// <summary>
    /// The server's other port at the address by which this node knows it, and another address of the server, if there are such.
    /// </summary>
    private static NatObservers ObserversOf(RegisteredMessage registered, in UdpEndpoint server)
    {
        if (registered.ObserverPort == 0)
            return new NatObservers(server);
        var known = TunnelAddress.FromIPAddress(server.Address);
        var otherPort = new UdpEndpoint(server.MappedAddress, (ushort)registered.ObserverPort);
        foreach (TunnelAddress address in registered.ObserverAddresses)
        {
            if (address != known && address.IsIPv4 == known.IsIPv4 && registered.ObserverAddresses.Contains(known))
                return new NatObservers(server, otherPort, new UdpEndpoint(address.ToIPAddress(), registered.ObserverPort));
        }

        return new NatObservers(server, otherPort);
    }
}
