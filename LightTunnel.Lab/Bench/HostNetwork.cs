using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Services;

namespace LightTunnel.Lab.Bench;

/// <summary>A server and its members as services run them: each LightTunnel.Host on a machine of the laboratory. Needs root.</summary>
internal sealed class HostNetwork : IAsyncDisposable
{
    /// <summary>The server's tunnel address.</summary>
    public const string ServerAddress = "10.77.0.1";

    private static readonly TimeSpan PingInterval = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string _program;
    private readonly Laboratory _laboratory;
    private readonly Dictionary<LabHost, RunningHost> _running = [];
    private string? _invitation;

    private HostNetwork(string program, Laboratory laboratory, IReadOnlyList<LabNode> members) =>
        (_program, _laboratory, Members) = (program, laboratory, members);

    /// <summary>Echo request, of which every field but the checksum is nought (RFC 792).</summary>
    public static ReadOnlySpan<byte> Ping => [8, 0, 0xF7, 0xFF, 0, 0, 0, 0];

    /// <summary>The server's machine, with a shell in which the module is.</summary>
    public LabNode Server => _laboratory["server"];

    /// <summary>The members' machines, all of which have joined.</summary>
    public IReadOnlyList<LabNode> Members { get; }

    /// <summary>The server's process.</summary>
    public int ServerProcess => _running[Server].Process.Id;

    /// <summary>The staged module's program for this system: native where it was packaged, otherwise the one that needs .NET.</summary>
    /// <exception cref="LabException">There is none.</exception>
    public static string ProgramOfTheModule()
    {
        string module = Path.GetDirectoryName(LabPaths.ModuleManifest())!;
        return HostPayload.Of(module, new Version(0, 0, 0)) is { } payload
            ? Path.Combine(payload.Folder, HostPayload.ProgramName)
            : throw new LabException($"The module in {module} has no program for services.", "Build it with: dotnet build");
    }

    /// <summary>Starts a server and members, one after another.</summary>
    /// <param name="members">How many.</param>
    /// <param name="program">The program.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    public static async Task<HostNetwork> StartAsync(int members, string program, CancellationToken cancellationToken)
    {
        string[] names = [.. Enumerable.Range(1, members).Select(number => $"member{number}")];
        Laboratory laboratory = await Laboratory.StartAsync(
            Topology.OpenHosts(TimeSpan.Zero, ["server", .. names]), shells: false, cancellationToken).ConfigureAwait(false);
        var network = new HostNetwork(program, laboratory, [.. names.Select(name => laboratory[name])]);
        try
        {
            network.Start(network.Server, "role: server", $"address: {ServerAddress}/24", $"endpoint: {network.Server.Addresses[0]}:9000");
            await network.Server.StartShellAsync([LabPaths.ModuleManifest()], cancellationToken).ConfigureAwait(false);
            network._invitation = (await network.Server.Shell.InvokeAsync(
                "while (-not (Get-LtServer)) { Start-Sleep -Milliseconds 50 }; \"$(New-LtInvitation)\"",
                cancellationToken: cancellationToken).ConfigureAwait(false)).Single().ToString();
            foreach (LabNode member in network.Members)
                await network.JoinAsync(member, cancellationToken).ConfigureAwait(false);
            return network;
        }
        catch
        {
            await network.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (RunningHost host in _running.Values)
            host.Dispose();
        await _laboratory.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Starts a member's program.</summary>
    /// <returns>How long it took until the server's first pong.</returns>
    public async Task<TimeSpan> JoinAsync(LabHost host, CancellationToken cancellationToken)
    {
        using Socket socket = IcmpSocket(host);
        long begun = Stopwatch.GetTimestamp();
        RunningHost running = Start(host, "role: client", $"invitation: {_invitation}");
        await Task.Run(() => UntilPong(socket, running, begun, cancellationToken), cancellationToken).ConfigureAwait(false);
        return Stopwatch.GetElapsedTime(begun);
    }

    private static void UntilPong(Socket socket, RunningHost running, long begun, CancellationToken cancellationToken)
    {
        var server = new IPEndPoint(IPAddress.Parse(ServerAddress), 0);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (running.Process.HasExited || Stopwatch.GetElapsedTime(begun) > Patience)
                throw new LabException($"The program did not join the network: {running.Output}", "See what it says.");
            try
            {
                socket.SendTo(Ping, server);
            }
            catch (SocketException exception)
                when (exception.SocketErrorCode is SocketError.NetworkUnreachable or SocketError.HostUnreachable)
            {
                // There is no interface yet.
            }

            while (socket.Poll(PingInterval, SelectMode.SelectRead))
            {
                if (IsPong(socket, server))
                    return;
            }
        }
    }

    /// <summary>A raw socket of a machine, which gets all ICMP that its machine gets, with the IP header.</summary>
    public static Socket IcmpSocket(LabHost host)
    {
        Socket socket = NetworkNamespace.Run(
            host.Namespace, () => new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Icmp));
        socket.Bind(new IPEndPoint(IPAddress.Any, 0));
        return socket;
    }

    /// <summary>Whether what has come is the server's answer; a raw socket gets all that its machine gets, with the IP header.</summary>
    private static bool IsPong(Socket socket, IPEndPoint server)
    {
        Span<byte> packet = stackalloc byte[128];
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        int length = socket.ReceiveFrom(packet, SocketFlags.None, ref from);
        int header = (packet[0] & 0xF) * 4;
        return length > header && packet[header] == 0 && ((IPEndPoint)from).Address.Equals(server.Address);
    }

    private RunningHost Start(LabHost host, params string[] configuration)
    {
        string path = Path.Combine(host.Folder, "host.yaml");
        File.WriteAllLines(path, [.. configuration, $"name: {host.Name}", $"statePath: {Path.Combine(host.Folder, "state")}"]);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        // "env" replaces itself by the program, as "ip netns exec" does.
        return _running[host] = new RunningHost(host.StartCommand(
            "env", [$"LIGHTTUNNEL_RUNTIME_DIRECTORY={host.RuntimeFolder}", _program, "--configuration", path]));
    }

    /// <summary>Has a member leave.</summary>
    public async Task StopAsync(LabHost host, CancellationToken cancellationToken)
    {
        _running.Remove(host, out RunningHost? running);
        using (running)
        {
            await host.ExecuteAsync("kill", ["-TERM", $"{running!.Process.Id}"], cancellationToken).ConfigureAwait(false);
            await running.Process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The program, and what it has written so far.</summary>
    private sealed class RunningHost : IDisposable
    {
        private readonly StringBuilder _output = new();

        public RunningHost(Process process)
        {
            Process = process;
            process.OutputDataReceived += OnLine;
            process.ErrorDataReceived += OnLine;
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
        }

        public Process Process { get; }

        public string Output
        {
            get
            {
                lock (_output)
                    return _output.ToString();
            }
        }

        public void Dispose()
        {
            if (!Process.HasExited)
            {
                Process.Kill();
                Process.WaitForExit();
            }

            Process.Dispose();
        }

        private void OnLine(object sender, DataReceivedEventArgs line)
        {
            lock (_output)
                _output.AppendLine(line.Data);
        }
    }
}
