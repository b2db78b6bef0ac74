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

    /// <summary>What is mapped to what.</summary>
    public PrefixPair Pair => new(Prefix, Told);

    /// <summary>The prefix that others are told of.</summary>
    public IpPrefix Told => As ?? Prefix;
}
