using FsCheck.Xunit;
using LightTunnel.Addressing;
using LightTunnel.Routing;
using Xunit;

namespace LightTunnel.Tests.Routing;

public sealed class PathChoiceTests
{
    private static PathCandidate Path(PathKind kind, double? milliseconds = 40, bool proven = true, double? loss = 0, uint id = 0) => new(
        kind,
        new PathAddress(
            UdpEndpoint.FromIPv4(0xC6336400 + (uint)kind + (id << 4), 9000), kind is PathKind.MemberRelay or PathKind.Server ? 7u : 0u),
        proven,
        milliseconds is { } value ? TimeSpan.FromMilliseconds(value) : null,
        loss);

    private static PathKind? Kind(PathPolicy policy, params PathCandidate[] candidates) =>
        PathChoice.Choose(null, candidates, policy)?.Kind;

    [Fact]
    public void Choose_ByKind_LocalThenDirectThenFasterMemberThenServer()
    {
        PathCandidate lan = Path(PathKind.Lan, 90), six = Path(PathKind.DirectIPv6, 80), four = Path(PathKind.DirectIPv4, 80),
            relay = Path(PathKind.MemberRelay, 20), server = Path(PathKind.Server, 60);
        Assert.Equal(PathKind.Lan, Kind(PathPolicy.Auto, server, relay, four, six, lan));
        Assert.Equal(PathKind.DirectIPv6, Kind(PathPolicy.Auto, server, relay, four, six));
        Assert.Equal(PathKind.DirectIPv4, Kind(PathPolicy.Auto, server, relay, four));
        Assert.Equal(PathKind.MemberRelay, Kind(PathPolicy.Auto, server, relay));
        Assert.Equal(PathKind.Server, Kind(PathPolicy.Auto, server));
        Assert.Null(Kind(PathPolicy.Auto));
    }

    [Theory]
    [InlineData(60, false)]
    [InlineData(50, false)]
    [InlineData(44, true)]
    public void Choose_MemberRelay_OnlyForAClearGainOverTheServer(double milliseconds, bool chosen)
    {
        PathKind? kind = Kind(PathPolicy.Auto, Path(PathKind.MemberRelay, milliseconds), Path(PathKind.Server, 60));
        Assert.Equal(chosen ? PathKind.MemberRelay : PathKind.Server, kind);
    }

    [Fact]
    public void Choose_MemberRelayInUse_StaysUntilNothingIsGained()
    {
        PathCandidate server = Path(PathKind.Server, 60);
        Assert.Equal(
            PathKind.MemberRelay,
            PathChoice.Choose(Path(PathKind.MemberRelay), [Path(PathKind.MemberRelay, 55), server], PathPolicy.Auto)?.Kind);
        Assert.Equal(
            PathKind.Server,
            PathChoice.Choose(Path(PathKind.MemberRelay), [Path(PathKind.MemberRelay, 61), server], PathPolicy.Auto)?.Kind);
    }

    [Fact]
    public void Choose_Unproven_IsNeverUsedButTheServer()
    {
        Assert.Equal(
            PathKind.Server,
            Kind(
                PathPolicy.Auto, Path(PathKind.Lan, 1, proven: false), Path(PathKind.MemberRelay, 1, proven: false),
                Path(PathKind.Server, null, proven: false)));
        Assert.Equal(
            PathKind.MemberRelay, Kind(PathPolicy.Auto, Path(PathKind.MemberRelay, 90), Path(PathKind.Server, null, proven: false)));
        Assert.Null(Kind(PathPolicy.DirectOnly, Path(PathKind.DirectIPv4, 1, proven: false), Path(PathKind.Server)));
    }

    [Fact]
    public void Choose_Policies_AllowTheirKindsOnly()
    {
        PathCandidate[] all = [Path(PathKind.Lan), Path(PathKind.DirectIPv4), Path(PathKind.MemberRelay, 10), Path(PathKind.Server)];
        Assert.Equal(PathKind.Lan, Kind(PathPolicy.DirectOnly, all));
        Assert.Equal(PathKind.MemberRelay, Kind(PathPolicy.RelayOnly, all));
        Assert.Equal(PathKind.Server, Kind(PathPolicy.RelayOnly, all[0], all[1], all[3]));
        Assert.Null(Kind(PathPolicy.DirectOnly, all[2], all[3]));
    }

    [Fact]
    public void Choose_CurrentPath_StaysWithinTheMarginAndIsLeftBeyondOrWhenDead()
    {
        PathCandidate current = Path(PathKind.DirectIPv4, 40);
        Assert.Equal(PathKind.DirectIPv4, PathChoice.Choose(current, [current, Path(PathKind.DirectIPv6, 32)], PathPolicy.Auto)?.Kind);
        Assert.Equal(PathKind.DirectIPv6, PathChoice.Choose(current, [current, Path(PathKind.DirectIPv6, 29)], PathPolicy.Auto)?.Kind);
        Assert.Equal(
            PathKind.DirectIPv6,
            PathChoice.Choose(
                current, [Path(PathKind.DirectIPv4, 40, proven: false), Path(PathKind.DirectIPv6, 300)], PathPolicy.Auto)?.Kind);
        Assert.Equal(PathKind.Lan, PathChoice.Choose(current, [current, Path(PathKind.Lan, 39)], PathPolicy.Auto)?.Kind);
    }

    [Theory]
    [InlineData(2, 1, true)]     // A router that hands packets back may seem as fast as the wire.
    [InlineData(6, 2, true)]
    [InlineData(8, 2, false)]    // ... but what is clearly slower is no local network, whatever its address is.
    [InlineData(40, 2, false)]
    [InlineData(40, 35, true)]
    public void Choose_Local_OnlyWhenNotClearlySlowerThanDirect(double local, double direct, bool chosen)
    {
        PathCandidate[] both = [Path(PathKind.Lan, local), Path(PathKind.DirectIPv4, direct)];
        Assert.Equal(chosen ? PathKind.Lan : PathKind.DirectIPv4, Kind(PathPolicy.Auto, both));
        Assert.Equal(chosen ? PathKind.Lan : PathKind.DirectIPv4, PathChoice.Choose(both[1], both, PathPolicy.Auto)?.Kind);
    }

    [Fact]
    public void Choose_LocalInUse_IsLeftWhenItIsTwiceTheMarginSlower()
    {
        PathCandidate direct = Path(PathKind.DirectIPv4, 2);
        Assert.Equal(PathKind.Lan, PathChoice.Choose(Path(PathKind.Lan), [Path(PathKind.Lan, 11), direct], PathPolicy.Auto)?.Kind);
        Assert.Equal(PathKind.DirectIPv4, PathChoice.Choose(Path(PathKind.Lan), [Path(PathKind.Lan, 13), direct], PathPolicy.Auto)?.Kind);
    }

    [Fact]
    public void Choose_Loss_CountsLikeDelay()
    {
        Assert.Equal(PathKind.DirectIPv6, Kind(PathPolicy.Auto, Path(PathKind.DirectIPv4, 20, loss: 0.1), Path(PathKind.DirectIPv6, 100)));
        Assert.Equal(PathKind.DirectIPv4, Kind(PathPolicy.Auto, Path(PathKind.DirectIPv4, 20, loss: 0.01), Path(PathKind.DirectIPv6, 100)));
    }

    /// <summary>Every set of up to four of these paths, each current path, each policy.</summary>
    [Fact]
    public void Choose_Exhaustively_IsAllowedStableAndIndependentOfOrder()
    {
        PathCandidate[] all =
        [
            .. from kind in Enum.GetValues<PathKind>()
               from proven in (bool[])[true, false]
               from milliseconds in (double?[])[10, 12, 60, null]
               select Path(kind, milliseconds, proven, id: (uint)((milliseconds ?? 5) * 2) + (proven ? 1u : 0u)),
        ];
        foreach (PathPolicy policy in Enum.GetValues<PathPolicy>())
        {
            for (int i = 0; i < all.Length; i++)
            {
                for (int j = i; j < all.Length; j++)
                {
                    for (int k = j; k < all.Length; k += 3)
                        Check([.. new[] { all[i], all[j], all[k] }.Distinct()], policy);
                }
            }
        }
    }

    [Property]
    public void Choose_AnyMeasurements_IsAllowedStableAndIndependentOfOrder(
        (byte Kind, ushort RoundTrip, byte Loss, bool Proven)[] input, byte policy)
    {
        PathCandidate[] candidates = [.. input.Take(12).Select((one, index) =>
            Path((PathKind)(one.Kind % 5), one.RoundTrip % 300, one.Proven, one.Loss % 30 / 100.0, (uint)index))];
        Check(candidates, (PathPolicy)(policy % 3));
    }

    private static void Check(PathCandidate[] candidates, PathPolicy policy)
    {
        PathCandidate[] reversed = [.. candidates.Reverse()];
        PathCandidate? fresh = PathChoice.Choose(null, candidates, policy);
        Assert.Equal(fresh, PathChoice.Choose(null, reversed, policy));
        foreach (PathCandidate? current in candidates.Select(candidate => (PathCandidate?)candidate).Append(null))
        {
            PathCandidate? chosen = PathChoice.Choose(current, candidates, policy);
            Assert.Equal(chosen, PathChoice.Choose(current, reversed, policy));

            // No flapping: with the same measurements the choice stands.
            Assert.Equal(chosen, PathChoice.Choose(chosen, candidates, policy));
            if (chosen is not { } path)
            {
                Assert.DoesNotContain(candidates, candidate => policy != PathPolicy.DirectOnly && candidate.Kind == PathKind.Server);
                continue;
            }

            Assert.Contains(path, candidates);
            Assert.True(path.Proven || path.Kind == PathKind.Server);
            bool relayed = path.Kind is PathKind.Server or PathKind.MemberRelay;
            Assert.False(policy == PathPolicy.DirectOnly && relayed);
            Assert.False(policy == PathPolicy.RelayOnly && !relayed);
            if (!path.Proven)
            {
                Assert.DoesNotContain(
                    candidates, candidate => candidate.Proven && (policy == PathPolicy.Auto || candidate.Kind == PathKind.MemberRelay));
            }
            // A local path yields to nothing but a direct one that is clearly faster.
            if (policy == PathPolicy.Auto && candidates.Any(candidate => candidate is { Kind: PathKind.Lan, Proven: true }))
                Assert.True(path.Kind is PathKind.Lan or PathKind.DirectIPv6 or PathKind.DirectIPv4);
            if (policy == PathPolicy.Auto
                && candidates.Any(candidate =>
                    candidate is { Kind: PathKind.Lan, Proven: true, Loss: 0 or null, RoundTrip.TotalMilliseconds: < 5 }))
            {
                Assert.Equal(PathKind.Lan, path.Kind);
            }
        }
    }

    [Fact]
    public void Sentence_EveryReason_HasItsOwn()
    {
        string[] sentences = [.. Enum.GetValues<PathReason>().Select(reason => reason.Sentence())];
        Assert.Equal(sentences.Length, sentences.Distinct().Count());
        Assert.All(sentences, sentence => Assert.EndsWith(".", sentence, StringComparison.Ordinal));
    }
}
