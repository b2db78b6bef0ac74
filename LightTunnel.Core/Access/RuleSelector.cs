using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;

namespace LightTunnel.Access;

/// <summary>What a selector of a rule goes by; the values are those in the store.</summary>
internal enum SelectorKind
{
    /// <summary>Nobody: what only a newer version knows.</summary>
    Nobody = 0,

    /// <summary>Every address, the server's included: "*".</summary>
    Everybody = 1,

    /// <summary>Every address but the server's: "clients".</summary>
    Clients = 2,

    /// <summary>The server: "server".</summary>
    Server = 3,

    /// <summary>Members of a group: "group:office".</summary>
    Group = 4,

    /// <summary>One member: "laptop".</summary>
    Member = 5,

    /// <summary>An address or prefix, whoever has it: "10.0.0.5", "10.0.0.0/28".</summary>
    Prefix = 6,
}

/// <summary>
/// Whom one side of a rule is about. A member is its id, which nobody else ever gets: its name is what it was called when the rule was
/// made, and who takes that name later is somebody else.
/// </summary>
internal readonly record struct RuleSelector
{
    private const string Star = "*", ClientsText = "clients", ServerText = "server", GroupPrefix = "group:";
    private const int LongestName = 64;

    /// <summary>Every address.</summary>
    public static RuleSelector Everybody { get; } = new() { Kind = SelectorKind.Everybody };

    /// <summary>Every address but the server's.</summary>
    public static RuleSelector Clients { get; } = new() { Kind = SelectorKind.Clients };

    /// <summary>What it goes by.</summary>
    public SelectorKind Kind { get; init; }

    /// <summary>The name of a group or member; null for the others.</summary>
    public string? Name { get; init; }

    /// <summary>A member's id; 0 as long as nobody has looked who has the name.</summary>
    public uint MemberId { get; init; }

    /// <summary>The addresses of a <see cref="SelectorKind.Prefix"/>.</summary>
    public IpPrefix Prefix { get; init; }

    /// <summary>A member.</summary>
    public static RuleSelector OfMember(string name, uint memberId) =>
        new() { Kind = SelectorKind.Member, Name = name, MemberId = memberId };

    /// <summary>A group.</summary>
    public static RuleSelector OfGroup(string name) => new() { Kind = SelectorKind.Group, Name = name };

    /// <summary>An address or prefix.</summary>
    public static RuleSelector OfPrefix(IpPrefix prefix) => new() { Kind = SelectorKind.Prefix, Prefix = prefix };

    /// <summary>Reads what a person wrote; whose a member's name is, is another question.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out RuleSelector selector)
    {
        selector = default;
        switch (text)
        {
            case null:
                return false;
            case Star:
                selector = Everybody;
                return true;
        }

        if (text.Equals(ClientsText, StringComparison.OrdinalIgnoreCase))
            selector = Clients;
        else if (text.Equals(ServerText, StringComparison.OrdinalIgnoreCase))
            selector = new RuleSelector { Kind = SelectorKind.Server };
        else if (text.StartsWith(GroupPrefix, StringComparison.OrdinalIgnoreCase) && IsName(text.AsSpan(GroupPrefix.Length)))
            selector = OfGroup(text[GroupPrefix.Length..]);
        else if (IpPrefix.TryParse(text, out IpPrefix prefix))
            selector = OfPrefix(prefix);
        else if (IsName(text) && !LooksLikeAddress(text))
            selector = OfMember(text, 0);
        return selector.Kind != SelectorKind.Nobody;
    }

    /// <summary>As a person writes it.</summary>
    public override string ToString() => Kind switch
    {
        SelectorKind.Everybody => Star,
        SelectorKind.Clients => ClientsText,
        SelectorKind.Server => ServerText,
        SelectorKind.Group => $"{GroupPrefix}{Name}",
        SelectorKind.Member => Name ?? string.Empty,
        SelectorKind.Prefix when Prefix.Length == Prefix.Network.BitLength => Prefix.Network.ToString(),
        SelectorKind.Prefix => Prefix.ToString(),
        _ => "(unknown)",
    };

    /// <summary>Mistyped addresses are nobody's names.</summary>
    private static bool LooksLikeAddress(string text) =>
        text.Contains('.', StringComparison.Ordinal) && text.All(character => char.IsAsciiDigit(character) || character == '.');

    private static bool IsName(ReadOnlySpan<char> text)
    {
        if (text.Length is 0 or > LongestName || !char.IsAsciiLetterOrDigit(text[0]))
            return false;
        foreach (char character in text)
        {
            if (!char.IsAsciiLetterOrDigit(character) && character is not ('-' or '_' or '.'))
                return false;
        }

        return true;
    }
}
