using LightTunnel.Packets;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Server;

/// <summary>
/// Clients that look for members by name, in the order in which they are answered: one question of each at a time, for a server looks at
/// thousands of members for an answer, and so many in a second of all together. Who asks more waits, and nobody is forgotten. Owned by
/// the control loop.
/// </summary>
/// <param name="time">The clock.</param>
internal sealed class ListingQueue(TimeProvider time)
{
    /// <summary>Answers at once after silence: an admin's question about a network of a quarter of a million members.</summary>
    private const int Burst = 64;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    private readonly RateLimiter _pace = new(time, Interval, Burst);
    private readonly Queue<ServedClient> _order = new();
    private readonly HashSet<ServedClient> _waiting = [];

    /// <summary>A client that can be answered has asked.</summary>
    public void Add(ServedClient peer)
    {
        if (_waiting.Add(peer))
            _order.Enqueue(peer);
    }

    /// <summary>The next client whose turn has come; false when nobody waits, or all must go on waiting.</summary>
    /// <param name="canBeAnswered">Whether a client is still there, has a question and has taken what it was sent; one that has not is
    /// added again when it has.</param>
    /// <param name="peer">The client.</param>
    public bool TryNext(Predicate<ServedClient> canBeAnswered, out ServedClient peer)
    {
        while (_order.TryPeek(out peer!))
        {
            if (canBeAnswered(peer) && !_pace.TryTake())
                return false;
            _order.Dequeue();
            _waiting.Remove(peer);
            if (canBeAnswered(peer))
                return true;
        }

        return false;
    }

    /// <summary>When to look again.</summary>
    public Timestamp Deadline(Timestamp now) => _order.Count == 0 ? Timestamp.Never : now + Interval;
}
