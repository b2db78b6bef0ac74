using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Probing;

/// <summary>
/// A number of pings through one link, and what their answers tell: of the path that the link takes, and of the clock at its
/// far end. Owned by the control loop.
/// </summary>
/// <param name="node">Sends the pings.</param>
/// <param name="peer">Who is asked.</param>
/// <param name="count">How many are sent.</param>
/// <param name="time">The clock.</param>
internal sealed class PingSeries(Node node, Peer peer, int count, TimeProvider time)
{
    /// <summary>From one ping to the next.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>How long the last answer is waited for.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly Dictionary<uint, (Timestamp Sent, DateTimeOffset Clock)> _waiting = [];
    private readonly List<TimeSpan> _roundTrips = [];
    private int _sent;
    private Timestamp _lastSent;

    /// <summary>Pings sent so far.</summary>
    public int Sent => _sent;

    /// <summary>True when all were answered, or waited for long enough.</summary>
    public bool IsDone { get; private set; }

    /// <summary>The far end's clock minus this one's, by the fastest answer that told; null when none did.</summary>
    public TimeSpan? ClockOffset { get; private set; }

    /// <summary>What was measured so far.</summary>
    public PingResult Result => _roundTrips.Count == 0
        ? new PingResult(_sent, 0, null, null, null)
        : new PingResult(
            _sent, _roundTrips.Count, _roundTrips.Min(),
            _roundTrips.Aggregate(TimeSpan.Zero, (sum, next) => sum + next) / _roundTrips.Count, _roundTrips.Max());

    /// <summary>Sends what is due; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        if (IsDone)
            return Timestamp.Never;
        if (_sent < count && (_sent == 0 || now - _lastSent >= Interval))
        {
            _sent++;
            _waiting.Add(node.SendPing(peer), (now, time.GetUtcNow()));
            _lastSent = now;
        }

        if (_sent < count)
            return _lastSent + Interval;
        Timestamp end = _lastSent + Patience;
        IsDone = _waiting.Count == 0 || now >= end;
        return IsDone ? Timestamp.Never : end;
    }

    /// <summary>Takes a pong; false when it is not of this series.</summary>
    public bool TryTakePong(in ControlFrame pong, Timestamp now)
    {
        if (!_waiting.Remove(pong.Number, out (Timestamp Sent, DateTimeOffset Clock) ping))
            return false;
        TimeSpan roundTrip = now - ping.Sent;
        if (ProbeReport.ReadClock(pong.Body) is { } clock && (_roundTrips.Count == 0 || roundTrip < _roundTrips.Min()))
            ClockOffset = clock - (ping.Clock + (roundTrip / 2));
        _roundTrips.Add(roundTrip);
        return true;
    }
}
