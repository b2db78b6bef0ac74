using LightTunnel.Packets;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Data;

/// <summary>
/// How many control frames of one peer the control loop is given: so many at once and in a second, and so few at a time that wait for it
/// that they are a small part of its inbox. What is beyond is lost, and sent again by whoever meant it. Taken by data threads, without a
/// lock; released by the control loop.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="burst">Frames at once after silence.</param>
/// <param name="perSecond">Frames in a second, on average.</param>
/// <param name="waiting">Frames that wait for the control loop, at most.</param>
internal sealed class ControlFrameQuota(TimeProvider time, int burst, int perSecond, int waiting)
{
    private readonly RateLimiter _rate = new(time, TimeSpan.FromSeconds(1.0 / perSecond), burst);
    private int _waiting;
    private long _refused;
    private long _reported;

    /// <summary>A member's, to a server or to another member: pings, acknowledgements, and now and then a message.</summary>
    public static ControlFrameQuota ForMember(TimeProvider time) => new(time, burst: 512, perSecond: 256, waiting: 128);

    /// <summary>A server's to its client, which it tells of all others.</summary>
    public static ControlFrameQuota ForServer(TimeProvider time) => new(time, burst: 4096, perSecond: 4096, waiting: 2048);

    /// <summary>Of all links together that have just got their first keys, which the control loop has not looked at yet.</summary>
    public static ControlFrameQuota ForNewcomers(TimeProvider time) => new(time, burst: 8192, perSecond: 8192, waiting: 4096);

    /// <summary>Asks for one frame; give it back with <see cref="Release"/>.</summary>
    public bool TryTake(Timestamp now)
    {
        if (Interlocked.Increment(ref _waiting) <= waiting && _rate.TryTake(now))
            return true;
        Interlocked.Decrement(ref _waiting);
        Interlocked.Increment(ref _refused);
        return false;
    }

    /// <summary>The frame has been worked off, or was not taken after all.</summary>
    public void Release() => Interlocked.Decrement(ref _waiting);

    /// <summary>Frames refused since this was last asked; control loop.</summary>
    public long TakeRefused()
    {
        long refused = Interlocked.Read(ref _refused);
        long news = refused - _reported;
        _reported = refused;
        return news;
    }
}
