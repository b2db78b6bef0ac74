using System.Diagnostics.CodeAnalysis;
using System.Net;
using LightTunnel.Addressing;

namespace LightTunnel.Internet.Nats;

/// <summary>
/// A network address translator by its behaviour (RFC 4787; RFC 5382 and RFC 5508 for what else has endpoints). It knows endpoints only, no
/// packets, and is told the time: the laboratory's router and the simulation both stand on it. Not thread-safe.
/// <para>
/// A <em>mapping</em> binds an inside endpoint to an outside port. It lives by its <em>sessions</em>, one for each remote side that the
/// filter tells apart; a session that is unused for too long is forgotten, and a mapping with its last session, unless the port is
/// forwarded.
/// </para>
/// </summary>
/// <remarks>
/// How it behaves is said in the words in which nodes tell what they have measured (<see cref="EndpointDependence"/>,
/// <see cref="PortAssignment"/>). Ports come from a seed. It is the only NAT that there is.
/// </remarks>
internal sealed class Nat
{
    /// <summary>Ports below are never given to others (RFC 4787 section 4.2.1).</summary>
    private const int FirstPort = 1024;

    private const int PortCount = 65536 - FirstPort;

    private NatSettings _settings;
    private readonly Random _random;
    private readonly Dictionary<(NatProtocol Protocol, UdpEndpoint Inside, UdpEndpoint Remote), Mapping> _byInside = [];
    private readonly Dictionary<(NatProtocol Protocol, ushort Port), Mapping> _byPort = [];
    private readonly Dictionary<(Mapping Mapping, UdpEndpoint Remote), Session> _sessions = [];
    private readonly List<Mapping> _forwarded = [];

    // One list for each protocol, the session that was unused for longest first: within a protocol all have the same timeout.
    private readonly LinkedList<Session>[] _byAge = [.. Enum.GetValues<NatProtocol>().Select(_ => new LinkedList<Session>())];
    private readonly long[] _verdicts = new long[Enum.GetValues<NatVerdict>().Length];
    private UInt128 _outsideAddress;
    private int _nextPort;
    private OtherFlows? _others;

    /// <param name="settings">How it behaves.</param>
    /// <param name="outsideAddress">Its address on the outside.</param>
    /// <param name="seed">Decides ports.</param>
    public Nat(NatSettings settings, IPAddress outsideAddress, int seed)
    {
        _settings = Checked(settings);
        _random = new Random(seed);
        _outsideAddress = new UdpEndpoint(outsideAddress, 0).MappedAddress;
        _nextPort = _random.Next(FirstPort, FirstPort + PortCount);
        _others = OtherFlows.Of(settings, ~seed);
    }

    /// <summary>How it behaves.</summary>
    public NatSettings Settings => _settings;

    /// <summary>Its address on the outside.</summary>
    public IPAddress OutsideAddress => new UdpEndpoint(_outsideAddress, 0).Address;

    /// <summary>Sessions in the table; those that ran out since the last packet are still counted.</summary>
    public int SessionCount => _sessions.Count;

    /// <summary>Mappings in the table; those that ran out since the last packet are still counted.</summary>
    public int MappingCount => _byPort.Count;

    /// <summary>How many packets met this verdict.</summary>
    public long this[NatVerdict verdict] => _verdicts[(int)verdict];

    /// <summary>Translates a packet that an inside host sends to an address that is not an inside one.</summary>
    /// <param name="now">The time.</param>
    /// <param name="protocol">The packet's protocol.</param>
    /// <param name="source">The inside endpoint; becomes the outside one.</param>
    /// <param name="destination">The remote endpoint; of a hairpinned packet it becomes the inside endpoint that it goes to.</param>
    /// <returns><see cref="NatVerdict.Translated"/> or <see cref="NatVerdict.Hairpinned"/>; otherwise the packet is dropped.</returns>
    public NatVerdict Outbound(TimeSpan now, NatProtocol protocol, ref UdpEndpoint source, ref UdpEndpoint destination)
    {
        NatVerdict verdict = TranslateOutbound(now, protocol, ref source, ref destination);
        _verdicts[(int)verdict]++;
        return verdict;
    }

    /// <summary>Translates a packet from outside to this NAT's own address.</summary>
    /// <param name="now">The time.</param>
    /// <param name="protocol">The packet's protocol.</param>
    /// <param name="source">The remote endpoint.</param>
    /// <param name="destination">The outside endpoint; becomes the inside one.</param>
    /// <returns><see cref="NatVerdict.Translated"/>; otherwise the packet is dropped.</returns>
    public NatVerdict Inbound(TimeSpan now, NatProtocol protocol, in UdpEndpoint source, ref UdpEndpoint destination)
    {
        NatVerdict verdict = TranslateInbound(now, protocol, source, ref destination);
        _verdicts[(int)verdict]++;
        return verdict;
    }

    /// <summary>The inside endpoint behind an outside one, whoever asks; refreshes nothing (RFC 5508 REQ-4). For ICMP errors.</summary>
    public bool TryFindInside(TimeSpan now, NatProtocol protocol, in UdpEndpoint outside, out UdpEndpoint inside)
    {
        Expire(now);
        bool found = _byPort.TryGetValue((protocol, outside.Port), out Mapping? mapping) && outside.MappedAddress == _outsideAddress;
        inside = found ? mapping!.Inside : default;
        return found;
    }

    /// <summary>The outside endpoint that an inside one has towards a remote one; makes and refreshes nothing. For ICMP errors.</summary>
    public bool TryFindOutside(TimeSpan now, NatProtocol protocol, in UdpEndpoint inside, in UdpEndpoint remote, out UdpEndpoint outside)
    {
        Expire(now);
        bool found = TryFindMapping(protocol, inside, Reduce(remote, _settings.Mapping), out Mapping? mapping);
        outside = found ? Outside(mapping!) : default;
        return found;
    }

    /// <summary>
    /// Lets everybody in at an outside port for a while, as an inside host asks for (RFC 6887 section 11.3): at the port that the host has
    /// for all others already, otherwise at the one suggested or the next that is free. What the host sends leaves by it, but for remote
    /// sides that have a mapping of their own.
    /// </summary>
    /// <param name="now">The time.</param>
    /// <param name="protocol">What is let in.</param>
    /// <param name="inside">The inside endpoint that it goes to.</param>
    /// <param name="suggestedPort">The outside port that is asked for.</param>
    /// <param name="lifetime">How long.</param>
    /// <param name="outside">The outside endpoint.</param>
    /// <returns>False when no port is free.</returns>
    public bool TryForward(
        TimeSpan now, NatProtocol protocol, in UdpEndpoint inside, ushort suggestedPort, TimeSpan lifetime, out UdpEndpoint outside)
    {
        Expire(now);
        outside = default;
        if (!_byInside.TryGetValue((protocol, inside, default), out Mapping? mapping))
        {
            ushort port = suggestedPort;
            for (int tries = 0; port < FirstPort || _byPort.ContainsKey((protocol, port)); port = (ushort)After(port, 1))
            {
                if (++tries > PortCount)
                    return false;
            }

            mapping = AddMapping(protocol, inside, default, port);
        }

        if (!mapping.IsForwarded)
            _forwarded.Add(mapping);
        mapping.ForwardedUntil = now + lifetime;
        outside = Outside(mapping);
        return true;
    }

    /// <summary>True while an inside endpoint has what <see cref="TryForward"/> gave it.</summary>
    public bool IsForwarded(TimeSpan now, NatProtocol protocol, in UdpEndpoint inside)
    {
        Expire(now);
        return _byInside.TryGetValue((protocol, inside, default), out Mapping? mapping) && mapping.IsForwarded;
    }

    /// <summary>Undoes <see cref="TryForward"/>; nothing when there is no such mapping.</summary>
    public void StopForwarding(NatProtocol protocol, in UdpEndpoint inside)
    {
        if (_byInside.TryGetValue((protocol, inside, default), out Mapping? mapping) && mapping.IsForwarded)
            StopForwarding(mapping);
    }

    /// <summary>Power off and on: every mapping is forgotten, and ports begin somewhere else.</summary>
    public void Reboot()
    {
        _byInside.Clear();
        _byPort.Clear();
        _sessions.Clear();
        _forwarded.Clear();
        foreach (LinkedList<Session> sessions in _byAge)
            sessions.Clear();
        _nextPort = _random.Next(FirstPort, FirstPort + PortCount);
    }

    /// <summary>Another device takes its place, and its address.</summary>
    public void Replace(NatSettings settings)
    {
        Reboot();
        _settings = Checked(settings);
        _others = OtherFlows.Of(settings, _random.Next());
    }

    /// <summary>The provider gives it another address: mappings of the old one are of no use and forgotten.</summary>
    public void ChangeOutsideAddress(IPAddress address)
    {
        Reboot();
        _outsideAddress = new UdpEndpoint(address, 0).MappedAddress;
    }

    private static NatSettings Checked(NatSettings settings)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(settings.Mapping, EndpointDependence.Unknown);
        ArgumentOutOfRangeException.ThrowIfEqual(settings.Filtering, EndpointDependence.Unknown);
        ArgumentOutOfRangeException.ThrowIfEqual(settings.Assignment, PortAssignment.Unknown);
        ArgumentOutOfRangeException.ThrowIfZero(settings.PortStep);
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.Capacity, 1);
        return settings;
    }

    private NatVerdict TranslateOutbound(TimeSpan now, NatProtocol protocol, ref UdpEndpoint source, ref UdpEndpoint destination)
    {
        if (protocol == NatProtocol.Udp && _settings.BlocksUdp)
            return NatVerdict.Blocked;
        bool comesBack = destination.MappedAddress == _outsideAddress;
        if (comesBack && _settings.Hairpinning == Hairpinning.None)
            return NatVerdict.NoHairpinning;
        RunOthers(now);
        Expire(now);
        if (OpenSession(now, protocol, source, destination) is not { } mapping)
            return NatVerdict.TableFull;

        UdpEndpoint outside = Outside(mapping);
        if (comesBack)
        {
            NatVerdict verdict = TranslateInbound(now, protocol, outside, ref destination);
            if (verdict != NatVerdict.Translated)
                return verdict;
            if (_settings.Hairpinning == Hairpinning.ExternalSource)
                source = outside;
            return NatVerdict.Hairpinned;
        }

        source = outside;
        return NatVerdict.Translated;
    }

    /// <summary>Lets others in the local network begin the flows that they would have begun by now.</summary>
    private void RunOthers(TimeSpan now)
    {
        if (_others is null)
            return;
        while (_others.TryTake(now, out TimeSpan at, out UdpEndpoint inside, out UdpEndpoint remote))
            OpenSession(at, NatProtocol.Udp, inside, remote);
    }

    private NatVerdict TranslateInbound(TimeSpan now, NatProtocol protocol, in UdpEndpoint source, ref UdpEndpoint destination)
    {
        if (protocol == NatProtocol.Udp && _settings.BlocksUdp)
            return NatVerdict.Blocked;
        Expire(now);
        if (destination.MappedAddress != _outsideAddress || !_byPort.TryGetValue((protocol, destination.Port), out Mapping? mapping))
            return NatVerdict.NoMapping;
        bool isOpen = _sessions.TryGetValue((mapping, Reduce(source, _settings.Filtering)), out Session? session);
        if (!isOpen && !mapping.IsForwarded)
            return NatVerdict.Filtered;
        if (isOpen && _settings.RefreshesOnInbound)
            Refresh(session!, now);
        destination = mapping.Inside;
        return NatVerdict.Translated;
    }

    /// <summary>Finds or makes mapping and session, and refreshes the session; null when there is no room.</summary>
    private Mapping? OpenSession(TimeSpan now, NatProtocol protocol, in UdpEndpoint inside, in UdpEndpoint remote)
    {
        UdpEndpoint mappedFor = Reduce(remote, _settings.Mapping), passes = Reduce(remote, _settings.Filtering);
        bool known = TryFindMapping(protocol, inside, mappedFor, out Mapping? mapping);
        if (known && _sessions.TryGetValue((mapping!, passes), out Session? session))
        {
            Refresh(session, now);
            return mapping;
        }

        if (_sessions.Count >= _settings.Capacity)
        {
            if (_settings.WhenFull == FullTable.Refuses)
                return null;
            Forget(Oldest());
            known = known && _byPort.ContainsKey((protocol, mapping!.Port)); // The oldest may have been this mapping's last session.
        }

        if (!known)
        {
            if (!TryAllocatePort(protocol, inside.Port, out ushort port))
                return null;
            mapping = AddMapping(protocol, inside, mappedFor, port);
        }

        session = new Session(mapping!, passes, now);
        mapping!.Sessions++;
        _sessions.Add((mapping, passes), session);
        _byAge[(int)protocol].AddLast(session.Age);
        return mapping;
    }

    /// <summary>The mapping for a remote side, or the forwarded one, which is for all.</summary>
    private bool TryFindMapping(
        NatProtocol protocol, in UdpEndpoint inside, in UdpEndpoint mappedFor, [NotNullWhen(true)] out Mapping? mapping) =>
        _byInside.TryGetValue((protocol, inside, mappedFor), out mapping)
        || _byInside.TryGetValue((protocol, inside, default), out mapping);

    private Mapping AddMapping(NatProtocol protocol, in UdpEndpoint inside, in UdpEndpoint mappedFor, ushort port)
    {
        var mapping = new Mapping(protocol, inside, mappedFor, port);
        _byInside.Add((protocol, inside, mappedFor), mapping);
        _byPort.Add((protocol, port), mapping);
        return mapping;
    }

    private bool TryAllocatePort(NatProtocol protocol, ushort insidePort, out ushort port)
    {
        int candidate = _settings.Assignment switch
        {
            PortAssignment.Preserving => insidePort,
            PortAssignment.Sequential => _nextPort,
            _ => _random.Next(FirstPort, FirstPort + PortCount),
        };
        int step = _settings.Assignment == PortAssignment.Sequential ? _settings.PortStep : 1;
        for (int tries = 0; tries < PortCount; tries++)
        {
            if (!_byPort.ContainsKey((protocol, (ushort)candidate)))
            {
                if (_settings.Assignment == PortAssignment.Sequential)
                    _nextPort = After(candidate, step);
                port = (ushort)candidate;
                return true;
            }

            candidate = _settings.Assignment == PortAssignment.Random
                ? _random.Next(FirstPort, FirstPort + PortCount) : After(candidate, step);
        }

        port = 0;
        return false;
    }

    private static int After(int port, int step)
    {
        int next = (Math.Max(port - FirstPort, -1) + step) % PortCount;
        return FirstPort + (next < 0 ? next + PortCount : next);
    }

    private void Expire(TimeSpan now)
    {
        for (int protocol = 0; protocol < _byAge.Length; protocol++)
        {
            TimeSpan timeout = _settings.TimeoutOf((NatProtocol)protocol);
            while (_byAge[protocol].First is { } oldest && now - oldest.Value.LastUsed >= timeout)
                Forget(oldest.Value);
        }

        for (int i = _forwarded.Count - 1; i >= 0; i--)
        {
            if (_forwarded[i].ForwardedUntil <= now)
                StopForwarding(_forwarded[i]);
        }
    }

    private Session Oldest() =>
        _byAge.Where(sessions => sessions.Count > 0).Select(sessions => sessions.First!.Value).MinBy(session => session.LastUsed)!;

    private void Refresh(Session session, TimeSpan now)
    {
        session.LastUsed = now;
        LinkedList<Session> sessions = _byAge[(int)session.Mapping.Protocol];
        sessions.Remove(session.Age);
        sessions.AddLast(session.Age);
    }

    private void Forget(Session session)
    {
        Mapping mapping = session.Mapping;
        _byAge[(int)mapping.Protocol].Remove(session.Age);
        _sessions.Remove((mapping, session.Remote));
        mapping.Sessions--;
        ForgetIfUnused(mapping);
    }

    private void StopForwarding(Mapping mapping)
    {
        mapping.ForwardedUntil = null;
        _forwarded.Remove(mapping);
        ForgetIfUnused(mapping);
    }

    private void ForgetIfUnused(Mapping mapping)
    {
        if (mapping.Sessions > 0 || mapping.IsForwarded)
            return;
        _byInside.Remove((mapping.Protocol, mapping.Inside, mapping.Remote));
        _byPort.Remove((mapping.Protocol, mapping.Port));
    }

    private UdpEndpoint Outside(Mapping mapping) => new(_outsideAddress, mapping.Port);

    /// <summary>What is left of a remote endpoint when a NAT looks at no more than this.</summary>
    private static UdpEndpoint Reduce(in UdpEndpoint remote, EndpointDependence dependence) => dependence switch
    {
        EndpointDependence.EndpointIndependent => default,
        EndpointDependence.AddressDependent => new UdpEndpoint(remote.MappedAddress, 0),
        _ => remote,
    };

    private sealed class Mapping(NatProtocol protocol, UdpEndpoint inside, UdpEndpoint remote, ushort port)
    {
        public NatProtocol Protocol { get; } = protocol;

        public UdpEndpoint Inside { get; } = inside;

        /// <summary>What the mapping depends on of the remote side.</summary>
        public UdpEndpoint Remote { get; } = remote;

        public ushort Port { get; } = port;

        public int Sessions { get; set; }

        /// <summary>Until when everybody is let in; null when the filter decides.</summary>
        public TimeSpan? ForwardedUntil { get; set; }

        public bool IsForwarded => ForwardedUntil is not null;
    }

    private sealed class Session
    {
        public Session(Mapping mapping, UdpEndpoint remote, TimeSpan now)
        {
            Mapping = mapping;
            Remote = remote;
            LastUsed = now;
            Age = new LinkedListNode<Session>(this);
        }

        public Mapping Mapping { get; }

        /// <summary>What the filter looks at of the remote side.</summary>
        public UdpEndpoint Remote { get; }

        public TimeSpan LastUsed { get; set; }

        public LinkedListNode<Session> Age { get; }
    }
}
