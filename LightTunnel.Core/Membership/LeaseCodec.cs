using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Store;

namespace LightTunnel.Membership;

/// <summary>
/// How leases stand in the store: maps with small integer keys, in canonical CBOR. A key that this version does not know is one of a newer
/// server's, and is kept when the entry is written again.
/// </summary>
internal static class LeaseCodec
{
    /// <summary>Every lease that is in a store, by rising id.</summary>
    public static IReadOnlyList<Lease> ReadAll(StoreContents contents) =>
        [.. contents.Entries.Select(entry => TryReadMember(entry, out Lease? lease) ? lease : null).OfType<Lease>()
            .OrderBy(lease => lease.MemberId)];

    /// <summary>A store with these facts. Of two leases with one id or key the first counts, and of an address too.</summary>
    public static StoreContents ToContents(string? networkName, uint nextMemberId, IEnumerable<Lease> leases)
    {
        const long First = 1;
        var entries = new Dictionary<string, StoreEntry>(StringComparer.Ordinal);
        Add(StoreKeys.Network, WriteNetwork(networkName, nextMemberId, isInvitedOnly: false, null));
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
        yield return (StoreKeys.Member(lease.MemberId), Write(lease, member));
        yield return (StoreKeys.Owner(lease.PublicKey), owner);
        foreach (TunnelAddress address in lease.Addresses)
            yield return (StoreKeys.Owner(address), owner);
    }

    /// <summary>The network's entry.</summary>
    /// <param name="name">The network's name, or null for none.</param>
    /// <param name="nextMemberId">The id of the next new member.</param>
    /// <param name="isInvitedOnly">True when the network's key alone admits nobody.</param>
    /// <param name="before">The entry as it is in the store, or null for none.</param>
    public static byte[] WriteNetwork(string? name, uint nextMemberId, bool isInvitedOnly, byte[]? before) => Write(
        new NetworkFacts { Name = name ?? string.Empty, NextMemberId = nextMemberId, IsInvitedOnly = isInvitedOnly }, before);

    /// <summary>Reads the network's entry.</summary>
    public static bool TryReadNetwork(byte[]? value, out string? name, out uint nextMemberId, out bool isInvitedOnly)
    {
        (name, nextMemberId, isInvitedOnly) = (null, 0, false);
        if (value is null || !CborMap.TryRead(value, out CborMap? map) || !CborRecord.TryRead(map, out NetworkFacts? facts))
            return false;
        name = facts.Name.Length == 0 ? null : facts.Name;
        nextMemberId = facts.NextMemberId;
        isInvitedOnly = facts.IsInvitedOnly;
        return true;
    }

    /// <summary>Reads a member's entry; false for any other, and for one that cannot be read.</summary>
    public static bool TryReadMember(StoreEntry entry, [NotNullWhen(true)] out Lease? lease)
    {
        lease = null;
        if (!StoreKeys.TryReadMember(entry.Key, out uint memberId) || entry.Value is null
            || !CborMap.TryRead(entry.Value, out CborMap? map) || !CborRecord.TryRead(map, out Lease? read))
        {
            return false;
        }

        lease = read with { MemberId = memberId };
        return true;
    }

    private static byte[] WriteOwner(uint memberId)
    {
        var writer = new CborWriter(CborConformanceMode.Canonical);
        writer.WriteUInt32(memberId);
        return writer.Encode();
    }

    /// <summary>A map with what is known, and of what was there before that which is not.</summary>
    private static byte[] Write<T>(T record, byte[]? before)
        where T : class, ICborRecord<T> =>
        CborRecord.Encode(record, before: before is not null && CborMap.TryRead(before, out CborMap? map) ? map : null);

    /// <summary>What the network's entry says.</summary>
    private sealed record NetworkFacts : ICborRecord<NetworkFacts>
    {
        /// <summary>The network's name; empty for none.</summary>
        public required string Name { get; init; }

        /// <summary>The id of the next new member.</summary>
        public required uint NextMemberId { get; init; }

        /// <summary>True when the network's key alone admits nobody: networks of earlier versions do not say so.</summary>
        public bool IsInvitedOnly { get; init; }

        /// <inheritdoc/>
        public static NetworkFacts Exchange(CborFields<NetworkFacts> fields) => new()
        {
            Name = fields.Optional(1, "network name", m => m.Name, FieldKinds.Name),
            NextMemberId = fields.Required(2, "next member id", m => m.NextMemberId, FieldKinds.AnyUInt32),
            IsInvitedOnly = fields.Optional(3, "invited only", m => m.IsInvitedOnly, FieldKinds.Flag),
        };
    }
}
