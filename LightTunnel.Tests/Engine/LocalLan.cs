using System.Net;
using System.Runtime.Versioning;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Fakes;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Membership;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// An Ethernet of two namespaces, 10.77.0.0/24: the server has 10.77.0.1, all others 10.77.0.2, nobody the rest. The nodes are real ones
/// with their threads and sockets; only their interfaces are in memory.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class LocalLan : IDisposable
{
    public const string ServerAddress = "10.77.0.1";
    public const string OthersAddress = "10.77.0.2";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string _name = Guid.NewGuid().ToString("N")[..8];
    private readonly PrivateKey _serverKey = PrivateKey.Generate();
    private readonly PresharedKey _networkKey = PresharedKey.Generate();
    private readonly List<LanNode> _nodes = [];

    public LocalLan()
    {
        NetworkNamespace.Create(ServerSpace);
        NetworkNamespace.Create(OtherSpace);
        NetworkNamespace.Ip("-n", ServerSpace, "link", "add", "lan", "type", "veth", "peer", "name", "lan", "netns", OtherSpace);
        foreach ((string space, string address) in new[] { (ServerSpace, ServerAddress), (OtherSpace, OthersAddress) })
        {
            NetworkNamespace.Ip("-n", space, "address", "add", address + "/24", "dev", "lan");
            NetworkNamespace.Ip("-n", space, "link", "set", "lan", "up");
        }

        Server = Add("hub", ServerSpace, [ServerAddress], (services, addresses) =>
        {
            Assert.True(InterfaceAddress.TryParse("10.0.0.1/24", out InterfaceAddress own));
            var options = new ServerOptions { Name = "hub", StatePath = "unused", Addresses = [own], AllowKeyOnly = true };
            return new Node(
                _serverKey, new PresharedKeyRing(_networkKey), options.Cipher, services,
                node => new ServerRole(node, options, _serverKey, new Leases(options.Addresses), new MemoryStore(), addresses));
        });
    }

    public string ServerSpace => "ltxls" + _name;

    public string OtherSpace => "ltxlo" + _name;

    public LanNode Server { get; }

    public PublicKey ServerKey => _serverKey.PublicKey;

    public IPEndPoint ServerEndpoint => new(IPAddress.Parse(ServerAddress), Server.Transport.LocalPort);

    /// <summary>Starts a client, whose own addresses a test may make up, and has it connect.</summary>
    /// <param name="name">The client's name.</param>
    /// <param name="addresses">What it says its addresses are; null for its own.</param>
    public LanNode AddClient(string name, params string[] addresses)
    {
        LanNode made = Add(name, OtherSpace, addresses.Length == 0 ? [OthersAddress] : addresses, (services, own) =>
        {
            var options = new ClientOptions
            {
                Name = name, StatePath = "unused", Servers = [new ServerEndpoint(ServerAddress, ServerEndpoint.Port)],
                ServerKey = ServerKey, NetworkKey = _networkKey,
            };
            var identity = PrivateKey.Generate();
            return new Node(
                identity, new PresharedKeyRing(_networkKey), options.Cipher, services,
                node => new ClientRole(node, options, identity, [], null, new SystemNameResolver(), own));
        });
        made.Node.Post(((ClientRole)made.Node.Role).Connect);
        return made;
    }

    /// <summary>Waits until a client has joined.</summary>
    public static Task JoinedAsync(LanNode client) =>
        UntilAsync(() => client.AskAsync(() => client.Node is { State: TunnelState.Up, Forwarding.OwnAddresses.Length: > 0 }));

    /// <summary>Waits until something is so, for minutes at most.</summary>
    public static Task UntilAsync(Func<bool> condition) => UntilAsync(() => Task.FromResult(condition()));

    /// <inheritdoc cref="UntilAsync(Func{bool})"/>
    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!await condition())
            await Task.Delay(20, patience.Token);
    }

    /// <summary>Sends packets from one node's system to the other's and back, one at a time, each of which must arrive.</summary>
    /// <returns>How long the slowest pair took.</returns>
    public static async Task<TimeSpan> PingAsync(LanNode one, LanNode other, int count)
    {
        TimeSpan slowest = TimeSpan.Zero;
        for (int i = 0; i < count; i++)
        {
            Timestamp began = TimeProvider.System.Now();
            await PassAsync(one, other, $"{one.Name} {i}");
            await PassAsync(other, one, $"{other.Name} {i}");
            TimeSpan took = TimeProvider.System.Now() - began;
            slowest = took > slowest ? took : slowest;
            await Task.Delay(50);
        }

        return slowest;
    }

    /// <summary>How many neighbours the system of a namespace looks for in vain.</summary>
    public static int CountAbsent(string space) => NetworkNamespace.Ip("-n", space, "neighbour", "show")
        .Split('\n').Count(line => line.Contains("INCOMPLETE", StringComparison.Ordinal)
            || line.Contains("FAILED", StringComparison.Ordinal));

    public void Dispose()
    {
        foreach (LanNode node in Enumerable.Reverse(_nodes))
            node.Dispose();
        _networkKey.Dispose();
        _serverKey.Dispose();
        NetworkNamespace.Delete(ServerSpace);
        NetworkNamespace.Delete(OtherSpace);
    }

    private static async Task PassAsync(LanNode from, LanNode to, string body)
    {
        while (to.Tun.TryCollect(out _))
        {
        }

        byte[] packet = TestPackets.Udp(from.Address, to.Address, Encoding.ASCII.GetBytes(body));
        from.Tun.Inject(packet);
        byte[]? arrived = await Task.Factory.StartNew(
            () => to.Tun.Collect(Patience), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Assert.True(arrived is not null, $"'{body}' never arrived at {to.Name}.");
        Assert.Equal(packet, arrived);
    }

    private LanNode Add(string name, string space, string[] addresses, Func<NodeServices, LanAddresses, Node> make)
    {
        LinuxUdpTransport transport = NetworkNamespace.Run(space, () => LinuxUdpTransport.Open(0));
        var node = new LanNode(name, transport, new LanAddresses(addresses), make);
        _nodes.Add(node);
        return node;
    }
}

/// <summary>A node of a <see cref="LocalLan"/>.</summary>
[SupportedOSPlatform("linux")]
internal sealed class LanNode : IDisposable
{
    private readonly TunnelLog _log;
    private readonly TunnelThreads _threads;

    public LanNode(string name, LinuxUdpTransport transport, LanAddresses addresses, Func<NodeServices, LanAddresses, Node> make)
    {
        Name = name;
        Transport = transport;
        Addresses = addresses;
        _log = new TunnelLog(name, TimeProvider.System, LogLevel.Information);
        Tun = new InMemoryTunDevice(name);
        Node = make(new NodeServices(TimeProvider.System, Tun, transport, _log), addresses);
        _threads = new TunnelThreads(Node, Tun, transport, TimeProvider.System, 2, exception => Failure ??= exception);
        _threads.Start(name);
    }

    public string Name { get; }

    public Node Node { get; }

    public InMemoryTunDevice Tun { get; }

    public LinuxUdpTransport Transport { get; }

    public LanAddresses Addresses { get; }

    public Exception? Failure { get; private set; }

    public TunnelAddress Address => Node.Forwarding.OwnAddresses[0].Address;

    /// <summary>Asks the node on its control loop, which answers within minutes or not at all.</summary>
    public Task<T> AskAsync<T>(Func<T> question) => Node.AskAsync(question).WaitAsync(TimeSpan.FromMinutes(2));

    public void Dispose()
    {
        _threads.Dispose();
        Node.Dispose();
        Transport.Dispose();
        Tun.Dispose();
        _log.Dispose();
    }
}

/// <summary>What a machine says its addresses are.</summary>
internal sealed class LanAddresses(string[] addresses) : ILocalAddressSource
{
    private volatile string[] _all = addresses;

    private Action _changed = () => { };

    public IReadOnlyList<LocalAddressInfo> Read() =>
        [.. _all.Select(one => new LocalAddressInfo("lan", TunnelAddress.FromIPAddress(IPAddress.Parse(one)), PrefixLength: 24))];

    /// <summary>The machine has others now.</summary>
    public void Replace(IEnumerable<string> all)
    {
        _all = [.. all];
        _changed();
    }

    public IDisposable Watch(Action changed)
    {
        _changed = changed;
        return new MemoryStream();
    }
}
