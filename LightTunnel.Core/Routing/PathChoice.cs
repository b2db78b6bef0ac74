using LightTunnel.Addressing;

namespace LightTunnel.Routing;

/// <summary>Which paths to a peer may be used.</summary>
public enum PathPolicy
{
    /// <summary>The best there is.</summary>
    Auto,

    /// <summary>Only direct paths; without one the peer is not reached.</summary>
    DirectOnly,

    /// <summary>Only through another member or the server.</summary>
    RelayOnly,
}

/// <summary>The kinds of paths that are chosen between.</summary>
internal enum PathKind
{
    /// <summary>Direct, within a local network.</summary>
    Lan,

    /// <summary>Direct over the public IPv6 network.</summary>
    DirectIPv6,

    /// <summary>Direct over the public IPv4 network.</summary>
    DirectIPv4,

    /// <summary>Through another member.</summary>
    MemberRelay,

    /// <summary>Through the server.</summary>
    Server,
}

/// <summary>A path to a peer that could be used.</summary>
/// <param name="Kind">What kind it is.</param>
/// <param name="Path">Where its datagrams go, and from which local socket.</param>
/// <param name="Proven">True while probes on it are answered.</param>
/// <param name="RoundTrip">Smoothed round trip to the peer, null until measured.</param>
/// <param name="Loss">Share of probes lost, 0..1, null until measured.</param>
internal readonly record struct PathCandidate(
    PathKind Kind,
    PathAddress Path,
    bool Proven = false,
    TimeSpan? RoundTrip = null,
    double? Loss = null)
{
    /// <summary>True when both are the same path, whatever was measured of it.</summary>
    public bool IsSamePath(in PathCandidate other) => Kind == other.Kind && Path == other.Path;
}

/// <summary>
/// Chooses the path to a peer: a pure function. What is proven comes before what is not; then local network, direct, through a member
/// that is faster than the server, server, through another member; within these the shorter round trip, where each per cent of loss counts
/// like <see cref="CostOfLoss"/>. The current path stays until another of its class is better by a margin, so that jitter moves nothing. A
/// private address is only a hint that a path is local: one that is clearly slower than another direct path, as a tunnel's are, competes
/// with it like any other.
/// </summary>
internal static class PathChoice
{
    /// <summary>A per cent of loss weighs as much as this much round trip.</summary>
    public static readonly TimeSpan CostOfLoss = TimeSpan.FromMilliseconds(10);

    /// <summary>What was not measured yet counts as this long.</summary>
    private static readonly TimeSpan Unmeasured = TimeSpan.FromSeconds(1);

    /// <summary>Another path must be better by a quarter of the current cost and at least by this.</summary>
    private static readonly TimeSpan LeastGain = TimeSpan.FromMilliseconds(5);

    private const int GainDivisor = 4;

    /// <summary>The path to use.</summary>
    /// <param name="current">The path in use, null for none; measurements of it are taken from the candidates.</param>
    /// <param name="candidates">What there is, in any order.</param>
    /// <param name="policy">What is allowed.</param>
    /// <returns>
    /// One of the candidates; null when none may be used. Without any proven path that is the server, or with
    /// <see cref="PathPolicy.DirectOnly"/> nothing: an unproven direct path is never used.
    /// </returns>
    public static PathCandidate? Choose(in PathCandidate? current, IReadOnlyList<PathCandidate> candidates, PathPolicy policy)
    {
        var rivals = new Rivals(
            current, LeastCost(candidates, PathKind.Server, PathKind.Server),
            LeastCost(candidates, PathKind.DirectIPv6, PathKind.DirectIPv4));
        PathCandidate? best = null;
        PathCandidate? kept = null;
        foreach (PathCandidate candidate in candidates)
        {
            if (!IsAllowed(candidate, policy))
                continue;
            if (current is { } used && used.IsSamePath(candidate))
                kept = candidate;
            if (best is not { } leader || Compare(candidate, leader, rivals) < 0)
                best = candidate;
        }

        if (best is { } winner && kept is { } present && Class(winner, rivals) == Class(present, rivals)
            && Cost(present) - Cost(winner) < Margin(Cost(present)))
        {
            return present;
        }

        return best;
    }

    private static bool IsAllowed(in PathCandidate candidate, PathPolicy policy)
    {
        bool relayed = candidate.Kind is PathKind.MemberRelay or PathKind.Server;
        return (candidate.Proven || candidate.Kind == PathKind.Server)
            && policy switch
            {
                PathPolicy.DirectOnly => !relayed,
                PathPolicy.RelayOnly => relayed,
                _ => true,
            };
    }

    /// <summary>A total order of paths: negative when the first is better.</summary>
    private static int Compare(in PathCandidate first, in PathCandidate second, in Rivals rivals)
    {
        int order = Class(first, rivals).CompareTo(Class(second, rivals));
        if (order == 0)
            order = Cost(first).CompareTo(Cost(second));
        if (order == 0)
            order = first.Kind.CompareTo(second.Kind);
        // Equal in all that matters; any rule will do that does not depend on the order they are listed in.
        if (order == 0)
            order = first.Path.Endpoint.MappedAddress.CompareTo(second.Path.Endpoint.MappedAddress);
        if (order == 0)
            order = first.Path.Endpoint.Port.CompareTo(second.Path.Endpoint.Port);
        if (order == 0)
            order = first.Path.RelayedMember.CompareTo(second.Path.RelayedMember);
        return order == 0 ? first.Path.Local.CompareTo(second.Path.Local) : order;
    }

    /// <summary>Smaller is better; cost decides only within a class.</summary>
    private static int Class(in PathCandidate candidate, in Rivals rivals)
    {
        return candidate.Kind switch
        {
            _ when !candidate.Proven => 5,
            PathKind.Lan => IsAsGoodAsLocal(candidate, rivals) ? 0 : 1,
            PathKind.DirectIPv6 or PathKind.DirectIPv4 => 1,
            PathKind.MemberRelay => BeatsServer(candidate, rivals) ? 2 : 4,
            _ => 3,
        };
    }

    /// <summary>
    /// The local network is preferred where it is no slower than the way around, and left when it is twice as much slower.
    /// </summary>
    private static bool IsAsGoodAsLocal(in PathCandidate local, in Rivals rivals)
    {
        if (rivals.DirectCost is not { } direct)
            return true;
        TimeSpan cost = Cost(local);
        return cost - direct < Margin(cost) * (rivals.IsInUse(local) ? 2 : 1);
    }

    /// <summary>A member is asked to carry our datagrams only for a clear gain, and released when nothing is left of it.</summary>
    private static bool BeatsServer(in PathCandidate relay, in Rivals rivals)
    {
        if (rivals.ServerCost is not { } server)
            return true;
        return Cost(relay) < (rivals.IsInUse(relay) ? server : server - Margin(server));
    }

    private static TimeSpan? LeastCost(IReadOnlyList<PathCandidate> candidates, PathKind kind, PathKind orKind)
    {
        TimeSpan? least = null;
        foreach (PathCandidate candidate in candidates)
        {
            if (candidate.Proven && (candidate.Kind == kind || candidate.Kind == orKind)
                && (least is not { } known || Cost(candidate) < known))
            {
                least = Cost(candidate);
            }
        }

        return least;
    }

    private static TimeSpan Cost(in PathCandidate candidate) =>
        (candidate.RoundTrip ?? Unmeasured) + (CostOfLoss * (100 * (candidate.Loss ?? 0)));

    private static TimeSpan Margin(TimeSpan cost) => cost / GainDivisor > LeastGain ? cost / GainDivisor : LeastGain;

    /// <summary>What a candidate is compared with.</summary>
    /// <param name="Current">The path in use, null for none.</param>
    /// <param name="ServerCost">The least cost of the proven ways through the server, null for none.</param>
    /// <param name="DirectCost">The least cost of the proven direct paths that are not local, null for none.</param>
    private readonly record struct Rivals(PathCandidate? Current, TimeSpan? ServerCost, TimeSpan? DirectCost)
    {
        public bool IsInUse(in PathCandidate candidate) => Current is { } used && used.IsSamePath(candidate);
    }
}
