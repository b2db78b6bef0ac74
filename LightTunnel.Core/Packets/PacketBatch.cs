using System.Runtime.CompilerServices;
using LightTunnel.Addressing;

namespace LightTunnel.Packets;

/// <summary>
/// One packet of a <see cref="PacketBatch"/>, or a train of datagrams: where it lies in the batch's memory and where it goes
/// to or came from.
/// </summary>
internal struct PacketSlot
{
    /// <summary>Offset of the first byte from the start of the batch's memory.</summary>
    public int Start;

    /// <summary>Bytes of the packet, or of all datagrams of the train; 0 means "skip this slot".</summary>
    public int Length;

    /// <summary>
    /// 0 for one packet. Otherwise the slot holds a train: datagrams of this many bytes one behind the other, of which the last
    /// may be shorter.
    /// </summary>
    public int SegmentSize;

    /// <summary>What is left to do for an IP packet that the system sent: it may stand for many. Unused for datagrams.</summary>
    public PacketOffload Offload;

    /// <summary>Whence the datagram came after a receive, where it goes before a send; unused towards the TUN device.</summary>
    public PathHandle Path;
}

/// <summary>
/// Packets in one piece of memory that one data thread reads into, works on and writes from. Each has room before and behind it, so that
/// headers are added and removed without a copy. Allocated once, pinned, owned by one thread.
/// </summary>
internal sealed class PacketBatch
{
    /// <summary>
    /// Bytes free before a packet that was just read: a relay header (12), a transport header (16) or a virtio header (10) fits.
    /// </summary>
    public const int Headroom = 64;

    /// <summary>Bytes free after the longest packet: padding (15) and the longest tag (32) fit.</summary>
    public const int Tailroom = 64;

    /// <summary>Most datagrams of a train: what Linux takes in one message (UDP_MAX_SEGMENTS of kernels before 6.9).</summary>
    public const int MaximumSegments = 64;

    /// <summary>Most bytes of a train: the payload of the longest UDP datagram over IPv4.</summary>
    public const int MaximumTrainLength = 65507;

    /// <summary>Most bytes of a train that is received: as much as one IPv6 packet may hold.</summary>
    public const int LongestReceived = 65535;

    private readonly byte[] _memory;
    private readonly PacketSlot[] _slots;
    private readonly int _stride;
    private int _used;

    /// <param name="capacity">Number of slots.</param>
    /// <param name="maxPacketLength">Longest packet that a slot must take, bytes.</param>
    public PacketBatch(int capacity, int maxPacketLength)
        : this(capacity, maxPacketLength, capacity)
    {
    }

    /// <param name="capacity">Number of slots.</param>
    /// <param name="maxPacketLength">Longest packet that a slot must take, bytes.</param>
    /// <param name="longestPackets">How many of the longest packets there is memory for; shorter ones take less.</param>
    public PacketBatch(int capacity, int maxPacketLength, int longestPackets)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxPacketLength);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(longestPackets);
        MaxPacketLength = maxPacketLength;
        _stride = Align(Headroom + maxPacketLength + Tailroom);
        // Not cleared: pages that are never used never become resident.
        _memory = GC.AllocateUninitializedArray<byte>(_stride * longestPackets, pinned: true);
        _slots = new PacketSlot[capacity];
    }

    private PacketBatch(PacketBatch shared, int capacity)
    {
        MaxPacketLength = shared.MaxPacketLength;
        _stride = shared._stride;
        _memory = shared._memory;
        _used = _memory.Length; // Nothing is free here: slots are added by AddView alone.
        _slots = new PacketSlot[capacity];
        IsView = true;
    }

    /// <summary>Number of slots.</summary>
    public int Capacity => _slots.Length;

    /// <summary>Slots in use, from the first.</summary>
    public int Count { get; private set; }

    /// <summary>Datagrams that were left out of what was received, as the queue that they waited in filled up.</summary>
    public int LeftOut { get; set; }

    /// <summary>Longest packet that a slot takes, bytes.</summary>
    public int MaxPacketLength { get; }

    /// <summary>True for what <see cref="CreateView"/> made.</summary>
    public bool IsView { get; }

    /// <summary>The slot's place and length, to be read and changed.</summary>
    public ref PacketSlot this[int index] => ref _slots[index];

    /// <summary>True when there is no free slot, or no room for the longest packet.</summary>
    public bool IsFull => Count == _slots.Length || _memory.Length - _used < _stride;

    /// <summary>How many of the longest packets still fit.</summary>
    public int FreePlaces => Math.Min(_slots.Length - Count, (_memory.Length - _used) / _stride);

    /// <summary>The packet in the slot, or the whole train.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> Packet(int index)
    {
        ref PacketSlot slot = ref _slots[index];
        return _memory.AsSpan(slot.Start, slot.Length);
    }

    /// <summary>The bytes right before the packet, which belong to it while they are head room.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> Before(int index, int length) => _memory.AsSpan(_slots[index].Start - length, length);

    /// <summary>
    /// The packet together with up to <see cref="Tailroom"/> bytes behind it, which belong to it while it has not been shortened.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> WithTail(int index, int tail)
    {
        ref PacketSlot slot = ref _slots[index];
        return _memory.AsSpan(slot.Start, slot.Length + tail);
    }

    /// <summary>The slot's datagrams one by one; a packet that is no train is its only one.</summary>
    public SegmentEnumerable Segments(int index) => new(Packet(index), _slots[index].SegmentSize);

    /// <summary>Forgets all packets.</summary>
    public void Clear()
    {
        Count = 0;
        LeftOut = 0;
        if (!IsView)
            _used = 0;
    }

    /// <summary>The memory for the next packet, head room already skipped; follow with <see cref="Commit"/>.</summary>
    public Span<byte> NextFree() => _memory.AsSpan(_used + Headroom, MaxPacketLength);

    /// <summary>
    /// The memory for the packet after <paramref name="ahead"/> others, for calls that receive several at once, and one byte more, by which
    /// a packet that is too long is known; follow with <see cref="CommitPlace"/> for each in turn.
    /// </summary>
    public Span<byte> FreePlace(int ahead) => _memory.AsSpan(_used + (ahead * _stride) + Headroom, MaxPacketLength + 1);

    /// <summary>Takes what was just written to <see cref="NextFree"/> as the next packet.</summary>
    public ref PacketSlot Commit(int length, in PathHandle path = default)
    {
        ref PacketSlot slot = ref Add(_used + Headroom, length, 0, path);
        _used += Align(Headroom + length + Tailroom);
        return ref slot;
    }

    /// <summary>Takes what was written to the first <see cref="FreePlace"/> as the next packet.</summary>
    public void CommitPlace(int length, int segmentSize, in PathHandle path)
    {
        Add(_used + Headroom, length, segmentSize, path);
        _used += _stride;
    }

    /// <summary>Copies a packet in as the next one; false when the batch is full or the packet too long.</summary>
    public bool TryAdd(ReadOnlySpan<byte> packet, in PathHandle path = default)
    {
        if (IsFull || packet.Length > MaxPacketLength)
            return false;
        packet.CopyTo(NextFree());
        Commit(packet.Length, path);
        return true;
    }

    /// <summary>
    /// True when so many datagrams that go the same way can be appended whose lengths together are at most this, and of which only the
    /// last is shorter.
    /// </summary>
    public bool HasRoomFor(int datagrams, int bytes) =>
        _memory.Length - _used >= bytes && _slots.Length - Count >= 2 + (datagrams / MaximumSegments) + (bytes / MaximumTrainLength);

    /// <summary>The memory for the next datagram to be appended, all that is free; follow with <see cref="Append"/>.</summary>
    public Span<byte> NextDatagram() => _memory.AsSpan(_used);

    /// <summary>
    /// Takes what was just written to <see cref="NextDatagram"/>: as part of the last slot's train when it goes the same way and fits, else
    /// as a slot of its own.
    /// </summary>
    public void Append(int length, in PathHandle path)
    {
        if (Count > 0 && IsContinuedBy(ref _slots[Count - 1], length, path))
            _slots[Count - 1].Length += length;
        else
            Add(_used, length, length, path);
        _used += length;
    }

    /// <summary>Where the batch ends now, for <see cref="Rewind"/>.</summary>
    public (int Count, int LastLength, int Used) Mark() => (Count, Count == 0 ? 0 : _slots[Count - 1].Length, _used);

    /// <summary>Forgets what was appended since the mark.</summary>
    public void Rewind((int Count, int LastLength, int Used) mark)
    {
        (Count, int lastLength, _used) = mark;
        if (Count > 0)
            _slots[Count - 1].Length = lastLength;
    }

    /// <summary>
    /// A batch whose packets lie in this one's memory: <see cref="AddView"/> adds them without a copy. Good until this one is cleared.
    /// </summary>
    public PacketBatch CreateView(int capacity) => new(this, capacity);

    /// <summary>Adds a packet or train that lies in the shared memory; only to a view that has a free slot.</summary>
    public void AddView(int start, int length, int segmentSize = 0, in PathHandle path = default) => Add(start, length, segmentSize, path);

    private static int Align(int length) => (length + 63) & ~63;

    private bool IsContinuedBy(ref PacketSlot last, int length, in PathHandle path) =>
        length <= last.SegmentSize && last.Length % last.SegmentSize == 0 && last.Length + length <= MaximumTrainLength
        && last.Length < MaximumSegments * last.SegmentSize
        && last.Start + last.Length == _used && last.Path == path;

    private ref PacketSlot Add(int start, int length, int segmentSize, in PathHandle path)
    {
        ref PacketSlot slot = ref _slots[Count++];
        slot.Start = start;
        slot.Length = length;
        slot.SegmentSize = segmentSize;
        slot.Offload = default;
        slot.Path = path;
        return ref slot;
    }
}

/// <summary>The datagrams of a train, in order.</summary>
internal readonly ref struct SegmentEnumerable(Span<byte> train, int segmentSize)
{
    private readonly Span<byte> _train = train;

    /// <summary>For foreach.</summary>
    public Enumerator GetEnumerator() => new(_train, segmentSize == 0 ? _train.Length : segmentSize);

    /// <summary>For foreach.</summary>
    public ref struct Enumerator(Span<byte> rest, int segmentSize)
    {
        private Span<byte> _rest = rest;

        /// <summary>The datagram.</summary>
        public Span<byte> Current { get; private set; }

        /// <summary>Moves to the next datagram.</summary>
        public bool MoveNext()
        {
            if (_rest.IsEmpty)
                return false;
            Current = _rest[..Math.Min(segmentSize, _rest.Length)];
            _rest = _rest[Current.Length..];
            return true;
        }
    }
}
