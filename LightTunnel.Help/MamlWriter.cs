using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace LightTunnel.Help;

/// <summary>Writes command help in MAML, the XML that Get-Help reads.</summary>
internal static partial class MamlWriter
{
    private static readonly XNamespace Items = "http://msh";
    private static readonly XNamespace Maml = "http://schemas.microsoft.com/maml/2004/10";
    private static readonly XNamespace Cmd = "http://schemas.microsoft.com/maml/dev/command/2004/10";
    private static readonly XNamespace Dev = "http://schemas.microsoft.com/maml/dev/2004/10";

    /// <summary>
    /// Columns that an example may have: Get-Help indents it by 4, and breaks what is longer than 80 in the middle of words.
    /// </summary>
    private const int ExampleWidth = 76;

    /// <summary>Writes the help of all commands; returns what their documentation lacks.</summary>
    public static IEnumerable<string> Write(IReadOnlyList<Command> commands, DocumentationComments comments, string path)
    {
        var root = new XElement(
            Items + "helpItems", new XAttribute("schema", "maml"), commands.Select(command => Describe(command, comments)));
        new XDocument(new XDeclaration("1.0", "utf-8", null), root).Save(path);
        return commands.SelectMany(command => Lacking(command, comments));
    }

    private static IEnumerable<string> Lacking(Command command, DocumentationComments comments)
    {
        if (comments.Summary(command.Class).Length == 0)
            yield return $"{command.Name} has no summary.";
        if (comments.Remarks(command.Class).Count == 0)
            yield return $"{command.Name} has no remarks.";
        if (comments.Examples(command.Class) is not { Count: > 0 } examples
            || examples.Any(example => example.Code.Length == 0 || example.Remarks.Length == 0))
        {
            yield return $"{command.Name} has no example with code and explanation.";
        }
        foreach (string line in comments.Examples(command.Class)
            .SelectMany(example => Squeeze(example.Code).Split('\n'))
            .Where(line => line.Length > ExampleWidth))
        {
            yield return $"An example of {command.Name} has a line of more than {ExampleWidth} columns: {line}";
        }
        foreach (Parameter parameter in command.Parameters.Where(parameter => comments.Summary(parameter.Property).Length == 0))
            yield return $"-{parameter.Property.Name} of {command.Name} has no summary.";
    }

    private static XElement Describe(Command command, DocumentationComments comments) => new(
        Cmd + "command",
        new XAttribute(XNamespace.Xmlns + "maml", Maml),
        new XAttribute(XNamespace.Xmlns + "command", Cmd),
        new XAttribute(XNamespace.Xmlns + "dev", Dev),
        new XElement(
            Cmd + "details",
            new XElement(Cmd + "name", command.Name),
            new XElement(Cmd + "verb", command.Verb),
            new XElement(Cmd + "noun", command.Noun),
            Paragraphs("description", [comments.Summary(command.Class)])),
        Paragraphs("description", comments.Remarks(command.Class)),
        new XElement(Cmd + "syntax", Sets(command).Select(set => Syntax(command, set, comments))),
        new XElement(
            Cmd + "parameters", command.Parameters.Select(parameter => Describe(parameter, parameter.Uses[0], comments)),
            CommonSwitches(command)),
        new XElement(Cmd + "inputTypes", Inputs(command).Select(type => TypeEntry("inputType", type))),
        new XElement(Cmd + "returnValues", command.Outputs.Select(type => TypeEntry("returnValue", type))),
        new XElement(Cmd + "examples", comments.Examples(command.Class).Select(Describe)));

    /// <summary>The default set first; a command without sets has one.</summary>
    private static IEnumerable<string?> Sets(Command command)
    {
        string?[] named =
            [.. command.Parameters.SelectMany(parameter => parameter.Uses).Select(use => use.Set).Where(set => set is not null).Distinct()];
        return named.Length == 0 ? [null] : named.OrderBy(set => set != command.DefaultParameterSet);
    }

    private static XElement Syntax(Command command, string? set, DocumentationComments comments) => new(
        Cmd + "syntaxItem",
        new XElement(Maml + "name", command.Name),
        command.Parameters
            .Select(parameter => (Parameter: parameter, Use: parameter.Uses.FirstOrDefault(use => use.Set is null || use.Set == set)))
            .Where(entry => entry.Use is not null)
            .OrderBy(entry => entry.Use!.Position ?? int.MaxValue).ThenByDescending(entry => entry.Use!.Mandatory)
            .Select(entry => Describe(entry.Parameter, entry.Use!, comments)),
        CommonSwitches(command));

    /// <summary>The switches that PowerShell itself adds to commands that change the system.</summary>
    private static IEnumerable<XElement> CommonSwitches(Command command) => !command.Changes ? [] :
    [
        Switch("WhatIf", "wi", "Shows what would happen; nothing is done."),
        Switch("Confirm", "cf", "Asks before anything is done."),
    ];

    private static XElement Switch(string name, string alias, string description) => new(
        Cmd + "parameter",
        new XAttribute("required", "false"),
        new XAttribute("variableLength", "false"),
        new XAttribute("globbing", "false"),
        new XAttribute("pipelineInput", "False"),
        new XAttribute("position", "named"),
        new XAttribute("aliases", alias),
        new XElement(Maml + "name", name),
        Paragraphs("description", [description]),
        new XElement(Dev + "type", new XElement(Maml + "name", "SwitchParameter"), new XElement(Maml + "uri")));

    private static XElement Describe(Parameter parameter, ParameterUse use, DocumentationComments comments)
    {
        Type type = parameter.Property.PropertyType;
        bool isSwitch = type.Name == "SwitchParameter";
        string typeName = DisplayName(type);
        return new XElement(
            Cmd + "parameter",
            new XAttribute("required", use.Mandatory ? "true" : "false"),
            new XAttribute("variableLength", type.IsArray ? "true" : "false"),
            new XAttribute("globbing", parameter.Wildcards ? "true" : "false"),
            new XAttribute("pipelineInput", PipelineInput(use)),
            new XAttribute("position", use.Position?.ToString(CultureInfo.InvariantCulture) ?? "named"),
            new XAttribute("aliases", parameter.Aliases.Count == 0 ? "none" : string.Join(", ", parameter.Aliases)),
            new XElement(Maml + "name", parameter.Property.Name),
            Paragraphs("description", [comments.Summary(parameter.Property), .. Accepted(parameter)]),
            isSwitch
                ? null
                : new XElement(
                    Cmd + "parameterValue", new XAttribute("required", "true"),
                    new XAttribute("variableLength", type.IsArray ? "true" : "false"), typeName),
            new XElement(Dev + "type", new XElement(Maml + "name", typeName), new XElement(Maml + "uri")),
            new XElement(Dev + "defaultValue", isSwitch ? "False" : Default(comments.Summary(parameter.Property)) ?? "none"));
    }

    private static IEnumerable<string> Accepted(Parameter parameter)
    {
        Type type = parameter.Property.PropertyType;
        type = type.GetElementType() ?? Nullable.GetUnderlyingType(type) ?? type;
        if (type.IsEnum)
            yield return $"Accepted values: {string.Join(", ", Enum.GetNames(type))}.";
        if (parameter.Range is { } range)
            yield return $"Accepted values: {range}.";
    }

    /// <summary>
    /// The one word before "when left out.", which is how the documentation comments tell a default; null when they tell it otherwise.
    /// </summary>
    private static string? Default(string summary) =>
        WhenLeftOut().Match(summary) is { Success: true } match ? match.Groups[1].Value : null;

    [GeneratedRegex(@"(?:^|\. )(\S+) when left out\.")]
    private static partial Regex WhenLeftOut();

    private static XElement Describe(Example example, int index) => new(
        Cmd + "example",
        new XElement(Maml + "title", $"Example {index + 1}"),
        new XElement(Dev + "code", Squeeze(example.Code)),
        Paragraphs(Dev + "remarks", [example.Remarks]));

    /// <summary>Takes columns out of tables that are too wide, where all their lines have spaces.</summary>
    private static string Squeeze(string code)
    {
        string[] lines = code.Split('\n');
        for (int start = 0; start < lines.Length;)
        {
            int end = start;
            while (end < lines.Length && lines[end].Length > 0 && !lines[end].StartsWith("PS>", StringComparison.Ordinal))
                end++;
            while (end > start && lines[start..end].Max(line => line.Length) > ExampleWidth && TryNarrow(lines.AsSpan(start, end - start)))
            {
                // One column less.
            }

            start = Math.Max(end, start + 1);
        }

        return string.Join('\n', lines);
    }

    private static bool TryNarrow(Span<string> table)
    {
        int width = 0;
        foreach (string line in table)
            width = Math.Max(width, line.Length);
        for (int column = 0; column + 1 < width; column++)
        {
            bool isFree = true;
            foreach (string line in table)
                isFree &= line.Length <= column || (line[column] == ' ' && (column + 1 >= line.Length || line[column + 1] == ' '));
            if (!isFree)
                continue;
            foreach (ref string line in table)
                line = line.Length > column ? line.Remove(column, 1) : line;
            return true;
        }

        return false;
    }

    private static XElement TypeEntry(string name, Type type) => new(
        Cmd + name, new XElement(Dev + "type", new XElement(Maml + "name", type.FullName), new XElement(Maml + "uri")));

    private static IEnumerable<Type> Inputs(Command command) => command.Parameters
        .Where(parameter => parameter.Uses.Any(use => use.FromPipeline)).Select(parameter => parameter.Property.PropertyType).Distinct();

    private static string PipelineInput(ParameterUse use) => (use.FromPipeline, use.FromPipelineByName) switch
    {
        (true, true) => "True (ByValue, ByPropertyName)",
        (true, false) => "True (ByValue)",
        (false, true) => "True (ByPropertyName)",
        _ => "False",
    };

    private static string DisplayName(Type type)
    {
        if (type.IsArray)
            return DisplayName(type.GetElementType()!) + "[]";
        return Nullable.GetUnderlyingType(type) is { } underlying ? DisplayName(underlying) : type.Name;
    }

    private static XElement Paragraphs(string name, IReadOnlyList<string> texts) => Paragraphs(Maml + name, texts);

    private static XElement Paragraphs(XName name, IReadOnlyList<string> texts) =>
        new(name, texts.Select(text => new XElement(Maml + "para", text)));
}
