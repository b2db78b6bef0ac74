using LightTunnel.Timing;

namespace LightTunnel.Engine.Data;

/// <summary>
/// Keeps the queue in front of a slow network short: CoDel (RFC 8289). What is sent faster than the network takes it waits in the device,
/// which nobody can look into, and whose senders notice nothing until packets are lost. So while that queue stands, one is dropped, and
/// then more and more often, as that is what makes them slow down. A queue that comes and goes is left alone. Belongs to one thread.
/// </summary>
/// <remarks>
/// <para>
/// What is sent faster than the network takes it must wait somewhere, and everything sent later, by whomever, waits behind it. Three things
/// keep that short: little is under way (<see cref="Transport.SendQueueLimit"/>); while that is full, nothing more is read from the device
/// (<see cref="OutboundQueue"/>), so that the queue is the device's, which can hold tens of megabytes; and while that one stands for longer
/// than <see cref="Interval"/>, packets are dropped from its front here. Two signs tell that it stands, as nobody can look into the device:
/// a batch took longer than <see cref="Target"/> to send, or there was more to be read behind it. A network that takes everything, however
/// busy the tunnel is, starts none of this.
/// </para>
/// <para>
/// What is relayed is lost when the socket's buffer is full, as its senders are elsewhere; the relay's own queue in front of a slow uplink
/// is thus what <see cref="Transport.SendQueueLimit.First"/> says at most. Elsewhere than on Linux the system's own buffers apply.
/// </para>
/// </remarks>
internal sealed class ControlledDelay
{
    /// <summary>
    /// What may always wait where round trips are not longer than usual, and a twentieth of the interval elsewhere: RFC 8289 section 4.3.
    /// </summary>
    public static readonly TimeSpan Target = TimeSpan.FromMilliseconds(5);

    /// <summary>
    /// How long a queue must stand until something is dropped, at least: a long round trip through the Internet, section 4.4.
    /// </summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>The same, at most: whoever answers pings late does not get a longer queue by it.</summary>
    public static readonly TimeSpan LongestInterval = TimeSpan.FromSeconds(1);

    // A drop shows its effect one round trip later, behind what waits already: who drops again before that, drops for nothing, and the link
    // stands empty afterwards.
    private const int RoundTripsPerInterval = 2;

    private const int TargetsPerInterval = 20;

    // Batches that were sent at once, until the network is no longer held to be what limits.
    private const int Doubtful = 8;

    private TimeSpan _interval = Interval;
    private Timestamp? _standingSince;
    private int _unhindered;
    private bool _dropping;
    private Timestamp _nextDrop;
    private int _drops;

    /// <summary>
    /// Learns how far away those are that packets go to: the farthest of them, or zero when that is not known. Nobody gets farther away
    /// while a queue stands: whoever seems to, was measured through it.
    /// </summary>
    public void NoteRoundTrip(TimeSpan roundTrip)
    {
        TimeSpan wanted = TimeSpan.FromTicks(Math.Clamp(RoundTripsPerInterval * roundTrip.Ticks, Interval.Ticks, LongestInterval.Ticks));
        if (_standingSince is null || wanted < _interval)
            _interval = wanted;
    }

    /// <summary>Learns how a batch fared.</summary>
    /// <param name="waited">The network did not take it at once.</param>
    /// <param name="emptied">There was nothing more in the device when it was read.</param>
    /// <param name="read">When it was read.</param>
    /// <param name="sent">When the last of it was sent.</param>
    public void Note(bool waited, bool emptied, Timestamp read, Timestamp sent)
    {
        _unhindered = waited ? 0 : _unhindered + 1;
        bool stands = waited
            ? !emptied || sent - read > _interval / TargetsPerInterval
            : !emptied && _standingSince is not null && _unhindered < Doubtful;
        if (stands)
        {
            _standingSince ??= sent;
            return;
        }

        _standingSince = null;
        _dropping = false;
    }

    /// <summary>True when a packet is to be dropped; to be asked again for the next one then.</summary>
    public bool TakeDrop(Timestamp now)
    {
        if (now - _standingSince is not { } stood || stood < _interval)
            return false;
        if (!_dropping)
        {
            // Soon after the last time it goes on almost where it was (section 5.5).
            _drops = _drops > 2 && now - _nextDrop < 16 * _interval ? _drops - 2 : 1;
            _dropping = true;
            _nextDrop = now;
        }
        else if (now < _nextDrop)
        {
            return false;
        }
        else
        {
            _drops++;
        }

        _nextDrop += _interval / Math.Sqrt(_drops);
        return true;
    }
}
