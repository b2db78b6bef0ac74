using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests;

/// <summary>What a script in pwsh printed, and how pwsh ended.</summary>
/// <param name="ExitCode">Its exit status; 128+n after signal n.</param>
/// <param name="Output">Standard output.</param>
/// <param name="Errors">Standard error.</param>
internal sealed record RealShellResult(int ExitCode, string Output, string Errors);

/// <summary>A pwsh whose command line is a script, as services and scheduled tasks start it.</summary>
internal static class RealShell
{
    /// <summary>Runs a script with the staged module imported until pwsh ends.</summary>
    /// <param name="script">The script.</param>
    /// <param name="networkNamespace">Network namespace to run in; null for this process's own.</param>
    /// <param name="environment">Variables added to the process's environment.</param>
    /// <param name="timeout">How long it may take; two minutes when left out.</param>
    public static async Task<RealShellResult> RunAsync(
        string script, string? networkNamespace = null, IReadOnlyDictionary<string, string>? environment = null, TimeSpan? timeout = null)
    {
        await using RealShellProcess shell = Start(script, networkNamespace, environment);
        return await shell.EndAsync(timeout);
    }

    /// <summary>Starts a script with the staged module imported.</summary>
    /// <param name="script">The script.</param>
    /// <param name="networkNamespace">Network namespace to run in; null for this process's own.</param>
    /// <param name="environment">Variables added to the process's environment.</param>
    /// <param name="prefix">Program and arguments that start dotnet, such as "nohup" or "setpriv ...".</param>
    public static RealShellProcess Start(
        string script, string? networkNamespace = null, IReadOnlyDictionary<string, string>? environment = null, params string[] prefix)
    {
        Assert.SkipUnless(RealPowerShell.Failure is null, $"needs pwsh: {RealPowerShell.Failure}");
        string[] command =
        [
            .. networkNamespace is null ? [] : (string[])["ip", "netns", "exec", networkNamespace], .. prefix,
            .. RealPowerShell.Command, "-NonInteractive", "-Command",
            $"$ErrorActionPreference = 'Stop'; Import-Module '{LabPaths.ModuleManifest()}'; {script}",
        ];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in RealPowerShell.Environment)
            start.Environment[name] = value;
        start.Environment["NO_COLOR"] = "1";
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        return new RealShellProcess(Process.Start(start)!);
    }
}

/// <summary>A running pwsh. Disposal ends it by force if it still runs.</summary>
internal sealed partial class RealShellProcess : IAsyncDisposable
{
    /// <summary>Only so that what hangs is named: a busy machine takes its time.</summary>
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();
    private readonly Task _reading;
    private volatile TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal RealShellProcess(Process process)
    {
        _process = process;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput, _output), ReadAsync(process.StandardError, _errors));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public int Id => _process.Id;

    /// <summary>What it printed so far.</summary>
    public string Output => Text(_output);

    /// <summary>Waits until it has printed the text.</summary>
    /// <exception cref="InvalidOperationException">It ended without it.</exception>
    public async Task WaitForOutputAsync(string text, TimeSpan? timeout = null)
    {
        DateTime end = DateTime.UtcNow + (timeout ?? DefaultTimeout);
        while (true)
        {
            Task more = _more.Task;
            bool isOver = _reading.IsCompleted;
            if (Text(_output).Contains(text, StringComparison.Ordinal))
                return;
            if (isOver)
                throw new InvalidOperationException($"pwsh ended without printing '{text}': {Text(_output)} {Text(_errors)}");
            TimeSpan left = end - DateTime.UtcNow;
            if (left <= TimeSpan.Zero)
                throw new TimeoutException($"pwsh did not print '{text}': {Text(_output)} {Text(_errors)}");
            await Task.WhenAny(more, _reading, Task.Delay(left, Token));
        }
    }

    /// <summary>Sends a signal.</summary>
    public void Signal(int number) => Assert.Equal(0, Kill(_process.Id, number));

    /// <summary>Waits until it has ended.</summary>
    public async Task<RealShellResult> EndAsync(TimeSpan? timeout = null)
    {
        try
        {
            await _process.WaitForExitAsync(Token).WaitAsync(timeout ?? DefaultTimeout, Token);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"pwsh does not end: {Text(_output)} {Text(_errors)} {State()}");
        }

        await _reading.WaitAsync(Token);
        return new RealShellResult(_process.ExitCode, Text(_output), Text(_errors));
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
    }

    /// <summary>What its threads do, and which signals it blocks, ignores and catches.</summary>
    private string State()
    {
        try
        {
            string process = $"/proc/{_process.Id}";
            IEnumerable<string> signals =
                File.ReadLines($"{process}/status").Where(line => line.StartsWith("Sig", StringComparison.Ordinal));
            IEnumerable<string> threads = Directory.EnumerateDirectories($"{process}/task").Select(thread =>
                $"{File.ReadAllText($"{thread}/comm").Trim()}: {File.ReadAllText($"{thread}/wchan")}");
            return string.Join(Environment.NewLine, signals.Concat(threads).Append($"it has ended: {_process.HasExited}"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return exception.Message;
        }
    }

    private static string Text(StringBuilder builder)
    {
        lock (builder)
            return builder.ToString();
    }

    private async Task ReadAsync(StreamReader reader, StringBuilder text)
    {
        while (await reader.ReadLineAsync(CancellationToken.None) is { } line)
        {
            lock (text)
                text.AppendLine(line);
            TaskCompletionSource more = _more;
            _more = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            more.TrySetResult();
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Kill(int process, int signal);
}
