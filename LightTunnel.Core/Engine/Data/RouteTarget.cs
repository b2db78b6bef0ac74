using LightTunnel.Timing;

namespace LightTunnel.Engine.Data;

/// <summary>
/// Somebody whom packets go to and come from, as data threads see it: what the control loop has published of it, and what they tell the
/// control loop. A peer of the control loop's is one.
/// </summary>
/// <param name="route">What is known of it at first.</param>
internal class RouteTarget(PeerRoute route)
{
    /// <summary>Most packets that wait for the link to be set up.</summary>
    public const int MaximumStaged = 64;

    private volatile PeerRoute _route = route;
    private int _staged;
    private SharedTimestamp _lastTraffic;

    /// <summary>Packets dropped because their inner source was not the peer's. Bumped by the threads that receive.</summary>
    public long WrongSourcePackets;

    /// <summary>What is known of it now. Read by data threads, replaced by the control loop.</summary>
    public PeerRoute Route
    {
        get => _route;
        set => _route = value;
    }

    /// <summary>What of its control frames is taken; null takes as much as of somebody who is not known yet.</summary>
    public ControlFrameQuota? Frames { get; init; }

    /// <summary>When the last data packet went to it or came from it; any thread.</summary>
    public Timestamp LastTraffic => _lastTraffic.Value;

    /// <summary>Notes a data packet; true when it is the first after a pause. Any thread.</summary>
    public bool Touch(Timestamp now, TimeSpan pause)
    {
        Timestamp last = _lastTraffic.Value;
        if (last == now)
            return false;
        _lastTraffic.Value = now;
        return now - last > pause;
    }

    /// <summary>Reserves a place for a packet that waits for the link; any thread.</summary>
    public bool TryReserveStaged()
    {
        if (Interlocked.Increment(ref _staged) <= MaximumStaged)
            return true;
        Interlocked.Decrement(ref _staged);
        return false;
    }

    /// <summary>Gives a place back.</summary>
    public void ReleaseStaged() => Interlocked.Decrement(ref _staged);
}
