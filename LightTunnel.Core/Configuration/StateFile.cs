using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Routing;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>
/// The state file: two lines of JSON. The first names format, version and the SHA-256 of the second; the second is the content. So damage
/// is always noticed, and a version is told before anything else is read. Whatever the bytes are, reading throws InvalidState only.
/// <para>
/// A server's content is of version 2: its network's facts are entries, as in any store. In version 1 they were leases, which are taken
/// over (<see cref="FirstStateFile"/>). A client's content has not changed, and is still written as version 1, which older programs can
/// read.
/// </para>
/// </summary>
/// <remarks>
/// The first line is <c>{"format":"LightTunnel state","version":2,"sha256":"(of the second line)"}</c>. The second has role and private
/// key; for a server the network's keys, the revision, and each entry of its store as an array of key, version, revision, and value in
/// base64; for a client the addresses last leased by each server, the path policies of single members, those it has had links with, and the
/// network keys that it was told (<see cref="NetworkKeyText"/>). A file of a server's in version 1 is written as version 2 with the next
/// change, which an older program refuses. A file is replaced whole (<see cref="AtomicFile"/>: written beside it, forced to the disk,
/// renamed, the folder forced to the disk). One that does not match its digest is an error, never a new identity.
/// </remarks>
internal static class StateFile
{
    /// <summary>Longest file that is read, bytes: some 150,000 leases.</summary>
    public const int MaximumLength = 64 << 20;

    private const string Format = "LightTunnel state";
    private const int Version = 2;
    private const int ClientVersion = 1;
    private const int KeyLength = 32;

    private const int MaximumDepth = 8;

    /// <summary>The whole content of the file; the caller zeroes it.</summary>
    public static byte[] Encode(NodeState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        StoreEntry[] entries = [.. state.Network.Entries];
        // Roomy from the beginning, as a buffer that grows leaves copies of the secrets behind.
        int others = state.LastAddresses.Count + state.PeerPolicies.Count + state.Pins.Values.Sum(pins => pins.Count)
            + state.Signing.Values.Sum(memory => 1 + memory.Keys.Count) + (2 * state.ToldKeys.Count);
        int digestsAndTimes = state.Signing.Values.Sum(memory => memory.Seen.Count)
            + state.ToldKeys.Values.Append(state.NetworkKeys).Sum(keys => keys?.Replaced.Count ?? 0);
        var body = new ArrayBufferWriter<byte>(4096 + (512 * others) + (64 * digestsAndTimes) + entries.Sum(LengthOf));
        using (var writer = new Utf8JsonWriter(body))
            WriteBody(writer, state, entries);
        var header = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(header))
        {
            writer.WriteStartObject();
            writer.WriteString("format", Format);
            writer.WriteNumber("version", state.Role == TunnelRole.Server ? Version : ClientVersion);
            writer.WriteString("sha256", Convert.ToHexStringLower(SHA256.HashData(body.WrittenSpan)));
            writer.WriteEndObject();
        }

        byte[] content = [.. header.WrittenSpan, (byte)'\n', .. body.WrittenSpan, (byte)'\n'];
        body.Clear();
        return content;
    }

    /// <summary>Reads the whole content of the file.</summary>
    /// <param name="content">The file's bytes.</param>
    /// <param name="path">The file, for the error.</param>
    /// <exception cref="LightTunnelException">InvalidState.</exception>
    public static NodeState Decode(ReadOnlyMemory<byte> content, string path)
    {
        try
        {
            int end = content.Span.IndexOf((byte)'\n');
            if (end < 0)
                throw Damaged(path, content.Length == 0 ? "it is empty" : "it is cut short", null);
            using JsonDocument header = Parse(content[..end]);
            if (header.RootElement.GetProperty("format").GetString() != Format)
                throw Damaged(path, "it is not a LightTunnel state file", null);
            int version = header.RootElement.GetProperty("version").GetInt32();
            if (version > Version)
            {
                throw new LightTunnelException(
                    LightTunnelError.InvalidState,
                    $"The state file {path} was written by a newer LightTunnel (format {version}, known here: {Version}).",
                    "Install a newer version of LightTunnel, or choose another state path.") { Target = path };
            }

            ReadOnlyMemory<byte> body = content[(end + 1)..];
            if (body.Length == 0 || body.Span[^1] != (byte)'\n')
                throw Damaged(path, "it is cut short", null);
            body = body[..^1];
            string digest = Convert.ToHexStringLower(SHA256.HashData(body.Span));
            if (version < 1 || header.RootElement.GetProperty("sha256").GetString() != digest)
                throw Damaged(path, "its content does not match its checksum", null);
            using JsonDocument document = Parse(body);
            return ReadBody(document.RootElement, version);
        }
        catch (Exception exception)
            when (exception is JsonException or InvalidOperationException or FormatException or KeyNotFoundException or OverflowException)
        {
            throw Damaged(path, "its content could not be read", exception);
        }
    }

    /// <summary>The error about a file that is not as it was written.</summary>
    public static LightTunnelException Damaged(string path, string what, Exception? cause) => new(
        LightTunnelError.InvalidState,
        $"The state file {path} is damaged: {what}.",
        "Put a backup of the file in its place. Only if there is none, remove the file: the node then gets a new identity, and clients of "
            + "a server need new invitations.",
        cause) { Target = path };

    private static JsonDocument Parse(ReadOnlyMemory<byte> json) =>
        JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaximumDepth });

    private static void WriteBody(Utf8JsonWriter writer, NodeState state, StoreEntry[] entries)
    {
        writer.WriteStartObject();
        writer.WriteString("role", state.Role == TunnelRole.Server ? "server" : "client");
        writer.WriteBase64String("privateKey", state.PrivateKey);
        if (state.Role == TunnelRole.Server)
        {
            if (state.NetworkKeys is { } keys)
                NetworkKeyText.WriteOwn(writer, keys);
            writer.WriteNumber("revision", state.Network.Revision);
            writer.WriteStartArray("entries");
            foreach (StoreEntry entry in entries)
                WriteEntry(writer, entry);
            writer.WriteEndArray();
        }
        else
        {
            writer.WriteStartObject("lastAddresses");
            foreach ((PublicKey server, IReadOnlyList<InterfaceAddress> addresses) in state.LastAddresses)
            {
                writer.WriteStartArray(server.ToString());
                foreach (InterfaceAddress address in addresses)
                    writer.WriteStringValue(address.ToString());
                writer.WriteEndArray();
            }

            writer.WriteEndObject();
            WritePolicies(writer, state.PeerPolicies);
            WritePins(writer, state.Pins);
            SigningPins.Write(writer, state.Signing);
            NetworkKeyText.WriteTold(writer, state.ToldKeys);
        }

        writer.WriteEndObject();
    }

    /// <summary>An older version does not look for them, so that they do no harm there.</summary>
    private static void WritePolicies(Utf8JsonWriter writer, IReadOnlyDictionary<PublicKey, PathPolicy> policies)
    {
        if (policies.Count == 0)
            return;
        writer.WriteStartObject("peerPolicies");
        foreach ((PublicKey member, PathPolicy policy) in policies)
            writer.WriteString(member.ToString(), policy.ToString());
        writer.WriteEndObject();
    }

    /// <summary>Nor for these.</summary>
    private static void WritePins(Utf8JsonWriter writer, IReadOnlyDictionary<PublicKey, IReadOnlyList<MemberPin>> pins)
    {
        if (pins.Count == 0)
            return;
        writer.WriteStartObject("pins");
        foreach ((PublicKey server, IReadOnlyList<MemberPin> members) in pins)
        {
            writer.WriteStartArray(server.ToString());
            foreach (MemberPin pin in members)
            {
                writer.WriteStartArray();
                writer.WriteStringValue(pin.Key.ToString());
                writer.WriteStringValue(pin.LastUsed.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
                writer.WriteStringValue(pin.Name);
                foreach (TunnelAddress address in pin.Addresses)
                    writer.WriteStringValue(address.ToString());
                writer.WriteEndArray();
            }

            writer.WriteEndArray();
        }

        writer.WriteEndObject();
    }

    /// <summary>Of the length that an entry has at most: keys have no characters that are escaped but '+'.</summary>
    private static int LengthOf(StoreEntry entry) => 96 + (6 * entry.Key.Length) + (2 * entry.Value!.Length);

    private static void WriteEntry(Utf8JsonWriter writer, StoreEntry entry)
    {
        writer.WriteStartArray();
        writer.WriteStringValue(entry.Key);
        writer.WriteNumberValue(entry.Version);
        writer.WriteNumberValue(entry.Revision);
        writer.WriteBase64StringValue(entry.Value);
        writer.WriteEndArray();
    }

    private static NodeState ReadBody(JsonElement root, int version)
    {
        TunnelRole role = root.GetProperty("role").GetString() switch
        {
            "server" => TunnelRole.Server,
            "client" => TunnelRole.Client,
            _ => throw new FormatException("Unknown role."),
        };
        byte[] privateKey = ReadKey(root.GetProperty("privateKey"));
        if (role == TunnelRole.Client)
        {
            var last = new Dictionary<PublicKey, IReadOnlyList<InterfaceAddress>>();
            foreach (JsonProperty server in root.GetProperty("lastAddresses").EnumerateObject())
            {
                last[NamedBy(server)] = [.. server.Value.EnumerateArray().Select(ReadInterfaceAddress)];
            }

            return new NodeState
            {
                Role = role, PrivateKey = privateKey, LastAddresses = last, PeerPolicies = ReadPolicies(root), Pins = ReadPins(root),
                Signing = SigningPins.Read(root),
                ToldKeys = NetworkKeyText.ReadTold(root),
            };
        }

        return new NodeState
        {
            Role = role,
            PrivateKey = privateKey,
            NetworkKeys = NetworkKeyText.ReadOwn(root),
            Network = version == 1 ? FirstStateFile.ReadNetwork(root) : ReadNetwork(root),
        };
    }

    private static StoreContents ReadNetwork(JsonElement root)
    {
        long revision = root.GetProperty("revision").GetInt64();
        StoreEntry[] entries = [.. root.GetProperty("entries").EnumerateArray().Select(ReadEntry)];
        return revision >= 0 && entries.All(entry => entry.Version > 0 && entry.Revision > 0 && entry.Revision <= revision)
            ? StoreContents.Restore(entries, revision)
            : throw new FormatException("Bad revision.");
    }

    private static StoreEntry ReadEntry(JsonElement element)
    {
        if (element.GetArrayLength() != 4 || element[0].GetString() is not { } key)
            throw new FormatException("No entry.");
        var entry = new StoreEntry(key, element[3].GetBytesFromBase64(), element[1].GetInt64(), element[2].GetInt64());

        // An entry of a kind that only a newer version knows is kept; one that this one should know, and cannot read, is damage.
        bool isReadable = key == StoreKeys.Network
            ? LeaseCodec.TryReadNetwork(entry.Value, out _, out _, out _)
            : (!StoreKeys.TryReadMember(key, out _) || LeaseCodec.TryReadMember(entry, out _))
                && (!StoreKeys.TryReadInvitation(key, out _) || InvitationRecord.TryRead(entry, out _));
        return isReadable ? entry : throw new FormatException($"Bad entry {key}.");
    }

    /// <summary>A policy that only a newer version knows is left out: the network's own is the next best.</summary>
    private static Dictionary<PublicKey, PathPolicy> ReadPolicies(JsonElement root)
    {
        var policies = new Dictionary<PublicKey, PathPolicy>();
        if (!root.TryGetProperty("peerPolicies", out JsonElement written))
            return policies;
        foreach (JsonProperty member in written.EnumerateObject())
        {
            PublicKey key = NamedBy(member);
            if (Enum.TryParse(member.Value.GetString(), out PathPolicy policy) && Enum.IsDefined(policy))
                policies[key] = policy;
        }

        return policies;
    }

    private static Dictionary<PublicKey, IReadOnlyList<MemberPin>> ReadPins(JsonElement root)
    {
        var pins = new Dictionary<PublicKey, IReadOnlyList<MemberPin>>();
        if (!root.TryGetProperty("pins", out JsonElement written))
            return pins;
        foreach (JsonProperty server in written.EnumerateObject())
        {
            pins[NamedBy(server)] = [.. server.Value.EnumerateArray().Select(ReadPin)];
        }

        return pins;
    }

    private static MemberPin ReadPin(JsonElement element)
    {
        string[] parts = [.. element.EnumerateArray().Select(part => part.GetString() ?? throw new FormatException("No text."))];
        if (parts.Length < 4 || !PublicKey.TryParse(parts[0], out PublicKey key)
            || !DateOnly.TryParseExact(parts[1], "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly used))
        {
            throw new FormatException("No pin.");
        }

        return new MemberPin(
            key, parts[2],
            [.. parts[3..].Select(text => TunnelAddress.TryParse(text, out TunnelAddress address)
                ? address
                : throw new FormatException("Bad address."))],
            used);
    }

    /// <summary>A key of 32 bytes.</summary>
    internal static byte[] ReadKey(JsonElement element)
    {
        byte[] key = element.GetBytesFromBase64();
        return key.Length == KeyLength ? key : throw new FormatException("A key has 32 bytes.");
    }

    /// <summary>The public key that a property has as its name.</summary>
    internal static PublicKey NamedBy(JsonProperty property) =>
        PublicKey.TryParse(property.Name, out PublicKey key) ? key : throw new FormatException("Bad public key.");

    private static InterfaceAddress ReadInterfaceAddress(JsonElement element) =>
        InterfaceAddress.TryParse(element.GetString(), out InterfaceAddress address) ? address : throw new FormatException("Bad address.");
}
