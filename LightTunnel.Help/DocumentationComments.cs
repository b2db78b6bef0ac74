using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace LightTunnel.Help;

/// <summary>An example of a command's documentation.</summary>
internal sealed record Example(string Code, string Remarks);

/// <summary>The documentation comments that the compiler has written beside an assembly.</summary>
internal sealed partial class DocumentationComments(string path)
{
    private readonly Dictionary<string, XElement> _members = XDocument.Load(path, LoadOptions.PreserveWhitespace).Descendants("member")
        .ToDictionary(member => (string)member.Attribute("name")!);

    public string Summary(Type type) => Text(Member("T:" + type.FullName)?.Element("summary"));

    public string Summary(PropertyInfo property) =>
        Text(Member($"P:{property.DeclaringType!.FullName}.{property.Name}")?.Element("summary"));

    public IReadOnlyList<string> Remarks(Type type) =>
        [.. Member("T:" + type.FullName)?.Element("remarks")?.Elements("para").Select(Text) ?? []];

    public IReadOnlyList<Example> Examples(Type type) =>
        [.. Member("T:" + type.FullName)?.Elements("example").Select(example =>
            new Example(Code(example.Element("code")), string.Join(' ', example.Elements("para").Select(Text)))) ?? []];

    private XElement? Member(string name) => _members.GetValueOrDefault(name);

    private static string Text(XElement? element) => element is null ? string.Empty : WhiteSpace().Replace(element.Value, " ").Trim();

    /// <summary>Lines as they were written; the compiler indents all lines of a comment alike.</summary>
    private static string Code(XElement? element)
    {
        string[] lines = element?.Value.Replace("\r", string.Empty, StringComparison.Ordinal).Split('\n') ?? [];
        int indent = lines.Skip(1)
            .Where(line => line.Trim().Length > 0)
            .Select(line => line.Length - line.TrimStart().Length)
            .DefaultIfEmpty(0)
            .Min();
        return string.Join('\n', lines.Select((line, index) => index == 0 ? line : line.Length >= indent ? line[indent..] : string.Empty))
            .Trim('\n');
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();
}
