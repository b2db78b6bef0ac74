using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>A member that is none here, as no admin has signed it as it is.</summary>
/// <param name="Entry">What the server says of it.</param>
/// <param name="State">What is wrong with its signature.</param>
internal sealed record UnsignedMember(DirectoryEntry Entry, SignatureState State);

/// <summary>
/// Where members are signed, lets those pass alone that an admin has signed as the server tells of them. Each is checked once, on the
/// control loop, which takes some 100 µs: 256 at once, so that a network in which everybody is told of everybody is there with its pages,
/// and 500 a second, so that a server which makes up signatures costs a twentieth of one processor. What is beyond waits for its turn, and
/// is withheld meanwhile. Owned by the control loop.
/// </summary>
/// <param name="trust">By whose signatures.</param>
/// <param name="memory">What was kept.</param>
/// <param name="time">The clock.</param>
/// <param name="save">Keeps when the latest signatures were made; called when that has changed, must not block.</param>
internal sealed class SignedMembers(
    SigningTrust trust, SigningMemory memory, TimeProvider time, Action<IReadOnlyList<KeyValuePair<PublicKey, DateTimeOffset>>> save)
{
    /// <summary>Members whose latest signature is remembered; when there are so many, no other is, so that nobody pushes one out.</summary>
    public const int MaximumCount = Leases.DefaultMaximumCount;

    /// <summary>
    /// A signature that was made further ahead of this machine's clock is not remembered: none that is made in time would be later.
    /// </summary>
    private static readonly TimeSpan MostAhead = TimeSpan.FromDays(1);

    /// <summary>Members whose refusal is told of, so that a server which makes up members by the thousand fills no log.</summary>
    private const int MostTold = 1024;

    private const int CheckBurst = 256;
    private static readonly TimeSpan CheckInterval = TimeSpan.FromMilliseconds(2);

    /// <summary>So often those are looked at that wait, some at a time.</summary>
    private static readonly TimeSpan TurnInterval = TimeSpan.FromMilliseconds(32);
    private const int MostOfATurn = 64;

    private readonly Dictionary<PublicKey, DateTimeOffset> _seen = memory.Seen.Take(MaximumCount).ToDictionary();
    private readonly Dictionary<PublicKey, (DirectoryEntry Entry, SignatureState State)> _checked = [];
    private readonly Dictionary<uint, UnsignedMember> _withheld = [];

    /// <summary>
    /// Members whose signatures end, by their keys: a server can give one any number, and begin a listing that it never ends.
    /// </summary>
    private readonly Dictionary<PublicKey, DirectoryEntry> _ending = [];
    private readonly HashSet<(PublicKey Key, SignatureState State)> _told = [];
    private readonly RateLimiter _checks = new(time, CheckInterval, CheckBurst);

    /// <summary>Members that wait until their signatures are checked, by the numbers under which they are withheld.</summary>
    private readonly Queue<uint> _waiting = new();
    private DateTimeOffset? _nextEnd;

    /// <summary>Nobody asks for signatures.</summary>
    public static SignedMembers NotRequired(in PublicKey serverKey, TimeProvider time) =>
        new(new SigningTrust(serverKey, []), SigningMemory.None, time, _ => { });

    /// <summary>By whose signatures members are taken.</summary>
    public SigningTrust Trust => trust;

    /// <summary>Members that are none here until an admin signs them.</summary>
    public IReadOnlyCollection<UnsignedMember> Withheld => _withheld.Values;

    /// <summary>The page without members that are not signed; who was known before counts as removed.</summary>
    /// <param name="page">A page of the directory.</param>
    /// <param name="refused">Told of each such member, once.</param>
    public DirectoryMessage Filter(DirectoryMessage page, Action<UnsignedMember> refused)
    {
        if (!trust.IsRequired)
            return page;
        if (page.Start)
            _withheld.Clear();
        foreach (uint removed in page.Removed)
            _withheld.Remove(removed);
        DateTimeOffset now = time.GetUtcNow();
        List<DirectoryEntry>? withheld = null;
        bool isNews = false;
        foreach (DirectoryEntry entry in page.Changed)
        {
            _withheld.Remove(entry.MemberId);
            SignatureState state = Check(entry, now);
            if (state == SignatureState.Valid)
            {
                isNews |= Remember(entry);
                continue;
            }

            (withheld ??= []).Add(entry);
            Withhold(entry, state, refused);
        }

        if (isNews)
            save([.. _seen]);
        return withheld is null ? page : page with
        {
            Changed = [.. page.Changed.Except(withheld)],
            Removed = [.. page.Removed, .. withheld.Select(entry => entry.MemberId)],
        };
    }

    /// <summary>Members whose signatures' time is over are none any more; their ids.</summary>
    /// <param name="members">Those that there are.</param>
    /// <param name="refused">Told of each.</param>
    public IReadOnlyList<uint> End(Members members, Action<UnsignedMember> refused)
    {
        DateTimeOffset now = time.GetUtcNow();
        if (_nextEnd is null || now < _nextEnd)
            return [];
        DirectoryEntry[] ended = [.. _ending.Values.Where(entry => entry.Signature!.Expires <= now)];
        var ids = new List<uint>();
        foreach (DirectoryEntry entry in ended)
        {
            _ending.Remove(entry.PublicKey);
            if (!members.TryGet(entry.PublicKey, out Member? member))
                continue; // It is gone anyway.
            ids.Add(member.MemberId);
            Withhold(entry with { MemberId = member.MemberId }, SignatureState.Expired, refused);
        }

        _nextEnd = _ending.Count == 0 ? null : _ending.Values.Min(entry => entry.Signature!.Expires);
        return ids;
    }

    /// <summary>Checks signatures that wait; members that are signed are told like a page's. Null for none.</summary>
    /// <param name="revision">Of the last page.</param>
    /// <param name="refused">Told of those that are not.</param>
    public DirectoryMessage? TakeChecked(ulong revision, Action<UnsignedMember> refused)
    {
        DateTimeOffset now = time.GetUtcNow();
        List<DirectoryEntry>? found = null;
        for (int i = 0; i < MostOfATurn && _waiting.TryPeek(out uint memberId); i++)
        {
            // What was told of it meanwhile is another story.
            if (_withheld.GetValueOrDefault(memberId) is { State: SignatureState.Unchecked, Entry: { } entry })
            {
                SignatureState state = Check(entry, now);
                if (state == SignatureState.Unchecked)
                    break;
                _withheld.Remove(memberId);
                if (state == SignatureState.Valid)
                {
                    Remember(entry);
                    (found ??= []).Add(entry);
                }
                else
                {
                    Withhold(entry, state, refused);
                }
            }

            _waiting.Dequeue();
        }

        if (found is null)
            return null;
        save([.. _seen]);
        return new DirectoryMessage { Revision = revision, Changed = found };
    }

    /// <summary>When to call <see cref="TakeChecked"/> again.</summary>
    public Timestamp NextTurn(Timestamp now) => _waiting.Count == 0 ? Timestamp.Never : now + TurnInterval;

    /// <summary>How long until a signature's time is over; null for never.</summary>
    public TimeSpan? UntilEnd => _nextEnd - time.GetUtcNow();

    /// <summary>Until when the signature of a member that was taken is good; null for ever.</summary>
    public DateTimeOffset? EndOf(in PublicKey member) => _ending.GetValueOrDefault(member)?.Signature!.Expires;

    /// <summary>
    /// True when an admin has said later than of another member, or of what this one was before, that the name and the addresses are this
    /// one's: then the other's key is not what is right any more.
    /// </summary>
    /// <param name="entry">A member that has passed the filter.</param>
    /// <param name="before">Whom this node knows by the name or an address.</param>
    public bool Vouches(DirectoryEntry entry, MemberPin before) =>
        trust.IsRequired && entry.Signature is { } signature
        && (before.Key == entry.PublicKey || !_seen.TryGetValue(before.Key, out DateTimeOffset former) || signature.Issued > former);

    private SignatureState Check(DirectoryEntry entry, DateTimeOffset now)
    {
        SignatureState state;
        if (_checked.TryGetValue(entry.PublicKey, out (DirectoryEntry Entry, SignatureState State) known) && IsSame(known.Entry, entry))
        {
            state = known.State;
        }
        else
        {
            if (entry.Signature is { } signature && trust.SignerOf(signature) is not null && !_checks.TryTake())
                return SignatureState.Unchecked;
            // Whether its time is over is another question, with another answer tomorrow.
            state = trust.Check(entry, DateTimeOffset.MinValue);
            if (_checked.Count >= MaximumCount)
                _checked.Clear();
            _checked[entry.PublicKey] = (entry, state);
        }

        if (state != SignatureState.Valid)
            return state;
        if (entry.Signature!.Expires <= now)
            return SignatureState.Expired;
        return _seen.TryGetValue(entry.PublicKey, out DateTimeOffset seen) && entry.Signature.Issued < seen
            ? SignatureState.Outdated
            : SignatureState.Valid;
    }

    private static bool IsSame(DirectoryEntry one, DirectoryEntry other) =>
        one.Name == other.Name && one.IsPlain == other.IsPlain && one.Addresses.SequenceEqual(other.Addresses)
        && Equals(one.Signature, other.Signature);

    /// <summary>True when the signature is later than any of the member's that was seen before.</summary>
    private bool Remember(DirectoryEntry entry)
    {
        DateTimeOffset issued = entry.Signature!.Issued;
        if (entry.Signature.Expires is { } expires)
        {
            _ending[entry.PublicKey] = entry;
            _nextEnd = _nextEnd is null || expires < _nextEnd ? expires : _nextEnd;
        }
        else
        {
            _ending.Remove(entry.PublicKey);
        }

        if (_seen.TryGetValue(entry.PublicKey, out DateTimeOffset before) && before >= issued)
            return false;
        if (issued > time.GetUtcNow() + MostAhead || (_seen.Count >= MaximumCount && !_seen.ContainsKey(entry.PublicKey)))
            return false;
        _seen[entry.PublicKey] = issued;
        return true;
    }

    private void Withhold(DirectoryEntry entry, SignatureState state, Action<UnsignedMember> refused)
    {
        var member = new UnsignedMember(entry, state);
        if (_withheld.Count < Leases.DefaultMaximumCount)
            _withheld[entry.MemberId] = member;
        if (state == SignatureState.Unchecked)
        {
            if (_waiting.Count < Leases.DefaultMaximumCount)
                _waiting.Enqueue(entry.MemberId);
            return;
        }

        if (_told.Count < MostTold && _told.Add((entry.PublicKey, state)))
            refused(member);
    }
}
