using LightTunnel.Membership.Store;

namespace LightTunnel.Membership;

/// <summary>
/// What has to be committed so that leases in the store are as they are meant to be. All of it is expected to be as this server knows it: a
/// lease that is new writes its member, its key and each of its addresses, and expects that none of them is there. So no two servers give
/// one address away.
/// </summary>
internal static class LeasePlan
{
    /// <param name="replica">What is in the store.</param>
    /// <param name="memberIds">The members whose leases are others now.</param>
    /// <param name="leaseOf">A member's lease as it is meant to be, or null for none.</param>
    /// <param name="network">The network's entry as it is meant to be; null to leave it alone.</param>
    /// <param name="others">Entries of other kinds that are to be written with them.</param>
    public static StoreCommit Make(
        StoreReplica replica, IEnumerable<uint> memberIds, Func<uint, Lease?> leaseOf, byte[]? network,
        IEnumerable<KeyValuePair<string, byte[]?>> others)
    {
        // What one member gives up, another may get in the same commit: what is written last counts.
        var writes = new Dictionary<string, byte[]?>(StringComparer.Ordinal);
        var entries = new List<(string Key, byte[] Value)>();
        foreach (uint memberId in memberIds)
        {
            string key = StoreKeys.Member(memberId);
            byte[]? value = replica.Find(key);
            Lease? now = leaseOf(memberId);
            if (LeaseCodec.TryReadMember(new StoreEntry(key, value, 0, 0), out Lease? before))
            {
                if (now?.PublicKey == before.PublicKey && now.Addresses.SequenceEqual(before.Addresses))
                {
                    entries.Add(LeaseCodec.EntriesOf(now, value).First());
                    continue;
                }

                foreach ((string part, byte[] own) in LeaseCodec.EntriesOf(before, value))
                {
                    if (part == key || IsSame(replica.Find(part), own))
                        writes[part] = null;
                }
            }

            if (now is not null)
                entries.AddRange(LeaseCodec.EntriesOf(now, value));
        }

        foreach ((string key, byte[] value) in entries)
            writes[key] = value;
        if (network is not null)
            writes[StoreKeys.Network] = network;
        foreach ((string key, byte[]? value) in others)
            writes[key] = value;
        StoreWrite[] different =
        [
            .. writes.Where(write => !IsSame(replica.Find(write.Key), write.Value)).Select(write => new StoreWrite(write.Key, write.Value)),
        ];
        return new StoreCommit(Guid.NewGuid(), [.. different.Select(write => replica.Expect(write.Key))], different);
    }

    /// <summary>True when two values, or none, are the same.</summary>
    public static bool IsSame(byte[]? one, byte[]? other) => one is null == other is null && one.AsSpan().SequenceEqual(other);
}
