using System.Globalization;
using System.Text;
using LightTunnel.Access;
using LightTunnel.Diagnostics;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace LightTunnel.Configuration;

/// <summary>
/// A network's access rules as a file: YAML, a rule after the other, so that a version control shows what has changed. What is written is
/// read back as the same rules.
/// </summary>
public static class RuleFile
{
    /// <summary>Longest file, characters: 4,096 rules as long as they can be are far less.</summary>
    private const int MaximumLength = 16 << 20;

    private const string Remedy = "Write it as Export-LtRule does: rules: and under it a list of mappings.";

    private static readonly string[] Keys = ["number", "name", "from", "to", "protocol", "ports", "action", "enabled"];

    /// <summary>The rules as text.</summary>
    public static string Write(string network, IEnumerable<RuleStatus> rules)
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture, $"# Access rules of {network}: the first that fits decides; where none does, all is allowed.\n");
        RuleStatus[] all = [.. rules.Where(rule => rule.Number != AccessRule.ClientIsolationNumber).OrderBy(rule => rule.Number)];
        text.Append(all.Length == 0 ? "rules: []\n" : "rules:\n");
        foreach (RuleStatus rule in all)
        {
            text.Append(CultureInfo.InvariantCulture, $"  - number: {rule.Number}\n");
            if (rule.Name.Length > 0)
                text.Append(CultureInfo.InvariantCulture, $"    name: {Quote(rule.Name)}\n");
            text.Append(CultureInfo.InvariantCulture, $"    from: [{string.Join(", ", rule.From.Select(Quote))}]\n");
            text.Append(CultureInfo.InvariantCulture, $"    to: [{string.Join(", ", rule.To.Select(Quote))}]\n");
            if (rule.Protocol != RuleProtocol.Any)
                text.Append(CultureInfo.InvariantCulture, $"    protocol: {rule.Protocol}\n");
            if (rule.Ports.Count > 0)
                text.Append(CultureInfo.InvariantCulture, $"    ports: [{string.Join(", ", rule.Ports)}]\n");
            text.Append(CultureInfo.InvariantCulture, $"    action: {rule.Action}\n");
            if (!rule.Enabled)
                text.Append("    enabled: false\n");
        }

        return text.ToString();
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="LightTunnelException">It cannot be read, or something in it is no rule: where, and what.</exception>
    public static IReadOnlyList<RuleSpec> Read(string path)
    {
        string text;
        try
        {
            text = File.ReadAllText(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"'{path}' cannot be read: {exception.Message}", "Give a file that Export-LtRule has written.",
                exception) { Target = path };
        }

        return Parse(path, text);
    }

    /// <summary>Reads a file's text.</summary>
    /// <exception cref="LightTunnelException">Something in it is no rule: where, and what.</exception>
    internal static IReadOnlyList<RuleSpec> Parse(string path, string text)
    {
        string file = Path.GetFileName(path);
        if (text.Length > MaximumLength)
            throw Wrong(file, 1, "it is longer than any set of rules", "Give a file that Export-LtRule has written.");
        var parser = new Parser(new StringReader(text));
        try
        {
            parser.Consume<StreamStart>();
            parser.Consume<DocumentStart>();
            parser.Consume<MappingStart>();
            Scalar key = parser.Consume<Scalar>();
            if (key.Value != "rules")
                throw Wrong(file, Line(key), $"'{Short(key.Value)}' is no key here", "Write rules: and a list of them.");
            IReadOnlyList<RuleSpec> rules = ReadRules(parser, file);
            if (parser.Accept<Scalar>(out Scalar? more))
                throw Wrong(file, Line(more), $"'{Short(more.Value)}' is no key here", "Write rules: alone.");
            parser.Consume<MappingEnd>();
            parser.Consume<DocumentEnd>();
            return rules;
        }
        catch (YamlException exception)
        {
            throw Wrong(
                file, Math.Max(1, (int)exception.Start.Line),
                ConfigurationReader.Sentence(exception.InnerException?.Message ?? exception.Message).TrimEnd('.'), Remedy);
        }
        catch (Exception exception) when (ConfigurationReader.IsFaultOfParser(exception))
        {
            throw Wrong(file, parser.Current is { } last ? Line(last) : 1, "something behind this is no YAML", Remedy);
        }
    }

    private static List<RuleSpec> ReadRules(Parser parser, string file)
    {
        var rules = new List<RuleSpec>();
        var numbers = new HashSet<int>();
        parser.Consume<SequenceStart>();
        while (!parser.TryConsume<SequenceEnd>(out _))
        {
            if (rules.Count >= AccessRule.MaximumCount)
            {
                throw Wrong(
                    file, Line(parser.Current!), $"these are more than the {AccessRule.MaximumCount} rules that a network can have",
                    "Join rules that differ in addresses or ports only.");
            }

            int line = Line(parser.Current!);
            RuleSpec rule = ReadRule(parser, file);
            if (!numbers.Add(rule.Number))
                throw Wrong(file, line, $"there are two rules {rule.Number}", "Give each another number.");
            rules.Add(rule);
        }

        return rules;
    }

    private static RuleSpec ReadRule(Parser parser, string file)
    {
        int line = Line(parser.Current!);
        parser.Consume<MappingStart>();
        var given = new Dictionary<string, List<Scalar>>(StringComparer.Ordinal);
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            Scalar key = parser.Consume<Scalar>();
            if (!Keys.Contains(key.Value))
            {
                throw Wrong(
                    file, Line(key), $"a rule has no '{Short(key.Value)}'", $"A rule has {string.Join(", ", Keys)}.");
            }

            List<Scalar> values = [];
            if (parser.TryConsume<SequenceStart>(out _))
            {
                while (!parser.TryConsume<SequenceEnd>(out _))
                    values.Add(parser.Consume<Scalar>());
            }
            else
            {
                values.Add(parser.Consume<Scalar>());
            }

            if (!given.TryAdd(key.Value, values))
                throw Wrong(file, Line(key), $"the rule says '{key.Value}' twice", "Leave one of them out.");
        }

        RuleSpec rule = new()
        {
            Number = Number(),
            Name = One("name")?.Value ?? string.Empty,
            From = Selectors("from"),
            To = Selectors("to"),
            Protocol = Choice("protocol", RuleProtocol.Any),
            Ports = [.. given.GetValueOrDefault("ports", []).Select(Ports)],
            Action = given.ContainsKey("action")
                ? Choice("action", RuleAction.Deny)
                : throw Wrong(file, line, "the rule does not say 'action'", "Write action: Allow or action: Deny."),
            Enabled = One("enabled") is not { } flag || (bool.TryParse(flag.Value, out bool enabled)
                ? enabled
                : throw Wrong(file, Line(flag), $"'{Short(flag.Value)}' is neither true nor false", "Write enabled: false, or nothing.")),
            Origin = Where(file, line),
        };
        return rule;

        Scalar? One(string key) => !given.TryGetValue(key, out List<Scalar>? values) ? null
            : values.Count == 1 ? values[0]
            : throw Wrong(file, line, $"'{key}' takes one value, not {values.Count}", $"Write {key}: value.");

        int Number() => One("number") is { } text
            && int.TryParse(text.Value, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && number is >= 1 and <= AccessRule.HighestNumber
                ? number
                : throw Wrong(
                    file, One("number") is { } wrong ? Line(wrong) : line, "the rule has no number",
                    $"Write number: and one from 1 to {AccessRule.HighestNumber}: rules count in their order.");

        T Choice<T>(string key, T absent)
            where T : struct, Enum => One(key) is not { } text ? absent
            : Enum.TryParse(text.Value, ignoreCase: true, out T value) && Enum.IsDefined(value) && !char.IsAsciiDigit(text.Value[0]) ? value
            : throw Wrong(
                file, Line(text), $"'{Short(text.Value)}' is no {key}", $"Write {string.Join(" or ", Enum.GetNames<T>())}.");

        string[] Selectors(string key) => given.TryGetValue(key, out List<Scalar>? values) && values.Count > 0
            ? [.. values.Select(Selector)]
            : throw Wrong(file, line, $"the rule does not say '{key}'", $"Write {key}: [\"*\"] for everybody.");

        string Selector(Scalar text) => RuleSelector.TryParse(text.Value, out _)
            ? text.Value
            : throw Wrong(
                file, Line(text), $"'{Short(text.Value)}' is nobody whom a rule can be about",
                "Write \"*\", server, clients, the name of a member, group:office, an address, or a prefix whose host bits are zero.");

        string Ports(Scalar text) => PortRange.TryParse(text.Value, out _)
            ? text.Value
            : throw Wrong(
                file, Line(text), $"'{Short(text.Value)}' is no port and no range of ports", "Write a number, or two of them: 8000-8099.");
    }

    private static LightTunnelException Wrong(string file, int line, string what, string action) =>
        new(LightTunnelError.InvalidConfiguration, $"{Where(file, line)}: {what}.", action) { Target = file };

    private static string Where(string file, int line) => string.Create(CultureInfo.InvariantCulture, $"{file}, line {line}");

    private static int Line(ParsingEvent parsed) => Math.Max(1, (int)parsed.Start.Line);

    private static string Short(string text) => text.Length <= 40 ? text : text[..40] + "...";

    private static string Quote(string text) =>
        $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
