using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;

namespace LightTunnel.Membership.Cbor;

/// <summary>
/// A CBOR map with small integer keys, taken apart once: each value is kept as its encoded bytes and read when asked for. Whatever the
/// bytes are, reading answers false and never throws; what it builds is bounded by the length of the bytes.
/// </summary>
internal sealed class CborMap
{
    /// <summary>Deepest nesting of a value; ours nest two deep.</summary>
    private const int MaximumDepth = 8;

    private readonly Dictionary<int, ReadOnlyMemory<byte>> _values;

    private CborMap(Dictionary<int, ReadOnlyMemory<byte>> values) => _values = values;

    /// <summary>Takes a map apart that fills all of the bytes.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> encoded, [NotNullWhen(true)] out CborMap? map)
    {
        map = null;
        try
        {
            var reader = new CborReader(encoded, CborConformanceMode.Canonical);
            CborMap read = Read(reader);
            if (reader.BytesRemaining != 0)
                return false;
            map = read;
            return true;
        }
        catch (Exception exception) when (IsOfTheBytes(exception))
        {
            return false;
        }
    }

    /// <summary>Takes a map apart that stands inside another value.</summary>
    /// <exception cref="CborContentException">The bytes are no such map; also whatever else the reader throws of bytes.</exception>
    public static CborMap Read(CborReader reader)
    {
        int count = reader.ReadStartMap() ?? throw new CborContentException("Indefinite length.");
        var values = new Dictionary<int, ReadOnlyMemory<byte>>();
        for (int i = 0; i < count; i++)
        {
            // A key that is no small integer is one that we do not know: skipped like any other.
            bool known = reader.PeekState() == CborReaderState.UnsignedInteger;
            ulong key = 0;
            if (known)
                key = reader.ReadUInt64();
            else
                Skip(reader, 1);
            ReadOnlyMemory<byte> value = reader.ReadEncodedValue();
            Skip(new CborReader(value, CborConformanceMode.Canonical), 1);
            if (known && key <= int.MaxValue)
                values[(int)key] = value;
        }

        reader.ReadEndMap();
        return new CborMap(values);
    }

    /// <summary>Every value as it is encoded, for whoever writes a map again and keeps what it does not know.</summary>
    public IReadOnlyDictionary<int, ReadOnlyMemory<byte>> Values => _values;

    public bool Contains(int key) => _values.ContainsKey(key);

    /// <summary>The value of a key; false when there is none, or it is not of the kind.</summary>
    public bool TryGet<T>(int key, CborKind<T> kind, [MaybeNullWhen(false)] out T value)
    {
        value = default;
        if (!_values.TryGetValue(key, out ReadOnlyMemory<byte> encoded))
            return false;
        try
        {
            var reader = new CborReader(encoded, CborConformanceMode.Canonical);
            return kind.TryRead(reader, out value) && reader.BytesRemaining == 0;
        }
        catch (Exception exception) when (IsOfTheBytes(exception))
        {
            return false;
        }
    }

    /// <summary>The reader's way to say that the bytes are something else than asked for, malformed, or out of the type's range.</summary>
    private static bool IsOfTheBytes(Exception exception) =>
        exception is CborContentException or InvalidOperationException or OverflowException;

    /// <summary>Moves past a value, by ourselves because the reader takes any depth and indefinite lengths.</summary>
    private static void Skip(CborReader reader, int depth)
    {
        if (depth > MaximumDepth)
            throw new CborContentException("Nested too deep.");
        switch (reader.PeekState())
        {
            case CborReaderState.StartArray:
                int items = reader.ReadStartArray() ?? throw new CborContentException("Indefinite length.");
                for (int i = 0; i < items; i++)
                    Skip(reader, depth + 1);
                reader.ReadEndArray();
                break;
            case CborReaderState.StartMap:
                int pairs = reader.ReadStartMap() ?? throw new CborContentException("Indefinite length.");
                for (int i = 0; i < pairs; i++)
                {
                    Skip(reader, depth + 1);
                    Skip(reader, depth + 1);
                }

                reader.ReadEndMap();
                break;
            default:
                reader.SkipValue();
                break;
        }
    }
}
