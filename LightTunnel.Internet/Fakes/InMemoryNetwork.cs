using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Transport;

namespace LightTunnel.Internet.Fakes;

/// <summary>How datagrams fare between two addresses of an <see cref="InMemoryNetwork"/>, in one direction.</summary>
internal sealed record LinkConditions
{
    /// <summary>Nothing is lost and nothing takes time.</summary>
    public static readonly LinkConditions Perfect = new();

    /// <summary>Time that every datagram takes.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>Up to this much more, at random per datagram; datagrams may overtake each other.</summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>Share of datagrams that is lost, 0..1.</summary>
    public double Loss { get; init; }

    /// <summary>Share of datagrams that arrives twice, 0..1.</summary>
    public double Duplication { get; init; }

    /// <summary>Share of datagrams that is held back by <see cref="ReorderDelay"/>, 0..1.</summary>
    public double Reordering { get; init; }

    /// <summary>How long a reordered datagram is held back.</summary>
    public TimeSpan ReorderDelay { get; init; } = TimeSpan.FromMilliseconds(1);

    /// <summary>Longest datagram that passes, bytes of UDP payload.</summary>
    public int MaximumDatagram { get; init; } = 65507;
}

/// <summary>Sees every datagram as it is sent; answers whether it may travel on.</summary>
/// <param name="from">Sender.</param>
/// <param name="to">Receiver.</param>
/// <param name="datagram">UDP payload.</param>
/// <returns>False loses it.</returns>
internal delegate bool DatagramFilter(in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram);

/// <summary>
/// An internet without NATs in memory, for tests of whole networks: deterministic for a seed and a clock. Nothing moves by itself: what was sent
/// becomes receivable by <see cref="Pump"/> once it is due. Thread-safe, so that blocking receivers can be tested too.
/// </summary>
/// <param name="time">Clock of the delays; a fake one makes runs repeatable.</param>
/// <param name="seed">Seed of loss, jitter, duplication and reordering.</param>
internal sealed class InMemoryNetwork(TimeProvider time, int seed = 1)
{
    private readonly Lock _lock = new();
    private readonly Random _random = new(seed);
    private readonly Dictionary<UdpEndpoint, InMemoryTransport> _transports = [];
    private readonly Dictionary<(IPAddress From, IPAddress To), LinkConditions> _conditions = [];
    private readonly PriorityQueue<Flight, (Timestamp Due, long Order)> _flights = new();
    private long _order;

    /// <summary>Conditions between addresses for which none were set.</summary>
    public LinkConditions DefaultConditions { get; set; } = LinkConditions.Perfect;

    /// <summary>Looks at, and may lose, every datagram; null lets all pass. Called with the network locked: it must not send.</summary>
    public DatagramFilter? Filter { get; set; }

    /// <summary>Datagrams sent so far.</summary>
    public long Sent { get; private set; }

    /// <summary>Datagrams that were lost: by conditions, filter, an unknown receiver or one whose queue is full.</summary>
    public long Lost { get; private set; }

    /// <summary>Datagrams under way.</summary>
    public int InFlight
    {
        get
        {
            lock (_lock)
                return _flights.Count;
        }
    }

    /// <summary>When the next datagram is due; <see cref="Timestamp.Never"/> when none is under way.</summary>
    public Timestamp NextDue
    {
        get
        {
            lock (_lock)
                return _flights.TryPeek(out _, out (Timestamp Due, long Order) next) ? next.Due : Timestamp.Never;
        }
    }

    /// <summary>A machine with this address: opens transports on its ports.</summary>
    public InMemoryHost Host(string address) => new(this, IPAddress.Parse(address));

    /// <summary>Opens a transport; port 0 chooses a free one.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">The port is taken.</exception>
    public InMemoryTransport Open(IPAddress address, int port)
    {
        lock (_lock)
        {
            UdpEndpoint endpoint = Free(address, port);
            var transport = new InMemoryTransport(this, endpoint);
            return _transports.TryAdd(endpoint, transport) ? transport : throw UdpErrors.PortInUse(port);
        }
    }

    /// <summary>Sets the conditions between two addresses, in both directions.</summary>
    public void SetConditions(string first, string second, LinkConditions conditions)
    {
        SetConditionsOneWay(first, second, conditions);
        SetConditionsOneWay(second, first, conditions);
    }

    /// <summary>Sets the conditions from one address to another.</summary>
    public void SetConditionsOneWay(string from, string to, LinkConditions conditions)
    {
        lock (_lock)
            _conditions[(IPAddress.Parse(from), IPAddress.Parse(to))] = conditions;
    }

    /// <summary>Delivers everything that is due by now, in the order in which it is due.</summary>
    /// <returns>Datagrams delivered.</returns>
    public int Pump()
    {
        lock (_lock)
        {
            Timestamp now = time.Now();
            int delivered = 0;
            while (_flights.TryPeek(out Flight flight, out (Timestamp Due, long Order) next) && next.Due <= now)
            {
                _flights.Dequeue();
                if (_transports.TryGetValue(flight.To, out InMemoryTransport? receiver) && receiver.TryEnqueue(flight.Data, flight.From, flight.To))
                    delivered++;
                else
                    Lost++;
            }

            return delivered;
        }
    }

    internal void Send(in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram)
    {
        lock (_lock)
        {
            Sent++;
            if (!_conditions.TryGetValue((from.Address, to.Address), out LinkConditions? conditions))
                conditions = DefaultConditions;
            // The number of random draws per datagram is fixed, so that changing one condition leaves the rest of a run alike.
            double loss = _random.NextDouble(), jitter = _random.NextDouble(), duplication = _random.NextDouble(), reordering = _random.NextDouble();
            bool passes = Filter is null || Filter(from, to, datagram);
            if (!passes || loss < conditions.Loss || datagram.Length > conditions.MaximumDatagram)
            {
                Lost++;
                return;
            }

            TimeSpan delay = conditions.Delay + (conditions.Jitter * jitter);
            if (reordering < conditions.Reordering)
                delay += conditions.ReorderDelay;
            Timestamp due = time.Now() + delay;
            var flight = new Flight(from, to, datagram.ToArray());
            _flights.Enqueue(flight, (due, _order++));
            if (duplication < conditions.Duplication)
                _flights.Enqueue(flight, (due, _order++));
        }
    }

    /// <summary>Lets a transport receive at a further endpoint, port 0 for any; false when another has it.</summary>
    internal bool TryAdd(InMemoryTransport transport, in UdpEndpoint wanted, out UdpEndpoint endpoint)
    {
        lock (_lock)
        {
            endpoint = Free(wanted.Address, wanted.Port);
            return _transports.TryAdd(endpoint, transport);
        }
    }

    /// <summary>Gives a transport another address, as when its machine changes networks; datagrams to the old one are lost.</summary>
    internal void Move(InMemoryTransport transport, in UdpEndpoint from, in UdpEndpoint to)
    {
        lock (_lock)
        {
            if (_transports.ContainsKey(to))
                throw UdpErrors.PortInUse(to.Port);
            _transports.Remove(from);
            _transports.Add(to, transport);
        }
    }

    internal void Remove(in UdpEndpoint endpoint)
    {
        lock (_lock)
            _transports.Remove(endpoint);
    }

    private UdpEndpoint Free(IPAddress address, int port)
    {
        int chosen = port == 0 ? 49152 : port;
        while (port == 0 && _transports.ContainsKey(new UdpEndpoint(address, chosen)))
            chosen++;
        return new UdpEndpoint(address, chosen);
    }

    private readonly record struct Flight(UdpEndpoint From, UdpEndpoint To, byte[] Data);
}

/// <summary>A machine of an <see cref="InMemoryNetwork"/>: one address.</summary>
internal sealed class InMemoryHost(InMemoryNetwork network, IPAddress address) : IDatagramTransportFactory
{
    /// <inheritdoc cref="IDatagramTransportFactory.Open"/>
    public InMemoryTransport Open(int port) => network.Open(address, port);

    IDatagramTransport IDatagramTransportFactory.Open(int port, DataPathOptions? options) => Open(port);
}

/// <summary>A node's socket in an <see cref="InMemoryNetwork"/>. <see cref="TryReceive"/> drives a node without threads.</summary>
internal sealed class InMemoryTransport : IDatagramTransport
{
    /// <summary>Datagrams that wait at most, as in a kernel's socket buffer; more are lost.</summary>
    public const int QueueLimit = 8192;

    private readonly InMemoryNetwork _network;
    private readonly Queue<(byte[] Data, PathHandle Path)> _waiting = new();
    private readonly Dictionary<LocalEnd, UdpEndpoint> _sockets = [];
    private readonly List<UdpEndpoint> _stripes = [];
    private int _lastSocket;
    private bool _closed;
    private long _sendErrors;

    internal InMemoryTransport(InMemoryNetwork network, UdpEndpoint endpoint)
    {
        _network = network;
        Endpoint = endpoint;
    }

    /// <summary>The transport's own address and port.</summary>
    public UdpEndpoint Endpoint { get; private set; }

    /// <summary>Called when a datagram has arrived, with the network locked: it must not send.</summary>
    public Action? Arrived { get; set; }

    /// <inheritdoc/>
    public int LocalPort => Endpoint.Port;

    /// <inheritdoc/>
    public bool SupportsIPv6 => true;

    /// <summary>As many as a test wants, of which the first receives everything.</summary>
    public int Queues { get; set; } = 1;

    /// <inheritdoc/>
    public bool ReceivesTrains => false;

    /// <inheritdoc/>
    public long SendErrors => Interlocked.Read(ref _sendErrors);

    /// <summary>Gives this transport another address: roaming.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">Another transport has it.</exception>
    public void MoveTo(string address, int port)
    {
        var moved = new UdpEndpoint(IPAddress.Parse(address), port);
        _network.Move(this, Endpoint, moved);
        Endpoint = moved;
    }

    /// <summary>Takes what was delivered without waiting, up to the batch's capacity. The batch is cleared first.</summary>
    /// <returns>True when there is a datagram in the batch.</returns>
    public bool TryReceive(PacketBatch batch)
    {
        batch.Clear();
        lock (_waiting)
            TakeWaiting(batch);
        return batch.Count > 0;
    }

    /// <inheritdoc/>
    public bool Receive(PacketBatch batch, int queue = 0)
    {
        batch.Clear();
        lock (_waiting)
        {
            while (!_closed)
            {
                TakeWaiting(batch);
                if (batch.Count > 0)
                    return true;
                Monitor.Wait(_waiting);
            }

            return false;
        }
    }

    /// <inheritdoc/>
    public void Send(PacketBatch batch, int queue = 0)
    {
        for (int i = 0; i < batch.Count; i++)
        {
            foreach (Span<byte> datagram in batch.Segments(i))
                Send(datagram, batch[i].Path);
        }
    }

    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        UdpEndpoint from = EndpointOf(path.Local);
        if (_closed || !path.Endpoint.IsSpecified || !from.IsSpecified)
            Interlocked.Increment(ref _sendErrors);
        else
            _network.Send(from, path.Endpoint, datagram);
    }

    /// <summary>What of this machine's own is in the way of all that it sends.</summary>
    public SendObstacle Obstacle { get; set; }

    /// <inheritdoc/>
    public SendObstacle SendOrTell(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        if (Obstacle == SendObstacle.None)
            Send(datagram, path);
        return Obstacle;
    }

    /// <inheritdoc/>
    public bool TryOpenSocket(out LocalEnd socket, int port = 0, IPAddress? address = null)
    {
        socket = default;
        if (_closed || _sockets.Count == LocalEnd.MaximumFurther
            || !_network.TryAdd(this, new UdpEndpoint(address ?? Endpoint.Address, port), out UdpEndpoint bound))
        {
            return false;
        }

        lock (_waiting)
        {
            do
                _lastSocket = (_lastSocket % LocalEnd.MaximumFurther) + 1;
            while (!_sockets.TryAdd(LocalEnd.Further(_lastSocket), bound));
            socket = LocalEnd.Further(_lastSocket);
            return true;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<int> OpenStripes()
    {
        while (Queues > 1 && _stripes.Count < Queues)
        {
            UdpEndpoint bound = default;
            if (_stripes.Count > 0 && !_network.TryAdd(this, new UdpEndpoint(Endpoint.Address, 0), out bound))
                break;
            lock (_waiting)
                _stripes.Add(bound);
        }

        return [.. _stripes.Select(stripe => (int)stripe.Port)];
    }

    /// <inheritdoc/>
    public void CloseSocket(LocalEnd socket)
    {
        UdpEndpoint endpoint;
        lock (_waiting)
        {
            if (!_sockets.Remove(socket, out endpoint))
                return;
        }

        _network.Remove(endpoint);
    }

    /// <inheritdoc/>
    public int PortOf(LocalEnd socket) => EndpointOf(socket).Port;

    /// <inheritdoc/>
    public void Close()
    {
        lock (_waiting)
        {
            if (_closed)
                return;
            _closed = true;
            Monitor.PulseAll(_waiting);
        }

        _network.Remove(Endpoint);
        foreach (LocalEnd socket in _sockets.Keys.ToArray())
            CloseSocket(socket);
        foreach (UdpEndpoint stripe in _stripes)
            _network.Remove(stripe);
    }

    /// <inheritdoc/>
    public void Dispose() => Close();

    internal bool TryEnqueue(byte[] data, in UdpEndpoint from, in UdpEndpoint to)
    {
        lock (_waiting)
        {
            if (_closed || _waiting.Count >= QueueLimit)
                return false;
            LocalEnd local = default;
            foreach ((LocalEnd socket, UdpEndpoint endpoint) in _sockets)
            {
                if (endpoint == to)
                    local = socket;
            }

            _waiting.Enqueue((data, new PathHandle(from) { Local = local }));
            Monitor.PulseAll(_waiting);
        }

        Arrived?.Invoke();
        return true;
    }

    private UdpEndpoint EndpointOf(LocalEnd end)
    {
        lock (_waiting)
        {
            return end.Kind switch
            {
                LocalEndKind.Own => Endpoint,
                LocalEndKind.Stripe => _stripes.ElementAtOrDefault(end.Index),
                _ => _sockets.GetValueOrDefault(end),
            };
        }
    }

    private void TakeWaiting(PacketBatch batch)
    {
        while (!batch.IsFull && _waiting.TryDequeue(out (byte[] Data, PathHandle Path) next))
            batch.TryAdd(next.Data, next.Path); // Too long for a slot: dropped.
    }
}
