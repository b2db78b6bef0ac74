namespace LightTunnel.Internet.Wires;

/// <summary>One direction of a wire, with chance of its own: what others carry does not change its luck.</summary>
/// <param name="seed">Loss, jitter and the like.</param>
/// <param name="conditions">What it does to packets at first.</param>
internal sealed class WireDirection(int seed, WireConditions conditions)
{
    private readonly Random _random = new(seed);
    private TimeSpan _lastArrival;

    /// <summary>What it does to packets from now on.</summary>
    public WireConditions Conditions { get; set; } = conditions;

    /// <summary>True while nothing passes.</summary>
    public bool IsCut { get; set; }

    /// <summary>
    /// Decides about one packet, whose length is the sender's to check. The number of random draws is fixed, so that one condition changed
    /// leaves the rest of a run alike.
    /// </summary>
    /// <param name="now">When it is sent.</param>
    /// <param name="arrival">When it arrives.</param>
    /// <param name="copies">How often it arrives: 0, 1 or 2 times.</param>
    public PacketFate Pass(TimeSpan now, out TimeSpan arrival, out int copies)
    {
        double loss = _random.NextDouble(), jitter = _random.NextDouble();
        double duplication = _random.NextDouble(), reordering = _random.NextDouble();
        arrival = now + Conditions.Delay + (Conditions.Jitter * jitter);
        copies = 0;
        if (IsCut)
            return PacketFate.Cut;
        if (loss < Conditions.Loss)
            return PacketFate.Lost;
        copies = duplication < Conditions.Duplication ? 2 : 1;
        if (!Conditions.Reorders && arrival < _lastArrival)
            arrival = _lastArrival;
        _lastArrival = arrival;
        if (reordering < Conditions.Reordering)
            arrival += Conditions.ReorderDelay;
        return PacketFate.Forwarded;
    }
}
