using System.Diagnostics;
using System.Runtime.Versioning;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Forwarding;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Timing;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Forwarding;

/// <summary>
/// A gateway in a network namespace, with what is to be forwarded around it, each in a namespace of its own: a member behind "lt0" (and one
/// behind "lt1"), cables that stand for tunnels; a host behind "lan", which knows no route to members; and a stranger behind "wan", who
/// would like to have a router.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class GatewayNamespaces : IDisposable
{
    public const string Host = "192.168.7.20", HostV6 = "fd77::20", Stranger = "198.51.100.9";
    public const string Network = "192.168.7.0/24", NetworkV6 = "fd77::/64";

    private static readonly string[] Families = ["-4", "-6"];
    private static int s_counter;

    private readonly string _prefix = $"ltxf{Environment.ProcessId}x{Interlocked.Increment(ref s_counter)}";
    private readonly string[] _others = ["a", "b", "h", "s"];
    private readonly MemoryRecord _unused = new();

    public GatewayNamespaces()
    {
        Prerequisites.SkipUnlessGateway();
        Gateway = _prefix + "g";
        foreach (string name in _others.Append("g"))
            NetworkNamespace.Create(_prefix + name);
        foreach (string name in _others.Append("g").Select(name => _prefix + name))
            Write(name, "net/ipv6/conf/default/accept_dad", "0");
        Cable("a", "lt0", "10.0.0.5/24", "10.0.0.1/24", "fd00::5/64", "fd00::1/64");
        Cable("b", "lt1", "10.0.1.5/24", "10.0.1.1/24", "fd01::5/64", "fd01::1/64");
        Cable("h", "lan", $"{Host}/24", "192.168.7.1/24", $"{HostV6}/64", "fd77::1/64");
        Cable("s", "wan", $"{Stranger}/24", "198.51.100.1/24", "fd99::9/64", "fd99::1/64");
        NetworkNamespace.Ip("-n", _prefix + "a", "route", "add", Network, "via", "10.0.0.1");
        NetworkNamespace.Ip("-n", _prefix + "a", "-6", "route", "add", NetworkV6, "via", "fd00::1");
        NetworkNamespace.Ip("-n", _prefix + "b", "route", "add", Network, "via", "10.0.1.1");
        NetworkNamespace.Ip("-n", _prefix + "s", "route", "add", Network, "via", "198.51.100.1");
        NetworkNamespace.Ip("-n", _prefix + "s", "route", "add", "10.0.0.0/24", "via", "198.51.100.1");
        NetworkNamespace.Ip("-n", _prefix + "h", "route", "add", "198.51.100.0/24", "via", "192.168.7.1");
        // The kernel gives link-local addresses in its own time.
        Await(() => LinkLocals(Gateway) == 4 && LinkLocals(HostNamespace) == 1, "There are no link-local addresses.");
    }

    public string Gateway { get; }

    public string HostNamespace => _prefix + "h";

    /// <summary>The namespace of one of the others, "a", "b", "h" or "s".</summary>
    public string NamespaceOf(string name) => _prefix + name;

    public static ForwardingOptions Options(string tunnel = "lt0", bool translates = true, params string[] networks) =>
        new(tunnel, [.. (networks.Length == 0 ? [Network] : networks).Select(each => new ForwardedNetwork(Prefix(each), translates))]);

    public static TunnelLog Log() => new("test", SystemClock.Instance);

    /// <summary>Begins forwarding in the gateway, as a tunnel does.</summary>
    public LinuxForwarding Begin(
        ForwardingOptions options, TunnelLog log, IForwardingRecordFile? file = null, IKernelSettings? settings = null,
        params TunnelAddress[] resolvers) => In(() =>
    {
        var forwarding = new LinuxForwarding(
            options, settings ?? new KernelSettings(), new NftProgram(), file ?? _unused, log, () => resolvers);
        forwarding.Begin();
        return forwarding;
    });

    /// <summary>Runs something in the gateway.</summary>
    public T In<T>(Func<T> body) => NetworkNamespace.Run(Gateway, body);

    /// <summary>A setting of the gateway.</summary>
    public string? Read(string key) => In(() => new KernelSettings().Read(key));

    public void Write(string key, string value) => Write(Gateway, key, value);

    public string Nft(params string[] arguments) => NetworkNamespace.Execute(Gateway, "nft", arguments);

    /// <summary>Whether an address answers pings from one of the others, "a", "b", "h" or "s".</summary>
    public bool Pings(string from, string to, bool expected = true)
    {
        // Where an answer is expected, it may take its time; where none is, one lost packet would prove nothing.
        string[] arguments = expected ? ["-c", "1", "-w", "20", to] : ["-c", "3", "-i", "0.2", "-w", "1", to];
        try
        {
            return NetworkNamespace.Execute(_prefix + from, "ping", arguments).Contains(" 0% packet loss", StringComparison.Ordinal);
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Sends a datagram to each of a host's ports, from one of the others.</summary>
    public void SendToPorts(string from, string to, int ports) => NetworkNamespace.Run(_prefix + from, () =>
    {
        using var socket = new System.Net.Sockets.UdpClient(0);
        for (int port = 1; port <= ports; port++)
            socket.Send([1], 1, to, port);
        return true;
    });

    /// <summary>All that forwarding may change: settings of all interfaces, rules, routes.</summary>
    public string Snapshot() => Snapshot(Gateway);

    /// <summary>The same of any network namespace.</summary>
    public static string Snapshot(string name)
    {
        string settings = NetworkNamespace.Run(name, () =>
        {
            var text = new StringBuilder();
            foreach (string folder in (string[])["net/ipv4/conf", "net/ipv6/conf"])
            {
                foreach (string path in Directory.EnumerateFiles("/proc/sys/" + folder, "*", SearchOption.AllDirectories).Order())
                {
                    // A tunnel's interface goes with it, and its settings go with the interface.
                    if (!path.Contains("/lt", StringComparison.Ordinal))
                        text.AppendLine($"{path} {ReadAny(path)}");
                }
            }

            return text.Append(ReadAny("/proc/sys/net/ipv4/ip_forward")).ToString();
        });
        string routes = string.Join('\n', Families.SelectMany(family => new[]
        {
            NetworkNamespace.Ip("-n", name, family, "route", "show", "table", "all"),
            NetworkNamespace.Ip("-n", name, family, "rule", "show"),
        }));
        return $"{settings}\n{NetworkNamespace.Execute(name, "nft", "list", "ruleset")}\n{WithoutTimes(routes)}";
    }

    /// <summary>Waits until something is so.</summary>
    public static void Await(Func<bool> condition, string what)
    {
        long began = Stopwatch.GetTimestamp();
        while (!condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromMinutes(2), what);
            Thread.Sleep(50);
        }
    }

    public void Dispose()
    {
        foreach (string name in _others.Append("g"))
            NetworkNamespace.Delete(_prefix + name);
    }

    private static int LinkLocals(string name) =>
        NetworkNamespace.Ip("-n", name, "-6", "address", "show", "scope", "link", "-tentative").Split("inet6 fe80").Length - 1;

    private static string WithoutTimes(string routes) =>
        System.Text.RegularExpressions.Regex.Replace(routes, " expires [0-9]+sec", string.Empty);

    private static string ReadAny(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return exception.GetType().Name; // Nobody may read it, or it has no value.
        }
    }

    private static void Write(string name, string key, string value) => NetworkNamespace.Run(name, () =>
    {
        new KernelSettings().Write(key, value);
        return true;
    });

    private void Cable(string other, string name, params string[] addresses)
    {
        NetworkNamespace.Ip("-n", Gateway, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", _prefix + other);
        foreach ((string space, string device, int first) in ((string, string, int)[])[(_prefix + other, "eth0", 0), (Gateway, name, 1)])
        {
            NetworkNamespace.Ip("-n", space, "address", "add", addresses[first], "dev", device);
            NetworkNamespace.Ip("-n", space, "address", "add", addresses[first + 2], "dev", device, "nodad");
            NetworkNamespace.Ip("-n", space, "link", "set", device, "up");
        }
    }
}

/// <summary>A record in memory, which outlives whoever wrote it.</summary>
internal sealed class MemoryRecord : IForwardingRecordFile
{
    public byte[]? Content { get; set; }

    public byte[]? Read() => Content;

    public void Write(ReadOnlySpan<byte> content) => Content = content.ToArray();

    public void Delete() => Content = null;
}

/// <summary>A kernel before 6.17: one switch for the forwarding of all IPv6.</summary>
[SupportedOSPlatform("linux")]
internal sealed class OlderKernel : IKernelSettings
{
    private readonly KernelSettings _settings = new();

    public string? Read(string key) => key.EndsWith("/force_forwarding", StringComparison.Ordinal) ? null : _settings.Read(key);

    public void Write(string key, string value)
    {
        Assert.DoesNotContain("force_forwarding", key, StringComparison.Ordinal);
        _settings.Write(key, value);
    }

    public IReadOnlyList<string> Interfaces(bool isIPv4) => _settings.Interfaces(isIPv4);

    public string Lifetime() => _settings.Lifetime();
}
