using System.Management.Automation;
using System.Text;

namespace LightTunnel.Shell;

/// <summary>A line typed at the prompt, or that Ctrl+C threw it away.</summary>
internal sealed record TypedLine(string Text, bool Cancelled);

/// <summary>Reads lines from the terminal, with Backspace, Tab completion and Up/Down through what was typed before; plain lines when input is redirected.</summary>
/// <param name="complete">Completions of a text at a cursor.</param>
internal sealed class LineReader(Func<string, int, CommandCompletion> complete)
{
    private readonly List<string> _history = [];

    /// <summary>One line; null at the end of input.</summary>
    public TypedLine? Read(string prompt)
    {
        Console.Write(prompt);
        if (Console.IsInputRedirected)
            return Console.ReadLine() is { } text ? new TypedLine(text, Cancelled: false) : null;

        // While a line is being typed Ctrl+C is a key; while a command runs it is a signal.
        Console.TreatControlCAsInput = true;
        try
        {
            return ReadKeys(prompt);
        }
        finally
        {
            Console.TreatControlCAsInput = false;
        }
    }

    private TypedLine? ReadKeys(string prompt)
    {
        var line = new StringBuilder();
        CommandCompletion? completion = null;
        int historyIndex = _history.Count;
        while (true)
        {
            ConsoleKeyInfo key = Console.ReadKey(intercept: true);
            if (key.Key != ConsoleKey.Tab)
                completion = null;
            switch (key)
            {
                case { Key: ConsoleKey.Enter }:
                    Console.WriteLine();
                    if (line.Length > 0)
                        _history.Add(line.ToString());
                    return new TypedLine(line.ToString(), Cancelled: false);
                case { Key: ConsoleKey.C, Modifiers: ConsoleModifiers.Control }:
                    Console.WriteLine("^C");
                    return new TypedLine(string.Empty, Cancelled: true);
                case { Key: ConsoleKey.D, Modifiers: ConsoleModifiers.Control } when line.Length == 0:
                    Console.WriteLine();
                    return null;
                case { Key: ConsoleKey.Backspace } when line.Length > 0:
                    Replace(line, prompt, line.ToString(0, line.Length - 1));
                    break;
                case { Key: ConsoleKey.UpArrow } when historyIndex > 0:
                    Replace(line, prompt, _history[--historyIndex]);
                    break;
                case { Key: ConsoleKey.DownArrow } when historyIndex < _history.Count:
                    historyIndex++;
                    Replace(line, prompt, historyIndex < _history.Count ? _history[historyIndex] : string.Empty);
                    break;
                case { Key: ConsoleKey.Tab }:
                    completion ??= complete(line.ToString(), line.Length);
                    if (completion.GetNextResult(forward: !key.Modifiers.HasFlag(ConsoleModifiers.Shift)) is { } result)
                        Replace(line, prompt, line.ToString(0, completion.ReplacementIndex) + result.CompletionText);
                    break;
                case { KeyChar: var character } when !char.IsControl(character):
                    line.Append(character);
                    Console.Write(character);
                    break;
            }
        }
    }

    private static void Replace(StringBuilder line, string prompt, string text)
    {
        // Blanks out what stood there; a line longer than the terminal is shown anew below.
        Console.Write($"\r{prompt}{new string(' ', line.Length)}\r{prompt}{text}");
        line.Clear().Append(text);
    }
}
