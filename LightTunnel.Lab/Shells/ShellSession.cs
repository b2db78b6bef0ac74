using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace LightTunnel.Lab.Shells;

/// <summary>How to start a <see cref="ShellSession"/>.</summary>
internal sealed record ShellOptions
{
    /// <summary>Modules to import first: names or paths.</summary>
    public IReadOnlyList<string> Imports { get; init; } = [];

    /// <summary>Network namespace to run in (by "ip netns"); null for this process's own.</summary>
    public string? Namespace { get; init; }

    /// <summary>Columns that views may use.</summary>
    public int Width { get; init; } = 80;

    /// <summary>How long starting, imports included, may take.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long a script may take when nothing else is said.</summary>
    public TimeSpan InvokeTimeout { get; init; } = TimeSpan.FromMinutes(3);

    /// <summary>Variables added to the process's environment.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// Program and arguments that run LightTunnel.ShellServer, to which the width and the modules are added; null for the real pwsh.
    /// </summary>
    public IReadOnlyList<string>? ServerCommand { get; init; }

    /// <summary>Working directory, null for this process's.</summary>
    public string? WorkingDirectory { get; init; }
}

/// <summary>
/// A real pwsh in a process of its own, driven by scripts. Scripts of one runspace run one after the other and see each
/// other's variables; give another runspace's name to run beside them. All members may be called from any thread.
/// </summary>
internal sealed class ShellSession : IAsyncDisposable
{
    /// <summary>The runspace that scripts run in when nothing else is said.</summary>
    public const string MainRunspace = "main";

    // What hangs comes to an end by these; a busy machine takes its time.
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan CancelTimeout = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly ShellOptions _options;
    private readonly ConcurrentDictionary<string, Collector> _running = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource<JsonElement> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly StringBuilder _errorText = new();
    private readonly Lock _inputLock = new();
    private readonly Task _reading;
    private readonly Task _readingErrors;
    private long _nextId;
    private int _disposed;

    private ShellSession(Process process, ShellOptions options)
    {
        _process = process;
        _options = options;
        _reading = Task.Run(ReadAnswersAsync);
        _readingErrors = Task.Run(ReadErrorTextAsync);
    }

    /// <summary>The process's id.</summary>
    public int ProcessId => _process.Id;

    /// <summary>How long opening the runspace and importing the modules took, measured in the process.</summary>
    public TimeSpan OpenTime { get; private set; }

    /// <summary>Completes when the process has ended.</summary>
    public Task Exited => _process.WaitForExitAsync();

    /// <summary>What the process wrote to standard error so far.</summary>
    public string ErrorText
    {
        get
        {
            lock (_errorText)
                return _errorText.ToString();
        }
    }

    /// <summary>Starts the process and waits until its modules are imported.</summary>
    /// <exception cref="LabException">It did not start, or a module could not be imported.</exception>
    public static async Task<ShellSession> StartAsync(ShellOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new ShellOptions();
        var session = new ShellSession(StartProcess(options), options);
        try
        {
            JsonElement ready = await session._ready.Task.WaitAsync(options.StartTimeout, cancellationToken).ConfigureAwait(false);
            if (!ready.GetProperty("ready").GetBoolean())
            {
                throw new LabException(
                    $"The shell could not import its modules: {ready.GetProperty("rendered").GetString()}",
                    "Build the module with: dotnet build");
            }
            session.OpenTime = TimeSpan.FromMilliseconds(ready.GetProperty("openMilliseconds").GetDouble());
            return session;
        }
        catch (Exception exception)
        {
            int exitCode = await session.EndAsync().ConfigureAwait(false);
            if (exception is TimeoutException or IOException)
            {
                throw new LabException(
                    $"The shell did not start (exit status {exitCode}): {exception.Message} {session.ErrorText}",
                    "Look at the text above.",
                    exception);
            }
            throw;
        }
    }

    /// <summary>Runs a script and fails when it reports any error.</summary>
    /// <param name="script">The script; with arguments it begins with "param(...)".</param>
    /// <param name="arguments">Named arguments (a dictionary or an anonymous object) or positional ones (an array); anything JSON
    /// can say.</param>
    /// <param name="runspace">Scripts of one runspace run one after the other.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="cancellationToken">Stops the script as Ctrl+C does.</param>
    /// <exception cref="ShellScriptException">The script reported an error.</exception>
    /// <exception cref="TimeoutException">It took longer; it was stopped.</exception>
    public async Task<ShellResult> InvokeAsync(
        string script, object? arguments = null, string runspace = MainRunspace, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        ShellResult result = await TryInvokeAsync(
            script, arguments, runspace, timeout, cancellationToken: cancellationToken).ConfigureAwait(false);
        return result is { State: ShellState.Completed, Errors.Count: 0 } ? result : throw new ShellScriptException(script, result);
    }

    /// <summary>Runs a script; its errors are part of the result.</summary>
    /// <param name="script">The script; with arguments it begins with "param(...)".</param>
    /// <param name="arguments">Named arguments (a dictionary or an anonymous object) or positional ones (an array); anything JSON
    /// can say.</param>
    /// <param name="runspace">Scripts of one runspace run one after the other.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="render">True also fills <see cref="ShellResult.Text"/>.</param>
    /// <param name="cliXml">True also fills <see cref="ShellObject.CliXml"/>.</param>
    /// <param name="onOutput">Called with each object as it comes, on the reading thread.</param>
    /// <param name="cancellationToken">Stops the script as Ctrl+C does; the result then says so.</param>
    /// <exception cref="TimeoutException">It took longer; it was stopped.</exception>
    public async Task<ShellResult> TryInvokeAsync(
        string script,
        object? arguments = null,
        string runspace = MainRunspace,
        TimeSpan? timeout = null,
        bool render = false,
        bool cliXml = false,
        Action<ShellObject>? onOutput = null,
        CancellationToken cancellationToken = default)
    {
        string id = Interlocked.Increment(ref _nextId).ToString(CultureInfo.InvariantCulture);
        var collector = new Collector(onOutput);
        _running[id] = collector;
        try
        {
            if (_reading.IsCompleted)
                throw Ended();
            Send(new { id, script, arguments, session = runspace, render, clixml = cliXml });
            return await WaitAsync(id, script, collector, timeout ?? _options.InvokeTimeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _running.TryRemove(id, out _);
        }
    }

    /// <summary>Ends the process as a user who closes the window would: end of input, then, if it does not go, by force.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
            await EndAsync().ConfigureAwait(false);
    }

    private async Task<int> EndAsync()
    {
        lock (_inputLock)
        {
            try
            {
                _process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It has gone already.
            }
        }

        try
        {
            await _process.WaitForExitAsync().WaitAsync(EndTimeout).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Kill();
            await _process.WaitForExitAsync().ConfigureAwait(false);
        }

        await Task.WhenAll(_reading, _readingErrors).ConfigureAwait(false);
        int exitCode = _process.ExitCode;
        _process.Dispose();
        return exitCode;
    }

    /// <summary>Ends the process at once, as a crash would.</summary>
    public void Kill()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has gone already.
        }
    }

    private static Process StartProcess(ShellOptions options)
    {
        if (!File.Exists(LabPaths.ShellServerAssembly))
            throw new LabException($"There is no {LabPaths.ShellServerAssembly}.", "Build it with: dotnet build");
        // "ip netns exec" replaces itself by the program, so the process id is pwsh's.
        string[] command =
        [
            .. options.Namespace is null ? [] : (string[])["ip", "netns", "exec", options.Namespace],
            .. options.ServerCommand is { } server
                ? [.. server, options.Width.ToString(CultureInfo.InvariantCulture), .. options.Imports]
                : CommandOfPwsh(options),
        ];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
            StandardOutputEncoding = Encoding.UTF8,
            WorkingDirectory = options.WorkingDirectory ?? string.Empty,
        };
        foreach ((string name, string value) in RealPowerShell.Environment)
            start.Environment[name] = value;
        foreach ((string name, string value) in options.Environment)
            start.Environment[name] = value;
        return Process.Start(start) ?? throw new LabException("The shell's process did not start.", "Try again.");
    }

    private static string[] CommandOfPwsh(ShellOptions options)
    {
        string imports = string.Join(", ", options.Imports.Select(RealPowerShell.Quote));
        // Without an input format pwsh leaves the input to the script.
        return
        [
            .. RealPowerShell.Command, "-NonInteractive", "-InputFormat", "None", "-Command",
            $"Add-Type -Path {RealPowerShell.Quote(LabPaths.ShellServerAssembly)}; "
                + $"exit [LightTunnel.ShellServer.ServeLoop]::Run({options.Width}, @({imports}))",
        ];
    }

    private async Task<ShellResult> WaitAsync(
        string id, string script, Collector collector, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            return await collector.Completion.WaitAsync(timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            Send(new { cancel = id });
            try
            {
                ShellResult result = await collector.Completion.WaitAsync(CancelTimeout, CancellationToken.None).ConfigureAwait(false);
                if (exception is OperationCanceledException)
                    return result;
            }
            catch (TimeoutException)
            {
                throw new TimeoutException($"The script did not stop {CancelTimeout.TotalSeconds} s after Ctrl+C: {script}");
            }

            throw new TimeoutException($"The script took longer than {timeout.TotalSeconds} s: {script}");
        }
    }

    private void Send(object message)
    {
        string line = JsonSerializer.Serialize(message);
        lock (_inputLock)
        {
            ObjectDisposedException.ThrowIf(_disposed != 0, this);
            try
            {
                _process.StandardInput.WriteLine(line);
                _process.StandardInput.Flush();
            }
            catch (IOException)
            {
                throw Ended();
            }
        }
    }

    private async Task ReadAnswersAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            using var document = JsonDocument.Parse(line);
            JsonElement answer = document.RootElement;
            if (answer.TryGetProperty("ready", out _))
                _ready.TrySetResult(answer.Clone());
            else if (answer.TryGetProperty("id", out JsonElement id) && _running.TryGetValue(id.ToString(), out Collector? collector))
                collector.Take(answer);
        }

        _ready.TrySetException(Ended());
        foreach (Collector collector in _running.Values)
            collector.Fail(Ended());
    }

    private async Task ReadErrorTextAsync()
    {
        while (await _process.StandardError.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            lock (_errorText)
                _errorText.AppendLine(line);
        }
    }

    private IOException Ended() => new($"The shell's process has ended. {ErrorText}");

    /// <summary>Gathers the answers to one request. Filled by the reading thread only.</summary>
    private sealed class Collector(Action<ShellObject>? onOutput)
    {
        private readonly List<ShellObject> _output = [];
        private readonly List<ShellError> _errors = [];
        private readonly List<string> _warnings = [];
        private readonly List<string> _verbose = [];
        private readonly StringBuilder _text = new();
        private readonly TaskCompletionSource<ShellResult> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<ShellResult> Completion => _completion.Task;

        public void Fail(Exception exception) => _completion.TrySetException(exception);

        public void Take(JsonElement answer)
        {
            if (answer.TryGetProperty("done", out _))
            {
                _completion.TrySetResult(new ShellResult
                {
                    State = Enum.Parse<ShellState>(answer.GetProperty("state").GetString()!),
                    Output = _output,
                    Errors = _errors,
                    Warnings = _warnings,
                    Verbose = _verbose,
                    Text = _text.ToString(),
                });
                return;
            }

            switch (answer.GetProperty("stream").GetString())
            {
                case "output":
                    var item = new ShellObject(
                        [.. answer.GetProperty("types").EnumerateArray().Select(type => type.GetString()!)],
                        answer.GetProperty("value").Clone())
                    {
                        CliXml = answer.TryGetProperty("clixml", out JsonElement cliXml) ? cliXml.GetString() : null,
                    };
                    _output.Add(item);
                    onOutput?.Invoke(item);
                    break;
                case "error":
                    _errors.Add(new ShellError(
                        answer.GetProperty("errorId").GetString()!,
                        answer.GetProperty("category").GetString()!,
                        answer.GetProperty("message").GetString()!,
                        answer.GetProperty("recommendedAction").GetString(),
                        answer.GetProperty("target").GetString(),
                        answer.GetProperty("exception").GetString()!,
                        answer.GetProperty("terminating").GetBoolean(),
                        answer.GetProperty("rendered").GetString()!));
                    break;
                case "warning":
                    _warnings.Add(answer.GetProperty("message").GetString()!);
                    break;
                case "verbose":
                    _verbose.Add(answer.GetProperty("message").GetString()!);
                    break;
                case "text":
                    _text.Append(answer.GetProperty("text").GetString());
                    break;
            }
        }
    }
}
