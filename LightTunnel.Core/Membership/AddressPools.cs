using LightTunnel.Addressing;

namespace LightTunnel.Membership;

/// <summary>The host addresses of all of a network's prefixes; a member has one of each. Owned by the control loop.</summary>
/// <param name="serverAddresses">The server's own addresses; their prefixes are what there is.</param>
internal sealed class AddressPools(IReadOnlyList<InterfaceAddress> serverAddresses)
{
    private readonly AddressPool[] _pools = [.. serverAddresses.Select(address => new AddressPool(address))];

    /// <summary>One of each prefix.</summary>
    public IReadOnlyList<AddressPool> All => _pools;

    /// <summary>Members that can have an address of each.</summary>
    public int Capacity => _pools.Min(pool => pool.Capacity);

    /// <summary>True when a member could have all of these: each of another prefix, none the server's.</summary>
    /// <param name="addresses">The addresses.</param>
    /// <param name="culprit">The first that it could not have.</param>
    public bool AreUsable(IReadOnlyList<TunnelAddress> addresses, out TunnelAddress culprit)
    {
        foreach (TunnelAddress address in addresses)
        {
            culprit = address;
            if (Of(address) is not { } pool || !pool.IsUsable(address) || addresses.Count(pool.Prefix.Contains) > 1)
                return false;
        }

        culprit = default;
        return true;
    }

    /// <summary>The first of the addresses that is of a pool; null for none.</summary>
    public static TunnelAddress? Find(AddressPool pool, IEnumerable<TunnelAddress> addresses)
    {
        foreach (TunnelAddress address in addresses)
        {
            if (pool.Prefix.Contains(address))
                return address;
        }

        return null;
    }

    /// <summary>Addresses with others in the place of those of the same prefixes.</summary>
    public IReadOnlyList<TunnelAddress> Place(IReadOnlyList<TunnelAddress> current, IReadOnlyList<TunnelAddress> wanted) =>
        [.. _pools.Select(pool => Find(pool, wanted.Concat(current))).OfType<TunnelAddress>()];

    /// <summary>Takes certain addresses, and returns those that were free: of each pool the first.</summary>
    public IReadOnlyList<TunnelAddress> Take(IReadOnlyList<TunnelAddress> addresses)
    {
        var taken = new List<TunnelAddress>();
        foreach (AddressPool pool in _pools)
        {
            foreach (TunnelAddress address in addresses)
            {
                if (!pool.TryTake(address))
                    continue;
                taken.Add(address);
                break;
            }
        }

        return taken;
    }

    /// <inheritdoc cref="AddressPool.Resume"/>
    public void Resume(uint given)
    {
        foreach (AddressPool pool in _pools)
            pool.Resume(given);
    }

    /// <summary>Gives an address back.</summary>
    public void Return(TunnelAddress address) => Of(address)?.Return(address);

    /// <inheritdoc/>
    public override string ToString() => string.Join(" and ", _pools.Select(pool => pool.Prefix));

    private AddressPool? Of(TunnelAddress address) => Array.Find(_pools, pool => pool.Prefix.Contains(address));
}
