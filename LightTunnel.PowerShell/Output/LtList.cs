using System.Collections.ObjectModel;

namespace LightTunnel;

/// <summary>
/// Several values of one property. Unlike an array's, its text is the values, joined by commas: Export-Csv writes a property's text.
/// </summary>
/// <typeparam name="T">What it holds.</typeparam>
public sealed class LtList<T> : ReadOnlyCollection<T>
{
    internal LtList(IEnumerable<T> values)
        : base([.. values])
    {
    }

    /// <summary>How many there are, under the name that arrays have for it.</summary>
    public int Length => Count;

    /// <summary>"10.0.0.2, fd00::2".</summary>
    public override string ToString() => string.Join(", ", this);
}

/// <summary>Numbers by name. Its text is those that are not 0, so that Export-Csv writes them.</summary>
public sealed class LtCounters : ReadOnlyDictionary<string, long>
{
    internal LtCounters(IEnumerable<KeyValuePair<string, long>> counters)
        : base(new Dictionary<string, long>(counters))
    {
    }

    /// <summary>"NoRoute 3, WrongSource 1"; "none" when all are 0.</summary>
    public override string ToString() => LtUnits.Counters(this);
}
