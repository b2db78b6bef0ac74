using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Server;

/// <summary>What a member told the server of how it may be reached, and what of that is still of use. Owned by the control loop.</summary>
internal sealed class ToldReachability(TimeProvider time)
{
    /// <summary>
    /// A predicted port that was told longer ago is worth little: others use the NAT too. Both members are asked for theirs at the same
    /// time, so that one answer waits no longer than the other's way is longer.
    /// </summary>
    private static readonly TimeSpan PredictionLifetime = TimeSpan.FromSeconds(1);

    /// <summary>After so long a member that does not know its NAT will not get to know it.</summary>
    private static readonly TimeSpan LongestLook = TimeSpan.FromSeconds(5);

    private Timestamp _firstTold;
    private UdpEndpoint _prediction;
    private Timestamp _predictionTold;

    /// <summary>What it told last, null until it told.</summary>
    public Reachability? Latest { get; private set; }

    /// <summary>True while the member is likely to look at its NAT still: it will tell.</summary>
    public bool IsLookingAtNat => Latest is { Nat.Mapping: EndpointDependence.Unknown } && time.Now() - _firstTold < LongestLook;

    /// <summary>
    /// True when ports may be guessed now: those of its NAT are not one after another, or the next one was told a moment ago and
    /// nobody has used it.
    /// </summary>
    public bool CanBeGuessed => Latest is { } latest && (!latest.Nat.IsPredictable || time.Now() - _predictionTold < PredictionLifetime);

    /// <summary>Takes what the member tells.</summary>
    public void Set(Reachability reachability)
    {
        Timestamp now = time.Now();
        if (Latest is null)
            _firstTold = now;
        Latest = reachability;
        UdpEndpoint predicted = reachability.Candidates.FirstOrDefault(candidate => candidate.Kind == CandidateKind.Predicted).Endpoint;
        // One that was told before does not become younger, nor one that was used of use again.
        if (predicted != _prediction)
            (_prediction, _predictionTold) = (predicted, now);
    }

    /// <summary>Both members guess each other's ports now, which uses up those that were predicted.</summary>
    public void UsePrediction() => _predictionTold = Timestamp.NotYet;
}
