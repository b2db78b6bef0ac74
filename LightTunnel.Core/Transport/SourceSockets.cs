using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Transport;

/// <summary>
/// Sockets of their own for sources that send more than this node works off. The kernel's queue of the main socket is everybody's: who
/// fills it costs the others their datagrams, and those that still find room wait behind all of its. So while that queue stands, its
/// sources are weighed, and the heaviest gets a socket that is bound to the same port and connected to it: the kernel then puts what comes
/// from there into that socket's queue. Above the transport nothing is seen of it.
/// </summary>
/// <remarks>
/// <para>
/// Sources can be forged, so everything is bounded: the sockets, what they cost, and how often one is opened. Everything but
/// <see cref="Dispose"/> belongs to the receiving thread, and nothing wakes it: when nothing comes, sockets that are no longer needed stay
/// and do no harm. A datagram of somebody else that comes between bind and connect is received as any other.
/// </para>
/// <para>
/// The main socket is received from first, then all by turns. What leaves for a source leaves from the main socket as ever. The lightest
/// makes room. The first one's queue is as long as the main one's, so that a transfer loses nothing by having it; the n-th gets an n-th. A
/// source that came to another of the node's addresses than the one that answers would leave from is not matched by its socket: it stays
/// with the main one, as does everybody where the system refuses, and on the portable path.
/// </para>
/// </remarks>
[SupportedOSPlatform("linux")]
internal sealed unsafe class SourceSockets(LinuxUdpSocket main, SafeFileHandle epoll, TimeProvider time) : IDisposable
{
    /// <summary>Most sockets at a time.</summary>
    public const int Maximum = 16;

    /// <summary>A socket without datagrams for so long is closed with the next look.</summary>
    public static readonly TimeSpan LongestIdle = TimeSpan.FromSeconds(5);

    /// <summary>
    /// From one opening to the next: nothing to a source that goes on, and few enough where it does not help, since the source is forged or
    /// has come to another of this machine's addresses than the one that answers would leave from.
    /// </summary>
    public static readonly TimeSpan BetweenOpenings = TimeSpan.FromSeconds(0.25);

    /// <summary>Receives that brought something from one look at the main socket's queue to the next, at most.</summary>
    public const int ReceivesPerLook = 64;

    // The same, bytes: as many as the queue holds, so that what waited at the last look is gone. Trains are that much with fewer receives.
    private const int BytesPerLook = 2 * UdpTransportFactory.SocketBufferSize;

    // The numbers under which they are waited for, behind those of the further sockets.
    private const int FirstKey = LocalEnd.MaximumFurther + 1;

    private readonly OwnSocket?[] _sockets = new OwnSocket?[Maximum];
    private readonly HeavySources _sources = new();
    private readonly Lock _changing = new();
    private bool _isDisposed;
    private int _receives;
    private long _received;
    private Timestamp _mayOpen;

    /// <summary>Sockets that are open.</summary>
    public int Count { get; private set; }

    /// <summary>True while the main socket's sources are weighed, from one look that found its queue standing to the next.</summary>
    public bool IsWeighing { get; private set; }

    /// <summary>The socket that is waited for under a key; null when it is another's, or closed.</summary>
    public LinuxUdpSocket? Find(int key) => FindOwn(key)?.Socket;

    /// <summary>True when the source has a socket of its own.</summary>
    public bool Has(in UdpEndpoint source)
    {
        foreach (OwnSocket? own in _sockets)
        {
            if (own is not null && own.Source == source)
                return true;
        }

        return false;
    }

    /// <summary>
    /// Tells of a receive that brought something, and with every so many looks whether a source needs a socket, or a socket is
    /// needed no longer.
    /// </summary>
    /// <param name="batch">What was received.</param>
    /// <param name="first">The first slot of this receive.</param>
    /// <param name="key">The key of the socket that it came from, 0 for the main one.</param>
    public void CountReceive(PacketBatch batch, int first, int key)
    {
        OwnSocket? own = FindOwn(key);
        own?.LastUsed = time.Now();
        for (int i = first; i < batch.Count; i++)
        {
            int weight = ReceiveQueue.WeightOf(batch[i]);
            own?.Weight += weight;
            if (key != 0)
                continue;
            _received += weight;
            if (IsWeighing)
                _sources.Add(batch[i].Path.Endpoint, weight);
        }

        if (++_receives >= ReceivesPerLook || _received >= BytesPerLook)
            Look();
    }

    /// <summary>Closes the sockets; from now on none is opened.</summary>
    public void Dispose()
    {
        lock (_changing)
        {
            _isDisposed = true;
            foreach (OwnSocket? own in _sockets)
                own?.Socket.Dispose();
        }
    }

    private OwnSocket? FindOwn(int key) => (uint)(key - FirstKey) < Maximum ? _sockets[key - FirstKey] : null;

    private void Look()
    {
        (_receives, _received) = (0, 0);
        Timestamp now = time.Now();
        for (int i = 0; i < Maximum; i++)
        {
            if (_sockets[i] is { } own && now - own.LastUsed > LongestIdle)
                Close(i);
        }

        // A queue that stood at the last look as well is no burst.
        bool stands = main.HasStandingQueue;
        if (stands && IsWeighing)
            OpenForHeaviest(now);
        _sources.Clear();
        IsWeighing = stands && now >= _mayOpen;
    }

    private void OpenForHeaviest(Timestamp now)
    {
        // Of who has a socket there may be much left in the main one's queue. Who cannot be connected to has forged its address.
        while (_sources.TryTakeHeaviest(out UdpEndpoint source))
        {
            if (Has(source))
                continue;
            _mayOpen = now + BetweenOpenings;
            if (TryOpen(source, now))
                return;
        }
    }

    private bool TryOpen(in UdpEndpoint source, Timestamp now)
    {
        // Once the transport is disposed of its port must be free, so no socket may come late. A single one loses no more than it did
        // before: it may be a transfer whose window fits. The more there are, the less the next one gets, so that together they take no
        // more than 3.4 times what the main one has.
        lock (_changing)
        {
            if (_isDisposed || main.TryOpenFor(source, UdpTransportFactory.SocketBufferSize / (Count + 1)) is not { } socket)
                return false;
            socket.LongestQueue = ReceiveQueue.Largest / (Count + 1);
            int place = PlaceForAnother();
            if (!LibC.TryWatch(epoll, socket.Handle, FirstKey + place))
            {
                socket.Dispose();
                return false;
            }

            _sockets[place] = new OwnSocket(socket, source) { LastUsed = now };
            Count++;
            return true;
        }
    }

    /// <summary>A free place, or that of the source that sent the least since the last one got its socket.</summary>
    private int PlaceForAnother()
    {
        int place = 0;
        for (int i = 0; i < Maximum && _sockets[place] is { } lightest; i++)
        {
            if (_sockets[i] is not { } own || own.Weight < lightest.Weight)
                place = i;
        }

        Close(place);
        foreach (OwnSocket? own in _sockets)
            own?.Weight = 0;
        return place;
    }

    private void Close(int place)
    {
        if (_sockets[place] is not { } own)
            return;
        _ = LibC.EpollControl(epoll, LibC.EPOLL_CTL_DEL, own.Socket.Handle, null);
        own.Socket.Dispose();
        _sockets[place] = null;
        Count--;
    }

    private sealed class OwnSocket(LinuxUdpSocket socket, UdpEndpoint source)
    {
        public LinuxUdpSocket Socket => socket;

        public UdpEndpoint Source => source;

        /// <summary>When something was received last.</summary>
        public Timestamp LastUsed { get; set; }

        /// <summary>What was received since the last socket was opened.</summary>
        public long Weight { get; set; }
    }
}
