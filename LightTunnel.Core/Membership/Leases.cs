using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>What the server remembers of a member: an immutable value, replaced whole.</summary>
internal sealed record Lease
{
    /// <summary>The member's id, 2 or above, the same for ever.</summary>
    public required uint MemberId { get; init; }

    public required PublicKey PublicKey { get; init; }

    /// <summary>The member's name, nobody else's: the one that it last registered with, or the nearest that was free.</summary>
    public required string Name { get; init; }

    /// <summary>One address of each of the network's prefixes.</summary>
    public required IReadOnlyList<TunnelAddress> Addresses { get; init; }

    /// <summary>When the key first registered.</summary>
    public required DateTimeOffset Created { get; init; }

    /// <summary>When the member was last known to be online.</summary>
    public required DateTimeOffset LastSeen { get; init; }

    /// <summary>False for a member that was never there for longer than a moment, and carried nothing: its lease is soon given up.</summary>
    public bool Used { get; init; }
}

/// <summary>What became of a request for addresses.</summary>
/// <param name="Lease">The lease, or null when refused.</param>
/// <param name="Refusal">Why it was refused, or null.</param>
/// <param name="Evicted">A member long offline that had to make room, or null: it is to be removed from the directory.</param>
internal readonly record struct LeaseResult(Lease? Lease, RefusedMessage? Refusal, Lease? Evicted)
{
    [MemberNotNullWhen(true, nameof(Lease))]
    [MemberNotNullWhen(false, nameof(Refusal))]
    public bool Granted => Lease is not null;
}

/// <summary>
/// Tunnel addresses and member ids by public key. The same key gets the same ones again; an address belongs to one key. When nothing is left, the
/// member offline for the longest time makes room, if it has been so for long enough, or never used its lease. Owned by the control loop.
/// </summary>
internal sealed class Leases
{
    /// <summary>The server's own member id.</summary>
    public const uint ServerMemberId = 1;

    /// <summary>The first id of a client.</summary>
    public const uint FirstClientId = 2;

    /// <summary>Members remembered when nobody says otherwise.</summary>
    public const int DefaultMaximumCount = 65_536;

    /// <summary>Who was online for this long uses its lease, whether or not its traffic is seen here.</summary>
    private static readonly TimeSpan UsedAfter = TimeSpan.FromMinutes(2);

    /// <summary>A lease that was not used is given up when its member was silent for this long.</summary>
    private static readonly TimeSpan KeepUnused = TimeSpan.FromMinutes(5);

    private readonly AddressPool[] _pools;
    private readonly MemberNames _names;
    private readonly TimeSpan _keepOffline;
    private readonly int _maximumCount;
    private readonly Dictionary<PublicKey, Lease> _byKey = [];
    private readonly Dictionary<uint, Lease> _byId = [];
    private readonly Dictionary<TunnelAddress, Lease> _byAddress = [];
    private readonly HashSet<uint> _online = [];
    private readonly SortedSet<(DateTimeOffset LastSeen, uint MemberId)> _offline = [];
    private readonly HashSet<uint> _unused = [];

    /// <param name="serverAddresses">The server's own addresses; their prefixes are what is leased from.</param>
    /// <param name="keepOffline">How long an offline member's address is safe when there is no other left; 7 days when null.</param>
    /// <param name="maximumCount">Most leases, so that keys made up by the thousand fill neither memory nor the state file.</param>
    /// <param name="serverName">The server's own name, which no member gets.</param>
    public Leases(
        IReadOnlyList<InterfaceAddress> serverAddresses, TimeSpan? keepOffline = null, int maximumCount = DefaultMaximumCount, string? serverName = null)
    {
        _names = new MemberNames(serverName);
        _pools = [.. serverAddresses.Select(address => new AddressPool(address))];
        _keepOffline = keepOffline ?? TimeSpan.FromDays(7);
        _maximumCount = maximumCount;
    }

    /// <summary>The id that the next new key gets; ids are never used again.</summary>
    public uint NextMemberId { get; private set; } = FirstClientId;

    /// <summary>Number of leases.</summary>
    public int Count => _byId.Count;

    /// <summary>Most leases that there can be.</summary>
    public int Capacity => Math.Min(_maximumCount, _pools.Min(pool => pool.Capacity));

    /// <summary>Every lease, for the state file.</summary>
    public IReadOnlyCollection<Lease> All => _byId.Values;

    public Lease? ById(uint memberId) => _byId.GetValueOrDefault(memberId);

    public Lease? ByKey(PublicKey key) => _byKey.GetValueOrDefault(key);

    public Lease? ByAddress(TunnelAddress address) => _byAddress.GetValueOrDefault(address);

    public Lease? ByName(string name) => ById(_names.OwnerOf(name));

    public bool IsOnline(uint memberId) => _online.Contains(memberId);

    /// <summary>
    /// Takes over what the state file remembers, once, before the first <see cref="Acquire"/>. Addresses that the network no longer has, or that
    /// two leases claim, are left out: their members get new ones when they register.
    /// </summary>
    public void Restore(IEnumerable<Lease> leases, uint nextMemberId)
    {
        foreach (Lease lease in leases)
        {
            if (lease.MemberId < FirstClientId || _byId.ContainsKey(lease.MemberId) || _byKey.ContainsKey(lease.PublicKey) || Count >= _maximumCount)
                continue;
            var kept = new List<TunnelAddress>();
            foreach (AddressPool pool in _pools)
            {
                foreach (TunnelAddress address in lease.Addresses)
                {
                    if (!pool.TryTake(address))
                        continue;
                    kept.Add(address);
                    break;
                }
            }

            Put(lease with { Addresses = kept, Name = _names.Give(lease.MemberId, lease.Name, current: null) });
            _offline.Add((lease.LastSeen, lease.MemberId));
            NextMemberId = Math.Max(NextMemberId, lease.MemberId + 1);
        }

        NextMemberId = Math.Max(NextMemberId, nextMemberId);
    }

    /// <summary>Leases one address of each prefix to a key, those asked for or any. A refusal changes nothing, but for a possible eviction.</summary>
    public LeaseResult Acquire(PublicKey key, string name, IReadOnlyList<TunnelAddress> requested, DateTimeOffset now)
    {
        Lease? current = ByKey(key);
        foreach (TunnelAddress address in requested)
        {
            AddressPool? pool = Array.Find(_pools, pool => pool.Prefix.Contains(address));
            if (pool is null || !pool.IsUsable(address) || requested.Count(other => pool.Prefix.Contains(other)) > 1)
                return Refuse(RefusalReason.AddressUnusable, $"{address} is not for members of {string.Join(" and ", _pools.Select(p => p.Prefix))}.");
            if (ByAddress(address) is { } owner && owner.PublicKey != key)
                return Refuse(RefusalReason.AddressTaken, $"{address} belongs to {owner.Name}, {Whereabouts(owner)}.");
        }

        Lease? evicted = null;
        if (current is null && (Count >= _maximumCount || NextMemberId == uint.MaxValue) && !TryEvict(key, now, out evicted))
            return Refuse(RefusalReason.AddressPoolExhausted, "The network has as many members as it remembers.");

        TunnelAddress?[] wanted = [.. _pools.Select(pool => Wanted(pool, current, requested))];
        var taken = new List<(AddressPool Pool, TunnelAddress Address)>();
        var addresses = new List<TunnelAddress>();
        for (int i = 0; i < _pools.Length; i++)
        {
            AddressPool pool = _pools[i];
            bool owned = wanted[i] is { } address && current is not null && current.Addresses.Contains(address);
            TunnelAddress given = wanted[i].GetValueOrDefault();
            if (!owned)
            {
                bool success = wanted[i] is null ? pool.TryTakeAny(out given) : pool.TryTake(given);
                if (!success && evicted is null && TryEvict(key, now, out evicted))
                    success = wanted[i] is null ? pool.TryTakeAny(out given) : pool.TryTake(given);
                if (!success)
                {
                    foreach ((AddressPool takenPool, TunnelAddress takenAddress) in taken)
                        takenPool.Return(takenAddress);
                    return Refuse(RefusalReason.AddressPoolExhausted, $"{pool.Prefix} has no free address.") with { Evicted = evicted };
                }

                taken.Add((pool, given));
            }

            addresses.Add(given);
        }

        Lease lease = current is null
            ? new Lease { MemberId = NextMemberId++, PublicKey = key, Name = name, Addresses = addresses, Created = now, LastSeen = now }
            : current with { Addresses = addresses };
        lease = lease with { Name = _names.Give(lease.MemberId, name, current?.Name) };
        if (current is null)
            _offline.Add((now, lease.MemberId));
        else
            GiveBack(current, addresses);
        Put(lease);
        return new LeaseResult(lease, null, evicted);
    }

    /// <summary>Tells that a member came or went; a member that is online is never evicted. Returns the lease as it is then.</summary>
    public Lease? SetOnline(uint memberId, bool online, DateTimeOffset now)
    {
        if (ById(memberId) is not { } lease)
            return null;
        _offline.Remove((lease.LastSeen, memberId));
        lease = lease with { LastSeen = now, Used = lease.Used || IsUsed(lease, now) };
        Put(lease);
        if (online)
        {
            _online.Add(memberId);
        }
        else
        {
            _online.Remove(memberId);
            _offline.Add((now, memberId));
        }

        return lease;
    }

    /// <summary>Notes that every member that is online was so until now; false when none is.</summary>
    public bool SeeOnline(DateTimeOffset now)
    {
        foreach (uint memberId in _online)
        {
            Lease lease = _byId[memberId];
            Put(lease with { LastSeen = now, Used = lease.Used || IsUsed(lease, now) });
        }

        return _online.Count > 0;
    }

    /// <summary>The member's traffic was seen: its lease is kept when it goes.</summary>
    public void NoteUsed(uint memberId)
    {
        if (ById(memberId) is { Used: false } lease)
            Put(lease with { Used = true });
    }

    /// <summary>Forgets members that came for a moment only and carried nothing, some minutes after they went, and returns them.</summary>
    /// <param name="now">The current time.</param>
    /// <param name="hasTraffic">Whether a member's traffic was seen.</param>
    public IReadOnlyList<Lease> RemoveUnused(DateTimeOffset now, Func<uint, bool> hasTraffic)
    {
        var removed = new List<Lease>();
        foreach (uint memberId in _unused.ToArray())
        {
            Lease lease = _byId[memberId];
            if (IsUsed(lease, now) || hasTraffic(memberId))
                NoteUsed(memberId);
            else if (!IsOnline(memberId) && now - lease.LastSeen >= KeepUnused)
                removed.Add(lease);
        }

        removed.ForEach(Remove);
        return removed;
    }

    /// <summary>Forgets a member; false when there is none of that id.</summary>
    public bool Remove(uint memberId)
    {
        if (ById(memberId) is not { } lease)
            return false;
        Remove(lease);
        return true;
    }

    /// <summary>Forgets members that have been offline since before a time, and returns them.</summary>
    public IReadOnlyList<Lease> RemoveOfflineSince(DateTimeOffset before)
    {
        var removed = new List<Lease>();
        while (_offline.Count > 0 && _offline.Min.LastSeen < before)
        {
            Lease lease = _byId[_offline.Min.MemberId];
            Remove(lease);
            removed.Add(lease);
        }

        return removed;
    }

    /// <summary>Whether a member is there, for whoever wants its address.</summary>
    private string Whereabouts(Lease lease) => IsOnline(lease.MemberId)
        ? "which is online"
        : string.Create(CultureInfo.InvariantCulture, $"offline since {lease.LastSeen.UtcDateTime:yyyy-MM-dd HH:mm} UTC");

    private static TunnelAddress? Wanted(AddressPool pool, Lease? current, IReadOnlyList<TunnelAddress> requested)
    {
        foreach (TunnelAddress address in requested)
        {
            if (pool.Prefix.Contains(address))
                return address;
        }

        foreach (TunnelAddress address in current?.Addresses ?? [])
        {
            if (pool.Prefix.Contains(address))
                return address;
        }

        return null;
    }

    /// <summary>True for a member that has been here for a while now.</summary>
    private bool IsUsed(Lease lease, DateTimeOffset now) => IsOnline(lease.MemberId) && now - lease.LastSeen >= UsedAfter;

    private bool TryEvict(PublicKey except, DateTimeOffset now, [NotNullWhen(true)] out Lease? evicted)
    {
        evicted = _unused.Where(memberId => !IsOnline(memberId)).Select(memberId => _byId[memberId])
            .Where(lease => lease.PublicKey != except).MinBy(lease => lease.LastSeen);
        if (evicted is not null)
        {
            Remove(evicted);
            return true;
        }

        foreach ((DateTimeOffset lastSeen, uint memberId) in _offline)
        {
            if (now - lastSeen <= _keepOffline)
                return false;
            if (_byId[memberId].PublicKey == except)
                continue;
            evicted = _byId[memberId];
            Remove(evicted);
            return true;
        }

        return false;
    }

    private void Remove(Lease lease)
    {
        GiveBack(lease, []);
        _byId.Remove(lease.MemberId);
        _byKey.Remove(lease.PublicKey);
        _online.Remove(lease.MemberId);
        _offline.Remove((lease.LastSeen, lease.MemberId));
        _unused.Remove(lease.MemberId);
        _names.Release(lease.Name, lease.MemberId);
    }

    private void GiveBack(Lease lease, IReadOnlyList<TunnelAddress> except)
    {
        foreach (TunnelAddress address in lease.Addresses)
        {
            if (except.Contains(address))
                continue;
            Array.Find(_pools, pool => pool.Prefix.Contains(address))?.Return(address);
            _byAddress.Remove(address);
        }
    }

    private void Put(Lease lease)
    {
        _byId[lease.MemberId] = lease;
        _byKey[lease.PublicKey] = lease;
        if (lease.Used)
            _unused.Remove(lease.MemberId);
        else
            _unused.Add(lease.MemberId);
        foreach (TunnelAddress address in lease.Addresses)
            _byAddress[address] = lease;
    }

    private static LeaseResult Refuse(RefusalReason reason, string text) => new(null, new RefusedMessage { Reason = reason, Text = text }, null);
}
