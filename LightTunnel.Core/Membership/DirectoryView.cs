using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>What one page changed in a client's view of the directory.</summary>
/// <param name="Added">Members that were not known.</param>
/// <param name="Changed">Members that were known, as they were and as they are.</param>
/// <param name="Removed">Members that are gone, as they were.</param>
internal sealed record DirectoryChanges(
    IReadOnlyList<DirectoryEntry> Added,
    IReadOnlyList<(DirectoryEntry Before, DirectoryEntry After)> Changed,
    IReadOnlyList<DirectoryEntry> Removed);

/// <summary>
/// A client's copy of the server's directory, kept up to date by pages. It survives a new registration: members are forgotten only when a
/// whole new listing has not told of them. Owned by the control loop.
/// </summary>
/// <param name="maximumCount">Most members that are kept; further ones are ignored and counted.</param>
internal sealed class DirectoryView(int maximumCount = Leases.DefaultMaximumCount)
{
    private readonly Dictionary<uint, DirectoryEntry> _byId = [];
    private readonly Dictionary<PublicKey, DirectoryEntry> _byKey = [];
    private readonly Dictionary<TunnelAddress, DirectoryEntry> _byAddress = [];

    /// <summary>Members not told of yet in the listing under way, null when none is.</summary>
    private HashSet<uint>? _unconfirmed;

    /// <summary>Members known.</summary>
    public int Count => _byId.Count;

    /// <summary>The server's revision up to which this view is complete.</summary>
    public ulong Revision { get; private set; }

    /// <summary>Entries that were left out because the view is full.</summary>
    public long Ignored { get; private set; }

    /// <summary>Every member known.</summary>
    public IReadOnlyCollection<DirectoryEntry> Entries => _byId.Values;

    public bool TryGet(uint memberId, [NotNullWhen(true)] out DirectoryEntry? entry) => _byId.TryGetValue(memberId, out entry);

    public bool TryGet(TunnelAddress address, [NotNullWhen(true)] out DirectoryEntry? entry) => _byAddress.TryGetValue(address, out entry);

    public bool TryGet(PublicKey key, [NotNullWhen(true)] out DirectoryEntry? entry) => _byKey.TryGetValue(key, out entry);

    /// <summary>Applies a page and tells what it changed.</summary>
    public DirectoryChanges Apply(DirectoryMessage page)
    {
        ArgumentNullException.ThrowIfNull(page);
        var added = new List<DirectoryEntry>();
        var changed = new List<(DirectoryEntry, DirectoryEntry)>();
        var removed = new List<DirectoryEntry>();
        if (page.Start)
            _unconfirmed = [.. _byId.Keys];
        foreach (uint memberId in page.Removed)
            Remove(memberId, removed);
        foreach (DirectoryEntry entry in page.Changed)
            Put(entry, added, changed, removed);
        if (!page.More && _unconfirmed is { } gone)
        {
            _unconfirmed = null;
            // A listing of a few says nothing of others: the client asks for those that it knows.
            foreach (uint memberId in page.Partial ? [] : gone)
                Remove(memberId, removed);
        }

        Revision = page.Revision;
        return new DirectoryChanges(added, changed, removed);
    }

    private void Put(
        DirectoryEntry entry, List<DirectoryEntry> added, List<(DirectoryEntry, DirectoryEntry)> changed, List<DirectoryEntry> removed)
    {
        _unconfirmed?.Remove(entry.MemberId);
        DirectoryEntry? before = _byId.GetValueOrDefault(entry.MemberId);
        if (entry.Equals(before))
            return;

        // A key or address that moved from one member to another: the news about its former owner may come on a later page.
        if (_byKey.TryGetValue(entry.PublicKey, out DirectoryEntry? sameKey) && sameKey.MemberId != entry.MemberId)
            Remove(sameKey.MemberId, removed);
        foreach (TunnelAddress address in entry.Addresses)
        {
            if (_byAddress.TryGetValue(address, out DirectoryEntry? sameAddress) && sameAddress.MemberId != entry.MemberId)
                Remove(sameAddress.MemberId, removed);
        }

        if (before is not null)
        {
            Forget(before);
        }
        else if (_byId.Count >= maximumCount)
        {
            Ignored++;
            return;
        }

        _byId[entry.MemberId] = entry;
        _byKey[entry.PublicKey] = entry;
        foreach (TunnelAddress address in entry.Addresses)
            _byAddress[address] = entry;
        if (before is null)
            added.Add(entry);
        else
            changed.Add((before, entry));
    }

    private void Remove(uint memberId, List<DirectoryEntry> removed)
    {
        if (!_byId.TryGetValue(memberId, out DirectoryEntry? entry))
            return;
        Forget(entry);
        removed.Add(entry);
    }

    private void Forget(DirectoryEntry entry)
    {
        _byId.Remove(entry.MemberId);
        _byKey.Remove(entry.PublicKey);
        foreach (TunnelAddress address in entry.Addresses)
            _byAddress.Remove(address);
    }
}
