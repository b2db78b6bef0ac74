using System.Collections.ObjectModel;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Host;
using System.Security;

namespace LightTunnel.Shell;

/// <summary>The terminal that the process was started in; plain text when it is none.</summary>
internal sealed class ConsoleUserInterface : PSHostUserInterface
{
    private readonly ShellRawUserInterface _raw;
    private string _lastProgress = string.Empty;

    /// <param name="width">Columns that views may use; null takes the terminal's, or 80.</param>
    public ConsoleUserInterface(int? width)
    {
        SupportsVirtualTerminal = !Console.IsOutputRedirected
            && Environment.GetEnvironmentVariable("TERM") is not (null or "dumb")
            && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        int terminal = Console.IsOutputRedirected ? 0 : Console.WindowWidth;
        _raw = new ShellRawUserInterface(width ?? (terminal > 0 ? terminal : 80));
    }

    public override PSHostRawUserInterface RawUI => _raw;

    public override bool SupportsVirtualTerminal { get; }

    public override void Write(string value) => Console.Write(GetOutputString(value, SupportsVirtualTerminal));

    public override void Write(ConsoleColor foregroundColor, ConsoleColor backgroundColor, string value) => Console.Write(GetOutputString(value, SupportsVirtualTerminal));

    public override void WriteLine(string value) => Console.WriteLine(GetOutputString(value, SupportsVirtualTerminal));

    public override void WriteErrorLine(string value) => Console.Error.WriteLine(Colored("31", value));

    public override void WriteDebugLine(string message) => Console.Error.WriteLine(Colored("33", "DEBUG: " + message));

    public override void WriteVerboseLine(string message) => Console.Error.WriteLine(Colored("33", "VERBOSE: " + message));

    public override void WriteWarningLine(string message) => Console.Error.WriteLine(Colored("33", "WARNING: " + message));

    public override void WriteProgress(long sourceId, ProgressRecord record)
    {
        string text = $"{record.Activity}: {record.StatusDescription}";
        if (record.RecordType == ProgressRecordType.Processing && SupportsVirtualTerminal && text != _lastProgress)
            Console.Error.WriteLine(Colored("36", text));
        _lastProgress = text;
    }

    public override Dictionary<string, PSObject> Prompt(string caption, string message, Collection<FieldDescription> descriptions)
    {
        var answers = new Dictionary<string, PSObject>();
        foreach (FieldDescription field in descriptions)
        {
            Console.Write($"{field.Name}: ");
            object answer = field.ParameterTypeName == nameof(SecureString) ? ReadLineAsSecureString() : ReadLine();
            answers[field.Name] = PSObject.AsPSObject(answer);
        }

        return answers;
    }

    public override int PromptForChoice(string caption, string message, Collection<ChoiceDescription> choices, int defaultChoice)
    {
        Console.WriteLine($"{caption}{Environment.NewLine}{message}");
        while (true)
        {
            Console.Write(string.Join("  ", choices.Select(Describe)));
            Console.Write(defaultChoice >= 0 ? $" (default {Key(choices[defaultChoice])}): " : ": ");
            string answer = ReadLine().Trim();
            if (answer.Length == 0 && defaultChoice >= 0)
                return defaultChoice;
            for (int i = 0; i < choices.Count; i++)
            {
                if (string.Equals(answer, Key(choices[i]), StringComparison.OrdinalIgnoreCase))
                    return i;
            }
        }

        static string Describe(ChoiceDescription choice) => $"[{Key(choice)}] {choice.Label.Replace("&", string.Empty, StringComparison.Ordinal)}";

        static string Key(ChoiceDescription choice)
        {
            int mark = choice.Label.IndexOf('&', StringComparison.Ordinal);
            return mark >= 0 && mark + 1 < choice.Label.Length
                ? choice.Label.Substring(mark + 1, 1).ToUpper(CultureInfo.InvariantCulture)
                : choice.Label;
        }
    }

    public override PSCredential PromptForCredential(string caption, string message, string userName, string targetName) =>
        throw new NotSupportedException("This shell does not ask for credentials.");

    public override PSCredential PromptForCredential(
        string caption, string message, string userName, string targetName, PSCredentialTypes allowedCredentialTypes, PSCredentialUIOptions options) =>
        throw new NotSupportedException("This shell does not ask for credentials.");

    public override string ReadLine() => Console.ReadLine() ?? throw new PipelineStoppedException();

    public override SecureString ReadLineAsSecureString()
    {
        var secret = new SecureString();
        if (Console.IsInputRedirected)
        {
            foreach (char character in ReadLine())
                secret.AppendChar(character);
            return secret;
        }

        while (Console.ReadKey(intercept: true) is { Key: not ConsoleKey.Enter } key)
        {
            if (key.Key == ConsoleKey.Backspace && secret.Length > 0)
                secret.RemoveAt(secret.Length - 1);
            else if (!char.IsControl(key.KeyChar))
                secret.AppendChar(key.KeyChar);
        }

        Console.WriteLine();
        return secret;
    }

    private string Colored(string code, string text) => SupportsVirtualTerminal && !Console.IsErrorRedirected ? $"\e[{code}m{text}\e[0m" : text;
}
