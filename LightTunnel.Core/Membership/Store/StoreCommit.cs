namespace LightTunnel.Membership.Store;

/// <summary>What a commit builds on: an entry of a certain version.</summary>
/// <param name="Key">The entry's key.</param>
/// <param name="Version">Its version; <see cref="Absent"/> when there must be none.</param>
internal readonly record struct StoreExpectation(string Key, long Version)
{
    /// <summary>The version of what is not there.</summary>
    public const long Absent = 0;
}

/// <summary>One entry as a commit leaves it.</summary>
/// <param name="Key">Its key.</param>
/// <param name="Value">Its value; null deletes it.</param>
internal readonly record struct StoreWrite(string Key, byte[]? Value);

/// <summary>A change of the store, which is made whole or not at all.</summary>
/// <param name="Id">Names the change: a store makes it once, however often it is sent.</param>
/// <param name="Expect">What must be as the planner knew it. This is what keeps leases unique.</param>
/// <param name="Write">What is written then. With nothing to write, the commit asks whether the store takes any.</param>
internal sealed record StoreCommit(Guid Id, IReadOnlyList<StoreExpectation> Expect, IReadOnlyList<StoreWrite> Write)
{
    /// <summary>The version of everything that it writes: of its id, positive.</summary>
    public long Version => (BitConverter.ToInt64(Id.ToByteArray()) & long.MaxValue) | 1;
}

/// <summary>What became of a commit.</summary>
internal enum CommitOutcome
{
    /// <summary>It is in the store, and lasts.</summary>
    Applied,

    /// <summary>It is not: something is not as was expected.</summary>
    Conflict,

    /// <summary>It is not, and will not be: the store takes nothing at present.</summary>
    Unavailable,

    /// <summary>It may be. Who sends it again, under the same id, learns it.</summary>
    Unknown,
}

/// <summary>A store's answer to a commit.</summary>
/// <param name="Outcome">What became of it.</param>
internal sealed record CommitAnswer(CommitOutcome Outcome)
{
    /// <summary>Applied: the revision that it made.</summary>
    public long Revision { get; private init; }

    /// <summary>
    /// Conflict: the entries that are not as expected, as they are; with the version <see cref="StoreExpectation.Absent"/> where there is
    /// nothing.
    /// </summary>
    public IReadOnlyList<StoreEntry> Conflicts { get; private init; } = [];

    /// <summary>Unavailable, Unknown: why, for people.</summary>
    public string Reason { get; private init; } = string.Empty;

    public static CommitAnswer Applied(long revision) => new(CommitOutcome.Applied) { Revision = revision };

    public static CommitAnswer Conflict(IReadOnlyList<StoreEntry> conflicts) => new(CommitOutcome.Conflict) { Conflicts = conflicts };

    public static CommitAnswer Unavailable(string reason) => new(CommitOutcome.Unavailable) { Reason = reason };

    public static CommitAnswer Unknown(string reason) => new(CommitOutcome.Unknown) { Reason = reason };
}
