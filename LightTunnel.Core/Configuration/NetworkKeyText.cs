using System.Globalization;
using System.Text.Json;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>
/// How a network's keys stand in a state file. A server's key is <c>networkKey</c>, as it was before keys could be changed, so that older
/// programs find it; beside it, once it was changed, <c>networkKeys</c> has its number, when it was changed, the former ones as arrays of
/// number, key and end, and the digests by which earlier ones are recognised. A client's are in <c>toldKeys</c>, by the server's public
/// key.
/// </summary>
internal static class NetworkKeyText
{
    private const string OwnKey = "networkKey";
    private const string Own = "networkKeys";
    private const string Told = "toldKeys";
    private const string Key = "key";

    /// <summary>Writes a server's.</summary>
    public static void WriteOwn(Utf8JsonWriter writer, NetworkKeySet keys)
    {
        writer.WriteBase64String(OwnKey, keys.Key);
        if (keys is { Number: 0, Former.Count: 0, Replaced.Count: 0 })
            return;
        writer.WriteStartObject(Own);
        WriteHistory(writer, keys);
        writer.WriteEndObject();
    }

    /// <summary>Reads a server's; null when it has none yet.</summary>
    public static NetworkKeySet? ReadOwn(JsonElement root)
    {
        if (!root.TryGetProperty(OwnKey, out JsonElement own))
            return null;
        byte[] key = StateFile.ReadKey(own);
        return root.TryGetProperty(Own, out JsonElement history) ? ReadHistory(history, key) : new NetworkKeySet { Key = key };
    }

    /// <summary>Writes a client's.</summary>
    public static void WriteTold(Utf8JsonWriter writer, IReadOnlyDictionary<PublicKey, NetworkKeySet> told)
    {
        if (told.Count == 0)
            return;
        writer.WriteStartObject(Told);
        foreach ((PublicKey server, NetworkKeySet keys) in told)
        {
            writer.WriteStartObject(server.ToString());
            writer.WriteBase64String(Key, keys.Key);
            WriteHistory(writer, keys);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    /// <summary>Reads a client's.</summary>
    public static Dictionary<PublicKey, NetworkKeySet> ReadTold(JsonElement root)
    {
        var told = new Dictionary<PublicKey, NetworkKeySet>();
        if (!root.TryGetProperty(Told, out JsonElement written))
            return told;
        foreach (JsonProperty server in written.EnumerateObject())
        {
            told[StateFile.NamedBy(server)] = ReadHistory(server.Value, StateFile.ReadKey(server.Value.GetProperty(Key)));
        }

        return told;
    }

    private static void WriteHistory(Utf8JsonWriter writer, NetworkKeySet keys)
    {
        writer.WriteNumber("number", keys.Number);
        if (keys.Changed is { } changed)
            writer.WriteString("changed", Text(changed));
        writer.WriteStartArray("former");
        foreach (FormerNetworkKey former in keys.Former)
        {
            writer.WriteStartArray();
            writer.WriteNumberValue(former.Number);
            writer.WriteBase64StringValue(former.Key);
            writer.WriteStringValue(Text(former.Until));
            writer.WriteEndArray();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("replaced");
        foreach (byte[] digest in keys.Replaced)
            writer.WriteBase64StringValue(digest);
        writer.WriteEndArray();
    }

    private static NetworkKeySet ReadHistory(JsonElement history, byte[] key)
    {
        FormerNetworkKey[] former =
        [
            .. history.GetProperty("former").EnumerateArray().Select(one => one.GetArrayLength() == 3
                ? new FormerNetworkKey(ReadNumber(one[0]), StateFile.ReadKey(one[1]), ReadTime(one[2]))
                : throw new FormatException("No former key.")),
        ];
        byte[][] replaced = [.. history.GetProperty("replaced").EnumerateArray().Select(StateFile.ReadKey)];
        return former.Length <= NetworkKeySet.MostFormer
            ? new NetworkKeySet
            {
                Key = key,
                Number = ReadNumber(history.GetProperty("number")),
                Changed = history.TryGetProperty("changed", out JsonElement changed) ? ReadTime(changed) : null,
                Former = former,
                Replaced = replaced,
            }
            : throw new FormatException("Too many former keys.");
    }

    private static int ReadNumber(JsonElement element) =>
        element.GetInt32() is >= 0 and int number ? number : throw new FormatException("Bad number.");

    private static string Text(DateTimeOffset time) => time.ToUniversalTime().ToString("O", CultureInfo.InvariantCulture);

    private static DateTimeOffset ReadTime(JsonElement element) =>
        DateTimeOffset.ParseExact(element.GetString() ?? string.Empty, "O", CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind);
}
