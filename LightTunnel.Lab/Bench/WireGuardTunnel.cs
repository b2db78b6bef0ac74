using System.Diagnostics;
using System.Net.Sockets;
using LightTunnel.Lab.Namespaces;

namespace LightTunnel.Lab.Bench;

/// <summary>wireguard-go on each host; the server forwards between the clients, so it opens and seals what it relays.</summary>
internal sealed class WireGuardTunnel : IBenchTunnel
{
    private const string Port = "51820";
    private static readonly TimeSpan StartTimeout = TimeSpan.FromMinutes(1);

    private readonly BenchNetwork _network;
    private readonly string _program;
    private readonly Dictionary<LabHost, Process> _processes = [];

    private WireGuardTunnel(BenchNetwork network, string program, string version)
    {
        _network = network;
        _program = program;
        Name = version;
    }

    /// <summary>The program's name and version, in its own words: "wireguard-go v0.0.20250522".</summary>
    public string Name { get; }

    /// <inheritdoc/>
    public string ServerAddress => "10.78.0.1";

    /// <inheritdoc/>
    public string FirstAddress => "10.78.0.10";

    /// <inheritdoc/>
    public string SecondAddress => "10.78.0.20";

    /// <inheritdoc/>
    public int ProcessOn(LabHost host) => _processes[host].Id;

    /// <summary>Starts and configures the three.</summary>
    public static async Task<WireGuardTunnel> StartAsync(BenchNetwork network, string program, CancellationToken cancellationToken)
    {
        CommandResult version = await network.Server.ExecuteAsync(program, ["--version"], cancellationToken).ConfigureAwait(false);
        var tunnel = new WireGuardTunnel(network, program, version.Output.Split('\n')[0].Trim());
        try
        {
            await tunnel.SetUpAsync(cancellationToken).ConfigureAwait(false);
            return tunnel;
        }
        catch
        {
            await tunnel.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach ((LabHost host, Process process) in _processes)
        {
            process.Kill();
            await process.WaitForExitAsync().ConfigureAwait(false);
            process.Dispose();
            // A process that is killed leaves its control socket behind.
            foreach (string socket in LeftOvers.WireGuardSockets(_network.InterfaceOn(host)))
                File.Delete(Path.Combine(LeftOvers.WireGuardFolder, socket));
        }

        _processes.Clear();
    }

    private async Task SetUpAsync(CancellationToken cancellationToken)
    {
        (LabHost server, LabHost first, LabHost second) = (_network.Server, _network.First, _network.Second);
        var publicKeys = new Dictionary<LabHost, string>();
        foreach ((LabHost host, string address) in new[] { (server, ServerAddress), (first, FirstAddress), (second, SecondAddress) })
            publicKeys[host] = await StartOneAsync(host, address, cancellationToken).ConfigureAwait(false);

        Configure(server, publicKeys[first], FirstAddress + "/32", "192.0.2.2");
        Configure(server, publicKeys[second], SecondAddress + "/32", "198.51.100.2");
        Configure(first, publicKeys[server], "10.78.0.0/24", BenchNetwork.ServerForFirst);
        Configure(second, publicKeys[server], "10.78.0.0/24", BenchNetwork.ServerForSecond);
        NetworkNamespace.Execute(server.Namespace, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    }

    private async Task<string> StartOneAsync(LabHost host, string address, CancellationToken cancellationToken)
    {
        string name = _network.InterfaceOn(host);
        // Kernels that have WireGuard of their own make it refuse to start unless told so; it does not write a log that anybody reads.
        Process process = host.StartCommand(
            "env", ["WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1", "LOG_LEVEL=silent", _program, "--foreground", name]);
        _processes.Add(host, process);
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();

        string keyFile = Path.Combine(host.Folder, "wireguard.key");
        NetworkNamespace.Execute(host.Namespace, "sh", "-c", $"umask 077; wg genkey > '{keyFile}'");
        await WaitUntilControllableAsync(process, name, cancellationToken).ConfigureAwait(false);
        NetworkNamespace.Execute(host.Namespace, "wg", "set", name, "listen-port", Port, "private-key", keyFile);
        NetworkNamespace.Ip("-n", host.Namespace, "address", "add", address + "/24", "dev", name);
        NetworkNamespace.Ip("-n", host.Namespace, "link", "set", name, "mtu", "1420", "up");
        return NetworkNamespace.Execute(host.Namespace, "sh", "-c", $"wg pubkey < '{keyFile}'").Trim();
    }

    // Not by trying "wg" until it succeeds: it deletes a control socket that refuses it, as one does between its bind and its listen,
    // and then no later try finds the program.
    private static async Task WaitUntilControllableAsync(Process process, string name, CancellationToken cancellationToken)
    {
        string path = Path.Combine(LeftOvers.WireGuardFolder, name + ".sock");
        for (long began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < StartTimeout && !process.HasExited;)
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(50, cancellationToken).ConfigureAwait(false);
            }
        }

        throw new LabException(
            process.HasExited
                ? $"wireguard-go ended at its start with {process.ExitCode}."
                : $"wireguard-go does not listen at its control socket {path}.",
            "Start it by hand with LOG_LEVEL=verbose to see why.");
    }

    private void Configure(LabHost host, string peerKey, string allowed, string endpoint) => NetworkNamespace.Execute(
        host.Namespace, "wg", "set", _network.InterfaceOn(host), "peer", peerKey, "allowed-ips", allowed, "endpoint", $"{endpoint}:{Port}");
}
