using LightTunnel.Addressing;

namespace LightTunnel.Membership;

/// <summary>Which networks can lie behind a member, and how many a member can have.</summary>
internal static class MemberRoutes
{
    /// <summary>Most networks behind one node.</summary>
    public const int MaximumCount = 64;

    /// <summary>
    /// Most bytes that one node's networks take where they are told, so that the directory's entry of a node fits into a page:
    /// <see cref="MaximumCount"/> of IPv4, or of IPv6 up to /64.
    /// </summary>
    public const int MaximumLength = MaximumCount * 10;

    /// <summary>Most of what an admin has said of one member's networks, in each direction.</summary>
    public const int MaximumDecisions = 256;

    /// <summary>
    /// True for the prefix of everything: a node that has it behind itself is an exit node, and is one for those alone that choose it.
    /// </summary>
    public static bool IsExit(IpPrefix prefix) => prefix.Length == 0;

    /// <summary>Bytes that a prefix takes where it is told.</summary>
    public static int LengthOf(IpPrefix prefix) => 2 + ((prefix.Length + 7) / 8);

    /// <summary>
    /// Why no such network lies behind a member, as the end of a sentence ("is too short a prefix"); null when it may, and for what an exit
    /// node offers, which is all of the internet and none of a network's own addresses.
    /// </summary>
    /// <param name="prefix">The network.</param>
    /// <param name="tunnel">The tunnel's own network.</param>
    public static string? WhyUnusable(IpPrefix prefix, IEnumerable<IpPrefix> tunnel) =>
        IsExit(prefix) ? null
        : HostAddresses.WhyUnusable(prefix.Network) is { } kind ? kind
        : HostAddresses.IsTooShort(prefix) ? "is too short a prefix"
        : tunnel.Any(prefix.Overlaps) ? "has addresses of the tunnel's own network"
        : null;

    /// <summary>What can lie behind a member of what it says, each once, and as much of it as there may be.</summary>
    /// <param name="told">What it says.</param>
    /// <param name="tunnel">The tunnel's own network.</param>
    /// <param name="refused">Told of each that cannot, and why.</param>
    public static IReadOnlyList<IpPrefix> Usable(
        IReadOnlyList<IpPrefix> told, IReadOnlyList<IpPrefix> tunnel, Action<IpPrefix, string>? refused = null)
    {
        var usable = new List<IpPrefix>();
        int length = 0;
        foreach (IpPrefix prefix in told)
        {
            if (usable.Contains(prefix))
                continue;
            string? why = WhyUnusable(prefix, tunnel);
            if (why is null && (usable.Count == MaximumCount || length + LengthOf(prefix) > MaximumLength))
                why = "is one network too many";
            if (why is not null)
            {
                refused?.Invoke(prefix, why);
                continue;
            }

            usable.Add(prefix);
            length += LengthOf(prefix);
        }

        return usable;
    }
}
