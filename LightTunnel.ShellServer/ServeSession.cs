using System.Collections;
using System.Collections.Concurrent;
using System.Management.Automation;
using System.Management.Automation.Runspaces;
using System.Text.Json;

namespace LightTunnel.ShellServer;

/// <summary>One request of <see cref="ServeLoop"/>, and whether it was cancelled.</summary>
internal sealed class ServeRequest
{
    private readonly Lock _lock = new();
    private PowerShell? _running;
    private bool _cancelled;

    /// <exception cref="InvalidOperationException">A field has the wrong type.</exception>
    /// <exception cref="KeyNotFoundException">A field is missing.</exception>
    public ServeRequest(JsonElement request)
    {
        Id = request.GetProperty("id").ToString();
        Script = request.GetProperty("script").GetString() ?? throw new InvalidOperationException("The script is null.");
        Session = request.TryGetProperty("session", out JsonElement session) ? session.GetString() ?? "main" : "main";
        Render = request.TryGetProperty("render", out JsonElement render) && render.GetBoolean();
        CliXml = request.TryGetProperty("clixml", out JsonElement clixml) && clixml.GetBoolean();
        Arguments = request.TryGetProperty("arguments", out JsonElement arguments) ? ObjectJson.ToArgument(arguments) : null;
    }

    public string Id { get; }

    public string Script { get; }

    public string Session { get; }

    public bool Render { get; }

    public bool CliXml { get; }

    /// <summary>A hashtable of named arguments, an array of positional ones, or null.</summary>
    public object? Arguments { get; }

    /// <summary>Makes the request stoppable; false when it was cancelled before it began.</summary>
    public bool TryBegin(PowerShell powerShell)
    {
        lock (_lock)
        {
            _running = powerShell;
            return !_cancelled;
        }
    }

    public void End()
    {
        lock (_lock)
            _running = null;
    }

    /// <summary>What Ctrl+C does.</summary>
    public void Cancel()
    {
        lock (_lock)
        {
            _cancelled = true;
            _running?.BeginStop(null, null);
        }
    }
}

/// <summary>One runspace with a thread of its own, on which its requests run one after the other.</summary>
internal sealed class ServeSession
{
    private readonly ServeLoop _loop;
    private readonly ShellHost _host;
    private readonly BlockingCollection<ServeRequest> _queue = [];
    private readonly TaskCompletionSource<Exception?> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<ServeRequest> _pending = [];
    private string _current = string.Empty;

    public ServeSession(ServeLoop loop, string name)
    {
        _loop = loop;
        Name = name;
        _host = new ShellHost(new CapturingUserInterface(loop.Width, EmitText));
        new Thread(Work) { IsBackground = true, Name = $"session {name}" }.Start();
    }

    public string Name { get; }

    /// <summary>Waits until the runspace is open; the reason when it could not be.</summary>
    public Exception? Open() => _opened.Task.GetAwaiter().GetResult();

    public void Enqueue(ServeRequest request)
    {
        lock (_pending)
            _pending.Add(request);
        _queue.Add(request);
    }

    /// <summary>Stops the request if it is one of this session, running or waiting.</summary>
    public void Cancel(string id)
    {
        lock (_pending)
            _pending.Find(request => request.Id == id)?.Cancel();
    }

    /// <summary>Stops what runs and what waits, and ends the thread.</summary>
    public Task StopAsync()
    {
        _queue.CompleteAdding();
        lock (_pending)
        {
            foreach (ServeRequest request in _pending)
                request.Cancel();
        }

        return _ended.Task;
    }

    private void Work()
    {
        Runspace? runspace = null;
        Exception? failure = null;
        try
        {
            runspace = RunspaceMaker.Open(_host, _loop.Imports);
        }
        catch (RuntimeException exception)
        {
            failure = exception;
        }

        _opened.SetResult(failure);
        foreach (ServeRequest request in _queue.GetConsumingEnumerable())
        {
            if (runspace is null)
                EmitEnd(request, PSInvocationState.Failed, hadErrors: true, failure);
            else
                Run(request, runspace);
            lock (_pending)
                _pending.Remove(request);
        }

        runspace?.Dispose();
        _ended.SetResult();
    }

    private void Run(ServeRequest request, Runspace runspace)
    {
        _current = request.Id;
        using var powerShell = PowerShell.Create(runspace);
        powerShell.AddScript(request.Script, useLocalScope: false);
        if (request.Arguments is IDictionary named)
            powerShell.AddParameters(named);
        else if (request.Arguments is object?[] positional)
            powerShell.AddParameters(positional);

        var rendered = new List<object>();
        var output = new PSDataCollection<PSObject>();
        output.DataAdded += (_, _) =>
        {
            foreach (PSObject item in output.ReadAll())
            {
                EmitOutput(request, item);
                if (request.Render && item is not null)
                    rendered.Add(item);
            }
        };
        Forward(powerShell.Streams.Error, error => EmitError(request, error, terminating: false, rendered));
        Forward(powerShell.Streams.Warning, record => EmitMessage(request, "warning", record.Message));
        Forward(powerShell.Streams.Verbose, record => EmitMessage(request, "verbose", record.Message));
        Forward(powerShell.Streams.Debug, record => EmitMessage(request, "debug", record.Message));
        Forward(
            powerShell.Streams.Information, record => EmitMessage(request, "information", record.MessageData?.ToString() ?? string.Empty));
        Forward(powerShell.Streams.Progress, record => EmitProgress(request, record));

        bool hadErrors = false;
        PSInvocationState state = PSInvocationState.Stopped;
        try
        {
            if (request.TryBegin(powerShell))
            {
                powerShell.Invoke(input: null, output);
                state = powerShell.InvocationStateInfo.State;
                hadErrors = powerShell.HadErrors;
            }
        }
        catch (PipelineStoppedException)
        {
            state = PSInvocationState.Stopped;
        }
        catch (RuntimeException exception)
        {
            state = PSInvocationState.Failed;
            hadErrors = true;
            EmitError(request, ErrorText.RecordOf(exception), terminating: true, rendered);
        }
        finally
        {
            request.End();
        }

        if (request.Render)
            RenderAll(rendered, runspace);
        EmitEnd(request, state, hadErrors, failure: null);
    }

    /// <summary>Shows objects in their views and errors in the shell's form, as one stream of text.</summary>
    private void RenderAll(List<object> items, Runspace runspace)
    {
        var views = new List<object>();
        foreach (object item in items)
        {
            if (item is ErrorRecord error)
            {
                Show(views);
                EmitText(ErrorText.Format(error) + "\n");
            }
            else
            {
                views.Add(item);
            }
        }

        Show(views);

        void Show(List<object> objects)
        {
            if (objects.Count > 0)
            {
                using var powerShell = PowerShell.Create(runspace);
                powerShell.AddCommand("Out-Default").Invoke(objects);
                objects.Clear();
            }
        }
    }

    private static void Forward<T>(PSDataCollection<T> stream, Action<T> emit) => stream.DataAdded += (_, _) =>
    {
        foreach (T item in stream.ReadAll())
            emit(item);
    };

    private void EmitText(string text) => EmitLine(_current, "text", writer => writer.WriteString("text", text));

    private void EmitMessage(ServeRequest request, string stream, string message) =>
        EmitLine(request.Id, stream, writer => writer.WriteString("message", message));

    private void EmitProgress(ServeRequest request, ProgressRecord record) => EmitLine(request.Id, "progress", writer =>
    {
        writer.WriteString("activity", record.Activity);
        writer.WriteString("status", record.StatusDescription);
        writer.WriteNumber("percent", record.PercentComplete);
    });

    private void EmitOutput(ServeRequest request, PSObject? item) => EmitLine(request.Id, "output", writer =>
    {
        writer.WriteStartArray("types");
        foreach (string type in item?.TypeNames ?? [])
            writer.WriteStringValue(type);
        writer.WriteEndArray();
        writer.WritePropertyName("value");
        ObjectJson.Write(writer, item);
        if (request.CliXml)
            writer.WriteString("clixml", PSSerializer.Serialize(item, depth: 2));
    });

    private void EmitError(ServeRequest request, ErrorRecord error, bool terminating, List<object> rendered)
    {
        if (request.Render)
            rendered.Add(error);
        EmitLine(request.Id, "error", writer => ServeLoop.WriteError(writer, error, terminating));
    }

    private void EmitLine(string id, string stream, Action<Utf8JsonWriter> content) => _loop.Emit(writer =>
    {
        writer.WriteString("id", id);
        writer.WriteString("stream", stream);
        content(writer);
    });

    private void EmitEnd(ServeRequest request, PSInvocationState state, bool hadErrors, Exception? failure)
    {
        if (failure is not null)
            EmitError(request, ErrorText.RecordOf(failure), terminating: true, []);
        _loop.Emit(writer =>
        {
            writer.WriteString("id", request.Id);
            writer.WriteBoolean("done", true);
            writer.WriteString("state", state.ToString());
            writer.WriteBoolean("hadErrors", hadErrors);
        });
    }
}
