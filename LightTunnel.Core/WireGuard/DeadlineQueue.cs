using LightTunnel.Timing;

namespace LightTunnel.WireGuard;

/// <summary>Something with a deadline that <see cref="DeadlineQueue"/> keeps.</summary>
internal interface IScheduled
{
    /// <summary>Place in the queue, -1 outside; only the queue writes it.</summary>
    int QueuePosition { get; set; }

    /// <summary>When it is due; only the queue writes it, any thread may read it.</summary>
    Timestamp Deadline { get; set; }
}

/// <summary>
/// A binary heap whose entries can be moved and removed: a link is in it at most once, and only when it has something to wait for.
/// </summary>
internal sealed class DeadlineQueue
{
    private readonly List<IScheduled> _heap = [];

    public int Count => _heap.Count;

    /// <summary>The earliest deadline, <see cref="Timestamp.Never"/> when there is none.</summary>
    public Timestamp Earliest => _heap.Count == 0 ? Timestamp.Never : _heap[0].Deadline;

    /// <summary>The entry with the earliest deadline.</summary>
    public IScheduled Peek() => _heap[0];

    /// <summary>Puts, moves or (for <see cref="Timestamp.Never"/>) removes the entry.</summary>
    public void Set(IScheduled entry, Timestamp deadline)
    {
        entry.Deadline = deadline;
        if (deadline == Timestamp.Never)
        {
            Remove(entry);
            return;
        }

        if (entry.QueuePosition < 0)
        {
            entry.QueuePosition = _heap.Count;
            _heap.Add(entry);
        }

        SiftDown(SiftUp(entry.QueuePosition));
    }

    /// <summary>Takes the entry out, if it is in.</summary>
    public void Remove(IScheduled entry)
    {
        entry.Deadline = Timestamp.Never;
        int position = entry.QueuePosition;
        if (position < 0)
            return;
        entry.QueuePosition = -1;
        IScheduled last = _heap[^1];
        _heap.RemoveAt(_heap.Count - 1);
        if (last == entry)
            return;
        Place(last, position);
        SiftDown(SiftUp(position));
    }

    private int SiftUp(int position)
    {
        IScheduled entry = _heap[position];
        while (position > 0)
        {
            int parent = (position - 1) / 2;
            if (_heap[parent].Deadline <= entry.Deadline)
                break;
            Place(_heap[parent], position);
            position = parent;
        }

        Place(entry, position);
        return position;
    }

    private void SiftDown(int position)
    {
        IScheduled entry = _heap[position];
        while (true)
        {
            int child = (2 * position) + 1;
            if (child >= _heap.Count)
                break;
            if (child + 1 < _heap.Count && _heap[child + 1].Deadline < _heap[child].Deadline)
                child++;
            if (_heap[child].Deadline >= entry.Deadline)
                break;
            Place(_heap[child], position);
            position = child;
        }

        Place(entry, position);
    }

    private void Place(IScheduled entry, int position)
    {
        _heap[position] = entry;
        entry.QueuePosition = position;
    }
}
