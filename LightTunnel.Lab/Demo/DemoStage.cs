using System.Diagnostics;
using System.Globalization;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab.Demo;

/// <summary>A step of the demo did not do what it shows.</summary>
internal sealed class DemoException(string message) : Exception(message);

/// <summary>Tells what the demo does: headings, prompts with commands and their real output, findings.</summary>
/// <param name="output">Where to.</param>
internal sealed class DemoStage(TextWriter output)
{
    private readonly long _started = Stopwatch.GetTimestamp();
    private int _steps;
    private int _findings;

    /// <summary>Findings that were as they should be.</summary>
    public int Findings => _findings;

    /// <summary>Time since the beginning.</summary>
    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(_started);

    /// <summary>Begins a step.</summary>
    public void Step(string title)
    {
        output.WriteLine();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"== {++_steps}. {title}"));
        output.WriteLine();
    }

    /// <summary>Says something.</summary>
    public void Say(string text) => output.WriteLine("   " + text);

    /// <summary>Shows a command at a host's prompt, runs it, and shows its output.</summary>
    /// <param name="host">Where.</param>
    /// <param name="command">What is shown, and run unless there is a script.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <param name="script">What is run instead, when the command has a secret in a variable.</param>
    /// <param name="arguments">Arguments of the script.</param>
    /// <exception cref="DemoException">The command reported an error.</exception>
    public async Task<ShellResult> RunAsync(
        LabHost host, string command, CancellationToken cancellationToken, string? script = null, object? arguments = null)
    {
        Prompt(host, command);
        ShellResult result = await host.Shell.TryInvokeAsync(
            script ?? command, arguments, render: true, cancellationToken: cancellationToken).ConfigureAwait(false);
        Show(result);
        return result is { State: ShellState.Completed, Errors.Count: 0 }
            ? result
            : throw new DemoException(
                $"\"{command}\" failed on {host.Name}{(result.State == ShellState.Stopped ? ": it was stopped" : string.Empty)}.");
    }

    /// <summary>Shows a command at a host's prompt.</summary>
    public void Prompt(LabHost host, string command) => output.WriteLine($"{host.Name} PS> {command}");

    /// <summary>Shows a command's rendered output.</summary>
    public void Show(ShellResult result)
    {
        foreach (string warning in result.Warnings)
            output.WriteLine("WARNING: " + warning);
        string text = result.Text.Trim('\n', '\r');
        if (text.Length > 0)
        {
            output.WriteLine();
            output.WriteLine(text);
        }

        output.WriteLine();
    }

    /// <summary>Shows what was found, and fails when it is not as it should be.</summary>
    /// <exception cref="DemoException">It is not.</exception>
    public void Find(bool isRight, string finding)
    {
        output.WriteLine($"   {(isRight ? "✓" : "✗")} {finding}");
        if (!isRight)
            throw new DemoException(finding);
        _findings++;
    }
}
