using LightTunnel.Addressing;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Traversal;

/// <summary>How often ports are guessed.</summary>
public sealed class GuessAllowanceTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly GuessAllowance _allowance;

    public GuessAllowanceTests()
    {
        _allowance = new GuessAllowance(new Random(1));
    }

    [Fact]
    public void BothPredicted_FewAttemptsComeQuickly_ThenRarely()
    {
        Assert.InRange(AttemptsWithin(TimeSpan.FromSeconds(20), Meeting()), 4, 5);
        Assert.InRange(AttemptsWithin(TimeSpan.FromMinutes(10), Meeting()), 2, 6);
    }

    [Fact]
    public void OtherGuesses_AreRareFromTheFirst() => Assert.Equal(1, AttemptsWithin(TimeSpan.FromSeconds(20), Birthday()));

    /// <summary>Who makes something change all the while has no more guessed than twenty times, and once a minute.</summary>
    [Fact]
    public void SomethingChangesAllTheWhile_AttemptsAreBounded() =>
        Assert.InRange(AttemptsWithin(TimeSpan.FromMinutes(10), Meeting(), reset: true), 20, 30);

    private int AttemptsWithin(TimeSpan duration, PunchPlan plan, bool reset = false)
    {
        int attempts = 0;
        for (TimeSpan passed = TimeSpan.Zero; passed < duration; passed += TimeSpan.FromMilliseconds(100))
        {
            if (reset)
                _allowance.Reset();
            if (_allowance.IsGiven(_time.Now(), busy: true))
            {
                _allowance.Spend(_time.Now(), plan);
                attempts++;
            }

            _time.Advance(TimeSpan.FromMilliseconds(100));
        }

        return attempts;
    }

    private static PunchPlan Meeting() => Plan("SymmetricSequential", "SymmetricSequential");

    private static PunchPlan Birthday() => Plan("SymmetricRandom", "PortRestricted");

    private static PunchPlan Plan(string first, string second)
    {
        PunchPlan plan = PunchPlan.Create(Side(0xC6336401, first), Side(0xC6336402, second), leads: true);
        Assert.True(plan.UsesGuesses);
        return plan;
    }

    private static PunchSide Side(uint outside, string kind) =>
        new(
            CandidateList.Create([new Candidate(CandidateKind.ServerReflexive, UdpEndpoint.FromIPv4(outside, 40_000))]),
            Nats.BehaviourOf(kind));
}
