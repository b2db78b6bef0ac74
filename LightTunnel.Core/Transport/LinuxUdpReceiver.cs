using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Transport;

/// <summary>
/// One receiving thread's half of a <see cref="LinuxUdpTransport"/>: an epoll set of its own main socket, of the sockets that heavy sources
/// have of their own (<see cref="SourceSockets"/>) and, for the first receiver, of the further sockets; recvmmsg; trains where the kernel
/// makes them (UDP_GRO). The epoll set notices by itself when a socket comes or goes.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class LinuxUdpReceiver : IDisposable
{
    // Messages per system call, which bounds how long a batch keeps the others waiting; few where they are long.
    private const int MaximumMessages = 64;
    private const int FewMessages = 8;
    private const int LongMessage = 8192;

    // Bytes of what the kernel tells of a message: the length of a train's datagrams, and where it was sent to.
    private const int ControlSize = 24 + PacketInfoControl.Size;

    // Sockets that one wait tells of. The kernel puts those that it told of behind the others.
    private const int MaximumReady = 64;

    // The key of the socket that only sends: should the kernel give it something nevertheless, that is received as well.
    private const int UnprovenKey = int.MaxValue;

    // The key of the queue's stripe.
    private const int StripeKey = int.MaxValue - 1;

    // Turns that the main socket may have before the others have one.
    private const int MostTurnsOfMain = 8;

    private readonly LinuxUdpSocket _main;
    private readonly SocketTable<LinuxUdpSocket>? _further;
    private readonly LinuxUdpSocket? _unproven;
    private volatile LinuxUdpSocket? _stripe;
    private readonly AskedAddresses _asked;
    private readonly SafeFileHandle _epoll;
    private readonly TimeProvider _time;
    private readonly byte[] _events = GC.AllocateArray<byte>(MaximumReady * LibC.EpollEventSize, pinned: true);

    // Which of the sockets that the last wait told of have not had their turn.
    private int _next;
    private int _ready;

    // How often only the main socket was asked.
    private int _turnsOfMain;

    // The address that a datagram came to last, and what stands for it.
    private UInt128 _lastLocal;
    private AskedAddress _lastAsked;

    // What the last call says about the next.
    private int _wanted = FewMessages;
    private long _roundTrip;

    private LinuxUdpReceiver(
        LinuxUdpSocket main, SocketTable<LinuxUdpSocket>? further, LinuxUdpSocket? unproven, AskedAddresses asked, SafeFileHandle epoll,
        TimeProvider time)
    {
        _asked = asked;
        _main = main;
        _further = further;
        _unproven = unproven;
        _epoll = epoll;
        _time = time;
        Sources = new SourceSockets(main, epoll, time);
    }

    /// <summary>The sources that have a socket of their own.</summary>
    public SourceSockets Sources { get; }

    /// <summary>How far away those are that send here, ticks of a <see cref="TimeSpan"/>; 0 when that is not known. Any thread.</summary>
    public long RoundTrip
    {
        get => Volatile.Read(ref _roundTrip);
        set => Volatile.Write(ref _roundTrip, value);
    }

    /// <summary>
    /// See <see cref="IPollable.ExpectsMore"/>: where that much was there that some was left, or trains were, which take long to work off.
    /// </summary>
    public bool ExpectsMore { get; private set; }

    /// <summary>Makes a receiver; null when the system refuses, and <see cref="LibC.LastError"/> says why.</summary>
    /// <param name="main">The socket that this receiver alone receives from.</param>
    /// <param name="further">Where further sockets are looked up, for the receiver that receives from them.</param>
    /// <param name="unproven">The socket that only sends, for one of the receivers.</param>
    /// <param name="asked">Numbers the addresses that are sent to.</param>
    /// <param name="time">The clock by which sources lose a socket of their own.</param>
    public static LinuxUdpReceiver? TryCreate(
        LinuxUdpSocket main, SocketTable<LinuxUdpSocket>? further, LinuxUdpSocket? unproven, AskedAddresses asked, TimeProvider time)
    {
        var epoll = new SafeFileHandle(LibC.EpollCreate(LibC.EPOLL_CLOEXEC), ownsHandle: true);
        if (!epoll.IsInvalid && LibC.TryWatch(epoll, main.Handle, key: 0)
            && (unproven is null || LibC.TryWatch(epoll, unproven.Handle, UnprovenKey)))
        {
            return new LinuxUdpReceiver(main, further, unproven, asked, epoll, time);
        }
        int error = LibC.LastError;
        epoll.Dispose();
        Marshal.SetLastPInvokeError(error);
        return null;
    }

    /// <summary>See <see cref="IDatagramTransport.Receive"/>.</summary>
    /// <param name="batch">Takes the datagrams.</param>
    /// <param name="isClosed">True once the transport is closed.</param>
    public bool Receive(PacketBatch batch, ref readonly bool isClosed)
    {
        batch.Clear();
        bool held = false;
        try
        {
            // What wakes the wait at the end is the main socket (see LinuxUdpTransport.Close), so its descriptor must not leave the
            // epoll set before.
            _main.Handle.DangerousAddRef(ref held);
            if (ExpectsMore)
                ReceiveMain(batch);
            while (batch.Count == 0 && !Volatile.Read(in isClosed))
                ReceiveReady(batch, timeout: -1);

            return !Volatile.Read(in isClosed);
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (held)
                _main.Handle.DangerousRelease();
        }
    }

    /// <summary>See <see cref="IPollable.TryTake"/>.</summary>
    public bool TryTake(PacketBatch batch, ref readonly bool isClosed)
    {
        batch.Clear();
        try
        {
            ReceiveMain(batch);
            if (batch.Count == 0 && HasOthers)
                ReceiveReady(batch, timeout: 0);
            return !Volatile.Read(in isClosed);
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Waits for a further socket as well; false when the system refuses.</summary>
    public bool TryWatch(LinuxUdpSocket socket, int number) => LibC.TryWatch(_epoll, socket.Handle, number);

    /// <summary>
    /// Waits for the queue's stripe as well, what comes to which is received like the main socket's; false when the system refuses.
    /// </summary>
    public bool TryWatchStripe(LinuxUdpSocket stripe)
    {
        _stripe = stripe;
        return LibC.TryWatch(_epoll, stripe.Handle, StripeKey);
    }

    /// <summary>Waits no longer for a further socket.</summary>
    public void Unwatch(LinuxUdpSocket socket) => _ = LibC.EpollControl(_epoll, LibC.EPOLL_CTL_DEL, socket.Handle, null);

    /// <summary>Closes the sources' sockets, and the epoll set as soon as no thread waits on it any more.</summary>
    public void Dispose()
    {
        Sources.Dispose();
        _epoll.Dispose();
    }

    /// <summary>The descriptor that is readable when one of the sockets is.</summary>
    public SafeHandle ReadyHandle => _epoll;

    private bool HasOthers => Sources.Count > 0 || _stripe is not null || _further is { HasFurther: true };

    /// <summary>
    /// Adds to the batch what is there for the main socket, without asking the kernel first which sockets have something; nothing when the
    /// others have not had a turn for long. So the many that share it go before the few that have a socket of their own.
    /// </summary>
    private void ReceiveMain(PacketBatch batch)
    {
        if (_turnsOfMain < MostTurnsOfMain || !HasOthers)
            Receive(_main, 0, batch);
        _turnsOfMain = batch.Count > 0 ? _turnsOfMain + 1 : 0;
    }

    /// <summary>
    /// Adds to the batch what is there for the sockets that the kernel says have something. Every socket has its turn before one
    /// has its second.
    /// </summary>
    private void ReceiveReady(PacketBatch batch, int timeout)
    {
        byte* events = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_events)); // Pinned.
        ReceiveNext();
        if (batch.Count > 0)
            return;
        (_next, _ready) = (0, LibC.EpollWait(_epoll, events, MaximumReady, timeout));
        ReceiveNext();

        void ReceiveNext()
        {
            while (_next < _ready && !batch.IsFull)
            {
                int key = LibC.WatchedKey(events, _next++);
                LinuxUdpSocket? socket = key == 0
                    ? _main
                    : key == UnprovenKey ? _unproven : key == StripeKey ? _stripe : Sources.Find(key) ?? _further?.Find(key);
                if (socket is not null)
                    Receive(socket, key, batch);
            }
        }
    }

    /// <summary>
    /// Adds to the batch what is there for a socket, has the sources weighed, and leaves out what makes room where the queue fills up.
    /// </summary>
    private void Receive(LinuxUdpSocket socket, int key, PacketBatch batch)
    {
        int first = batch.Count;
        // What comes to a source's own socket, or to the stripe, came to the node's own: nobody sees it.
        ReceiveWaiting(socket, key is > 0 and <= LocalEnd.MaximumFurther ? LocalEnd.Further(key) : default, batch);
        if (batch.Count == first)
            return;
        if (socket.Received.Count(batch, first))
            socket.LookAtQueue(_time.Now(), new TimeSpan(RoundTrip));
        Sources.CountReceive(batch, first, key);
        socket.Received.Thin(batch, first);
    }

    /// <summary>Adds to the batch what is there for a socket, without waiting.</summary>
    [SkipLocalsInit]
    private void ReceiveWaiting(LinuxUdpSocket socket, LocalEnd end, PacketBatch batch)
    {
        var headers = stackalloc LibC.MultiMessageHeader[MaximumMessages];
        var vectors = stackalloc LibC.IoVector[MaximumMessages];
        byte* controls = stackalloc byte[MaximumMessages * ControlSize];
        byte* names = stackalloc byte[MaximumMessages * SocketAddressCodec.MaximumLength];
        int wanted = Math.Min(batch.FreePlaces, _wanted);
        for (int i = 0; i < wanted; i++)
        {
            vectors[i] = new LibC.IoVector
            {
                Base = Unsafe.AsPointer(ref MemoryMarshal.GetReference(batch.FreePlace(i))),
                Length = (nuint)batch.MaxPacketLength,
            };
            headers[i].Header = new LibC.MessageHeader
            {
                Name = names + (i * SocketAddressCodec.MaximumLength),
                NameLength = SocketAddressCodec.MaximumLength,
                Vectors = vectors + i,
                VectorCount = 1,
                Control = controls + (i * ControlSize),
                ControlLength = ControlSize,
            };
        }

        int received;
        try
        {
            // An error is a message from the network about an earlier datagram: it is taken by being reported.
            received = LibC.ReceiveMessages(socket.Handle, headers, (uint)wanted, LibC.MSG_DONTWAIT, null);
        }
        catch (ObjectDisposedException)
        {
            return; // Closed meanwhile.
        }

        int longest = 0;
        for (int i = 0; i < received; i++)
        {
            ref LibC.MultiMessageHeader message = ref headers[i];
            int length = (message.Header.Flags & LibC.MSG_TRUNC) != 0 ? 0 : (int)message.Length;
            var name = new ReadOnlySpan<byte>(message.Header.Name, (int)message.Header.NameLength);
            // Slots stand where the kernel wrote them: a datagram that is dropped leaves an empty one.
            int segmentSize = ReadControls(message.Header, out UInt128 local);
            var path = new PathHandle(SocketAddressCodec.Read(name)) { Local = end, Asked = AskedOf(local) };
            batch.CommitPlace(length, segmentSize < length ? segmentSize : 0, path);
            longest = Math.Max(longest, length);
        }

        ExpectsMore = received == wanted || longest > LongMessage;
        if (longest > LongMessage)
            _wanted = FewMessages;
        else if (received == wanted)
            _wanted = Math.Min(2 * wanted, MaximumMessages);
        else if (received >= 0)
            _wanted = Math.Clamp(2 * received, FewMessages, MaximumMessages);
        GC.KeepAlive(batch);
    }

    /// <summary>Reads what the kernel tells besides.</summary>
    /// <param name="header">The message.</param>
    /// <param name="local">The address that it was sent to in mapped form, 0 when that is not known.</param>
    /// <returns>Bytes of each datagram when the message is a train of several, else 0.</returns>
    private static int ReadControls(in LibC.MessageHeader header, out UInt128 local)
    {
        int segmentSize = 0;
        local = UInt128.Zero;
        int least = (int)LibC.SegmentControl.LengthWith(0);
        for (int start = 0; start + least <= (int)header.ControlLength;)
        {
            byte* at = (byte*)header.Control + start;
            var control = (LibC.SegmentControl*)at;
            if (control->Length < (nuint)least || control->Length > header.ControlLength - (nuint)start)
                break;
            if (control->Level == LibC.SOL_UDP && control->Type == LibC.UDP_GRO
                && control->Length >= LibC.SegmentControl.LengthWith(sizeof(int)))
            {
                segmentSize = Math.Max(*(int*)&control->Value, 0);
            }
            else if (PacketInfoControl.TryRead(at, out UInt128 address))
            {
                local = address;
            }
            start += PacketInfoControl.Align((int)control->Length);
        }

        return segmentSize;
    }

    /// <summary>Most of what comes is for the same address as what came before.</summary>
    private AskedAddress AskedOf(UInt128 local)
    {
        if (local == UInt128.Zero)
            return default;
        if (local != _lastLocal || _lastAsked == default)
            (_lastLocal, _lastAsked) = (local, _asked.Find(local));
        return _lastAsked;
    }
}
