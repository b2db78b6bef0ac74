using System.Collections.Immutable;

namespace LightTunnel.Membership.Store;

/// <summary>
/// All that a store has, and what a commit makes of it: an immutable value, so that a store that cannot keep the new one still has the old
/// one. What was deleted is remembered for a while, so that a replica that is not far behind learns of it.
/// </summary>
internal sealed class StoreContents
{
    /// <summary>Deletions that are remembered; who is further behind reads everything.</summary>
    public const int MostDeletions = 4096;

    /// <summary>Commits whose ids are remembered.</summary>
    public const int MostCommits = 64;

    private static readonly StoreEntry None = new(string.Empty, null, StoreExpectation.Absent, 0);

    private readonly ImmutableDictionary<string, StoreEntry> _entries;
    private readonly ImmutableQueue<StoreEntry> _deletions;
    private readonly int _deletionCount;
    private readonly ImmutableArray<(Guid Id, long Revision)> _commits;

    private StoreContents(
        long revision, long floor, ImmutableDictionary<string, StoreEntry> entries, ImmutableQueue<StoreEntry> deletions, int deletionCount,
        ImmutableArray<(Guid Id, long Revision)> commits)
    {
        Revision = revision;
        Floor = floor;
        _entries = entries;
        _deletions = deletions;
        _deletionCount = deletionCount;
        _commits = commits;
    }

    /// <summary>A store in which nothing was written yet.</summary>
    public static StoreContents Empty { get; } = Restore([], 0);

    /// <summary>Commits so far.</summary>
    public long Revision { get; }

    /// <summary>Deletions up to this revision are forgotten.</summary>
    public long Floor { get; }

    /// <summary>Every entry that there is, in the order of revisions and keys.</summary>
    public IEnumerable<StoreEntry> Entries => Ordered(_entries.Values.Where(entry => entry.Value is not null));

    /// <summary>
    /// Contents as they were written down somewhere, without what was deleted before. Of two entries of one key the first counts.
    /// </summary>
    public static StoreContents Restore(IEnumerable<StoreEntry> entries, long revision)
    {
        ImmutableDictionary<string, StoreEntry>.Builder all = ImmutableDictionary.CreateBuilder<string, StoreEntry>(StringComparer.Ordinal);
        foreach (StoreEntry entry in entries)
            all.TryAdd(entry.Key, entry);
        return new StoreContents(revision, revision, all.ToImmutable(), [], 0, []);
    }

    /// <summary>What changed after a revision.</summary>
    public StoreChanges ChangesAfter(long revision) => revision < Floor || revision > Revision
        ? new StoreChanges(Revision, [.. Entries], IsWhole: true)
        : new StoreChanges(Revision, [.. Ordered(_entries.Values.Where(entry => entry.Revision > revision))], IsWhole: false);

    /// <summary>The contents with a commit, or these when it changes nothing.</summary>
    /// <param name="commit">The change.</param>
    /// <param name="answer">What became of it, if the new contents last: Applied or Conflict.</param>
    public StoreContents Apply(StoreCommit commit, out CommitAnswer answer)
    {
        foreach ((Guid id, long revision) in _commits)
        {
            if (id != commit.Id)
                continue;
            answer = CommitAnswer.Applied(revision);
            return this;
        }

        StoreEntry[] conflicts =
            [.. commit.Expect.Where(expected => Find(expected.Key).Version != expected.Version).Select(expected => Find(expected.Key))];
        if (conflicts.Length > 0 || commit.Write.Count == 0)
        {
            answer = conflicts.Length > 0 ? CommitAnswer.Conflict(conflicts) : CommitAnswer.Applied(Revision);
            return this;
        }

        long next = Revision + 1;
        long floor = Floor;
        ImmutableDictionary<string, StoreEntry>.Builder entries = _entries.ToBuilder();
        (ImmutableQueue<StoreEntry> deletions, int deletionCount) = (_deletions, _deletionCount);
        foreach (StoreWrite write in commit.Write)
        {
            var entry = new StoreEntry(write.Key, write.Value, commit.Version, next);
            if (write.Value is null)
            {
                if (Find(write.Key).Version == StoreExpectation.Absent)
                    continue;
                deletions = deletions.Enqueue(entry);
                deletionCount++;
            }

            entries[write.Key] = entry;
        }

        for (; deletionCount > MostDeletions; deletionCount--)
        {
            deletions = deletions.Dequeue(out StoreEntry oldest);
            floor = oldest.Revision;
            if (entries.TryGetValue(oldest.Key, out StoreEntry? now) && now == oldest)
                entries.Remove(oldest.Key);
        }

        ImmutableArray<(Guid Id, long Revision)> commits = [.. _commits.TakeLast(MostCommits - 1), (commit.Id, next)];
        answer = CommitAnswer.Applied(next);
        return new StoreContents(next, floor, entries.ToImmutable(), deletions, deletionCount, commits);
    }

    private static IEnumerable<StoreEntry> Ordered(IEnumerable<StoreEntry> entries) =>
        entries.OrderBy(entry => entry.Revision).ThenBy(entry => entry.Key, StringComparer.Ordinal);

    /// <summary>The entry of a key, or one that says that there is none.</summary>
    private StoreEntry Find(string key) =>
        _entries.TryGetValue(key, out StoreEntry? entry) && entry.Value is not null ? entry : None with { Key = key };
}
