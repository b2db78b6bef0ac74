using System.Buffers;
using LightTunnel.Internet.Routers;
using LightTunnel.Timing;

namespace LightTunnel.Internet.Wires;

/// <summary>Packets on their way, by time of arrival; at one moment those sent first come first.</summary>
/// <param name="clock">The time, real or made up.</param>
internal sealed class EventQueue(TimeProvider clock)
{
    private readonly PriorityQueue<Arrival, (TimeSpan Time, long Order)> _queue = new();
    private readonly Timestamp _start = clock.Now();
    private TimeSpan? _moment;
    private long _order;

    /// <summary>
    /// Time since the queue was made. While a packet arrives it is the time it was due, so that being late does not add up.
    /// </summary>
    public TimeSpan Now => _moment ?? clock.Now() - _start;

    /// <summary>When the next packet arrives; null when none is on its way.</summary>
    public TimeSpan? Next => _queue.TryPeek(out _, out (TimeSpan Time, long Order) key) ? key.Time : null;

    /// <summary>Lets a copy of the packet arrive at the node.</summary>
    public void Add(TimeSpan time, Wire wire, INetworkNode destination, ReadOnlySpan<byte> packet)
    {
        byte[] memory = ArrayPool<byte>.Shared.Rent(packet.Length);
        packet.CopyTo(memory);
        _queue.Enqueue(new Arrival(wire, destination, memory, packet.Length), (time, _order++));
    }

    /// <summary>Delivers every packet that has arrived by now, those that it causes at once included.</summary>
    public void RunDue()
    {
        while (_queue.TryPeek(out Arrival arrival, out (TimeSpan Time, long Order) key) && key.Time <= clock.Now() - _start)
        {
            _queue.Dequeue();
            _moment = key.Time;
            if (arrival.Wire.To(arrival.Destination).IsCut)
                arrival.Wire.Fates.Count(PacketFate.Cut);
            else
                arrival.Destination.Receive(arrival.Memory.AsSpan(0, arrival.Length), arrival.Wire);
            ArrayPool<byte>.Shared.Return(arrival.Memory);
        }

        _moment = null;
    }

    private readonly record struct Arrival(Wire Wire, INetworkNode Destination, byte[] Memory, int Length);
}
