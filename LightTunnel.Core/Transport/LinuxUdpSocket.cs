using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Timing;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Transport;

/// <summary>With whom a socket has its port.</summary>
internal enum PortUse
{
    /// <summary>With nobody.</summary>
    Alone,

    /// <summary>
    /// With one that allows it by <see cref="LinuxUdpSocket.TryAllowBeside"/>, of which it takes over everything that arrives.
    /// </summary>
    Beside,

    /// <summary>
    /// With others of this transport that share it (<see cref="LinuxUdpSocket.TrySharePort"/>): the kernel gives each some of the senders.
    /// </summary>
    Shared,
}

/// <summary>One bound UDP socket of Linux. Who sends says in each call that it does not wait.</summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class LinuxUdpSocket : IDisposable
{
    private readonly bool _dualMode;
    private bool _sharesPort;
    private bool _receivesTrains;
    private int _sendBuffer;

    private LinuxUdpSocket(SafeFileHandle handle, int port, bool dualMode, bool sharesPort)
    {
        Handle = handle;
        Port = port;
        _dualMode = dualMode;
        _sharesPort = sharesPort;
    }

    /// <summary>The descriptor; every call holds it, so that its number is not used anew meanwhile.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>The UDP port that the socket is bound to.</summary>
    public int Port { get; }

    /// <summary>Opens and binds a socket in the calling thread's network namespace.</summary>
    /// <param name="address">The one local address to bind; null for all.</param>
    /// <param name="port">The port to bind, 0 for any.</param>
    /// <param name="dualMode">True for both families, false for IPv4 only.</param>
    /// <param name="use">With whom it has the port.</param>
    /// <param name="error">The errno of what failed; 0 on success.</param>
    /// <returns>Null when the system refuses.</returns>
    public static LinuxUdpSocket? TryOpen(IPAddress? address, int port, bool dualMode, PortUse use, out int error)
    {
        int descriptor = LibC.Socket(dualMode ? LibC.AF_INET6 : LibC.AF_INET, LibC.SOCK_DGRAM | LibC.SOCK_CLOEXEC, 0);
        if (descriptor < 0)
        {
            error = LibC.LastError;
            return null;
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        TunnelMark.TrySet(handle); // Who may not, has no exit node either.
        byte* name = stackalloc byte[SocketAddressCodec.MaximumLength];
        int length = SocketAddressCodec.WriteLocal(address, port, dualMode, new Span<byte>(name, SocketAddressCodec.MaximumLength));
        uint nameLength = SocketAddressCodec.MaximumLength;
        if (length == 0)
        {
            error = LibC.EAFNOSUPPORT;
        }
        else if ((dualMode && !LibC.TrySetOption(descriptor, LibC.IPPROTO_IPV6, LibC.IPV6_V6ONLY, 0))
            || (use == PortUse.Shared && !LibC.TrySetOption(descriptor, LibC.SOL_SOCKET, LibC.SO_REUSEPORT, 1))
            || (use != PortUse.Alone && !LibC.TrySetOption(descriptor, LibC.SOL_SOCKET, LibC.SO_REUSEADDR, 1))
            || LibC.Bind(descriptor, name, (uint)length) != 0
            || LibC.GetSocketName(descriptor, name, &nameLength) != 0)
        {
            error = LibC.LastError;
        }
        else
        {
            error = 0;
            var socket = new LinuxUdpSocket(
                handle, SocketAddressCodec.Read(new ReadOnlySpan<byte>(name, (int)nameLength)).Port, dualMode, use == PortUse.Shared);
            socket.TryAllowBeside(false); // Where it asked for that to be bound: nobody is bound beside this one.
            socket.SetFragments(isIPv4: true, allowed: true);
            PacketInfoControl.TryReceive(handle, dualMode);
            return socket;
        }

        handle.Dispose();
        return null;
    }

    /// <summary>
    /// Opens a socket on this one's port that receives what comes from one source, in place of this one. Others may share the port
    /// meanwhile, but no longer afterwards, unless they may anyway.
    /// </summary>
    /// <param name="source">Who alone is received from, but for what comes before the socket is connected.</param>
    /// <param name="bufferSize">Bytes of kernel buffer.</param>
    /// <returns>Null when the system refuses.</returns>
    public LinuxUdpSocket? TryOpenFor(in UdpEndpoint source, int bufferSize)
    {
        bool sharesPort = _sharesPort;
        if (!sharesPort && !TrySharePort(true))
            return null;
        LinuxUdpSocket? opened = TryOpen(address: null, Port, _dualMode, PortUse.Shared, out _);
        if (!sharesPort)
            TrySharePort(false);
        byte* name = stackalloc byte[SocketAddressCodec.MaximumLength];
        int length = SocketAddressCodec.Write(source, _dualMode, new Span<byte>(name, SocketAddressCodec.MaximumLength));
        if (opened is not null && length > 0 && LibC.Connect(opened.Handle, name, (uint)length) == 0)
        {
            opened.SetReceiveBuffer(bufferSize, beyondLimit: true);
            if (_receivesTrains)
                opened.TryReceiveTrains();
            return opened;
        }

        opened?.Dispose();
        return null;
    }

    /// <summary>
    /// True when much waits to be received: above three eighths of the buffer, of which a quarter may have been received already, as the
    /// kernel settles that only now and then.
    /// </summary>
    public bool HasStandingQueue
    {
        get
        {
            uint* memory = stackalloc uint[2];
            return TryReadQueue(memory) && ReceiveQueue.IsStanding(memory[0], memory[1]);
        }
    }

    /// <summary>What becomes of the queue for what was received when it fills up; belongs to the receiving thread.</summary>
    public ReceiveQueue Received { get; } = new();

    /// <summary>Most bytes that the queue may grow to by itself.</summary>
    public int LongestQueue { get; set; } = UdpTransportFactory.SocketBufferSize;

    /// <summary>Has <see cref="Received"/> learn how full the queue is, and makes it longer where it asks for that.</summary>
    /// <param name="now">The time of a clock that never goes back.</param>
    /// <param name="roundTrip">How far away those are that send here; zero when that is not known.</param>
    public void LookAtQueue(Timestamp now, TimeSpan roundTrip)
    {
        uint* memory = stackalloc uint[2];
        try
        {
            bool isKnown = TryReadQueue(memory);
            int wanted = Received.Note(isKnown ? memory[0] : 0, isKnown ? memory[1] : 0, now, roundTrip);
            if (wanted > 0)
                SetReceiveBuffer(Math.Min(wanted, LongestQueue), beyondLimit: true);
        }
        catch (ObjectDisposedException)
        {
            // Closed meanwhile.
        }
    }

    /// <summary>What may be under way from here; null where the buffer stays as it is. Belongs to who sends batches.</summary>
    public SendQueueLimit? SendQueue { get; private set; }

    /// <summary>Asks for this much kernel buffer for what was received; the system silently gives less when its limit is lower.</summary>
    /// <param name="size">Bytes.</param>
    /// <param name="beyondLimit">Passes the limit, net.core.rmem_max, where CAP_NET_ADMIN allows it.</param>
    public void SetReceiveBuffer(int size, bool beyondLimit) => SetBuffer(LibC.SO_RCVBUFFORCE, LibC.SO_RCVBUF, size, beyondLimit);

    /// <summary>The same for what is to be sent.</summary>
    public void SetSendBuffer(int size, bool beyondLimit)
    {
        _sendBuffer = size;
        SetBuffer(LibC.SO_SNDBUFFORCE, LibC.SO_SNDBUF, size, beyondLimit);
    }

    /// <summary>From now on the buffer for what is to be sent is as large as the network makes necessary.</summary>
    public void LimitSendQueue()
    {
        SendQueue = new SendQueueLimit();
        ApplyLimit(SendQueue.Bytes);
    }

    /// <summary>To be called when who found the buffer full goes on.</summary>
    public void AdaptSendQueue()
    {
        int queued;
        if (SendQueue is not null && LibC.IoControl(Handle, LibC.SIOCOUTQ, &queued) == 0 && SendQueue.Note(queued))
            ApplyLimit(SendQueue.Bytes);
    }

    /// <summary>
    /// Lets what is sent until <see cref="Shorten"/> have at least the room that there was at the beginning; false when it has.
    /// </summary>
    public bool LengthenToFirst() => SendQueue is { Bytes: < SendQueueLimit.First } limit && Lengthen(SendQueueLimit.First - limit.Bytes);

    /// <summary>
    /// Lets what is sent until <see cref="Shorten"/> have so many bytes of room more; false where what finds none is to be lost.
    /// </summary>
    public bool Lengthen(int bytes)
    {
        if (IsForUnproven)
            return false;
        SetBuffer(LibC.SO_SNDBUFFORCE, LibC.SO_SNDBUF, NormalSendBuffer + (bytes / 2), beyondLimit: true);
        return true;
    }

    /// <summary>Ends <see cref="Lengthen"/>.</summary>
    public void Shorten() => SetBuffer(LibC.SO_SNDBUFFORCE, LibC.SO_SNDBUF, NormalSendBuffer, beyondLimit: SendQueue is not null);

    /// <summary>True for the socket behind what goes to whom may not exist (<see cref="Addressing.PathHandle.IsUnproven"/>).</summary>
    public bool IsForUnproven { get; set; }

    /// <summary>
    /// Lets another socket be bound to the same port (SO_REUSEADDR), or no longer. The kernel gives what arrives to the one that was bound
    /// last, so this one is only good for sending then, with a buffer of its own.
    /// </summary>
    public bool TryAllowBeside(bool allow) => LibC.TrySetOption(Handle, LibC.SOL_SOCKET, LibC.SO_REUSEADDR, allow ? 1 : 0);

    /// <summary>True when the kernel splits messages at UDP_SEGMENT (since 4.18); others would send them as one large datagram.</summary>
    public bool KnowsSegmentation => LibC.TrySetOption((int)Handle.DangerousGetHandle(), LibC.SOL_UDP, LibC.UDP_SEGMENT, 0);

    /// <summary>
    /// Lets the kernel hand over datagrams of one size from one sender as one message (UDP_GRO, since 5.0); false when it
    /// does not know how.
    /// </summary>
    public bool TryReceiveTrains() => _receivesTrains = LibC.TrySetOption(Handle, LibC.SOL_UDP, LibC.UDP_GRO, 1);

    /// <summary>
    /// Lets other sockets of this user be bound to the same port from now on, if they ask for it (SO_REUSEPORT), or no longer.
    /// </summary>
    public bool TrySharePort(bool shares)
    {
        bool done = LibC.TrySetOption(Handle, LibC.SOL_SOCKET, LibC.SO_REUSEPORT, shares ? 1 : 0);
        if (done)
            _sharesPort = shares;
        return done;
    }

    /// <summary>
    /// Has what is sent from now on sent whole, whatever the system believes of the path, or lets what is longer than the path go on in
    /// pieces. IPv4: without the don't-fragment flag, and whatever ICMP says, which anybody can forge. IPv6: the sender itself cuts what is
    /// longer than it has been told of the path.
    /// </summary>
    public void SetFragments(bool isIPv4, bool allowed)
    {
        (int level, int name) = isIPv4 ? (LibC.IPPROTO_IP, LibC.IP_MTU_DISCOVER) : (LibC.IPPROTO_IPV6, LibC.IPV6_MTU_DISCOVER);
        int wanted = !allowed ? LibC.PMTUDISC_PROBE : isIPv4 ? LibC.PMTUDISC_OMIT : LibC.PMTUDISC_WANT;
        if (!LibC.TrySetOption(Handle, level, name, wanted) && allowed)
            LibC.TrySetOption(Handle, level, name, LibC.PMTUDISC_DONT); // Before Linux 3.14.
    }

    /// <summary>
    /// How much of the buffer for what was received is used, and its size (SO_MEMINFO, since Linux 4.12: SK_MEMINFO_RMEM_ALLOC,
    /// SK_MEMINFO_RCVBUF).
    /// </summary>
    private bool TryReadQueue(uint* memory)
    {
        uint length = 2 * sizeof(uint);
        return LibC.GetSocketOption(Handle, LibC.SOL_SOCKET, LibC.SO_MEMINFO, memory, &length) == 0;
    }

    // The system doubles what it is asked for, as it counts its own memory too: half of what is wanted makes what is wanted.
    private void ApplyLimit(int bytes) => SetSendBuffer(bytes / 2, beyondLimit: true);

    private int NormalSendBuffer => SendQueue is { } limit ? limit.Bytes / 2 : _sendBuffer;

    private void SetBuffer(int forced, int ordinary, int size, bool beyondLimit)
    {
        if (!beyondLimit || !LibC.TrySetOption(Handle, LibC.SOL_SOCKET, forced, size))
            LibC.TrySetOption(Handle, LibC.SOL_SOCKET, ordinary, size);
    }

    /// <summary>Closes the socket as soon as no thread is inside a call any more.</summary>
    public void Dispose() => Handle.Dispose();
}
