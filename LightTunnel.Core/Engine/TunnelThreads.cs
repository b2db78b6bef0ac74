using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Tun;

namespace LightTunnel.Engine;

/// <summary>
/// The threads of one tunnel ("Threads" in docs/architecture.md): the control loop, and for each queue one that sends and one that
/// receives, or one that does both. They outlive the caller's pipeline and runspace, and never let an exception escape: the first one ends
/// the tunnel by <paramref name="failed"/>.
/// </summary>
/// <param name="node">The node.</param>
/// <param name="tun">The virtual interface, with at least as many queues as the transport.</param>
/// <param name="transport">The UDP socket.</param>
/// <param name="time">The clock.</param>
/// <param name="threadsPerQueue">1 or 2; 2 in any case where device or transport cannot be asked without waiting.</param>
/// <param name="failed">Called with what ended a thread.</param>
internal sealed class TunnelThreads(
    Node node, ITunDevice tun, IDatagramTransport transport, TimeProvider time, int threadsPerQueue, Action<Exception> failed) : IDisposable
{
    /// <summary>
    /// The control loop wakes up at least this often: after the machine has slept, its network must work again within two seconds.
    /// </summary>
    private static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(1);

    private readonly AutoResetEvent _work = new(initialState: false);
    private readonly OutboundQueue[] _outbound =
        [.. Enumerable.Range(0, tun.Queues).Select(queue => new OutboundQueue(node.Plane, tun, transport, queue))];
    private readonly InboundPipeline[] _inbound = [.. Enumerable.Range(0, transport.Queues).Select(_ => new InboundPipeline(node.Plane))];
    private Thread[] _threads = [];
    private volatile bool _stopping;

    /// <summary>What the threads that send counted.</summary>
    public PacketCounters Outbound => PacketCounters.Sum(_outbound.Select(queue => queue.Counters));

    /// <summary>What the threads that receive counted.</summary>
    public PacketCounters Inbound => PacketCounters.Sum(_inbound.Select(path => path.Counters));

    /// <summary>Starts all threads.</summary>
    /// <param name="name">The tunnel's name, for the threads'.</param>
    public void Start(string name)
    {
        node.Woken = Wake;
        var threads = new List<Thread> { Run($"LightTunnel {name} control", ControlLoop) };
        for (int i = 0; i < _outbound.Length; i++)
        {
            int queue = i;
            bool receives = queue < _inbound.Length;
            if (receives && threadsPerQueue == 1 && tun is IPollable device && transport is IPollable socket)
            {
                threads.Add(Run($"LightTunnel {name} data {queue}", () => DuplexLoop(device, socket, _outbound[queue], queue)));
                continue;
            }

            threads.Add(Run($"LightTunnel {name} tun {queue}", () => SendLoop(_outbound[queue], queue)));
            if (receives)
                threads.Add(Run($"LightTunnel {name} udp {queue}", () => ReceiveLoop(queue)));
        }

        _threads = [.. threads];
    }

    /// <summary>Ends all threads and waits for them; device and socket are closed afterwards.</summary>
    public void Dispose()
    {
        _stopping = true;
        tun.Close();
        transport.Close();
        _work.Set();
        foreach (Thread thread in _threads)
        {
            if (thread != Thread.CurrentThread)
                thread.Join();
        }

        node.Thread.Release();
        node.Woken = null;
        _work.Dispose();
    }

    private void Wake()
    {
        try
        {
            _work.Set();
        }
        catch (ObjectDisposedException)
        {
            // Somebody asks a tunnel that has just ended; nobody is left to be woken.
        }
    }

    private Thread Run(string name, Action body)
    {
        var thread = new Thread(() =>
        {
            try
            {
                body();
            }
            catch (Exception exception) when (exception is not OutOfMemoryException)
            {
                if (!_stopping)
                    failed(exception);
            }
        })
        {
            IsBackground = true,
            Name = name,
        };
        thread.Start();
        return thread;
    }

    private void ControlLoop()
    {
        node.Thread.Claim();
        while (!_stopping)
        {
            Timestamp next = node.RunTurn();
            node.Outputs.CarryOut(transport, node.Services.Background);
            if (node.Outputs.HasNews)
                continue;
            if (next == Timestamp.Never)
            {
                _work.WaitOne(LongestSleep);
                continue;
            }

            TimeSpan wait = next - time.Now();
            if (wait > TimeSpan.Zero)
                _work.WaitOne(wait < LongestSleep ? TimeSpan.FromMilliseconds(Math.Ceiling(wait.TotalMilliseconds)) : LongestSleep);
        }
    }

    private void ReceiveLoop(int queue)
    {
        InboundBuffers buffers = DataBuffers.TakeInbound(node.Plane.LongestPacket, transport.ReceivesTrains);
        while (transport.Receive(buffers.Datagrams, queue))
            Deliver(ref buffers, queue);
        DataBuffers.Return(buffers);
        ThrowUnlessStopping(SocketGone());
    }

    private void SendLoop(OutboundQueue outbound, int queue)
    {
        while (tun.Read(outbound.Packets, queue))
        {
            outbound.Begin();
            while (!outbound.TrySend() && !_stopping)
                transport.WaitForRoom(outbound.TransportQueue, orDatagrams: false);
        }

        outbound.Return();
        ThrowUnlessStopping(DeviceGone());
    }

    /// <summary>
    /// Both directions by turns, so that neither waits for more than one batch of the other. While the network takes nothing more, nothing
    /// more is taken from the device, but what is received goes on. Asked is who has something: an answer that there is nothing costs a
    /// system call too.
    /// </summary>
    /// <remarks>
    /// With few processors this is faster than two threads: one that carries only the acknowledgements of a transfer would be woken
    /// thousands of times a second, and then wait for a processor.
    /// </remarks>
    private void DuplexLoop(IPollable device, IPollable socket, OutboundQueue outbound, int queue)
    {
        InboundBuffers inbound = DataBuffers.TakeInbound(node.Plane.LongestPacket, transport.ReceivesTrains);
        LightTunnelException? gone = null;
        (bool asksDevice, bool asksSocket) = (true, true);
        while (gone is null)
        {
            if (asksSocket)
            {
                if (!socket.TryTake(inbound.Datagrams, queue))
                    gone = SocketGone();
                // The system answers some of what it is given at once.
                asksDevice |= inbound.Datagrams.Count > 0;
                Deliver(ref inbound, queue);
            }

            bool readsDevice = asksDevice && outbound.IsDone;
            if (readsDevice)
            {
                if (!device.TryTake(outbound.Packets, queue))
                    gone = DeviceGone();
                outbound.Begin();
            }

            bool hasRoom = (outbound.IsDone && !readsDevice) || outbound.TrySend();
            bool expectsMore = (asksSocket && socket.ExpectsMore(queue)) || (readsDevice && device.ExpectsMore(queue));
            (asksDevice, asksSocket) = (true, true);
            if (expectsMore || gone is not null)
                continue;
            if (hasRoom)
                (asksDevice, asksSocket) = device.WaitWith(socket, queue);
            else
                transport.WaitForRoom(queue, orDatagrams: true);
        }

        DataBuffers.Return(inbound);
        outbound.Return();
        ThrowUnlessStopping(gone);
    }

    /// <summary>Does everything that is to be done with the datagrams received.</summary>
    private void Deliver(ref InboundBuffers buffers, int queue)
    {
        for (int next = 0; next < buffers.Datagrams.Count;)
        {
            next = _inbound[queue].Process(buffers.Datagrams, next, buffers.Packets, buffers.Forward);
            if (buffers.Packets.Count > 0)
                tun.Write(buffers.Packets, queue);
            if (buffers.Forward.Count > 0)
                transport.Send(buffers.Forward, queue);
            if (_inbound[queue].Resealed is { } resealed)
                transport.Send(resealed, queue);
        }

        if (buffers.LongestPacket < node.Plane.LongestPacket)
            buffers = DataBuffers.TakeInbound(node.Plane.LongestPacket, transport.ReceivesTrains);
    }

    private void ThrowUnlessStopping(LightTunnelException gone)
    {
        if (!_stopping)
            throw gone;
    }

    private static LightTunnelException SocketGone() =>
        new(LightTunnelError.Internal, "The UDP socket was closed.", "Start the tunnel again.");

    private LightTunnelException DeviceGone() => new(
        LightTunnelError.TunUnavailable, $"The interface {tun.Name} is gone: somebody removed it.",
        "Start the tunnel again.") { Target = tun.Name };
}
