using System.Diagnostics.CodeAnalysis;
using LightTunnel.Diagnostics;

namespace LightTunnel.Membership;

/// <summary>
/// What a group of members may be called: like a node (<see cref="NodeName"/>), in whatever case, which is kept as lower case. A group has
/// no entry of its own: it is there as long as somebody is in it.
/// </summary>
internal static class GroupName
{
    /// <summary>Longest name.</summary>
    public const int MaximumLength = 64;

    /// <summary>Most groups that one member is in.</summary>
    public const int MostOfAMember = 16;

    /// <summary>True for a name as it is kept.</summary>
    public static bool IsValid([NotNullWhen(true)] string? name) =>
        name is { Length: > 0 and <= MaximumLength } && char.IsAsciiLetterOrDigit(name[0])
        && name.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character is '-' or '_' or '.');

    /// <summary>Groups that a person wrote, as they are kept: each once, in order.</summary>
    /// <exception cref="LightTunnelException">One is no name, or there are too many.</exception>
    public static IReadOnlyList<string> Read(IReadOnlyList<string> written)
    {
        string[] groups = [.. written.Select(Read).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        return groups.Length <= MostOfAMember ? groups : throw new LightTunnelException(
            LightTunnelError.InvalidOption, $"{groups.Length} groups are too many for one member.", $"Name at most {MostOfAMember}.")
        {
            Target = groups.Length,
        };
    }

    /// <summary>A group that a person wrote, as it is kept.</summary>
    /// <exception cref="LightTunnelException">It is no name.</exception>
    [SuppressMessage("Globalization", "CA1308", Justification = "Names are ASCII, and shown as they are kept.")]
    public static string Read(string written)
    {
        string name = written.Trim().ToLowerInvariant();
        return IsValid(name) ? name : throw new LightTunnelException(
            LightTunnelError.InvalidName, $"'{written}' is no name of a group.",
            $"Choose one of up to {MaximumLength} letters, digits, '-', '_' and '.', beginning with a letter or digit.")
        {
            Target = written,
        };
    }
}
