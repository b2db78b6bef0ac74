using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;

namespace LightTunnel.Membership.Cbor;

/// <summary>What a field is, for the document: nobody else needs to know.</summary>
/// <param name="Key">Its key.</param>
/// <param name="Name">Its name.</param>
/// <param name="Kind">What it may be.</param>
/// <param name="IsOptional">True when it may be missing.</param>
internal sealed record CborFieldDescription(int Key, string Name, string Kind, bool IsOptional);

/// <summary>Records into CBOR maps and out of them: canonical order, definite lengths, no tags (RFC 8949 section 4.2).</summary>
internal static class CborRecord
{
    /// <summary>The key of a map's type, where it has one.</summary>
    public const int TypeKey = 0;

    /// <summary>A record as a map of its own.</summary>
    /// <param name="record">The record.</param>
    /// <param name="type">The number that tells it from other records, under <see cref="TypeKey"/>; null where there are no others.</param>
    /// <param name="before">
    /// A map whose place it takes, or null: fields of that one which are not the record's are a newer version's, and kept.
    /// </param>
    /// <exception cref="ArgumentException">A field is out of its bounds: a fault of the caller.</exception>
    public static byte[] Encode<T>(T record, int? type = null, CborMap? before = null)
        where T : class, ICborRecord<T>
    {
        // The writer puts fields into the order of their keys, and counts those that are there.
        var writer = new CborWriter(CborConformanceMode.Canonical, convertIndefiniteLengthEncodings: true);
        writer.WriteStartMap(null);
        if (type is { } number)
        {
            writer.WriteInt32(TypeKey);
            writer.WriteInt32(number);
        }

        HashSet<int>? known = before is null ? null : [];
        T.Exchange(new Writer<T>(writer, record, known));
        if (before is not null)
            WriteOthers(writer, before, known!);
        writer.WriteEndMap();
        return writer.Encode();
    }

    /// <summary>
    /// Reads a record; false when a field is missing that must be there, or one is out of its bounds. Fields that are not known are
    /// skipped.
    /// </summary>
    public static bool TryRead<T>(CborMap map, [NotNullWhen(true)] out T? record)
        where T : class, ICborRecord<T>
    {
        var reader = new Reader<T>(map);
        T read = T.Exchange(reader);
        record = reader.IsValid ? read : null;
        return reader.IsValid;
    }

    /// <summary>What fields a record has.</summary>
    public static IReadOnlyList<CborFieldDescription> Describe<T>()
        where T : class, ICborRecord<T>
    {
        var describer = new Describer<T>();
        T.Exchange(describer);
        return describer.Fields;
    }

    private static void WriteOthers(CborWriter writer, CborMap map, HashSet<int> known)
    {
        foreach ((int key, ReadOnlyMemory<byte> value) in map.Values)
        {
            if (known.Contains(key))
                continue;
            writer.WriteInt32(key);
            writer.WriteEncodedValue(value.Span);
        }
    }

    /// <param name="writer">Inside a map.</param>
    /// <param name="record">What is written.</param>
    /// <param name="known">Takes the keys of all fields, written or not, when it is not null.</param>
    private sealed class Writer<T>(CborWriter writer, T record, HashSet<int>? known) : CborFields<T>
        where T : class, ICborRecord<T>
    {
        public override TPart Part<TPart>(Func<T, TPart> get) => TPart.Exchange(new Writer<TPart>(writer, get(record), known));

        public override TPart? OptionalPart<TPart>(int key, Func<T, TPart?> get)
            where TPart : class => get(record) is { } part ? TPart.Exchange(new Writer<TPart>(writer, part, known)) : null;

        public override void Require(bool condition, string what)
        {
            if (!condition)
                throw new ArgumentException($"{typeof(T).Name}: {what}");
        }

        protected override TValue Pass<TValue>(in CborField field, Func<T, TValue> get, CborKind<TValue> kind)
        {
            known?.Add(field.Key);
            TValue value = get(record);
            if (!field.IsAlwaysWritten && kind.IsAbsent(value))
                return value;
            Require(kind.IsValid(value), $"the field '{field.Name}' must be: {kind.Description}.");
            writer.WriteInt32(field.Key);
            kind.Write(writer, value);
            return value;
        }
    }

    private sealed class Reader<T>(CborMap map) : CborFields<T>
        where T : class, ICborRecord<T>
    {
        /// <summary>False after the first field that makes the map malformed; those behind it are not looked at.</summary>
        public bool IsValid { get; private set; } = true;

        public override TPart Part<TPart>(Func<T, TPart> get)
        {
            var reader = new Reader<TPart>(map) { IsValid = IsValid };
            TPart part = TPart.Exchange(reader);
            IsValid = reader.IsValid;
            return part;
        }

        public override TPart? OptionalPart<TPart>(int key, Func<T, TPart?> get)
            where TPart : class => map.Contains(key) ? Part<TPart>(get!) : null;

        public override void Require(bool condition, string what) => IsValid &= condition;

        protected override TValue Pass<TValue>(in CborField field, Func<T, TValue> get, CborKind<TValue> kind)
        {
            if (!IsValid)
                return kind.Absent;
            if (map.TryGet(field.Key, kind, out TValue? value))
                return value;
            IsValid = field.IsOptional && !map.Contains(field.Key);
            return kind.Absent;
        }
    }

    private sealed class Describer<T> : CborFields<T>
        where T : class, ICborRecord<T>
    {
        public List<CborFieldDescription> Fields { get; } = [];

        public override TPart Part<TPart>(Func<T, TPart> get) => Take<TPart>(isOptional: false);

        public override TPart? OptionalPart<TPart>(int key, Func<T, TPart?> get)
            where TPart : class => Take<TPart>(isOptional: true);

        public override void Require(bool condition, string what)
        {
            // The document says it in words.
        }

        protected override TValue Pass<TValue>(in CborField field, Func<T, TValue> get, CborKind<TValue> kind)
        {
            Fields.Add(new CborFieldDescription(field.Key, field.Name, kind.Description, field.IsOptional));
            return kind.Absent;
        }

        private TPart Take<TPart>(bool isOptional)
            where TPart : class, ICborRecord<TPart>
        {
            var describer = new Describer<TPart>();
            TPart part = TPart.Exchange(describer);
            Fields.AddRange(describer.Fields.Select(field => field with { IsOptional = isOptional || field.IsOptional }));
            return part;
        }
    }
}
