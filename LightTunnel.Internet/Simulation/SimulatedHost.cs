using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Fakes;
using LightTunnel.Internet.Nats;
using LightTunnel.Packets;
using LightTunnel.Transport;

namespace LightTunnel.Internet.Simulation;

/// <summary>Something with an uplink: a host or a NAT.</summary>
internal abstract class SimulatedElement(string name, SimulatedWire uplink)
{
    public string Name { get; } = name;

    /// <summary>The wire to <see cref="Parent"/>, or to the internet.</summary>
    public SimulatedWire Uplink { get; } = uplink;

    /// <summary>The NAT that it is behind; null on the internet itself.</summary>
    public SimulatedNat? Parent { get; internal set; }

    /// <summary>Its IPv4 address at its uplink; <see cref="IPAddress.None"/> while it is unplugged.</summary>
    public IPAddress Address { get; internal set; } = IPAddress.None;

    public override string ToString() => $"{Name} ({Address})";
}

/// <summary>A NAT with hosts or other NATs behind it.</summary>
internal sealed class SimulatedNat : SimulatedElement
{
    private readonly SimulatedInternet _internet;
    private readonly IpPrefix _lan;

    public SimulatedNat(SimulatedInternet internet, string name, SimulatedWire uplink, Nat nat, IpPrefix lan)
        : base(name, uplink)
    {
        _internet = internet;
        Nat = nat;
        _lan = lan;
    }

    /// <summary>How it translates, and what it counted.</summary>
    public Nat Nat { get; }

    /// <summary>What is behind it, by the 32 bits of its address.</summary>
    internal Dictionary<uint, SimulatedElement> Children { get; } = [];

    /// <summary>The external address that it claims to forward ports at, if it lies; null when it does as it says.</summary>
    public IPAddress? Claims { get; set; }

    /// <summary>Power off and on.</summary>
    public void Reboot() => Nat.Reboot();

    /// <summary>Another device takes its place.</summary>
    public void Replace(NatKind kind) => Nat.Replace(NatKinds.Layers(kind)[0]);

    /// <summary>The provider gives it another address.</summary>
    public void ChangeAddress() => _internet.ChangeAddress(this);

    internal bool IsInside(uint address) => _lan.Contains(TunnelAddress.FromIPv4(address));

    /// <summary>An address that nobody behind it had before: .10, .11, and so on.</summary>
    internal IPAddress NextInside() => TunnelAddress.FromIPv4((uint)(_lan.Network.Bits >> 96) + 10 + _given++).ToIPAddress();

    private uint _given;
}

/// <summary>A machine with sockets.</summary>
internal sealed class SimulatedHost : SimulatedElement, IDatagramTransportFactory
{
    private const int FirstEphemeralPort = 49152;

    private readonly SimulatedInternet _internet;
    private readonly SortedDictionary<int, SimulatedSocket> _sockets = [];
    private int _nextPort = FirstEphemeralPort;

    public SimulatedHost(SimulatedInternet internet, string name, SimulatedWire uplink)
        : base(name, uplink)
    {
        _internet = internet;
    }

    /// <summary>Its IPv6 address, always reachable from everywhere; null, as usual, when it has none.</summary>
    public IPAddress? AddressV6 { get; internal set; }

    /// <summary>Its sockets that are open, by port.</summary>
    public IEnumerable<SimulatedSocket> Sockets => _sockets.Values;

    /// <summary>Opens a socket; 0 chooses a port as systems do, not at random, so that runs are repeatable.</summary>
    public SimulatedSocket Open(int port)
    {
        int chosen = ChoosePort(port);
        var socket = new SimulatedSocket(this, _internet, chosen);
        if (!_sockets.TryAdd(chosen, socket))
            throw UdpErrors.PortInUse(port);
        return socket;
    }

    /// <summary>Lets a socket receive at a further port, 0 for any; 0 when it is taken.</summary>
    internal int TryAdd(SimulatedSocket socket, int port)
    {
        int chosen = ChoosePort(port);
        return _sockets.TryAdd(chosen, socket) ? chosen : 0;
    }

    private int ChoosePort(int port)
    {
        int chosen = port;
        while (chosen == 0 || (port == 0 && _sockets.ContainsKey(chosen)))
        {
            chosen = _nextPort;
            _nextPort = _nextPort == 65535 ? FirstEphemeralPort : _nextPort + 1;
        }

        return chosen;
    }

    IDatagramTransport IDatagramTransportFactory.Open(int port, DataPathOptions? options) => Open(port);

    /// <summary>The host changes networks: its sockets stay open, with another address.</summary>
    /// <param name="behind">The NAT of its new network; null for a public address.</param>
    public void MoveTo(SimulatedNat? behind) => _internet.Move(this, behind);

    /// <summary>The host is in no network, until it moves to one. Its sockets stay open.</summary>
    public void Unplug() => _internet.Unplug(this);

    internal SimulatedSocket? Find(int port) => _sockets.GetValueOrDefault(port);

    internal void Remove(int port) => _sockets.Remove(port);
}

/// <summary>One UDP socket of a <see cref="SimulatedHost"/>. For one thread: <see cref="TryReceive"/> never waits, and there is no blocking receive.</summary>
internal sealed class SimulatedSocket(SimulatedHost host, SimulatedInternet internet, int port) : IDatagramTransport
{
    private readonly Queue<(byte[] Data, PathHandle Path)> _waiting = new();
    private readonly Dictionary<LocalEnd, int> _ports = [];
    private int _lastSocket;
    private bool _closed;

    public SimulatedHost Host => host;

    public int LocalPort => port;

    public bool SupportsIPv6 => true;

    public long SendErrors { get; private set; }

    /// <summary>Called when something has arrived.</summary>
    public Action? Arrived { get; set; }

    /// <summary>Takes what has arrived, up to the batch's capacity. The batch is cleared first.</summary>
    /// <returns>True when there is a datagram in the batch.</returns>
    public bool TryReceive(PacketBatch batch)
    {
        batch.Clear();
        while (!batch.IsFull && _waiting.TryDequeue(out (byte[] Data, PathHandle Path) next))
            batch.TryAdd(next.Data, next.Path);
        return batch.Count > 0;
    }

    public int Queues => 1;

    public bool ReceivesTrains => false;

    public bool Receive(PacketBatch batch, int queue = 0) => throw new NotSupportedException("A simulation has one thread, which must not wait.");

    public void Send(PacketBatch batch, int queue = 0)
    {
        for (int i = 0; i < batch.Count; i++)
        {
            foreach (Span<byte> datagram in batch.Segments(i))
                Send(datagram, batch[i].Path);
        }
    }

    public void Send(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        int from = PortOf(path.Local);
        if (_closed || !path.Endpoint.IsSpecified || from == 0 || !internet.Send(host, from, path.Endpoint, datagram))
            SendErrors++;
    }

    /// <summary>Hosts have one address: nothing can be bound to another.</summary>
    public bool TryOpenSocket(out LocalEnd socket, int port = 0, IPAddress? address = null)
    {
        socket = default;
        if (_closed || _ports.Count == LocalEnd.MaximumFurther
            || (address is not null && !address.Equals(host.Address)) || host.TryAdd(this, port) is not (not 0 and int bound))
        {
            return false;
        }

        do
            _lastSocket = (_lastSocket % LocalEnd.MaximumFurther) + 1;
        while (!_ports.TryAdd(LocalEnd.Further(_lastSocket), bound));
        socket = LocalEnd.Further(_lastSocket);
        return true;
    }

    public void CloseSocket(LocalEnd socket)
    {
        if (_ports.Remove(socket, out int bound))
            host.Remove(bound);
    }

    public int PortOf(LocalEnd socket) => socket.IsOwn ? port : _ports.GetValueOrDefault(socket);

    public void Close()
    {
        if (_closed)
            return;
        _closed = true;
        host.Remove(port);
        foreach (LocalEnd socket in _ports.Keys.ToArray())
            CloseSocket(socket);
    }

    public void Dispose() => Close();

    internal bool TryEnqueue(byte[] data, in UdpEndpoint from, int toPort)
    {
        if (_waiting.Count >= InMemoryTransport.QueueLimit)
            return false;
        LocalEnd local = default;
        foreach ((LocalEnd socket, int bound) in _ports)
        {
            if (bound == toPort)
                local = socket;
        }

        _waiting.Enqueue((data, new PathHandle(from) { Local = local }));
        Arrived?.Invoke();
        return true;
    }
}
