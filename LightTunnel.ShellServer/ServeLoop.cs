using System.Buffers;
using System.Diagnostics;
using System.Management.Automation;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace LightTunnel.ShellServer;

/// <summary>
/// Has a pwsh do what another program asks of it: requests and answers, one JSON object per line. The first line out is
/// <c>{"ready":true,"pid":...,"importMilliseconds":...}</c>, or <c>{"ready":false,...}</c> with the error of a failed import. Then, in:
/// <code>
/// {"id":"1","script":"...","arguments":[...] or {...},"session":"main","render":true,"clixml":true}
/// {"cancel":"1"}
/// </code>
/// and out, in the order things happen, <c>{"id":"1","stream":...}</c> with stream one of
/// output (types, value; clixml if asked for), error (errorId, category, message, recommendedAction, target, exception, terminating),
/// warning, verbose, debug, information (message), progress (activity, status, percent), text (what a console would show; only with
/// render), and at last <c>{"id":"1","done":true,"state":"Completed" or "Failed" or "Stopped","hadErrors":...}</c>. Requests of one
/// session run one after the other in one runspace and see each other's variables; sessions run side by side. End of input and SIGTERM
/// stop what runs and end the process. Ctrl+C reaches every program on a terminal, so it is left to the program that drives this one: its
/// end is the end of input.
/// </summary>
public sealed class ServeLoop
{
    private static readonly TimeSpan StopAllowance = TimeSpan.FromSeconds(10);

    // The reader is a program of this project, not a web page: text stays readable.
    private static readonly JsonWriterOptions JsonOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Stream _output;
    private readonly Lock _outputLock = new();
    private readonly Dictionary<string, ServeSession> _sessions = new(StringComparer.Ordinal);

    private ServeLoop(int width, IReadOnlyList<string> imports, Stream output)
    {
        Width = width;
        Imports = imports;
        _output = output;
    }

    /// <summary>Columns that views may use.</summary>
    internal int Width { get; }

    /// <summary>Modules that every session imports, in order.</summary>
    internal IReadOnlyList<string> Imports { get; }

    /// <summary>Takes requests until the input ends.</summary>
    /// <param name="width">Columns that views may use.</param>
    /// <param name="imports">Names or paths of modules that every session imports, in order.</param>
    /// <returns>The process's exit status.</returns>
    public static int Run(int width, string[] imports)
    {
        Stream output = Console.OpenStandardOutput();
        // Whatever else writes to the console must not get between the answers.
        Console.SetOut(Console.Error);
        return new ServeLoop(width, imports, output).Run();
    }

    /// <summary>Writes one line. Once nobody reads any more, answers are dropped.</summary>
    internal void Emit(Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, JsonOptions))
        {
            writer.WriteStartObject();
            content(writer);
            writer.WriteEndObject();
        }

        buffer.Write("\n"u8);
        lock (_outputLock)
        {
            try
            {
                _output.Write(buffer.WrittenSpan);
                _output.Flush();
            }
            catch (IOException)
            {
                // The reader is gone; end of input follows and ends the process.
            }
        }
    }

    /// <summary>Writes the fields of an error.</summary>
    internal static void WriteError(Utf8JsonWriter writer, ErrorRecord error, bool terminating)
    {
        writer.WriteString("errorId", error.FullyQualifiedErrorId);
        writer.WriteString("category", error.CategoryInfo.Category.ToString());
        writer.WriteString("message", ErrorText.MessageOf(error));
        writer.WriteString("recommendedAction", ErrorText.RecommendedActionOf(error));
        writer.WriteString("target", error.TargetObject?.ToString());
        writer.WriteString("exception", error.Exception.GetType().FullName);
        writer.WriteString("rendered", ErrorText.Format(error));
        writer.WriteBoolean("terminating", terminating);
    }

    private int Run()
    {
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = true);

        long started = Stopwatch.GetTimestamp();
        var main = new ServeSession(this, "main");
        if (main.Open() is { } failure)
        {
            Emit(writer =>
            {
                writer.WriteBoolean("ready", false);
                WriteError(writer, ErrorText.RecordOf(failure), terminating: true);
            });
            return 1;
        }

        lock (_sessions)
            _sessions.Add(main.Name, main);
        Emit(writer =>
        {
            writer.WriteBoolean("ready", true);
            writer.WriteNumber("pid", Environment.ProcessId);
            writer.WriteNumber("openMilliseconds", Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        });

        using var input = new StreamReader(Console.OpenStandardInput(), Encoding.UTF8);
        while (input.ReadLine() is { } line)
        {
            if (!string.IsNullOrWhiteSpace(line))
                Take(line);
        }

        StopAll();
        return 0;

        void End(PosixSignalContext context)
        {
            context.Cancel = true;
            StopAll();
            Environment.Exit(0);
        }
    }

    private void Take(string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            JsonElement root = document.RootElement;
            if (root.TryGetProperty("cancel", out JsonElement cancel))
            {
                string id = cancel.ToString();
                lock (_sessions)
                {
                    foreach (ServeSession session in _sessions.Values)
                        session.Cancel(id);
                }

                return;
            }

            var request = new ServeRequest(root);
            SessionNamed(request.Session).Enqueue(request);
        }
        catch (Exception exception)
            when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            Emit(writer =>
            {
                writer.WriteString("stream", "protocol");
                writer.WriteString("message", $"This line is not a request: {exception.Message}");
            });
        }
    }

    private ServeSession SessionNamed(string name)
    {
        lock (_sessions)
        {
            if (!_sessions.TryGetValue(name, out ServeSession? session))
                _sessions.Add(name, session = new ServeSession(this, name));
            return session;
        }
    }

    private void StopAll()
    {
        ServeSession[] sessions;
        lock (_sessions)
            sessions = [.. _sessions.Values];
        Task.WaitAll([.. sessions.Select(session => session.StopAsync())], StopAllowance);
    }
}
