using System.Text.Json;

namespace LightTunnel.Lab.Shells;

/// <summary>An object that a script put out.</summary>
/// <param name="Types">Its type names, most derived first.</param>
/// <param name="Value">Its value: a plain JSON value, or an object with its properties (enums by name, times in ISO 8601, spans
/// as "c").</param>
internal sealed record ShellObject(IReadOnlyList<string> Types, JsonElement Value)
{
    /// <summary>The object as CLIXML, when that was asked for.</summary>
    public string? CliXml { get; init; }

    /// <summary>A property's value; PowerShell's names, any case.</summary>
    /// <exception cref="KeyNotFoundException">There is no such property.</exception>
    public JsonElement this[string property]
    {
        get
        {
            if (Value.ValueKind == JsonValueKind.Object)
            {
                foreach (JsonProperty candidate in Value.EnumerateObject())
                {
                    if (string.Equals(candidate.Name, property, StringComparison.OrdinalIgnoreCase))
                        return candidate.Value;
                }
            }

            throw new KeyNotFoundException($"There is no property {property} in {Value}.");
        }
    }

    /// <summary>A property as text; null when it is null.</summary>
    public string? Text(string property) => this[property] is { ValueKind: not JsonValueKind.Null } value ? value.ToString() : null;

    /// <summary>The value as text.</summary>
    public override string ToString() => Value.ToString();
}

/// <summary>An error record.</summary>
/// <param name="ErrorId">FullyQualifiedErrorId.</param>
/// <param name="Category">The name of its ErrorCategory.</param>
/// <param name="Message">What happened.</param>
/// <param name="RecommendedAction">What to do about it, or null.</param>
/// <param name="Target">The offending object as text, or null.</param>
/// <param name="Exception">Full name of the exception's type.</param>
/// <param name="IsTerminating">True when it ended the script.</param>
/// <param name="Rendered">As the shell shows it to people.</param>
internal sealed record ShellError(
    string ErrorId, string Category, string Message, string? RecommendedAction, string? Target, string Exception, bool IsTerminating,
    string Rendered)
{
    /// <summary>What happened, and the id.</summary>
    public override string ToString() => $"{Message} [{ErrorId}, {Category}]";
}

/// <summary>How a script ended.</summary>
internal enum ShellState
{
    /// <summary>It ran to its end.</summary>
    Completed,

    /// <summary>An error ended it.</summary>
    Failed,

    /// <summary>It was cancelled.</summary>
    Stopped,
}

/// <summary>Everything that a script put out, stream by stream, in order.</summary>
internal sealed record ShellResult
{
    public required ShellState State { get; init; }

    public required IReadOnlyList<ShellObject> Output { get; init; }

    public required IReadOnlyList<ShellError> Errors { get; init; }

    public required IReadOnlyList<string> Warnings { get; init; }

    public required IReadOnlyList<string> Verbose { get; init; }

    /// <summary>What a console would show, when rendering was asked for.</summary>
    public required string Text { get; init; }

    /// <summary>The one object that the script put out.</summary>
    /// <exception cref="InvalidOperationException">There were none or several.</exception>
    public ShellObject Single() => Output.Count == 1
        ? Output[0]
        : throw new InvalidOperationException($"The script put out {Output.Count} objects instead of one: {string.Join("; ", Output)}");
}

/// <summary>A script that was expected to succeed reported an error.</summary>
/// <param name="script">The script.</param>
/// <param name="result">What it put out.</param>
internal sealed class ShellScriptException(string script, ShellResult result)
    : Exception(
        $"{script}{Environment.NewLine}{result.State}: {string.Join(Environment.NewLine, result.Errors.Select(error => error.Rendered))}")
{
    /// <summary>What the script put out.</summary>
    public ShellResult Result { get; } = result;
}
