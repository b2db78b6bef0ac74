using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace LightTunnel.Shell;

/// <summary>What the process does with its input.</summary>
internal enum ShellMode
{
    /// <summary>A prompt.</summary>
    Interactive,

    /// <summary>Requests and answers as lines of JSON.</summary>
    Serve,

    /// <summary>One script given on the command line.</summary>
    Command,

    /// <summary>One script file.</summary>
    File,
}

/// <summary>The command line.</summary>
internal sealed record ShellOptions
{
    public const string Usage = """
        LightTunnel.Shell: the PowerShell engine in a process of its own.

          LightTunnel.Shell [options]                     a prompt
          LightTunnel.Shell [options] -Command <text>     runs the text, then ends
          LightTunnel.Shell [options] -File <path> [...]  runs the file with the arguments that follow, then ends
          LightTunnel.Shell [options] --serve             requests and answers as lines of JSON on standard input and output

          --import <path>   imports this module first; may be given several times
          --width <n>       columns that views may use (default 80, or the terminal's)
          --prompt <text>   what the prompt shows before "PS> "
        """;

    public ShellMode Mode { get; private init; }

    public bool ShowHelp { get; private init; }

    /// <summary>Modules that every runspace imports, in order.</summary>
    public IReadOnlyList<string> Imports { get; private init; } = [];

    /// <summary>Columns that views may use; null when not said.</summary>
    public int? Width { get; private init; }

    /// <summary>What the prompt shows before "PS> ".</summary>
    public string? Prompt { get; private init; }

    /// <summary>The script's text or the file's path.</summary>
    public string Script { get; private init; } = string.Empty;

    /// <summary>Arguments of the script file.</summary>
    public IReadOnlyList<string> Arguments { get; private init; } = [];

    public static bool TryParse(
        IReadOnlyList<string> args, [NotNullWhen(true)] out ShellOptions? options, [NotNullWhen(false)] out string? problem)
    {
        options = null;
        problem = null;
        var result = new ShellOptions();
        var imports = new List<string>();
        for (int i = 0; i < args.Count; i++)
        {
            // pwsh takes one dash, .NET tools take two; both are accepted for every name.
            string name = args[i].StartsWith("--", StringComparison.Ordinal) ? args[i][1..] : args[i];
            string? value = i + 1 < args.Count ? args[i + 1] : null;
            switch (name.ToUpperInvariant())
            {
                case "-SERVE":
                    result = result with { Mode = ShellMode.Serve };
                    break;
                case "-HELP" or "-?" or "-H":
                    result = result with { ShowHelp = true };
                    break;
                case "-NOLOGO" or "-NOPROFILE" or "-NONINTERACTIVE":
                    break;
                case "-IMPORT" when value is not null:
                    imports.Add(value);
                    i++;
                    break;
                case "-PROMPT" when value is not null:
                    result = result with { Prompt = value };
                    i++;
                    break;
                case "-WIDTH" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int width) && width is >= 20 and <= 10_000:
                    result = result with { Width = width };
                    i++;
                    break;
                case "-COMMAND" or "-C" when value is not null:
                    result = result with { Mode = ShellMode.Command, Script = string.Join(' ', args.Skip(i + 1)) };
                    i = args.Count;
                    break;
                case "-FILE" or "-F" when value is not null:
                    result = result with { Mode = ShellMode.File, Script = value, Arguments = [.. args.Skip(i + 2)] };
                    i = args.Count;
                    break;
                default:
                    problem = $"\"{args[i]}\" is not an option, or its value is missing or wrong.";
                    return false;
            }
        }

        options = result with { Imports = imports };
        return true;
    }
}
