using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;

namespace LightTunnel.Internet.Routers;

/// <summary>
/// Routers, hosts and wires as a graph of packets in and packets out. It reads the clock it was given and does nothing by itself: packets
/// move when <see cref="Send"/> or <see cref="RunDue"/> is called, so with a made-up clock and a seed every run is the same.
/// All members may be called from any thread.
/// </summary>
internal sealed class VirtualInternet
{
    private readonly Lock _lock = new();
    private readonly EventQueue _events;
    private readonly Random _random;

    /// <param name="clock">The time.</param>
    /// <param name="seed">Decides loss and jitter.</param>
    public VirtualInternet(TimeProvider clock, int seed)
    {
        _events = new EventQueue(clock);
        _random = new Random(seed);
        // From the blocks for documentation (RFC 5737, RFC 3849), at an end that hosts do not use.
        Core = new Router("internet", Address("203.0.113.254"), Address("2001:db8::ffff"));
    }

    /// <summary>The router in the middle, that knows every public address.</summary>
    public Router Core { get; }

    /// <summary>Time since this internet was made.</summary>
    public TimeSpan Now => _events.Now;

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

    /// <summary>Adds a host, connected to a router, or to <see cref="Core"/> with public addresses.</summary>
    public HostNode AddHost(
        string name, IEnumerable<TunnelAddress> addresses, WireConditions conditions, PacketReceiver receive, Router? router = null)
    {
        var host = new HostNode(name, receive);
        Connect(host, router ?? Core, conditions, addresses.Select(IpPrefix.Host));
        return host;
    }

    /// <summary>Adds a NAT, connected to <see cref="Core"/> or to the inside of another NAT.</summary>
    /// <param name="name">A name for people.</param>
    /// <param name="settings">How it behaves.</param>
    /// <param name="outside">Its address at the router it is connected to.</param>
    /// <param name="inside">Its own address in its local network, with that network's prefix length.</param>
    /// <param name="conditions">What the wire between the two routers does to packets.</param>
    /// <param name="router">What it is connected to; null for <see cref="Core"/>.</param>
    public NatRouter AddNat(
        string name, NatSettings settings, TunnelAddress outside, InterfaceAddress inside, WireConditions conditions, Router? router = null)
    {
        lock (_lock)
        {
            var added = new NatRouter(name, new Nat(settings, outside.ToIPAddress(), _random.Next()), inside, () => _events.Now);
            added.ConnectUplink(router ?? Core, Connect(added, router ?? Core, conditions, [IpPrefix.Host(outside)]));
            return added;
        }
    }

    /// <summary>Cuts two public addresses (of hosts or NATs) off from each other, while both still reach everybody else.</summary>
    public void CutBetween(TunnelAddress from, TunnelAddress to, bool oneWay = false)
    {
        lock (_lock)
        {
            Core.Cut(from, to);
            if (!oneWay)
                Core.Cut(to, from);
        }
    }

    /// <summary>Undoes <see cref="CutBetween"/> in both directions.</summary>
    public void HealBetween(TunnelAddress first, TunnelAddress second)
    {
        lock (_lock)
        {
            Core.Heal(first, second);
            Core.Heal(second, first);
        }
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
        {
            nat.Parent!.RemoveRoute(IpPrefix.Host(nat.OutsideAddress));
            nat.Parent.AddRoute(IpPrefix.Host(address), nat.Uplink!);
            nat.Nat.ChangeOutsideAddress(address.ToIPAddress());
        }
    }

    /// <summary>Lays a wire from a node to a router and leads the prefixes to the node.</summary>
    public Wire Connect(INetworkNode node, Router router, WireConditions conditions, IEnumerable<IpPrefix> prefixes)
    {
        lock (_lock)
        {
            var wire = new Wire(_events, _random, node, router, conditions);
            foreach (IpPrefix prefix in prefixes)
                router.AddRoute(prefix, wire);
            if (node is HostNode host)
                host.Uplink = wire;
            return wire;
        }
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
            host.Uplink?.Send(host, packet);
            _events.RunDue();
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
            _events.RunDue();
            return _events.Next - _events.Now;
        }
    }

    private static TunnelAddress Address(string text) =>
        TunnelAddress.TryParse(text, out TunnelAddress address)
            ? address : throw new ArgumentException($"{text} is no address.", nameof(text));
}
