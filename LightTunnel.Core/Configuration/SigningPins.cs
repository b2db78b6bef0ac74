using System.Text.Json;
using LightTunnel.Diagnostics;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>
/// Signing keys as a client keeps them: pinned from the first time that a person, or an invitation, named them. A person's word changes
/// them, no server's, nor an invitation's, which a server in bad hands may have made.
/// </summary>
internal static class SigningPins
{
    private const string Property = "signing";

    /// <summary>By whose signatures members of the network are taken from now on.</summary>
    /// <param name="options">What a person said, and the invitation.</param>
    /// <param name="kept">What was so before.</param>
    /// <exception cref="LightTunnelException">The invitation contradicts what was so before, or nothing says which keys.</exception>
    public static SigningMemory Resolve(ClientOptions options, SigningMemory kept)
    {
        if (options.RequireSignedMembers == false)
            return SigningMemory.None;
        if (options.SigningKeys.Count > 0)
        {
            // Who has a key that is none any more may have signed with any date.
            return new SigningMemory(options.SigningKeys, kept.Keys.All(options.SigningKeys.Contains) ? kept.Seen : []);
        }

        IReadOnlyList<SigningPublicKey> invited = options.InvitedSigningKeys;
        if (kept.Keys.Count > 0 && invited.Count > 0 && !SigningPublicKey.AreSame(kept.Keys, invited))
        {
            throw new LightTunnelException(
                LightTunnelError.NotSigned,
                $"The invitation names the signing key {SigningPublicKey.Fingerprints(invited)}, and this machine knows "
                    + $"{SigningPublicKey.Fingerprints(kept.Keys)} of the network: the invitation is not believed.",
                "Compare the fingerprint with an admin's; if it is the right one now, join with -SigningKey and the key itself "
                    + "(ConvertFrom-LtInvitation shows it).");
        }

        IReadOnlyList<SigningPublicKey> keys = kept.Keys.Count > 0 ? kept.Keys : invited;
        return keys.Count > 0 || options.RequireSignedMembers is null ? kept with { Keys = keys } : throw new LightTunnelException(
            LightTunnelError.NotSigned, "Only signed members are to be taken, and nothing says by which signing key.",
            "Give -SigningKey, the public half that an admin's New-LtSigningKey has shown.");
    }

    /// <summary>The state with that of a network.</summary>
    public static NodeState With(NodeState state, PublicKey server, SigningMemory memory)
    {
        bool isNone = memory.Keys.Count == 0;
        if (isNone && !state.Signing.ContainsKey(server))
            return state;
        var all = new Dictionary<PublicKey, SigningMemory>(state.Signing);
        if (isNone)
            all.Remove(server);
        else
            all[server] = memory;
        return state with { Signing = all };
    }

    /// <summary>Writes it into the state file; an older version does not look for it.</summary>
    public static void Write(Utf8JsonWriter writer, IReadOnlyDictionary<PublicKey, SigningMemory> networks)
    {
        if (networks.Count == 0)
            return;
        writer.WriteStartObject(Property);
        foreach ((PublicKey server, SigningMemory memory) in networks)
        {
            writer.WriteStartObject(server.ToString());
            writer.WriteStartArray("keys");
            foreach (SigningPublicKey key in memory.Keys)
                writer.WriteStringValue(key.ToString());
            writer.WriteEndArray();
            writer.WriteStartObject("seen");
            foreach ((PublicKey member, DateTimeOffset issued) in memory.Seen)
                writer.WriteNumber(member.ToString(), issued.ToUnixTimeSeconds());
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    /// <summary>Reads it; a key that is none is damage, as without it unsigned members would be taken.</summary>
    /// <exception cref="FormatException">It is damaged.</exception>
    public static IReadOnlyDictionary<PublicKey, SigningMemory> Read(JsonElement root)
    {
        var networks = new Dictionary<PublicKey, SigningMemory>();
        if (!root.TryGetProperty(Property, out JsonElement written))
            return networks;
        foreach (JsonProperty network in written.EnumerateObject())
        {
            SigningPublicKey[] keys = [.. network.Value.GetProperty("keys").EnumerateArray().Select(ReadKey)];
            if (keys.Length is 0 or > SigningPublicKey.MaximumCount)
                throw new FormatException("Bad number of signing keys.");
            networks[StateFile.NamedBy(network)] =
                new SigningMemory(keys, [.. network.Value.GetProperty("seen").EnumerateObject().Select(ReadSeen)]);
        }

        return networks;
    }

    private static SigningPublicKey ReadKey(JsonElement element) =>
        SigningPublicKey.TryParse(element.GetString(), out SigningPublicKey? key) ? key : throw new FormatException("Bad signing key.");

    private static KeyValuePair<PublicKey, DateTimeOffset> ReadSeen(JsonProperty seen)
    {
        long seconds = seen.Value.GetInt64();
        return seconds >= 0 && seconds <= DateTimeOffset.MaxValue.ToUnixTimeSeconds()
            ? new(StateFile.NamedBy(seen), DateTimeOffset.FromUnixTimeSeconds(seconds))
            : throw new FormatException("Bad time.");
    }
}
