using LightTunnel.Membership;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// The server tells its clients of each other: in small networks everybody of everybody, in large ones each client of the members that it
/// asks for and of those that ask for it. Owned by the control loop.
/// </summary>
/// <param name="eagerUpTo">Most members of a network in which everybody is told of everybody.</param>
/// <param name="time">The clock.</param>
internal sealed class DirectoryTeller(int eagerUpTo, TimeProvider time)
{
    /// <summary>Members that are looked at for one <see cref="ListMessage"/>, and parts of the answer.</summary>
    private const int MostListed = 4096;
    private const int MostParts = 12;

    /// <summary>Bytes of a part of a listing besides its entries.</summary>
    private const int ListingOverhead = 1 + 2 + 6 + 4 + 6;

    private readonly MemberDirectory _directory = new();
    private readonly Dictionary<PublicKey, ServedClient> _told = [];
    private readonly HashSet<ServedClient> _behind = [];

    /// <summary>Members that have networks behind them.</summary>
    private readonly HashSet<PublicKey> _gateways = [];
    private readonly ListingQueue _listings = new(time);
    private DirectoryWatches? _watches;
    private uint _lastMemberId;

    /// <summary>True once the network is so large that clients ask for members; it stays so.</summary>
    public bool IsLarge => _watches is not null;

    /// <summary>The clients that are told of others.</summary>
    public IReadOnlyCollection<ServedClient> Told => _told.Values;

    /// <summary>Members that clients of a large network watch, all together.</summary>
    public int Watches => _watches?.Count ?? 0;

    /// <summary>A member is new, or something about it has changed.</summary>
    public void Update(DirectoryEntry entry)
    {
        _lastMemberId = Math.Max(_lastMemberId, entry.MemberId);
        if (_watches is null && _directory.Count >= eagerUpTo && !_directory.TryGet(entry.PublicKey, out _))
            Grow();
        bool isNewGateway = entry.Routes.Count > 0 && _gateways.Add(entry.PublicKey);
        if (entry.Routes.Count == 0)
            _gateways.Remove(entry.PublicKey);
        if (_directory.Upsert(entry))
            NoteChange(entry.PublicKey);
        if (isNewGateway && IsLarge)
        {
            foreach (ServedClient peer in _told.Values)
                TellOfGateway(peer, entry.PublicKey);
        }
    }

    /// <summary>A member is none any more.</summary>
    public void Remove(PublicKey member)
    {
        _gateways.Remove(member);
        if (_directory.Remove(member))
            NoteChange(member);
    }

    /// <summary>A client has registered, and is to be told of the others.</summary>
    /// <param name="peer">The client.</param>
    /// <param name="asksForMembers">False for one of an older version, which is told of everybody in any case.</param>
    public void Begin(ServedClient peer, bool asksForMembers)
    {
        End(peer); // Of a member that registers twice in one conversation.
        ClientSession session = peer.Session!;
        session.AsksForMembers = asksForMembers;
        if (IsLarge && asksForMembers)
            session.DirectoryWatch = DirectoryWatches.Open(peer.Key);
        else
            session.DirectoryCursor = _directory.OpenCursor(peer.Key);
        _told[peer.Key] = peer;
        _behind.Add(peer);
        foreach (PublicKey gateway in _gateways)
            TellOfGateway(peer, gateway);
    }

    /// <summary>A client's conversation is over.</summary>
    public void End(ServedClient peer)
    {
        _behind.Remove(peer);
        _told.Remove(peer.Key);
        if (peer.Session is not { } session)
            return;
        if (session.DirectoryCursor is { } cursor)
            _directory.CloseCursor(cursor);
        if (session.DirectoryWatch is { } watch)
            _watches!.Close(watch);
        session.DirectoryCursor = null;
        session.DirectoryWatch = null;
        session.List = null;
    }

    /// <summary>A client has taken what it was sent, or is online again: it may be told more.</summary>
    public void OnReady(ServedClient peer)
    {
        if (peer is { Online: true, Session: { IsIdle: true } session } && _told.ContainsKey(peer.Key) && HasNews(session))
            _behind.Add(peer);
    }

    /// <summary>A client asks for members. Each of them is about to hear from it, and so is told of it as well.</summary>
    /// <param name="peer">The client.</param>
    /// <param name="subjects">What it asks for.</param>
    /// <param name="find">Finds the member that has an address or key.</param>
    public void Find(ServedClient peer, IReadOnlyList<MemberSubject> subjects, Func<MemberSubject, ServedClient?> find)
    {
        if (peer.Session is not { DirectoryWatch: { } watch } session || !session.MayAskForMembers())
            return;
        foreach (MemberSubject subject in subjects)
        {
            if (find(subject) is not { } found || !_watches!.TryWatch(watch, found.Key))
                DirectoryWatches.AnswerUnknown(watch, subject);
            else if (found.Online)
                Tell(found, peer);
        }

        _behind.Add(peer);
    }

    /// <summary>Two clients are about to talk: both are told of each other.</summary>
    public void Acquaint(ServedClient first, ServedClient second)
    {
        if (!IsLarge)
            return;
        Tell(first, second);
        Tell(second, first);
    }

    /// <summary>A client needs to know nothing of some members any more.</summary>
    public void Forget(ServedClient peer, ForgetMessage message)
    {
        if (peer.Session is not { DirectoryWatch: { } watch } session)
            return;
        foreach (uint memberId in message.Members)
        {
            if (!_directory.TryGet(memberId, out DirectoryEntry? member) || _gateways.Contains(member.PublicKey))
                continue;
            _watches!.Forget(watch, member.PublicKey, message.Revision);
            session.IntroducedTo.Remove(member.PublicKey);
        }
    }

    /// <summary>
    /// A client looks for members by name: it is answered when it has taken what it was sent, and when its turn has come. Another question
    /// takes the place of one that was not answered yet: a client asks one after the other.
    /// </summary>
    public void List(ServedClient peer, ListMessage message)
    {
        if (!_told.ContainsKey(peer.Key))
            return;
        peer.Session!.List = message;
        _behind.Add(peer);
    }

    /// <summary>
    /// Sends the next page to each client that does not know everything yet and has taken what it was sent; who has not comes
    /// again when it has.
    /// </summary>
    /// <param name="now">The present.</param>
    /// <param name="sent">Called for each client that was sent something.</param>
    /// <returns>When to call again.</returns>
    public Timestamp Tell(Timestamp now, Action<ServedClient> sent)
    {
        foreach (ServedClient peer in _behind)
        {
            ClientSession session = peer.Session!;
            // Whom a rule is about is known before the rule's member hears of it.
            if (!session.IsIdle || !peer.Online || session.Rules.IsBehind)
                continue;
            DirectoryMessage? page = null;
            if (session.DirectoryWatch is { } watch ? _watches!.TryBuildPage(watch, DirectoryMessage.MaximumLength, out page)
                : session.DirectoryCursor is { } cursor && _directory.TryBuildPage(cursor, DirectoryMessage.MaximumLength, out page))
            {
                session.Send(page);
            }
            else if (session.List is not null)
            {
                _listings.Add(peer);
            }

            sent(peer);
        }

        _behind.Clear();
        while (_listings.TryNext(CanBeAnswered, out ServedClient asking))
        {
            Answer(asking.Session!, asking.Session!.List!);
            asking.Session!.List = null;
            sent(asking);
        }

        return _listings.Deadline(now);
    }

    private static bool CanBeAnswered(ServedClient peer) => peer is { Online: true, Session: { List: not null, IsIdle: true } };

    private bool HasNews(ClientSession session) =>
        session.List is not null
        || (session.DirectoryWatch?.HasNews ?? (session.DirectoryCursor is { } cursor && _directory.HasNews(cursor)));

    private void NoteChange(PublicKey member)
    {
        if (_watches is { } watches)
        {
            foreach (DirectoryWatch watch in watches.Changed(member))
                NoteBehind(watch.Client);
        }

        if (_directory.Cursors > 0)
        {
            foreach (ServedClient peer in _told.Values)
            {
                if (peer.Session!.DirectoryCursor is not null)
                    _behind.Add(peer);
            }
        }
    }

    private void NoteBehind(PublicKey member)
    {
        if (_told.TryGetValue(member, out ServedClient? peer))
            _behind.Add(peer);
    }

    /// <summary>From now on clients ask; those that are there know as much as they were told so far.</summary>
    private void Grow()
    {
        _watches = new DirectoryWatches(_directory);
        foreach (ServedClient peer in _told.Values)
        {
            if (peer.Session is not { AsksForMembers: true, DirectoryCursor: { } cursor } session)
                continue;
            session.DirectoryWatch = _watches.Take(cursor);
            session.DirectoryCursor = null;
            _directory.CloseCursor(cursor);
            _behind.Add(peer);
        }
    }

    /// <summary>Who has networks behind it is told of to everybody: nobody could ask for it by an address that lies in one.</summary>
    private void TellOfGateway(ServedClient peer, PublicKey gateway)
    {
        if (peer.Session?.DirectoryWatch is { } watch && !watch.IsWatching(gateway) && _watches!.TryWatch(watch, gateway))
            _behind.Add(peer);
    }

    private void Tell(ServedClient peer, ServedClient other)
    {
        if (peer.Session?.DirectoryWatch is not { } watch || watch.IsWatching(other.Key))
            return;
        if (_watches!.TryWatch(watch, other.Key))
            _behind.Add(peer);
    }

    private static bool IsMeant(DirectoryEntry entry, string pattern) =>
        NamePattern.IsMatch(pattern, entry.Name)
        || (pattern.AsSpan().ContainsAny('.', ':') && entry.Addresses.Any(address => NamePattern.IsMatch(pattern, address.ToString())));

    private void Answer(ClientSession session, ListMessage list)
    {
        uint id = Math.Max(list.After, Leases.FirstClientId - 1);
        int looked = 0;
        for (int part = 1; ; part++)
        {
            var entries = new List<DirectoryEntry>();
            int length = ListingOverhead;
            while (id < _lastMemberId && looked < MostListed)
            {
                if (_directory.TryGet(id + 1, out DirectoryEntry? entry) && IsMeant(entry, list.Pattern))
                {
                    length += entry.Encode().Length;
                    if (length > DirectoryMessage.MaximumLength)
                        break;
                    entries.Add(entry);
                }

                id++;
                looked++;
            }

            bool isEnd = id >= _lastMemberId;
            bool isLast = isEnd || part == MostParts || looked >= MostListed;
            session.Send(new ListingMessage { Question = list.Question, Entries = entries, GoOnAfter = isEnd ? null : isLast ? id : 0 });
            if (isLast)
                return;
        }
    }
}
