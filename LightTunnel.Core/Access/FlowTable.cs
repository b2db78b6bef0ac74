using System.Runtime.InteropServices;
using LightTunnel.Packets;
using LightTunnel.Timing;

namespace LightTunnel.Access;

/// <summary>What is known of a flow.</summary>
/// <param name="IsInbound">True when the peer began it.</param>
/// <param name="Generation">The rules that it was last held against.</param>
/// <param name="IsEnded">True when these forbid it: it is known so that it is not taken for another one.</param>
internal readonly record struct FlowState(bool IsInbound, int Generation, bool IsEnded = false);

/// <summary>
/// The flows that rules have let pass, so that their answers pass as well. Of fixed size: each flow has its place in one of many sets of a
/// few, and a new one takes the place of one that is over, then of one that was never answered (its next packet is held against the rules
/// anew), then of the one that was silent for the longest. So a flood of flows forgets flows of its own kind first, and costs no memory.
/// <para>
/// Any thread, no lock, no allocation. Each slot has a version, which is odd while somebody writes: who reads looks at it before and
/// after, and takes what changed in between for not found; who writes and finds it odd, or another than the one that he read, lets it be.
/// What is lost by that is found again with the flow's next packet.
/// </para>
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="seed">Spreads flows so that nobody can aim at a set.</param>
/// <param name="setBits">The number of sets, as a power of two.</param>
internal sealed class FlowTable(TimeProvider time, ulong seed, int setBits = FlowTable.DefaultSetBits)
{
    /// <summary>Flows of one set.</summary>
    public const int Ways = 8;

    /// <summary>65,536 flows: 4 MB.</summary>
    public const int DefaultSetBits = 13;

    // About a tenth of a second: what is noted more often only costs.
    private const int UnitShift = 20;
    private const uint TouchUnits = 4;
    private const uint Answered = 1, Inbound = 2, Ended = 4;

    private readonly Slot[] _slots = new Slot[Ways << setBits];
    private readonly Timestamp _start = time.Now() - TimeSpan.FromDays(1);

    /// <summary>Flows that had to make room for others before they were over.</summary>
    private long _displaced;

    [StructLayout(LayoutKind.Sequential, Size = 64)]
    private struct Slot
    {
        public uint Version;
        public uint LastSeen;
        public FlowKey Key;
        public uint Tag;
        public int Generation;
        public uint Flags;
    }

    /// <summary>Most flows.</summary>
    public int Capacity => _slots.Length;

    /// <summary>Flows that had to make room for others before they were over; any thread.</summary>
    public long Displaced => Volatile.Read(ref _displaced);

    /// <summary>Flows that are known and not over, for tests and people: not to be had at one moment.</summary>
    public int Count
    {
        get
        {
            uint now = UnitsAt(time.Now());
            int count = 0;
            foreach (ref readonly Slot slot in _slots.AsSpan())
            {
                if (slot.Key.What != 0 && now - slot.LastSeen <= IdleLimit(slot.Key))
                    count++;
            }

            return count;
        }
    }

    /// <summary>Finds a flow and notes that a packet of it came, unless it has ended.</summary>
    /// <param name="key">The flow.</param>
    /// <param name="isInbound">Whether the peer sent the packet.</param>
    /// <param name="now">The present.</param>
    /// <param name="state">What is known of it.</param>
    public bool TryFind(in FlowKey key, bool isInbound, Timestamp now, out FlowState state)
    {
        ulong hash = key.Hash(seed);
        uint units = UnitsAt(now);
        foreach (ref Slot slot in SetOf(hash))
        {
            uint version = Volatile.Read(ref slot.Version);
            if (slot.Tag != TagOf(hash) || (version & 1) != 0 || !slot.Key.Equals(key))
                continue;
            uint flags = slot.Flags;
            state = new FlowState((flags & Inbound) != 0, slot.Generation, (flags & Ended) != 0);
            uint idle = units - slot.LastSeen;
            Volatile.ReadBarrier();
            if (slot.Version != version)
                break;
            // Who has a clock reading that is a little older than another thread's sees a little less than nothing.
            if (idle > IdleLimit(key) && (int)idle > 0)
                break;
            if (state.IsEnded)
                return true;
            // These two may hit another flow that has just taken the place: it lives a moment longer for that, and nothing else. So the one
            // bit alone is set: the others say who began it, and whether it has ended meanwhile.
            if (idle >= TouchUnits && (int)idle > 0)
                slot.LastSeen = units;
            if (state.IsInbound != isInbound && (flags & Answered) == 0)
                Interlocked.Or(ref slot.Flags, Answered);
            return true;
        }

        state = default;
        return false;
    }

    /// <summary>Enters a flow, or enters it anew.</summary>
    public void Add(in FlowKey key, FlowState state, Timestamp now)
    {
        ulong hash = key.Hash(seed);
        uint units = UnitsAt(now);
        Span<Slot> set = SetOf(hash);
        ref Slot chosen = ref set[0];
        uint chosenVersion = 1, best = 0;
        bool isOver = false;
        foreach (ref Slot slot in set)
        {
            uint version = Volatile.Read(ref slot.Version);
            if ((version & 1) != 0)
                continue;
            bool isOwn = slot.Tag == TagOf(hash) && slot.Key.Equals(key);
            uint idle = slot.LastSeen > units ? 0 : units - slot.LastSeen;
            bool isFree = isOwn || slot.Key.What == 0 || idle > IdleLimit(slot.Key);
            uint rank = isOwn ? uint.MaxValue
                : isFree ? uint.MaxValue - 1
                : idle + ((slot.Flags & Answered) == 0 ? uint.MaxValue / 2 : 1);
            if (rank <= best)
                continue;
            (best, chosenVersion, isOver) = (rank, version, isFree);
            chosen = ref slot;
        }

        if (!TryLock(ref chosen, chosenVersion))
            return;
        if (!isOver)
            Interlocked.Increment(ref _displaced);
        chosen.Key = key;
        chosen.Tag = TagOf(hash);
        chosen.LastSeen = units;
        chosen.Generation = state.Generation;
        chosen.Flags = (state.IsInbound ? Inbound : 0) | (state.IsEnded ? Ended | Answered : 0);
        Volatile.Write(ref chosen.Version, chosenVersion + 2);
    }

    /// <summary>A flow was held against other rules, and goes on or has ended.</summary>
    public void Renew(in FlowKey key, int generation, bool isEnded = false)
    {
        ulong hash = key.Hash(seed);
        foreach (ref Slot slot in SetOf(hash))
        {
            uint version = Volatile.Read(ref slot.Version);
            if (slot.Tag != TagOf(hash) || (version & 1) != 0 || !slot.Key.Equals(key) || !TryLock(ref slot, version))
                continue;
            // It is as it was read, as the version was the same.
            slot.Generation = generation;
            slot.Flags = isEnded ? slot.Flags | Ended | Answered : slot.Flags & ~Ended;
            Volatile.Write(ref slot.Version, version + 2);
        }
    }

    private static bool TryLock(ref Slot slot, uint version) =>
        (version & 1) == 0 && Interlocked.CompareExchange(ref slot.Version, version + 1, version) == version;

    private static uint TagOf(ulong hash) => (uint)(hash >> 32);

    private Span<Slot> SetOf(ulong hash) => _slots.AsSpan((int)(hash & ((1u << setBits) - 1)) * Ways, Ways);

    private uint UnitsAt(Timestamp now) => (uint)((now - _start).Ticks >> UnitShift);

    private static uint Units(TimeSpan time) => (uint)(time.Ticks >> UnitShift);

    /// <summary>
    /// How long a flow may be silent: RFC 5382 section 5 for TCP, RFC 4787 section 4.3 for UDP, RFC 5508 section 3.2 for echos.
    /// </summary>
    private static uint IdleLimit(in FlowKey key) => key switch
    {
        { Kind: not FlowKind.Packets } => FragmentLimit,
        { Protocol: IpPacket.ProtocolTcp } => TcpLimit,
        { Protocol: IpPacket.ProtocolUdp } => UdpLimit,
        { Protocol: IpPacket.ProtocolIcmp or IpPacket.ProtocolIcmpV6 } => EchoLimit,
        _ => OtherLimit,
    };

    /// <summary>Silence after which a flow of TCP is over.</summary>
    public static TimeSpan TcpIdle { get; } = TimeSpan.FromMinutes(124);

    /// <summary>Silence after which a flow of UDP is over.</summary>
    public static TimeSpan UdpIdle { get; } = TimeSpan.FromMinutes(5);

    /// <summary>Silence after which pings are over.</summary>
    public static TimeSpan EchoIdle { get; } = TimeSpan.FromMinutes(1);

    /// <summary>Silence after which a flow of another protocol is over.</summary>
    public static TimeSpan OtherIdle { get; } = TimeSpan.FromMinutes(10);

    /// <summary>How long fragments of a packet are waited for (RFC 8200 section 4.5: 60 s at their receiver).</summary>
    public static TimeSpan FragmentIdle { get; } = TimeSpan.FromMinutes(1);

    private static readonly uint TcpLimit = Units(TcpIdle), UdpLimit = Units(UdpIdle), EchoLimit = Units(EchoIdle),
        OtherLimit = Units(OtherIdle), FragmentLimit = Units(FragmentIdle);
}
