using LightTunnel.Addressing;

namespace LightTunnel.Access;

/// <summary>Addresses and prefixes, to be asked whether one is among them. Never changed after creation.</summary>
internal sealed class AddressSet
{
    private readonly HashSet<IpPrefix> _items;
    private readonly HashSet<TunnelAddress> _hosts = [];
    private readonly IpPrefix[] _prefixes;

    /// <param name="items">Its prefixes; a single address is the prefix of its own.</param>
    public AddressSet(IEnumerable<IpPrefix> items)
    {
        _items = [.. items];
        var prefixes = new List<IpPrefix>();
        foreach (IpPrefix item in _items)
        {
            if (item.Length == item.Network.BitLength)
                _hosts.Add(item.Network);
            else
                prefixes.Add(item);
        }

        _prefixes = [.. prefixes];
    }

    /// <summary>The one without any.</summary>
    public static AddressSet Empty { get; } = new([]);

    /// <summary>Its prefixes.</summary>
    public IReadOnlyCollection<IpPrefix> Items => _items;

    /// <summary>True when the address is one of them.</summary>
    public bool Contains(TunnelAddress address)
    {
        foreach (IpPrefix prefix in _prefixes)
        {
            if (prefix.Contains(address))
                return true;
        }

        return _hosts.Count > 0 && _hosts.Contains(address);
    }

    /// <summary>True when all of the prefix is in one of its own.</summary>
    public bool Covers(IpPrefix prefix)
    {
        foreach (IpPrefix own in _prefixes)
        {
            if (own.Length <= prefix.Length && own.Contains(prefix.Network))
                return true;
        }

        return _items.Contains(prefix);
    }

    /// <summary>True when some address is in both.</summary>
    public bool Overlaps(IpPrefix prefix)
    {
        foreach (IpPrefix own in _prefixes)
        {
            if (own.Overlaps(prefix))
                return true;
        }

        if (prefix.Length == prefix.Network.BitLength)
            return _hosts.Contains(prefix.Network);
        foreach (TunnelAddress host in _hosts)
        {
            if (prefix.Contains(host))
                return true;
        }

        return false;
    }

    /// <summary>True when the other one has the same.</summary>
    public bool IsSame(AddressSet other) => ReferenceEquals(this, other) || _items.SetEquals(other._items);

    /// <summary>With some added and others taken out.</summary>
    public AddressSet With(IEnumerable<IpPrefix> added, IEnumerable<IpPrefix> removed)
    {
        HashSet<IpPrefix> items = [.. _items];
        items.ExceptWith(removed);
        items.UnionWith(added);
        return new AddressSet(items);
    }
}
