namespace LightTunnel.Membership.Store;

/// <summary>One fact that lasts, as a store keeps it. Never modified after creation, its value neither.</summary>
/// <param name="Key">What it is about: <see cref="StoreKeys"/>.</param>
/// <param name="Value">Canonical CBOR; null for an entry that was deleted.</param>
/// <param name="Version">
/// Which writing it is of: that of its commit (<see cref="StoreCommit.Version"/>), to be compared only. No entry has the same one twice, as
/// it would have a number that is counted: that begins anew when the entry was deleted, or when the store has lost commits and makes others
/// in their place.
/// </param>
/// <param name="Revision">The revision of the network that the commit made, by which readers go on.</param>
internal sealed record StoreEntry(string Key, byte[]? Value, long Version, long Revision);

/// <summary>What changed in a store: everything that a replica of an earlier revision lacks.</summary>
/// <param name="Revision">The revision that the replica has with it.</param>
/// <param name="Entries">The entries, in the order of their revisions.</param>
/// <param name="IsWhole">
/// True when these are all that there are, and what else the replica has is no more: it was too far behind, or ahead of a store that has
/// lost its last commits.
/// </param>
internal sealed record StoreChanges(long Revision, IReadOnlyList<StoreEntry> Entries, bool IsWhole)
{
    /// <summary>Why nothing could be read; null when it could.</summary>
    public string? Failure { get; private init; }

    /// <summary>The answer of a store that cannot be read from.</summary>
    public static StoreChanges Unavailable(string reason) => new(0, [], IsWhole: false) { Failure = reason };
}
