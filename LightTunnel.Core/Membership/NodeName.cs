using System.Diagnostics.CodeAnalysis;

namespace LightTunnel.Membership;

/// <summary>
/// What a node or network may be called: 1 to 63 of a-z A-Z 0-9 - _ . beginning with a letter or digit. Such a name is safe
/// in file names, logs, tables and PowerShell wildcards, and most host names are such names already.
/// </summary>
internal static class NodeName
{
    /// <summary>Longest name, as of a DNS label (RFC 1035 section 2.3.4).</summary>
    public const int MaximumLength = 63;

    public static bool IsValid([NotNullWhen(true)] string? name)
    {
        if (name is null || name.Length is 0 or > MaximumLength || !char.IsAsciiLetterOrDigit(name[0]))
            return false;
        foreach (char character in name)
        {
            if (!IsAllowed(character))
                return false;
        }

        return true;
    }

    /// <summary>The nearest valid name to any text: other characters become '-', "node" when nothing is left.</summary>
    public static string Sanitize(string? text)
    {
        string name = string.Concat((text ?? string.Empty).Trim().Take(MaximumLength).Select(c => IsAllowed(c) ? c : '-'));
        name = name.TrimStart('-', '_', '.').TrimEnd('-');
        return name.Length == 0 ? "node" : name;
    }

    private static bool IsAllowed(char character) => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.';
}
