namespace LightTunnel.Management;

/// <summary>What is to become another of the networks behind nodes that a tunnel offers and takes; what is null stays as it is.</summary>
public sealed record RouteSettingsChange
{
    /// <summary>The networks that it offers, and no others.</summary>
    public IReadOnlyList<string>? Route { get; init; }

    /// <summary>What these are to the others, in the same order; as they are when null, and the networks are given.</summary>
    public IReadOnlyList<string>? As { get; init; }

    /// <summary>Whether what goes on into them keeps its source addresses.</summary>
    public bool? NoSnat { get; init; }

    /// <summary>The prefixes within which it takes networks behind others, and no others; "*" for all.</summary>
    public IReadOnlyList<string>? AcceptRoute { get; init; }

    /// <summary>Whether the named ones are taken also where they are in the way of something.</summary>
    public bool? ForceRoute { get; init; }

    /// <summary>Whether it offers itself as an exit node.</summary>
    public bool? OfferExitNode { get; init; }

    /// <summary>The member that all else goes out by; "none" for none, with what belongs to it.</summary>
    public string? ExitNode { get; init; }

    /// <summary>Whether the local network is reached beside the exit node.</summary>
    public bool? AllowLan { get; init; }

    /// <summary>Whether nothing goes out beside the tunnel.</summary>
    public bool? KillSwitch { get; init; }
}
