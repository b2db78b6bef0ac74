using System.Runtime.CompilerServices;
using LightTunnel.Transport;

namespace LightTunnel.Packets;

/// <summary>One packet of a <see cref="PacketBatch"/>: where it lies in the batch's memory and where it goes to or came from.</summary>
internal struct PacketSlot
{
    /// <summary>Offset of the packet's first byte from the start of the slot's memory.</summary>
    public int Start;

    /// <summary>Bytes of the packet; 0 means "skip this slot".</summary>
    public int Length;

    /// <summary>UDP sender after a receive, destination before a send; unused towards the TUN device.</summary>
    public UdpEndpoint Endpoint;

    /// <summary>The local socket that the packet came to or leaves from, 0 for the node's own; unused towards the TUN device.</summary>
    public int Socket;
}

/// <summary>
/// A fixed set of packet buffers that one data thread reads into, works on in place and writes from. Each slot has room before and after
/// the packet, so that headers and tags are added and removed without a copy. Allocated once, pinned, owned by one thread.
/// </summary>
internal sealed class PacketBatch
{
    /// <summary>Bytes free before a packet that was just read: a relay header (12) and a transport header (16) fit.</summary>
    public const int Headroom = 64;

    /// <summary>Bytes free after the longest packet: padding (15) and the tag (16) fit.</summary>
    public const int Tailroom = 64;

    private readonly byte[] _memory;
    private readonly PacketSlot[] _slots;
    private readonly int _stride;

    /// <param name="capacity">Number of slots.</param>
    /// <param name="maxPacketLength">Longest packet that a slot must take, bytes.</param>
    public PacketBatch(int capacity, int maxPacketLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxPacketLength);
        MaxPacketLength = maxPacketLength;
        _stride = (Headroom + maxPacketLength + Tailroom + 63) & ~63;
        _memory = GC.AllocateArray<byte>(_stride * capacity, pinned: true);
        _slots = new PacketSlot[capacity];
    }

    /// <summary>Number of slots.</summary>
    public int Capacity => _slots.Length;

    /// <summary>Slots in use, from the first.</summary>
    public int Count { get; private set; }

    /// <summary>Longest packet that a slot takes, bytes.</summary>
    public int MaxPacketLength { get; }

    /// <summary>The slot's place and length, to be read and changed.</summary>
    public ref PacketSlot this[int index] => ref _slots[index];

    /// <summary>The packet in the slot.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> Packet(int index)
    {
        ref PacketSlot slot = ref _slots[index];
        return _memory.AsSpan((index * _stride) + slot.Start, slot.Length);
    }

    /// <summary>The bytes right before the packet in the slot, for a header that goes with it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> Before(int index, int length) => _memory.AsSpan((index * _stride) + _slots[index].Start - length, length);

    /// <summary>All of the slot's memory, head and tail room included; <see cref="PacketSlot.Start"/> counts from its first byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> Memory(int index) => _memory.AsSpan(index * _stride, _stride);

    /// <summary>Forgets all packets.</summary>
    public void Clear() => Count = 0;

    /// <summary>The memory for the next packet, head room already skipped; follow with <see cref="Commit"/>.</summary>
    public Span<byte> NextFree() => _memory.AsSpan((Count * _stride) + Headroom, MaxPacketLength);

    /// <summary>True when there is no free slot.</summary>
    public bool IsFull => Count == _slots.Length;

    /// <summary>Takes what was just written to <see cref="NextFree"/> as the next packet.</summary>
    public void Commit(int length, in UdpEndpoint endpoint = default, int socket = 0)
    {
        ref PacketSlot slot = ref _slots[Count++];
        slot.Start = Headroom;
        slot.Length = length;
        slot.Endpoint = endpoint;
        slot.Socket = socket;
    }

    /// <summary>Copies a packet in as the next one; false when the batch is full or the packet too long.</summary>
    public bool TryAdd(ReadOnlySpan<byte> packet, in UdpEndpoint endpoint = default, int socket = 0)
    {
        if (IsFull || packet.Length > MaxPacketLength)
            return false;
        packet.CopyTo(NextFree());
        Commit(packet.Length, endpoint, socket);
        return true;
    }
}
