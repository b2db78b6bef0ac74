using System.Globalization;
using LightTunnel.Diagnostics;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace LightTunnel.Configuration;

/// <summary>One piece of text in the file, and where it begins.</summary>
/// <param name="Text">The text itself, unquoted.</param>
/// <param name="IsPlain">True when it stands without quotes, and so may be a number or a flag.</param>
/// <param name="Line">Line from 1.</param>
/// <param name="Column">Column from 1.</param>
internal readonly record struct ConfigurationText(string Text, bool IsPlain, int Line, int Column);

/// <summary>
/// A key of the file with its value: one text, or a list of texts. Reads itself as the type that the key wants, or reports why it is not.
/// </summary>
internal sealed class ConfigurationEntry(
    ConfigurationText key, IReadOnlyList<ConfigurationText> values, bool isList, Action<ConfigurationText, string, string, string> report)
{
    /// <summary>Most items of a list.</summary>
    private const int MaximumItems = 64;

    public string Key => key.Text;

    public ConfigurationText KeyText => key;

    /// <summary>Where the value, or one value of a list, begins.</summary>
    public ConfigurationText ValueText(int index) => index < values.Count ? values[index] : key;

    /// <summary>One text; null when it is something else, which is reported.</summary>
    public string? Text()
    {
        if (isList)
            Report(key, $"'{Key}' takes one value, not a list.", $"Write {Key}: value.");
        else if (HasValue(values[0]))
            return values[0].Text;
        return null;
    }

    /// <summary>A text that no message shows.</summary>
    public Secret? Secret() => Text() is { } text ? new Secret(text) : null;

    /// <summary>One text or a list of them.</summary>
    public IReadOnlyList<string>? Texts()
    {
        if (values.Count > MaximumItems)
        {
            Report(values[MaximumItems], $"'{Key}' has more than {MaximumItems} values.", "Remove some.");
            return null;
        }

        return values.All(HasValue) ? [.. values.Select(value => value.Text)] : null;
    }

    /// <summary>A whole number.</summary>
    public int? Number()
    {
        if (Text() is not { } text)
            return null;
        if (values[0].IsPlain && int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number))
            return number;
        Report(values[0], $"'{Key}' takes a whole number, not '{Shorten(text)}'.", $"Write digits without quotes, such as {Key}: 9000.");
        return null;
    }

    /// <summary>True or false.</summary>
    public bool? Flag()
    {
        if (Text() is not { } text)
            return null;
        if (values[0].IsPlain && bool.TryParse(text, out bool flag))
            return flag;
        Report(values[0], $"'{Key}' takes true or false, not '{Shorten(text)}'.", $"Write {Key}: true or {Key}: false, without quotes.");
        return null;
    }

    /// <summary>One of the names of an enumeration.</summary>
    public TEnum? Choice<TEnum>()
        where TEnum : struct, Enum
    {
        if (Text() is not { } text)
            return null;
        foreach (TEnum choice in Enum.GetValues<TEnum>())
        {
            if (string.Equals(choice.ToString(), text, StringComparison.OrdinalIgnoreCase))
                return choice;
        }

        Report(values[0], $"'{Key}' does not take '{Shorten(text)}'.", $"Write one of {string.Join(", ", Enum.GetNames<TEnum>())}.");
        return null;
    }

    /// <summary>Text of the file for a message: short, on one line.</summary>
    public static string Shorten(string text)
    {
        text = LogText.OneLine(text);
        return text.Length <= 40 ? text : text[..40] + "…";
    }

    private bool HasValue(ConfigurationText value)
    {
        if (value.Text.Length > 0 && !(value.IsPlain && value.Text is "~" or "null" or "Null" or "NULL"))
            return true;
        Report(value, $"'{Key}' has no value.", "Give it a value, or remove the key.");
        return false;
    }

    private void Report(ConfigurationText where, string message, string action) => report(where, Key, message, action);
}

/// <summary>
/// Reads the YAML that a configuration file is allowed to be: one map of keys to texts or lists of texts. Anchors, aliases, tags, nesting
/// and several documents are refused, so that a file can neither grow when read nor surprise. Works on the parser's events; whatever the
/// text is, problems are reported and nothing is thrown.
/// </summary>
internal sealed class ConfigurationReader
{
    private const string OneMap = "Write one 'key: value' per line, as in the examples in configs/.";
    private const int MaximumEvents = 10_000;
    private const int MaximumDepth = 16;

    private readonly Parser _parser;
    private readonly Action<ConfigurationText, string?, string, string> _report;
    private readonly List<ConfigurationEntry> _entries = [];
    private int _events;

    private ConfigurationReader(string text, Action<ConfigurationText, string?, string, string> report)
    {
        _parser = new Parser(new StringReader(text));
        _report = report;
    }

    /// <summary>Reads the entries; after a syntax error those before it.</summary>
    /// <param name="text">The file's content.</param>
    /// <param name="report">Takes each problem: where, key or null, message, recommended action.</param>
    public static IReadOnlyList<ConfigurationEntry> Read(string text, Action<ConfigurationText, string?, string, string> report)
    {
        var reader = new ConfigurationReader(text, report);
        try
        {
            reader.ReadStream();
        }
        catch (YamlException exception)
        {
            report(
                At(exception.Start), null, $"This is not YAML: {Sentence(exception.Message)}",
                "Check quotes, indentation and the blank after each colon.");
        }
        catch (Exception exception) when (IsFaultOfParser(exception))
        {
            report(default, null, "This is not YAML.", OneMap);
        }

        return reader._entries;
    }

    private void ReadStream()
    {
        Next();
        if (Next() is StreamEnd)
        {
            Report(new ConfigurationText(string.Empty, true, 1, 1), null, "The file is empty.", OneMap);
            return;
        }

        ParsingEvent root = Next();
        if (root is not MappingStart map)
        {
            Report(At(root), null, "The file is not a map of keys to values.", OneMap);
            return;
        }

        if (!RefuseExtras(map, null))
            return;
        while (Next() is var keyEvent and not MappingEnd)
        {
            if (!ReadEntry(keyEvent))
                return;
        }

        Next();
        if (Next() is var after and not StreamEnd)
            Report(At(after), null, "The file has more than one document.", "Remove everything from the second '---' on.");
    }

    /// <summary>False when reading cannot go on.</summary>
    private bool ReadEntry(ParsingEvent keyEvent)
    {
        if (keyEvent is not Scalar key)
        {
            Report(At(keyEvent), null, "A key is a single word.", OneMap);
            return false;
        }

        ConfigurationText keyText = TextOf(key);
        bool usable = RefuseExtras(key, key.Value);
        var values = new List<ConfigurationText>();
        ParsingEvent value = Next();
        switch (value)
        {
            case Scalar scalar:
                usable &= RefuseExtras(scalar, key.Value);
                values.Add(TextOf(scalar));
                break;
            case SequenceStart sequence:
                usable &= RefuseExtras(sequence, key.Value);
                while (Next() is var item and not SequenceEnd)
                {
                    if (item is Scalar itemScalar)
                    {
                        usable &= RefuseExtras(itemScalar, key.Value);
                        values.Add(TextOf(itemScalar));
                    }
                    else
                    {
                        usable = false;
                        if (!RefuseNested(item, key.Value))
                            return false;
                    }
                }

                break;
            default:
                usable = false;
                if (!RefuseNested(value, key.Value))
                    return false;
                break;
        }

        if (usable)
        {
            _entries.Add(new ConfigurationEntry(
                keyText, values, value is SequenceStart, (where, name, message, action) => Report(where, name, message, action)));
        }
        return true;
    }

    private bool RefuseNested(ParsingEvent start, string key)
    {
        string what = start is AnchorAlias ? "an alias" : "values inside of values";
        Report(At(start), key, $"'{ConfigurationEntry.Shorten(key)}' has {what}, which is not allowed here.", OneMap);
        int depth = start.NestingIncrease;
        while (depth > 0)
        {
            depth += Next().NestingIncrease;
            if (depth > MaximumDepth)
                return false;
        }

        return true;
    }

    private bool RefuseExtras(NodeEvent node, string? key)
    {
        if (node.Anchor.IsEmpty && (node.Tag.IsEmpty || node.Tag.IsNonSpecific))
            return true;
        Report(At(node), key, "Anchors (&) and tags (!) are not allowed here.", "Remove it; put text that begins with & or ! in quotes.");
        return false;
    }

    private ParsingEvent Next()
    {
        if (++_events > MaximumEvents || !_parser.MoveNext())
            throw new InvalidOperationException("The parser ended early.");
        return _parser.Current!;
    }

    private void Report(ConfigurationText where, string? key, string message, string action) => _report(where, key, message, action);

    private static ConfigurationText TextOf(Scalar scalar) =>
        new(scalar.Value, scalar.Style == ScalarStyle.Plain, (int)scalar.Start.Line, (int)scalar.Start.Column);

    private static ConfigurationText At(ParsingEvent parsingEvent) => At(parsingEvent.Start);

    private static ConfigurationText At(Mark mark) => new(string.Empty, true, (int)mark.Line, (int)mark.Column);

    /// <summary>What the parser throws, besides its own errors, on text that is no YAML at all.</summary>
    internal static bool IsFaultOfParser(Exception exception) =>
        exception is InvalidOperationException or ArgumentException or OverflowException or IndexOutOfRangeException or FormatException;

    /// <summary>What the parser says, as one sentence of bounded length.</summary>
    internal static string Sentence(string message)
    {
        string text = LogText.OneLine(message).Trim().TrimEnd('.');
        return (text.Length <= 120 ? text : text[..120] + "…") + ".";
    }
}
