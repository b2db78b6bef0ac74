namespace LightTunnel.Diagnostics;

/// <summary>
/// The latest entries of something that goes on, numbered from 1, in a ring of fixed size: whoever writes never waits for who reads. All
/// members may be called from any thread.
/// </summary>
/// <typeparam name="T">An entry; never changed once it is in.</typeparam>
internal sealed class Journal<T>(int capacity)
    where T : class
{
    private readonly Lock _gate = new();
    private readonly T[] _entries = new T[capacity];
    private TaskCompletionSource? _changed;
    private long _count;
    private bool _completed;

    /// <summary>Adds the entry that is made for the next number.</summary>
    public void Add(Func<long, T> make)
    {
        TaskCompletionSource? changed;
        lock (_gate)
        {
            _entries[_count % capacity] = make(_count + 1);
            _count++;
            (changed, _changed) = (_changed, null);
        }

        changed?.SetResult();
    }

    /// <summary>
    /// Entries that are kept, oldest first: those after <paramref name="afterSequence"/> (0 for all) that are wanted, and of those the last
    /// <paramref name="tail"/>.
    /// </summary>
    public IReadOnlyList<T> Read(long afterSequence, Func<T, bool>? wanted = null, int tail = int.MaxValue)
    {
        lock (_gate)
            return ReadLocked(afterSequence, wanted, tail);
    }

    /// <summary>Like <see cref="Read"/>, but waits until there is at least one such entry; empty once no more will come.</summary>
    public async Task<IReadOnlyList<T>> WaitAsync(long afterSequence, Func<T, bool>? wanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                List<T> entries = ReadLocked(afterSequence, wanted, int.MaxValue);
                if (entries.Count > 0 || _completed)
                    return entries;
                afterSequence = Math.Max(afterSequence, _count);
                _changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Says that no more entries come; those that are kept stay readable. Idempotent.</summary>
    public void Complete()
    {
        TaskCompletionSource? changed;
        lock (_gate)
        {
            _completed = true;
            (changed, _changed) = (_changed, null);
        }

        changed?.SetResult();
    }

    private List<T> ReadLocked(long afterSequence, Func<T, bool>? wanted, int tail)
    {
        var found = new List<T>();
        for (long sequence = _count; sequence > Math.Max(Math.Max(afterSequence, 0), _count - capacity) && found.Count < tail; sequence--)
        {
            T entry = _entries[(sequence - 1) % capacity];
            if (wanted?.Invoke(entry) ?? true)
                found.Add(entry);
        }

        found.Reverse();
        return found;
    }
}
