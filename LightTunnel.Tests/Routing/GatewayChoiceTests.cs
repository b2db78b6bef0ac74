using LightTunnel.Routing;
using Xunit;

namespace LightTunnel.Tests.Routing;

/// <summary>Which of several nodes carries a network that all of them have behind them.</summary>
public sealed class GatewayChoiceTests
{
    private static Gateway At(int? milliseconds, GatewayHealth health = GatewayHealth.Proven, bool isThere = true) =>
        new(isThere, health, milliseconds is { } time ? TimeSpan.FromMilliseconds(time) : null);

    private static int Choose(int current, params Gateway[] gateways) => GatewayChoice.Choose(gateways, current, mayImprove: true);

    [Fact]
    public void First_TheNearestThatAnswers()
    {
        Assert.Equal(1, Choose(-1, At(30), At(10), At(20)));
        Assert.Equal(2, Choose(-1, At(5, GatewayHealth.Failing), At(null, GatewayHealth.Unknown), At(80)));
        Assert.Equal(0, Choose(-1, At(null), At(null)));
        Assert.Equal(1, Choose(-1, At(5, isThere: false), At(null, GatewayHealth.Failing)));
    }

    [Fact]
    public void WhoCarriesIt_StaysAsLongAsItAnswers_UnlessAnotherIsClearlyNearer()
    {
        Assert.Equal(0, Choose(0, At(30), At(26)));
        Assert.Equal(1, Choose(0, At(30), At(12)));
        Assert.Equal(0, GatewayChoice.Choose([At(30), At(12)], 0, mayImprove: false));
        Assert.Equal(0, Choose(0, At(null, GatewayHealth.Unknown), At(12)));
        Assert.Equal(0, Choose(0, At(30), At(1, GatewayHealth.Unknown)));
    }

    [Fact]
    public void WhoFailsOrGoes_IsLeftAtOnce_ForWhoeverIsBetter()
    {
        Assert.Equal(1, GatewayChoice.Choose([At(1, GatewayHealth.Failing), At(500)], 0, mayImprove: false));
        Assert.Equal(1, GatewayChoice.Choose([At(1, isThere: false), At(null, GatewayHealth.Unknown)], 0, mayImprove: false));
        Assert.Equal(0, Choose(0, At(1, GatewayHealth.Failing), At(1, GatewayHealth.Failing)));
        Assert.Equal(0, Choose(0, At(1, GatewayHealth.Failing), At(1, isThere: false)));
        Assert.Equal(1, Choose(0, At(1, isThere: false), At(1, GatewayHealth.Failing)));
    }

    /// <summary>Whatever is known of them, who carries it is there and answers, if anybody is and does.</summary>
    [Fact]
    public void WhateverIsKnown_NobodyWorseIsChosenThanThereIs()
    {
        var random = new Random(Fuzz.Seed(7));
        for (int i = 0; i < Fuzz.Count(20_000); i++)
        {
            Gateway[] gateways = [.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => At(
                random.Next(4) == 0 ? null : random.Next(1, 300), (GatewayHealth)random.Next(3), random.Next(4) != 0))];
            int current = random.Next(-1, gateways.Length);
            int chosen = GatewayChoice.Choose(gateways, current, random.Next(2) == 0);
            Assert.InRange(chosen, 0, gateways.Length - 1);
            Assert.True(IsGood(gateways[chosen]) || !Array.Exists(gateways, IsProven), string.Join(' ', gateways));
            Assert.Equal(chosen, GatewayChoice.Choose(gateways, chosen, mayImprove: false)); // It does not change its mind.
        }

        static bool IsProven(Gateway gateway) => gateway is { IsThere: true, Health: GatewayHealth.Proven };
        static bool IsGood(Gateway gateway) => gateway is { IsThere: true, Health: not GatewayHealth.Failing };
    }
}
