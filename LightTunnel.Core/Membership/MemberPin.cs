using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>What becomes of a member whose key is another than the one that this node has had a link with.</summary>
public enum KeyChangePolicy
{
    /// <summary>It is no member here until a person confirms the new key.</summary>
    Refuse,

    /// <summary>The server's word is enough, and a warning tells of it.</summary>
    Accept,
}

/// <summary>A member that this node has had a link with: the key that belongs to a name and to addresses.</summary>
/// <param name="Key">The member's key.</param>
/// <param name="Name">Its name then.</param>
/// <param name="Addresses">Its tunnel addresses then.</param>
/// <param name="LastUsed">The day on which keys were agreed with it last, UTC.</param>
internal sealed record MemberPin(PublicKey Key, string Name, IReadOnlyList<TunnelAddress> Addresses, DateOnly LastUsed);
