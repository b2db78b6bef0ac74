using System.Net;

namespace LightTunnel.Access;

/// <summary>An access rule as its admin sees it.</summary>
public sealed record RuleStatus
{
    /// <summary>Name of the tunnel.</summary>
    public required string Tunnel { get; init; }

    /// <summary>Its place among the others; 0 for client isolation.</summary>
    public required int Number { get; init; }

    /// <summary>What it is for; empty for nothing.</summary>
    public string Name { get; init; } = string.Empty;

    /// <summary>Who begins: "*", "server", "clients", names of members, "group:office", addresses and prefixes.</summary>
    public required IReadOnlyList<string> From { get; init; }

    /// <summary>Who is talked to, in the same way.</summary>
    public required IReadOnlyList<string> To { get; init; }

    /// <summary>By which protocol.</summary>
    public RuleProtocol Protocol { get; init; }

    /// <summary>At which ports, "22" or "8000-8099"; empty for all.</summary>
    public IReadOnlyList<string> Ports { get; init; } = [];

    /// <summary>What becomes of it.</summary>
    public required RuleAction Action { get; init; }

    /// <summary>False for one that does not count.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>Packets that were dropped because of it, by this node.</summary>
    public long Dropped { get; init; }
}

/// <summary>A rule as an admin wants it.</summary>
public sealed record RuleSpec
{
    /// <summary>Its number; 0 to choose one behind all others.</summary>
    public int Number { get; init; }

    /// <summary>The number that it gets instead of its own; 0 to keep that.</summary>
    public int NewNumber { get; init; }

    /// <inheritdoc cref="RuleStatus.Name"/>
    public string Name { get; init; } = string.Empty;

    /// <inheritdoc cref="RuleStatus.From"/>
    public required IReadOnlyList<string> From { get; init; }

    /// <inheritdoc cref="RuleStatus.To"/>
    public required IReadOnlyList<string> To { get; init; }

    /// <inheritdoc cref="RuleStatus.Protocol"/>
    public RuleProtocol Protocol { get; init; }

    /// <inheritdoc cref="RuleStatus.Ports"/>
    public IReadOnlyList<string> Ports { get; init; } = [];

    /// <inheritdoc cref="RuleStatus.Action"/>
    public RuleAction Action { get; init; }

    /// <inheritdoc cref="RuleStatus.Enabled"/>
    public bool Enabled { get; init; } = true;

    /// <summary>Where it is written, "rules.yaml, line 12"; null when nowhere.</summary>
    public string? Origin { get; init; }
}

/// <summary>What is to become of rules.</summary>
public enum RuleChangeKind
{
    /// <summary>Rules are added to those that there are.</summary>
    Add,

    /// <summary>Rules take the place of those of their numbers.</summary>
    Set,

    /// <summary>Rules are taken out.</summary>
    Remove,

    /// <summary>Rules take the place of all that there are.</summary>
    Replace,
}

/// <summary>A change of rules, which is made whole or not at all.</summary>
public sealed record RuleChange
{
    /// <summary>What is to become of them.</summary>
    public required RuleChangeKind Kind { get; init; }

    /// <summary>The rules; none to remove some.</summary>
    public IReadOnlyList<RuleSpec> Rules { get; init; } = [];

    /// <summary>The numbers of those that are removed.</summary>
    public IReadOnlyList<int> Numbers { get; init; } = [];

    /// <summary>The user who does it, for the log.</summary>
    public string By { get; init; } = string.Empty;
}

/// <summary>A connection that somebody asks about.</summary>
/// <param name="From">Who begins: "server", a member's name, or an address.</param>
/// <param name="To">Who is talked to.</param>
/// <param name="Protocol">By which protocol.</param>
/// <param name="Port">At which port.</param>
public sealed record RuleQuestion(string From, string To, RuleProtocol Protocol, int Port);

/// <summary>What rules say to a connection.</summary>
/// <param name="Tunnel">Name of the tunnel.</param>
/// <param name="Source">Address of who begins.</param>
/// <param name="Destination">Address of who is talked to.</param>
/// <param name="Action">What becomes of it.</param>
/// <param name="Rule">The rule that decides; null when none does, so that it is allowed.</param>
public sealed record RuleVerdict(string Tunnel, IPAddress Source, IPAddress Destination, RuleAction Action, RuleStatus? Rule);
