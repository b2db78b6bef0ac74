namespace LightTunnel.Engine.Data;

/// <summary>Why a packet or datagram was dropped.</summary>
internal enum DropReason
{
    /// <summary>Not an IP packet, or not one of our datagrams.</summary>
    Malformed,

    /// <summary>No member has the destination.</summary>
    NoRoute,

    /// <summary>The member is not there.</summary>
    PeerOffline,

    /// <summary>Read from the TUN device, though it is for this node itself.</summary>
    OwnDestination,

    /// <summary>
    /// Read from the TUN device, though this node itself had sent it to another one's endpoint: the tunnel would carry itself.
    /// </summary>
    OwnDatagram,

    /// <summary>Multicast and broadcast are not carried.</summary>
    Multicast,

    /// <summary>Longer than the path can carry.</summary>
    TooBig,

    /// <summary>The inner source is not an address of the node that sent it.</summary>
    WrongSource,

    /// <summary>The inner destination is not an address of this node.</summary>
    WrongDestination,

    /// <summary>An access rule forbids it, or it is not whole enough to tell.</summary>
    Prohibited,

    /// <summary>Too many packets wait for a link to be set up, or the link could not be set up.</summary>
    NoLink,

    /// <summary>Sealed for a session that is not known.</summary>
    UnknownSession,

    /// <summary>Seen before.</summary>
    Replayed,

    /// <summary>Not authentic.</summary>
    Forged,

    /// <summary>Sealed with keys whose time is over.</summary>
    Expired,

    /// <summary>To be relayed, but not from a member, to a member, or allowed.</summary>
    RelayRefused,

    /// <summary>
    /// The network takes less than is sent, and the queue in front of it stood for too long (<see cref="ControlledDelay"/>).
    /// </summary>
    SlowNetwork,

    /// <summary>
    /// More comes in than is worked off, and the queue fills up (<see cref="Transport.ReceiveQueue"/>). What the system loses of a queue
    /// that is full is not counted.
    /// </summary>
    FullQueue,

    /// <summary>More handshakes and control messages than could be worked on.</summary>
    Overload,
}

/// <summary>What one thread counted. Written by that thread only; reading from others sees values that may be a moment old.</summary>
internal sealed class PacketCounters
{
    private static readonly int Reasons = Enum.GetValues<DropReason>().Length;

    private readonly long[] _dropped = new long[Reasons];

    /// <summary>Inner packets taken in the counter's direction.</summary>
    public long Packets;

    /// <summary>Inner bytes taken in the counter's direction.</summary>
    public long Bytes;

    /// <summary>Sealed datagrams passed on for others, those that were sealed anew included.</summary>
    public long RelayedPackets;

    /// <summary>Sealed bytes passed on for others.</summary>
    public long RelayedBytes;

    /// <summary>What several threads counted together.</summary>
    public static PacketCounters Sum(IEnumerable<PacketCounters> counters)
    {
        var sum = new PacketCounters();
        foreach (PacketCounters one in counters)
        {
            sum.Packets += Volatile.Read(ref one.Packets);
            sum.Bytes += Volatile.Read(ref one.Bytes);
            sum.RelayedPackets += Volatile.Read(ref one.RelayedPackets);
            sum.RelayedBytes += Volatile.Read(ref one.RelayedBytes);
            for (int reason = 0; reason < Reasons; reason++)
                sum._dropped[reason] += Volatile.Read(ref one._dropped[reason]);
        }

        return sum;
    }

    /// <summary>Counts dropped packets.</summary>
    public void Drop(DropReason reason, int count = 1) => _dropped[(int)reason] += count;

    /// <summary>How many packets were dropped for the reason.</summary>
    public long Dropped(DropReason reason) => Volatile.Read(ref _dropped[(int)reason]);
}
