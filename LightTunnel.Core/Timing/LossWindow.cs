namespace LightTunnel.Timing;

/// <summary>What became of the last 32 questions on one path. A field of its owner's, for one thread.</summary>
internal struct LossWindow
{
    /// <summary>Results that are remembered.</summary>
    public const int Size = 32;

    /// <summary>One bit each, set for a loss, the latest lowest.</summary>
    private uint _lost;
    private int _count;

    /// <summary>Share that was lost, 0..1; null before the first result.</summary>
    public readonly double? Share => _count == 0 ? null : (double)uint.PopCount(_lost) / _count;

    /// <summary>Takes one result.</summary>
    public void Add(bool isLost)
    {
        _lost = (_lost << 1) | (isLost ? 1u : 0u);
        _count = Math.Min(_count + 1, Size);
    }

    /// <summary>
    /// An answer came after its question was counted as lost: the latest loss was none. With no result so far it is the first; with no loss
    /// among them it says nothing new.
    /// </summary>
    public void AddLate()
    {
        if (_count == 0)
            Add(isLost: false);
        else
            _lost &= _lost - 1;
    }

    /// <summary>Forgets all results.</summary>
    public void Reset() => (_lost, _count) = (0, 0);
}
