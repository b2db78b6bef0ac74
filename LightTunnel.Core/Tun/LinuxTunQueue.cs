using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Tun;

/// <summary>
/// One descriptor of a <see cref="LinuxTun"/>. With offloads, a virtio header stands before each packet: what is read may be a
/// super-packet, and neighbours that are written are merged into one.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class LinuxTunQueue : IDisposable
{
    /// <summary>Most packets that are merged: one vector each, and the kernel takes 1024 (UIO_MAXIOV).</summary>
    private const int MaximumVectors = 512;

    private readonly CloseSignal _closed;
    private readonly bool _hasHeader;
    private readonly PacketCoalescer? _coalescer;
    private SafeFileHandle[] _all;
    private bool _drained;
    private long _writeErrors;

    /// <param name="handle">The descriptor, attached and non-blocking; owned by this object.</param>
    /// <param name="closed">Ends waiting; not owned.</param>
    /// <param name="offloads">What was agreed on with the kernel.</param>
    public LinuxTunQueue(SafeFileHandle handle, CloseSignal closed, Offloads offloads)
    {
        Handle = handle;
        _all = [handle];
        _closed = closed;
        _hasHeader = offloads != Offloads.None;
        if (_hasHeader)
            _coalescer = new PacketCoalescer(MaximumVectors) { MergesUdp = offloads.HasFlag(Offloads.TunUdp) };
    }

    /// <summary>The descriptor.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>
    /// Tells of all queues of the interface, this one included. The kernel reads a flow's packets to the queue by which packets of the
    /// other direction came in last, so what is received by one thread, as everything of one peer may be, must come in by all queues, or
    /// one thread has to send all answers. A flow always comes in by the same one.
    /// </summary>
    public void SpreadOver(SafeFileHandle[] queues) => _all = queues;

    /// <summary>Packets that the system refused to take.</summary>
    public long WriteErrors => Interlocked.Read(ref _writeErrors);

    /// <summary>See <see cref="ITunDevice.Read"/>.</summary>
    public bool Read(PacketBatch batch)
    {
        batch.Clear();
        bool held = false;
        try
        {
            Handle.DangerousAddRef(ref held);
            int descriptor = (int)Handle.DangerousGetHandle();
            while (!_closed.IsSet)
            {
                // After a read that found nothing there is most likely nothing yet: ask poll first, which also waits.
                if (_drained && !_closed.WaitReadable(descriptor))
                    return false;
                if (!ReadWaiting(descriptor, batch))
                    return batch.Count > 0;
                if (batch.Count > 0)
                    return true;
            }

            return false;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (held)
                Handle.DangerousRelease();
        }
    }

    /// <summary>See <see cref="IPollable.TryTake"/>.</summary>
    public bool TryTake(PacketBatch batch)
    {
        batch.Clear();
        bool held = false;
        try
        {
            Handle.DangerousAddRef(ref held);
            return !_closed.IsSet && (ReadWaiting((int)Handle.DangerousGetHandle(), batch) || batch.Count > 0);
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (held)
                Handle.DangerousRelease();
        }
    }

    /// <summary>See <see cref="IPollable.ExpectsMore"/>.</summary>
    public bool ExpectsMore => !_drained;

    /// <summary>See <see cref="ITunDevice.Write(PacketBatch, int)"/>.</summary>
    public void Write(PacketBatch batch)
    {
        if (_coalescer is not null)
            WriteMerged(batch, _coalescer);
        else
            WriteEach(batch);
        GC.KeepAlive(batch);
    }

    /// <summary>See <see cref="ITunDevice.Write(ReadOnlySpan{byte})"/>.</summary>
    public void Write(ReadOnlySpan<byte> packet)
    {
        byte* header = stackalloc byte[VirtioNetHeader.Size];
        fixed (byte* data = packet)
        {
            var vectors = stackalloc LibC.IoVector[2];
            vectors[0] = new LibC.IoVector { Base = header, Length = VirtioNetHeader.Size };
            vectors[1] = new LibC.IoVector { Base = data, Length = (nuint)packet.Length };
            if (_hasHeader)
                WriteVector(QueueOf(packet), vectors, 2);
            else
                WriteVector(QueueOf(packet), vectors + 1, 1);
        }
    }

    /// <summary>Closes the descriptor as soon as no thread is inside a call any more.</summary>
    public void Dispose() => Handle.Dispose();

    /// <summary>Reads without waiting until nothing is left or the batch is full; false when the interface is gone.</summary>
    private bool ReadWaiting(int descriptor, PacketBatch batch)
    {
        int headerLength = _hasHeader ? VirtioNetHeader.Size : 0;
        _drained = false;
        while (!batch.IsFull)
        {
            byte* place = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(batch.NextFree()));
            nint length = LibC.Read(descriptor, place - headerLength, (nuint)(batch.MaxPacketLength + headerLength));
            if (length > headerLength)
            {
                Take(batch, (int)length - headerLength);
                continue;
            }

            int error = LibC.LastError;
            if (length < 0 && error == LibC.EINTR)
                continue;
            if (length >= 0 || error != LibC.EAGAIN)
                return false; // EBADFD: somebody deleted the interface.
            _drained = true;
            break;
        }

        return true;
    }

    /// <summary>Adds the packet that was just read. What cannot be made sense of is left out: the kernel sends no such thing.</summary>
    private void Take(PacketBatch batch, int length)
    {
        ref PacketSlot slot = ref batch.Commit(length);
        if (!_hasHeader)
            return;
        int index = batch.Count - 1;
        if (!VirtioNetHeader.TryRead(batch.Before(index, VirtioNetHeader.Size), out PacketOffload offload))
            slot.Length = 0;
        else if (offload.Kind != SegmentationKind.None)
            slot.Offload = offload;
        else if (!PacketChecksums.TryComplete(batch.Packet(index), offload))
            slot.Length = 0;
    }

    private void WriteEach(PacketBatch batch)
    {
        LibC.IoVector vector = default;
        for (int i = 0; i < batch.Count; i++)
        {
            if (batch[i].Length == 0)
                continue;
            vector = VectorOf(batch.Packet(i));
            WriteVector(QueueOf(batch.Packet(i)), &vector, 1);
        }
    }

    [SkipLocalsInit]
    private void WriteMerged(PacketBatch batch, PacketCoalescer coalescer)
    {
        var vectors = stackalloc LibC.IoVector[MaximumVectors];
        coalescer.Run(batch);
        for (int group = 0; group < coalescer.GroupCount; group++)
        {
            (int head, _, int headerLength) = coalescer[group];
            vectors[0] = VectorOf(batch.Packet(head));
            vectors[0].Base = (byte*)vectors[0].Base - VirtioNetHeader.Size;
            vectors[0].Length += VirtioNetHeader.Size;
            int count = 1;
            for (int slot = coalescer.Next(head); slot >= 0; slot = coalescer.Next(slot))
                vectors[count++] = VectorOf(batch.Packet(slot)[headerLength..]);
            WriteVector(QueueOf(batch.Packet(head)), vectors, count);
        }
    }

    // The batch's memory is pinned for its whole life.
    private static LibC.IoVector VectorOf(Span<byte> bytes) =>
        new() { Base = Unsafe.AsPointer(ref MemoryMarshal.GetReference(bytes)), Length = (nuint)bytes.Length };

    private SafeFileHandle QueueOf(ReadOnlySpan<byte> packet) => _all.Length == 1 ? Handle : _all[FlowHash.QueueOf(packet, _all.Length)];

    private void WriteVector(SafeFileHandle queue, LibC.IoVector* vectors, int count)
    {
        nint written;
        try
        {
            do
            {
                written = LibC.WriteVector(queue, vectors, count);
            }
            while (written < 0 && LibC.LastError == LibC.EINTR);
        }
        catch (ObjectDisposedException)
        {
            written = -1; // Closed meanwhile.
        }

        // EINVAL: no IP packet; EIO: the interface is down.
        if (written < 0)
            Interlocked.Increment(ref _writeErrors);
    }
}
