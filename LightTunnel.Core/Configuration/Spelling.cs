namespace LightTunnel.Configuration;

/// <summary>Finds what a person probably meant.</summary>
internal static class Spelling
{
    /// <summary>Longest word that is worth a guess.</summary>
    private const int MaximumLength = 32;

    /// <summary>The known word nearest to a mistyped one, or null when none is near: at most a third of the letters wrong.</summary>
    public static string? Nearest(string word, IReadOnlyList<string> known)
    {
        if (word.Length > MaximumLength)
            return null;
        string plain = Plain(word);
        (string Word, int Distance)[] ranked =
            [.. known.Select(candidate => (candidate, Distance(plain, Plain(candidate))))
                .OrderBy(pair => pair.Item2)
                .ThenBy(pair => pair.candidate, StringComparer.Ordinal)];
        return ranked.Length > 0 && ranked[0].Distance <= Math.Max(1, ranked[0].Word.Length / 3) ? ranked[0].Word : null;
    }

    /// <summary>Without the differences between listen_port, listen-port and ListenPort.</summary>
    private static string Plain(string word) => string.Concat(word.Where(char.IsLetterOrDigit)).ToUpperInvariant();

    /// <summary>Edits between two words (Levenshtein).</summary>
    private static int Distance(string left, string right)
    {
        int[] previous = [.. Enumerable.Range(0, right.Length + 1)];
        for (int i = 1; i <= left.Length; i++)
        {
            int[] current = new int[right.Length + 1];
            current[0] = i;
            for (int j = 1; j <= right.Length; j++)
            {
                int replaced = previous[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1);
                current[j] = Math.Min(replaced, Math.Min(previous[j], current[j - 1]) + 1);
            }

            previous = current;
        }

        return previous[right.Length];
    }
}
