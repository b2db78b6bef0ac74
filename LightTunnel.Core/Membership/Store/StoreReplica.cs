namespace LightTunnel.Membership.Store;

/// <summary>What a server knows of the store: the entries as of one revision, from which it plans. Owned by the control loop.</summary>
internal sealed class StoreReplica
{
    private readonly Dictionary<string, StoreEntry> _entries = new(StringComparer.Ordinal);

    /// <summary>The revision that the entries are of.</summary>
    public long Revision { get; private set; }

    /// <summary>The value of an entry, or null for none.</summary>
    public byte[]? Find(string key) => _entries.GetValueOrDefault(key)?.Value;

    /// <summary>What a commit that writes an entry expects of it.</summary>
    public StoreExpectation Expect(string key) => new(key, _entries.GetValueOrDefault(key)?.Version ?? StoreExpectation.Absent);

    /// <summary>Takes over an own commit that was applied.</summary>
    /// <param name="commit">The commit.</param>
    /// <param name="revision">
    /// The revision that it made. What others committed before it and this replica has not read is not in here yet, so that the replica
    /// stays at its own revision then.
    /// </param>
    public void Apply(StoreCommit commit, long revision)
    {
        foreach (StoreWrite write in commit.Write)
            Set(new StoreEntry(write.Key, write.Value, commit.Version, revision));
        if (commit.Write.Count > 0 && revision == Revision + 1)
            Revision = revision;
    }

    /// <summary>Takes over what was read, and returns the keys of everything that is another now.</summary>
    public IReadOnlyCollection<string> Apply(StoreChanges changes)
    {
        HashSet<string> changed =
            [.. changes.Entries.Where(entry => _entries.GetValueOrDefault(entry.Key)?.Version != entry.Version).Select(entry => entry.Key)];
        if (changes.IsWhole)
        {
            HashSet<string> left = [.. changes.Entries.Select(entry => entry.Key)];
            changed.UnionWith(_entries.Keys.Where(key => !left.Contains(key)));
            _entries.Clear();
        }

        foreach (StoreEntry entry in changes.Entries)
            Set(entry);
        Revision = changes.Revision;
        return changed;
    }

    private void Set(StoreEntry entry)
    {
        if (entry.Value is null)
            _entries.Remove(entry.Key);
        else
            _entries[entry.Key] = entry;
    }
}
