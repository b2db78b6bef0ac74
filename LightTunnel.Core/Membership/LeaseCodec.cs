using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using LightTunnel.Addressing;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// How leases stand in the store: maps with small integer keys, in canonical CBOR. A key that this version does not know is one of a newer server's, and is kept
/// when the entry is written again.
/// </summary>
internal static class LeaseCodec
{
    // Of the network's entry.
    private const int NetworkName = 1;
    private const int NextMemberId = 2;

    // Of a member's.
    private const int Name = 1;
    private const int Key = 2;
    private const int Addresses = 3;
    private const int Created = 4;
    private const int LastSeen = 5;
    private const int Unused = 6;

    /// <summary>Every lease that is in a store, by rising id.</summary>
    public static IReadOnlyList<Lease> ReadAll(StoreContents contents) =>
        [.. contents.Entries.Select(entry => TryReadMember(entry, out Lease? lease) ? lease : null).OfType<Lease>().OrderBy(lease => lease.MemberId)];

    /// <summary>A store with these facts. Of two leases with one id or key the first counts, and of an address too.</summary>
    public static StoreContents ToContents(string? networkName, uint nextMemberId, IEnumerable<Lease> leases)
    {
        const long First = 1;
        var entries = new Dictionary<string, StoreEntry>(StringComparer.Ordinal);
        Add(StoreKeys.Network, WriteNetwork(networkName, nextMemberId, null));
        foreach (Lease lease in leases)
        {
            if (entries.ContainsKey(StoreKeys.Member(lease.MemberId)) || entries.ContainsKey(StoreKeys.Owner(lease.PublicKey)))
                continue;
            foreach ((string key, byte[] value) in EntriesOf(lease, null))
                Add(key, value);
        }

        return StoreContents.Restore(entries.Values, First);

        void Add(string key, byte[] value) => entries.TryAdd(key, new StoreEntry(key, value, First, First));
    }

    /// <summary>The entries that make up a lease: the member, and who has its key and addresses.</summary>
    /// <param name="lease">The lease.</param>
    /// <param name="member">The member's entry as it is in the store, or null for none.</param>
    public static IEnumerable<(string Key, byte[] Value)> EntriesOf(Lease lease, byte[]? member)
    {
        byte[] owner = WriteOwner(lease.MemberId);
        yield return (StoreKeys.Member(lease.MemberId), WriteMember(lease, member));
        yield return (StoreKeys.Owner(lease.PublicKey), owner);
        foreach (TunnelAddress address in lease.Addresses)
            yield return (StoreKeys.Owner(address), owner);
    }

    /// <summary>The network's entry.</summary>
    /// <param name="name">The network's name, or null for none.</param>
    /// <param name="nextMemberId">The id of the next new member.</param>
    /// <param name="before">The entry as it is in the store, or null for none.</param>
    public static byte[] WriteNetwork(string? name, uint nextMemberId, byte[]? before) => Write(
        before,
        (NetworkName, name is null ? null : writer => writer.WriteTextString(name)),
        (NextMemberId, writer => writer.WriteUInt32(nextMemberId)));

    public static bool TryReadNetwork(byte[]? value, out string? name, out uint nextMemberId)
    {
        (name, nextMemberId) = (null, 0);
        return value is not null && CborMap.TryRead(value, out CborMap? map) && map.TryGetUInt32(NextMemberId, 0, out nextMemberId)
            && (!map.Contains(NetworkName) || (map.TryGetText(NetworkName, NodeName.MaximumLength, out name) && NodeName.IsValid(name)));
    }

    /// <summary>Reads a member's entry; false for any other, and for one that cannot be read.</summary>
    public static bool TryReadMember(StoreEntry entry, [NotNullWhen(true)] out Lease? lease)
    {
        lease = null;
        if (!StoreKeys.TryReadMember(entry.Key, out uint memberId) || entry.Value is null || !CborMap.TryRead(entry.Value, out CborMap? map)
            || !map.TryGetText(Name, NodeName.MaximumLength, out string? name) || !NodeName.IsValid(name) || !map.TryGetKey(Key, out PublicKey key)
            || !map.TryGetAddresses(Addresses, 0, int.MaxValue, out IReadOnlyList<TunnelAddress>? addresses)
            || !TryGetTime(map, Created, out DateTimeOffset created) || !TryGetTime(map, LastSeen, out DateTimeOffset lastSeen)
            || !map.TryGetFlag(Unused, out bool unused))
        {
            return false;
        }

        lease = new Lease
        {
            MemberId = memberId, PublicKey = key, Name = name, Addresses = addresses, Created = created, LastSeen = lastSeen, Used = !unused,
        };
        return true;
    }

    private static byte[] WriteMember(Lease lease, byte[]? before) => Write(
        before,
        (Name, writer => writer.WriteTextString(lease.Name)),
        (Key, writer => writer.WriteByteString(lease.PublicKey.Bytes)),
        (Addresses, writer => CborValues.Write(writer, lease.Addresses)),
        (Created, writer => writer.WriteInt64(lease.Created.UtcTicks)),
        (LastSeen, writer => writer.WriteInt64(lease.LastSeen.UtcTicks)),
        (Unused, lease.Used ? null : writer => writer.WriteBoolean(true)));

    private static byte[] WriteOwner(uint memberId)
    {
        var writer = new CborWriter(CborConformanceMode.Canonical);
        writer.WriteUInt32(memberId);
        return writer.Encode();
    }

    /// <summary>Times are counted in units of 100 ns from the beginning of the year 1, UTC.</summary>
    private static bool TryGetTime(CborMap map, int key, out DateTimeOffset time)
    {
        bool valid = map.TryGetUInt64(key, out ulong ticks) && ticks <= (ulong)DateTimeOffset.MaxValue.UtcTicks;
        time = valid ? new DateTimeOffset((long)ticks, TimeSpan.Zero) : default;
        return valid;
    }

    /// <summary>A map with what is known, and of what was there before that which is not.</summary>
    private static byte[] Write(byte[]? before, params ReadOnlySpan<(int Key, Action<CborWriter>? Write)> known)
    {
        var values = new SortedDictionary<int, ReadOnlyMemory<byte>>();
        if (before is not null && CborMap.TryRead(before, out CborMap? map))
        {
            foreach ((int key, ReadOnlyMemory<byte> value) in map.Values)
                values[key] = value;
        }

        foreach ((int key, Action<CborWriter>? write) in known)
        {
            values.Remove(key);
            if (write is null)
                continue;
            var value = new CborWriter(CborConformanceMode.Canonical);
            write(value);
            values[key] = value.Encode();
        }

        var writer = new CborWriter(CborConformanceMode.Canonical);
        writer.WriteStartMap(values.Count);
        foreach ((int key, ReadOnlyMemory<byte> value) in values)
        {
            writer.WriteInt32(key);
            writer.WriteEncodedValue(value.Span);
        }

        writer.WriteEndMap();
        return writer.Encode();
    }
}
