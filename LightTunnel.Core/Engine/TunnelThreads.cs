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

    /// <summary>The control loop wakes up at least this often, in case the clock jumps.</summary>
    private static readonly TimeSpan LongestSleep = TimeSpan.FromMinutes(1);

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
    /// <param name="maxPacketLength">Longest inner packet that may come in or go out, bytes.</param>
    public void Start(string name, int maxPacketLength)
    {
        node.Woken = () => _work.Set();
        _threads =
        [
            Run($"LightTunnel {name} control", ControlLoop),
            Run($"LightTunnel {name} udp", () => ReceiveLoop(maxPacketLength)),
            Run($"LightTunnel {name} tun", () => SendLoop(maxPacketLength)),
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

    private void ReceiveLoop(int maxPacketLength)
    {
        var received = new PacketBatch(BatchCapacity, maxPacketLength + DatagramOverhead);
        var forward = new PacketBatch(BatchCapacity, maxPacketLength + DatagramOverhead);
        while (transport.Receive(received))
        {
            _inbound.Process(received, forward);
            tun.Write(received);
            if (forward.Count > 0)
                transport.Send(forward);
        }
    }

    private void SendLoop(int maxPacketLength)
    {
        var packets = new PacketBatch(BatchCapacity, maxPacketLength);
        var replies = new PacketBatch(BatchCapacity, TunnelOptions.MinimumMtu);
        while (tun.Read(packets))
        {
            _outbound.Process(packets, replies);
            transport.Send(packets);
            if (replies.Count > 0)
                tun.Write(replies);
        }
    }
}
