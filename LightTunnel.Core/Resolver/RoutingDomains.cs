using LightTunnel.Diagnostics;

namespace LightTunnel.Resolver;

/// <summary>
/// Which suffixes may be taken from the machine's other resolvers: what they are comes from a server, which may want all of "com" to be
/// looked up at a place of its own.
/// </summary>
internal static class RoutingDomains
{
    /// <summary>So many suffixes at most.</summary>
    public const int Most = 64;

    private const int LongestDomain = 253, LongestLabel = 63;

    /// <summary>Those of a scope that may be set, in small letters, without the last dot, each once.</summary>
    /// <param name="scope">What is wanted.</param>
    /// <param name="problems">Is told of those that are left out.</param>
    public static IReadOnlyList<string> Allowed(ResolverScope scope, ICollection<string> problems)
    {
        var allowed = new List<string>();
        foreach (string wanted in scope.Domains)
        {
            string domain = wanted.TrimEnd('.').ToLowerInvariant();
            if (FindFault(domain) is { } fault)
            {
                string shown = LogText.OneLine(wanted.Length > LongestDomain ? wanted[..LongestDomain] : wanted);
                problems.Add($"Names below '{shown}' are not looked up in the tunnel: {fault}. Ask for a longer suffix.");
            }
            else if (!allowed.Contains(domain))
            {
                allowed.Add(domain);
            }
        }

        if (allowed.Count <= Most)
            return allowed;
        problems.Add($"Only {Most} of {allowed.Count} suffixes are looked up in the tunnel: ask for fewer.");
        return allowed[..Most];
    }

    private static string? FindFault(string domain)
    {
        string[] labels = domain.Split('.');
        if (domain.Length is 0 or > LongestDomain || !labels.All(IsLabel))
            return "it is no domain";
        if (labels is [_])
            return "it is a whole top-level domain";
        return domain is "in-addr.arpa" or "ip6.arpa" ? "it is the names of all addresses there are" : null;
    }

    private static bool IsLabel(string label) => label.Length is > 0 and <= LongestLabel && label[0] != '-' && label[^1] != '-'
        && label.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_');
}
