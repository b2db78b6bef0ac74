using LightTunnel.Internet.Fakes;

namespace LightTunnel.Internet.Simulation;

/// <summary>The wire from a host or a NAT to what it is connected to, with chance of its own: other wires' traffic does not change its luck.</summary>
internal sealed class SimulatedWire(int seed, LinkConditions conditions)
{
    private readonly Random _random = new(seed);

    /// <summary>What happens to datagrams towards the internet.</summary>
    public LinkConditions Up { get; set; } = conditions;

    /// <summary>What happens to datagrams from the internet.</summary>
    public LinkConditions Down { get; set; } = conditions;

    /// <summary>What happens in both directions.</summary>
    public LinkConditions Conditions
    {
        set => Up = Down = value;
    }

    /// <summary>Nothing passes towards the internet.</summary>
    public bool IsCutUp { get; set; }

    /// <summary>Nothing passes from the internet.</summary>
    public bool IsCutDown { get; set; }

    /// <summary>Nothing passes.</summary>
    public bool IsCut
    {
        get => IsCutUp && IsCutDown;
        set => IsCutUp = IsCutDown = value;
    }

    /// <summary>What becomes of one datagram. The number of random draws is fixed, so that one condition changed leaves the rest of a run alike.</summary>
    /// <param name="upward">Its direction.</param>
    /// <param name="length">Bytes of UDP payload.</param>
    /// <param name="delay">How long it takes.</param>
    /// <param name="copies">How often it arrives: 0, 1 or 2 times.</param>
    public void Pass(bool upward, int length, out TimeSpan delay, out int copies)
    {
        LinkConditions conditions = upward ? Up : Down;
        double loss = _random.NextDouble(), jitter = _random.NextDouble(), duplication = _random.NextDouble(), reordering = _random.NextDouble();
        bool lost = (upward ? IsCutUp : IsCutDown) || loss < conditions.Loss || length > conditions.MaximumDatagram;
        copies = lost ? 0 : duplication < conditions.Duplication ? 2 : 1;
        delay = conditions.Delay + (conditions.Jitter * jitter);
        if (reordering < conditions.Reordering)
            delay += conditions.ReorderDelay;
    }
}
