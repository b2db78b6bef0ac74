using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>A plain WireGuard client that an admin makes.</summary>
/// <param name="Key">Its public key.</param>
/// <param name="Name">Its name.</param>
/// <param name="Addresses">The addresses that it is to have; any where none is named.</param>
internal sealed record PlainClientRequest(PublicKey Key, string Name, IReadOnlyList<TunnelAddress> Addresses)
{
    /// <summary>
    /// Takes a lease for it, to be committed, or leaves the one that it has, when all that it needs is its configuration once more;
    /// returns a member long offline that had to make room, or null.
    /// </summary>
    /// <exception cref="LightTunnelException">Name, key or addresses are another's, or there is no address left.</exception>
    public Lease? Acquire(Leases leases, DateTimeOffset now)
    {
        if (leases.ByKey(Key) is { IsPlain: true } known && string.Equals(known.Name, Name, StringComparison.OrdinalIgnoreCase)
            && Addresses.All(known.Addresses.Contains))
        {
            return null; // It is given its configuration anew.
        }

        if (leases.ByKey(Key) is { } member)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"The key {Key} is that of the member '{member.Name}'.",
                "Give the public key of another key pair; each machine has its own.") { Target = Name };
        }

        if (leases.Blocked.Contains(Key))
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"The key {Key} is blocked.", "Lift that with Unblock-LtMember, or give another key.")
                {
                    Target = Name,
                };
        }

        MemberSettings.CheckName(leases, Key, Name);
        MemberSettings.CheckAddresses(leases, Key, Addresses, now);
        LeaseResult result = leases.Acquire(Key, Name, Addresses, now, isPlain: true);
        return result.Granted
            ? result.Evicted
            : throw new LightTunnelException(
                LightTunnelError.AddressPoolExhausted, $"'{Name}' gets no address: {result.Refusal.Text}",
                "Free one with Remove-LtMember.") { Target = Name };
    }
}
