using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>
/// Sends batches: sendmmsg for many messages, UDP_SEGMENT for a train in one message. A train that the kernel or the network card cannot
/// take is sent datagram by datagram. Any thread.
/// </summary>
/// <param name="supportsIPv6">True when the sockets speak both families.</param>
/// <param name="segments">True when the kernel knows UDP_SEGMENT.</param>
/// <param name="asked">The addresses that datagrams may be told to leave from.</param>
[SupportedOSPlatform("linux")]
internal sealed unsafe class LinuxUdpSender(bool supportsIPv6, bool segments, AskedAddresses asked)
{
    // Messages per system call: their headers are kept on the stack (132 bytes each).
    private const int MaximumMessages = 64;

    // Bytes of what the kernel is told of a message: the address that it leaves from, and the length of a train's datagrams.
    private const int ControlSize = PacketInfoControl.Size + 24;

    private volatile bool _segments = segments;
    private long _errors;

    /// <summary>True while trains are handed to the kernel whole.</summary>
    public bool Segments => _segments;

    /// <summary>Messages that could not be sent.</summary>
    public long Errors => Interlocked.Read(ref _errors);

    /// <summary>Counts messages that could not be sent.</summary>
    public void AddErrors(int count) => Interlocked.Add(ref _errors, count);

    /// <summary>Sends one datagram without waiting, and tells what of this machine's own was in the way.</summary>
    public SendObstacle Send(LinuxUdpSocket socket, ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        int error = SendOne(socket, datagram, path);
        if (error != 0)
            AddErrors(1);
        return error switch
        {
            LibC.EPERM or LibC.EACCES => SendObstacle.Refused,
            LibC.ENETDOWN or LibC.ENETUNREACH or LibC.EHOSTUNREACH or LibC.EADDRNOTAVAIL => SendObstacle.NoRoute,
            LibC.EAFNOSUPPORT => SendObstacle.NoFamily,
            _ => SendObstacle.None,
        };
    }

    /// <summary>
    /// Sends one datagram that nobody may cut in pieces. That can only be said for the socket: a datagram that another thread
    /// sends meanwhile is sent so too, which does no harm but to one that is longer than the path, and of those there are none
    /// once the path is known.
    /// </summary>
    /// <returns>False when it is too long for this machine's own network.</returns>
    public bool TrySendWhole(LinuxUdpSocket socket, ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        socket.SetFragments(path.Endpoint.IsIPv4, allowed: false);
        int error = SendOne(socket, datagram, path);
        socket.SetFragments(path.Endpoint.IsIPv4, allowed: true);
        if (error is not (0 or LibC.EMSGSIZE))
            AddErrors(1);
        return error != LibC.EMSGSIZE;
    }

    /// <summary>
    /// Returns the errno; 0 when it was sent. The control loop must not wait, and what it sends is too little to wait behind data: a full
    /// buffer is made longer for the length of one call.
    /// </summary>
    private int SendOne(LinuxUdpSocket socket, ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        int error = SendNow(socket.Handle, datagram, path);
        if (error != LibC.EAGAIN || !socket.Lengthen(SendQueueLimit.First))
            return error;
        error = SendNow(socket.Handle, datagram, path);
        socket.Shorten();
        return error;
    }

    private int SendNow(SafeHandle socket, ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        byte* name = stackalloc byte[SocketAddressCodec.MaximumLength];
        int nameLength = SocketAddressCodec.Write(path.Endpoint, supportsIPv6, new Span<byte>(name, SocketAddressCodec.MaximumLength));
        if (nameLength == 0)
            return LibC.EAFNOSUPPORT;
        fixed (byte* data = datagram)
        {
            var vector = new LibC.IoVector { Base = data, Length = (nuint)datagram.Length };
            byte* control = stackalloc byte[PacketInfoControl.Size];
            var message = default(LibC.MultiMessageHeader);
            message.Header = new LibC.MessageHeader { Name = name, NameLength = (uint)nameLength, Vectors = &vector, VectorCount = 1 };
            UInt128 address = asked[path.Asked];
            if (address != UInt128.Zero)
            {
                message.Header.Control = control;
                message.Header.ControlLength = (nuint)PacketInfoControl.Write(address, supportsIPv6, control);
            }

            while (LibC.SendMessages(socket, &message, 1, LibC.MSG_NOSIGNAL | LibC.MSG_DONTWAIT) != 1)
            {
                int error = LibC.LastError;
                if (error == LibC.EINTR)
                    continue;
                if (message.Header.ControlLength == 0 || !MayBeOfAddress(error))
                    return error;
                message.Header.ControlLength = 0;
            }

            return 0;
        }
    }

    /// <summary>
    /// True for what the system says when a datagram cannot leave from an address, as that is gone for instance: then it
    /// leaves from another.
    /// </summary>
    private static bool MayBeOfAddress(int error) => error is not (LibC.EAGAIN or LibC.EMSGSIZE);

    /// <summary>
    /// Sends slots that all leave from this socket, until its buffer is full. A slot that was sent in part is shortened to
    /// what is left of it.
    /// </summary>
    /// <param name="socket">The socket.</param>
    /// <param name="batch">Where they are; all leave from the same address too.</param>
    /// <param name="first">The first of them.</param>
    /// <param name="end">The one behind the last of them.</param>
    /// <returns>The slot to go on with once there is room; <paramref name="end"/> when nothing is left.</returns>
    [SkipLocalsInit]
    public int Send(SafeHandle socket, PacketBatch batch, int first, int end)
    {
        var headers = stackalloc LibC.MultiMessageHeader[MaximumMessages];
        var vectors = stackalloc LibC.IoVector[MaximumMessages];
        byte* controls = stackalloc byte[MaximumMessages * ControlSize];
        UInt128 address = first < end ? asked[batch[first].Path.Asked] : UInt128.Zero;
        byte* names = stackalloc byte[MaximumMessages * SocketAddressCodec.MaximumLength];
        int* slots = stackalloc int[MaximumMessages];
        int prepared = 0;
        int sent;
        for (int i = first; i < end; i++)
        {
            ref PacketSlot slot = ref batch[i];
            bool isTrain = slot.SegmentSize != 0 && slot.Length > slot.SegmentSize;
            int step = isTrain && !_segments ? slot.SegmentSize : slot.Length;
            byte* data = DataOf(batch, i);
            for (int start = 0; start < slot.Length; start += step)
            {
                if (prepared == MaximumMessages)
                {
                    sent = SendPrepared(socket, headers, prepared);
                    if (sent < prepared)
                        return GoOnWith(batch, slots[sent], vectors[sent]);
                    prepared = 0;
                }

                byte* name = names + (prepared * SocketAddressCodec.MaximumLength);
                int nameLength = SocketAddressCodec.Write(
                    slot.Path.Endpoint, supportsIPv6, new Span<byte>(name, SocketAddressCodec.MaximumLength));
                if (nameLength == 0)
                {
                    AddErrors(1);
                    slot.Length = 0;
                    break;
                }

                vectors[prepared] = new LibC.IoVector { Base = data + start, Length = (nuint)Math.Min(step, slot.Length - start) };
                ref LibC.MessageHeader header = ref headers[prepared].Header;
                header = new LibC.MessageHeader
                {
                    Name = name,
                    NameLength = (uint)nameLength,
                    Vectors = vectors + prepared,
                    VectorCount = 1,
                };
                byte* control = controls + (prepared * ControlSize);
                int length = address == UInt128.Zero ? 0 : PacketInfoControl.Write(address, supportsIPv6, control);
                if (step > slot.SegmentSize && isTrain)
                {
                    var segment = (LibC.SegmentControl*)(control + length);
                    *segment = new LibC.SegmentControl
                    {
                        Length = LibC.SegmentControl.LengthWith(sizeof(ushort)),
                        Level = LibC.SOL_UDP,
                        Type = LibC.UDP_SEGMENT,
                    };
                    *(ushort*)&segment->Value = (ushort)slot.SegmentSize;
                    length += sizeof(LibC.SegmentControl);
                }

                header.Control = control;
                header.ControlLength = (nuint)length;

                slots[prepared++] = i;
            }
        }

        sent = SendPrepared(socket, headers, prepared);
        GC.KeepAlive(batch);
        return sent < prepared ? GoOnWith(batch, slots[sent], vectors[sent]) : end;
    }

    /// <summary>The slot that the first message not sent belongs to, without what of it was sent.</summary>
    private static int GoOnWith(PacketBatch batch, int index, LibC.IoVector message)
    {
        ref PacketSlot slot = ref batch[index];
        int sent = (int)((byte*)message.Base - DataOf(batch, index));
        slot.Start += sent;
        slot.Length -= sent;
        return index;
    }

    // The batch's memory is pinned for its whole life.
    private static byte* DataOf(PacketBatch batch, int index) =>
        (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(batch.Packet(index)));

    /// <summary>How many of the messages are done with; less than all when the buffer is full.</summary>
    private int SendPrepared(SafeHandle socket, LibC.MultiMessageHeader* headers, int count)
    {
        int done = 0;
        while (done < count)
        {
            int sent = LibC.SendMessages(socket, headers + done, (uint)(count - done), LibC.MSG_NOSIGNAL | LibC.MSG_DONTWAIT);
            if (sent > 0)
            {
                done += sent;
                continue;
            }

            int error = LibC.LastError;
            if (error == LibC.EINTR)
                continue;
            if (error == LibC.EAGAIN)
                return done;
            // The error belongs to the first message that was not sent: it goes in pieces, or from another address, or is left out.
            ref LibC.MessageHeader header = ref headers[done].Header;
            LibC.SegmentControl* segment = SegmentOf(header);
            if (segment != null)
            {
                SendApart(socket, header, segment, error);
            }
            else if (header.ControlLength != 0 && MayBeOfAddress(error))
            {
                header.ControlLength = 0;
                continue;
            }
            else
            {
                AddErrors(1);
            }

            done++;
        }

        return done;
    }

    /// <summary>The control message that makes a train of it; null when it is none.</summary>
    private static LibC.SegmentControl* SegmentOf(in LibC.MessageHeader header)
    {
        if (header.ControlLength == 0)
            return null;
        var first = (LibC.SegmentControl*)header.Control;
        if (first->Level == LibC.SOL_UDP)
            return first;
        int length = PacketInfoControl.Align((int)first->Length);
        return header.ControlLength > (nuint)length ? (LibC.SegmentControl*)((byte*)first + length) : null;
    }

    /// <summary>Sends the datagrams of a train that was refused one by one.</summary>
    [SkipLocalsInit]
    private void SendApart(SafeHandle socket, in LibC.MessageHeader train, LibC.SegmentControl* segment, int error)
    {
        // EIO: a network card that computes no checksums, and so it will be with the next train. Else (EINVAL, EMSGSIZE) the datagrams are
        // too long for this one route, which may be fragmented one by one.
        if (error == LibC.EIO)
            _segments = false;
        int size = *(ushort*)&segment->Value;
        byte* data = (byte*)train.Vectors[0].Base;
        int length = (int)train.Vectors[0].Length;
        var headers = stackalloc LibC.MultiMessageHeader[MaximumMessages];
        var vectors = stackalloc LibC.IoVector[MaximumMessages];
        int prepared = 0;
        for (int start = 0; start < length; start += size)
        {
            vectors[prepared] = new LibC.IoVector { Base = data + start, Length = (nuint)Math.Min(size, length - start) };
            headers[prepared].Header = train with
            {
                Vectors = vectors + prepared,
                ControlLength = (nuint)((byte*)segment - (byte*)train.Control),
            };
            if (++prepared == MaximumMessages || start + size >= length)
            {
                AddErrors(prepared - SendPrepared(socket, headers, prepared));
                prepared = 0;
            }
        }
    }
}
