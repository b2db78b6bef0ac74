using System.Text.RegularExpressions;

namespace LightTunnel.Tests.Architecture;

/// <summary>The repository as a reader finds it: its files, and the names in its sources.</summary>
internal sealed partial class SourceTree
{
    private static readonly string[] Sources = [".cs", ".ps1", ".psd1"];

    private readonly string _root;
    private readonly HashSet<string> _places;
    private readonly HashSet<string> _names = [];

    // The files that declare a type, and the names in each of them.
    private readonly Dictionary<string, List<string>> _types = [];
    private readonly Dictionary<string, HashSet<string>> _namesOf = [];

    /// <param name="root">The repository's root.</param>
    public SourceTree(string root)
    {
        _root = root;
        Files = [.. FilesIn(root).Select(file => Path.GetRelativePath(root, file).Replace('\\', '/')).Order(StringComparer.Ordinal)];
        Folders = [.. Files.SelectMany(FoldersOf).Distinct()];
        _places = [.. Files, .. Folders];
        foreach (string file in Files.Where(file => Sources.Contains(Path.GetExtension(file))))
        {
            string code = Comments().Replace(Read(file), string.Empty);
            _namesOf[file] = [.. Identifiers().Matches(code).Select(match => match.Value)];
            _names.UnionWith(_namesOf[file]);
            foreach (Match type in Declarations().Matches(code))
                (_types.TryGetValue(type.Groups[1].Value, out List<string>? files) ? files : _types[type.Groups[1].Value] = []).Add(file);
        }
    }

    /// <summary>All files but what a build makes, "docs/protocol.md".</summary>
    public IReadOnlyList<string> Files { get; }

    /// <summary>The folders that have files, "LightTunnel.Core/Engine".</summary>
    public IReadOnlyList<string> Folders { get; }

    /// <summary>The projects' folders, "LightTunnel.Core".</summary>
    public IEnumerable<string> Projects =>
        Folders.Where(folder => !folder.Contains('/') && folder.StartsWith("LightTunnel.", StringComparison.Ordinal));

    /// <summary>The text of a file.</summary>
    public string Read(string file) => File.ReadAllText(Path.Combine(_root, file));

    /// <summary>True for a file or folder.</summary>
    public bool Exists(string path) => _places.Contains(path.TrimEnd('/'));

    /// <summary>True for a folder, a file, or a type in a folder's files, from the root on or from that of a project.</summary>
    public bool HasPath(string path)
    {
        IEnumerable<string> projects = Projects.Select(project => $"{project}/");
        return projects.Prepend(string.Empty).Any(begin => Exists(begin + path) || HasTypeIn(begin + path));
    }

    /// <summary>True for a name in the sources, a member of a type, and a file or folder, wherever it is.</summary>
    public bool HasName(string name)
    {
        string[] parts = name.Split('.');
        return parts.Length == 1 ? _names.Contains(name)
            : _types.TryGetValue(parts[0], out List<string>? files) ? files.Any(file => parts.Skip(1).All(_namesOf[file].Contains))
            : _places.Any(place => place == name || place.EndsWith($"/{name}", StringComparison.Ordinal));
    }

    private bool HasTypeIn(string path)
    {
        int end = path.LastIndexOf('/');
        return end > 0
            && _types.TryGetValue(path[(end + 1)..], out List<string>? files)
            && files.Any(file => file[..file.LastIndexOf('/')] == path[..end]);
    }

    private static IEnumerable<string> FilesIn(string root) =>
        Directory.EnumerateFiles(root)
            .Concat(Directory.EnumerateDirectories(root)
                .Where(folder => Path.GetFileName(folder) is not ("bin" or "obj" or "out" or "TestResults") and not ['.', ..])
                .SelectMany(FilesIn));

    private static IEnumerable<string> FoldersOf(string file)
    {
        for (int end = file.LastIndexOf('/'); end > 0; end = file.LastIndexOf('/', end - 1))
            yield return file[..end];
    }

    [GeneratedRegex(@"(?m)^\s*(?://|#).*$")]
    private static partial Regex Comments();

    [GeneratedRegex(@"[A-Za-z_]\w*")]
    private static partial Regex Identifiers();

    [GeneratedRegex(@"\b(?:class|struct|interface|enum|record(?: struct| class)?)\s+([A-Z]\w*)")]
    private static partial Regex Declarations();
}
