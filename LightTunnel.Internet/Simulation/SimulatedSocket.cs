using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Transport;

namespace LightTunnel.Internet.Simulation;

/// <summary>
/// A node's socket on a <see cref="SimulatedHost"/>. For one thread: <see cref="TryReceive"/> never waits, and there is no blocking
/// receive.
/// </summary>
internal sealed class SimulatedSocket(SimulatedHost host, int port) : IDatagramTransport
{
    /// <summary>Datagrams that wait at most, as in a kernel's socket buffer; more are lost.</summary>
    private const int QueueLimit = 8192;

    private readonly Queue<(byte[] Data, PathHandle Path)> _waiting = new();
    private readonly Dictionary<LocalEnd, int> _ports = [];
    private readonly List<int> _stripes = [];
    private int _lastSocket;
    private bool _closed;

    /// <summary>The machine that it is on.</summary>
    public SimulatedHost Host => host;

    /// <summary>Its address and port, as nobody translates them.</summary>
    public UdpEndpoint Endpoint => new(host.Address, LocalPort);

    /// <inheritdoc/>
    public int LocalPort { get; private set; } = port;

    /// <inheritdoc/>
    public bool SupportsIPv6 => true;

    /// <inheritdoc/>
    public long SendErrors { get; private set; }

    /// <summary>As many as a test wants, of which the first receives everything.</summary>
    public int Queues { get; set; } = 1;

    /// <inheritdoc/>
    public bool ReceivesTrains => false;

    /// <summary>What of this machine's own is in the way of all that its control loop sends.</summary>
    public SendObstacle Obstacle { get; set; }

    /// <summary>Called when something has arrived.</summary>
    public Action? Arrived { get; set; }

    /// <summary>Takes what has arrived, up to the batch's capacity. The batch is cleared first.</summary>
    /// <returns>True when there is a datagram in the batch.</returns>
    public bool TryReceive(PacketBatch batch)
    {
        batch.Clear();
        while (!batch.IsFull && _waiting.TryDequeue(out (byte[] Data, PathHandle Path) next))
            batch.TryAdd(next.Data, next.Path); // Too long for a slot: dropped.
        return batch.Count > 0;
    }

    /// <inheritdoc/>
    public bool Receive(PacketBatch batch, int queue = 0) =>
        throw new NotSupportedException("A simulation has one thread, which must not wait.");

    /// <inheritdoc/>
    public void Send(PacketBatch batch, int queue = 0)
    {
        ControlTurn.ThrowIfRunning();
        for (int i = 0; i < batch.Count; i++)
        {
            foreach (Span<byte> datagram in batch.Segments(i))
                SendUnhindered(datagram, batch[i].Path);
        }
    }

    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        ControlTurn.ThrowIfRunning();
        if (Obstacle == SendObstacle.None)
            SendUnhindered(datagram, path);
    }

    private void SendUnhindered(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        int from = PortOf(path.Local);
        if (_closed || !path.Endpoint.IsSpecified || from == 0 || !host.Send(from, path.Endpoint, datagram))
            SendErrors++;
    }

    /// <inheritdoc/>
    public SendObstacle SendOrTell(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        Send(datagram, path);
        return Obstacle;
    }

    /// <summary>Hosts have one address: nothing can be bound to another.</summary>
    public bool TryOpenSocket(out LocalEnd socket, int port = 0, IPAddress? address = null)
    {
        ControlTurn.ThrowIfRunning();
        socket = default;
        if (_closed || _ports.Count == LocalEnd.MaximumFurther
            || (address is not null && !address.Equals(host.Address)) || host.TryBind(this, port) is not (not 0 and int bound))
        {
            return false;
        }

        do
            _lastSocket = (_lastSocket % LocalEnd.MaximumFurther) + 1;
        while (!_ports.TryAdd(LocalEnd.Further(_lastSocket), bound));
        socket = LocalEnd.Further(_lastSocket);
        return true;
    }

    /// <inheritdoc/>
    public IReadOnlyList<int> OpenStripes()
    {
        ControlTurn.ThrowIfRunning();
        while (Queues > 1 && _stripes.Count < Queues)
            _stripes.Add(_stripes.Count == 0 ? 0 : host.TryBind(this, 0));
        return _stripes;
    }

    /// <inheritdoc/>
    public void CloseSocket(LocalEnd socket)
    {
        ControlTurn.ThrowIfRunning();
        if (_ports.Remove(socket, out int bound))
            host.Release(bound);
    }

    /// <inheritdoc/>
    public int PortOf(LocalEnd socket) => socket.Kind switch
    {
        LocalEndKind.Own => LocalPort,
        LocalEndKind.Stripe => _stripes.ElementAtOrDefault(socket.Index),
        _ => _ports.GetValueOrDefault(socket),
    };

    /// <summary>
    /// Its machine has another public address, and it another port, as when a NAT forgets a mapping. What is sent to the old ones is lost.
    /// </summary>
    /// <exception cref="Diagnostics.LightTunnelException">The port is taken.</exception>
    public void MoveTo(string address, int port)
    {
        host.MoveToAddress(address);
        if (port == LocalPort)
            return;
        if (host.TryBind(this, port) == 0)
            throw UdpErrors.PortInUse(port);
        host.Release(LocalPort);
        LocalPort = port;
    }

    /// <inheritdoc/>
    public void Close()
    {
        if (_closed)
            return;
        _closed = true;
        foreach (int bound in _ports.Values.Concat(_stripes).Append(LocalPort))
            host.Release(bound);
        _ports.Clear();
    }

    /// <inheritdoc/>
    public void Dispose() => Close();

    /// <summary>Takes a datagram that has arrived; false when too many wait.</summary>
    internal bool TryEnqueue(byte[] data, in UdpEndpoint from, int toPort)
    {
        if (_waiting.Count >= QueueLimit)
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
