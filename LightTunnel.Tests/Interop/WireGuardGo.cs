using System.Diagnostics;
using System.Globalization;
using LightTunnel.Lab.Namespaces;
using LightTunnel.WireGuard;

namespace LightTunnel.Tests.Interop;

/// <summary>
/// The real thing: wireguard-go with its own network namespace and interface, 10.77.0.1/24, set up through the <c>wg</c> tool.
/// It listens on the namespace's loopback.
/// </summary>
internal sealed class WireGuardGo : IDisposable
{
    private static int _instances;

    private readonly Process _process;

    private WireGuardGo(string name)
    {
        Namespace = name;
        Interface = name;
        NetworkNamespace.Create(name);
        try
        {
            _process = Process.Start(new ProcessStartInfo("ip", ["netns", "exec", name, "wireguard-go", "-f", Interface])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                Environment = { ["WG_PROCESS_FOREGROUND"] = "1", ["LOG_LEVEL"] = "silent" },
            })!;
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
            WaitFor(() => File.Exists($"/var/run/wireguard/{Interface}.sock"));
            using var key = PrivateKey.Generate();
            PublicKey = key.PublicKey;
            SetWithFile(key.Reveal(), "private-key");
            Wg("listen-port", Port.ToString(CultureInfo.InvariantCulture));
            NetworkNamespace.Ip("-n", name, "address", "add", "10.77.0.1/24", "dev", Interface);
            NetworkNamespace.Ip("-n", name, "link", "set", Interface, "up");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Namespace { get; }

    public string Interface { get; }

    public PublicKey PublicKey { get; }

    public int Port { get; private set; } = 40000;

    public static WireGuardGo Start() =>
        new(string.Create(CultureInfo.InvariantCulture, $"ltxw{Environment.ProcessId % 100000}n{Interlocked.Increment(ref _instances)}"));

    /// <summary>Adds or replaces the one peer, which owns 10.77.0.2.</summary>
    public void SetPeer(in PublicKey peer, PresharedKey? presharedKey, int? endpointPort)
    {
        var arguments = new List<string> { "peer", peer.ToString(), "allowed-ips", "10.77.0.2/32" };
        if (endpointPort is { } port)
            arguments.AddRange(["endpoint", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}")]);
        if (presharedKey is null)
            Wg([.. arguments]);
        else
            SetWithFile(presharedKey.Reveal(), [.. arguments, "preshared-key"]);
    }

    public void RemovePeer(in PublicKey peer) => Wg("peer", peer.ToString(), "remove");

    /// <summary>Moves its socket to another port, as after a NAT's rebinding.</summary>
    public void ListenOn(int port)
    {
        Port = port;
        Wg("listen-port", port.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>One column of <c>wg show ... </c> for the only peer: "endpoints", "latest-handshakes", "transfer".</summary>
    public string Show(string what) => NetworkNamespace.Execute(Namespace, "wg", "show", Interface, what).Trim().Split('\t', 2)[^1];

    /// <summary>
    /// Starts a ping of the other side from the namespace's own stack. It waits for longer than a handshake takes to be tried again (5 s
    /// and jitter): an initiation right behind another is refused as a flood or, having the same whitened timestamp, as a replay.
    /// </summary>
    public Process Ping(int count = 1) => Process.Start(new ProcessStartInfo(
        "ip", ["netns", "exec", Namespace, "ping", "-n", "-i", "0.2", "-W", "60", "-c", count.ToString(CultureInfo.InvariantCulture),
            "10.77.0.2"])
    {
        RedirectStandardOutput = true,
    })!;

    public void Dispose()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process?.Dispose();
        File.Delete($"/var/run/wireguard/{Interface}.sock");
        NetworkNamespace.Delete(Namespace);
    }

    private static void WaitFor(Func<bool> condition)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromMinutes(2))
                throw new TimeoutException("wireguard-go did not start.");
            Thread.Sleep(10);
        }
    }

    private void Wg(params string[] arguments) => NetworkNamespace.Execute(Namespace, "wg", ["set", Interface, .. arguments]);

    private void SetWithFile(string secret, params string[] arguments)
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            File.WriteAllText(path, secret);
            Wg([.. arguments, path]);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
