namespace LightTunnel.Timing;

/// <summary>
/// How often something is put right that others change: three times within a minute. Who changes it again then wins, and it is left alone
/// for ten minutes: two programs that set something against each other do more harm than either of them. For one thread at a time.
/// </summary>
internal sealed class RepairLimit
{
    /// <summary>So often within <see cref="Window"/> is it put right.</summary>
    public const int Most = 3;

    /// <summary>A minute.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    /// <summary>After a fight that was lost, it is left alone for this long.</summary>
    public static readonly TimeSpan Truce = TimeSpan.FromMinutes(10);

    private readonly Queue<Timestamp> _repairs = new();
    private Timestamp _leftAloneUntil;

    /// <summary>Whether it may be put right.</summary>
    public bool MayRepair(Timestamp now)
    {
        while (_repairs.TryPeek(out Timestamp oldest) && now - oldest > Window)
            _repairs.Dequeue();
        return now >= _leftAloneUntil && _repairs.Count < Most;
    }

    /// <summary>It was put right.</summary>
    public void Note(Timestamp now) => _repairs.Enqueue(now);

    /// <summary>It may not be put right and was changed: it is left alone from now on; returns until when.</summary>
    public Timestamp LeaveAlone(Timestamp now)
    {
        if (now >= _leftAloneUntil)
            _leftAloneUntil = now + Truce;
        return _leftAloneUntil;
    }
}
