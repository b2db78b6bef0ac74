using System.Globalization;
using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Sites;
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
/// Carries datagrams over an <see cref="InternetTopology"/>, in virtual time and for one thread. Who is where, and which NATs translate
/// what, is decided there as for the laboratory's packets; wires delay, lose, duplicate and reorder. The same seed and the same calls give
/// the same run, which <see cref="TraceHash"/> proves.
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
    private readonly InternetTopology _topology = new();
    private readonly Dictionary<string, SimulatedHost> _hosts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SimulatedNat> _nats = new(StringComparer.Ordinal);
    private readonly EventQueue<Flight> _flights = new();

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
    public Timestamp NextDue => _flights.Next is { } next ? Timestamp.FromTicks(next.Ticks) : Timestamp.Never;

    /// <summary>Adds a host: behind a NAT, or with a public address.</summary>
    public SimulatedHost AddHost(string name, SimulatedNat? behind = null, string? address = null, WireConditions? conditions = null)
    {
        var host = new SimulatedHost(this, name, NewWire(conditions ?? (behind is null ? DefaultConditions : WireConditions.Perfect)));
        _hosts.Add(name, host);
        _topology.Attach(host, behind, address is null ? null : IPAddress.Parse(address));
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
        Wire wire = NewWire(conditions ?? (behind is null ? DefaultConditions : WireConditions.Perfect));
        var nat = new SimulatedNat(this, name, wire, new Nat(settings, IPAddress.None, _random.Next()), prefix);
        _nats.Add(name, nat);
        _topology.Attach(nat, behind);
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
    public void AddAddressV6(SimulatedHost host, string address) => _topology.AddAddress(host, IPAddress.Parse(address));

    /// <inheritdoc cref="InternetTopology.CutBetween"/>
    public void CutBetween(SimulatedHost from, SimulatedHost to, bool oneWay = false) => _topology.CutBetween(from, to, oneWay);

    /// <inheritdoc cref="InternetTopology.HealBetween"/>
    public void HealBetween(SimulatedHost first, SimulatedHost second) => _topology.HealBetween(first, second);

    /// <summary>True when something is lost between two hosts by <see cref="CutBetween"/>, in either direction.</summary>
    public bool IsCut(SimulatedHost first, SimulatedHost second) => _topology.IsCut(first, second) || _topology.IsCut(second, first);

    /// <summary>Delivers everything that is due.</summary>
    public void Pump()
    {
        while (_flights.TryTake(_time.Elapsed, out Flight flight, out _))
        {
            if (flight.At is SimulatedHost host)
                Deliver(host, flight);
            else
                PassOn((NatSite?)flight.At, flight);
        }
    }

    internal bool Send(SimulatedHost host, int port, in UdpEndpoint to, ReadOnlySpan<byte> datagram)
    {
        IPAddress? source = to.IsIPv4 ? host.Address : host.AddressV6;
        if (source is null || !host.IsAttached)
            return false;
        Sent++;
        var flight = new Flight(host, new UdpEndpoint(source, port), to, datagram.ToArray(), host, IsUpward: true);
        Note("sends", flight);
        if (Sending?.Invoke(flight.From, to, datagram) == false)
            Lose("not let out", flight);
        else
            Carry(new Hop(host, IsUpward: true), flight);
        return true;
    }

    internal void ChangeAddress(SimulatedNat nat) => _topology.ChangeAddress(nat);

    internal void Move(SimulatedHost host, SimulatedNat? behind, IPAddress? address)
    {
        _topology.Detach(host);
        _topology.Attach(host, behind, address);
    }

    internal void Unplug(SimulatedHost host) => _topology.Detach(host);

    private Wire NewWire(WireConditions conditions) => new(_random, conditions);

    private void PassOn(NatSite? at, in Flight flight)
    {
        UdpEndpoint from = flight.From, to = flight.To;
        RouteDecision decision = _topology.Decide(at, flight.IsUpward, _time.Elapsed, NatProtocol.Udp, ref from, ref to);
        if (decision.Next is { } hop)
            Carry(hop, flight with { From = from, To = to });
        else if (decision.Refusal is { } refusal)
            Lose(Trace is null ? "" : $"{refusal} by {at!.Name}", flight);
        else
            Lose("nobody has its address", flight);
    }

    private void Carry(in Hop hop, in Flight flight)
    {
        WireDirection wire = hop.Direction;
        PacketFate fate = wire.Pass(_time.Elapsed, out TimeSpan arrival, out int copies);
        if (flight.Data.Length + (flight.To.IsIPv4 ? HeadersV4 : HeadersV6) > wire.Conditions.Mtu)
            (fate, copies) = (PacketFate.TooBig, 0);
        hop.Over.Uplink.Fates.Count(fate);
        if (copies == 0)
            Lose(Trace is null ? "" : $"{fate} on a wire", flight);
        for (; copies > 0; copies--)
            _flights.Add(arrival, flight with { At = hop.Destination, IsUpward = hop.IsUpward });
    }

    private void Deliver(SimulatedHost host, in Flight flight)
    {
        // The host may have moved while the datagram was on its way.
        bool isHere = flight.To.Address.Equals(flight.To.IsIPv4 ? host.Address : host.AddressV6);
        if (_topology.IsCut(flight.Origin, host) || Arriving?.Invoke(flight.Origin, host, flight.Data) == false)
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

    /// <summary>A datagram on its way to a host, to a NAT, or to the middle of the internet.</summary>
    private readonly record struct Flight(
        SimulatedHost Origin, UdpEndpoint From, UdpEndpoint To, byte[] Data, Site? At, bool IsUpward);
}
