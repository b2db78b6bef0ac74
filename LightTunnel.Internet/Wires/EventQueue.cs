using System.Diagnostics.CodeAnalysis;

namespace LightTunnel.Internet.Wires;

/// <summary>What is on its way, by time of arrival; at one moment what was sent first comes first.</summary>
internal sealed class EventQueue<T>
{
    private readonly PriorityQueue<T, (TimeSpan Due, long Order)> _queue = new();
    private long _order;

    /// <summary>When the next one arrives; null when nothing is on its way.</summary>
    public TimeSpan? Next => _queue.TryPeek(out _, out (TimeSpan Due, long Order) key) ? key.Due : null;

    /// <summary>Lets something arrive at that time.</summary>
    public void Add(TimeSpan due, T item) => _queue.Enqueue(item, (due, _order++));

    /// <summary>Takes what has arrived by now, one at a time.</summary>
    /// <param name="now">The time.</param>
    /// <param name="item">What has arrived.</param>
    /// <param name="due">When it did.</param>
    public bool TryTake(TimeSpan now, [MaybeNullWhen(false)] out T item, out TimeSpan due)
    {
        bool isDue = _queue.TryPeek(out item, out (TimeSpan Due, long Order) key) && key.Due <= now;
        due = key.Due;
        if (isDue)
            _queue.Dequeue();
        return isDue;
    }
}
