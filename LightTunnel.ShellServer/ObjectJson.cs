using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Net;
using System.Security;
using System.Text.Json;

namespace LightTunnel.ShellServer;

/// <summary>Objects of the pipeline as JSON that a script or test reads easily, and JSON as arguments of a script.</summary>
internal static class ObjectJson
{
    private const int MaximumDepth = 4;
    private const int MaximumItems = 100_000;

    /// <summary>
    /// Numbers, booleans and text as themselves; enums by name; times in ISO 8601 ("O"), spans as "c"; addresses as text;
    /// dictionaries and other objects as objects, sequences as arrays, to a depth of four, below that as text.
    /// </summary>
    public static void Write(Utf8JsonWriter writer, object? value, int depth = 0)
    {
        object? plain = value is PSObject wrapped ? wrapped.BaseObject : value;
        if (TryWriteScalar(writer, plain))
            return;
        if (depth >= MaximumDepth)
            writer.WriteStringValue(value!.ToString());
        else if (plain is IDictionary dictionary)
            WriteDictionary(writer, dictionary, depth);
        else if (plain is IEnumerable sequence)
            WriteSequence(writer, sequence, depth);
        else
            WriteProperties(writer, value as PSObject ?? PSObject.AsPSObject(plain!), depth);
    }

    /// <summary>The value a script gets for a JSON value: int, long or double for numbers, a hashtable for an object.</summary>
    public static object? ToArgument(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => element.GetString(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number when element.TryGetInt32(out int small) => small,
        JsonValueKind.Number when element.TryGetInt64(out long large) => large,
        JsonValueKind.Number => element.GetDouble(),
        JsonValueKind.Array => element.EnumerateArray().Select(ToArgument).ToArray(),
        JsonValueKind.Object => ToHashtable(element),
        _ => null,
    };

    private static Hashtable ToHashtable(JsonElement element)
    {
        var table = new Hashtable(StringComparer.OrdinalIgnoreCase);
        foreach (JsonProperty property in element.EnumerateObject())
            table[property.Name] = ToArgument(property.Value);
        return table;
    }

    private static bool TryWriteScalar(Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null:
                writer.WriteNullValue();
                return true;
            case bool truth:
                writer.WriteBooleanValue(truth);
                return true;
            case Enum name:
                writer.WriteStringValue(name.ToString());
                return true;
            case sbyte or byte or short or ushort or int or uint or long:
                writer.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture));
                return true;
            case ulong big:
                writer.WriteNumberValue(big);
                return true;
            case float or double when double.IsFinite(Convert.ToDouble(value, CultureInfo.InvariantCulture)):
                writer.WriteNumberValue(Convert.ToDouble(value, CultureInfo.InvariantCulture));
                return true;
            case decimal exact:
                writer.WriteNumberValue(exact);
                return true;
            case DateTime or DateTimeOffset:
                writer.WriteStringValue(((IFormattable)value).ToString("O", CultureInfo.InvariantCulture));
                return true;
            case SecureString:
                writer.WriteStringValue("(secure string)");
                return true;
            case string or char or Type or Delegate or ScriptBlock or Uri or Version or IPAddress or EndPoint:
                writer.WriteStringValue(value.ToString());
                return true;
            case IFormattable formattable:
                writer.WriteStringValue(formattable.ToString(null, CultureInfo.InvariantCulture));
                return true;
            default:
                return false;
        }
    }

    private static void WriteDictionary(Utf8JsonWriter writer, IDictionary dictionary, int depth)
    {
        writer.WriteStartObject();
        foreach (DictionaryEntry entry in dictionary)
        {
            writer.WritePropertyName(Convert.ToString(entry.Key, CultureInfo.InvariantCulture) ?? string.Empty);
            Write(writer, entry.Value, depth + 1);
        }

        writer.WriteEndObject();
    }

    private static void WriteSequence(Utf8JsonWriter writer, IEnumerable sequence, int depth)
    {
        writer.WriteStartArray();
        foreach (object? item in sequence.Cast<object?>().Take(MaximumItems))
            Write(writer, item, depth + 1);
        writer.WriteEndArray();
    }

    private static void WriteProperties(Utf8JsonWriter writer, PSObject value, int depth)
    {
        writer.WriteStartObject();
        foreach (PSPropertyInfo property in value.Properties)
        {
            object? content;
            try
            {
                content = property.IsGettable ? property.Value : null;
            }
            catch (GetValueException)
            {
                content = null;
            }

            writer.WritePropertyName(property.Name);
            Write(writer, content, depth + 1);
        }

        writer.WriteEndObject();
    }
}
