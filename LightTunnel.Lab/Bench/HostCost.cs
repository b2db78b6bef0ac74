using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Services;

namespace LightTunnel.Lab.Bench;

/// <summary>What the program of services costs.</summary>
/// <param name="Members">Members that the server has.</param>
/// <param name="ServerMegabytes">The server's resident memory.</param>
/// <param name="ServerOwnMegabytes">What of that is no file's.</param>
/// <param name="Starts">How long a member took from the start of its program to the server's first pong, ordered.</param>
internal sealed record HostCostReport(
    int Members, double ServerMegabytes, double ServerOwnMegabytes, IReadOnlyList<TimeSpan> Starts)
{
    /// <summary>The middle one of the starts.</summary>
    public TimeSpan MedianStart => Starts[Starts.Count / 2];
}

/// <summary>
/// Measures LightTunnel.Host as services run it: a server and its members, each a process on a machine of the laboratory. Needs root.
/// </summary>
internal sealed class HostCost : IAsyncDisposable
{
    private const string ServerAddress = "10.77.0.1";

    /// <summary>Echo request, of which every field but the checksum is nought (RFC 792).</summary>
    private static readonly byte[] Ping = [8, 0, 0xF7, 0xFF, 0, 0, 0, 0];

    private static readonly TimeSpan PingInterval = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string _program;
    private readonly Laboratory _laboratory;
    private readonly Dictionary<LabHost, RunningHost> _running = [];

    private HostCost(string program, Laboratory laboratory) => (_program, _laboratory) = (program, laboratory);

    /// <summary>The "host" command.</summary>
    /// <returns>0 when it was measured.</returns>
    public static async Task<int> RunAsync(
        int members, int starts, string? program, TextWriter output, CancellationToken cancellationToken)
    {
        if (members is < 1 or > 100 || starts < 1)
            throw new LabException("--members must be 1 to 100, --starts at least 1.", "Give other numbers.");
        SetupCheck.Provide(SetupCheck.Essentials(), output);
        program ??= ProgramOfTheModule();
        output.WriteLine($"Starting a server and {members} members, {program} ...");
        HostCostReport report = await MeasureAsync(members, starts, program, cancellationToken).ConfigureAwait(false);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"A server with {report.Members} members: {report.ServerMegabytes:F1} MB resident, {report.ServerOwnMegabytes:F1} MB of it "
                + $"its own."));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"A member, from its program's start to the first pong: {report.MedianStart.TotalMilliseconds:F0} ms, median of "
                + $"{report.Starts.Count} ({report.Starts[0].TotalMilliseconds:F0}..{report.Starts[^1].TotalMilliseconds:F0})."));
        return 0;
    }

    /// <summary>The staged module's program for this system: native where it was packaged, otherwise the one that needs .NET.</summary>
    /// <exception cref="LabException">There is none.</exception>
    public static string ProgramOfTheModule()
    {
        string module = Path.GetDirectoryName(LabPaths.ModuleManifest())!;
        return HostPayload.Of(module, new Version(0, 0, 0)) is { } payload
            ? Path.Combine(payload.Folder, HostPayload.ProgramName)
            : throw new LabException($"The module in {module} has no program for services.", "Build it with: dotnet build");
    }

    /// <summary>Starts a network, measures its server, and starts its last member anew and anew.</summary>
    public static async Task<HostCostReport> MeasureAsync(int members, int starts, string program, CancellationToken cancellationToken)
    {
        string[] names = [.. Enumerable.Range(1, members).Select(number => $"member{number}")];
        var cost = new HostCost(program, await Laboratory.StartAsync(
            Topology.OpenHosts(TimeSpan.Zero, ["server", .. names]), shells: false, cancellationToken).ConfigureAwait(false));
        await using (cost.ConfigureAwait(false))
            return await cost.MeasureAsync(names, starts, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (RunningHost host in _running.Values)
            host.Dispose();
        await _laboratory.DisposeAsync().ConfigureAwait(false);
    }

    private async Task<HostCostReport> MeasureAsync(string[] members, int starts, CancellationToken cancellationToken)
    {
        LabNode server = _laboratory["server"];
        Start(server, "role: server", $"address: {ServerAddress}/24", $"endpoint: {server.Addresses[0]}:9000");
        await server.StartShellAsync([LabPaths.ModuleManifest()], cancellationToken).ConfigureAwait(false);
        string invitation = (await server.Shell.InvokeAsync(
            "while (-not (Get-LtServer)) { Start-Sleep -Milliseconds 50 }; \"$(New-LtInvitation)\"",
            cancellationToken: cancellationToken).ConfigureAwait(false)).Single().ToString();
        foreach (string member in members)
            await JoinAsync(_laboratory[member], invitation, cancellationToken).ConfigureAwait(false);

        int process = _running[server].Process.Id;
        (double resident, double own) = (ProcessFigures.ResidentMegabytes(process), ProcessFigures.AnonymousMegabytes(process));
        var taken = new List<TimeSpan>();
        LabNode last = _laboratory[members[^1]];
        for (int start = 0; start < starts; start++)
        {
            await StopAsync(last, cancellationToken).ConfigureAwait(false);
            taken.Add(await JoinAsync(last, invitation, cancellationToken).ConfigureAwait(false));
        }

        return new HostCostReport(members.Length, resident, own, [.. taken.Order()]);
    }

    private async Task<TimeSpan> JoinAsync(LabHost host, string invitation, CancellationToken cancellationToken)
    {
        using Socket socket = NetworkNamespace.Run(
            host.Namespace, () => new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Icmp));
        long begun = Stopwatch.GetTimestamp();
        RunningHost running = Start(host, "role: client", $"invitation: {invitation}");
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

    private async Task StopAsync(LabHost host, CancellationToken cancellationToken)
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
