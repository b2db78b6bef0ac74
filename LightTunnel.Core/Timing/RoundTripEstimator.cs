namespace LightTunnel.Timing;

/// <summary>
/// Smooths the round trips of one path and says how long to wait for an answer: RFC 6298 section 2, by its names. Whoever feeds it leaves
/// out what was sent more than once, as nobody knows which of the two was answered (Karn's algorithm, section 3), unless answers tell by
/// themselves what they answer. A field of its owner's, for one thread.
/// </summary>
internal struct RoundTripEstimator
{
    /// <summary>A new measurement's weight in <see cref="SmoothedRoundTrip"/>, alpha, is 1/8.</summary>
    private const int SmoothingDivisor = 8;

    /// <summary>A new measurement's weight in <see cref="Variation"/>, beta, is 1/4.</summary>
    private const int VariationDivisor = 4;

    /// <summary>K: an answer may take so many variations longer than usual.</summary>
    private const int VariationsWaited = 4;

    /// <summary>SRTT, null before the first measurement.</summary>
    public TimeSpan? SmoothedRoundTrip { get; private set; }

    /// <summary>RTTVAR, zero before the first measurement.</summary>
    public TimeSpan Variation { get; private set; }

    /// <summary>RTO: how long an answer is waited for.</summary>
    /// <param name="initial">The wait before the first measurement.</param>
    /// <param name="minimum">The shortest: schedulers and radios pause.</param>
    /// <param name="maximum">The longest.</param>
    public readonly TimeSpan Timeout(TimeSpan initial, TimeSpan minimum, TimeSpan maximum)
    {
        TimeSpan timeout = SmoothedRoundTrip is { } smoothed ? smoothed + (VariationsWaited * Variation) : initial;
        return timeout < minimum ? minimum : timeout > maximum ? maximum : timeout;
    }

    /// <summary>Takes one measurement, R.</summary>
    public void Add(TimeSpan roundTrip)
    {
        if (SmoothedRoundTrip is { } smoothed)
        {
            // RTTVAR first, with the SRTT of before.
            Variation += ((smoothed - roundTrip).Duration() - Variation) / VariationDivisor;
            SmoothedRoundTrip = smoothed + ((roundTrip - smoothed) / SmoothingDivisor);
        }
        else
        {
            SmoothedRoundTrip = roundTrip;
            Variation = roundTrip / 2;
        }
    }

    /// <summary>Forgets all measurements: the path became another one.</summary>
    public void Reset() => (SmoothedRoundTrip, Variation) = (null, TimeSpan.Zero);
}
