using System.Globalization;
using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;
using LightTunnel.Timing;

namespace LightTunnel.Internet.Simulation;

/// <summary>Sees a datagram as it is sent; answers whether it may travel on.</summary>
/// <param name="from">Sender.</param>
/// <param name="to">Receiver.</param>
/// <param name="datagram">UDP payload.</param>
/// <returns>False loses it.</returns>
internal delegate bool DatagramFilter(in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram);

/// <summary>
/// An internet of hosts and NATs for datagrams, in virtual time and for one thread. Wires delay, lose, duplicate and reorder; NATs are the
/// laboratory's <see cref="Nat"/>. The same seed and the same calls give the same run, which <see cref="TraceHash"/> proves.
/// <para>
/// All home networks are 192.168.1.0/24 unless told otherwise, as they are at people's homes: two hosts behind different NATs have the same
/// private address, and a private candidate of somebody else may be answered by the wrong host.
/// </para>
/// </summary>
internal sealed class SimulatedInternet
{
    public const string HomeLan = "192.168.1.0/24";
    public const string CarrierLan = "100.64.0.0/24";

    /// <summary>IP and UDP headers around a datagram.</summary>
    private const int HeadersV4 = 28, HeadersV6 = 48;

    private readonly VirtualTime _time;
    private readonly Random _random;
    private readonly Dictionary<UInt128, SimulatedElement> _public = [];
    private readonly Dictionary<string, SimulatedHost> _hosts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SimulatedNat> _nats = new(StringComparer.Ordinal);
    private readonly HashSet<(SimulatedHost From, SimulatedHost To)> _cut = [];
    private readonly PriorityQueue<Flight, (Timestamp Due, long Order)> _flights = new();
    private long _order;

    // From the block for benchmarks (RFC 2544): 198.18.0.1 and on, large enough for every network of a test.
    private uint _nextPublic = 0xC612_0001;

    public SimulatedInternet(VirtualTime time, int seed)
    {
        _time = time;
        _random = new Random(seed);
    }

    /// <summary>Conditions of wires for which none were given.</summary>
    public WireConditions DefaultConditions { get; set; } = WireConditions.Perfect;

    public IReadOnlyDictionary<string, SimulatedHost> Hosts => _hosts;

    public IReadOnlyDictionary<string, SimulatedNat> Nats => _nats;

    /// <summary>Datagrams that hosts sent.</summary>
    public long Sent { get; private set; }

    /// <summary>Datagrams that sockets got; duplicates count.</summary>
    public long Delivered { get; private set; }

    /// <summary>Datagrams that ended underway: by wires, NATs, cuts, or because nobody was there.</summary>
    public long Lost { get; private set; }

    /// <summary>Sees each datagram as a host sends it, and may lose it; null lets all pass.</summary>
    public DatagramFilter? Sending { get; set; }

    /// <summary>Sees each datagram that is about to be delivered, with its host of origin, and may lose it; null lets all pass.</summary>
    public Func<SimulatedHost, SimulatedHost, ReadOnlyMemory<byte>, bool>? Arriving { get; set; }

    /// <summary>A number made of when which datagram of what length went from where to where: equal runs have equal ones.</summary>
    public ulong TraceHash { get; private set; } = 14695981039346656037;

    /// <summary>Gets one line for each datagram that is sent, delivered or dropped; for the replay of a seed that fails.</summary>
    public Action<string>? Trace { get; set; }

    /// <summary>When something is due next.</summary>
    public Timestamp NextDue => _flights.TryPeek(out _, out (Timestamp Due, long Order) next) ? next.Due : Timestamp.Never;

    /// <summary>Adds a host: behind a NAT, or with a public address.</summary>
    public SimulatedHost AddHost(string name, SimulatedNat? behind = null, string? address = null, WireConditions? conditions = null)
    {
        var host = new SimulatedHost(this, name, NewWire(conditions ?? (behind is null ? DefaultConditions : WireConditions.Perfect)));
        _hosts.Add(name, host);
        Attach(host, behind, address is null ? null : IPAddress.Parse(address));
        return host;
    }

    /// <summary>A host by its name or its address; one that has an address for a name is added when it is not there.</summary>
    public SimulatedHost HostOf(string name)
    {
        if (_hosts.TryGetValue(name, out SimulatedHost? found))
            return found;
        return IPAddress.TryParse(name, out _)
            ? AddHost(name, address: name) : throw new ArgumentException($"There is no host {name}.", nameof(name));
    }

    /// <summary>Adds a NAT: on the internet, or behind another NAT.</summary>
    public SimulatedNat AddNat(
        string name, NatSettings settings, SimulatedNat? behind = null, string lan = HomeLan, WireConditions? conditions = null)
    {
        if (!IpPrefix.TryParse(lan, out IpPrefix prefix))
            throw new ArgumentException($"{lan} is no prefix.", nameof(lan));
        SimulatedWire wire = NewWire(conditions ?? (behind is null ? DefaultConditions : WireConditions.Perfect));
        var nat = new SimulatedNat(this, name, wire, new Nat(settings, IPAddress.None, _random.Next()), prefix);
        _nats.Add(name, nat);
        Attach(nat, behind, null);
        nat.Nat.ChangeOutsideAddress(nat.Address);
        return nat;
    }

    /// <summary>
    /// Adds hosts in one local network behind the NATs of a kind: "home" is the home router, "home-carrier" the provider's NAT if there is
    /// one. Delay and the like are on the wire to the internet. Hosts of the kind <see cref="NatKind.Open"/> have public addresses.
    /// </summary>
    public SimulatedHost[] AddLan(string name, NatKind kind, params string[] hosts) => AddLan(name, NatKinds.Layers(kind), hosts);

    /// <summary>The same with any NATs, the hosts' own first.</summary>
    public SimulatedHost[] AddLan(string name, IReadOnlyList<NatSettings> layers, params string[] hosts)
    {
        SimulatedNat? carrier = layers.Count > 1 ? AddNat(name + "-carrier", layers[1], lan: CarrierLan) : null;
        SimulatedNat? home = layers.Count > 0 ? AddNat(name, layers[0], carrier) : null;
        return [.. hosts.Select(host => AddHost(host, home))];
    }

    /// <summary>Lets a host have an IPv6 address that everybody with one reaches.</summary>
    public void AddAddressV6(SimulatedHost host, string address)
    {
        host.AddressV6 = IPAddress.Parse(address);
        _public.Add(new UdpEndpoint(host.AddressV6, 0).MappedAddress, host);
    }

    /// <summary>Loses everything that goes from one host to another by whatever way but a relay, one way or both.</summary>
    public void CutBetween(SimulatedHost from, SimulatedHost to, bool oneWay = false)
    {
        _cut.Add((from, to));
        if (!oneWay)
            _cut.Add((to, from));
    }

    /// <summary>Undoes <see cref="CutBetween"/> in both directions.</summary>
    public void HealBetween(SimulatedHost first, SimulatedHost second)
    {
        _cut.Remove((first, second));
        _cut.Remove((second, first));
    }

    /// <summary>True when something is lost between two hosts by <see cref="CutBetween"/>, in either direction.</summary>
    public bool IsCut(SimulatedHost first, SimulatedHost second) => _cut.Contains((first, second)) || _cut.Contains((second, first));

    /// <summary>Delivers everything that is due.</summary>
    public void Pump()
    {
        while (_flights.TryPeek(out Flight flight, out (Timestamp Due, long Order) next) && next.Due <= _time.Now())
        {
            _flights.Dequeue();
            Arrive(flight);
        }
    }

    internal bool Send(SimulatedHost host, int port, in UdpEndpoint to, ReadOnlySpan<byte> datagram)
    {
        IPAddress? source = to.IsIPv4 ? host.Address : host.AddressV6;
        if (source is null || source.Equals(IPAddress.None))
            return false;
        Sent++;
        var flight = new Flight(host, new UdpEndpoint(source, port), to, datagram.ToArray(), host, Upward: true);
        Note("sends", flight);
        if (Sending?.Invoke(flight.From, to, datagram) == false)
            Lose("not let out", flight);
        else
            Climb(host, flight);
        return true;
    }

    internal void ChangeAddress(SimulatedNat nat)
    {
        SimulatedNat? parent = nat.Parent;
        Detach(nat);
        Attach(nat, parent, null);
        nat.Nat.ChangeOutsideAddress(nat.Address);
    }

    internal void Move(SimulatedHost host, SimulatedNat? behind, IPAddress? address)
    {
        Detach(host);
        Attach(host, behind, address);
    }

    internal void Unplug(SimulatedHost host)
    {
        Detach(host);
        host.Parent = null;
        host.Address = IPAddress.None;
    }

    private SimulatedWire NewWire(WireConditions conditions) => new(_random, conditions);

    private void Attach(SimulatedElement element, SimulatedNat? behind, IPAddress? address)
    {
        element.Parent = behind;
        element.Address = address ?? behind?.NextInside() ?? UdpEndpoint.FromIPv4(_nextPublic++, 0).Address;
        var endpoint = new UdpEndpoint(element.Address, 0);
        if (behind is null)
            _public.Add(endpoint.MappedAddress, element);
        else
            behind.Children.Add((uint)endpoint.MappedAddress, element);
    }

    private void Detach(SimulatedElement element)
    {
        UInt128 address = new UdpEndpoint(element.Address, 0).MappedAddress;
        if (element.Parent is { } parent)
            parent.Children.Remove((uint)address);
        else
            _public.Remove(address);
    }

    /// <summary>From an element over its uplink: to the NAT above, or to the internet.</summary>
    private void Climb(SimulatedElement from, in Flight flight) => Pass(from.Uplink.Up, flight with { At = from.Parent, Upward = true });

    /// <summary>Over an element's uplink down to it.</summary>
    private void Descend(SimulatedElement to, in Flight flight) => Pass(to.Uplink.Down, flight with { At = to, Upward = false });

    private void Pass(WireDirection wire, in Flight flight)
    {
        PacketFate fate = wire.Pass(_time.Elapsed, out TimeSpan arrival, out int copies);
        if (flight.Data.Length + (flight.To.IsIPv4 ? HeadersV4 : HeadersV6) > wire.Conditions.Mtu)
            (fate, copies) = (PacketFate.TooBig, 0);
        if (copies == 0)
            Lose(Trace is null ? "" : $"{fate} on a wire", flight);
        for (; copies > 0; copies--)
            _flights.Enqueue(flight, (Timestamp.FromTicks(arrival.Ticks), _order++));
    }

    private void Arrive(in Flight flight)
    {
        switch (flight.At)
        {
            case SimulatedHost host:
                Deliver(host, flight);
                break;
            case null when _public.TryGetValue(flight.To.MappedAddress, out SimulatedElement? target):
                Descend(target, flight);
                break;
            case null:
                Lose("nobody has its address", flight);
                break;
            case SimulatedNat nat when !flight.To.IsIPv4:
                Climb(nat, flight); // IPv6 is not translated, and comes down without passing the NAT again.
                break;
            case SimulatedNat nat when flight.Upward:
                ArriveFromInside(nat, flight);
                break;
            case SimulatedNat nat:
                ArriveFromOutside(nat, flight);
                break;
        }
    }

    private void ArriveFromInside(SimulatedNat nat, in Flight flight)
    {
        UdpEndpoint from = flight.From, to = flight.To;
        if (!nat.IsInside((uint)to.MappedAddress))
        {
            NatVerdict verdict = nat.Nat.Outbound(_time.Elapsed, NatProtocol.Udp, ref from, ref to);
            switch (verdict)
            {
                case NatVerdict.Translated:
                    Climb(nat, flight with { From = from });
                    return;
                case NatVerdict.Hairpinned:
                    break;
                default:
                    LoseBy(nat, verdict, flight);
                    return;
            }
        }

        if (nat.Children.TryGetValue((uint)to.MappedAddress, out SimulatedElement? target))
            Descend(target, flight with { From = from, To = to });
        else
            Lose("nobody has its address", flight);
    }

    private void ArriveFromOutside(SimulatedNat nat, in Flight flight)
    {
        UdpEndpoint to = flight.To;
        NatVerdict verdict = nat.Nat.Inbound(_time.Elapsed, NatProtocol.Udp, flight.From, ref to);
        if (verdict != NatVerdict.Translated)
            LoseBy(nat, verdict, flight);
        else if (nat.Children.TryGetValue((uint)to.MappedAddress, out SimulatedElement? target))
            Descend(target, flight with { To = to });
        else
            Lose("nobody has its address", flight);
    }

    private void Deliver(SimulatedHost host, in Flight flight)
    {
        // The host may have moved while the datagram was on its way.
        bool isHere = flight.To.Address.Equals(flight.To.IsIPv4 ? host.Address : host.AddressV6);
        if (_cut.Contains((flight.Origin, host)) || Arriving?.Invoke(flight.Origin, host, flight.Data) == false)
        {
            Lose("cut", flight);
            return;
        }

        if (!isHere || host.Find(flight.To.Port) is not { } socket || !socket.TryEnqueue(flight.Data, flight.From, flight.To.Port))
        {
            Lose("nobody listens", flight);
            return;
        }

        Delivered++;
        Note("arrives", flight);
    }

    private void LoseBy(SimulatedNat nat, NatVerdict verdict, in Flight flight)
    {
        Lost++;
        Note(Trace is null ? "" : $"{verdict} by {nat.Name}", flight);
    }

    private void Lose(string why, in Flight flight)
    {
        Lost++;
        Note(why, flight);
    }

    private void Note(string what, in Flight flight)
    {
        Mix((ulong)_time.Elapsed.Ticks);
        Mix((ulong)flight.From.MappedAddress ^ ((ulong)flight.From.Port << 40));
        Mix((ulong)flight.To.MappedAddress ^ ((ulong)flight.To.Port << 40));
        Mix((ulong)flight.Data.Length);
        if (Trace is null)
            return;
        int type = flight.Data.Length > 0 ? flight.Data[0] : 0;
        Trace(string.Create(
            CultureInfo.InvariantCulture,
            $"{_time.Elapsed.TotalMilliseconds,12:F3} {flight.Origin.Name}: {flight.From} > {flight.To} type {type}, {flight.Data.Length} "
                + $"bytes: {what}"));
    }

    // FNV-1a, a word at a time.
    private void Mix(ulong value) => TraceHash = (TraceHash ^ value) * 1099511628211;

    /// <summary>A datagram on its way to an element, or to the internet's own middle.</summary>
    private readonly record struct Flight(
        SimulatedHost Origin, UdpEndpoint From, UdpEndpoint To, byte[] Data, SimulatedElement? At, bool Upward);
}
