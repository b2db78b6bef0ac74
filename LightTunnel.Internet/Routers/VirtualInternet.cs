using System.Buffers;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Sites;
using LightTunnel.Internet.Wires;
using LightTunnel.Packets;
using LightTunnel.Timing;

namespace LightTunnel.Internet.Routers;

/// <summary>
/// Carries IP packets over an <see cref="InternetTopology"/>. Who is where, and which NATs translate what, is decided there as for the
/// datagrams of simulations. It reads the clock it was given and does nothing by itself: packets move when <see cref="Send"/> or
/// <see cref="RunDue"/> is called, so with a made-up clock and a seed every run is the same. What is public may be called from any thread.
/// </summary>
internal sealed class VirtualInternet
{
    private readonly Lock _lock = new();
    private readonly TimeProvider _clock;
    private readonly Timestamp _start;
    private readonly EventQueue<Arrival> _events = new();
    private readonly Random _random;
    private TimeSpan? _moment;

    /// <param name="clock">The time, real or made up.</param>
    /// <param name="seed">Decides loss and jitter.</param>
    public VirtualInternet(TimeProvider clock, int seed)
    {
        _clock = clock;
        _start = clock.Now();
        _random = new Random(seed);
        // From the blocks for documentation (RFC 5737, RFC 3849), at an end that hosts do not use.
        Core = new Router(Address("203.0.113.254"), Address("2001:db8::ffff"), Carry);
    }

    /// <summary>The router in the middle, that knows every public address.</summary>
    public Router Core { get; }

    /// <summary>
    /// Time since this internet was made. While a packet arrives it is the time it was due, so that being late does not add up.
    /// </summary>
    public TimeSpan Now => _moment ?? Elapsed;

    /// <summary>Called, outside of any lock, after packets were put on their way that arrive earlier than all others.</summary>
    public event Action? NextChanged;

    /// <summary>When the next packet arrives somewhere; null when none is on its way.</summary>
    public TimeSpan? Next
    {
        get
        {
            lock (_lock)
                return _events.Next;
        }
    }

    /// <summary>Who is where.</summary>
    internal InternetTopology Topology { get; } = new();

    private TimeSpan Elapsed => _clock.Now() - _start;

    /// <summary>Adds a host: behind a NAT, or with public addresses.</summary>
    public HostNode AddHost(
        string name, IEnumerable<TunnelAddress> addresses, WireConditions conditions, PacketReceiver receive, NatRouter? behind = null)
    {
        lock (_lock)
        {
            var host = new HostNode(name, new Wire(_random, conditions), receive);
            Topology.Attach(host, behind, addresses.Select(address => address.ToIPAddress()));
            return host;
        }
    }

    /// <summary>Adds a NAT: on the internet, or behind another NAT.</summary>
    /// <param name="name">A name for people.</param>
    /// <param name="settings">How it behaves.</param>
    /// <param name="outside">Its address at its uplink.</param>
    /// <param name="inside">Its own address in its local network, with that network's prefix length.</param>
    /// <param name="conditions">What its uplink does to packets.</param>
    /// <param name="behind">The NAT that it is behind; null for the internet itself.</param>
    public NatRouter AddNat(
        string name, NatSettings settings, TunnelAddress outside, InterfaceAddress inside, WireConditions conditions,
        NatRouter? behind = null)
    {
        lock (_lock)
        {
            var nat = new Nat(settings, outside.ToIPAddress(), _random.Next());
            var added = new NatRouter(this, name, new Wire(_random, conditions), nat, inside);
            Topology.Attach(added, behind, [outside.ToIPAddress()]);
            return added;
        }
    }

    /// <inheritdoc cref="InternetTopology.CutBetween"/>
    public void CutBetween(HostNode from, HostNode to, bool oneWay = false)
    {
        lock (_lock)
            Topology.CutBetween(from, to, oneWay);
    }

    /// <inheritdoc cref="InternetTopology.HealBetween"/>
    public void HealBetween(HostNode first, HostNode second)
    {
        lock (_lock)
            Topology.HealBetween(first, second);
    }

    /// <summary>Power off and on: the NAT forgets all mappings.</summary>
    public void Reboot(NatRouter nat)
    {
        lock (_lock)
            nat.Reboot();
    }

    /// <summary>Another device takes the NAT's place.</summary>
    public void Replace(NatRouter nat, NatSettings settings)
    {
        lock (_lock)
            nat.Nat.Replace(settings);
    }

    /// <summary>The provider gives the NAT another address.</summary>
    public void ChangeOutsideAddress(NatRouter nat, TunnelAddress address)
    {
        lock (_lock)
            Topology.ChangeAddress(nat, address.ToIPAddress());
    }

    /// <summary>Changes what a wire does to packets, in both directions.</summary>
    public void Change(Wire wire, Func<WireConditions, WireConditions> change)
    {
        lock (_lock)
        {
            wire.Up.Conditions = change(wire.Up.Conditions);
            wire.Down.Conditions = change(wire.Down.Conditions);
        }
    }

    /// <summary>Cuts a wire, what is on its way included.</summary>
    public void Cut(Wire wire)
    {
        lock (_lock)
            wire.IsCut = true;
    }

    /// <summary>Undoes <see cref="Cut"/>.</summary>
    public void Heal(Wire wire)
    {
        lock (_lock)
            wire.IsCut = false;
    }

    /// <summary>Sends a packet from a host. What needs no time to arrive has arrived when this returns.</summary>
    public void Send(HostNode host, ReadOnlySpan<byte> packet)
    {
        TimeSpan? before, after;
        lock (_lock)
        {
            before = _events.Next;
            Carry(host, new Hop(host, IsUpward: true), packet);
            Deliver();
            after = _events.Next;
        }

        if (after is not null && (before is null || after < before))
            NextChanged?.Invoke();
    }

    /// <summary>Delivers every packet that has arrived by now.</summary>
    /// <returns>How long until the next one arrives; null when none is on its way.</returns>
    public TimeSpan? RunDue()
    {
        lock (_lock)
        {
            Deliver();
            return _events.Next - Elapsed;
        }
    }

    /// <summary>Sends a copy of a packet over an uplink. Its length is the sender's to check. Only with the lock held.</summary>
    internal void Carry(Site? origin, in Hop hop, ReadOnlySpan<byte> packet)
    {
        PacketFate fate = hop.Direction.Pass(Now, out TimeSpan due, out int copies);
        hop.Over.Uplink.Fates.Count(fate);
        for (; copies > 0; copies--)
        {
            byte[] memory = ArrayPool<byte>.Shared.Rent(packet.Length);
            packet.CopyTo(memory);
            _events.Add(due, new Arrival(origin, hop, hop.Destination, memory, packet.Length));
        }
    }

    /// <summary>Lets arrive what is due, what that causes at once included.</summary>
    private void Deliver()
    {
        while (_events.TryTake(Elapsed, out Arrival arrival, out TimeSpan due))
        {
            _moment = due;
            Deliver(arrival);
            ArrayPool<byte>.Shared.Return(arrival.Memory);
        }

        _moment = null;
    }

    private void Deliver(in Arrival arrival)
    {
        Span<byte> packet = arrival.Memory.AsSpan(0, arrival.Length);
        bool isCut = arrival.Hop.Direction.IsCut
            || (arrival is { Origin: { } origin, At: HostNode receiver } && Topology.IsCut(origin, receiver));
        if (isCut)
            arrival.Hop.Over.Uplink.Fates.Count(PacketFate.Cut);
        else if (arrival.At is HostNode host)
            host.Receive(packet);
        else if (arrival.At is NatRouter nat)
            nat.Receive(arrival.Origin, arrival.Hop, packet);
        else if (Core.TryParse(ref packet, out IpPacketInfo info))
            Core.Forward(arrival.Origin, arrival.Hop, Topology.Route(null, NatPacket.EndpointOf(info.Destination)), packet, info);
    }

    private static TunnelAddress Address(string text) =>
        TunnelAddress.TryParse(text, out TunnelAddress address)
            ? address : throw new ArgumentException($"{text} is no address.", nameof(text));

    /// <summary>A packet on its way to a host, to a NAT, or to the middle of the internet.</summary>
    private readonly record struct Arrival(Site? Origin, Hop Hop, Site? At, byte[] Memory, int Length);
}
