using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.Packets;

namespace LightTunnel.Configuration;

/// <summary>A network behind this node that it offers to the others of the tunnel's network.</summary>
/// <param name="Prefix">The network, as it is here.</param>
/// <param name="As">The prefix of the same length that others know it by; null for its own.</param>
/// <param name="TranslateSources">
/// True when what goes on into the network is sent in this machine's own name, so that the hosts there need no way back.
/// </param>
internal sealed record OfferedRoute(IpPrefix Prefix, IpPrefix? As, bool TranslateSources)
{
    /// <summary>Most networks that one node offers.</summary>
    public const int MaximumCount = MemberRoutes.MaximumCount;

    /// <summary>What an exit node offers: everything, of both families, in its own name.</summary>
    public static IReadOnlyList<OfferedRoute> Everything { get; } =
    [
        new(new IpPrefix(TunnelAddress.FromBits(UInt128.Zero, isIPv4: true), 0), null, true),
        new(new IpPrefix(TunnelAddress.FromBits(UInt128.Zero, isIPv4: false), 0), null, true),
    ];

    /// <summary>True for what an exit node offers, which is no network.</summary>
    public bool IsExit => MemberRoutes.IsExit(Prefix);

    /// <summary>What is mapped to what.</summary>
    public PrefixPair Pair => new(Prefix, Told);

    /// <summary>The prefix that others are told of.</summary>
    public IpPrefix Told => As ?? Prefix;
}
