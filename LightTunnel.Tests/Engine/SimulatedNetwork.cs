using System.Net;
using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Transport;
using LightTunnel.Traversal;
using LightTunnel.Tun;
using LightTunnel.WireGuard;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A server and clients on an in-memory internet with a fake clock, all on the test's own thread.</summary>
internal sealed class SimulatedNetwork : IDisposable
{
    public const string ServerHost = "203.0.113.1";
    public const int ServerPort = 9000;

    private readonly List<SimulatedNode> _nodes = [];
    private readonly PresharedKey _networkKey = PresharedKey.Generate();
    private readonly PrivateKey _serverKey = PrivateKey.Generate();
    private int _hosts;

    public SimulatedNetwork(int seed = 1)
    {
        Net = new InMemoryNetwork(Time, seed)
        {
            Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram) =>
                (!IsDirectBlocked || from.Port == ServerPort || to.Port == ServerPort) && Filter?.Invoke(from, to, datagram) != false,
        };
    }

    /// <summary>True when clients reach the server only, as behind firewalls.</summary>
    public bool IsDirectBlocked { get; set; }

    /// <summary>Looks at, and may lose, every datagram.</summary>
    public DatagramFilter? Filter { get; set; }

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public InMemoryNetwork Net { get; }

    public FakeResolver Resolver { get; } = new();

    public PublicKey ServerKey => _serverKey.PublicKey;

    public PresharedKey NetworkKey => _networkKey;

    public SimulatedNode Server { get; private set; } = null!;

    /// <summary>What the server saved last, to be restored by a restart.</summary>
    public (IReadOnlyList<Lease> Leases, uint NextMemberId) Saved { get; private set; } = ([], 0);

    public IReadOnlyList<SimulatedNode> Nodes => _nodes;

    public SimulatedNode StartServer(Func<ServerOptions, ServerOptions>? change = null, params string[] addresses)
    {
        var options = new ServerOptions
        {
            Name = "hub",
            StatePath = "unused",
            ListenPort = ServerPort,
            Addresses = [.. (addresses.Length == 0 ? ["10.0.0.1/24"] : addresses).Select(Parse)],
        };
        options = change?.Invoke(options) ?? options;
        SimulatedNode made = Add("hub", ServerHost, ServerPort, services =>
        {
            services.Tun.Configure(options.Addresses, options.Mtu ?? TunnelOptions.DefaultMtu);
            var leases = new Leases(options.Addresses);
            leases.Restore(Saved.Leases, Saved.NextMemberId);
            return new ServerNode(options, Copy(_serverKey), _networkKey, leases, all => Saved = ([.. all.All], all.NextMemberId), services);
        });
        Server = made;
        return made;
    }

    public SimulatedNode AddClient(
        string name, string? address = null, string server = "203.0.113.1", PrivateKey? identity = null, PresharedKey? networkKey = null,
        PublicKey? serverKey = null, string? host = null)
    {
        var options = new ClientOptions
        {
            Name = name,
            StatePath = "unused",
            Servers = [new ServerEndpoint(server, ServerPort)],
            ServerKey = serverKey ?? ServerKey,
            NetworkKey = networkKey ?? _networkKey,
            RequestedAddresses = address is null ? [] : [TunnelAddress.FromIPAddress(IPAddress.Parse(address))],
        };
        SimulatedNode made = Add(
            name, host ?? $"198.51.{100 + (_hosts / 250)}.{1 + (_hosts++ % 250)}", 0,
            services => new ClientNode(options, identity ?? PrivateKey.Generate(), [], null, Resolver, new FakeAddresses(services), services));
        made.Client.Post(made.Client.Connect);
        return made;
    }

    /// <summary>The node vanishes without a word.</summary>
    public void Kill(SimulatedNode node)
    {
        _nodes.Remove(node);
        node.Dispose();
    }

    /// <summary>The node says goodbye and is gone.</summary>
    public void Stop(SimulatedNode node)
    {
        node.Node.Post(node.Node.SayGoodbye);
        node.Step();
        node.Node.FinishState();
        Kill(node);
    }

    /// <summary>The server's state is lost, but for its key.</summary>
    public void ForgetSaved() => Saved = ([], 0);

    public void Run(TimeSpan duration) => RunUntil(() => false, duration);

    /// <summary>Lets time pass until the condition holds; false when it never did.</summary>
    public bool RunUntil(Func<bool> condition, TimeSpan atMost)
    {
        DateTimeOffset end = Time.GetUtcNow() + atMost;
        while (true)
        {
            Settle();
            if (condition())
                return true;
            if (Time.GetUtcNow() >= end)
                return false;
            long now = Time.GetTimestamp();
            long next = Math.Min(Net.NextDue ?? long.MaxValue, _nodes.Count == 0 ? long.MaxValue : _nodes.Min(node => node.Deadline));
            TimeSpan step = next == long.MaxValue ? end - Time.GetUtcNow() : TimeSpan.FromTicks(Math.Max(1, next - now));
            TimeSpan left = end - Time.GetUtcNow();
            Time.Advance(step < left ? step : left);
        }
    }

    /// <summary>Everybody does what can be done without time passing.</summary>
    public void Settle()
    {
        bool busy = true;
        for (int rounds = 0; busy; rounds++)
        {
            Assert.True(rounds < 10_000, "The network never comes to rest.");
            busy = Net.Pump() > 0;
            foreach (SimulatedNode node in _nodes)
                busy |= node.Step();
        }
    }

    public void Dispose()
    {
        foreach (SimulatedNode node in _nodes)
            node.Dispose();
        _networkKey.Dispose();
        _serverKey.Dispose();
    }

    private static PrivateKey Copy(PrivateKey key)
    {
        Assert.True(PrivateKey.TryParse(key.Reveal(), out PrivateKey? copy));
        return copy;
    }

    private static InterfaceAddress Parse(string text)
    {
        Assert.True(InterfaceAddress.TryParse(text, out InterfaceAddress address));
        return address;
    }

    private SimulatedNode Add(string name, string host, int port, Func<NodeServices, Node> make)
    {
        var node = new SimulatedNode(name, host, new InMemoryTunDevice(name, _nodes.Count + 1), Net.Open(IPAddress.Parse(host), port), Time, make);
        _nodes.Add(node);
        return node;
    }
}

/// <summary>One node of a <see cref="SimulatedNetwork"/>.</summary>
internal sealed class SimulatedNode : IDisposable
{
    private readonly PacketBatch _packets = new(16, 1600);
    private readonly PacketBatch _replies = new(16, 1600);
    private readonly PacketBatch _datagrams = new(16, 1800);
    private readonly PacketBatch _forward = new(16, 1800);
    private readonly OutboundPath _outbound;
    private readonly InboundPath _inbound;

    public SimulatedNode(string name, string host, InMemoryTunDevice tun, InMemoryTransport transport, TimeProvider time, Func<NodeServices, Node> make)
    {
        Name = name;
        Host = host;
        Tun = tun;
        Transport = transport;
        Log = new TunnelLog(name, time, LogLevel.Debug);
        Node = make(new NodeServices(time, tun, transport, Log));
        _outbound = new OutboundPath(Node);
        _inbound = new InboundPath(Node);
    }

    public string Name { get; }

    public string Host { get; }

    public InMemoryTunDevice Tun { get; }

    public InMemoryTransport Transport { get; }

    public TunnelLog Log { get; }

    public Node Node { get; }

    public ClientNode Client => (ClientNode)Node;

    public long Deadline { get; private set; }

    public PacketCounters Outbound => _outbound.Counters;

    public PacketCounters Inbound => _inbound.Counters;

    public TunnelAddress Address => Node.Forwarding.OwnAddresses[0].Address;

    public bool IsUp => Node is ServerNode || Client.State == TunnelState.Up;

    public IEnumerable<string> LogLines => Log.Read().Select(entry => entry.Message);

    public bool Step()
    {
        bool busy = false;
        while (Transport.TryReceive(_datagrams))
        {
            busy = true;
            _inbound.Process(_datagrams, _forward);
            Tun.Write(_datagrams);
            Transport.Send(_forward);
        }

        while (Tun.TryRead(_packets))
        {
            busy = true;
            _outbound.Process(_packets, _replies);
            Transport.Send(_packets);
            Tun.Write(_replies);
        }

        Deadline = Node.RunControl();
        return busy;
    }

    public Peer Peer(string name) => Node.Peers.Single(peer => peer.Name == name);

    /// <summary>Sends a UDP packet from this node's system to an address, with a body to know it by.</summary>
    public void Send(TunnelAddress destination, string body, TunnelAddress? source = null) =>
        Tun.Inject(TestPackets.Udp(source ?? Address, destination, System.Text.Encoding.ASCII.GetBytes(body)));

    /// <summary>Bodies of the UDP packets that arrived at this node's system, in order; ICMP errors as "icmp TYPE/CODE".</summary>
    public List<string> TakeReceived()
    {
        var received = new List<string>();
        while (Tun.TryCollect(out byte[]? packet))
            received.Add(TestPackets.Describe(packet));
        return received;
    }

    public void Dispose()
    {
        Node.Dispose();
        Transport.Dispose();
        Tun.Dispose();
        Log.Dispose();
    }
}

internal sealed class FakeAddresses(NodeServices services) : ILocalAddressSource
{
    private Action? _changed;

    public IReadOnlyList<LocalAddressInfo> Read() =>
        [new LocalAddressInfo("eth0", TunnelAddress.FromIPAddress(((InMemoryTransport)services.Transport).Endpoint.Address))];

    public IDisposable Watch(Action changed)
    {
        _changed = changed;
        return new MemoryStream();
    }

    public void Change() => _changed?.Invoke();
}

internal sealed class FakeResolver : INameResolver
{
    public Dictionary<string, IPAddress[]> Names { get; } = [];

    public int Lookups { get; private set; }

    /// <summary>What every look-up fails with, or null.</summary>
    public Exception? Failure { get; set; }

    public Task<IReadOnlyList<IPAddress>> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        Lookups++;
        if (Failure is not null)
            return Task.FromException<IReadOnlyList<IPAddress>>(Failure);
        if (IPAddress.TryParse(host, out IPAddress? literal))
            return Task.FromResult<IReadOnlyList<IPAddress>>([literal]);
        return Names.TryGetValue(host, out IPAddress[]? addresses)
            ? Task.FromResult<IReadOnlyList<IPAddress>>(addresses)
            : Task.FromException<IReadOnlyList<IPAddress>>(new System.Net.Sockets.SocketException((int)System.Net.Sockets.SocketError.HostNotFound));
    }
}
