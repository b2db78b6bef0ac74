namespace LightTunnel.Internet.Wires;

/// <summary>The wire from a host or a NAT to what it is connected to, and what lies between them.</summary>
/// <param name="random">Loss and jitter.</param>
/// <param name="conditions">What the wire does to packets at first.</param>
internal sealed class Wire(Random random, WireConditions conditions)
{
    /// <summary>Towards the internet.</summary>
    public WireDirection Up { get; } = new(random.Next(), conditions);

    /// <summary>From the internet.</summary>
    public WireDirection Down { get; } = new(random.Next(), conditions);

    /// <summary>What the wire does to packets in both directions.</summary>
    public WireConditions Conditions
    {
        set => Up.Conditions = Down.Conditions = value;
    }

    /// <summary>True while nothing passes in either direction.</summary>
    public bool IsCut
    {
        get => Up.IsCut && Down.IsCut;
        set => Up.IsCut = Down.IsCut = value;
    }

    /// <summary>What became of the packets given to this wire.</summary>
    public FateCounters Fates { get; } = new();
}
