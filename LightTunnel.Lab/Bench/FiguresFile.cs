namespace LightTunnel.Lab.Bench;

/// <summary>A document of which one part, between two markers, is written by the benchmark.</summary>
internal static class FiguresFile
{
    /// <summary>The line that the figures follow.</summary>
    public const string Begin = "<!-- figures -->";

    /// <summary>The line that follows the figures.</summary>
    public const string End = "<!-- end of figures -->";

    /// <summary>Throws when there is no such file or it has no place for figures: better now than after an hour of measuring.</summary>
    /// <exception cref="LabException">The file is missing or has no markers.</exception>
    public static void Check(string path)
    {
        if (!File.Exists(path))
            throw new LabException($"There is no file {path}.", $"Make one with the lines '{Begin}' and '{End}' in it.");
        if (Replace(File.ReadAllText(path), string.Empty) is null)
            throw new LabException($"{path} has no place for the figures.", $"Add the lines '{Begin}' and '{End}' to it.");
    }

    /// <summary>Puts the figures into a file that was checked.</summary>
    public static void Write(string path, string figures) => File.WriteAllText(path, Replace(File.ReadAllText(path), figures));

    /// <summary>The document with other figures; null when it has no markers.</summary>
    public static string? Replace(string document, string figures)
    {
        int begin = document.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        int end = document.IndexOf(End, StringComparison.Ordinal);
        return begin < Begin.Length || end < begin ? null : $"{document[..begin]}\n{figures.TrimEnd()}\n{document[end..]}";
    }
}
