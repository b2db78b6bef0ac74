using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Transport;

namespace LightTunnel.Lab.Bench;

/// <summary>
/// Small UDP packets at a steady rate from one host to another, and how many of them arrive. Both ends are threads of this process with
/// sockets in the hosts' namespaces, and pass many packets in one system call: iperf3 with its call for each would need a whole core for
/// what is asked of the tunnel.
/// </summary>
internal sealed class PacketFlow
{
    /// <summary>Bytes of each packet's payload.</summary>
    public const int PayloadSize = 64;

    private const int Port = 5202;
    private const int BatchSize = 64;
    private const int ReceiveBuffer = 8 << 20;

    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(300);

    private readonly Socket _sender;
    private readonly Socket _receiver;
    private readonly CancellationToken _cancellationToken;
    private volatile bool _sent;

    private PacketFlow(Socket sender, Socket receiver, CancellationToken cancellationToken)
    {
        _sender = sender;
        _receiver = receiver;
        _cancellationToken = cancellationToken;
    }

    /// <summary>Sends for some seconds; thousands of packets per second that arrived.</summary>
    /// <exception cref="SocketException">The network refused.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async Task<double> MeasureAsync(
        LabHost from, LabHost to, string address, int packetsPerSecond, int seconds, CancellationToken cancellationToken)
    {
        var target = new IPEndPoint(IPAddress.Parse(address), Port);
        using Socket receiver = NetworkNamespace.Run(to.Namespace, () => Listen(target));
        using Socket sender = NetworkNamespace.Run(from.Namespace, () => Connect(target));
        var flow = new PacketFlow(sender, receiver, cancellationToken);
        Task<long> receiving = Task.Factory.StartNew(
            flow.Receive, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Task sending = Task.Factory.StartNew(
            () => flow.Send(packetsPerSecond, (long)packetsPerSecond * seconds), CancellationToken.None, TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        await Task.WhenAll(sending, receiving).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return await receiving.ConfigureAwait(false) / (1000.0 * seconds);
    }

    private static Socket Listen(IPEndPoint address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        // Beyond the system's limit, so that what is lost is lost by the tunnel and not here.
        socket.SetRawSocketOption(LibC.SOL_SOCKET, LibC.SO_RCVBUFFORCE, MemoryMarshal.AsBytes([ReceiveBuffer]));
        socket.Bind(address);
        return socket;
    }

    private static Socket Connect(IPEndPoint address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        socket.Connect(address);
        return socket;
    }

    /// <summary>Sends what is due every millisecond, as iperf3 does; what it was late for is sent as well.</summary>
    private unsafe void Send(int packetsPerSecond, long total)
    {
        try
        {
            byte* payload = stackalloc byte[PayloadSize];
            new Span<byte>(payload, PayloadSize).Clear();
            LibC.MultiMessageHeader* messages = stackalloc LibC.MultiMessageHeader[BatchSize];
            LibC.IoVector* vectors = stackalloc LibC.IoVector[BatchSize];
            Prepare(messages, vectors, payload);
            long start = Stopwatch.GetTimestamp();
            for (long sent = 0; sent < total && !_cancellationToken.IsCancellationRequested;)
            {
                long due = Math.Min(total, (long)(Stopwatch.GetElapsedTime(start).TotalSeconds * packetsPerSecond));
                if (due == sent)
                    Thread.Sleep(Pace);
                while (sent < due)
                    sent += SendOnce(messages, (int)Math.Min(due - sent, BatchSize));
            }
        }
        finally
        {
            _sent = true;
        }
    }

    private unsafe int SendOnce(LibC.MultiMessageHeader* messages, int count)
    {
        int sent = LibC.SendMessages(_sender.SafeHandle, messages, (uint)count, LibC.MSG_NOSIGNAL);
        if (sent > 0)
            return sent;
        // A full queue has dropped the packet.
        return Marshal.GetLastPInvokeError() is LibC.EINTR ? 0 : 1;
    }

    /// <summary>Counts until nothing has come for a while after the last was sent.</summary>
    private unsafe long Receive()
    {
        // All are received into one place: nobody reads them.
        byte* payload = stackalloc byte[PayloadSize];
        LibC.MultiMessageHeader* messages = stackalloc LibC.MultiMessageHeader[BatchSize];
        LibC.IoVector* vectors = stackalloc LibC.IoVector[BatchSize];
        Prepare(messages, vectors, payload);
        long received = 0;
        while (true)
        {
            int count = LibC.ReceiveMessages(_receiver.SafeHandle, messages, BatchSize, LibC.MSG_DONTWAIT, null);
            received += Math.Max(count, 0);
            if (count <= 0 && !_receiver.Poll(Silence, SelectMode.SelectRead) && _sent)
                return received;
        }
    }

    private static unsafe void Prepare(LibC.MultiMessageHeader* messages, LibC.IoVector* vectors, byte* payload)
    {
        Unsafe.InitBlock(messages, 0, (uint)(BatchSize * sizeof(LibC.MultiMessageHeader)));
        for (int i = 0; i < BatchSize; i++)
        {
            vectors[i] = new LibC.IoVector { Base = payload, Length = PayloadSize };
            messages[i].Header.Vectors = vectors + i;
            messages[i].Header.VectorCount = 1;
        }
    }
}
