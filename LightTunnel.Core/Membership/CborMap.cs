using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

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
    public static bool TryRead(ReadOnlyMemory<byte> encoded, [NotNullWhen(true)] out CborMap? map) => TryParse(encoded, ReadMap, out map);

    /// <summary>Every value as it is encoded, for whoever writes a map again and keeps what it does not know.</summary>
    public IReadOnlyDictionary<int, ReadOnlyMemory<byte>> Values => _values;

    public bool Contains(int key) => _values.ContainsKey(key);

    public bool TryGetInt(int key, int minimum, int maximum, out int value) =>
        TryGet(key, static reader => reader.ReadInt32(), out value) && value >= minimum && value <= maximum;

    public bool TryGetUInt32(int key, uint minimum, out uint value) => TryGet(key, static reader => reader.ReadUInt32(), out value) && value >= minimum;

    public bool TryGetUInt64(int key, out ulong value) => TryGet(key, static reader => reader.ReadUInt64(), out value);

    /// <summary>False when absent, as the encoder leaves it out then.</summary>
    public bool TryGetFlag(int key, out bool value)
    {
        value = false;
        return !Contains(key) || TryGet(key, static reader => reader.ReadBoolean(), out value);
    }

    public bool TryGetText(int key, int maximumLength, [NotNullWhen(true)] out string? value) =>
        TryGet(key, static reader => reader.ReadTextString(), out value) && value.Length <= maximumLength;

    public bool TryGetTexts(int key, int maximumLength, int maximumCount, [NotNullWhen(true)] out IReadOnlyList<string>? value) =>
        TryGetList(key, 0, maximumCount, static reader => reader.ReadTextString(), out value) && value.All(text => text.Length <= maximumLength);

    public bool TryGetBytes(int key, int length, [NotNullWhen(true)] out byte[]? value) =>
        TryGet(key, static reader => reader.ReadByteString(), out value) && value.Length == length;

    public bool TryGetKey(int key, out PublicKey value)
    {
        value = default;
        if (!TryGetBytes(key, PublicKey.Size, out byte[]? bytes))
            return false;
        value = new PublicKey(bytes);
        return true;
    }

    public bool TryGetAddresses(int key, int minimum, int maximum, [NotNullWhen(true)] out IReadOnlyList<TunnelAddress>? value) =>
        TryGetList(key, minimum, maximum, CborValues.ReadAddress, out value);

    public bool TryGetInterfaceAddresses(int key, int minimum, int maximum, [NotNullWhen(true)] out IReadOnlyList<InterfaceAddress>? value) =>
        TryGetList(key, minimum, maximum, CborValues.ReadInterfaceAddress, out value);

    /// <summary>The default value when absent.</summary>
    public bool TryGetEndpoint(int key, out UdpEndpoint value)
    {
        value = default;
        return !Contains(key) || TryGet(key, CborValues.ReadEndpoint, out value);
    }

    /// <summary>Empty when absent.</summary>
    public bool TryGetMembers(int key, int maximum, [NotNullWhen(true)] out IReadOnlyList<uint>? value)
    {
        value = [];
        return !Contains(key) || TryGetList(key, 0, maximum, static reader => reader.ReadUInt32(), out value);
    }

    public bool TryGetByteString(int key, int maximumLength, [NotNullWhen(true)] out byte[]? value) =>
        TryGet(key, static reader => reader.ReadByteString(), out value) && value.Length <= maximumLength;

    public bool TryGetByteStrings(int key, int maximumCount, [NotNullWhen(true)] out IReadOnlyList<byte[]>? value) =>
        TryGetList(key, 0, maximumCount, static reader => reader.ReadByteString(), out value);

    /// <summary>Empty when absent.</summary>
    public bool TryGetMaps(int key, int maximum, [NotNullWhen(true)] out IReadOnlyList<CborMap>? value)
    {
        value = [];
        return !Contains(key) || TryGetList(key, 0, maximum, ReadMap, out value);
    }

    private bool TryGetList<T>(int key, int minimum, int maximum, Func<CborReader, T> readItem, [NotNullWhen(true)] out IReadOnlyList<T>? value)
    {
        bool valid = TryGet(key, reader => ReadList(reader, maximum, readItem), out List<T>? list) && list.Count >= minimum;
        value = valid ? list : null;
        return valid;
    }

    private static List<T> ReadList<T>(CborReader reader, int maximum, Func<CborReader, T> readItem)
    {
        int count = reader.ReadStartArray() ?? throw new CborContentException("Indefinite length.");
        if (count > maximum)
            throw new CborContentException("Too many items.");
        var list = new List<T>();
        for (int i = 0; i < count; i++)
            list.Add(readItem(reader));
        reader.ReadEndArray();
        return list;
    }

    private bool TryGet<T>(int key, Func<CborReader, T> read, [NotNullWhen(true)] out T? value)
    {
        value = default;
        return _values.TryGetValue(key, out ReadOnlyMemory<byte> encoded) && TryParse(encoded, read, out value);
    }

    private static CborMap ReadMap(CborReader reader)
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

    private static bool TryParse<T>(ReadOnlyMemory<byte> encoded, Func<CborReader, T> read, [NotNullWhen(true)] out T? value)
    {
        value = default;
        try
        {
            var reader = new CborReader(encoded, CborConformanceMode.Canonical);
            T result = read(reader);
            if (reader.BytesRemaining != 0)
                return false;
            value = result;
            return result is not null;
        }
        catch (Exception exception) when (exception is CborContentException or InvalidOperationException or OverflowException)
        {
            // The reader's way to say that the bytes are something else than asked for, malformed, or out of the type's range.
            return false;
        }
    }
}

/// <summary>How addresses and text stand in CBOR: addresses as byte strings in network order.</summary>
internal static class CborValues
{
    private const int EndpointPortLength = 2;

    public static void Write(CborWriter writer, IReadOnlyList<TunnelAddress> addresses)
    {
        Span<byte> bytes = stackalloc byte[16];
        writer.WriteStartArray(addresses.Count);
        foreach (TunnelAddress address in addresses)
            writer.WriteByteString(bytes[..address.WriteTo(bytes)]);
        writer.WriteEndArray();
    }

    /// <summary>Each as the address followed by one byte of prefix length.</summary>
    public static void Write(CborWriter writer, IReadOnlyList<InterfaceAddress> addresses)
    {
        Span<byte> bytes = stackalloc byte[17];
        writer.WriteStartArray(addresses.Count);
        foreach (InterfaceAddress address in addresses)
        {
            int length = address.Address.WriteTo(bytes);
            bytes[length] = (byte)address.PrefixLength;
            writer.WriteByteString(bytes[..(length + 1)]);
        }

        writer.WriteEndArray();
    }

    /// <summary>The address followed by two bytes of port.</summary>
    public static void Write(CborWriter writer, UdpEndpoint endpoint)
    {
        Span<byte> bytes = stackalloc byte[16 + EndpointPortLength];
        endpoint.Address.TryWriteBytes(bytes, out int length);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[length..], endpoint.Port);
        writer.WriteByteString(bytes[..(length + EndpointPortLength)]);
    }

    public static TunnelAddress ReadAddress(CborReader reader)
    {
        byte[] bytes = reader.ReadByteString();
        return bytes.Length is 4 or 16 ? TunnelAddress.FromBytes(bytes) : throw new CborContentException("No address.");
    }

    public static InterfaceAddress ReadInterfaceAddress(CborReader reader)
    {
        byte[] bytes = reader.ReadByteString();
        if (bytes.Length is not (5 or 17))
            throw new CborContentException("No address with prefix length.");
        TunnelAddress address = TunnelAddress.FromBytes(bytes.AsSpan(..^1));
        return bytes[^1] <= address.BitLength ? new InterfaceAddress(address, bytes[^1]) : throw new CborContentException("No prefix length.");
    }

    public static UdpEndpoint ReadEndpoint(CborReader reader)
    {
        byte[] bytes = reader.ReadByteString();
        if (bytes.Length is not (4 + EndpointPortLength or 16 + EndpointPortLength))
            throw new CborContentException("No endpoint.");
        return new UdpEndpoint(new System.Net.IPAddress(bytes.AsSpan(..^EndpointPortLength)), BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(^EndpointPortLength..)));
    }

    /// <summary>The text without control characters and cut to a length, so that a remote node cannot forge lines of a log or a terminal.</summary>
    public static string Printable(string text, int maximumLength)
    {
        var result = new StringBuilder(Math.Min(text.Length, maximumLength));
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (result.Length + rune.Utf16SequenceLength > maximumLength)
                break;
            bool printable = Rune.GetUnicodeCategory(rune) is not (System.Globalization.UnicodeCategory.Control
                or System.Globalization.UnicodeCategory.Format or System.Globalization.UnicodeCategory.LineSeparator
                or System.Globalization.UnicodeCategory.ParagraphSeparator or System.Globalization.UnicodeCategory.Surrogate);
            result.Append(printable ? rune.ToString() : " ");
        }

        return result.ToString();
    }
}
