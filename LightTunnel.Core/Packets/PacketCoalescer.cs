using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LightTunnel.Packets;

/// <summary>Packets that go to the system as one.</summary>
/// <param name="Head">Slot of the first packet, written whole, on Linux with the <see cref="VirtioNetHeader"/> before it.</param>
/// <param name="Segments">Number of packets. Those after the first are reached by <see cref="PacketCoalescer.Next"/>.</param>
/// <param name="HeaderLength">Bytes to leave out at the start of each packet after the first.</param>
internal readonly record struct PacketGroup(int Head, int Segments, int HeaderLength);

/// <summary>
/// Merges the TCP segments and UDP datagrams of a batch into super-packets, so that the system takes each as one. Nothing is copied: the
/// packets stay in their slots and are written one behind the other. The system would cut a super-packet into the very packets that
/// it was made of, but for the IPv4 identification of packets that are never fragmented, which has no meaning (RFC 6864 section 4.1).
/// Packets of one flow keep their order. Belongs to one thread; nothing is kept from one batch to the next.
/// </summary>
/// <param name="capacity">Slots of the largest batch.</param>
internal sealed class PacketCoalescer(int capacity)
{
    // Linux takes no UDP super-packet of more segments.
    private const int MaximumDatagrams = 64;
    private const int LongestPacket = ushort.MaxValue;
    private const int MaximumOpen = 8;
    private const uint PshInFlagsAndWindow = (uint)TransportHeader.Psh << 16;

    private readonly int[] _next = new int[capacity];
    private readonly Group[] _groups = new Group[capacity];

    // Groups that may still grow, the last used first. At most one of a flow.
    private readonly int[] _open = new int[MaximumOpen];
    private int _openCount;

    /// <summary>False leaves UDP datagrams alone: for systems that take no UDP super-packets (Linux before 6.2).</summary>
    public bool MergesUdp { get; init; } = true;

    /// <summary>Number of groups that <see cref="Run"/> made, in the order of their first packets.</summary>
    public int GroupCount { get; private set; }

    /// <summary>The group with this number.</summary>
    public PacketGroup this[int group]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            ref Group made = ref _groups[group];
            return new PacketGroup(made.Head, made.Segments, made.Header.MergeableLength);
        }
    }

    /// <summary>The slot that follows in the same group, or -1 behind the last.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Next(int slot) => _next[slot];

    /// <summary>
    /// Puts all packets of the batch into groups. The first packet of a group of several gets the lengths and the flags of the super-packet
    /// and the pseudo header's sum as its checksum; before each group's first packet its <see cref="VirtioNetHeader"/> is written.
    /// </summary>
    /// <param name="packets">Packets with at least <see cref="VirtioNetHeader.Size"/> free bytes before each.</param>
    public void Run(PacketBatch packets)
    {
        FindGroups(packets);
        for (int i = 0; i < GroupCount; i++)
            Finish(packets, in _groups[i]);
    }

    /// <summary>
    /// The same without a change to any packet: for a device that makes a packet of its own of a group (<see cref="MergedSegments"/>).
    /// </summary>
    public void FindGroups(PacketBatch packets)
    {
        GroupCount = 0;
        _openCount = 0;
        for (int slot = 0; slot < packets.Count; slot++)
        {
            if (packets[slot].Length != 0)
                Place(packets, slot);
        }
    }

    private void Place(PacketBatch packets, int slot)
    {
        ReadOnlySpan<byte> packet = packets.Packet(slot);
        TransportHeader.Read(packet, out TransportHeader header);
        _next[slot] = -1;
        if (header.Flow == FlowVisibility.Hidden)
            _openCount = 0; // It must not be overtaken, whichever flow it belongs to.
        if (header.Flow != FlowVisibility.Visible || (header.Protocol == IpPacket.ProtocolUdp && !MergesUdp))
        {
            Begin(slot, packet.Length, header);
            return;
        }

        int place = FindOpen(packets, packet, header);
        bool isAppended = place >= 0 && TryAppend(packets, slot, packet, header, ref _groups[_open[place]]);
        int group = isAppended ? _open[place] : Begin(slot, packet.Length, header);
        if (isAppended && place == 0 && _groups[group].CanGrow)
            return; // As in a long train of one flow: it is open, and in front already.
        if (place >= 0)
            Close(place);
        if (_groups[group].CanGrow)
            Open(group);
    }

    private int Begin(int slot, int length, in TransportHeader header)
    {
        _groups[GroupCount] = new Group
        {
            Header = header,
            Head = slot,
            Tail = slot,
            Segments = 1,
            Length = length,
            SegmentSize = length - header.MergeableLength,
            CanGrow = header.MergeableLength != 0 && !header.IsPushed,
        };
        return GroupCount++;
    }

    private int FindOpen(PacketBatch packets, ReadOnlySpan<byte> packet, in TransportHeader header)
    {
        for (int place = 0; place < _openCount; place++)
        {
            ref Group group = ref _groups[_open[place]];
            bool isSameKind = group.Header.IpLength == header.IpLength && group.Header.Protocol == header.Protocol;
            if (isSameKind && IsSameFlow(packets.Packet(group.Head), packet, header.IpLength))
                return place;
        }

        return -1;
    }

    private void Open(int group)
    {
        if (_openCount < MaximumOpen)
            _openCount++;
        _open.AsSpan(0, _openCount - 1).CopyTo(_open.AsSpan(1));
        _open[0] = group;
    }

    private void Close(int place)
    {
        _openCount--;
        _open.AsSpan(place + 1, _openCount - place).CopyTo(_open.AsSpan(place));
    }

    private bool TryAppend(PacketBatch packets, int slot, ReadOnlySpan<byte> packet, in TransportHeader header, ref Group group)
    {
        ReadOnlySpan<byte> head = packets.Packet(group.Head);
        int size = packet.Length - header.MergeableLength;
        bool fits = header.MergeableLength == group.Header.MergeableLength && size <= group.SegmentSize
            && group.Length + size <= LongestPacket;
        if (!fits || !IsNext(head, packet, group))
            return false;
        // A super-packet's checksum is taken as verified, so damage must not get into one. The first is looked at when a second one comes.
        if (group.Segments == 1 && !PacketChecksums.AreValid(head, header.IpLength, header.Protocol))
            return false;
        if (!PacketChecksums.AreValid(packet, header.IpLength, header.Protocol))
            return false;

        _next[group.Tail] = slot;
        group.Tail = slot;
        group.Segments++;
        group.Length += size;
        group.IsPushed = header.IsPushed;
        // The segment size says where to cut, so only the last may be shorter.
        group.CanGrow = size == group.SegmentSize && !header.IsPushed
            && (header.Protocol == IpPacket.ProtocolTcp || group.Segments < MaximumDatagrams);
        return true;
    }

    // Addresses and, right behind them, ports.
    private static bool IsSameFlow(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, int ipLength) =>
        ipLength == IpPacket.IPv4HeaderLength
            ? AreEqual<ulong>(first, second, 12) && AreEqual<uint>(first, second, 20)
            : AreEqual<UInt128>(first, second, 8) && AreEqual<UInt128>(first, second, 24) && AreEqual<uint>(first, second, 40);

    /// <summary>True when the headers are what those of the group's next segment would be.</summary>
    private static bool IsNext(ReadOnlySpan<byte> head, ReadOnlySpan<byte> packet, in Group group)
    {
        int ipLength = group.Header.IpLength;
        if (ipLength == IpPacket.IPv4HeaderLength)
        {
            // Version and TOS, then fragment flags, TTL and protocol.
            if (!AreEqual<ushort>(head, packet, 0) || !AreEqual<uint>(head, packet, 6))
                return false;
            bool mayBeFragmented = (packet[6] & 0x40) == 0;
            int id = BinaryPrimitives.ReadUInt16BigEndian(head[4..]) + group.Segments;
            if (mayBeFragmented && BinaryPrimitives.ReadUInt16BigEndian(packet[4..]) != (ushort)id)
                return false;
        }
        else if (!AreEqual<uint>(head, packet, 0) || !AreEqual<ushort>(head, packet, 6))
        {
            return false; // Version, traffic class and flow label, then next header and hop limit.
        }

        return group.Header.Protocol == IpPacket.ProtocolUdp || IsNextTcp(head[ipLength..], packet[ipLength..], group);
    }

    private static bool IsNextTcp(ReadOnlySpan<byte> head, ReadOnlySpan<byte> next, in Group group)
    {
        uint sequence = BinaryPrimitives.ReadUInt32BigEndian(head[4..]) + (uint)(group.Length - group.Header.MergeableLength);
        uint flagsAndWindow = BinaryPrimitives.ReadUInt32BigEndian(head[TransportHeader.TcpFlags..])
            ^ BinaryPrimitives.ReadUInt32BigEndian(next[TransportHeader.TcpFlags..]);
        if (BinaryPrimitives.ReadUInt32BigEndian(next[4..]) != sequence || (flagsAndWindow & ~PshInFlagsAndWindow) != 0)
            return false;
        // The acknowledgment number; the urgent pointer and the options.
        Range rest = 18..(group.Header.MergeableLength - group.Header.IpLength);
        return AreEqual<uint>(head, next, 8) && head[rest].SequenceEqual(next[rest]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool AreEqual<T>(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, int start)
        where T : unmanaged, IEquatable<T> =>
        MemoryMarshal.Read<T>(first[start..]).Equals(MemoryMarshal.Read<T>(second[start..]));

    private static void Finish(PacketBatch packets, in Group group)
    {
        Span<byte> virtioHeader = packets.Before(group.Head, VirtioNetHeader.Size);
        if (group.Segments == 1)
        {
            VirtioNetHeader.Write(virtioHeader, default);
            return;
        }

        Span<byte> head = packets.Packet(group.Head);
        int ipLength = group.Header.IpLength;
        ushort upperLength = (ushort)(group.Length - ipLength);
        bool isIPv4 = ipLength == IpPacket.IPv4HeaderLength, isTcp = group.Header.Protocol == IpPacket.ProtocolTcp;
        if (isIPv4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(head[2..], (ushort)group.Length);
            head[10..12].Clear();
            BinaryPrimitives.WriteUInt16BigEndian(head[10..], InternetChecksum.Compute(head[..ipLength]));
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(head[4..], upperLength);
        }

        Span<byte> upper = head[ipLength..];
        if (!isTcp)
            BinaryPrimitives.WriteUInt16BigEndian(upper[4..], upperLength);
        else if (group.IsPushed)
            upper[13] |= (byte)TransportHeader.Psh;
        int field = isTcp ? PacketChecksums.TcpField : PacketChecksums.UdpField;
        uint pseudoHeader = PacketChecksums.PseudoHeaderSum(head, ipLength, group.Header.Protocol, upperLength);
        BinaryPrimitives.WriteUInt16BigEndian(upper[field..], (ushort)InternetChecksum.Fold(pseudoHeader));
        VirtioNetHeader.Write(virtioHeader, new PacketOffload
        {
            Kind = !isTcp ? SegmentationKind.Udp : isIPv4 ? SegmentationKind.TcpIPv4 : SegmentationKind.TcpIPv6,
            NeedsChecksum = true,
            SegmentSize = (ushort)group.SegmentSize,
            ChecksumStart = (ushort)ipLength,
            ChecksumOffset = (ushort)field,
            HeaderLength = (ushort)group.Header.MergeableLength,
        });
    }

    /// <summary>What is known of a group while it is made.</summary>
    private struct Group
    {
        /// <summary>The headers of the first packet.</summary>
        public TransportHeader Header;

        /// <summary>Slots of the first and of the last packet.</summary>
        public int Head, Tail;

        /// <summary>Number of packets.</summary>
        public int Segments;

        /// <summary>Bytes of the super-packet so far: the headers once, all payloads.</summary>
        public int Length;

        /// <summary>Payload bytes of the first packet, and of all but the last.</summary>
        public int SegmentSize;

        /// <summary>True when the last packet had the PSH flag.</summary>
        public bool IsPushed;

        /// <summary>True while a further packet may follow.</summary>
        public bool CanGrow;
    }
}
