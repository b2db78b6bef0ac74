namespace LightTunnel.Membership;

/// <summary>
/// A name with wildcards, as servers understand it: * stands for any characters, ? for one; letters' case does not count.
/// </summary>
internal static class NamePattern
{
    /// <summary>What everybody's name matches.</summary>
    public const string Everybody = "*";

    /// <summary>Takes time in proportion to the product of both lengths at most, whatever the pattern is.</summary>
    public static bool IsMatch(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        int star = -1;
        int matched = 0;
        int p = 0;
        int n = 0;
        while (n < name.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                // As few characters as possible first; one more each time what follows does not fit.
                star = p++;
                matched = n;
            }
            else if (p < pattern.Length && (pattern[p] == '?' || char.ToUpperInvariant(pattern[p]) == char.ToUpperInvariant(name[n])))
            {
                p++;
                n++;
            }
            else if (star >= 0)
            {
                p = star + 1;
                n = ++matched;
            }
            else
            {
                return false;
            }
        }

        return pattern[p..].TrimStart('*').IsEmpty;
    }
}
