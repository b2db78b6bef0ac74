using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Data;

/// <summary>A network behind nodes, as data threads see it. Never changed after it was made.</summary>
/// <param name="Target">Who carries what is for it; null when it lies behind this node itself.</param>
/// <param name="Sources">Who may send what comes from it.</param>
internal sealed record Subnet(RouteTarget? Target, ImmutableArray<RouteTarget> Sources)
{
    /// <summary>
    /// True for an exit node's: addresses of the internet alone, so that nobody gets at the networks that it is in, nor is taken for one of
    /// them.
    /// </summary>
    public bool IsExit { get; init; }
}

/// <summary>
/// The networks behind nodes: those of others that this one takes, and its own. An address is of the longest prefix that it lies in, and
/// of that one alone, as a destination and as a source. Immutable.
/// </summary>
internal sealed class SubnetTable
{
    private readonly PrefixTable<Subnet> _subnets;

    /// <param name="subnets">The networks; of two that are the same the last counts.</param>
    public SubnetTable(IEnumerable<KeyValuePair<IpPrefix, Subnet>> subnets)
    {
        _subnets = PrefixTable<Subnet>.Empty;
        foreach ((IpPrefix prefix, Subnet subnet) in subnets)
            _subnets = _subnets.With(prefix, MemberRoutes.IsExit(prefix) ? subnet with { IsExit = true } : subnet);
    }

    /// <summary>The one without any.</summary>
    public static SubnetTable Empty { get; } = new([]);

    /// <summary>Number of networks.</summary>
    public int Count => _subnets.Count;

    /// <summary>The network that an address lies in.</summary>
    public bool TryFind(TunnelAddress address, [NotNullWhen(true)] out Subnet? subnet)
    {
        subnet = null;
        return _subnets.Count > 0 && _subnets.TryLookup(address, out subnet)
            && (!subnet.IsExit || HostAddresses.IsOnInternet(address));
    }
}
