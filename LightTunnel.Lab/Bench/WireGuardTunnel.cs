using System.Diagnostics;
using LightTunnel.Lab.Namespaces;

namespace LightTunnel.Lab.Bench;

/// <summary>wireguard-go on each host; the server forwards between the clients, so it opens and seals what it relays.</summary>
internal sealed class WireGuardTunnel : IBenchTunnel
{
    private const string Port = "51820";
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(10);

    private readonly BenchNetwork _network;
    private readonly string _program;
    private readonly List<Process> _processes = [];
    private readonly Dictionary<LabHost, int> _processIds = [];

    private WireGuardTunnel(BenchNetwork network, string program)
    {
        _network = network;
        _program = program;
    }

    /// <inheritdoc/>
    public string Name => "wireguard-go";

    /// <inheritdoc/>
    public string ServerAddress => "10.78.0.1";

    /// <inheritdoc/>
    public string FirstAddress => "10.78.0.10";

    /// <inheritdoc/>
    public string SecondAddress => "10.78.0.20";

    /// <inheritdoc/>
    public IReadOnlyList<int> FirstProcesses => [_processIds[_network.First]];

    /// <summary>Starts and configures the three.</summary>
    public static async Task<WireGuardTunnel> StartAsync(BenchNetwork network, string program, CancellationToken cancellationToken)
    {
        var tunnel = new WireGuardTunnel(network, program);
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
        foreach (Process process in _processes)
        {
            process.Kill();
            await process.WaitForExitAsync().ConfigureAwait(false);
            process.Dispose();
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
        // The interface's name is also that of a control socket below /var/run/wireguard, which all namespaces share.
        string name = "wg" + host.Name;
        // Kernels that have WireGuard of their own make it refuse to start unless told so; it does not write a log that anybody reads.
        Process process = host.StartCommand("env", ["WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1", "LOG_LEVEL=silent", _program, "--foreground", name]);
        _processes.Add(process);
        _processIds[host] = process.Id;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();

        string keyFile = Path.Combine(host.Folder, "wireguard.key");
        NetworkNamespace.Execute(host.Namespace, "sh", "-c", $"umask 077; wg genkey > '{keyFile}'");
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(StartTimeout);
        while (!await TryConfigureKeyAsync(host, name, keyFile, deadline.Token).ConfigureAwait(false))
            await Task.Delay(50, deadline.Token).ConfigureAwait(false);
        NetworkNamespace.Ip("-n", host.Namespace, "address", "add", address + "/24", "dev", name);
        NetworkNamespace.Ip("-n", host.Namespace, "link", "set", name, "mtu", "1420", "up");
        return NetworkNamespace.Execute(host.Namespace, "sh", "-c", $"wg pubkey < '{keyFile}'").Trim();
    }

    private static async Task<bool> TryConfigureKeyAsync(LabHost host, string name, string keyFile, CancellationToken cancellationToken) =>
        (await host.ExecuteAsync("wg", ["set", name, "listen-port", Port, "private-key", keyFile], cancellationToken).ConfigureAwait(false)).ExitCode == 0;

    private static void Configure(LabHost host, string peerKey, string allowed, string endpoint) => NetworkNamespace.Execute(
        host.Namespace, "wg", "set", "wg" + host.Name, "peer", peerKey, "allowed-ips", allowed, "endpoint", $"{endpoint}:{Port}");
}
