using LightTunnel.Internet.Wires;

namespace LightTunnel.Internet.Simulation;

/// <summary>The wire from a host or a NAT to what it is connected to.</summary>
internal sealed class SimulatedWire(Random random, WireConditions conditions)
{
    /// <summary>Towards the internet.</summary>
    public WireDirection Up { get; } = new(random.Next(), conditions);

    /// <summary>From the internet.</summary>
    public WireDirection Down { get; } = new(random.Next(), conditions);

    /// <summary>What the wire does to datagrams in both directions.</summary>
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
}
