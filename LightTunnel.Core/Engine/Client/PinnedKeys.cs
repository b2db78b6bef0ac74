using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>A member whose name or address was another key's: it is none here until a person confirms it.</summary>
/// <param name="Entry">What the server says of it.</param>
/// <param name="Before">Whom this node knows by that name or address.</param>
internal sealed record WithheldMember(DirectoryEntry Entry, MemberPin Before);

/// <summary>
/// Keys are pinned on first use: who this node has had a link with is known by its key, and a server that names another one for the same
/// name or address is not believed (<see cref="KeyChangePolicy"/>). A pin ends when it was not used for as long as a server keeps the lease
/// of who is away: then name and address may well be another machine's. Owned by the control loop.
/// </summary>
/// <param name="known">The pins that were kept.</param>
/// <param name="policy">What becomes of who has another key.</param>
/// <param name="time">The clock.</param>
/// <param name="save">Keeps the pins; called when they have changed, must not block.</param>
internal sealed class PinnedKeys(
    IReadOnlyList<MemberPin> known, KeyChangePolicy policy, TimeProvider time, Action<IReadOnlyList<MemberPin>> save)
{
    /// <summary>None yet, kept by nobody.</summary>
    public static PinnedKeys Forgotten(KeyChangePolicy policy, TimeProvider time) => new([], policy, time, _ => { });

    /// <summary>Pins that are kept. When there are so many, nobody new is pinned, so that nobody pushes a pin out.</summary>
    public const int MaximumCount = 10_000;

    /// <summary>Days without a link after which a pin ends.</summary>
    public const int KeptDays = 30;

    private readonly Dictionary<PublicKey, MemberPin> _pins = [];
    private readonly Dictionary<string, PublicKey> _byName = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<TunnelAddress, PublicKey> _byAddress = [];
    private readonly Dictionary<uint, WithheldMember> _withheld = [];
    private bool _isRestored;

    /// <summary>What becomes of who has another key.</summary>
    public KeyChangePolicy Policy => policy;

    /// <summary>Members that are none here until somebody confirms their keys.</summary>
    public IReadOnlyCollection<WithheldMember> Withheld => _withheld.Values;

    /// <summary>
    /// The page without members that have another's name or address; who was known before counts as removed. With
    /// <see cref="KeyChangePolicy.Accept"/> they stay, and the pins go.
    /// </summary>
    /// <param name="page">A page of the directory.</param>
    /// <param name="changed">Told of each such member that it was not told of before.</param>
    /// <param name="vouches">
    /// True when an admin has signed that the name and the addresses are the member's, and not another's any more; null when nobody does.
    /// </param>
    public DirectoryMessage Filter(
        DirectoryMessage page, Action<WithheldMember> changed, Func<DirectoryEntry, MemberPin, bool>? vouches = null)
    {
        Restore();
        if (page.Start)
            _withheld.Clear();
        foreach (uint removed in page.Removed)
            _withheld.Remove(removed);
        List<DirectoryEntry>? withheld = null;
        foreach (DirectoryEntry entry in page.Changed)
        {
            MemberPin? before;
            while (TryFindOther(entry, out before) && vouches?.Invoke(entry, before) == true)
            {
                Remove(before);
                Save();
            }

            if (before is null)
            {
                _withheld.Remove(entry.MemberId);
                Follow(entry);
                continue;
            }

            var member = new WithheldMember(entry, before);
            bool isNews = !_withheld.TryGetValue(entry.MemberId, out WithheldMember? told) || told.Entry.PublicKey != entry.PublicKey
                || told.Entry.IsPlain != entry.IsPlain;
            if (policy == KeyChangePolicy.Accept)
            {
                Unpin(entry);
            }
            else
            {
                (withheld ??= []).Add(entry);
                _withheld[entry.MemberId] = member;
            }

            if (isNews)
                changed(member);
        }

        return withheld is null ? page : page with
        {
            Changed = [.. page.Changed.Except(withheld)],
            Removed = [.. page.Removed, .. withheld.Select(entry => entry.MemberId)],
        };
    }

    /// <summary>A link with the member has keys. False when there is no room to pin it.</summary>
    public bool Pin(in PublicKey key, string name, IReadOnlyList<TunnelAddress> addresses)
    {
        Restore();
        DateOnly today = Today;
        if (_pins.TryGetValue(key, out MemberPin? before))
        {
            if (before.LastUsed == today)
                return true;
        }
        else if (_pins.Count >= MaximumCount)
        {
            return false;
        }

        Put(new MemberPin(key, name, addresses, today));
        Save();
        return true;
    }

    /// <summary>
    /// A person has seen that the key is right: who was known by the name or the addresses is forgotten. Returns what the server says of
    /// the member; null when none of that key is withheld.
    /// </summary>
    public DirectoryEntry? Confirm(PublicKey key)
    {
        if (_withheld.Values.FirstOrDefault(member => member.Entry.PublicKey == key) is not { } confirmed)
            return null;
        _withheld.Remove(confirmed.Entry.MemberId);
        Unpin(confirmed.Entry);
        if (!confirmed.Entry.IsPlain)
            Put(new MemberPin(key, confirmed.Entry.Name, [.. confirmed.Entry.Addresses], Today));
        Save();
        return confirmed.Entry;
    }

    /// <summary>Whom this node knows by an address, where that is to be believed more than the server; null for nobody.</summary>
    public PublicKey? OwnerOf(TunnelAddress address)
    {
        Restore();
        return policy != KeyChangePolicy.Accept && _byAddress.TryGetValue(address, out PublicKey owner) ? owner : null;
    }

    private DateOnly Today => DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);

    /// <summary>Not before the clock is asked for the first time, which a machine that has just started may set late.</summary>
    private void Restore()
    {
        if (_isRestored)
            return;
        _isRestored = true;
        DateOnly oldest = Today.AddDays(-KeptDays);
        foreach (MemberPin pin in known.Where(pin => pin.LastUsed >= oldest).Take(MaximumCount))
            Put(pin);
    }

    private bool TryFindOther(DirectoryEntry entry, [NotNullWhen(true)] out MemberPin? other)
    {
        // Whom this node has had a link with does not become one whose packets the server opens.
        if (entry.IsPlain && _pins.TryGetValue(entry.PublicKey, out other))
            return true;
        other = null;
        if (_byName.TryGetValue(entry.Name, out PublicKey owner) && owner != entry.PublicKey)
            other = _pins[owner];
        foreach (TunnelAddress address in entry.Addresses)
        {
            if (other is null && _byAddress.TryGetValue(address, out owner) && owner != entry.PublicKey)
                other = _pins[owner];
        }

        return other is not null;
    }

    /// <summary>The same key by another name or with another address.</summary>
    private void Follow(DirectoryEntry entry)
    {
        if (!_pins.TryGetValue(entry.PublicKey, out MemberPin? pin)
            || (pin.Name == entry.Name && pin.Addresses.SequenceEqual(entry.Addresses)))
        {
            return;
        }

        Put(pin with { Name = entry.Name, Addresses = [.. entry.Addresses] });
        Save();
    }

    private void Unpin(DirectoryEntry entry)
    {
        while (TryFindOther(entry, out MemberPin? other))
            Remove(other);
        Save();
    }

    private void Put(MemberPin pin)
    {
        if (_pins.TryGetValue(pin.Key, out MemberPin? before))
            Remove(before);
        _pins[pin.Key] = pin;
        _byName.TryAdd(pin.Name, pin.Key);
        foreach (TunnelAddress address in pin.Addresses)
            _byAddress.TryAdd(address, pin.Key);
    }

    private void Remove(MemberPin pin)
    {
        _pins.Remove(pin.Key);
        if (_byName.TryGetValue(pin.Name, out PublicKey owner) && owner == pin.Key)
            _byName.Remove(pin.Name);
        foreach (TunnelAddress address in pin.Addresses)
        {
            if (_byAddress.TryGetValue(address, out owner) && owner == pin.Key)
                _byAddress.Remove(address);
        }
    }

    private void Save() => save([.. _pins.Values]);
}
