using System.Diagnostics.CodeAnalysis;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// What one client of a large network is told of the directory: the members that it asked for. Only
/// <see cref="DirectoryWatches"/> changes it.
/// </summary>
internal sealed class DirectoryWatch(PublicKey client, bool isNew)
{
    /// <summary>The client.</summary>
    public PublicKey Client { get; } = client;

    /// <summary>Members watched, the page in which each was last told of, 0 for not yet, and the number that it was told to have.</summary>
    internal Dictionary<PublicKey, (ulong Page, uint MemberId)> Members { get; } = [];

    /// <summary>Those of them that there is something to tell of.</summary>
    internal HashSet<PublicKey> News { get; } = [];

    /// <summary>What was asked for and is no member's.</summary>
    internal Queue<MemberSubject> Unknown { get; } = new();

    /// <summary>True until the client knows that it is told of few.</summary>
    internal bool IsUntold { get; set; } = true;

    /// <summary>True until a client that just registered knows that its listing has begun.</summary>
    internal bool IsNew { get; set; } = isNew;

    /// <summary>The last page, counted from 1.</summary>
    internal ulong Page { get; set; }

    /// <summary>True when there is something that the client was not told of.</summary>
    public bool HasNews => IsUntold || News.Count > 0 || Unknown.Count > 0;

    /// <summary>True when the client is told of that member already.</summary>
    public bool IsWatching(PublicKey member) => Members.ContainsKey(member);
}

/// <summary>
/// Who watches whom in a large network, so that a change costs as much as there are members that it concerns, not as there are members.
/// Owned by the control loop.
/// </summary>
/// <param name="directory">The members.</param>
internal sealed class DirectoryWatches(MemberDirectory directory)
{
    /// <summary>Most members that all clients together watch; about 200 bytes each.</summary>
    public const int MaximumCount = 1_000_000;

    /// <summary>Answers that may wait: more are asked for by nobody who waits for answers.</summary>
    private const int MaximumUnknown = 4 * FindMessage.MaximumSubjects;

    /// <summary>Bytes of a page besides its entries, removals and unknown subjects.</summary>
    private const int PageOverhead = 1 + 2 + 10 + (3 * 4) + (3 * 2);

    private const int RemovalLength = 5;
    private const int LongestSubject = 2 + PublicKey.Size;

    private readonly Dictionary<PublicKey, HashSet<DirectoryWatch>> _watchers = [];

    /// <summary>Members that all clients together watch.</summary>
    public int Count { get; private set; }

    /// <summary>A watch for a client that just registered: it watches nobody.</summary>
    public static DirectoryWatch Open(PublicKey client) => new(client, isNew: true);

    /// <summary>A watch for a client that was told of everybody so far: it goes on being told of those.</summary>
    public DirectoryWatch Take(DirectoryCursor cursor)
    {
        var watch = new DirectoryWatch(cursor.Client, isNew: cursor.Revision == 0);
        foreach (DirectoryEntry entry in directory.Entries)
        {
            if (entry.PublicKey == cursor.Client || !TryAdd(watch, entry.PublicKey, entry.MemberId))
                continue;
            if (directory.IsNews(cursor, entry.PublicKey))
                watch.News.Add(entry.PublicKey);
        }

        return watch;
    }

    /// <summary>
    /// The client is told of a member, and of what becomes of it; false when there are too many watches, or there is no such member.
    /// </summary>
    public bool TryWatch(DirectoryWatch watch, PublicKey member)
    {
        if (!directory.TryGet(member, out DirectoryEntry? entry) || member == watch.Client)
            return false;
        if (!watch.Members.ContainsKey(member) && !TryAdd(watch, member, entry.MemberId))
            return false;
        watch.News.Add(member);
        return true;
    }

    /// <summary>The client is told that what it asked for is no member's.</summary>
    public static void AnswerUnknown(DirectoryWatch watch, MemberSubject subject)
    {
        if (watch.Unknown.Count < MaximumUnknown)
            watch.Unknown.Enqueue(subject);
    }

    /// <summary>
    /// The client needs to know nothing of a member any more, unless a page after the one that it has read tells of that member.
    /// </summary>
    public void Forget(DirectoryWatch watch, PublicKey member, ulong page)
    {
        if (watch.Members.TryGetValue(member, out (ulong Page, uint) told) && told.Page <= page && !watch.News.Contains(member))
            Remove(watch, member);
    }

    /// <summary>Ends a client's watch.</summary>
    public void Close(DirectoryWatch watch)
    {
        foreach (PublicKey member in watch.Members.Keys.ToArray())
            Remove(watch, member);
    }

    /// <summary>Something about a member has changed, or it is gone: whom that concerns.</summary>
    public IReadOnlyCollection<DirectoryWatch> Changed(PublicKey member)
    {
        if (!_watchers.TryGetValue(member, out HashSet<DirectoryWatch>? watchers))
            return [];
        foreach (DirectoryWatch watch in watchers)
            watch.News.Add(member);
        return watchers;
    }

    /// <summary>Builds the next page for a client; false when there is no news to tell.</summary>
    /// <param name="watch">The client's watch.</param>
    /// <param name="maximumLength">Most bytes of the page when it is encoded, at least 300.</param>
    /// <param name="page">To be sent on the client's channel.</param>
    public bool TryBuildPage(DirectoryWatch watch, int maximumLength, [NotNullWhen(true)] out DirectoryMessage? page)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumLength, 300);
        page = null;
        if (!watch.HasNews)
            return false;
        watch.Page++;
        var changed = new List<DirectoryEntry>();
        var removed = new List<uint>();
        var unknown = new List<MemberSubject>();
        int length = PageOverhead;
        while (length + LongestSubject <= maximumLength && watch.Unknown.TryDequeue(out MemberSubject subject))
        {
            unknown.Add(subject);
            length += LongestSubject;
        }

        foreach (PublicKey member in watch.News)
        {
            directory.TryGet(member, out DirectoryEntry? entry);
            length += entry?.Encode().Length ?? RemovalLength;
            if (length > maximumLength)
                break;
            watch.News.Remove(member);
            if (entry is null)
            {
                removed.Add(watch.Members[member].MemberId);
                Remove(watch, member);
            }
            else
            {
                changed.Add(entry);
                watch.Members[member] = (watch.Page, entry.MemberId);
            }
        }

        page = new DirectoryMessage
        {
            Revision = watch.Page,
            Changed = changed,
            Removed = removed,
            More = watch.News.Count > 0,
            Start = watch.IsNew,
            Partial = true,
            Unknown = unknown,
        };
        watch.IsNew = watch.IsUntold = false;
        return true;
    }

    private bool TryAdd(DirectoryWatch watch, PublicKey member, uint memberId)
    {
        if (Count >= MaximumCount)
            return false;
        Count++;
        watch.Members.Add(member, (0, memberId));
        if (!_watchers.TryGetValue(member, out HashSet<DirectoryWatch>? watchers))
            _watchers.Add(member, watchers = []);
        watchers.Add(watch);
        return true;
    }

    private void Remove(DirectoryWatch watch, PublicKey member)
    {
        if (!watch.Members.Remove(member))
            return;
        Count--;
        watch.News.Remove(member);
        HashSet<DirectoryWatch> watchers = _watchers[member];
        watchers.Remove(watch);
        if (watchers.Count == 0)
            _watchers.Remove(member);
    }
}
