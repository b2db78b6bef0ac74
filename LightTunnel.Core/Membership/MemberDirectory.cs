using System.Diagnostics.CodeAnalysis;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>How far one client has been told of the directory. Only <see cref="MemberDirectory"/> moves it.</summary>
internal sealed class DirectoryCursor(PublicKey client)
{
    /// <summary>The client, of which the pages leave out its own entry.</summary>
    public PublicKey Client { get; } = client;

    /// <summary>The last revision that the client was told of; 0 for nothing yet.</summary>
    public ulong Revision { get; internal set; }
}

/// <summary>
/// The server's list of members and what changed when: each change gets the next revision, and each client has a cursor into the revisions,
/// so that it is told of changes only. Changes are kept in a log in revision order; a member's older changes in it are stale and swept out
/// once they are the majority. Members are known by their keys. The log, and what it remembers of members that are gone, goes by the
/// numbers that clients were told: a member that is admitted anew has another one, and each client must learn that the former one is
/// nobody's. Owned by the control loop.
/// </summary>
internal sealed class MemberDirectory
{
    /// <summary>Fewest changes between two sweeps.</summary>
    private const int SweepThreshold = 64;

    /// <summary>Bytes of a page besides its entries and removals: the map, type, revision, two array heads and two flags.</summary>
    private const int PageOverhead = 1 + 2 + 10 + 4 + 4 + 2 + 2;

    /// <summary>Most bytes of one removal.</summary>
    private const int RemovalLength = 5;

    private readonly Dictionary<uint, State> _members = [];
    private readonly Dictionary<PublicKey, uint> _numbers = [];
    private readonly List<Change> _log = [];
    private readonly HashSet<DirectoryCursor> _cursors = [];
    private int _tombstones;
    private int _sweepAt = SweepThreshold;

    private readonly record struct Change(ulong Revision, uint MemberId);

    /// <summary>Entry null: a tombstone.</summary>
    private sealed record State(ulong Revision, DirectoryEntry? Entry);

    /// <summary>Number of the last change, 0 when there was none.</summary>
    public ulong Revision { get; private set; }

    /// <summary>Members, removed ones not counted.</summary>
    public int Count => _members.Count - _tombstones;

    /// <summary>Removed members that some client has not been told of yet.</summary>
    public int Tombstones => _tombstones;

    /// <summary>Clients that are told of everybody.</summary>
    public int Cursors => _cursors.Count;

    /// <summary>Every member.</summary>
    public IEnumerable<DirectoryEntry> Entries => _members.Values.Select(state => state.Entry).OfType<DirectoryEntry>();

    public bool TryGet(PublicKey member, [NotNullWhen(true)] out DirectoryEntry? entry)
    {
        entry = null;
        return _numbers.TryGetValue(member, out uint memberId) && TryGet(memberId, out entry);
    }

    /// <summary>The member that a number on the wire stands for.</summary>
    public bool TryGet(uint memberId, [NotNullWhen(true)] out DirectoryEntry? entry)
    {
        entry = _members.GetValueOrDefault(memberId)?.Entry;
        return entry is not null;
    }

    /// <summary>Adds or changes a member; an entry that says nothing new is no change (false).</summary>
    public bool Upsert(DirectoryEntry entry)
    {
        State? old = _members.GetValueOrDefault(entry.MemberId);
        if (entry.Equals(old?.Entry))
            return false;
        if (_numbers.TryGetValue(entry.PublicKey, out uint former) && former != entry.MemberId)
            Remove(entry.PublicKey);
        _numbers[entry.PublicKey] = entry.MemberId;
        if (old is { Entry: null })
            _tombstones--;
        Record(entry.MemberId, entry);
        return true;
    }

    /// <summary>Tells that a member came or went; false when that is nothing new, or the member unknown.</summary>
    public bool SetOnline(PublicKey member, bool online) =>
        TryGet(member, out DirectoryEntry? entry) && Upsert(entry with { Online = online });

    /// <summary>Removes a member; false when unknown.</summary>
    public bool Remove(PublicKey member)
    {
        if (!_numbers.Remove(member, out uint memberId))
            return false;
        _tombstones++;
        Record(memberId, null);
        return true;
    }

    /// <summary>A cursor at the very beginning, for a client that just registered.</summary>
    public DirectoryCursor OpenCursor(PublicKey client)
    {
        var cursor = new DirectoryCursor(client);
        _cursors.Add(cursor);
        return cursor;
    }

    /// <summary>Forgets a client's cursor, when its conversation is over.</summary>
    public void CloseCursor(DirectoryCursor cursor)
    {
        _cursors.Remove(cursor);
        SweepIfWorthwhile();
    }

    /// <summary>True when there is something that the client was not told of.</summary>
    public bool HasNews(DirectoryCursor cursor) => cursor.Revision < Revision;

    /// <summary>True when the client was not told how things are with that member.</summary>
    public bool IsNews(DirectoryCursor cursor, PublicKey member) => Find(member)?.Revision > cursor.Revision;

    /// <summary>
    /// Builds the next page for a client and moves its cursor past it; false when there is no news to tell. Costs what changed since the
    /// cursor, not what the directory holds.
    /// </summary>
    /// <param name="cursor">The client's cursor.</param>
    /// <param name="maximumLength">Most bytes of the page when it is encoded, at least 300.</param>
    /// <param name="page">To be sent on the client's channel.</param>
    public bool TryBuildPage(DirectoryCursor cursor, int maximumLength, [NotNullWhen(true)] out DirectoryMessage? page)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumLength, 300);
        page = null;
        if (!HasNews(cursor))
            return false;
        bool start = cursor.Revision == 0;
        var changed = new List<DirectoryEntry>();
        var removed = new List<uint>();
        int length = PageOverhead;
        ulong revision = cursor.Revision;
        bool more = false;
        for (int i = IndexAfter(cursor.Revision); i < _log.Count; i++)
        {
            Change change = _log[i];
            State? state = _members.GetValueOrDefault(change.MemberId);
            if (state?.Revision == change.Revision && state.Entry?.PublicKey != cursor.Client && !(start && state.Entry is null))
            {
                length += state.Entry?.Encode().Length ?? RemovalLength;
                more = length > maximumLength;
                if (more)
                    break;
                if (state.Entry is null)
                    removed.Add(change.MemberId);
                else
                    changed.Add(state.Entry);
            }

            revision = change.Revision;
        }

        cursor.Revision = more ? revision : Revision;
        if (changed.Count == 0 && removed.Count == 0 && !start)
            return false;
        page = new DirectoryMessage
        {
            Revision = cursor.Revision,
            Changed = changed,
            Removed = removed,
            More = more,
            Start = start,
        };
        return true;
    }

    private State? Find(PublicKey member) => _numbers.TryGetValue(member, out uint memberId) ? _members[memberId] : null;

    private void Record(uint memberId, DirectoryEntry? entry)
    {
        Revision++;
        _members[memberId] = new State(Revision, entry);
        _log.Add(new Change(Revision, memberId));
        SweepIfWorthwhile();
    }

    /// <summary>Index of the first change after a revision.</summary>
    private int IndexAfter(ulong revision)
    {
        int low = 0;
        int high = _log.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_log[middle].Revision <= revision)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    private void SweepIfWorthwhile()
    {
        if (_log.Count < _sweepAt)
            return;
        ulong told = Revision;
        foreach (DirectoryCursor cursor in _cursors)
            told = Math.Min(told, cursor.Revision == 0 ? Revision : cursor.Revision);
        int kept = 0;
        for (int i = 0; i < _log.Count; i++)
        {
            Change change = _log[i];
            State? state = _members.GetValueOrDefault(change.MemberId);
            if (state?.Revision != change.Revision)
                continue;
            if (state.Entry is null && change.Revision <= told)
            {
                _members.Remove(change.MemberId);
                _tombstones--;
                continue;
            }

            _log[kept++] = change;
        }

        _log.RemoveRange(kept, _log.Count - kept);
        _sweepAt = Math.Max(kept + SweepThreshold, kept * 2);
    }
}
