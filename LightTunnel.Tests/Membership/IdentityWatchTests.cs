using LightTunnel.Internet.Simulation;
using LightTunnel.Membership;
using Xunit;

namespace LightTunnel.Tests.Membership;

public sealed class IdentityWatchTests
{
    private readonly VirtualTime _time = new();
    private readonly IdentityWatch _watch;

    public IdentityWatchTests() => _watch = new IdentityWatch(_time);

    [Fact]
    public void OnRegister_TwoThatTakeOverFromEachOther_TheLaterOneIsSentAwayForAWhile()
    {
        Admit(1, 1, 2, 1);
        Assert.False(_watch.TakeNews());
        Assert.Equal(IdentityVerdict.Replace, _watch.OnRegister(2, wasAnswered: true));
        Assert.Equal(IdentityVerdict.StillReplaced, _watch.OnRegister(2, wasAnswered: false));
        Admit(1);
        Assert.True(_watch.TakeNews());
        Assert.False(_watch.TakeNews());
        _time.Advance(IdentityWatch.Wait);

        // The other one may be gone by now. If it is not, it comes back, and it is the same again.
        Admit(2, 1);
        Assert.Equal(IdentityVerdict.Replace, _watch.OnRegister(2, wasAnswered: true));
    }

    [Fact]
    public void OnRegister_ProcessesOneAfterTheOther_AreAdmitted() => Admit(1, 2, 3, 3, 4, 5, 0, 6, 0, 7);

    [Fact]
    public void OnRegister_LateFrameOfAProcessThatEnded_SendsNobodyAway()
    {
        Admit(1, 2, 1);
        Assert.Equal(IdentityVerdict.Admit, _watch.OnRegister(2, wasAnswered: false)); // Nobody answered as 1.
        Admit(2, 3, 4);
    }

    [Fact]
    public void OnRegister_WhoNeverAnswered_IsNoneThatTookOver()
    {
        Admit(1, 2);
        Assert.Equal(IdentityVerdict.Admit, _watch.OnRegister(1, wasAnswered: false)); // 2 was the late frame.
        Admit(2);
    }

    [Fact]
    public void OnRegister_OlderVersions_AreNeverSentAway()
    {
        for (int i = 0; i < 10; i++)
            Admit(0);
        Admit(1, 0, 1, 0, 1, 0);
    }

    private void Admit(params ulong[] instances)
    {
        foreach (ulong instance in instances)
            Assert.Equal(IdentityVerdict.Admit, _watch.OnRegister(instance, wasAnswered: true));
    }
}
