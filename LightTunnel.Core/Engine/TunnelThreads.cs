using LightTunnel.Diagnostics;
using LightTunnel.Packets;
using LightTunnel.Transport;
using LightTunnel.Tun;

namespace LightTunnel.Engine;

/// <summary>
/// The three threads of one tunnel (docs/architecture.md, "Threads"). They outlive the caller's pipeline and runspace, and never let
/// an exception escape: the first one ends the tunnel by <paramref name="failed"/>.
/// </summary>
internal sealed class TunnelThreads(Node node, ITunDevice tun, IDatagramTransport transport, TimeProvider time, Action<Exception> failed) : IDisposable
{
    private const int BatchCapacity = 64;

    /// <summary>Room for what stands around an inner packet: relay header, transport header, padding and tag.</summary>
    private const int DatagramOverhead = RelayHeader.Size + 16 + 16 + 16;

    /// <summary>The control loop wakes up at least this often: after the machine has slept, its network must work again within two seconds.</summary>
    private static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(1);

    private readonly AutoResetEvent _work = new(initialState: false);
    private readonly OutboundPath _outbound = new(node);
    private readonly InboundPath _inbound = new(node);
    private Thread[] _threads = [];
    private volatile bool _stopping;

    /// <summary>What the TUN thread counted.</summary>
    public PacketCounters Outbound => _outbound.Counters;

    /// <summary>What the UDP thread counted.</summary>
    public PacketCounters Inbound => _inbound.Counters;

    /// <summary>Starts all threads.</summary>
    /// <param name="name">The tunnel's name, for the threads'.</param>
    public void Start(string name)
    {
        node.Woken = Wake;
        _threads =
        [
            Run($"LightTunnel {name} control", ControlLoop),
            Run($"LightTunnel {name} udp", ReceiveLoop),
            Run($"LightTunnel {name} tun", SendLoop),
        ];
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
        while (!_stopping)
        {
            long next = node.RunControl();
            if (next == long.MaxValue)
            {
                _work.WaitOne(LongestSleep);
                continue;
            }

            TimeSpan wait = time.GetElapsedTime(time.GetTimestamp(), next);
            if (wait > TimeSpan.Zero)
                _work.WaitOne(wait < LongestSleep ? TimeSpan.FromMilliseconds(Math.Ceiling(wait.TotalMilliseconds)) : LongestSleep);
        }
    }

    private void ReceiveLoop()
    {
        PacketBatch received = MakeBatch(DatagramOverhead);
        PacketBatch forward = MakeBatch(DatagramOverhead);
        while (transport.Receive(received))
        {
            _inbound.Process(received, forward);
            tun.Write(received);
            if (forward.Count > 0)
                transport.Send(forward);
            if (received.MaxPacketLength - DatagramOverhead < node.LongestPacket)
                (received, forward) = (MakeBatch(DatagramOverhead), MakeBatch(DatagramOverhead));
        }

        if (!_stopping)
            throw new LightTunnelException(LightTunnelError.Internal, "The UDP socket was closed.", "Start the tunnel again.");
    }

    private void SendLoop()
    {
        PacketBatch packets = MakeBatch(0);
        var replies = new PacketBatch(BatchCapacity, TunnelOptions.MinimumMtu);
        while (tun.Read(packets))
        {
            _outbound.Process(packets, replies);
            transport.Send(packets);
            if (replies.Count > 0)
                tun.Write(replies);
            if (packets.MaxPacketLength < node.LongestPacket)
                packets = MakeBatch(0);
        }

        if (!_stopping)
        {
            throw new LightTunnelException(
                LightTunnelError.TunUnavailable, $"The interface {tun.Name} is gone: somebody removed it.", "Start the tunnel again.") { Target = tun.Name };
        }
    }

    /// <summary>A client learns of the network's MTU when it has joined: what the first buffers are too small for is lost once.</summary>
    private PacketBatch MakeBatch(int overhead) => new(BatchCapacity, node.LongestPacket + overhead);
}
