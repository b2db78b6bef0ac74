using LightTunnel.Addressing;
using LightTunnel.Traversal;
using Xunit;

namespace LightTunnel.Tests.Traversal;

public sealed class PeerTraversalTests
{
    private static readonly string[] FieldKinds =
        ["Open", "FullCone", "Restricted", "PortRestricted", "SymmetricSequential", "SymmetricStepDown", "SymmetricRandom"];

    private static readonly TimeSpan RoundTrip = TimeSpan.FromMilliseconds(40);

    public static TheoryData<string, string> Pairs()
    {
        var pairs = new TheoryData<string, string>();
        foreach (string first in FieldKinds)
        {
            foreach (string second in FieldKinds)
                pairs.Add(first, second);
        }

        return pairs;
    }

    private static bool IsSymmetric(string kind) => kind.StartsWith("Symmetric", StringComparison.Ordinal);

    internal static TestInternet Pair(string first, string second, int seed = 1) => new(Nats.Named(first), Nats.Named(second), seed);

    internal static TestInternet ProvenPair(string first = "PortRestricted", string second = "PortRestricted")
    {
        TestInternet internet = Pair(first, second);
        internet.Exchange();
        internet.Introduce();
        Assert.NotNull(internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(1)));
        return internet;
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Introduce_EveryPairOfNats_BecomesDirectUnlessPortsCannotBeKnown(string first, string second)
    {
        for (int seed = 1; seed <= 20; seed++)
        {
            using TestInternet internet = Pair(first, second, seed);
            internet.Exchange();
            internet.Introduce();
            TimeSpan? direct = internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(15));

            bool hopeless = IsSymmetric(first) && IsSymmetric(second) && (first == "SymmetricRandom" || second == "SymmetricRandom");
            if (hopeless)
            {
                Assert.Null(direct);
                Assert.Equal(TraversalState.BothNatsRandom, internet.A.Traversal.State);
                continue;
            }

            Assert.NotNull(direct);
            Assert.Equal(TraversalState.Proven, internet.A.Traversal.State);
            if (!IsSymmetric(first) && !IsSymmetric(second))
                Assert.True(direct <= (3 * RoundTrip) + TimeSpan.FromMilliseconds(50), $"{direct}");
            else if (first != "SymmetricRandom" && second != "SymmetricRandom")
                Assert.True(direct <= TimeSpan.FromSeconds(2), $"{direct}");
        }
    }

    [Theory]
    [InlineData("PortRestricted", "SymmetricSequential")]
    [InlineData("SymmetricSequential", "SymmetricSequential")]
    [InlineData("SymmetricSequential", "SymmetricStepDown")]
    public void Introduce_OthersTookPortsMeanwhile_PredictionStillHits(string first, string second)
    {
        using TestInternet internet = Pair(first, second);
        internet.Exchange();
        for (int i = 0; i < 4; i++)
        {
            internet.A.Nat!.TakePort();
            internet.B.Nat!.TakePort();
        }

        internet.Introduce();
        Assert.NotNull(internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(2)));
    }

    [Fact]
    public void Introduce_RandomAgainstPortRestricted_MedianIsWithinTenSecondsAndTrafficBounded()
    {
        var times = new List<TimeSpan>();
        for (int seed = 100; seed < 140; seed++)
        {
            using TestInternet internet = Pair("SymmetricRandom", "PortRestricted", seed);
            internet.Exchange();
            internet.Introduce();
            times.Add(internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(15)) ?? TimeSpan.MaxValue);
            Assert.InRange(
                internet.A.ProbesSent + internet.B.ProbesSent, 1, PunchPlan.MaximumGuesses + (2 * PunchPlan.BirthdaySockets) + 100);
            if (internet.BothProven)
            {
                LocalEnd socket = internet.A.Traversal.Paths.First(path => path.IsProven).Key.Local;
                Assert.True(internet.A.Traversal.IsSocketNeeded(socket));
                Assert.Equal(0, internet.A.Traversal.Sockets.Wanted);
            }
        }

        times.Sort();
        Assert.True(times[times.Count / 2] <= TimeSpan.FromSeconds(10), $"{times[times.Count / 2]}");
    }

    [Fact]
    public void Introduce_SameLanWithoutHairpin_ProvesTheLocalPathWithinMilliseconds()
    {
        using var internet = new TestInternet(Nats.Named("PortRestricted"), Nats.Named("PortRestricted"), sameLan: true);
        internet.Exchange();
        internet.Introduce();
        TimeSpan? direct = internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(1));
        Assert.True(direct <= TimeSpan.FromMilliseconds(5), $"{direct}");
        Assert.True(internet.A.Traversal.IsLocalNetwork(internet.A.Traversal.Paths.Single(path => path.IsProven).Key));
    }

    [Fact]
    public void Introduce_OneSideHearsLate_StillBecomesDirect()
    {
        using TestInternet internet = Pair("PortRestricted", "PortRestricted");
        internet.Exchange();
        internet.Introduce(secondLate: TimeSpan.FromMilliseconds(400));
        Assert.NotNull(internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public void WithoutIntroduction_CandidatesAlone_BecomeDirect()
    {
        using TestInternet internet = Pair("PortRestricted", "PortRestricted");
        internet.Exchange();
        Assert.NotNull(internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(2)));
    }

    [Fact]
    public void OnDatagram_ProbeFromUnknownEndpoint_IsLearnedAndUsed()
    {
        using TestInternet internet = Pair("SymmetricRandom", "Open");
        internet.Exchange();
        internet.Introduce();
        Assert.NotNull(internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(1)));
        ProbedPath path = internet.B.Traversal.Paths.Single(path => path.IsProven);
        Assert.NotEqual(internet.A.Nat!.Out(internet.A.Endpoint(), TestInternet.Server), path.Key.Endpoint);
        Assert.Equal(internet.A.LastSeenFrom, path.Key.Endpoint);
    }

    [Fact]
    public void Cut_UnderTraffic_PathIsLeftWithinASecond()
    {
        for (int offset = 0; offset < 250; offset += 25)
        {
            using TestInternet internet = ProvenPair();
            internet.RunWithTraffic(TimeSpan.FromSeconds(10) + TimeSpan.FromMilliseconds(offset));
            internet.Cut = _ => true;
            internet.RunWithTraffic(TimeSpan.FromMilliseconds(400));
            internet.RunWithTraffic(TimeSpan.FromMilliseconds(500));
            Assert.False(internet.A.Traversal.IsProven);
            Assert.False(internet.B.Traversal.IsProven);
            Assert.NotEqual(TraversalState.Proven, internet.A.Traversal.State);
        }
    }

    [Fact]
    public void Cut_LongRoundTripUnderTraffic_PathIsLeftWithinASecond()
    {
        using TestInternet internet = Pair("FullCone", "FullCone");
        internet.Delay = TimeSpan.FromMilliseconds(100);
        internet.Exchange();
        internet.Introduce();
        Assert.NotNull(internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(2)));
        internet.RunWithTraffic(TimeSpan.FromSeconds(10));
        internet.Cut = _ => true;
        // Answers on their way still arrive: the cut is felt a round trip later.
        internet.RunWithTraffic(TimeSpan.FromMilliseconds(1000));
        Assert.False(internet.BothProven);
        internet.RunWithTraffic(TimeSpan.FromMilliseconds(150));
        Assert.False(internet.A.Traversal.IsProven || internet.B.Traversal.IsProven);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(3600)]
    public void Cut_OfTwoPaths_TheOtherIsProvenTheMomentTheFirstIsLost(int idleSeconds)
    {
        using var internet = new TestInternet(Nats.Named("PortRestricted"), Nats.Named("PortRestricted"), sameLan: true) { Hairpin = true };
        internet.Exchange();
        internet.Introduce();
        internet.RunWithTraffic(TimeSpan.FromSeconds(1));
        Assert.True(internet.A.Traversal.IsLocalNetwork(internet.A.InUse!.Value));
        internet.Run(TimeSpan.FromSeconds(idleSeconds));
        internet.RunWithTraffic(TimeSpan.FromSeconds(6));
        bool wasLost = false;
        internet.A.OnPathsChanged = () =>
        {
            if (wasLost)
                return;
            wasLost = true;
            Assert.True(internet.A.Traversal.IsProven);
        };
        internet.LanCut = true;
        internet.RunWithTraffic(TimeSpan.FromSeconds(1));
        Assert.True(wasLost);
        Assert.False(internet.A.Traversal.IsLocalNetwork(internet.A.InUse!.Value));

        // And back, when the better one works again.
        internet.LanCut = false;
        internet.RunWithTraffic(TimeSpan.FromSeconds(31));
        Assert.True(internet.A.Traversal.IsLocalNetwork(internet.A.InUse!.Value));
    }

    [Fact]
    public void Traffic_AfterALongUnreachableTime_SpeedsRetriesUp()
    {
        using TestInternet internet = ProvenPair();
        internet.Cut = _ => true;
        internet.Run(TimeSpan.FromHours(1));
        internet.Cut = _ => false;
        internet.RunWithTraffic(TimeSpan.FromSeconds(1));
        Assert.True(internet.BothProven);
    }

    [Fact]
    public void Cut_Idle_PathIsLeftWithinFifteenSeconds()
    {
        using TestInternet internet = ProvenPair();
        internet.Run(TimeSpan.FromSeconds(33));
        Assert.True(internet.BothProven);
        internet.Cut = _ => true;
        TimeSpan? left = internet.RunUntil(
            () => !internet.A.Traversal.IsProven && !internet.B.Traversal.IsProven, TimeSpan.FromSeconds(15));
        Assert.NotNull(left);
        Assert.Equal(1, internet.A.PathChanges - 1);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Cut_OneWayUnderTraffic_IsBrokenForBoth(bool firstIsMute)
    {
        using TestInternet internet = ProvenPair();
        internet.RunWithTraffic(TimeSpan.FromSeconds(5));
        internet.Cut = sender => sender == (firstIsMute ? internet.A : internet.B);
        internet.RunWithTraffic(TimeSpan.FromSeconds(1));
        Assert.False(internet.A.Traversal.IsProven);
        Assert.False(internet.B.Traversal.IsProven);

        // And stays so, however often the one side is heard.
        internet.RunWithTraffic(TimeSpan.FromSeconds(30));
        Assert.False(internet.A.Traversal.IsProven);
        Assert.False(internet.B.Traversal.IsProven);
    }

    [Fact]
    public void Heal_UnderTraffic_DirectAgainWithinOneProbeRound()
    {
        using TestInternet internet = ProvenPair();
        internet.RunWithTraffic(TimeSpan.FromSeconds(5));
        internet.Cut = _ => true;
        internet.RunWithTraffic(TimeSpan.FromSeconds(5));
        Assert.False(internet.BothProven);
        internet.Cut = _ => false;
        internet.RunWithTraffic(TimeSpan.FromSeconds(4.5));
        Assert.True(internet.BothProven);
    }

    [Fact]
    public void Heal_AfterAnHour_DirectAgain()
    {
        using TestInternet internet = ProvenPair();
        internet.Cut = _ => true;
        internet.Run(TimeSpan.FromHours(1));
        Assert.Equal(TraversalState.Lost, internet.A.Traversal.State);
        Assert.True(internet.A.Traversal.TakeIntroductionRequest());
        internet.Cut = _ => false;
        Assert.NotNull(internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(61)));
    }

    [Fact]
    public void Idle_ProvenPair_SendsAtMostOneProbeAndAnswerPerTenSeconds()
    {
        using TestInternet internet = new(Nats.Named("PortRestricted"), Nats.Named("PortRestricted"), sameLan: true);
        internet.Exchange();
        internet.Introduce();
        internet.Run(TimeSpan.FromSeconds(20));
        Assert.True(internet.BothProven);
        int probesA = internet.A.ProbesSent, probesB = internet.B.ProbesSent, answersA = internet.A.AnswersSent;
        internet.Run(TimeSpan.FromMinutes(10));
        Assert.True(internet.BothProven);
        Assert.InRange(internet.A.ProbesSent - probesA, 50, 60);
        Assert.InRange(internet.B.ProbesSent - probesB, 50, 60);
        Assert.InRange(internet.A.AnswersSent - answersA, 50, 60);
    }

    /// <summary>A member may have the server introduce the two as often as it likes: the other guesses once a minute.</summary>
    [Fact]
    public void PeerAsksForGuessesAllTheTime_IsFollowedRarely()
    {
        using TestInternet internet = Pair("PortRestricted", "SymmetricRandom");
        internet.Cut = _ => true;
        internet.Exchange();
        for (int i = 0; i < 60 * 60; i++)
        {
            internet.Run(TimeSpan.FromSeconds(1));
            internet.A.Traversal.Introduce(internet.Now, internet.Now);
            internet.A.NextTimer = internet.Now;
        }

        Assert.InRange(internet.A.ProbesSent, PunchPlan.MaximumGuesses, (60 * 60 * 5) + ((20 + 60) * PunchPlan.MaximumGuesses));
    }

    [Fact]
    public void Unreachable_ForADay_SendsLittle()
    {
        using TestInternet internet = Pair("PortRestricted", "SymmetricRandom");
        internet.Cut = _ => true;
        internet.Exchange();
        int requests = 0;
        for (int i = 0; i < 24 * 60; i++)
        {
            internet.Run(TimeSpan.FromMinutes(1));
            // The server introduces whoever asks.
            bool asked = internet.A.Traversal.TakeIntroductionRequest() | internet.B.Traversal.TakeIntroductionRequest();
            if (!asked)
                continue;
            requests++;
            internet.Introduce(withGuesses: internet.A.Traversal.MayAskForGuesses(internet.Now, busy: false)
                || internet.B.Traversal.MayAskForGuesses(internet.Now, busy: false));
        }

        Assert.InRange(requests, 24 * 30, 24 * 60);
        // Guesses: some 40 plans of 2,000; the rest: a handful of probes a minute.
        Assert.InRange(internet.DatagramsSent / (24.0 * 3600), 0, 3.0);
    }

    [Fact]
    public void OneWay_NoTraffic_MakesNoPingPong()
    {
        using TestInternet internet = ProvenPair();
        internet.Cut = sender => sender == internet.A;
        internet.Run(TimeSpan.FromMinutes(1));
        int before = internet.DatagramsSent;
        internet.Run(TimeSpan.FromMinutes(10));
        Assert.InRange(internet.DatagramsSent - before, 10, 300);
    }

    [Theory]
    [InlineData(0.05)]
    [InlineData(0.10)]
    public void Loss_UnderTraffic_PathStaysAndLossIsMeasured(double loss)
    {
        using TestInternet internet = ProvenPair();
        internet.Loss = loss;
        int before = internet.A.PathChanges;
        double measured = 0;
        for (int i = 0; i < 60; i++)
        {
            internet.RunWithTraffic(TimeSpan.FromSeconds(5));
            measured += internet.A.Traversal.Paths.First(path => path.Key == internet.A.InUse).Loss!.Value / 60;
        }

        Assert.InRange(internet.A.PathChanges - before, 0, 4);
        double expected = 1 - ((1 - loss) * (1 - loss));
        Assert.InRange(measured, expected * 0.6, expected * 1.5);
    }

    [Fact]
    public void RoundTrip_IsThatOfThePath()
    {
        using TestInternet internet = ProvenPair();
        internet.RunWithTraffic(TimeSpan.FromSeconds(3));
        TimeSpan measured = internet.A.Traversal.Paths.First(path => path.IsProven).RoundTrip!.Value;
        Assert.InRange(measured, RoundTrip - TimeSpan.FromMilliseconds(1), RoundTrip + TimeSpan.FromMilliseconds(1));
    }

    [Fact]
    public void PathInUse_IsToldToThePeer()
    {
        using TestInternet internet = ProvenPair();
        internet.RunWithTraffic(TimeSpan.FromSeconds(2));
        Assert.Contains(internet.B.Traversal.Paths, path => path.PeerUses);
        Assert.False(internet.B.Traversal.PeerWillingToRelay);
        internet.A.Traversal.WillingToRelay = true;
        internet.RunWithTraffic(TimeSpan.FromSeconds(2));
        Assert.True(internet.B.Traversal.PeerWillingToRelay);
    }

    [Fact]
    public void OnNetworkChanged_TrustsNothingAndProvesAnewAtOnce()
    {
        using TestInternet internet = ProvenPair();
        internet.A.Traversal.OnNetworkChanged(internet.Now);
        internet.A.NextTimer = internet.Now;
        Assert.False(internet.A.Traversal.IsProven);
        Assert.True(internet.A.Traversal.TakeIntroductionRequest());
        Assert.NotNull(internet.RunUntil(() => internet.BothProven, TimeSpan.FromMilliseconds(200)));
    }

    [Fact]
    public void State_TellsWhatIsMissing()
    {
        using TestInternet internet = Pair("Open", "Open");
        Assert.Equal(TraversalState.WaitingForPeer, internet.A.Traversal.State);
        internet.A.Traversal.SetRemote(CandidateList.Empty, default, internet.Now);
        Assert.Equal(TraversalState.NoCandidates, internet.A.Traversal.State);
        internet.Cut = _ => true;
        internet.Exchange();
        internet.Introduce();
        Assert.Equal(TraversalState.Punching, internet.A.Traversal.State);
        internet.Run(TimeSpan.FromSeconds(10));
        Assert.Equal(TraversalState.NoAnswer, internet.A.Traversal.State);
    }

    [Fact]
    public void Simulation_RandomPairsDelaysAndLoss_DirectWheneverPossible()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            string first = FieldKinds[random.Next(FieldKinds.Length - 1)];
            string second = FieldKinds[random.Next(FieldKinds.Length - 1)];
            using TestInternet internet = Pair(first, second, seed);
            internet.Delay = TimeSpan.FromMilliseconds(random.Next(1, 150));
            internet.Loss = random.NextDouble() * 0.2;
            internet.Exchange();
            for (int round = 0; round < 10 && !internet.BothProven; round++)
            {
                internet.Introduce(TimeSpan.FromMilliseconds(random.Next(0, 30)));
                internet.RunUntil(() => internet.BothProven, TimeSpan.FromSeconds(4));
                if (!internet.BothProven)
                    internet.Exchange();
            }

            Assert.True(internet.BothProven, $"seed {seed}: {first} and {second}, {internet.Delay}, {internet.Loss:P0}");
        }
    }
}
