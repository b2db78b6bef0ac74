using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>What there is of the exit node that a person chose, for what sets the system up for it. Never changed.</summary>
/// <param name="Name">As it was chosen.</param>
/// <param name="Problem">Why nothing goes out by it now, and what to do; null when it is there.</param>
/// <param name="IPv4">The tunnel address at which it answers questions for names, if it carries IPv4; null when it does not.</param>
/// <param name="IPv6">The same of IPv6.</param>
/// <param name="Inside">What is reached through the tunnel and is not its: the tunnel's own network, networks behind members.</param>
internal sealed record ExitState(
    string Name, string? Problem, TunnelAddress? IPv4, TunnelAddress? IPv6, IReadOnlyList<IpPrefix> Inside)
{
    /// <inheritdoc/>
    public bool Equals(ExitState? other) => other is not null && Name == other.Name && Problem == other.Problem && IPv4 == other.IPv4
        && IPv6 == other.IPv6 && Inside.SequenceEqual(other.Inside);

    /// <inheritdoc/>
    public override int GetHashCode() => Name.Length;
}

/// <summary>
/// The member that a person chose as this machine's exit node, by its name, address or key: nobody else says which one it is. From the
/// first time that somebody of that name offers itself on, its key alone counts: a server that gives the name to another gets nothing.
/// Owned by the control loop.
/// </summary>
/// <param name="name">As it was chosen.</param>
internal sealed class ExitChoice(string name)
{
    private PublicKey? _key;

    /// <summary>As it was chosen.</summary>
    public string Name => name;

    /// <summary>The one among those that offer themselves; null when it is not there.</summary>
    public Peer? Find(IEnumerable<Peer> offering)
    {
        Peer? found = _key is { } key ? offering.FirstOrDefault(peer => peer.Key == key) : offering.FirstOrDefault(IsMeant);
        _key ??= found?.Key;
        return found;
    }

    private bool IsMeant(Peer peer) => peer.Name.Equals(name, StringComparison.OrdinalIgnoreCase) || peer.Key.ToString() == name
        || (TunnelAddress.TryParse(name, out TunnelAddress address) && peer.Addresses.Contains(address));
}
