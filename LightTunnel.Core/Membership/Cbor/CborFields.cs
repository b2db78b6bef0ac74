namespace LightTunnel.Membership.Cbor;

/// <summary>A record that is a CBOR map on the wire, and says once which field stands under which key.</summary>
internal interface ICborRecord<TSelf>
    where TSelf : class, ICborRecord<TSelf>
{
    /// <summary>
    /// Passes every field, in either direction: from a map it makes the record; of a record that is written it makes a copy that nobody
    /// needs. One line says a field's key, its name in docs/protocol.md, where it is found in a record, and what it may be.
    /// </summary>
    static abstract TSelf Exchange(CborFields<TSelf> fields);
}

/// <summary>
/// What a record's fields go through, one after the other: into a map, out of one, or into a list that describes them. Each method returns
/// the field's value: the one written, the one read, or what an absent one means, when nothing came or the map is refused in the end.
/// </summary>
/// <typeparam name="T">The record.</typeparam>
internal abstract class CborFields<T>
    where T : class, ICborRecord<T>
{
    /// <summary>A field that is in every map: one without is malformed.</summary>
    public TValue Required<TValue>(int key, string name, Func<T, TValue> get, CborKind<TValue> kind) =>
        Pass(new CborField(key, name, IsOptional: false, IsAlwaysWritten: true), get, kind);

    /// <summary>A field that may be missing, which means <see cref="CborKind{T}.Absent"/>; so it is not written for that value.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="name">Its name in the document.</param>
    /// <param name="get">Where it is in a record.</param>
    /// <param name="kind">What it may be.</param>
    /// <param name="isAlwaysWritten">True when it is written nevertheless, as it was from the beginning.</param>
    public TValue Optional<TValue>(int key, string name, Func<T, TValue> get, CborKind<TValue> kind, bool isAlwaysWritten = false) =>
        Pass(new CborField(key, name, IsOptional: true, isAlwaysWritten), get, kind);

    /// <summary>The fields of another record, which stand in the same map.</summary>
    public abstract TPart Part<TPart>(Func<T, TPart> get)
        where TPart : class, ICborRecord<TPart>;

    /// <summary>The fields of another record, which stand in the same map or are missing together (null).</summary>
    /// <param name="key">The key of a required one, by which it is known whether they are there.</param>
    /// <param name="get">Where they are in a record.</param>
    public abstract TPart? OptionalPart<TPart>(int key, Func<T, TPart?> get)
        where TPart : class, ICborRecord<TPart>;

    /// <summary>What must hold between fields that were passed before.</summary>
    public abstract void Require(bool condition, string what);

    protected abstract TValue Pass<TValue>(in CborField field, Func<T, TValue> get, CborKind<TValue> kind);
}

/// <summary>One field of a record.</summary>
/// <param name="Key">Its key.</param>
/// <param name="Name">Its name in the document.</param>
/// <param name="IsOptional">True when it may be missing.</param>
/// <param name="IsAlwaysWritten">True when it is written whatever its value.</param>
internal readonly record struct CborField(int Key, string Name, bool IsOptional, bool IsAlwaysWritten);
