using System.Management.Automation;
using System.Management.Automation.Language;
using System.Management.Automation.Runspaces;

namespace LightTunnel.Shell;

/// <summary>A prompt: reads commands, over several lines if need be, and runs them until "exit" or end of input.</summary>
internal static class InteractiveShell
{
    public static int Run(ShellOptions options)
    {
        var host = new ShellHost(new ConsoleUserInterface(options.Width));
        using Runspace? runspace = ScriptRunner.TryOpen(host, options);
        if (runspace is null)
            return 1;

        string prompt = string.IsNullOrEmpty(options.Prompt) ? "PS> " : options.Prompt + " PS> ";
        var reader = new LineReader((text, cursor) => Complete(runspace, text, cursor));
        while (host.ExitCode is null && ReadCommand(reader, prompt) is { } command)
        {
            if (!string.IsNullOrWhiteSpace(command))
                ScriptRunner.Invoke(runspace, host, powerShell => powerShell.AddScript(command, useLocalScope: false));
        }

        return host.ExitCode ?? 0;
    }

    /// <summary>One complete command; null at the end of input.</summary>
    private static string? ReadCommand(LineReader reader, string prompt)
    {
        string command = string.Empty;
        while (true)
        {
            switch (reader.Read(command.Length == 0 ? prompt : ">> "))
            {
                case null:
                    return null;
                case { Cancelled: true }:
                    return string.Empty;
                case { } line:
                    command = command.Length == 0 ? line.Text : command + "\n" + line.Text;
                    break;
            }

            Parser.ParseInput(command, out _, out ParseError[] errors);
            // An empty line ends a command that would go on, as it does in pwsh.
            if (!errors.Any(error => error.IncompleteInput) || command.EndsWith('\n'))
                return command;
        }
    }

    private static CommandCompletion Complete(Runspace runspace, string text, int cursor)
    {
        using var powerShell = PowerShell.Create(runspace);
        return CommandCompletion.CompleteInput(text, cursor, options: null, powerShell);
    }
}
