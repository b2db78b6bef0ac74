using LightTunnel.Addressing;
using LightTunnel.Traversal;
using Xunit;

namespace LightTunnel.Tests.Traversal;

public sealed class PunchPlanTests
{
    private static readonly string[] FieldKinds =
        ["FullCone", "Restricted", "PortRestricted", "SymmetricSequential", "SymmetricStepDown", "SymmetricRandom"];

    private static PunchSide Side(uint host, uint outside, string kind, bool ipv6 = false)
    {
        var candidates = new List<Candidate>
        {
            new(CandidateKind.Host, UdpEndpoint.FromIPv4(host, 9000)),
            new(CandidateKind.ServerReflexive, UdpEndpoint.FromIPv4(outside, 40_000)),
        };
        if (ipv6)
            candidates.Add(new(CandidateKind.Host, new UdpEndpoint(System.Net.IPAddress.Parse("2001:db8::" + (host & 0xFF)), 9000)));
        return new PunchSide(CandidateList.Create(candidates), Nats.BehaviourOf(kind));
    }

    public static TheoryData<string, string, bool> All()
    {
        var data = new TheoryData<string, string, bool>();
        foreach (string first in FieldKinds)
        {
            foreach (string second in FieldKinds)
            {
                data.Add(first, second, true);
                data.Add(first, second, false);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Create_AnyPair_IsBoundedOrderedAndTriesEveryCandidate(string first, string second, bool leads)
    {
        PunchSide local = Side(0xC0A80102, 0xC6336401, first, ipv6: true), remote = Side(0x0A000003, 0xC6336402, second, ipv6: true);
        PunchPlan plan = PunchPlan.Create(local, remote, leads);

        Assert.Equal(plan.Shots.Select(shot => shot.Delay).Order(), plan.Shots.Select(shot => shot.Delay));
        Assert.All(
            remote.Candidates, candidate => Assert.Contains(plan.Shots, shot => shot.Destination == candidate.Endpoint && !shot.IsGuess));
        Assert.InRange(plan.LocalSockets, 0, PunchPlan.BirthdaySockets);
        Assert.All(plan.Shots, shot => Assert.InRange(shot.Socket, 0, plan.LocalSockets));
        Assert.All(plan.Shots, shot => Assert.InRange(shot.Destination.Port, 1024, 65535));

        double[] guesses = [.. plan.Shots.Where(shot => shot.IsGuess).Select(shot => shot.Delay.TotalSeconds)];
        Assert.InRange(guesses.Length + (plan.Spray?.Total ?? 0), 0, PunchPlan.MaximumGuesses);
        Assert.All(
            guesses, start => Assert.InRange(guesses.Count(other => other >= start && other < start + 0.999), 0, PunchPlan.MaximumRate));
        Assert.Equal(guesses.Length > 0 || plan.Spray is not null, plan.UsesGuesses);

        // Without guesses the known endpoints are left.
        PunchPlan plain = PunchPlan.Create(local, remote, leads, allowGuesses: false);
        Assert.False(plain.UsesGuesses);
        Assert.Equal(0, plain.LocalSockets);
        Assert.All(remote.Candidates, candidate => Assert.Contains(plain.Shots, shot => shot.Destination == candidate.Endpoint));
    }

    [Fact]
    public void Create_LocalNetworkIsFirst()
    {
        PunchSide local = Side(0xC0A80102, 0xC6336401, "PortRestricted"), remote = Side(0xC0A80103, 0xC6336401, "PortRestricted");
        PunchPlan plan = PunchPlan.Create(local, remote, leads: true);
        Assert.Equal(remote.Candidates[0].Endpoint, plan.Shots[0].Destination);
        Assert.Equal(TimeSpan.Zero, plan.Shots[0].Delay);
        Assert.True(plan.Shots[1].Delay > TimeSpan.Zero);
    }

    [Fact]
    public void Create_RandomAgainstPortRestricted_OneSideOpensSocketsTheOtherGuesses()
    {
        PunchSide random = Side(0xC0A80102, 0xC6336401, "SymmetricRandom"), cone = Side(0x0A000003, 0xC6336402, "PortRestricted");
        PunchPlan many = PunchPlan.Create(random, cone, leads: true), guessing = PunchPlan.Create(cone, random, leads: false);
        Assert.Equal(PunchPlan.BirthdaySockets, many.LocalSockets);
        Assert.Null(many.Spray);
        Assert.Equal(0, guessing.LocalSockets);
        Assert.NotNull(guessing.Spray);
        Assert.Equal(0xC6336401u, (uint)guessing.Spray.Value.Address.MappedAddress);
    }

    /// <summary>
    /// Every probe leaves by the next port, and others take some before and in between: a probe of each side must go where the
    /// other's comes from.
    /// </summary>
    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(3, 0, 0)]
    [InlineData(0, 3, 0)]
    [InlineData(20, 20, 0)]
    [InlineData(60, 0, 0)]
    [InlineData(0, 30, 0)]
    [InlineData(5, 5, 5)]
    [InlineData(0, 0, 4)]
    [InlineData(10, 10, 7)]
    public void Create_BothSequential_MeetHoweverManyPortsOthersTook(int beforeOther, int beforeLeader, int oneMoreAfterEach)
    {
        foreach (string kind in (string[])["SymmetricSequential", "SymmetricStepDown"])
        {
            PunchSide first = Side(0xC0A80102, 0xC6336401, kind), second = Side(0x0A000003, 0xC6336402, "SymmetricSequential");
            (ushort Port, ushort Destination)[] leader = Leave(
                PunchPlan.Create(first, second, leads: true), first.Nat.Step, beforeLeader, oneMoreAfterEach);
            (ushort Port, ushort Destination)[] other = Leave(
                PunchPlan.Create(second, first, leads: false), second.Nat.Step, beforeOther, oneMoreAfterEach);
            Assert.Contains(leader, probe => other.Contains((probe.Destination, probe.Port)));
        }

        static (ushort Port, ushort Destination)[] Leave(PunchPlan plan, int step, int before, int oneMoreAfterEach)
        {
            int port = 40_000 + (step * before);
            var left = new Dictionary<(int Socket, ushort Destination), ushort>();
            int others = 0;
            foreach (PunchShot shot in plan.Shots.Where(shot => shot.Delay <= plan.Quiet))
            {
                if (!shot.IsGuess || !left.TryAdd((shot.Socket, shot.Destination.Port), (ushort)(port += step)))
                    continue;
                if (oneMoreAfterEach > 0 && ++others % oneMoreAfterEach == 0)
                    port += step;
            }

            return [.. left.Select(probe => (probe.Value, probe.Key.Destination))];
        }
    }

    /// <summary>
    /// Nothing of one's own takes a port that the other counts with: not the known endpoints, nor private ones of elsewhere, which the
    /// router translates as well.
    /// </summary>
    [Fact]
    public void Create_BothSequential_KnownEndpointsComeAfterwards()
    {
        PunchPlan plan = PunchPlan.Create(
            Side(0xC0A80102, 0xC6336401, "SymmetricSequential"), Side(0x0A000003, 0xC6336402, "SymmetricSequential"), leads: true);
        Assert.True(plan.IsMeeting);
        Assert.All(plan.Shots.Where(shot => shot.Delay < plan.Quiet), shot => Assert.True(shot.IsGuess));
        Assert.Equal(
            plan.LocalSockets, plan.Shots.Where(shot => shot.IsGuess).Select(shot => (shot.Socket, shot.Destination)).Distinct().Count());
    }

    [Fact]
    public void Create_RandomAgainstRestricted_NeedsNoGuess()
    {
        PunchSide random = Side(0xC0A80102, 0xC6336401, "SymmetricRandom"), cone = Side(0x0A000003, 0xC6336402, "Restricted");
        Assert.False(PunchPlan.Create(random, cone, leads: true).UsesGuesses);
        Assert.False(PunchPlan.Create(cone, random, leads: false).UsesGuesses);
    }

    [Fact]
    public void Create_LoopbackOfThePeer_IsTriedOnlyByWhoIsSeenThereToo()
    {
        var loopback = new Candidate(CandidateKind.ServerReflexive, UdpEndpoint.FromIPv4(0x7F000001, 9001));
        var remote = new PunchSide(CandidateList.Create([loopback]), default);
        PunchSide local = Side(0xC0A80102, 0xC6336401, "FullCone");
        Assert.Empty(PunchPlan.Create(local, remote, leads: true).Shots);
        var here = new PunchSide(
            CandidateList.Create(
                [.. local.Candidates, new(CandidateKind.ServerReflexive, UdpEndpoint.FromIPv4(0x7F000001, 9000))]), default);
        Assert.NotEmpty(PunchPlan.Create(here, remote, leads: true).Shots);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(1u)]
    [InlineData(123_456_789u)]
    [InlineData(uint.MaxValue)]
    public void SprayPort_VisitsEveryPortOnce(uint seed)
    {
        var seen = new HashSet<ushort>();
        for (int i = 0; i < 65536 - 1024; i++)
        {
            ushort port = PunchPlan.SprayPort(seed, i);
            Assert.True(port >= 1024);
            Assert.True(seen.Add(port));
        }
    }

    [Fact]
    public void IsHopeless_OnlyWhenBothDependAndOneIsRandom()
    {
        foreach (string first in FieldKinds)
        {
            foreach (string second in FieldKinds)
            {
                bool both = first.StartsWith("Symmetric", StringComparison.Ordinal)
                    && second.StartsWith("Symmetric", StringComparison.Ordinal);
                bool random = first == "SymmetricRandom" || second == "SymmetricRandom";
                Assert.Equal(both && random, PunchPlan.IsHopeless(Nats.BehaviourOf(first), Nats.BehaviourOf(second)));
            }
        }
    }
}
