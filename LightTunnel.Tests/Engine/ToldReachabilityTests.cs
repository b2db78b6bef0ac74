using LightTunnel.Addressing;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>When members' ports can be guessed by what they told.</summary>
public sealed class ToldReachabilityTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly ToldReachability _told;

    public ToldReachabilityTests()
    {
        _told = new ToldReachability(_time);
    }

    [Fact]
    public void Prediction_IsOfUseForAWhile_AndOnce()
    {
        Assert.False(_told.CanBeGuessed);
        _told.Set(Predicted(40_000));
        Assert.True(_told.CanBeGuessed);
        _told.UsePrediction();
        Assert.False(_told.CanBeGuessed);
        _told.Set(Predicted(40_064));
        Assert.True(_told.CanBeGuessed);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(_told.CanBeGuessed);
    }

    /// <summary>A member tells what it knows with each message; that it says so again makes it no younger.</summary>
    [Fact]
    public void PredictionToldAgain_IsNotANewOne()
    {
        _told.Set(Predicted(40_000));
        _told.UsePrediction();
        _told.Set(Predicted(40_000));
        Assert.False(_told.CanBeGuessed);
    }

    [Fact]
    public void SequentialWithoutAPrediction_CannotBeGuessed()
    {
        _told.Set(Predicted(null));
        Assert.False(_told.CanBeGuessed);
    }

    [Fact]
    public void UnknownNat_IsBeingLookedAt_ForAFewSeconds()
    {
        _told.Set(new Reachability());
        Assert.True(_told.IsLookingAtNat);
        _time.Advance(TimeSpan.FromSeconds(4));
        _told.Set(new Reachability { IsRelay = true });
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(_told.IsLookingAtNat);
        Assert.True(_told.CanBeGuessed);
    }

    private static Reachability Predicted(int? port) => new()
    {
        Candidates = port is { } next ? [new Candidate(CandidateKind.Predicted, UdpEndpoint.FromIPv4(0xC6336401, (ushort)next))] : [],
        Nat = new NatBehaviour(
            EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Sequential, 1),
    };
}
