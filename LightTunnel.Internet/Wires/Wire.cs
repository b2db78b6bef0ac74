using LightTunnel.Internet.Routers;

namespace LightTunnel.Internet.Wires;

/// <summary>Two nodes and what lies between them.</summary>
internal sealed class Wire
{
    private readonly EventQueue _events;
    private readonly Random _random;
    private readonly INetworkNode _first;
    private readonly INetworkNode _second;
    private TimeSpan _lastArrivalAtFirst;
    private TimeSpan _lastArrivalAtSecond;

    /// <param name="events">When packets arrive.</param>
    /// <param name="random">Loss and jitter.</param>
    /// <param name="first">One end.</param>
    /// <param name="second">The other end.</param>
    /// <param name="conditions">What the wire does to packets.</param>
    public Wire(EventQueue events, Random random, INetworkNode first, INetworkNode second, WireConditions conditions)
    {
        _events = events;
        _random = random;
        _first = first;
        _second = second;
        Conditions = conditions;
    }

    /// <summary>What the wire does to packets from now on; those on their way arrive as they would have, unless it is cut.</summary>
    public WireConditions Conditions { get; set; }

    /// <summary>What became of the packets given to this wire.</summary>
    public FateCounters Fates { get; } = new();

    /// <summary>Sends a copy of the packet to the other end. Its length is the sender's to check.</summary>
    public PacketFate Send(INetworkNode sender, ReadOnlySpan<byte> packet)
    {
        PacketFate fate = Decide();
        if (fate == PacketFate.Forwarded)
        {
            bool towardsSecond = ReferenceEquals(sender, _first);
            ref TimeSpan lastArrival = ref towardsSecond ? ref _lastArrivalAtSecond : ref _lastArrivalAtFirst;
            TimeSpan arrival = _events.Now + Conditions.Delay + (Conditions.Jitter * _random.NextDouble());
            if (!Conditions.Reorders && arrival < lastArrival)
                arrival = lastArrival;
            lastArrival = arrival;
            _events.Add(arrival, this, towardsSecond ? _second : _first, packet);
        }

        Fates.Count(fate);
        return fate;
    }

    private PacketFate Decide() => Conditions switch
    {
        { IsCut: true } => PacketFate.Cut,
        { Loss: > 0 and double loss } when _random.NextDouble() < loss => PacketFate.Lost,
        _ => PacketFate.Forwarded,
    };
}
