using LightTunnel.Addressing;
using LightTunnel.Membership;

namespace LightTunnel.Configuration;

/// <summary>Which networks behind others this node takes.</summary>
/// <param name="All">True for all that are approved.</param>
/// <param name="Within">Those that lie in one of these prefixes, or are one.</param>
/// <param name="Force">True to take those in <paramref name="Within"/> also where they are in the way of something.</param>
internal sealed record AcceptedRoutes(bool All, IReadOnlyList<IpPrefix> Within, bool Force)
{
    /// <summary>What stands for all of them.</summary>
    public const string Everything = "*";

    /// <summary>Most prefixes that a person may name.</summary>
    public const int MaximumCount = 256;

    /// <summary>None.</summary>
    public static AcceptedRoutes None { get; } = new(false, [], false);

    /// <summary>True when a network is taken; what an exit node offers is no network.</summary>
    public bool Accepts(IpPrefix prefix) => !MemberRoutes.IsExit(prefix) && (All || IsWithin(prefix));

    /// <summary>True when a network is taken although it is in the way of something.</summary>
    public bool Forces(IpPrefix prefix) => Force && IsWithin(prefix);

    /// <summary>What a person writes to take a network besides what is taken already.</summary>
    public string With(IpPrefix prefix) => string.Join(',', (string[])
    [
        .. All ? (string[])[Everything] : [], .. Within.Append(prefix).Distinct().Select(within => within.ToString()),
    ]);

    private bool IsWithin(IpPrefix prefix) => Within.Any(within => within.Length <= prefix.Length && within.Contains(prefix.Network));
}

/// <summary>Whose networks need nobody's approval.</summary>
/// <param name="Group">Members of this group.</param>
/// <param name="Within">Networks in this prefix; null for all.</param>
internal sealed record AutoApprovedRoutes(string Group, IpPrefix? Within)
{
    /// <summary>Most of them.</summary>
    public const int MaximumCount = 64;

    /// <summary>
    /// True for a network that a member of such groups offers; an exit node needs that the prefix is said, 0.0.0.0/0, as it is trusted with
    /// much more than a network.
    /// </summary>
    public bool Approves(IReadOnlyList<string> groups, IpPrefix prefix) =>
        groups.Contains(Group, StringComparer.OrdinalIgnoreCase)
        && (Within is not { } within ? !MemberRoutes.IsExit(prefix) : (within.Length <= prefix.Length && within.Contains(prefix.Network)));

    /// <summary>As a person writes it.</summary>
    public override string ToString() => Within is { } within ? $"{Group}={within}" : Group;
}

/// <summary>The exit node of a machine: the member that all goes out by that is for none of its networks.</summary>
/// <param name="Node">Its name, address or key; null for none.</param>
/// <param name="AllowLan">True to reach the local network beside it.</param>
/// <param name="KillSwitch">True to let nothing out beside the tunnel, also while that is down.</param>
internal sealed record ExitOptions(string? Node, bool AllowLan, bool KillSwitch)
{
    /// <summary>What stands for none.</summary>
    public const string Nobody = "none";

    /// <summary>Longest name that is taken: a key's.</summary>
    public const int LongestName = 64;

    /// <summary>None.</summary>
    public static ExitOptions None { get; } = new(null, false, false);
}
