using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Which key each member's address was told with, so that a change is noticed: another machine has the address now, or a server names a key
/// of its own. Owned by the control loop.
/// </summary>
internal sealed class KnownKeys
{
    private readonly Dictionary<TunnelAddress, PublicKey> _keys = [];

    /// <summary>Looks at a page of the directory.</summary>
    /// <param name="page">The page.</param>
    /// <param name="changed">Told of each member whose address had another key before, and of that key.</param>
    public void Look(DirectoryMessage page, Action<DirectoryEntry, PublicKey> changed)
    {
        foreach (DirectoryEntry entry in page.Changed)
        {
            PublicKey? before = null;
            foreach (TunnelAddress address in entry.Addresses)
            {
                if (_keys.TryGetValue(address, out PublicKey known) && known != entry.PublicKey)
                    before = known;
                if (_keys.Count < Leases.DefaultMaximumCount || _keys.ContainsKey(address))
                    _keys[address] = entry.PublicKey;
            }

            if (before is { } old)
                changed(entry, old);
        }
    }
}
