using System.Diagnostics;
using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Fakes;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Membership;
using LightTunnel.Tests.Simulation;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// A server and clients in virtual time, all on the test's own thread: on an internet of their own, where each has a public address, or on
/// one that has NATs. Keys and jitter come from the seed.
/// </summary>
internal sealed class SimulatedNetwork : IDisposable
{
    public const string ServerHost = "203.0.113.1";
    public const int ServerPort = 9000;

    private readonly NodePump _pump;
    private readonly Random _random;
    private readonly PresharedKey _networkKey;
    private readonly PrivateKey _serverKey;
    private WireConditions? _conditions;
    private int _hosts;

    public SimulatedNetwork(int seed = 1)
        : this(seed, new VirtualTime())
    {
    }

    private SimulatedNetwork(int seed, VirtualTime time)
        : this(seed, time, new SimulatedInternet(time, seed))
    {
    }

    /// <summary>A network on an internet with NATs; add its hosts first, then nodes on them by their names.</summary>
    public SimulatedNetwork(int seed, VirtualTime time, SimulatedInternet internet)
    {
        Time = time;
        Internet = internet;
        _pump = new NodePump(time, internet);
        _random = new Random(seed);
        internet.Sending = (in from, in to, datagram) =>
            (!IsDirectBlocked || from.Port == ServerPort || to.Port == ServerPort) && Filter?.Invoke(from, to, datagram) != false;
        _networkKey = new PresharedKey(RandomBytes(PresharedKey.Size));
        KeyStore = new MemoryKeyStore(new NetworkKeySet { Key = _networkKey.Bytes.ToArray() });
        _serverKey = NewKey();
    }

    /// <summary>True when clients reach the server only, as behind firewalls; where ports are not translated.</summary>
    public bool IsDirectBlocked { get; set; }

    /// <summary>Looks at, and may lose, every datagram that is sent.</summary>
    public DatagramFilter? Filter { get; set; }

    /// <summary>
    /// Nodes whose processors have no AES instructions, by name: in most tests one of two clients, so that links of both suites are in use.
    /// Known before a node is added; on all other nodes AEGIS-256 counts as fast, whatever the machine that tests.
    /// </summary>
    public HashSet<string> WithoutAes { get; } = ["bob"];

    /// <summary>Queues of the nodes that are added from now on.</summary>
    public int Queues { get; set; } = 1;

    public VirtualTime Time { get; }

    /// <summary>The internet that this network is on.</summary>
    public SimulatedInternet Internet { get; }

    /// <summary>What happens between any two hosts, those that are added later included; where each has a public address.</summary>
    public WireConditions Conditions
    {
        set
        {
            _conditions = value;
            foreach (SimulatedHost host in Internet.Hosts.Values)
                host.Uplink.Up.Conditions = value;
        }
    }

    public FakeResolver Resolver { get; } = new();

    public PublicKey ServerKey => _serverKey.PublicKey;

    public PresharedKey NetworkKey => _networkKey;

    public SimulatedNode Server { get; private set; } = null!;

    /// <summary>Where the server's leases last, over restarts; by itself as fast as none.</summary>
    public MemoryStore Store { get; private set; } = new();

    /// <summary>Where the network's keys last, over restarts of the server.</summary>
    public MemoryKeyStore KeyStore { get; }

    /// <summary>The leases that would be there after a restart.</summary>
    public IReadOnlyList<Lease> SavedLeases => LeaseCodec.ReadAll(Store.Contents);

    public IReadOnlyList<SimulatedNode> Nodes => _pump.Nodes;

    public SimulatedNode StartServer(Func<ServerOptions, ServerOptions>? change = null, params string[] addresses) =>
        StartServer(ServerHost, change, addresses);

    /// <summary>Starts the server, or starts it again, on a host by its name or address.</summary>
    public SimulatedNode StartServer(string host, Func<ServerOptions, ServerOptions>? change, params string[] addresses)
    {
        var options = new ServerOptions
        {
            Name = "hub",
            StatePath = "unused",
            ListenPort = ServerPort,
            Addresses = [.. (addresses.Length == 0 ? ["10.0.0.1/24"] : addresses).Select(Parse)],
            AllowKeyOnly = true, // Tests of invitations say otherwise; all others are about what comes after.
        };
        options = change?.Invoke(options) ?? options;
        SimulatedNode made = Add("hub", host, ServerPort, services =>
        {
            services.Tun.Configure(options.Addresses, options.Mtu ?? TunnelOptions.DefaultMtu);
            var leases = new Leases(options.Addresses, serverName: options.Name) { MemberExpiry = options.MemberExpiry };
            leases.TakeOver(Store.Contents.ChangesAfter(0));
            PrivateKey identity = Copy(_serverKey);
            return new Node(
                identity, new PresharedKeyRing(KeyStore.Load()), options.Cipher, services,
                node => new ServerRole(node, options, identity, leases, Store, new FakeAddresses(services), KeyStore));
        });
        Server = made;
        return made;
    }

    public SimulatedNode AddClient(
        string name, string? address = null, string server = "203.0.113.1", PrivateKey? identity = null, PresharedKey? networkKey = null,
        PublicKey? serverKey = null, string? host = null, Func<ClientOptions, ClientOptions>? change = null,
        DateTimeOffset? lastUsed = null, Func<ClientOptions, TimeProvider, PinnedKeys>? pins = null,
        Func<ClientOptions, TimeProvider, SignedMembers>? signed = null, MemoryKeyStore? keys = null)
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
        options = change?.Invoke(options) ?? options;
        identity ??= NewKey();
        FakeAddresses? addresses = null;
        SimulatedNode made = Add(
            name, host ?? $"198.51.{100 + (_hosts / 250)}.{1 + (_hosts++ % 250)}", 0,
            services => new Node(
                identity, new PresharedKeyRing(keys?.Load() ?? new NetworkKeySet { Key = options.NetworkKey.Bytes.ToArray() }),
                options.Cipher, services with { LastUsed = lastUsed },
                node => new ClientRole(
                    node, options, identity, [], null, Resolver, addresses = new FakeAddresses(services),
                    pins: pins?.Invoke(options, services.Time), signed: signed?.Invoke(options, services.Time),
                    keepKeys: keys is null ? null : (told, done) => keys.Keep(told, _ => node.Post(done)))));
        made.Addresses = addresses!;
        made.Node.Post(made.Client.Connect);
        return made;
    }

    /// <summary>A key pair that belongs to the seed.</summary>
    public PrivateKey NewKey() => new(RandomBytes(PrivateKey.Size));

    /// <summary>The node vanishes without a word.</summary>
    public void Kill(SimulatedNode node)
    {
        _pump.Remove(node);
        node.Dispose();
    }

    /// <summary>The node says goodbye and is gone.</summary>
    public void Stop(SimulatedNode node)
    {
        node.Node.Post(node.Node.Role.SayGoodbye);
        node.Step();
        node.Node.Role.FinishState();
        Kill(node);
    }

    /// <summary>The server's state is lost, but for its key.</summary>
    public void ForgetSaved() => Store = new MemoryStore();

    public void Run(TimeSpan duration) => RunUntil(() => false, duration);

    /// <inheritdoc cref="NodePump.RunUntil"/>
    public bool RunUntil(Func<bool> condition, TimeSpan atMost) => _pump.RunUntil(condition, atMost);

    /// <inheritdoc cref="NodePump.Settle"/>
    public void Settle() => _pump.Settle();

    public void Dispose()
    {
        foreach (SimulatedNode node in Nodes)
            node.Dispose();
        _networkKey.Dispose();
        _serverKey.Dispose();
    }

    private static PrivateKey Copy(PrivateKey key)
    {
        Assert.True(PrivateKey.TryParse(key.Reveal(), out PrivateKey? copy));
        return copy;
    }

    public static InterfaceAddress Parse(string text)
    {
        Assert.True(InterfaceAddress.TryParse(text, out InterfaceAddress address));
        return address;
    }

    private byte[] RandomBytes(int count)
    {
        byte[] bytes = new byte[count];
        _random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>Adds any node.</summary>
    internal SimulatedNode Add(string name, string host, int port, Func<NodeServices, Node> make)
    {
        SimulatedNode? node = null;
        SimulatedSocket socket = Internet.HostOf(host).Open(port);
        socket.Arrived = () => node?.MarkReady();
        socket.Queues = Queues;
        if (_conditions is not null)
            socket.Host.Uplink.Up.Conditions = _conditions;
        node = new SimulatedNode(
            name, host, new InMemoryTunDevice(name, Nodes.Count + 1), socket, new NodeClock(Time), new Random(_random.Next()),
            services => make(services with { HasAesInstructions = !WithoutAes.Contains(name) }));
        _pump.Add(node);
        return node;
    }
}

/// <summary>One node of a <see cref="SimulatedNetwork"/>, on whichever internet.</summary>
internal sealed class SimulatedNode : IScheduled, IDisposable
{
    private readonly OutboundPipeline[] _outbound;
    private readonly InboundPipeline _inbound;
    private bool _isReady;

    public SimulatedNode(
        string name, string host, InMemoryTunDevice tun, SimulatedSocket socket, NodeClock clock, Random jitter,
        Func<NodeServices, Node> make)
    {
        Name = name;
        Host = host;
        Clock = clock;
        Tun = tun;
        Transport = socket;
        Log = new TunnelLog(name, clock, LogLevel.Debug);
        Node = make(new NodeServices(clock, tun, Transport, Log)
        {
            Jitter = jitter,
            Background = RunBeside,
            PortMapper = new SimulatedPortMapper(socket.Host, clock.Common),
        });
        Node.Woken = MarkReady;
        _outbound = [.. Enumerable.Range(0, Transport.Queues).Select(queue => new OutboundPipeline(Node.Plane, queue))];
        _inbound = new InboundPipeline(Node.Plane);
    }

    /// <summary>What the node's system is slow to answer waits here; null when it answers at once.</summary>
    public Queue<Action>? SlowAnswers { get; set; }

    /// <summary>Called once when the node has something to do, until it is stepped.</summary>
    public Action? Ready { get; set; }

    public string Name { get; }

    public string Host { get; }

    /// <summary>The machine's own clock.</summary>
    public NodeClock Clock { get; }

    public InMemoryTunDevice Tun { get; }

    public SimulatedSocket Transport { get; }

    /// <summary>A client's own addresses.</summary>
    public FakeAddresses Addresses { get; set; } = null!;

    /// <summary>The socket's address and port, as nobody translates them.</summary>
    public UdpEndpoint Endpoint => Transport.Endpoint;

    public TunnelLog Log { get; }

    public Node Node { get; }

    public ClientRole Client => (ClientRole)Node.Role;

    /// <inheritdoc/>
    public int QueuePosition { get; set; } = -1;

    /// <summary>When the node wants to be stepped at the latest.</summary>
    public Timestamp Deadline { get; set; } = Timestamp.Never;

    /// <summary>How often it was woken.</summary>
    public long Steps { get; private set; }

    /// <summary>Real time that its steps took: what it costs.</summary>
    public TimeSpan Busy { get; private set; }

    public PacketCounters Outbound => PacketCounters.Sum(_outbound.Select(path => path.Counters));

    /// <summary>The queue that the system sends by.</summary>
    public int Queue { get; set; }

    public PacketCounters Inbound => _inbound.Counters;

    public TunnelAddress Address => Node.Forwarding.OwnAddresses[0].Address;

    public bool IsUp => Node.Role is ServerRole || Node.State == TunnelState.Up;

    public IEnumerable<string> LogLines => Log.Read().Select(entry => entry.Message);

    /// <summary>Says that the node has something to do.</summary>
    public void MarkReady()
    {
        if (_isReady)
            return;
        _isReady = true;
        Ready?.Invoke();
    }

    /// <summary>Does everything that can be done now, and returns when it wants to be stepped again at the latest.</summary>
    public Timestamp Step()
    {
        long started = Stopwatch.GetTimestamp();
        StepBuffers buffers = StepBuffers.OfThisThread;
        InboundBuffers inbound = buffers.Inbound;
        while (Transport.TryReceive(inbound.Datagrams))
        {
            for (int next = 0; next < inbound.Datagrams.Count;)
            {
                next = _inbound.Process(inbound.Datagrams, next, inbound.Packets, inbound.Forward);
                Tun.Write(inbound.Packets);
                Transport.Send(inbound.Forward);
                if (_inbound.Resealed is { } resealed)
                    Transport.Send(resealed);
            }
        }

        OutboundBuffers outbound = buffers.Outbound;
        while (Tun.TryRead(outbound.Packets))
        {
            for (int next = 0; next < outbound.Packets.Count;)
            {
                next = _outbound[Queue].Process(outbound.Packets, next, outbound.Datagrams, outbound.Replies);
                Transport.Send(outbound.Datagrams);
                Tun.Write(outbound.Replies);
            }
        }

        // What woke the control loop until here is done by it now; what wakes it from here on needs another step.
        _isReady = false;
        Timestamp deadline;
        do
        {
            deadline = ControlTurn.Run(Node.RunTurn);
            Node.Outputs.CarryOut(Transport, Node.Services.Background);
        }
        while (!Node.Plane.Inbox.IsEmpty); // What one turn leaves of the inbox is taken without time passing.
        if (Node.Outputs.HasNews)
            deadline = Node.Now;
        Steps++;
        Busy += Stopwatch.GetElapsedTime(started);
        return deadline;
    }

    /// <summary>
    /// The machine sleeps: nothing of it runs until <see cref="WakeUp"/>. Whether its network is there meanwhile is another matter.
    /// </summary>
    public void FallAsleep() => Clock.FallAsleep();

    /// <summary>The machine goes on where it stopped.</summary>
    public void WakeUp()
    {
        Clock.WakeUp();
        _isReady = false;
        MarkReady();
    }

    public Peer Peer(string name) => Node.Peers.Single(peer => peer.Name == name);

    /// <summary>The system answers all that it was slow to, and is not slow any more.</summary>
    public void AnswerAll()
    {
        Queue<Action> answers = SlowAnswers ?? [];
        SlowAnswers = null;
        while (answers.TryDequeue(out Action? answer))
            answer();
    }

    private void RunBeside(Action work)
    {
        if (SlowAnswers is { } waiting)
            waiting.Enqueue(work);
        else
            work();
    }

    /// <summary>The other members, as this client knows them.</summary>
    public IEnumerable<Member> Members => Node.Peers.OfType<Member>();

    /// <summary>The other member of that name, as this client knows it.</summary>
    public Member Member(string name) => Members.Single(member => member.Name == name);

    /// <summary>Sends a UDP packet from this node's system to an address, with a body to know it by.</summary>
    public void Send(TunnelAddress destination, string body, TunnelAddress? source = null)
    {
        Tun.Inject(TestPackets.Udp(source ?? Address, destination, System.Text.Encoding.ASCII.GetBytes(body)));
        MarkReady();
    }

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

/// <summary>The one address of a simulated host.</summary>
internal sealed class FakeAddresses(NodeServices services) : ILocalAddressSource
{
    public IReadOnlyList<LocalAddressInfo> Read()
    {
        ControlTurn.ThrowIfRunning();
        SimulatedHost host = ((SimulatedSocket)services.Transport).Host;
        IPAddress?[] all = [Instead ?? (host.Address.Equals(IPAddress.None) ? null : host.Address), host.AddressV6, Another];
        return [.. all.OfType<IPAddress>().Select((own, index) => new LocalAddressInfo($"eth{index}", TunnelAddress.FromIPAddress(own)))];
    }

    /// <summary>What the machine takes for its address, as a router translates it; null for the host's own.</summary>
    public IPAddress? Instead { get; set; }

    /// <summary>An address besides the host's own, or null.</summary>
    public IPAddress? Another { get; set; }

    /// <summary>Destinations that the system routes into another overlay's interface.</summary>
    public List<IPAddress> Tunnelled { get; } = [];

    /// <inheritdoc/>
    public int InterfaceTowards(TunnelAddress destination)
    {
        ControlTurn.ThrowIfRunning();
        return Tunnelled.Contains(destination.ToIPAddress()) ? 2 : 1;
    }

    /// <inheritdoc/>
    public bool IsTunnel(int index)
    {
        ControlTurn.ThrowIfRunning();
        return index == 2;
    }

    /// <summary>What a node does when it is told of a change.</summary>
    public Action Changed { get; private set; } = () => { };

    public IDisposable Watch(Action changed)
    {
        Changed = changed;
        return new MemoryStream();
    }
}

/// <summary>What data threads work in; one set serves all nodes of a thread, as a step leaves nothing in it.</summary>
internal sealed class StepBuffers
{
    [ThreadStatic]
    private static StepBuffers? s_ofThisThread;

    public static StepBuffers OfThisThread => s_ofThisThread ??= new StepBuffers();

    public OutboundBuffers Outbound { get; } = new(1600, superPackets: false);

    public InboundBuffers Inbound { get; } = new(1700, trains: false);
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
            : Task.FromException<IReadOnlyList<IPAddress>>(
                new System.Net.Sockets.SocketException((int)System.Net.Sockets.SocketError.HostNotFound));
    }
}
