using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using LightTunnel.Lab;
using LightTunnel.Management;
using Xunit;

namespace LightTunnel.Tests.Services;

/// <summary>LightTunnel.Host as the module has it, started on a machine of the laboratory as systemd would.</summary>
internal sealed class HostProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Socket _notifications = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly Channel<string> _states = Channel.CreateUnbounded<string>();
    private readonly StringBuilder _journal = new();
    private readonly Process _process;
    private readonly Task _reading;

    private HostProcess(LabNode node, string configuration)
    {
        string notify = Path.Combine(node.Folder, "notify.sock");
        File.Delete(notify);
        _notifications.Bind(new UnixDomainSocketEndPoint(notify));

        var start = new ProcessStartInfo("ip", ["netns", "exec", node.Namespace, Program, "--configuration", configuration])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[UnixControlTransport.FolderVariable] = node.RuntimeFolder;
        start.Environment["NOTIFY_SOCKET"] = notify;
        start.Environment["WATCHDOG_USEC"] = "500000";
        start.Environment["JOURNAL_STREAM"] = "1:2";
        _process = Process.Start(start)!;
        _ = ReadStatesAsync();
        _reading = Task.WhenAll(ReadAsync(_process.StandardOutput), ReadAsync(_process.StandardError));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static string Program => Path.Combine(Path.GetDirectoryName(LabPaths.ModuleManifest())!, "Host", "any", "LightTunnel.Host");

    /// <summary>Everything that it wrote so far.</summary>
    public string Journal
    {
        get
        {
            lock (_journal)
                return _journal.ToString();
        }
    }

    /// <summary>Starts it.</summary>
    /// <param name="node">On which machine.</param>
    /// <param name="configuration">The lines of its file.</param>
    public static HostProcess Start(LabNode node, params string[] configuration)
    {
        string path = Path.Combine(node.Folder, "host.yaml");
        File.WriteAllLines(path, [.. configuration, $"statePath: {node.Folder}/host-state"]);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return new HostProcess(node, path);
    }

    /// <summary>Waits until it tells systemd something, such as "READY=1", after what was waited for before.</summary>
    public async Task<string> WaitForStateAsync(string part)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(Patience);
        var seen = new List<string>();
        try
        {
            while (true)
            {
                seen.Add(await _states.Reader.ReadAsync(limit.Token));
                if (seen[^1].Contains(part, StringComparison.Ordinal))
                    return seen[^1];
            }
        }
        catch (OperationCanceledException) when (!Token.IsCancellationRequested)
        {
            throw new TimeoutException($"It did not say '{part}', but {string.Join(" ", seen)}. It wrote: {Journal}");
        }
    }

    /// <summary>Ends it as "systemctl stop" does.</summary>
    public void Terminate()
    {
        using Process kill = Process.Start("kill", ["-TERM", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>Waits until it has ended.</summary>
    /// <returns>Its exit status.</returns>
    public async Task<int> EndAsync()
    {
        await _process.WaitForExitAsync(Token).WaitAsync(Patience, Token);
        await _reading.WaitAsync(Token);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
        _notifications.Dispose();
    }

    /// <summary>Always, as systemd does: the sender of a datagram that nobody reads waits.</summary>
    private async Task ReadStatesAsync()
    {
        byte[] buffer = new byte[4096];
        try
        {
            while (true)
            {
                int length = await _notifications.ReceiveAsync(buffer, SocketFlags.None, CancellationToken.None);
                _states.Writer.TryWrite(Encoding.UTF8.GetString(buffer, 0, length));
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It was disposed.
        }
    }

    private async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync(CancellationToken.None) is { } line)
        {
            lock (_journal)
                _journal.AppendLine(line);
        }
    }
}
