using System.Globalization;
using LightTunnel.Diagnostics;

namespace LightTunnel.Access;

/// <summary>What becomes of connections that a rule is about; the values are those in the store and on the wire.</summary>
public enum RuleAction
{
    /// <summary>They are refused.</summary>
    Deny = 0,

    /// <summary>They pass.</summary>
    Allow = 1,
}

/// <summary>Of which protocol connections are that a rule is about; the values are those in the store and on the wire.</summary>
public enum RuleProtocol
{
    /// <summary>Of any, those without a name here included.</summary>
    Any = 0,

    /// <summary>TCP.</summary>
    Tcp = 1,

    /// <summary>UDP.</summary>
    Udp = 2,

    /// <summary>ICMP and ICMPv6: pings, for the most part.</summary>
    Icmp = 3,
}

/// <summary>
/// Who may begin to talk to whom, and about what: one of a network's rules, as an admin wrote it. The rule of the lowest number that fits
/// decides; where none does, all is allowed. Never changed after creation.
/// </summary>
internal sealed record AccessRule
{
    /// <summary>Most rules of a network.</summary>
    public const int MaximumCount = 4096;

    /// <summary>Most selectors of one side of a rule.</summary>
    public const int MaximumSelectors = 64;

    /// <summary>Most ranges of ports of one rule.</summary>
    public const int MaximumPortRanges = 64;

    /// <summary>The highest number of a rule.</summary>
    public const int HighestNumber = 1_000_000;

    /// <summary>Longest name of a rule, characters.</summary>
    public const int LongestName = 100;

    /// <summary>The number of the rule that a server with client isolation has before all others.</summary>
    public const int ClientIsolationNumber = 0;

    /// <summary>The distance of rules that are numbered for a person, so that others fit in between.</summary>
    public const int NumberStep = 10;

    /// <summary>Its place among the others, and its only id: 1 to <see cref="HighestNumber"/>.</summary>
    public required int Number { get; init; }

    /// <summary>What it is for, for people; empty for nothing.</summary>
    public string Name { get; init; } = string.Empty;

    /// <summary>Who begins.</summary>
    public required IReadOnlyList<RuleSelector> From { get; init; }

    /// <summary>Who is talked to.</summary>
    public required IReadOnlyList<RuleSelector> To { get; init; }

    /// <summary>By which protocol.</summary>
    public RuleProtocol Protocol { get; init; }

    /// <summary>At which ports of who is talked to; empty for all.</summary>
    public IReadOnlyList<PortRange> Ports { get; init; } = [];

    /// <summary>What becomes of it.</summary>
    public required RuleAction Action { get; init; }

    /// <summary>False for one that is kept, but does not count.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>The rule that is client isolation: clients reach the server only.</summary>
    public static AccessRule ClientIsolation { get; } = new()
    {
        Number = ClientIsolationNumber,
        Name = "client isolation",
        From = [RuleSelector.Clients],
        To = [RuleSelector.Clients],
        Action = RuleAction.Deny,
    };

    /// <summary>By value, lists included.</summary>
    public bool Equals(AccessRule? other) =>
        other is not null && Number == other.Number && Name == other.Name && Protocol == other.Protocol && Action == other.Action
        && Enabled == other.Enabled && From.SequenceEqual(other.From) && To.SequenceEqual(other.To) && Ports.SequenceEqual(other.Ports);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Number, Action, Protocol, From.Count, To.Count);

    /// <summary>In one line, as people read it: "20 Allow Tcp 22,443 from group:office to 10.0.0.5".</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Number} {Action} {Protocol}{(Ports.Count == 0 ? string.Empty : $" {string.Join(',', Ports)}")} "
            + $"from {string.Join(',', From)} to {string.Join(',', To)}{(Enabled ? string.Empty : " (disabled)")}");

    /// <summary>Looks whether it is within all bounds.</summary>
    /// <exception cref="LightTunnelException">It is not.</exception>
    public void Check()
    {
        if (Number is < 1 or > HighestNumber)
        {
            throw Invalid(
                $"{Number} is no number of a rule.",
                string.Create(
                    CultureInfo.InvariantCulture, $"Give one from 1 to {HighestNumber:N0}: rules count in the order of their numbers."));
        }

        if (Name.Length > LongestName)
            throw Invalid($"The name of rule {Number} is too long.", $"Give one of up to {LongestName} characters.");
        CheckSide(From, "From");
        CheckSide(To, "To");
        if (Ports.Count > MaximumPortRanges)
            throw Invalid($"Rule {Number} has {Ports.Count} ranges of ports.", $"A rule has up to {MaximumPortRanges}: make two of it.");
        if (Ports.Count > 0 && Protocol is not (RuleProtocol.Tcp or RuleProtocol.Udp))
            throw Invalid($"Rule {Number} has ports, but is not about Tcp or Udp alone.", "Give it one of these protocols, or no ports.");
    }

    private void CheckSide(IReadOnlyList<RuleSelector> side, string name)
    {
        if (side.Count is 0 or > MaximumSelectors)
        {
            throw Invalid(
                $"Rule {Number} names {side.Count} in {name}.",
                $"Name 1 to {MaximumSelectors}: '*', 'server', 'clients', a member, 'group:office', an address or a prefix.");
        }

        if (side.Count > 1 && side.Any(selector => selector.Kind is SelectorKind.Everybody or SelectorKind.Clients))
            throw Invalid($"Rule {Number} names others besides '*' or 'clients' in {name}.", "Name these alone, or make two rules.");
    }

    private LightTunnelException Invalid(string message, string action) =>
        new(LightTunnelError.InvalidOption, message, action) { Target = Number };
}
