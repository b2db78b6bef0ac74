namespace LightTunnel.Internet.Wires;

/// <summary>What a wire does to packets in one direction or both. Immutable: to change a wire, give it other conditions.</summary>
internal sealed record WireConditions
{
    /// <summary>A wire that does nothing to packets.</summary>
    public static readonly WireConditions Perfect = new();

    /// <summary>Time from one end to the other.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>Time added at random to <see cref="Delay"/>, evenly from zero up to this.</summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>True lets jitter make packets overtake each other; otherwise order is kept.</summary>
    public bool Reorders { get; init; }

    /// <summary>Share of packets that get lost at random, 0..1.</summary>
    public double Loss { get; init; }

    /// <summary>Share of packets that arrive twice, 0..1.</summary>
    public double Duplication { get; init; }

    /// <summary>Share of packets that are held back by <see cref="ReorderDelay"/>, 0..1.</summary>
    public double Reordering { get; init; }

    /// <summary>How long such a packet is held back.</summary>
    public TimeSpan ReorderDelay { get; init; } = TimeSpan.FromMilliseconds(1);

    /// <summary>Longest packet that passes, bytes.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>False makes too long packets vanish silently, as behind firewalls that block ICMP.</summary>
    public bool ReportsTooBig { get; init; } = true;

    /// <summary>Conditions with this delay.</summary>
    public static WireConditions WithDelay(TimeSpan delay) => new() { Delay = delay };
}

/// <summary>What became of a packet on a wire or in a router.</summary>
internal enum PacketFate
{
    /// <summary>It went on its way.</summary>
    Forwarded,

    /// <summary>It went on its way in pieces.</summary>
    Fragmented,

    /// <summary>Chance took it.</summary>
    Lost,

    /// <summary>The wire was cut.</summary>
    Cut,

    /// <summary>It was too long for the next wire.</summary>
    TooBig,

    /// <summary>It had passed too many routers.</summary>
    HopLimit,

    /// <summary>No wire leads to its destination.</summary>
    NoRoute,

    /// <summary>It is no IP packet.</summary>
    Malformed,
}

/// <summary>How many packets met which fate.</summary>
internal sealed class FateCounters
{
    private readonly long[] _counts = new long[Enum.GetValues<PacketFate>().Length];

    /// <summary>How many packets met this fate.</summary>
    public long this[PacketFate fate] => Volatile.Read(ref _counts[(int)fate]);

    /// <summary>Counts one packet.</summary>
    public void Count(PacketFate fate) => Interlocked.Increment(ref _counts[(int)fate]);
}
