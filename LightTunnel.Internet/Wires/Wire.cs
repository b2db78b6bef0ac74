using LightTunnel.Internet.Routers;

namespace LightTunnel.Internet.Wires;

/// <summary>The wire from a host or a NAT to the router that it is connected to, and what lies between them.</summary>
internal sealed class Wire
{
    private readonly EventQueue _events;
    private readonly INetworkNode _end;
    private readonly INetworkNode _router;

    /// <param name="events">When packets arrive.</param>
    /// <param name="random">Loss and jitter.</param>
    /// <param name="end">The end that is the host's or the NAT's.</param>
    /// <param name="router">The other end.</param>
    /// <param name="conditions">What the wire does to packets.</param>
    public Wire(EventQueue events, Random random, INetworkNode end, INetworkNode router, WireConditions conditions)
    {
        _events = events;
        _end = end;
        _router = router;
        Up = new WireDirection(random.Next(), conditions);
        Down = new WireDirection(random.Next(), conditions);
    }

    /// <summary>Towards the router.</summary>
    public WireDirection Up { get; }

    /// <summary>From the router.</summary>
    public WireDirection Down { get; }

    /// <summary>What the wire does to packets in both directions.</summary>
    public WireConditions Conditions
    {
        set => Up.Conditions = Down.Conditions = value;
    }

    /// <summary>True while nothing passes in either direction.</summary>
    public bool IsCut
    {
        get => Up.IsCut && Down.IsCut;
        set => Up.IsCut = Down.IsCut = value;
    }

    /// <summary>What became of the packets given to this wire.</summary>
    public FateCounters Fates { get; } = new();

    /// <summary>The direction that a sender's packets take.</summary>
    public WireDirection From(INetworkNode sender) => ReferenceEquals(sender, _end) ? Up : Down;

    /// <summary>The direction by which a receiver's packets come.</summary>
    public WireDirection To(INetworkNode receiver) => ReferenceEquals(receiver, _end) ? Down : Up;

    /// <summary>Sends a copy of the packet to the other end. Its length is the sender's to check.</summary>
    public PacketFate Send(INetworkNode sender, ReadOnlySpan<byte> packet)
    {
        WireDirection direction = From(sender);
        PacketFate fate = direction.Pass(_events.Now, out TimeSpan arrival, out int copies);
        for (; copies > 0; copies--)
            _events.Add(arrival, this, direction == Up ? _router : _end, packet);
        Fates.Count(fate);
        return fate;
    }
}
