using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>
/// UDP sockets for both families with the batched system calls and segmentation offloads of Linux: one system call per batch instead of one
/// or two per datagram. With several queues, several sockets share the port, and the senders are spread over them (SO_REUSEPORT,
/// <see cref="SourceSpread"/>). One more socket has the port, from which leaves what goes to somebody who may not exist
/// (<see cref="PathHandle.IsUnproven"/>): datagrams that wait for a neighbour to tell its hardware address count against the socket's
/// buffer for seconds.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class LinuxUdpTransport : IDatagramTransport, IPollable
{
    private readonly SocketTable<LinuxUdpSocket> _sockets;
    private readonly LinuxUdpSocket[] _queues;
    private readonly LinuxUdpSocket? _unproven;
    private readonly LinuxUdpReceiver[] _receivers;
    private readonly LinuxUdpSender _sender;

    // The stripe of each queue; locked while one is opened.
    private readonly LinuxUdpSocket?[] _stripes;

    // For each queue the socket that TrySend found full.
    private readonly LinuxUdpSocket?[] _full;
    private bool _closed;

    private LinuxUdpTransport(
        LinuxUdpSocket[] queues, LinuxUdpSocket? unproven, LinuxUdpReceiver[] receivers, SocketTable<LinuxUdpSocket> sockets,
        LinuxUdpSender sender, bool supportsIPv6, bool receivesTrains)
    {
        _queues = queues;
        _unproven = unproven;
        _full = new LinuxUdpSocket?[queues.Length];
        _stripes = new LinuxUdpSocket?[queues.Length];
        _receivers = receivers;
        _sockets = sockets;
        _sender = sender;
        SupportsIPv6 = supportsIPv6;
        ReceivesTrains = receivesTrains;
    }

    /// <inheritdoc/>
    public int LocalPort => _sockets.Main.Port;

    /// <inheritdoc/>
    public bool SupportsIPv6 { get; }

    /// <inheritdoc/>
    public int Queues => _queues.Length;

    /// <inheritdoc/>
    public bool ReceivesTrains { get; }

    /// <summary>The sources that have a socket of their own beside a queue's.</summary>
    public SourceSockets SourcesOf(int queue) => _receivers[queue].Sources;

    /// <summary>True while trains are sent as one message.</summary>
    public bool SendsTrains => _sender.Segments;

    /// <summary>What may be under way from the first queue.</summary>
    public SendQueueLimit SendQueue => _queues[0].SendQueue!;

    /// <inheritdoc/>
    public long SendErrors => _sender.Errors;

    /// <summary>Binds the port in the calling thread's network namespace.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">The port is taken or may not be used.</exception>
    public static LinuxUdpTransport Open(int port, DataPathOptions? options = null) =>
        TryOpen(port, dualMode: true, options) ?? TryOpen(port, dualMode: false, options)
        ?? throw UdpErrors.CannotOpen(port, "this system has neither IPv4 nor IPv6");

    /// <summary>Opens the transport; null when the system lacks the address family.</summary>
    /// <param name="port">The port, 0 for any.</param>
    /// <param name="dualMode">True for both families, false for IPv4 only.</param>
    /// <param name="options">How many queues and what offloads; null for what is best here.</param>
    /// <param name="time">The clock by which sources lose a socket of their own.</param>
    internal static LinuxUdpTransport? TryOpen(int port, bool dualMode, DataPathOptions? options = null, TimeProvider? time = null)
    {
        options ??= DataPathOptions.Default;
        if (LinuxUdpSocket.TryOpen(address: null, port, dualMode, PortUse.Alone, out int error) is not { } first)
        {
            return error switch
            {
                LibC.EADDRINUSE => throw UdpErrors.PortInUse(port),
                LibC.EACCES or LibC.EPERM => throw UdpErrors.PrivilegeRequired(port),
                LibC.EAFNOSUPPORT => null,
                LibC.EADDRNOTAVAIL when dualMode => null,
                _ => throw UdpErrors.CannotOpen(port, LibC.Describe(error)),
            };
        }

        (LinuxUdpSocket main, LinuxUdpSocket? unproven) = OpenMain(first, dualMode);
        List<LinuxUdpSocket> queues = OpenQueues(main, dualMode, options.Queues);
        var sockets = new SocketTable<LinuxUdpSocket>(main);
        var receivers = new List<LinuxUdpReceiver>();
        var asked = new AskedAddresses();
        bool receivesTrains = options.Offloads.HasFlag(Offloads.UdpReceive);
        bool sendsTrains = options.Offloads.HasFlag(Offloads.UdpSend) && main.KnowsSegmentation;
        foreach (LinuxUdpSocket queue in queues)
        {
            queue.SetReceiveBuffer(UdpTransportFactory.SocketBufferSize, beyondLimit: true);
            queue.LongestQueue = ReceiveQueue.Largest;
            queue.LimitSendQueue();
            if (receivesTrains)
                receivesTrains = queue.TryReceiveTrains();
            if (LinuxUdpReceiver.TryCreate(
                queue, queue == main ? sockets : null, queue == main ? unproven : null, asked, time ?? TimeProvider.System) is { } receiver)
            {
                receivers.Add(receiver);
                continue;
            }

            error = LibC.LastError;
            receivers.ForEach(opened => opened.Dispose());
            queues.ForEach(opened => opened.Dispose());
            unproven?.Dispose();
            throw UdpErrors.CannotOpen(port, LibC.Describe(error));
        }

        var sender = new LinuxUdpSender(dualMode, sendsTrains, asked);
        return new LinuxUdpTransport([.. queues], unproven, [.. receivers], sockets, sender, dualMode, receivesTrains);
    }

    /// <inheritdoc/>
    public bool Receive(PacketBatch batch, int queue = 0) => _receivers[queue].Receive(batch, ref _closed);

    /// <inheritdoc/>
    public void NoteRoundTrip(TimeSpan roundTrip, int queue = 0) => _receivers[queue].RoundTrip = roundTrip.Ticks;

    /// <inheritdoc/>
    public bool TryTake(PacketBatch batch, int queue) => _receivers[queue].TryTake(batch, ref _closed);

    /// <inheritdoc/>
    public SafeHandle ReadyHandle(int queue) => _receivers[queue].ReadyHandle;

    /// <inheritdoc/>
    public bool ExpectsMore(int queue) => _receivers[queue].ExpectsMore;

    /// <inheritdoc/>
    public (bool Here, bool There) WaitWith(IPollable other, int queue) =>
        Poll.Wait(ReadyHandle(queue), LibC.POLLIN, other.ReadyHandle(queue), LibC.POLLIN);

    /// <inheritdoc/>
    public bool TryOpenSocket(out LocalEnd socket, int port = 0, IPAddress? address = null)
    {
        socket = default;
        return port is >= 0 and <= ushort.MaxValue && _sockets.TryAdd(Open, out socket);

        LinuxUdpSocket? Open(int number)
        {
            LinuxUdpSocket? opened = LinuxUdpSocket.TryOpen(address, port, SupportsIPv6, PortUse.Alone, out _);
            opened?.SetReceiveBuffer(UdpTransportFactory.FurtherSocketBufferSize, beyondLimit: false);
            opened?.SetSendBuffer(UdpTransportFactory.FurtherSocketBufferSize, beyondLimit: false);
            if (ReceivesTrains)
                opened?.TryReceiveTrains();
            if (opened is null || _receivers[0].TryWatch(opened, number))
                return opened;
            opened.Dispose();
            return null;
        }
    }

    /// <inheritdoc/>
    public void CloseSocket(LocalEnd socket) => _sockets.Remove(socket, Close);

    /// <inheritdoc/>
    public IReadOnlyList<int> OpenStripes()
    {
        if (_queues.Length == 1)
            return [];
        lock (_stripes)
        {
            for (int queue = 1; queue < _stripes.Length && !Volatile.Read(ref _closed); queue++)
                _stripes[queue] ??= OpenStripe(queue);
        }

        return [.. _stripes.Select(stripe => stripe?.Port ?? 0)];
    }

    private LinuxUdpSocket? OpenStripe(int queue)
    {
        if (StripePorts.Open(LocalPort, queue, SupportsIPv6) is not { } stripe)
            return null;
        if (ReceivesTrains)
            stripe.TryReceiveTrains();
        if (_receivers[queue].TryWatchStripe(stripe))
            return stripe;
        stripe.Dispose();
        return null;
    }

    /// <inheritdoc/>
    public int PortOf(LocalEnd socket) => Find(socket, isUnproven: false, queue: 0)?.Port ?? 0;

    /// <inheritdoc/>
    public void Send(PacketBatch batch, int queue = 0)
    {
        for (int first = 0; first < batch.Count;)
        {
            int end = EndOfSocket(batch, first);
            int sent = Send(batch, first, end, queue, out LinuxUdpSocket? full);
            if (full is not null && full.LengthenToFirst())
            {
                sent = Send(batch, sent, end, queue, out _);
                full.Shorten();
            }

            _sender.AddErrors(end - sent);
            first = end;
        }
    }

    /// <inheritdoc/>
    public int TrySend(PacketBatch batch, int first, int queue = 0)
    {
        _full[queue]?.AdaptSendQueue();
        _full[queue] = null;
        while (first < batch.Count && _full[queue] is null)
            first = Send(batch, first, EndOfSocket(batch, first), queue, out _full[queue]);
        return first;
    }

    /// <inheritdoc/>
    public void WaitForRoom(int queue, bool orDatagrams)
    {
        try
        {
            if (_full[queue] is { } socket)
                Poll.Wait(socket.Handle, LibC.POLLOUT | LibC.POLLRDHUP, orDatagrams ? ReadyHandle(queue) : null, LibC.POLLIN);
        }
        catch (ObjectDisposedException)
        {
            // Closed meanwhile: to send finds that out.
        }
    }

    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> datagram, in PathHandle path) => SendOrTell(datagram, path);

    /// <inheritdoc/>
    public SendObstacle SendOrTell(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        try
        {
            if (Find(path.Local, path.IsUnproven, queue: 0) is { } from)
                return _sender.Send(from, datagram, path);
        }
        catch (ObjectDisposedException)
        {
            // Closed meanwhile.
        }

        _sender.AddErrors(1);
        return SendObstacle.None;
    }

    /// <inheritdoc/>
    public bool TrySendWhole(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        try
        {
            if (Find(path.Local, path.IsUnproven, queue: 0) is { } from)
                return _sender.TrySendWhole(from, datagram, path);
        }
        catch (ObjectDisposedException)
        {
            // Closed meanwhile.
        }

        _sender.AddErrors(1);
        return true;
    }

    /// <summary>
    /// Shuts the receiving half of the main sockets down: Linux answers that an unconnected socket is not connected, but from now on
    /// it counts as readable, which wakes who waits and lets nobody wait any more. They go on sending until disposal; the further
    /// sockets are closed.
    /// </summary>
    public void Close()
    {
        Volatile.Write(ref _closed, true);
        _sockets.Close(Close);
        LinuxUdpSocket[] stripes;
        lock (_stripes)
            stripes = [.. _stripes.OfType<LinuxUdpSocket>()];
        foreach (LinuxUdpSocket socket in _queues.Concat(stripes))
        {
            try
            {
                _ = LibC.Shutdown(socket.Handle, LibC.SHUT_RD);
            }
            catch (ObjectDisposedException)
            {
                // Nobody waits for a transport that is gone.
            }
        }
    }

    /// <summary>Closes the sockets as soon as no thread is inside a call any more.</summary>
    public void Dispose()
    {
        Close();
        foreach (LinuxUdpReceiver receiver in _receivers)
            receiver.Dispose();
        foreach (LinuxUdpSocket queue in _queues)
            queue.Dispose();
        foreach (LinuxUdpSocket? stripe in _stripes)
            stripe?.Dispose();
        _unproven?.Dispose();
    }

    /// <summary>"UDP port 9000".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"UDP port {LocalPort}");

    /// <summary>
    /// Opens the main socket beside the one that was bound alone, so that a port which another program has was found out. The kernel gives
    /// what arrives to the one that was bound last; the first is left for sending to whom may not exist. Where the system refuses, it is
    /// the main one itself.
    /// </summary>
    private static (LinuxUdpSocket Main, LinuxUdpSocket? Unproven) OpenMain(LinuxUdpSocket first, bool dualMode)
    {
        if (!first.TryAllowBeside(true)
            || LinuxUdpSocket.TryOpen(address: null, first.Port, dualMode, PortUse.Beside, out _) is not { } main)
        {
            first.TryAllowBeside(false);
            return (first, null);
        }

        first.IsForUnproven = true;
        first.SetSendBuffer(UdpTransportFactory.UnprovenBufferSize, beyondLimit: true);
        return (main, first);
    }

    /// <summary>
    /// Opens further sockets on the main one's port. The kernel checks only at each bind whether all who have the port share it.
    /// </summary>
    private static List<LinuxUdpSocket> OpenQueues(LinuxUdpSocket main, bool dualMode, int count)
    {
        var queues = new List<LinuxUdpSocket> { main };
        if (count <= 1 || !main.TrySharePort(true))
            return queues;
        while (queues.Count < count && LinuxUdpSocket.TryOpen(address: null, main.Port, dualMode, PortUse.Shared, out _) is { } queue)
            queues.Add(queue);
        if (queues.Count > 1)
            SourceSpread.TryAttach(main.Handle, queues.Count);
        return queues;
    }

    /// <summary>Sends slots of one socket until it is full; those that find it closed are lost.</summary>
    /// <returns>The first slot that is not done with.</returns>
    private int Send(PacketBatch batch, int first, int end, int queue, out LinuxUdpSocket? full)
    {
        full = null;
        try
        {
            ref PacketSlot slot = ref batch[first];
            if (Find(slot.Path.Local, slot.Path.IsUnproven, queue) is { } socket)
            {
                int sent = _sender.Send(socket.Handle, batch, first, end);
                // Nobody waits for whom may not exist.
                if (sent == end || !socket.IsForUnproven)
                {
                    full = sent < end ? socket : null;
                    return sent;
                }

                first = sent;
            }
        }
        catch (ObjectDisposedException)
        {
            // Closed meanwhile.
        }

        _sender.AddErrors(end - first);
        return end;
    }

    /// <summary>The slot behind those that leave from the same socket and address as this one.</summary>
    private static int EndOfSocket(PacketBatch batch, int first)
    {
        ref PacketSlot slot = ref batch[first];
        int end = first + 1;
        while (end < batch.Count && LeaveAlike(slot.Path, batch[end].Path))
            end++;
        return end;
    }

    private static bool LeaveAlike(in PathHandle one, in PathHandle other) =>
        one.Local == other.Local && one.Asked == other.Asked && one.IsUnproven == other.IsUnproven;

    /// <summary>
    /// What goes to whom may not exist leaves by a socket of its own in place of the node's. By a further one little goes, and by a stripe
    /// only what is proven.
    /// </summary>
    private LinuxUdpSocket? Find(LocalEnd end, bool isUnproven, int queue) => end.Kind switch
    {
        LocalEndKind.Own => isUnproven && _unproven is { } unproven ? unproven : _queues[queue],
        LocalEndKind.Stripe => end.Index < _stripes.Length ? Volatile.Read(ref _stripes[end.Index]) : null,
        _ => _sockets.Find(end.Index),
    };

    private void Close(LinuxUdpSocket socket)
    {
        // While another thread is inside a call, the descriptor lives on: what arrives for it must not wake the receiver for nothing.
        _receivers[0].Unwatch(socket);
        socket.Dispose();
    }
}
