namespace LightTunnel.Timing;

/// <summary>
/// Where threads leave a <see cref="Timestamp"/> for each other: read and written without a lock, each time a whole one. A field of its
/// owner's, never copied; the default is <see cref="Timestamp.NotYet"/>.
/// </summary>
internal struct SharedTimestamp(Timestamp initial)
{
    private ulong _value = initial.Value;

    /// <summary>What was written last; reads and writes are volatile ones.</summary>
    public Timestamp Value
    {
        readonly get => new(Volatile.Read(in _value));
        set => Volatile.Write(ref _value, value.Value);
    }

    /// <summary>Puts another moment there, unless somebody else did since it was seen.</summary>
    /// <param name="value">The new one.</param>
    /// <param name="seen">What was read before; what is there now when this returns false.</param>
    public bool TryReplace(Timestamp value, ref Timestamp seen)
    {
        ulong before = Interlocked.CompareExchange(ref _value, value.Value, seen.Value);
        bool isReplaced = before == seen.Value;
        seen = new Timestamp(before);
        return isReplaced;
    }
}
