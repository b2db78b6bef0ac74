using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace LightTunnel.Membership.Cbor;

/// <summary>Writes a value's bytes and returns their number.</summary>
internal delegate int BytesWriter<in T>(T value, Span<byte> destination);

/// <summary>Reads a value that is all of the bytes; false when they are none.</summary>
internal delegate bool BytesReader<T>(ReadOnlySpan<byte> bytes, [MaybeNullWhen(false)] out T value);

/// <summary>True or false.</summary>
internal sealed class CborFlag : CborKind<bool>
{
    public override string Description => "flag";

    public override bool TryRead(CborReader reader, out bool value)
    {
        value = reader.ReadBoolean();
        return true;
    }

    public override void Write(CborWriter writer, bool value) => writer.WriteBoolean(value);
}

/// <summary>A number that is not negative.</summary>
internal sealed class CborNumber<T>(T minimum, T maximum) : CborKind<T>
    where T : struct, IBinaryInteger<T>, IMinMaxValue<T>
{
    public override string Description => minimum == T.MinValue && maximum == T.MaxValue
        ? $"u{8 * Unsafe.SizeOf<T>()}"
        : string.Create(CultureInfo.InvariantCulture, $"{minimum:N0} to {maximum:N0}");

    public override bool IsValid(T value) => value >= minimum && value <= maximum;

    public override bool TryRead(CborReader reader, out T value)
    {
        ulong read = reader.ReadUInt64();
        value = T.CreateSaturating(read);
        return ulong.CreateChecked(value) == read && IsValid(value);
    }

    public override void Write(CborWriter writer, T value) => writer.WriteUInt64(ulong.CreateChecked(value));
}

/// <summary>A value of an enumeration as its number. One that only newer versions know stands for another that all do.</summary>
/// <param name="unknown">What it stands for; also what an absent value means.</param>
internal sealed class CborEnum<T>(T unknown) : CborKind<T>
    where T : struct, Enum
{
    public override string Description => $"one of {string.Join(", ", Enum.GetValues<T>().Select(Number))}";

    public override T Absent => unknown;

    public override bool IsValid(T value) => Number(value) >= 0;

    public override bool TryRead(CborReader reader, out T value)
    {
        int number = reader.ReadInt32();
        value = Unsafe.BitCast<int, T>(number);
        if (!Enum.IsDefined(value))
            value = unknown;
        return number >= 0;
    }

    public override void Write(CborWriter writer, T value) => writer.WriteInt32(Number(value));

    private static int Number(T value) => Unsafe.BitCast<T, int>(value);
}

/// <summary>A value that is a byte string.</summary>
/// <param name="description">What the document says of it.</param>
/// <param name="maximumLength">Most bytes of one, a few dozen.</param>
/// <param name="write">Writes one.</param>
/// <param name="read">Reads one.</param>
internal class CborBytes<T>(string description, int maximumLength, BytesWriter<T> write, BytesReader<T> read) : CborKind<T>
{
    public sealed override string Description => description;

    public sealed override bool TryRead(CborReader reader, [MaybeNullWhen(false)] out T value)
    {
        Span<byte> bytes = stackalloc byte[maximumLength];
        if (!reader.TryReadByteString(bytes, out int length))
        {
            reader.SkipValue();
            value = default;
            return false;
        }

        bool valid = read(bytes[..length], out value);
        CryptographicOperations.ZeroMemory(bytes); // Some are secrets.
        return valid;
    }

    public sealed override void Write(CborWriter writer, T value)
    {
        Span<byte> bytes = stackalloc byte[maximumLength];
        writer.WriteByteString(bytes[..write(value, bytes)]);
        CryptographicOperations.ZeroMemory(bytes);
    }
}

/// <summary>An array.</summary>
/// <param name="item">What it holds.</param>
/// <param name="minimum">Fewest items.</param>
/// <param name="maximum">Most items.</param>
/// <param name="skipsUnknown">True when an item of no such kind is a newer version's, and left out; else the array is malformed.</param>
internal sealed class CborArray<T>(CborKind<T> item, int minimum, int maximum, bool skipsUnknown = false) : CborKind<IReadOnlyList<T>>
{
    public override string Description =>
        string.Create(CultureInfo.InvariantCulture, $"array of {minimum:N0} to {maximum:N0}: {item.Description}");

    public override IReadOnlyList<T> Absent => [];

    public override bool IsAbsent(IReadOnlyList<T> value) => value.Count == 0;

    public override bool IsValid(IReadOnlyList<T> value) =>
        value.Count >= minimum && value.Count <= maximum && value.All(item.IsValid);

    public override bool TryRead(CborReader reader, [MaybeNullWhen(false)] out IReadOnlyList<T> value)
    {
        value = null;
        if (reader.ReadStartArray() is not { } count || count < minimum || count > maximum)
            return false;
        var items = new List<T>();
        for (int i = 0; i < count; i++)
        {
            if (item.TryRead(reader, out T? read))
                items.Add(read);
            else if (!skipsUnknown)
                return false;
        }

        reader.ReadEndArray();
        value = items;
        return true;
    }

    public override void Write(CborWriter writer, IReadOnlyList<T> value)
    {
        writer.WriteStartArray(value.Count);
        foreach (T each in value)
            item.Write(writer, each);
        writer.WriteEndArray();
    }
}

/// <summary>A value that there may be, or none (null), when the kind's own values all mean something.</summary>
internal sealed class CborNullable<T>(CborKind<T> kind) : CborKind<T?>
    where T : struct
{
    public override string Description => kind.Description;

    public override bool IsValid(T? value) => value is { } some && kind.IsValid(some);

    public override bool TryRead(CborReader reader, out T? value)
    {
        bool valid = kind.TryRead(reader, out T read);
        value = read;
        return valid;
    }

    public override void Write(CborWriter writer, T? value) => kind.Write(writer, value!.Value);
}

/// <summary>A value that is another one on the wire: a duration that is a number of milliseconds, say.</summary>
internal sealed class CborConverted<TWire, T>(CborKind<TWire> wire, Func<T, TWire> toWire, Func<TWire, T> fromWire) : CborKind<T>
{
    public override string Description => wire.Description;

    public override bool IsValid(T value) => wire.IsValid(toWire(value));

    public override bool TryRead(CborReader reader, [MaybeNullWhen(false)] out T value)
    {
        bool valid = wire.TryRead(reader, out TWire? read);
        value = valid ? fromWire(read!) : default;
        return valid;
    }

    public override void Write(CborWriter writer, T value) => wire.Write(writer, toWire(value));
}

/// <summary>A record as a map of its own, inside another one.</summary>
/// <param name="description">What the document says of it.</param>
internal sealed class CborNested<T>(string description) : CborKind<T>
    where T : class, ICborRecord<T>
{
    public override string Description => description;

    public override bool TryRead(CborReader reader, [MaybeNullWhen(false)] out T value) =>
        CborRecord.TryRead(CborMap.Read(reader), out value);

    public override void Write(CborWriter writer, T value) => writer.WriteEncodedValue(CborRecord.Encode(value));
}
