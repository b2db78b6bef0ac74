using System.Text.Json;
using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>What a server wrote in version 1 of the state file: the network's name, the next member's id, and a list of leases.</summary>
internal static class FirstStateFile
{
    /// <summary>The network's facts, as entries.</summary>
    /// <param name="root">The content of the file.</param>
    public static StoreContents ReadNetwork(JsonElement root)
    {
        string? networkName = root.TryGetProperty("networkName", out JsonElement name) ? name.GetString() : null;
        if (networkName is not null && !NodeName.IsValid(networkName))
            throw new FormatException("Bad network name.");
        return LeaseCodec.ToContents(
            networkName, root.GetProperty("nextMemberId").GetUInt32(), root.GetProperty("leases").EnumerateArray().Select(ReadLease));
    }

    private static Lease ReadLease(JsonElement element)
    {
        string? name = element.GetProperty("name").GetString();
        if (!NodeName.IsValid(name))
            throw new FormatException("Bad member name.");
        return new Lease
        {
            MemberId = element.GetProperty("id").GetUInt32(),
            PublicKey = new PublicKey(StateFile.ReadKey(element.GetProperty("publicKey"))),
            Name = name,
            Addresses = [.. element.GetProperty("addresses").EnumerateArray().Select(ReadAddress)],
            Created = element.GetProperty("created").GetDateTimeOffset(),
            LastSeen = element.GetProperty("lastSeen").GetDateTimeOffset(),
            // Older versions kept none that they would not keep.
            Used = !element.TryGetProperty("used", out JsonElement used) || used.GetBoolean(),
        };
    }

    private static TunnelAddress ReadAddress(JsonElement element) =>
        TunnelAddress.TryParse(element.GetString(), out TunnelAddress address) ? address : throw new FormatException("Bad address.");
}
